/* SPDX-License-Identifier: MIT */
/* Reading and setting clocks, sleeping. Timers are in timer.c. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <pith/startup.h>
#include "capability.h"
#include "clock.h"
#include "syscall.h"
#include "thread.h"
#include "times.h"
#include "vdso.h"

#define SECOND   1000000000ul
#define WALL_MAX (INT64_MAX - 30 * 365 * 86400 * SECOND)

static struct waitq wall_waiters; /* for a time of day */

bool timespec_to_ns(const struct timespec *time, uint64_t *out)
{
	if (time->tv_sec < 0 || time->tv_nsec < 0 || time->tv_nsec >= (long)SECOND)
		return false;
	if ((uint64_t)time->tv_sec >= INT64_MAX / SECOND)
		*out = INT64_MAX;
	else
		*out = (uint64_t)time->tv_sec * SECOND + (uint64_t)time->tv_nsec;
	return true;
}

struct timespec ns_to_timespec(uint64_t time)
{
	return (struct timespec){.tv_sec = (time_t)(time / SECOND), .tv_nsec = (long)(time % SECOND)};
}

void wall_changed(void)
{
	vdso_set_wall((int64_t)time_wall_at_boot());
	/* Who waits for a time of day looks again. */
	for (struct process *process = process_first(); process; process = process_next(process))
		process_timers_wall_set(process);
	timer_files_wall_set();
	waitq_wake_all(&wall_waiters);
}

deadline_t clock_deadline(int clock, uint64_t time)
{
	uint64_t wall, now = time_now();

	if (clock != CLOCK_REALTIME)
		return time;
	wall = time_wall();
	if (time <= wall)
		return now;
	return time - wall < DEADLINE_NEVER - now ? now + (time - wall) : DEADLINE_NEVER;
}

/* Clock ids of processes and threads: ~pid << 3 | kind, kind bit 2: a thread. Kinds 0 to 2 (PROF, VIRT,
 * SCHED) are the same here. */
#define CLOCK_KIND   3
#define CLOCK_SCHED  2
#define CLOCK_THREAD 4

int process_clock(int pid)
{
	return (int)(~(unsigned)pid << 3 | CLOCK_SCHED);
}

int thread_clock(int tid)
{
	return (int)(~(unsigned)tid << 3 | CLOCK_THREAD | CLOCK_SCHED);
}

bool cpu_clock_read(int clock, uint64_t *out)
{
	int id = ~(clock >> 3);
	struct thread *thread = clock & CLOCK_THREAD ? thread_find(id) : NULL;
	struct process *process = clock & CLOCK_THREAD ? NULL : process_find(id);

	if (thread)
		*out = kernel_thread_time(thread->private->kernel);
	else if (process)
		*out = process_cpu_time(process);
	return thread || process;
}

#define CPU_TICK 4000000ul /* ns: clocks of CPU time are not looked at more often */

deadline_t cpu_clock_deadline(int clock, uint64_t time)
{
	uint64_t now = 0, left;
	struct process *process = clock & CLOCK_THREAD ? NULL : process_find(~(clock >> 3));
	unsigned threads = process && process->thread_count ? process->thread_count : 1;

	cpu_clock_read(clock, &now);
	left = (time > now ? time - now : 0) / threads;
	now = time_now();
	return left < DEADLINE_NEVER - now ? now + (left > CPU_TICK ? left : CPU_TICK) : DEADLINE_NEVER;
}

int cpu_clock_of(struct thread *thread, int clock)
{
	int id = ~(clock >> 3);
	const struct thread *target;

	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return process_clock(thread->process->pid);
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return thread_clock(thread->tid);
	if (clock >= 0 || (clock & CLOCK_KIND) == CLOCK_KIND)
		return 0;
	if (!(clock & CLOCK_THREAD))
		return !id || process_find(id) ? process_clock(id ? id : thread->process->pid) : 0;
	target = id ? thread_find(id) : thread;
	return target && target->process == thread->process ? thread_clock(target->tid) : 0;
}

int clock_read(struct thread *thread, int clock, uint64_t *out)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*out = time_wall();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*out = time_now();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		*out = process_cpu_time(thread->process);
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*out = kernel_thread_time(thread->private->kernel);
		return 0;
	default:
		clock = cpu_clock_of(thread, clock);
		return clock && cpu_clock_read(clock, out) ? 0 : -EINVAL;
	}
}

long sys_clock_gettime(struct thread *thread, const uint64_t arguments[6])
{
	struct timespec result;
	uint64_t time;
	int error = clock_read(thread, (int)arguments[0], &time);

	if (error)
		return error;
	result = ns_to_timespec(time);
	return copy_to_user(thread, arguments[1], &result, sizeof(result));
}

