/* SPDX-License-Identifier: MIT */
/* The generator's random operations from a seed, all invariants after each. */
#include "../check.h"
#include "compare.h"
#include "generate.h"
#include "units.h"

#define PER_WORLD 2000

static uint64_t state;

static uint64_t seeded(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static void print_statistics(void)
{
	const struct generate_statistics *s = &generate_statistics;

	printf("devices reached memory %lu times\n", s->accesses);
	printf("%lu operations in %lu worlds (%lu ended early), memory compared behind %lu refused calls\n",
	       s->operations, s->worlds, s->stuck, s->compared);
	for (unsigned i = 0; i < 256; i++)
		if (world_statistics[i][0] || world_statistics[i][1])
			printf("operation %#x: %u done, %u refused\n", i, world_statistics[i][0],
			       world_statistics[i][1]);
}

unsigned units_stress(unsigned *passed, unsigned long operations, unsigned seed)
{
	state = seed * 0x9e3779b97f4a7c15ul | 1;
	generate_draw = seeded;
	compare_every = 8;
	while (generate_statistics.operations < operations) {
		generate_begin();
		for (unsigned i = 0; i < PER_WORLD && generate_step(); i++)
			;
		generate_end();
	}
	world_cpus = 1;
	print_statistics();
	compare_every = 0;
	CHECK(generate_statistics.accesses > operations / 1000);
	CHECK(generate_statistics.compared > operations / 100);
	*passed += checks_passed;
	return checks_failed;
}
