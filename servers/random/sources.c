/* SPDX-License-Identifier: MIT */
#include "sources.h"

#include <cpuid.h>
#include <pith/syscall.h>

#define RDRAND_TRIES    10 /* Intel: more failures in a row than this are a broken generator */
#define PROCESSOR_WORDS 4
#define JITTER_SAMPLES  4096
#define JITTER_FRESH    512 /* so many must differ from the one before, for 256 bits at half a bit each */

static bool rdrand(uint64_t *out)
{
	unsigned char ok = 0;
	for (int tries = 0; tries < RDRAND_TRIES && !ok; tries++)
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok)::"cc");
	return ok;
}

bool processor_mix(struct random_generator *generator)
{
	uint64_t words[PROCESSOR_WORDS];
	unsigned a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 30))
		return false;
	for (int i = 0; i < PROCESSOR_WORDS; i++) {
		/* Processors are known that answer with the same word for ever after a sleep. */
		if (!rdrand(&words[i]) || (i && words[i] == words[i - 1]))
			return false;
	}
	random_mix(generator, words, sizeof(words));
	return true;
}

static uint64_t stamp(void)
{
	return __builtin_ia32_rdtsc();
}

bool jitter_mix(struct random_generator *generator)
{
	uint64_t before = stamp();
	uint32_t last = 0;
	unsigned fresh = 0;
	for (unsigned i = 0; i < JITTER_SAMPLES; i++) {
		/* Into the kernel and back, past caches, predictors and interrupts. */
		thread_yield();
		uint64_t now = stamp();
		uint32_t passed = (uint32_t)(now - before);
		fresh += passed != last;
		random_mix(generator, &passed, sizeof(passed));
		last = passed;
		before = stamp();
	}
	return fresh >= JITTER_FRESH;
}

void time_mix(struct random_generator *generator)
{
	uint64_t now = stamp();
	random_mix(generator, &now, sizeof(now));
}
