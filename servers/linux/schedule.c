/* SPDX-License-Identifier: MIT */
/* Policies, priorities and CPUs. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <pith/startup.h>
#include "capability.h"
#include "balance.h"
#include "syscall.h"
#include "thread.h"
#include "times.h"

#define REALTIME_MAX 99

/* Not answered at once: it has to be ready before it can go behind its equals. */
long sys_sched_yield(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	wait_suspend(false, time_now());
	thread->private->yields = true;
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

static bool owns(const struct thread *thread, const struct thread *target)
{
	uint32_t uid = thread->process->credentials.euid;

	return uid == target->process->credentials.uid || uid == target->process->credentials.euid;
}

long sys_sched_setaffinity(struct thread *thread, const uint64_t arguments[6])
{
	struct thread *target;
	uint64_t mask = 0, size = arguments[1] < sizeof(mask) ? arguments[1] : sizeof(mask);

	if (size && copy_from_user(thread, &mask, arguments[2], size))
		return -EFAULT;
	target = thread_named(thread, arguments[0]);
	if (!target)
		return -ESRCH;
	if (!owns(thread, target) && !capable(thread, CAP_SYS_NICE))
		return -EPERM;
	if (!(mask & cpus_online()))
		return -EINVAL;
	thread_set_affinity(target, mask);
	return 0;
}

static bool realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

long sys_sched_getscheduler(struct thread *thread, const uint64_t arguments[6])
{
	const struct thread *target = thread_named(thread, arguments[0]);

	if ((int)arguments[0] < 0)
		return -EINVAL;
	if (!target)
		return -ESRCH;
	return target->private->policy | (target->private->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
}

long sys_sched_getparam(struct thread *thread, const uint64_t arguments[6])
{
	const struct thread *target = thread_named(thread, arguments[0]);
	int priority;

	if ((int)arguments[0] < 0 || !arguments[1])
		return -EINVAL;
	if (!target)
		return -ESRCH;
	priority = target->private->priority;
	return copy_to_user(thread, arguments[1], &priority, sizeof(priority));
}

/* Others than the superuser get priorities within RLIMIT_RTPRIO, and may always have less. */
static bool may_schedule(struct thread *thread, const struct thread *target, int policy, int priority)
{
	const struct thread_private *now = target->private;

	if (capable(thread, CAP_SYS_NICE))
		return true;
	if (!owns(thread, target))
		return false;
	if (!realtime(policy))
		return true;
	if (policy != now->policy && !target->process->limits[RLIMIT_RTPRIO].current)
		return false;
	return priority <= now->priority ||
	       (uint64_t)priority <= target->process->limits[RLIMIT_RTPRIO].current;
}

static int check_policy(int policy, int64_t priority)
{
	if (!realtime(policy) && policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE)
		return -EINVAL;
	return (realtime(policy) ? priority < 1 || priority > REALTIME_MAX : priority != 0) ? -EINVAL : 0;
}

static void set_policy(struct thread *target, int policy, int priority, bool reset)
{
	target->private->policy = (uint8_t)policy;
	target->private->priority = (uint8_t)priority;
	target->private->reset_on_fork = reset;
	balance_realtime(target);
	kernel_thread_schedule(target);
}

/* policy < 0: as it is */
static long set_scheduler(struct thread *thread, uint64_t tid, int policy, uint64_t parameters)
{
	struct thread *target;
	bool reset = policy >= 0 && policy & SCHED_RESET_ON_FORK;
	int priority, error;

	if ((int)tid < 0 || !parameters)
		return -EINVAL;
	if (copy_from_user(thread, &priority, parameters, sizeof(priority)))
		return -EFAULT;
	target = thread_named(thread, tid); /* only now: copying may wait */
	if (!target)
		return -ESRCH;
	if (policy < 0) {
		policy = target->private->policy;
		reset = target->private->reset_on_fork;
	}
	policy &= ~SCHED_RESET_ON_FORK;
	error = check_policy(policy, priority);
	if (error)
		return error;
	if (!may_schedule(thread, target, policy, priority))
		return -EPERM;
	set_policy(target, policy, priority, reset);
	return 0;
}

long sys_sched_setscheduler(struct thread *thread, const uint64_t arguments[6])
{
	return (int)arguments[1] < 0 ? -EINVAL
	                             : set_scheduler(thread, arguments[0], (int)arguments[1], arguments[2]);
}

long sys_sched_setparam(struct thread *thread, const uint64_t arguments[6])
{
	return set_scheduler(thread, arguments[0], -1, arguments[1]);
}

long sys_sched_rr_get_interval(struct thread *thread, const uint64_t arguments[6])
{
	struct thread *target = thread_named(thread, arguments[0]);
	struct timespec slice;

	if ((int)arguments[0] < 0)
		return -EINVAL;
	if (!target)
		return -ESRCH;
	slice = ns_to_timespec(target->private->policy == SCHED_FIFO ? 0 : target->private->kernel->slice);
	return copy_to_user(thread, arguments[1], &slice, sizeof(slice));
}

long sys_sched_get_priority_max(struct thread *thread, const uint64_t arguments[6])
{
	int policy = (int)arguments[0];

	(void)thread;
	if (realtime(policy))
		return REALTIME_MAX;
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE ? 0 : -EINVAL;
}

long sys_sched_get_priority_min(struct thread *thread, const uint64_t arguments[6])
{
	int policy = (int)arguments[0];

	(void)thread;
	if (realtime(policy))
		return 1;
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE ? 0 : -EINVAL;
}

/* ---- nice ---- */

static bool selected(struct thread *thread, const struct process *process, int which, int who)
{
	const struct thread *named;

	switch (which) {
	case PRIO_PROCESS: /* any of its threads will do: they have one priority */
		named = thread_named(thread, (unsigned)who);
		return process->pid == who || (named && named->process == process);
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

	if (mine->euid != process->credentials.uid && mine->euid != process->credentials.euid &&
	    !capable(thread, CAP_SYS_NICE))
		return -EPERM;
	if (nice < process->nice && 20 - nice > (int64_t)process->limits[RLIMIT_NICE].current &&
	    !capable(thread, CAP_SYS_NICE))
		return -EACCES;
	process->nice = nice;
	for (struct thread *each = process->threads; each; each = each->next_in_process)
		kernel_thread_schedule(each);
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

/* ---- all of it in one structure ---- */

struct schedule_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* of SCHED_DEADLINE, which is not there */
	uint32_t least, most;               /* of the CPU's speed */
};
#define ATTRIBUTES_SIZE_MIN 48
enum schedule_flags {
	RESET_ON_FORK = 1,
	KEEP_POLICY = 8,
	KEEP_PARAMETERS = 16,
	FLAGS_KNOWN = 0x7f,
	SPEED_LIMITS = 0x60
};

long sys_sched_getattr(struct thread *thread, const uint64_t arguments[6])
{
	const struct thread *target = thread_named(thread, arguments[0]);
	unsigned size = (unsigned)arguments[2];
	struct schedule_attributes out = {0};

	if ((int)arguments[0] < 0 || !arguments[1] || size > PAGE_SIZE || size < ATTRIBUTES_SIZE_MIN ||
	    (unsigned)arguments[3])
		return -EINVAL;
	if (!target)
		return -ESRCH;
	out.size = size < sizeof(out) ? size : sizeof(out);
	out.policy = target->private->policy;
	out.flags = target->private->reset_on_fork ? RESET_ON_FORK : 0;
	out.priority = target->private->priority;
	out.nice = realtime((int)out.policy) ? 0 : target->process->nice;
	return copy_to_user(thread, arguments[1], &out, out.size);
}

static int attributes_from_user(struct thread *thread, uint64_t address, struct schedule_attributes *in)
{
	uint32_t size, known = sizeof(*in);
	int error = copy_from_user(thread, &size, address, sizeof(size));

	if (error)
		return error;
	if (!size)
		size = ATTRIBUTES_SIZE_MIN;
	error = size < ATTRIBUTES_SIZE_MIN ? -E2BIG
	                                   : copy_struct_from_user(thread, in, sizeof(*in), address, size);
	if (error == -E2BIG && copy_to_user(thread, address, &known, sizeof(known)))
		return -EFAULT;
	return error;
}

long sys_sched_setattr(struct thread *thread, const uint64_t arguments[6])
{
	struct schedule_attributes in;
	struct thread *target;
	int error, policy, nice;
	bool reset;

	if ((int)arguments[0] < 0 || !arguments[1] || (unsigned)arguments[2])
		return -EINVAL;
	error = attributes_from_user(thread, arguments[1], &in);
	if (error)
		return error;
	if ((int32_t)in.policy < 0)
		return -EINVAL;
	target = thread_named(thread, arguments[0]);
	if (!target)
		return -ESRCH;
	nice = in.nice < -20 ? -20 : in.nice > 19 ? 19 : in.nice;
	policy = (int)in.policy;
	reset = in.flags & RESET_ON_FORK;
	if (in.flags & KEEP_PARAMETERS) {
		in.priority = target->private->priority;
		nice = target->process->nice;
	}
	if (in.flags & KEEP_POLICY) {
		policy = target->private->policy;
		reset = target->private->reset_on_fork;
	}
	error = in.flags & ~(uint64_t)FLAGS_KNOWN ? -EINVAL : check_policy(policy, in.priority);
	if (error)
		return error;
	if (!may_schedule(thread, target, policy, (int)in.priority))
		return -EPERM;
	if (in.flags & SPEED_LIMITS)
		return -EOPNOTSUPP;
	if (in.flags & KEEP_PARAMETERS) /* and the policy, on Linux too */
		policy = target->private->policy;
	error = realtime(policy) ? 0 : set_nice(thread, target->process, nice);
	if (error)
		return -EPERM; /* where setpriority says EACCES */
	set_policy(target, policy, (int)in.priority, reset);
	return 0;
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
		if (!capable(thread, CAP_SYS_ADMIN) && !capable(thread, CAP_SYS_NICE))
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
		if (mine->uid != process->credentials.uid && mine->euid != process->credentials.uid &&
		    !capable(thread, CAP_SYS_NICE))
			return -EPERM;
		process->io_priority = priority;
		result = 0;
	}
	return result;
}
