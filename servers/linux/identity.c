/* SPDX-License-Identifier: MIT */
/* Process numbers, groups and sessions. */
#include <errno.h>
#include <stddef.h>
#include "syscall.h"
#include "thread.h"

/* The ones without a comment beside them are quick: see syscall.c. */
long sys_getpid(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	return thread->process->pid;
}

long sys_gettid(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	return thread->tid;
}

long sys_getppid(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	return process_parent_pid(thread->process);
}

long sys_getpgrp(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	return thread->process->pgid;
}

static struct process *named(struct thread *thread, uint64_t pid)
{
	return (int)pid ? process_find((int)pid) : thread->process;
}

long sys_getpgid(struct thread *thread, const uint64_t arguments[6])
{
	struct process *process = named(thread, arguments[0]);

	return process ? process->pgid : -ESRCH;
}

long sys_getsid(struct thread *thread, const uint64_t arguments[6])
{
	struct process *process = named(thread, arguments[0]);

	return process ? process->sid : -ESRCH;
}

long sys_setpgid(struct thread *thread, const uint64_t arguments[6])
{
	struct process *self = thread->process, *target = named(thread, arguments[0]);
	int pgid = (int)arguments[1] ? (int)arguments[1] : (int)arguments[0];

	if (pgid < 0)
		return -EINVAL;
	if (!target || (target != self && target->parent != self))
		return -ESRCH;
	if (!pgid)
		pgid = target->pid;
	if (target != self && target->sid != self->sid)
		return -EPERM;
	if (target != self && target->executed)
		return -EACCES;
	if (target->session_leader)
		return -EPERM;
	if (pgid != target->pid && !process_group_exists(pgid, self->sid))
		return -EPERM;
	target->pgid = pgid;
	return 0;
}

long sys_setsid(struct thread *thread, const uint64_t arguments[6])
{
	struct process *process = thread->process;

	(void)arguments;
	if (process->session_leader)
		return -EPERM;
	for (struct process *other = process_first(); other; other = process_next(other))
		if (other->pgid == process->pid)
			return -EPERM;
	process->sid = process->pgid = process->pid;
	process->session_leader = true;
	process->tty = NULL;
	return process->pid;
}

long sys_set_tid_address(struct thread *thread, const uint64_t arguments[6])
{
	thread->private->clear_child_tid = arguments[0];
	return thread->tid;
}

long sys_exit(struct thread *thread, const uint64_t arguments[6])
{
	struct process *process = thread->process;

	if (!process->group_exit && (thread->tid == process->pid || process->thread_count == 1))
		process->group_exit_status = (int)(arguments[0] & 0xff) << 8;
	thread->private->exiting = true;
	return 0;
}

long sys_exit_group(struct thread *thread, const uint64_t arguments[6])
{
	process_exit_group(thread->process, (int)(arguments[0] & 0xff) << 8);
	return 0;
}
