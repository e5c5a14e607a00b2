/* SPDX-License-Identifier: MIT */
/* The signal system calls. */
#include <errno.h>
#include <signal.h>
#include <time.h>
#include "syscall.h"
#include "thread.h"
#include "times.h"

#define SIGSET_SIZE 8
#define SI_USER_    0
#define SI_TKILL_   (-6)

static bool valid(int signal)
{
	return signal > 0 && signal <= SIGNAL_COUNT;
}

long sys_rt_sigaction(struct thread *thread, const uint64_t arguments[6])
{
	int signal = (int)arguments[0];
	struct signal_action *action, old, new;
	struct process *process = thread->process;

	if (arguments[3] != SIGSET_SIZE || !valid(signal))
		return -EINVAL;
	if (arguments[1] && (signal == SIGKILL || signal == SIGSTOP))
		return -EINVAL;
	action = &process->signals->actions[signal - 1];
	old = *action;
	if (arguments[1]) {
		if (copy_from_user(thread, &new, arguments[1], sizeof(new)))
			return -EFAULT;
		new.mask = signal_mask_allowed(new.mask);
		new.flags &= ACTION_FLAGS; /* who asks which there are reads the rest back as 0 */
		*action = new;
		/* What is now ignored does not stay pending. */
		if (new.handler == HANDLER_IGNORE ||
		    (new.handler == HANDLER_DEFAULT &&
		     (signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH))) {
			signal_queue_flush(&process->signals->pending, SIGNAL_BIT(signal));
			for (struct thread *each = process->threads; each; each = each->next_in_process)
				signal_queue_flush(&each->private->pending, SIGNAL_BIT(signal));
		}
	}
	return arguments[2] ? copy_to_user(thread, arguments[2], &old, sizeof(old)) : 0;
}

long sys_rt_sigprocmask(struct thread *thread, const uint64_t arguments[6])
{
	sigset_bits old = thread->blocked, set;

	if (arguments[3] != SIGSET_SIZE)
		return -EINVAL;
	if (arguments[1]) {
		if (copy_from_user(thread, &set, arguments[1], sizeof(set)))
			return -EFAULT;
		switch ((int)arguments[0]) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		signal_set_mask(thread, set);
	}
	return arguments[2] ? copy_to_user(thread, arguments[2], &old, sizeof(old)) : 0;
}

long sys_rt_sigpending(struct thread *thread, const uint64_t arguments[6])
{
	sigset_bits pending = (thread->private->pending.pending | thread->process->signals->pending.pending) &
	                      thread->blocked;

	if (arguments[1] > SIGSET_SIZE)
		return -EINVAL;
	return copy_to_user(thread, arguments[0], &pending, arguments[1]);
}

long sys_rt_sigsuspend(struct thread *thread, const uint64_t arguments[6])
{
	sigset_bits mask;

	if (arguments[1] != SIGSET_SIZE)
		return -EINVAL;
	if (copy_from_user(thread, &mask, arguments[0], sizeof(mask)))
		return -EFAULT;
	signal_mask_until_return(thread, mask);
	while (wait_suspend(true, DEADLINE_NEVER) != -EINTR)
		;
	return -EINTR_NOHAND;
}

long sys_pause(struct thread *thread, const uint64_t arguments[6])
{
	(void)thread;
	(void)arguments;
	while (wait_suspend(true, DEADLINE_NEVER) != -EINTR)
		;
	return -EINTR_NOHAND;
}

long sys_rt_sigtimedwait(struct thread *thread, const uint64_t arguments[6])
{
	struct thread_private *private = thread->private;
	deadline_t deadline = DEADLINE_NEVER;
	struct linux_siginfo info;
	struct timespec timeout;
	uint64_t time;
	sigset_bits set;
	int result = 0;
	bool got;

	if (arguments[3] != SIGSET_SIZE)
		return -EINVAL;
	if (copy_from_user(thread, &set, arguments[0], sizeof(set)))
		return -EFAULT;
	if (arguments[2]) {
		if (copy_from_user(thread, &timeout, arguments[2], sizeof(timeout)))
			return -EFAULT;
		if (!timespec_to_ns(&timeout, &time))
			return -EINVAL;
		deadline = syscall_deadline(thread, time);
	}
	set = signal_mask_allowed(set);
	private->wait_set = set;
	while (!(got = signal_dequeue(thread, set, &info)) && !result)
		result = wait_suspend(true, deadline);
	private->wait_set = 0;
	if (thread->process->thread_count > 1)
		signal_retarget(thread->process); /* of several it has taken one */
	if (!got)
		return result == -ETIMEDOUT ? -EAGAIN : result == -EINTR ? -EINTR_NOHAND : result;
	if (arguments[1] && copy_to_user(thread, arguments[1], &info, sizeof(info)))
		return -EFAULT;
	return info.signal;
}

