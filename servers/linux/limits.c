/* SPDX-License-Identifier: MIT */
/* Resource limits and usage. */
#include "capability.h"
#include "limits.h"
#include <errno.h>
#include <sys/resource.h>
#include "address_space.h"
#include "rusage.h"
#include "syscall.h"
#include "thread.h"
#include "vfs.h"

#define LIMIT_COUNT 16

void limits_init(struct rlimit64_pair limits[16])
{
	for (int i = 0; i < LIMIT_COUNT; i++)
		limits[i] = (struct rlimit64_pair){UINT64_MAX, UINT64_MAX};
	limits[RLIMIT_STACK].current = STACK_LIMIT;
	limits[RLIMIT_CORE].current = 0;
	limits[RLIMIT_NPROC] = (struct rlimit64_pair){4096, 4096};
	limits[RLIMIT_NOFILE] = (struct rlimit64_pair){1024, 4096};
	limits[RLIMIT_MEMLOCK] = (struct rlimit64_pair){8 << 20, 8 << 20};
	limits[RLIMIT_SIGPENDING] = (struct rlimit64_pair){1024, 1024};
	limits[RLIMIT_MSGQUEUE] = (struct rlimit64_pair){819200, 819200};
	limits[RLIMIT_NICE] = limits[RLIMIT_RTPRIO] = (struct rlimit64_pair){0, 0};
}

static int limit_set(struct thread *thread, struct process *target, unsigned which,
                     const struct rlimit64_pair *new)
{
	struct rlimit64_pair *limit = &target->limits[which];

	if (new->current > new->maximum)
		return -EINVAL;
	if (which == RLIMIT_NOFILE && new->maximum > FILE_TABLE_MAX)
		return -EPERM;
	if (new->maximum > limit->maximum && !capable(thread, CAP_SYS_RESOURCE))
		return -EPERM;
	*limit = *new;
	if (which == RLIMIT_CPU)
		process_timers_limit(target);
	if (target->mm && which == RLIMIT_STACK)
		target->mm->stack_limit = new->current;
	if (target->mm && which == RLIMIT_DATA)
		target->mm->data_limit = new->current;
	if (target->mm && which == RLIMIT_AS)
		target->mm->address_limit = new->current;
	return 0;
}

static bool same_user(const struct thread *thread, const struct process *target)
{
	const struct credentials *mine = &thread->process->credentials, *theirs = &target->credentials;

	return mine->uid == theirs->euid && mine->uid == theirs->suid && mine->uid == theirs->uid &&
	       mine->gid == theirs->egid && mine->gid == theirs->sgid && mine->gid == theirs->gid;
}

long sys_prlimit64(struct thread *thread, const uint64_t arguments[6])
{
	unsigned which = (unsigned)arguments[1];
	struct rlimit64_pair new, old;
	struct process *target;
	int error;

	if (arguments[2] && copy_from_user(thread, &new, arguments[2], sizeof(new)))
		return -EFAULT;
	/* Only now: copying may wait, and processes end. */
	target = arguments[0] ? process_find((int)arguments[0]) : thread->process;
	if (!target)
		return -ESRCH;
	if (target != thread->process && !capable(thread, CAP_SYS_RESOURCE) && !same_user(thread, target))
		return -EPERM;
	if (which >= LIMIT_COUNT)
		return -EINVAL;
	old = target->limits[which];
	if (arguments[2]) {
		error = limit_set(thread, target, which, &new);
		if (error)
			return error;
	}
	return arguments[3] ? copy_to_user(thread, arguments[3], &old, sizeof(old)) : 0;
}

long sys_getrlimit(struct thread *thread, const uint64_t arguments[6])
{
	if (arguments[0] >= LIMIT_COUNT)
		return -EINVAL;
	return copy_to_user(thread, arguments[1], &thread->process->limits[arguments[0]],
	                    sizeof(struct rlimit64_pair));
}

long sys_setrlimit(struct thread *thread, const uint64_t arguments[6])
{
	struct rlimit64_pair new;

	if (arguments[0] >= LIMIT_COUNT)
		return -EINVAL;
	if (copy_from_user(thread, &new, arguments[1], sizeof(new)))
		return -EFAULT;
	return limit_set(thread, thread->process, (unsigned)arguments[0], &new);
}

/* ---- usage ---- */

struct linux_rusage rusage_of(const struct usage *usage)
{
	return (struct linux_rusage){.user_seconds = (int64_t)(usage->cpu_time / 1000000000),
	                             .user_microseconds = (int64_t)(usage->cpu_time % 1000000000 / 1000),
	                             .maximum_resident = (int64_t)usage->peak_pages * (PAGE_SIZE / 1024),
	                             .minor_faults = (int64_t)usage->minor_faults,
	                             .major_faults = (int64_t)usage->major_faults,
	                             .voluntary = (int64_t)usage->waits};
}

long sys_getrusage(struct thread *thread, const uint64_t arguments[6])
{
	struct usage usage = process_usage(thread->process);
	struct linux_rusage out;

	switch ((int)arguments[0]) {
	case RUSAGE_SELF:
		break;
	case RUSAGE_CHILDREN:
		usage = thread->process->children_used;
		break;
	case 1: /* RUSAGE_THREAD; what else is not counted by thread */
		usage.cpu_time = kernel_thread_time(thread->private->kernel);
		break;
	default:
		return -EINVAL;
	}
	out = rusage_of(&usage);
	return copy_to_user(thread, arguments[1], &out, sizeof(out));
}
