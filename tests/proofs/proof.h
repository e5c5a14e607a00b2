/* SPDX-License-Identifier: MIT */
/*
 * What proofs share. A proof of an operation is an inductive step: any state at all is made, the invariant is assumed of it, the operation
 * runs, and the invariant is proved of what it left. The invariant is the code of kernel/core/invariants.c.
 */
#pragma once

#include <kernel/arch.h>

static bool proof_assuming;

/* In both phases the checkers of invariants.c mean what they say: before the operation they are assumed, afterwards proved. */
#define require(condition)                                       \
	do {                                                     \
		bool require_holds = (condition);                \
		if (proof_assuming)                              \
			__CPROVER_assume(require_holds);         \
		else                                             \
			__CPROVER_assert(require_holds, #condition); \
	} while (0)

#define assume(condition) __CPROVER_assume(condition)
#define prove(condition)  __CPROVER_assert(condition, #condition)

void *malloc(unsigned long);
unsigned nondet_unsigned(void);
uint64_t nondet_u64(void);
bool nondet_bool(void);

/* A failed assertion of the kernel is a failed proof. */
void panic(const char *format, ...)
{
	(void)format;
	__CPROVER_assert(false, "kernel_assert");
	__CPROVER_assume(false);
}

static inline unsigned any_below(unsigned end)
{
	unsigned i = nondet_unsigned();

	assume(i < end);
	return i;
}