/* ---- sending ---- */

static struct linux_siginfo info_from(struct thread *thread, int signal, int code)
{
	return (struct linux_siginfo){.signal = signal,
	                              .code = code,
	                              .pid = thread->process->pid,
	                              .uid = thread->process->credentials.uid};
}

static int post(struct thread *thread, struct process *target, struct thread *target_thread,
                const struct linux_siginfo *info)
{
	if (!may_signal(thread, target, info->signal))
		return -EPERM;
	return !info->signal || signal_post(target, target_thread, info) ? 0 : -EAGAIN;
}

/* Every process of a group, or (pgid -1) every process but process 1 and the sender. */
static long kill_many(struct thread *thread, int pgid, const struct linux_siginfo *info)
{
	bool found = false, allowed = false;

	for (struct process *process = process_first(), *next; process; process = next) {
		next = process_next(process);
		if (pgid == -1 ? process->pid == 1 || process == thread->process : process->pgid != pgid)
			continue;
		found = true;
		if (!post(thread, process, NULL, info))
			allowed = true;
	}
	if (!found)
		return -ESRCH;
	return allowed ? 0 : -EPERM;
}

long sys_kill(struct thread *thread, const uint64_t arguments[6])
{
	int pid = (int)arguments[0], signal = (int)arguments[1];
	struct linux_siginfo info = info_from(thread, signal, SI_USER_);
	struct process *target;

	if (signal < 0 || signal > SIGNAL_COUNT)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid <= 0)
		return kill_many(thread, pid == 0 ? thread->process->pgid : pid == -1 ? -1 : -pid, &info);
	target = process_find(pid);
	if (!target) {
		struct thread *other = thread_find(pid);

		target = other ? other->process : NULL;
	}
	return target ? post(thread, target, NULL, &info) : -ESRCH;
}

static long send_to_thread(struct thread *thread, int tgid, int tid, const struct linux_siginfo *info)
{
	struct thread *target;

	if (info->signal < 0 || info->signal > SIGNAL_COUNT || tid <= 0 || tgid == 0)
		return -EINVAL;
	target = thread_find(tid);
	if (!target || (tgid > 0 && target->process->pid != tgid))
		return -ESRCH;
	return post(thread, target->process, target, info);
}

long sys_tkill(struct thread *thread, const uint64_t arguments[6])
{
	struct linux_siginfo info = info_from(thread, (int)arguments[1], SI_TKILL_);

	return send_to_thread(thread, -1, (int)arguments[0], &info);
}

long sys_tgkill(struct thread *thread, const uint64_t arguments[6])
{
	struct linux_siginfo info = info_from(thread, (int)arguments[2], SI_TKILL_);

	if ((int)arguments[0] <= 0)
		return -EINVAL;
	return send_to_thread(thread, (int)arguments[0], (int)arguments[1], &info);
}

/* A process may say what it likes to itself, but not pretend to be the kernel to others. */
static int info_from_user(struct thread *thread, struct linux_siginfo *info, uint64_t address, int signal,
                          int target)
{
	if (copy_from_user(thread, info, address, sizeof(*info)))
		return -EFAULT;
	info->signal = signal;
	if ((info->code >= 0 || info->code == SI_TKILL_) && target != thread->process->pid)
		return -EPERM;
	return 0;
}

long sys_rt_sigqueueinfo(struct thread *thread, const uint64_t arguments[6])
{
	struct linux_siginfo info;
	struct process *target;
	int error;

	if ((int)arguments[1] < 0 || (int)arguments[1] > SIGNAL_COUNT)
		return -EINVAL;
	error = info_from_user(thread, &info, arguments[2], (int)arguments[1], (int)arguments[0]);
	if (error)
		return error;
	target = process_find((int)arguments[0]); /* only now: copying may wait */
	return target ? post(thread, target, NULL, &info) : -ESRCH;
}

long sys_rt_tgsigqueueinfo(struct thread *thread, const uint64_t arguments[6])
{
	struct linux_siginfo info;
	int error = info_from_user(thread, &info, arguments[3], (int)arguments[2], (int)arguments[0]);

	return error ? error : send_to_thread(thread, (int)arguments[0], (int)arguments[1], &info);
}
