/* SPDX-License-Identifier: MIT */
/*
 * alarm, interval timers, POSIX timers, RLIMIT_CPU. They belong to a process and end with it. A timer of CPU
 * time is looked at when the time could be used up at the earliest, and again until it is.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <pith/startup.h>
#include "deadline.h"
#include "syscall.h"
#include "thread.h"
#include "times.h"

#define POSIX_TIMERS     512
#define MICROSECOND      1000ul
#define SECOND           1000000000ul
#define TICK             1000000ul /* ns */
#define SIGEV_SIGNAL_    0
#define SIGEV_NONE_      1
#define SIGEV_THREAD_ID_ 4

struct timer {
	struct deadline deadline; /* first */
	struct process *process;
	void (*expired)(struct timer *timer,
	                uint64_t missed); /* missed: further intervals that are over too */
	int clock;                        /* of timer_create: CLOCK_*, or one of CPU time */
	int base; /* what `expires` is a time of: a relative one is not changed by setting the wall clock */
	uint64_t expires, interval; /* expires 0: not armed */
	/* POSIX timers */
	int id, signal, notify, tid, overrun;
	uint64_t value;
	bool told; /* its id: until then it keeps its place, and no call finds it */
};

struct process_timers {
	struct timer interval[3]; /* ITIMER_REAL (and alarm), ITIMER_VIRTUAL, ITIMER_PROF */
	struct timer limit;       /* RLIMIT_CPU */
	struct timer *posix[POSIX_TIMERS];
};

static const int interval_signals[3] = {SIGALRM, SIGVTALRM, SIGPROF};

/* false: whose CPU time it counts is gone. */
static bool base_now(const struct timer *timer, uint64_t *now)
{
	if (timer->base < 0)
		return cpu_clock_read(timer->base, now);
	*now = timer->base == CLOCK_REALTIME ? time_wall() : time_now();
	return true;
}

/* So that it is looked at in time, though not before `hold` has passed. false: no memory; it is not armed. */
static bool schedule(struct timer *timer, uint64_t hold)
{
	deadline_t when, earliest = time_now() + hold;

	if (timer->base >= 0)
		when = clock_deadline(timer->base, timer->expires);
	else
		when = cpu_clock_deadline(timer->base, timer->expires);
	if (hold && when < earliest)
		when = earliest;
	if (!deadline_set(&timer->deadline, when))
		timer->expires = 0;
	return timer->expires;
}

/*
 * Nobody may keep this server busy with short intervals: where nobody took the last signal yet, or takes any,
 * or the time passes only while a process runs, a timer comes back no sooner than after a tick. What that
 * leaves out is counted as missed.
 */
static uint64_t base_hold(const struct timer *timer)
{
	return timer->base < 0 ? TICK : 0;
}

static uint64_t hold_of(const struct timer *timer)
{
	struct thread *target = timer->notify & SIGEV_THREAD_ID_ ? thread_find(timer->tid) : NULL;

	return timer->notify == SIGEV_NONE_ || signal_is_queued(timer->process, target, timer->signal) ||
	                       (timer->signal && signal_is_ignored(timer->process, timer->signal))
	               ? TICK
	               : base_hold(timer);
}

static void fire(struct deadline *deadline)
{
	struct timer *timer = (struct timer *)deadline;
	uint64_t now, missed = 0;

	if (!base_now(timer, &now)) {
		timer->expires = 0;
		return;
	}
	if (now < timer->expires) {
		schedule(timer, base_hold(timer));
		return;
	}
	if (timer->interval) {
		missed = (now - timer->expires) / timer->interval;
		timer->expires += (missed + 1) * timer->interval;
		schedule(timer, hold_of(timer));
	} else {
		timer->expires = 0;
	}
	timer->expired(timer, missed);
}

static void interval_expired(struct timer *timer, uint64_t missed)
{
	(void)missed;
	signal_send(timer->process, timer->signal, 0x80, 0); /* SI_KERNEL */
}

