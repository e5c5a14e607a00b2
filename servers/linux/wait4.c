/* SPDX-License-Identifier: MIT */
/* wait4 and waitid: news of children. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include "rusage.h"
#include "syscall.h"
#include "thread.h"
#include "vfs.h"

#ifndef __WNOTHREAD /* musl */
#define __WNOTHREAD 0x20000000u
#define __WALL      0x40000000u
#define __WCLONE    0x80000000u
#endif
#define WAIT_KNOWN (WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | __WNOTHREAD | __WALL | __WCLONE)

struct wait_request {
	int pid; /* > 0: this child; 0: of the group; -1: any */
	int pgid;
	unsigned options; /* WAIT_KNOWN */
};

struct wait_news {
	int pid, code, status; /* code: CLD_*; status: as siginfo has it */
	int wait_status;       /* as wait4 has it */
	uint32_t uid;
	struct usage usage;
};

/* A child that ends with another signal than SIGCHLD, or none, is a clone: it is waited for only on demand.
 */
static bool matches(const struct process *child, const struct wait_request *request)
{
	if (!(request->options & __WALL) &&
	    (child->exit_signal != SIGCHLD) != !!(request->options & __WCLONE))
		return false;
	if (request->pid > 0)
		return child->pid == request->pid;
	return request->pid < 0 || child->pgid == request->pgid;
}

static void note_exit(struct process *child, struct wait_news *news)
{
	int status = child->exit_status;

	news->wait_status = status;
	news->code = status & 0x7f ? CLD_KILLED : CLD_EXITED;
	news->status = status & 0x7f ? status & 0x7f : status >> 8 & 0xff;
}

/* Does the child have something to tell? If so, and unless WNOWAIT, it has told it then. */
static bool child_news(struct process *child, const struct wait_request *request, struct wait_news *news)
{
	bool keep = request->options & WNOWAIT;

	*news = (struct wait_news){.pid = child->pid, .uid = child->credentials.uid};
	if (child->zombie && request->options & WEXITED) {
		note_exit(child, news);
		news->usage = child->used;
		usage_add(&news->usage, &child->children_used);
		if (!keep)
			process_reap(child);
		return true;
	}
	if (child->stopped && request->options & WSTOPPED) {
		news->code = CLD_STOPPED;
		news->status = child->stop_signal;
		news->wait_status = child->stop_signal << 8 | 0x7f;
		child->stopped = keep;
		return true;
	}
	if (child->continued && request->options & WCONTINUED) {
		news->code = CLD_CONTINUED;
		news->status = SIGCONT;
		news->wait_status = 0xffff;
		child->continued = keep;
		return true;
	}
	return false;
}

/* 1: news; 0: none now, but there are children; -ECHILD */
static int look(struct process *parent, const struct wait_request *request, struct wait_news *news)
{
	int result = -ECHILD;

	for (struct process *child = parent->children, *next; child; child = next) {
		next = child->sibling;
		if (!matches(child, request))
			continue;
		result = 0;
		if (child_news(child, request, news))
			return 1;
	}
	return result;
}

static int wait_for_child(struct thread *thread, const struct wait_request *request, struct wait_news *news)
{
	struct process *process = thread->process;

	for (;;) {
		int result = look(process, request, news);

		if (result || request->options & WNOHANG)
			return result;
		if (waitq_wait(&process->child_wait, true, DEADLINE_NEVER) == -EINTR)
			return -EINTR_RESTART;
	}
}

long sys_wait4(struct thread *thread, const uint64_t arguments[6])
{
	int which = (int)arguments[0];
	unsigned options = (unsigned)arguments[2];
	struct wait_request request = {.options = options | WEXITED};
	struct linux_rusage usage;
	struct wait_news news;
	int result;

	if (options & ~(unsigned)WAIT_KNOWN || options & (WEXITED | WNOWAIT))
		return -EINVAL;
	if (which == INT32_MIN)
		return -ESRCH;
	request.pid = which > 0 ? which : which == -1 ? -1 : 0;
	request.pgid = which < -1 ? -which : thread->process->pgid;
	result = wait_for_child(thread, &request, &news);
	if (result <= 0)
		return result;
	usage = rusage_of(&news.usage);
	if (arguments[1] && copy_to_user(thread, arguments[1], &news.wait_status, sizeof(int)))
		return -EFAULT;
	if (arguments[3] && copy_to_user(thread, arguments[3], &usage, sizeof(usage)))
		return -EFAULT;
	return news.pid;
}

static int waitid_target(struct thread *thread, int type, int id, struct wait_request *request)
{
	enum { P_PIDFD_ = 3 };
	struct process *target;
	int result;

	switch (type) {
	case P_ALL:
		request->pid = -1;
		return 0;
	case P_PID:
		request->pid = id;
		return id > 0 ? 0 : -EINVAL;
	case P_PIDFD_:
		result = pidfd_process(thread, id, &target);
		if (result)
			return result;
		if (!target)
			return -ECHILD;
		request->pid = target->pid;
		if (pidfd_nonblocking(thread, id))
			request->options |= WNOHANG;
		return 0;
	case P_PGID:
		request->pgid = id ? id : thread->process->pgid;
		return id >= 0 ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

long sys_waitid(struct thread *thread, const uint64_t arguments[6])
{
	struct wait_request request = {.options = (unsigned)arguments[3]};
	struct linux_siginfo info = {0};
	struct linux_rusage usage;
	struct wait_news news;
	int result;

	if (request.options & ~(unsigned)WAIT_KNOWN || !(request.options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	result = waitid_target(thread, (int)arguments[0], (int)arguments[1], &request);
	if (!result)
		result = wait_for_child(thread, &request, &news);
	if (result < 0)
		return result;
	/* a descriptor that says not to wait, unlike WNOHANG */
	if (!result && !((unsigned)arguments[3] & WNOHANG))
		return -EAGAIN;
	if (result) {
		info = (struct linux_siginfo){.signal = SIGCHLD,
		                              .code = news.code,
		                              .pid = news.pid,
		                              .uid = news.uid,
		                              .status = news.status};
		usage = rusage_of(&news.usage);
		if (arguments[4] && copy_to_user(thread, arguments[4], &usage, sizeof(usage)))
			return -EFAULT;
	}
	return arguments[2] ? copy_to_user(thread, arguments[2], &info, sizeof(info)) : 0;
}
