/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's target: each input is a world of the generator (tests/host/kernel/generate.h), whose numbers
 * are the input's bytes and, when they are used up, random ones that the input is the seed of: libFuzzer
 * likes short inputs, but worlds become interesting when they are old. Run by `./pith fuzz`, which says in
 * the environment how much: PITH_FUZZ_OPERATIONS   ends, successfully, after so many; 0 or none: libFuzzer
 * decides PITH_FUZZ_CHECK        all invariants after every n-th operation (1)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/host/kernel/compare.h"
#include "tests/host/kernel/fake.h"
#include "tests/host/kernel/generate.h"

#define STEPS_MIN     300 /* of one world */
#define COMPARE_EVERY 64
#define REPORT_EVERY  1000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static const uint8_t *input;
static size_t input_left;
static unsigned long wanted, reported, began;

static uint64_t seed;

static uint8_t next_byte(void)
{
	if (!input_left) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		return (uint8_t)(seed >> 32);
	}
	input_left--;
	seed = (seed ^ *input) * 0x100000001b3ul | 1ul << 63;
	return *input++;
}

/* As few bytes as will do: so small changes of the input are small changes of what happens. */
static uint64_t from_input(uint64_t below)
{
	uint64_t value = 0;

	for (uint64_t rest = below - 1; rest; rest >>= 8)
		value = value << 8 | next_byte();
	return value % below;
}

static unsigned long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

static void report(void)
{
	const struct generate_statistics *s = &generate_statistics;
	unsigned long elapsed = milliseconds() - began + 1;

	fprintf(stderr,
	        "fuzz: %lu operations (%lu, %lu, %lu, %lu on 1, 2, 3, 4 CPUs) in %lu worlds, %lu a second; "
	        "memory compared behind %lu refused calls\n",
	        s->operations, s->with_cpus[1], s->with_cpus[2], s->with_cpus[3], s->with_cpus[4], s->worlds,
	        s->operations * 1000 / elapsed, s->compared);
}

static unsigned long environment(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	wanted = environment("PITH_FUZZ_OPERATIONS", 0);
	fake_check_every = (unsigned)environment("PITH_FUZZ_CHECK", 1);
	compare_every = COMPARE_EVERY;
	generate_draw = from_input;
	began = milliseconds();
	atexit(report);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = data;
	input_left = size;
	seed = 1;
	generate_begin();
	for (unsigned i = 0; (i < STEPS_MIN || input_left) && generate_step(); i++)
		;
	generate_end();
	if (generate_statistics.operations / REPORT_EVERY != reported / REPORT_EVERY)
		report();
	reported = generate_statistics.operations;
	if (wanted && generate_statistics.operations >= wanted) {
		report();
		/* exit() in a target is a failure to libFuzzer. */
		_Exit(0);
	}
	return 0;
}
