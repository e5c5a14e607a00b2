/* SPDX-License-Identifier: MIT */
/*
 * Random bytes: the ChaCha20 block function keyed from the processor's random numbers and the clock. After
 * every request the key is replaced by fresh output, so that what was given out cannot be computed from a
 * later state.
 */
#include <cpuid.h>
#include <string.h>
#include <pith/startup.h>
#include "process.h"

#define RESEED_BYTES (1ul << 20)

static struct {
	uint32_t key[8];
	uint64_t counter;
	uint64_t since_seed;
	bool seeded;
} generator;

static uint32_t rotate(uint32_t value, int bits)
{
	return value << bits | value >> (32 - bits);
}

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b;
	*d = rotate(*d ^ *a, 16);
	*c += *d;
	*b = rotate(*b ^ *c, 12);
	*a += *b;
	*d = rotate(*d ^ *a, 8);
	*c += *d;
	*b = rotate(*b ^ *c, 7);
}

static void block(uint32_t out[16])
{
	uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

	memcpy(&in[4], generator.key, sizeof(generator.key));
	in[12] = (uint32_t)generator.counter;
	in[13] = (uint32_t)(generator.counter >> 32);
	generator.counter++;
	memcpy(out, in, sizeof(in));
	for (int round = 0; round < 10; round++) {
		quarter(&out[0], &out[4], &out[8], &out[12]);
		quarter(&out[1], &out[5], &out[9], &out[13]);
		quarter(&out[2], &out[6], &out[10], &out[14]);
		quarter(&out[3], &out[7], &out[11], &out[15]);
		quarter(&out[0], &out[5], &out[10], &out[15]);
		quarter(&out[1], &out[6], &out[11], &out[12]);
		quarter(&out[2], &out[7], &out[8], &out[13]);
		quarter(&out[3], &out[4], &out[9], &out[14]);
	}
	for (int i = 0; i < 16; i++)
		out[i] += in[i];
}

static bool processor_random(uint64_t *out)
{
	unsigned a, b, c, d;
	unsigned char ok = 0;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 30))
		return false;
	for (int tries = 0; tries < 10 && !ok; tries++)
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok)::"cc");
	return ok;
}

/* Mixed into the key, which keeps what it had: a poor seed makes nothing worse. */
static void seed(void)
{
	for (int i = 0; i < 8; i += 2) {
		uint64_t value = 0, time = __builtin_ia32_rdtsc() ^ time_wall();

		processor_random(&value);
		value ^= time * 0x9e3779b97f4a7c15ul;
		generator.key[i] ^= (uint32_t)value;
		generator.key[i + 1] ^= (uint32_t)(value >> 32);
	}
	generator.seeded = true;
	generator.since_seed = 0;
}

void random_bytes(void *out, size_t size)
{
	uint32_t words[16];

	if (!generator.seeded || generator.since_seed > RESEED_BYTES)
		seed();
	generator.since_seed += size;
	while (size) {
		size_t part = size < sizeof(words) ? size : sizeof(words);

		block(words);
		memcpy(out, words, part);
		out = (uint8_t *)out + part;
		size -= part;
	}
	block(words);
	memcpy(generator.key, words, sizeof(generator.key));
	memset(words, 0, sizeof(words));
}
