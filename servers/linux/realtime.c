/* SPDX-License-Identifier: MIT */
/*
 * Threads of SCHED_FIFO and SCHED_RR leave a twentieth of each CPU to everybody else, as on Linux: where they
 * have used nearly all of REALTIME_RUNTIME, they come after all others until the REALTIME_PERIOD is over.
 * Else a loop in one of them could not even be ended.
 */
#include "realtime.h"
#include <pith/startup.h>
#include "balance.h"
#include "thread.h"

static struct {
	struct deadline deadline; /* set while there are such threads */
	uint64_t periods;
	uint64_t throttled; /* bit n: CPU n */
	bool measuring;
} realtime;

bool realtime_throttled(unsigned cpu)
{
	return realtime.throttled >> cpu & 1;
}

typedef void visit_function(struct thread *thread, void *argument);

/* false: there are none. */
static bool visit_all(visit_function *visit, void *argument)
{
	bool any = false;

	for (struct process *process = process_first(); process; process = process_next(process))
		for (struct thread *thread = process->threads; thread; thread = thread->next_in_process)
			if (thread->private->priority) {
				visit(thread, argument);
				any = true;
			}
	return any;
}

static void mark(struct thread *thread, void *argument)
{
	(void)argument;
	thread->private->realtime_period = realtime.periods;
	thread->private->realtime_mark = kernel_thread_time(thread->private->kernel);
}

/* Who has become one in this period counts from the next one on. */
static void add(struct thread *thread, void *argument)
{
	uint64_t *used = argument;

	if (thread->private->realtime_period == realtime.periods)
		used[thread_cpu(thread)] +=
		        kernel_thread_time(thread->private->kernel) - thread->private->realtime_mark;
}

static void reschedule(struct thread *thread, void *argument)
{
	const uint64_t *cpus = argument;

	if (*cpus >> thread_cpu(thread) & 1)
		kernel_thread_schedule(thread);
}

static void throttle(uint64_t cpus)
{
	uint64_t changed = realtime.throttled ^ cpus;

	realtime.throttled = cpus;
	if (changed)
		visit_all(reschedule, &changed);
}

static void fire(struct deadline *deadline)
{
	uint64_t used[BALANCE_CPUS] = {0}, cpus = 0;

	realtime.measuring = !realtime.measuring;
	if (realtime.measuring) {
		throttle(0);
		realtime.periods++;
		if (!visit_all(mark, NULL)) {
			realtime.measuring = false;
			deadline_cancel(deadline);
			return;
		}
		deadline_set(deadline, time_now() + REALTIME_RUNTIME);
		return;
	}
	visit_all(add, used);
	for (unsigned cpu = 0; cpu < BALANCE_CPUS; cpu++)
		if (used[cpu] >= REALTIME_RUNTIME / 10 * 9)
			cpus |= 1ull << cpu;
	throttle(cpus);
	deadline_set(deadline, time_now() + REALTIME_PERIOD - REALTIME_RUNTIME);
}

void realtime_watch(void)
{
	realtime.deadline.fire = fire;
	if (!realtime.deadline.position)
		deadline_set(&realtime.deadline, time_now());
}
