/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints: the addresses of DR0 to DR3 and, in DR7, when each of them stops its thread. They are user
 * addresses, and the kernel touches none: only user mode meets them (entry.S tells of the one exception).
 */
#include "local.h"

#define BREAKPOINTS 4
#define CONTROL     4 /* the word that is DR7 */

/* Enables (two a breakpoint; alike, without task switches), two that mean nothing any more, and four bits a
 * breakpoint. */
#define CONTROL_BITS   0xffff03fful
#define CONTROL_ALWAYS (1ul << 10)
#define STATUS_STEP    (1ul << 14)

enum kind { KIND_EXECUTE, KIND_WRITE, KIND_PORT, KIND_TOUCH };

static bool enabled(uint64_t control, unsigned i)
{
	return control >> 2 * i & 3;
}

static enum kind kind(uint64_t control, unsigned i)
{
	return control >> (16 + 4 * i) & 3;
}

static unsigned length(uint64_t control, unsigned i)
{
	return (const unsigned[]){1, 2, 8, 4}[control >> (18 + 4 * i) & 3];
}

enum error breakpoints_check(const uint64_t *words)
{
	uint64_t control = words[CONTROL];

	if (control & ~CONTROL_BITS)
		return ERR_ARGUMENT;
	for (unsigned i = 0; i < BREAKPOINTS; i++) {
		if (kind(control, i) == KIND_PORT ||
		    (kind(control, i) == KIND_EXECUTE && length(control, i) != 1))
			return ERR_ARGUMENT;
		if (words[i] >= USER_END)
			return ERR_RANGE;
		if (words[i] % length(control, i))
			return ERR_ALIGNMENT;
	}
	return ERR_NONE;
}

bool breakpoints_enabled(const uint64_t *words)
{
	return words[CONTROL] & 0xff;
}

void breakpoints_load(const uint64_t *words)
{
	if (words)
		__asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr1\n\tmov %2, %%dr2\n\tmov %3, %%dr3"
		                 :
		                 : "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3]));
	__asm__ volatile("mov %0, %%dr7" : : "r"(CONTROL_ALWAYS | (words ? words[CONTROL] : 0)));
}

/* The CPU may also report breakpoints that are not enabled, of whoever had them before. */
uint64_t breakpoints_status(const uint64_t *words, uint64_t status, bool *before)
{
	uint64_t own = status & STATUS_STEP;

	*before = false;
	for (unsigned i = 0; i < BREAKPOINTS; i++) {
		if (!(status >> i & 1) || !enabled(words[CONTROL], i))
			continue;
		own |= 1ul << i;
		*before = *before || kind(words[CONTROL], i) == KIND_EXECUTE;
	}
	return own;
}
