/* SPDX-License-Identifier: MIT */
#include "load.h"
#include <pith/startup.h>
#include "deadline.h"
#include "process.h"

#define LOAD_PERIOD 5000000000ull

uint64_t load_averages[3];

void threads_count(unsigned *running, unsigned *all)
{
	*running = *all = 0;
	for (struct process *process = process_first(); process; process = process_next(process)) {
		*running += process_running_threads(process);
		*all += process->thread_count;
	}
}

static void sample(struct deadline *deadline)
{
	static const uint64_t decays[3] = {1884, 2014, 2037}; /* exp(-5 s / 1, 5, 15 min) */
	unsigned running, all;
	uint64_t active;

	threads_count(&running, &all);
	active = (uint64_t)running * LOAD_ONE;
	for (int i = 0; i < 3; i++) {
		uint64_t *load = &load_averages[i], sum = *load * decays[i] + active * (LOAD_ONE - decays[i]);

		*load = (sum + (active >= *load ? LOAD_ONE - 1 : 0)) / LOAD_ONE;
	}
	/* who comes late takes what there is now for the samples that were missed */
	deadline_set(deadline, deadline->when + LOAD_PERIOD);
}

void load_begin(void)
{
	static struct deadline next = {.fire = sample};

	if (!next.when)
		deadline_set(&next, time_now() + LOAD_PERIOD);
}