long sys_clock_getres(struct thread *thread, const uint64_t arguments[6])
{
	struct timespec result = {.tv_nsec = 1};
	uint64_t time;
	int error = clock_read(thread, (int)arguments[0], &time);

	if (error || !arguments[1])
		return error;
	return copy_to_user(thread, arguments[1], &result, sizeof(result));
}

static int set_wall(struct thread *thread, uint64_t time)
{
	uint64_t unused;
	int error;

	if (!capable(thread, CAP_SYS_TIME))
		return -EPERM;
	/* The system was booted after 1970, and shall run for some time before its clock is full. */
	if (time < time_now() || time > WALL_MAX)
		return -EINVAL;
	error = clock_ask(CLOCK_SET_WALL, time, &unused);
	if (!error)
		wall_changed();
	return error;
}

long sys_clock_settime(struct thread *thread, const uint64_t arguments[6])
{
	struct timespec new;
	uint64_t time;

	if (copy_from_user(thread, &new, arguments[1], sizeof(new)))
		return -EFAULT;
	if ((int)arguments[0] != CLOCK_REALTIME || !timespec_to_ns(&new, &time))
		return -EINVAL;
	return set_wall(thread, time);
}

long sys_gettimeofday(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t now = time_wall();
	struct timeval result = {.tv_sec = (time_t)(now / SECOND),
	                         .tv_usec = (suseconds_t)(now % SECOND / 1000)};
	int zone[2] = {0, 0};

	if (arguments[0] && copy_to_user(thread, arguments[0], &result, sizeof(result)))
		return -EFAULT;
	return arguments[1] ? copy_to_user(thread, arguments[1], zone, sizeof(zone)) : 0;
}

long sys_settimeofday(struct thread *thread, const uint64_t arguments[6])
{
	struct timeval new;
	int32_t zone[2];

	if (arguments[0] && copy_from_user(thread, &new, arguments[0], sizeof(new)))
		return -EFAULT;
	if (arguments[0] && (new.tv_sec < 0 || new.tv_usec < 0 || new.tv_usec >= 1000000))
		return -EINVAL;
	if (arguments[1] && copy_from_user(thread, zone, arguments[1], sizeof(zone)))
		return -EFAULT;
	if (!arguments[0])
		return capable(thread, CAP_SYS_TIME) ? 0 : -EPERM; /* time zones mean nothing here */
	return set_wall(thread, (uint64_t) new.tv_sec *SECOND + (uint64_t) new.tv_usec * 1000);
}

long sys_time(struct thread *thread, const uint64_t arguments[6])
{
	int64_t now = (int64_t)(time_wall() / SECOND);

	if (arguments[0] && copy_to_user(thread, arguments[0], &now, sizeof(now)))
		return -EFAULT;
	return now;
}

/*
 * The clock can be moved, but goes at the pace of the processor's: what would have it go faster or slower is
 * refused. The rest is what the programs that discipline clocks tell each other.
 */
#define ADJUST_TELLS (ADJ_MAXERROR | ADJ_ESTERROR | ADJ_STATUS | ADJ_TIMECONST | ADJ_MICRO | ADJ_NANO)

static struct timex told = {.status = STA_UNSYNC,
                            .tick = 10000,
                            .precision = 1,
                            .tolerance = 32768000,
                            .maxerror = 16000000,
                            .esterror = 16000000,
                            .constant = 2};

static int shift_wall(struct thread *thread, const struct timex *asked)
{
	bool nano = asked->modes & ADJ_NANO;
	int64_t parts = asked->time.tv_usec, ns = nano ? parts : parts * 1000, now = (int64_t)time_wall();

	if (parts < 0 || ns >= (int64_t)SECOND)
		return -EINVAL;
	if (__builtin_mul_overflow(asked->time.tv_sec, (int64_t)SECOND, &parts) ||
	    __builtin_add_overflow(parts, ns, &parts) || __builtin_add_overflow(parts, now, &now) || now < 0)
		return -EINVAL;
	return set_wall(thread, (uint64_t)now);
}

static int adjust_apply(struct thread *thread, const struct timex *asked)
{
	unsigned modes = asked->modes;

	if (modes == ADJ_OFFSET_SS_READ || !modes)
		return 0;
	if (!capable(thread, CAP_SYS_TIME))
		return -EPERM;
	if (modes & ~(unsigned)(ADJUST_TELLS | ADJ_SETOFFSET))
		return -EOPNOTSUPP;
	if (modes & ADJ_SETOFFSET) {
		int error = shift_wall(thread, asked);

		if (error)
			return error;
	}
	if (modes & ADJ_STATUS)
		told.status = (told.status & STA_RONLY) | (asked->status & ~STA_RONLY);
	if (modes & (ADJ_NANO | ADJ_MICRO))
		told.status = modes & ADJ_NANO ? told.status | STA_NANO : told.status & ~STA_NANO;
	if (modes & ADJ_MAXERROR)
		told.maxerror = asked->maxerror;
	if (modes & ADJ_ESTERROR)
		told.esterror = asked->esterror;
	if (modes & ADJ_TIMECONST)
		told.constant = asked->constant;
	return 0;
}