/* A signal of the timer that is still on its way stands for all that come until it arrives. */
static void posix_expired(struct timer *timer, uint64_t missed)
{
	struct linux_siginfo info = {.signal = timer->signal,
	                             .code = SI_TIMER,
	                             .timer = timer->id,
	                             .overrun = missed < INT32_MAX ? (int)missed : INT32_MAX,
	                             .timer_value = timer->value};
	struct thread *target = timer->notify & SIGEV_THREAD_ID_ ? thread_find(timer->tid) : NULL;

	if (timer->notify == SIGEV_SIGNAL_ || (target && target->process == timer->process))
		signal_post_timer(timer->process, target, &info);
}

static void limit_expired(struct timer *timer, uint64_t missed)
{
	struct process *process = timer->process;

	(void)missed;
	if (process_cpu_time(process) / SECOND >= process->limits[RLIMIT_CPU].maximum)
		signal_send(process, SIGKILL, 0x80, 0);
	else
		signal_send(process, SIGXCPU, 0x80, 0);
}

static void timer_init(struct timer *timer, struct process *process, int base, int signal)
{
	*timer = (struct timer){.deadline.fire = fire,
	                        .process = process,
	                        .expired = interval_expired,
	                        .clock = base,
	                        .base = base,
	                        .signal = signal};
}

static struct process_timers *timers_of(struct process *process)
{
	struct process_timers *timers = process->timers;
	int cpu = process_clock(process->pid);

	if (timers)
		return timers;
	timers = process->timers = calloc(1, sizeof(*timers));
	if (!timers)
		return NULL;
	for (int i = 0; i < 3; i++)
		timer_init(&timers->interval[i], process, i == ITIMER_REAL ? CLOCK_MONOTONIC : cpu,
		           interval_signals[i]);
	timer_init(&timers->limit, process, cpu, 0);
	timers->limit.expired = limit_expired;
	return timers;
}

static void posix_free(struct process_timers *timers, int id)
{
	deadline_cancel(&timers->posix[id]->deadline);
	free(timers->posix[id]);
	timers->posix[id] = NULL;
}

void process_timers_exec(struct process *process)
{
	for (int i = 0; process->timers && i < POSIX_TIMERS; i++)
		if (process->timers->posix[i])
			posix_free(process->timers, i);
}

void process_timers_exit(struct process *process)
{
	struct process_timers *timers = process->timers;

	if (!timers)
		return;
	process_timers_exec(process);
	for (int i = 0; i < 3; i++)
		deadline_cancel(&timers->interval[i].deadline);
	deadline_cancel(&timers->limit.deadline);
	free(timers);
	process->timers = NULL;
}

void process_timers_limit(struct process *process)
{
	const struct rlimit64_pair *limit = &process->limits[RLIMIT_CPU];
	uint64_t seconds = limit->current < limit->maximum ? limit->current : limit->maximum;
	struct process_timers *timers = process->timers;

	if (!process->live_threads)
		return; /* it has ended, and nobody would free them */
	if (seconds >= UINT64_MAX / SECOND) {
		if (timers) {
			deadline_cancel(&timers->limit.deadline);
			timers->limit.expires = 0;
		}
		return;
	}
	timers = timers_of(process);
	if (!timers)
		return;
	timers->limit.expires = (seconds ? seconds : 1) * SECOND;
	timers->limit.interval = SECOND;
	schedule(&timers->limit, 0);
}

void process_timers_wall_set(struct process *process)
{
	for (int i = 0; process->timers && i < POSIX_TIMERS; i++) {
		struct timer *timer = process->timers->posix[i];

		if (timer && timer->expires && timer->base == CLOCK_REALTIME)
			schedule(timer, 0);
	}
}

static uint64_t left(const struct timer *timer)
{
	uint64_t now;

	if (!timer->expires || !base_now(timer, &now))
		return 0;
	return timer->expires > now ? timer->expires - now : 1;
}

/* value: an instant of `base`, or (not absolute) from now; 0: none. */
static bool timer_start(struct timer *timer, int base, bool absolute, uint64_t value, uint64_t interval)
{
	uint64_t now = 0;

	timer->base = base;
	timer->interval = interval;
	timer->overrun = 0;
	timer->expires = value;
	if (!value) {
		deadline_cancel(&timer->deadline);
		return true;
	}
	if (!absolute)
		base_now(timer, &now);
	timer->expires = value < INT64_MAX - now ? now + value : INT64_MAX;
	return schedule(timer, 0);
}

