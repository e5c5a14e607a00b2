/* SPDX-License-Identifier: MIT */
/*
 * The end of threads and processes. A thread ends on its own fiber, after its call; the last one takes the
 * process's belongings down and leaves a zombie for the parent.
 */
#include <pith/log.h>
#include <signal.h>
#include <stdlib.h>
#include "address_space.h"
#include "ipc/ipc.h"
#include "fiber_context.h"
#include "thread.h"
#include "vfs.h"

void process_exit_group(struct process *process, int wait_status)
{
	if (!process->group_exit) {
		process->group_exit = true;
		process->group_exit_status = wait_status;
	}
	for (struct thread *thread = process->threads; thread; thread = thread->next_in_process) {
		if (thread->private->exiting)
			continue;
		thread->private->exiting = true;
		thread_alert(thread);
	}
	waitq_wake_all(&process->signals->continue_wait);
}

bool thread_become_only(struct thread *thread)
{
	struct process *process = thread->process;

	if (process->exec_thread || process->group_exit)
		return false;
	process->exec_thread = thread;
	for (struct thread *other = process->threads; other; other = other->next_in_process) {
		if (other == thread || other->private->exiting)
			continue;
		other->private->exiting = true;
		thread_alert(other);
	}
	waitq_wake_all(&process->signals->continue_wait);
	while (process->thread_count > 1 && !process->group_exit)
		waitq_wait(&process->threads_wait, false, DEADLINE_NEVER);
	process->exec_thread = NULL;
	return !process->group_exit;
}

void thread_release_memory(struct thread *thread)
{
	struct thread_private *private = thread->private;
	uint64_t clear = private->clear_child_tid;
	uint32_t zero = 0;

	futex_exit(thread);
	private->clear_child_tid = 0;
	/* Nobody else would see it if the address space goes with this thread. */
	if (clear && (thread->process->mm->references > 1 || thread->process->thread_count > 1) &&
	    !copy_to_user(thread, clear, &zero, sizeof(zero)))
		futex_wake_address(thread, clear, 1);
}

/* ---- the family ---- */

static struct process *new_parent_for(struct process *orphan, struct process *dying)
{
	for (struct process *at = dying->parent; at; at = at->parent)
		if (at->subreaper && !at->zombie && at != dying)
			return at;
	(void)orphan;
	return process_init() != dying ? process_init() : NULL;
}

static void group_hang_up_if_orphaned(int pgid)
{
	bool stopped = false;

	if (!process_group_orphaned(pgid))
		return;
	for (struct process *process = process_first(); process; process = process_next(process))
		if (process->pgid == pgid && !process->zombie && process->signals->stopped)
			stopped = true;
	if (stopped) {
		signal_send_group(pgid, SIGHUP, 0x80, 0);
		signal_send_group(pgid, SIGCONT, 0x80, 0);
	}
}

static int exit_code_of(int wait_status)
{
	if (!(wait_status & 0x7f))
		return CLD_EXITED;
	return wait_status & 0x80 ? CLD_DUMPED : CLD_KILLED;
}

static bool parent_ignores(const struct process *process)
{
	const struct signal_action *action;

	if (!process->parent || process->exit_signal != SIGCHLD)
		return !process->parent;
	action = &process->parent->signals->actions[SIGCHLD - 1];
	return action->handler == HANDLER_IGNORE || action->flags & SA_NOCLDWAIT;
}

/* Of a zombie. */
static void tell_parent(struct process *process)
{
	int status = process->exit_status, signalled = status & 0x7f;

	signal_notify_parent(process, exit_code_of(status), signalled ? signalled : status >> 8 & 0xff);
}

/* Children go to a new parent; a stopped group that loses its last tie to the session is told. */
static void orphans_leave(struct process *process)
{
	while (process->children) {
		struct process *child = process->children;
		bool other_group = child->pgid != process->pgid && child->sid == process->sid;

		if (child->death_signal && !child->zombie)
			signal_send(child, child->death_signal, 0x80, 0);
		process_set_parent(child, new_parent_for(child, process));
		child->exit_signal = SIGCHLD;
		if (other_group)
			group_hang_up_if_orphaned(child->pgid);
		if (!child->zombie)
			continue;
		tell_parent(child);
		if (parent_ignores(child))
			process_free(child);
	}
}

void process_reap(struct process *process)
{
	struct process *parent = process->parent;

	if (parent) {
		usage_add(&parent->children_used, &process->used);
		usage_add(&parent->children_used, &process->children_used);
	}
	process_free(process);
}

static void become_zombie(struct process *process)
{
	void (*exited)(int) = process->exited;
	int status = process->exit_status;
	bool reap = parent_ignores(process);

	process->zombie = true;
	pidfds_exited(process);
	process->stopped = process->continued = false;
	process->tty = NULL;
	if (process->parent) {
		/* Was it this process that tied its group to the session? */
		if (process->parent->pgid != process->pgid && process->parent->sid == process->sid)
			group_hang_up_if_orphaned(process->pgid);
		tell_parent(process);
	}
	if (reap)
		process_free(process);
	if (exited)
		exited(status);
}

/* May wait: closing files, writing back. Everything but the address space goes, the process's number stays.
 */
static void process_release(struct process *process)
{
	process_timers_exit(process);
	sem_exit(process);
	files_exit(process);
	if (process->session_leader)
		tty_session_exit(process);
}

void thread_stop_call(struct thread *thread)
{
	struct thread_private *private = thread->private;
	struct message stop = {.info = MESSAGE_INFO(REPLY_STOP | REPLY_CONSUME_POKE, 0)};
	enum error error;

	if (private->reply) {
		error = ipc_reply(private->reply, &stop);
		if (error != ERR_NONE)
			log_error("thread %d: stopping: %s", thread->tid, error_text(error));
		reply_give(private->reply);
		private->reply = CPTR_NULL;
	}
}

void thread_exit(struct thread *thread)
{
	struct process *process = thread->process;
	struct fs_context *fs = NULL;
	struct mm *mm = NULL;

	thread->private->exiting = true;
	thread_release_memory(thread); /* may wait: others may become the last before this one */
	if (!--process->live_threads) {
		/* Memory comes back first: to close files may take long, and others may wait for it. */
		if (process->mm && process->mm->references == 1)
			mm_drop_pages(process->mm, 0, USER_END);
		process_release(process);
		mm = process_change_mm(process, NULL);
		fs = process->fs;
		process->fs = NULL;
		waitq_wake_all(&process->vfork_wait);
	}
	thread_stop_call(thread);
	thread_end(thread);
	if (mm)
		mm_put(mm); /* after the thread: the kernel stops a thread that loses its address space */
	fs_context_put(fs); /* after all that it has open, or mounts of its own could not end */
	fiber_context_forget();
	free(thread); /* until here it is the one that waits */
	waitq_wake_all(&process->threads_wait);
	if (process->thread_count) {
		signal_retarget(process);
		return;
	}
	process->exit_status = process->group_exit_status;
	orphans_leave(process);
	become_zombie(process);
}