static long adjust(struct thread *thread, uint64_t address)
{
	struct timex state;
	uint64_t now;
	int error;

	if (copy_from_user(thread, &state, address, sizeof(state)))
		return -EFAULT;
	error = adjust_apply(thread, &state);
	if (error)
		return error;
	state = told;
	now = time_wall();
	state.time.tv_sec = (time_t)(now / SECOND);
	state.time.tv_usec = (suseconds_t)(now % SECOND / (told.status & STA_NANO ? 1 : 1000));
	if (copy_to_user(thread, address, &state, sizeof(state)))
		return -EFAULT;
	return told.status & (STA_UNSYNC | STA_CLOCKERR) ? TIME_ERROR : TIME_OK;
}

long sys_adjtimex(struct thread *thread, const uint64_t arguments[6])
{
	return adjust(thread, arguments[0]);
}

long sys_clock_adjtime(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t unused;

	if ((int)arguments[0] == CLOCK_REALTIME)
		return adjust(thread, arguments[1]);
	return clock_read(thread, (int)arguments[0], &unused) ? -EINVAL : -EOPNOTSUPP;
}

/* ---- sleeping ---- */

static long sleep_until_wall(uint64_t time)
{
	while (time_wall() < time) {
		int result = waitq_wait(&wall_waiters, true, clock_deadline(CLOCK_REALTIME, time));

		if (result == -EINTR)
			return -EINTR_NOHAND;
		if (result && result != -ETIMEDOUT)
			return result;
	}
	return 0;
}

/* A relative sleep begins anew when it is made again after a stop: what was used meanwhile is little. */
static long sleep_for_cpu(struct thread *thread, int clock, bool absolute, uint64_t time)
{
	uint64_t now;

	clock = cpu_clock_of(thread, clock);
	if (clock == thread_clock(thread->tid) || !cpu_clock_read(clock, &now))
		return -EINVAL;
	if (!absolute)
		time = time < INT64_MAX - now ? now + time : INT64_MAX;
	while (cpu_clock_read(clock, &now) && now < time) {
		int result = wait_until(cpu_clock_deadline(clock, time));

		if (result)
			return result == -EINTR ? -EINTR_NOHAND : result;
	}
	return 0;
}

/* Interrupted by a handler, a relative sleep says how much was left. */
static long sleep_until(struct thread *thread, deadline_t deadline, uint64_t remaining)
{
	struct timespec left;
	uint64_t now;
	int result = wait_until(deadline);

	if (result != -EINTR)
		return result;
	now = time_now();
	left = ns_to_timespec(deadline > now ? deadline - now : 0);
	if (remaining && copy_to_user(thread, remaining, &left, sizeof(left)))
		return -EFAULT;
	return -EINTR_NOHAND;
}

long sys_nanosleep(struct thread *thread, const uint64_t arguments[6])
{
	struct timespec request;
	uint64_t time;

	if (copy_from_user(thread, &request, arguments[0], sizeof(request)))
		return -EFAULT;
	if (!timespec_to_ns(&request, &time))
		return -EINVAL;
	return sleep_until(thread, syscall_deadline(thread, time), arguments[1]);
}

long sys_clock_nanosleep(struct thread *thread, const uint64_t arguments[6])
{
	int clock = (int)arguments[0];
	struct timespec request;
	uint64_t time;

	if (copy_from_user(thread, &request, arguments[2], sizeof(request)))
		return -EFAULT;
	if (!timespec_to_ns(&request, &time))
		return -EINVAL;
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_TAI:
	case CLOCK_REALTIME_ALARM:
		if (arguments[1] & TIMER_ABSTIME)
			return sleep_until_wall(time);
		break;
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		if (arguments[1] & TIMER_ABSTIME)
			return sleep_until(thread, time, 0);
		break;
	default:
		if (clock >= 0 && clock <= CLOCK_TAI && !cpu_clock_of(thread, clock))
			return -EOPNOTSUPP;
		return sleep_for_cpu(thread, clock, arguments[1] & TIMER_ABSTIME, time);
	}
	return sleep_until(thread, syscall_deadline(thread, time), arguments[3]);
}
