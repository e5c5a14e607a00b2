/* SPDX-License-Identifier: MIT */
/*
 * Random operations on a kernel (world.h): the one generator of the stress test (stress.c: numbers from a
 * seed) and of the fuzzer (tests/fuzz: numbers from libFuzzer's input).
 *
 * Players are threads whose CSpace is one CNode, the table. It holds all that they may use, so init, whose
 * authority is elsewhere, can always clean up behind them: everything they have comes out of one Untyped, the
 * root.
 */
#pragma once

#include "world.h"

#define TABLE_BITS  8 /* slots of the table */
#define TABLE_SLOTS (1u << TABLE_BITS)

/* Slots of the table that players are given; the rest is theirs. */
enum table_slot {
	TABLE_CNODE = 1,
	TABLE_VSPACE,
	TABLE_IRQ_CONTROL,
	TABLE_IO_PORTS,
	TABLE_IO_SPACE_CONTROL, /* empty in a world without an IOMMU */
	TABLE_CPU_TIME,         /* of CPU 0; CPU n at + n */
	TABLE_FREE = TABLE_CPU_TIME + CPU_MAX,
};

#define GENERATE_CPUS 4 /* worlds have up to so many */

struct generate_statistics {
	unsigned long operations;                   /* system calls, faults, interrupts */
	unsigned long with_cpus[GENERATE_CPUS + 1]; /* of these, in worlds with so many CPUs */
	unsigned long worlds, stuck;
	unsigned long accesses; /* by devices, to memory that they may reach */
	unsigned long compared; /* refused calls behind which all memory was compared */
};
extern struct generate_statistics generate_statistics;

/* Who decides: a number below `below`, which is not 0. */
extern uint64_t (*generate_draw)(uint64_t below);

/* A kernel with some players that can do things. */
void generate_begin(void);
/* Something happens. False: there is nobody left to do anything. */
bool generate_step(void);
/* Everything is deleted; aborts if anything is left. */
void generate_end(void);

/* ---- between generate.c and generate_calls.c ---- */

static inline uint64_t draw(uint64_t below)
{
	return generate_draw(below);
}

static inline bool draw_one_in(uint64_t n)
{
	return generate_draw(n) == 0;
}

/* Where things are mapped and looked for: few addresses, so that what was mapped is also met. */
#define PLAYGROUND 0x40000000ul
static inline uint64_t playground(void)
{
	return PLAYGROUND + draw(2) * LARGE_PAGE_SIZE + draw(32) * PAGE_SIZE;
}

struct slot *table_slot(cptr_t cap);
/* The running player makes a system call. */
void generate_call(void);
