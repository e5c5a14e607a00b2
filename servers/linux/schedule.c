/* SPDX-License-Identifier: MIT */
/* Priorities, CPUs and scheduling, as far as one policy goes. */
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include "balance.h"
#include "syscall.h"
#include "thread.h"

long sys_sched_yield(struct thread *thread, const uint64_t arguments[6])
{
	(void)thread;
	(void)arguments;
	return 0;
}

static struct thread *thread_named(struct thread *thread, uint64_t tid)
{
	return (int)tid ? thread_find((int)tid) : thread;
}

long sys_sched_getaffinity(struct thread *thread, const uint64_t arguments[6])
{
	const struct thread *target = thread_named(thread, arguments[0]);
	uint64_t mask;

	if (!target)
		return -ESRCH;
	if (arguments[1] < sizeof(mask) || arguments[1] % sizeof(mask))
		return -EINVAL;
	mask = target->private->affinity & cpus_online();
	return copy_to_user(thread, arguments[2], &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

long sys_sched_setaffinity(struct thread *thread, const uint64_t arguments[6])
{
	struct thread *target = thread_named(thread, arguments[0]);
	uint64_t mask = 0, size = arguments[1] < sizeof(mask) ? arguments[1] : sizeof(mask);

	if (!target)
		return -ESRCH;
	if (size && copy_from_user(thread, &mask, arguments[2], size))
		return -EFAULT;
	if (!(mask & cpus_online()))
		return -EINVAL;
	thread_set_affinity(target, mask);
	return 0;
}

long sys_sched_getscheduler(struct thread *thread, const uint64_t arguments[6])
{
	return thread_named(thread, arguments[0]) ? SCHED_OTHER : -ESRCH;
}

long sys_sched_getparam(struct thread *thread, const uint64_t arguments[6])
{
	int priority = 0;

	if (!thread_named(thread, arguments[0]))
		return -ESRCH;
	return copy_to_user(thread, arguments[1], &priority, sizeof(priority));
}

static int check_policy(int policy, int priority)
{
	if (policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE)
		return priority ? -EINVAL : 0;
	return policy == SCHED_FIFO || policy == SCHED_RR ? -EPERM : -EINVAL;
}

long sys_sched_setscheduler(struct thread *thread, const uint64_t arguments[6])
{
	int priority;

	if (!thread_named(thread, arguments[0]))
		return -ESRCH;
	if (copy_from_user(thread, &priority, arguments[2], sizeof(priority)))
		return -EFAULT;
	return check_policy((int)arguments[1] & ~0x40000000, priority);
}

long sys_sched_setparam(struct thread *thread, const uint64_t arguments[6])
{
	int priority;

	if (!thread_named(thread, arguments[0]))
		return -ESRCH;
	if (copy_from_user(thread, &priority, arguments[1], sizeof(priority)))
		return -EFAULT;
	return check_policy(SCHED_OTHER, priority);
}

long sys_sched_get_priority_max(struct thread *thread, const uint64_t arguments[6])
{
	int policy = (int)arguments[0];

	(void)thread;
	if (policy == SCHED_FIFO || policy == SCHED_RR)
		return 99;
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE ? 0 : -EINVAL;
}

long sys_sched_get_priority_min(struct thread *thread, const uint64_t arguments[6])
{
	int policy = (int)arguments[0];

	(void)thread;
	if (policy == SCHED_FIFO || policy == SCHED_RR)
		return 1;
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE ? 0 : -EINVAL;
}

/* ---- nice ---- */

static bool selected(struct thread *thread, const struct process *process, int which, int who)
{
	switch (which) {
	case PRIO_PROCESS:
		return process->pid == (who ? who : thread->process->pid);
	case PRIO_PGRP:
		return process->pgid == (who ? who : thread->process->pgid);
	default:
		return process->credentials.uid == (who ? (uint32_t)who : thread->process->credentials.uid);
	}
}

/* 20 - nice, so that it is never negative */
long sys_getpriority(struct thread *thread, const uint64_t arguments[6])
{
	int which = (int)arguments[0], best = -1;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	for (struct process *process = process_first(); process; process = process_next(process))
		if (selected(thread, process, which, (int)arguments[1]) && 20 - process->nice > best)
			best = 20 - process->nice;
	return best < 0 ? -ESRCH : best;
}

static int set_nice(struct thread *thread, struct process *process, int nice)
{
	const struct credentials *mine = &thread->process->credentials;

	if (mine->euid && mine->euid != process->credentials.uid && mine->euid != process->credentials.euid)
		return -EPERM;
	if (nice < process->nice && mine->euid)
		return -EACCES;
	process->nice = nice;
	for (struct thread *each = process->threads; each; each = each->next_in_process)
		kernel_thread_set_nice(each->private->kernel, nice);
	return 0;
}

long sys_setpriority(struct thread *thread, const uint64_t arguments[6])
{
	int which = (int)arguments[0], nice = (int)arguments[2], result = -ESRCH;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
	for (struct process *process = process_first(); process; process = process_next(process))
		if (selected(thread, process, which, (int)arguments[1])) {
			int error = set_nice(thread, process, nice);

			if (error)
				return error;
			result = 0;
		}
	return result;
}

long sys_getcpu(struct thread *thread, const uint64_t arguments[6])
{
	uint32_t zero = 0, cpu = thread_cpu(thread);

	if (arguments[0] && copy_to_user(thread, arguments[0], &cpu, sizeof(cpu)))
		return -EFAULT;
	return arguments[1] ? copy_to_user(thread, arguments[1], &zero, sizeof(zero)) : 0;
}

/* ---- priority of input and output ---- */

#define IO_CLASS(priority) ((priority) >> 13)
#define IO_LEVEL(priority) ((priority)&0x1fff)
enum { IO_NONE, IO_REALTIME, IO_BEST_EFFORT, IO_IDLE };

/* The kernel counts these kinds of targets from 1, those of getpriority from 0. */
static bool io_kind(uint64_t which, int *kind)
{
	*kind = (int)which - 1;
	return *kind >= PRIO_PROCESS && *kind <= PRIO_USER;
}

/* The more important of two: a lower class, then a lower level; one without a class counts as best effort. */
static int io_better(int a, int b)
{
	int class_a = IO_CLASS(a) ? IO_CLASS(a) : IO_BEST_EFFORT,
	    class_b = IO_CLASS(b) ? IO_CLASS(b) : IO_BEST_EFFORT;

	if (class_a != class_b)
		return class_a < class_b ? a : b;
	return IO_LEVEL(a) < IO_LEVEL(b) ? a : b;
}

long sys_ioprio_get(struct thread *thread, const uint64_t arguments[6])
{
	int kind, best = -ESRCH;

	if (!io_kind(arguments[0], &kind))
		return -EINVAL;
	for (struct process *process = process_first(); process; process = process_next(process))
		if (selected(thread, process, kind, (int)arguments[1]))
			best = best < 0 ? process->io_priority : io_better(best, process->io_priority);
	return best;
}

static int check_io_priority(struct thread *thread, int priority)
{
	switch (IO_CLASS(priority)) {
	case IO_NONE:
		return IO_LEVEL(priority) ? -EINVAL : 0;
	case IO_REALTIME:
		if (!capable_root(thread))
			return -EPERM;
		return IO_LEVEL(priority) < 8 ? 0 : -EINVAL;
	case IO_BEST_EFFORT:
		return IO_LEVEL(priority) < 8 ? 0 : -EINVAL;
	case IO_IDLE:
		return 0;
	default:
		return -EINVAL;
	}
}

long sys_ioprio_set(struct thread *thread, const uint64_t arguments[6])
{
	const struct credentials *mine = &thread->process->credentials;
	int kind, priority = (int)arguments[2], result = check_io_priority(thread, priority);

	if (result)
		return result;
	if (!io_kind(arguments[0], &kind))
		return -EINVAL;
	result = -ESRCH;
	for (struct process *process = process_first(); process; process = process_next(process)) {
		if (!selected(thread, process, kind, (int)arguments[1]))
			continue;
		if (mine->euid && mine->uid != process->credentials.uid &&
		    mine->euid != process->credentials.uid)
			return -EPERM;
		process->io_priority = priority;
		result = 0;
	}
	return result;
}
