/* SPDX-License-Identifier: MIT */
/* alarm, interval timers and POSIX timers. They belong to a process and end with it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <pith/startup.h>
#include "deadline.h"
#include "syscall.h"
#include "thread.h"
#include "times.h"

#define POSIX_TIMERS     64
#define MICROSECOND      1000ul
#define SIGEV_SIGNAL_    0
#define SIGEV_NONE_      1
#define SIGEV_THREAD_ID_ 4

struct timer {
	struct deadline deadline;
	struct process *process;
	uint64_t interval;
	int clock;
	bool used;
	/* POSIX timers */
	int id, signal, notify, tid, overrun;
	uint64_t value;
};

struct process_timers {
	struct timer real; /* ITIMER_REAL, alarm */
	struct timer posix[POSIX_TIMERS];
};

static void rearm(struct timer *timer)
{
	uint64_t now = time_now(), next = timer->deadline.when + timer->interval;

	if (!timer->interval)
		return;
	if (next <= now) {
		uint64_t missed = (now - next) / timer->interval + 1;

		timer->overrun += (int)missed;
		next += missed * timer->interval;
	}
	deadline_set(&timer->deadline, next);
}

static void fire_real(struct deadline *deadline)
{
	struct timer *timer = (struct timer *)deadline;

	signal_send(timer->process, SIGALRM, 0x80, 0); /* SI_KERNEL */
	rearm(timer);
}

static void fire_posix(struct deadline *deadline)
{
	struct timer *timer = (struct timer *)deadline;
	struct linux_siginfo info = {
	        .signal = timer->signal, .code = -2, .timer = timer->id, .timer_value = timer->value};
	struct thread *target = timer->notify & SIGEV_THREAD_ID_ ? thread_find(timer->tid) : NULL;

	timer->overrun = 0;
	rearm(timer);
	info.overrun = timer->overrun;
	if (timer->notify == SIGEV_SIGNAL_ || (target && target->process == timer->process))
		signal_post(timer->process, target, &info);
}

static struct process_timers *timers_of(struct process *process)
{
	if (!process->timers) {
		process->timers = calloc(1, sizeof(*process->timers));
		if (process->timers) {
			process->timers->real.process = process;
			process->timers->real.deadline.fire = fire_real;
		}
	}
	return process->timers;
}

void process_timers_exec(struct process *process)
{
	for (int i = 0; process->timers && i < POSIX_TIMERS; i++) {
		deadline_cancel(&process->timers->posix[i].deadline);
		process->timers->posix[i].used = false;
	}
}

void process_timers_exit(struct process *process)
{
	process_timers_exec(process);
	if (process->timers)
		deadline_cancel(&process->timers->real.deadline);
	free(process->timers);
	process->timers = NULL;
}

static uint64_t left(const struct timer *timer)
{
	uint64_t now = time_now();

	if (!timer->deadline.position)
		return 0;
	return timer->deadline.when > now ? timer->deadline.when - now : 1;
}

static bool timer_start(struct timer *timer, uint64_t value, uint64_t interval)
{
	uint64_t now = time_now();

	timer->interval = interval;
	timer->overrun = 0;
	if (!value) {
		deadline_cancel(&timer->deadline);
		return true;
	}
	return deadline_set(&timer->deadline,
	                    value < DEADLINE_NEVER - 1 - now ? now + value : DEADLINE_NEVER - 1);
}

long sys_alarm(struct thread *thread, const uint64_t arguments[6])
{
	struct process_timers *timers = timers_of(thread->process);
	uint64_t before;

	if (!timers)
		return 0;
	before = left(&timers->real);
	timer_start(&timers->real, (uint64_t)(unsigned)arguments[0] * 1000000000, 0);
	return (long)((before + 999999999) / 1000000000);
}