long sys_alarm(struct thread *thread, const uint64_t arguments[6])
{
	struct process_timers *timers = timers_of(thread->process);
	struct timer *real;
	uint64_t before;

	if (!timers)
		return 0;
	real = &timers->interval[ITIMER_REAL];
	before = left(real);
	timer_start(real, real->base, false, (uint64_t)(unsigned)arguments[0] * SECOND, 0);
	/* Rounded, but never to 0 while it is armed. */
	return (long)(before && before < SECOND ? 1 : (before + SECOND / 2) / SECOND);
}

static struct timeval to_timeval(uint64_t time)
{
	return (struct timeval){.tv_sec = (time_t)(time / SECOND),
	                        .tv_usec = (suseconds_t)(time % SECOND / MICROSECOND)};
}

static bool from_timeval(const struct timeval *time, uint64_t *out)
{
	struct timespec value = {.tv_sec = time->tv_sec, .tv_nsec = time->tv_usec * (long)MICROSECOND};

	return time->tv_usec >= 0 && time->tv_usec < 1000000 && timespec_to_ns(&value, out);
}

static struct itimerval interval_value(const struct timer *timer)
{
	return (struct itimerval){.it_interval = to_timeval(timer->interval),
	                          .it_value = to_timeval(left(timer))};
}

long sys_getitimer(struct thread *thread, const uint64_t arguments[6])
{
	struct process_timers *timers = timers_of(thread->process);
	struct itimerval value;

	if (arguments[0] > ITIMER_PROF)
		return -EINVAL;
	if (!timers)
		return -ENOMEM;
	value = interval_value(&timers->interval[arguments[0]]);
	return copy_to_user(thread, arguments[1], &value, sizeof(value));
}

long sys_setitimer(struct thread *thread, const uint64_t arguments[6])
{
	struct process_timers *timers = timers_of(thread->process);
	struct itimerval new = {0}, old;
	uint64_t value, interval;
	struct timer *timer;

	if (arguments[0] > ITIMER_PROF)
		return -EINVAL;
	if (!timers)
		return -ENOMEM;
	if (arguments[1] && copy_from_user(thread, &new, arguments[1], sizeof(new)))
		return -EFAULT;
	if (!from_timeval(&new.it_value, &value) || !from_timeval(&new.it_interval, &interval))
		return -EINVAL;
	timer = &timers->interval[arguments[0]];
	old = interval_value(timer);
	if (!timer_start(timer, timer->base, false, value, value ? interval : 0) && value)
		return -ENOMEM;
	return arguments[2] ? copy_to_user(thread, arguments[2], &old, sizeof(old)) : 0;
}

/* ---- POSIX timers ---- */

static struct timer *posix_timer(struct thread *thread, uint64_t id)
{
	struct process_timers *timers = thread->process->timers;
	struct timer *timer = timers && id < POSIX_TIMERS ? timers->posix[id] : NULL;

	return timer && timer->told ? timer : NULL;
}

/* The clock by which the timer runs; -1, which is the number of none: there is none such. */
static int timer_clock(struct thread *thread, int clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		return clock;
	default:
		clock = cpu_clock_of(thread, clock);
		return clock ? clock : -1;
	}
}

