/* SPDX-License-Identifier: MIT */
/* Which breakpoints a thread may have, all of DR7's kinds and lengths, and what is told of DR6. */
#include "check.h"
#include "local.h"

#define STEP (1ul << 14)

enum kind { EXECUTE, WRITE, PORT, TOUCH };
static const unsigned lengths[] = {1, 2, 8, 4}; /* by their code */

/* Breakpoint i alone. */
static enum error judge(unsigned i, uint64_t address, unsigned kind, unsigned code)
{
	uint64_t words[ARCH_DEBUG_WORDS] = {0};

	words[i] = address;
	words[4] = 1ul << 2 * i | (uint64_t)(code << 2 | kind) << (16 + 4 * i);
	return breakpoints_check(words);
}

static void test_kinds_and_lengths(void)
{
	for (unsigned i = 0; i < 4; i++)
		for (unsigned kind = 0; kind < 4; kind++)
			for (unsigned code = 0; code < 4; code++) {
				bool good = kind == WRITE || kind == TOUCH || (kind == EXECUTE && code == 0);

				CHECK(judge(i, 0x1000, kind, code) == (good ? ERR_NONE : ERR_ARGUMENT));
			}
}

/* No byte of it is beyond user mode's, whatever its address and length. */
static void test_addresses(void)
{
	for (unsigned code = 0; code < 4; code++)
		for (uint64_t before = 0; before < 32; before++) {
			uint64_t address = USER_END + 8 - before;
			enum error error = judge(2, address, WRITE, code);

			CHECK(error == (address >= USER_END            ? ERR_RANGE
			                : address % lengths[code] != 0 ? ERR_ALIGNMENT
			                                               : ERR_NONE));
			CHECK(error || address + lengths[code] <= USER_END);
		}
	CHECK(judge(0, 1ul << 63, TOUCH, 0) == ERR_RANGE && judge(3, UINT64_MAX, WRITE, 0) == ERR_RANGE);
}

static void test_control(void)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t words[ARCH_DEBUG_WORDS] = {[4] = 1ul << bit};
		bool enables = bit < 8, lengthens = bit >= 16 && bit < 32;

		if (lengthens)
			continue;
		CHECK(breakpoints_check(words) == (bit < 10 ? ERR_NONE : ERR_ARGUMENT));
		CHECK(breakpoints_enabled(words) == enables);
	}
}

/* 0 stops before an instruction, 1 and 2 watch, 2 is not enabled. */
static void test_status(void)
{
	const uint64_t words[ARCH_DEBUG_WORDS] = {0, 0, 0, 0, 1ul << 0 | 2ul << 2 | 1ul << 20 | 3ul << 24};
	bool before;

	for (uint64_t status = 0; status < 16; status++) {
		CHECK(breakpoints_status(words, status | 0xffff0ff0, &before) == (status & 3));
		CHECK(before == (status & 1));
		CHECK(breakpoints_status(words, status | STEP | 0xa000, &before) == ((status & 3) | STEP));
	}
}

int main(void)
{
	test_kinds_and_lengths();
	test_addresses();
	test_control();
	test_status();
	return checks_report();
}