static struct timeval to_timeval(uint64_t time)
{
	return (struct timeval){.tv_sec = (time_t)(time / 1000000000),
	                        .tv_usec = (suseconds_t)(time % 1000000000 / MICROSECOND)};
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

/* Timers of CPU time are not there. */
static int check_which(int which)
{
	return which == ITIMER_REAL ? 0 : which == ITIMER_VIRTUAL || which == ITIMER_PROF ? -ENOSYS : -EINVAL;
}

long sys_getitimer(struct thread *thread, const uint64_t arguments[6])
{
	struct process_timers *timers = timers_of(thread->process);
	int error = check_which((int)arguments[0]);
	struct itimerval value;

	if (error || !timers)
		return error ? error : -ENOMEM;
	value = interval_value(&timers->real);
	return copy_to_user(thread, arguments[1], &value, sizeof(value));
}

long sys_setitimer(struct thread *thread, const uint64_t arguments[6])
{
	struct process_timers *timers = timers_of(thread->process);
	int error = check_which((int)arguments[0]);
	struct itimerval new = {0}, old;
	uint64_t value, interval;

	if (error || !timers)
		return error ? error : -ENOMEM;
	if (arguments[1] && copy_from_user(thread, &new, arguments[1], sizeof(new)))
		return -EFAULT;
	if (!from_timeval(&new.it_value, &value) || !from_timeval(&new.it_interval, &interval))
		return -EINVAL;
	old = interval_value(&timers->real);
	if (!timer_start(&timers->real, value, interval))
		return -ENOMEM;
	return arguments[2] ? copy_to_user(thread, arguments[2], &old, sizeof(old)) : 0;
}

/* ---- POSIX timers ---- */

static struct timer *posix_timer(struct thread *thread, uint64_t id)
{
	struct process_timers *timers = thread->process->timers;

	if (!timers || id >= POSIX_TIMERS || !timers->posix[id].used)
		return NULL;
	return &timers->posix[id];
}

long sys_timer_create(struct thread *thread, const uint64_t arguments[6])
{
	struct process_timers *timers = timers_of(thread->process);
	struct {
		uint64_t value;
		int32_t signal, notify, tid;
		uint8_t rest[44];
	} event = {.signal = SIGALRM, .notify = SIGEV_SIGNAL_};
	int clock = (int)arguments[0], id = 0;

	_Static_assert(sizeof(event) == 64, "struct sigevent");
	if (!timers)
		return -ENOMEM;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
		return clock < CLOCK_REALTIME || clock > CLOCK_TAI ? -EINVAL : -EOPNOTSUPP;
	while (id < POSIX_TIMERS && timers->posix[id].used)
		id++;
	if (id == POSIX_TIMERS)
		return -EAGAIN;
	event.value = (uint64_t)id;
	if (arguments[1] && copy_from_user(thread, &event, arguments[1], sizeof(event)))
		return -EFAULT;
	if (event.notify != SIGEV_NONE_ && (event.signal < 1 || event.signal > SIGNAL_COUNT))
		return -EINVAL;
	if (event.notify != SIGEV_NONE_ && event.notify != SIGEV_SIGNAL_ && event.notify != SIGEV_THREAD_ID_)
		return -EINVAL;
	if (copy_to_user(thread, arguments[2], &id, sizeof(id)))
		return -EFAULT;
	timers->posix[id] = (struct timer){.process = thread->process,
	                                   .clock = clock,
	                                   .used = true,
	                                   .id = id,
	                                   .signal = event.signal,
	                                   .notify = event.notify,
	                                   .tid = event.tid,
	                                   .value = event.value};
	timers->posix[id].deadline.fire = fire_posix;
	return 0;
}

static struct itimerspec posix_value(const struct timer *timer)
{
	return (struct itimerspec){.it_interval = ns_to_timespec(timer->interval),
	                           .it_value = ns_to_timespec(left(timer))};
}

long sys_timer_settime(struct thread *thread, const uint64_t arguments[6])
{
	struct timer *timer = posix_timer(thread, arguments[0]);
	struct itimerspec new, old;
	uint64_t value, interval;

	if (!timer)
		return -EINVAL;
	if (copy_from_user(thread, &new, arguments[2], sizeof(new)))
		return -EFAULT;
	if (!timespec_to_ns(&new.it_value, &value) || !timespec_to_ns(&new.it_interval, &interval))
		return -EINVAL;
	old = posix_value(timer);
	if (arguments[1] & TIMER_ABSTIME && value) {
		deadline_t when = clock_deadline(timer->clock, value);
		uint64_t now = time_now();

		value = when > now ? when - now : 1;
	}
	if (!timer_start(timer, value, interval))
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
	struct timer *timer = posix_timer(thread, arguments[0]);

	if (!timer)
		return -EINVAL;
	deadline_cancel(&timer->deadline);
	timer->used = false;
	return 0;
}