long sys_timer_create(struct thread *thread, const uint64_t arguments[6])
{
	struct process_timers *timers = timers_of(thread->process);
	struct {
		uint64_t value;
		int32_t signal, notify, tid;
		uint8_t rest[44];
	} event = {.signal = SIGALRM, .notify = SIGEV_SIGNAL_};
	int clock = timer_clock(thread, (int)arguments[0]), id = 0;
	const struct thread *target;
	struct timer *timer;

	_Static_assert(sizeof(event) == 64, "struct sigevent");
	if (!timers)
		return -EAGAIN;
	if (clock == -1)
		return (int)arguments[0] >= 0 && (int)arguments[0] <= CLOCK_BOOTTIME_ALARM ? -EOPNOTSUPP
		                                                                           : -EINVAL;
	if (arguments[1] && copy_from_user(thread, &event, arguments[1], sizeof(event)))
		return -EFAULT;
	if (event.notify != SIGEV_NONE_ && (event.signal < 1 || event.signal > SIGNAL_COUNT))
		return -EINVAL;
	if (event.notify != SIGEV_NONE_ && event.notify != SIGEV_SIGNAL_ && event.notify != SIGEV_THREAD_ID_)
		return -EINVAL;
	target = thread_find(event.tid);
	if (event.notify == SIGEV_THREAD_ID_ && (!target || target->process != thread->process))
		return -EINVAL;
	while (id < POSIX_TIMERS && timers->posix[id])
		id++;
	timer = id < POSIX_TIMERS ? malloc(sizeof(*timer)) : NULL;
	if (!timer)
		return -EAGAIN;
	timer_init(timer, thread->process, clock, event.signal);
	timer->expired = posix_expired;
	timer->id = id;
	timer->notify = event.notify;
	timer->tid = event.tid;
	timer->value = arguments[1] ? event.value : (uint64_t)id;
	timers->posix[id] = timer;
	if (copy_to_user(thread, arguments[2], &id, sizeof(id))) {
		posix_free(timers, id);
		return -EFAULT;
	}
	timer->told = true;
	return 0;
}

static struct itimerspec posix_value(const struct timer *timer)
{
	return (struct itimerspec){.it_interval = ns_to_timespec(timer->interval),
	                           .it_value = ns_to_timespec(left(timer))};
}

long sys_timer_settime(struct thread *thread, const uint64_t arguments[6])
{
	struct itimerspec new, old;
	uint64_t value, interval;
	struct timer *timer;
	int base;

	if (copy_from_user(thread, &new, arguments[2], sizeof(new)))
		return -EFAULT;
	if (!timespec_to_ns(&new.it_value, &value) || !timespec_to_ns(&new.it_interval, &interval))
		return -EINVAL;
	timer = posix_timer(thread, arguments[0]); /* only now: copying may wait */
	if (!timer)
		return -EINVAL;
	old = posix_value(timer);
	if (!(arguments[1] & TIMER_ABSTIME) && timer->clock >= 0)
		base = CLOCK_MONOTONIC;
	else if (timer->clock == CLOCK_TAI || timer->clock == CLOCK_REALTIME_ALARM)
		base = CLOCK_REALTIME;
	else
		base = timer->clock;
	if (!timer_start(timer, base, arguments[1] & TIMER_ABSTIME, value, interval) && value)
		return -ENOMEM;
	return arguments[3] ? copy_to_user(thread, arguments[3], &old, sizeof(old)) : 0;
}

long sys_timer_gettime(struct thread *thread, const uint64_t arguments[6])
{
	struct timer *timer = posix_timer(thread, arguments[0]);
	struct itimerspec value;

	if (!timer)
		return -EINVAL;
	value = posix_value(timer);
	return copy_to_user(thread, arguments[1], &value, sizeof(value));
}

long sys_timer_getoverrun(struct thread *thread, const uint64_t arguments[6])
{
	struct timer *timer = posix_timer(thread, arguments[0]);

	return timer ? timer->overrun : -EINVAL;
}

long sys_timer_delete(struct thread *thread, const uint64_t arguments[6])
{
	if (!posix_timer(thread, arguments[0]))
		return -EINVAL;
	posix_free(thread->process->timers, (int)arguments[0]);
	return 0;
}

void timer_signal_taken(struct process *process, const struct linux_siginfo *info)
{
	struct process_timers *timers = process->timers;
	struct timer *timer = NULL;

	if (timers && info->code != SI_TIMER)
		timer = &timers->interval[ITIMER_REAL];
	else if (timers && info->timer >= 0 && info->timer < POSIX_TIMERS)
		timer = timers->posix[info->timer];
	if (!timer)
		return;
	timer->overrun = info->overrun;
	if (timer->expires && timer->interval)
		schedule(timer, base_hold(timer));
}
