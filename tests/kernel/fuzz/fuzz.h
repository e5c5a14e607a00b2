/* SPDX-License-Identifier: MIT */
/*
 * Random system calls from user mode, on as many CPUs as there are: a boot image of its own (./pith fuzz
 * system-calls). The first component is the supervisor, with the highest priority; players (player.c) are its
 * threads below, spread over the CPUs, whose CSpace is one table of everything that they may play with. See
 * supervisor.c for what is asserted.
 */
#pragma once

#include "../call.h"
#include "../support/setup.h"

#define PLAYERS_MAX   16
#define TABLE_BITS    9
#define TABLE_SLOTS   (1u << TABLE_BITS)
#define PLAYGROUND    0x40000000ul /* where players map things */
#define PRIORITY_PLAY 100          /* the highest that players can give */
#define MICROSECOND   1000ul
#define MILLISECOND   1000000ul

/* The table's slots by type, as each round begins with them. */
struct table_part {
	cptr_t first, count;
};
extern struct table_part table_parts[OBJECT_TYPE_COUNT];

struct player {
	cptr_t thread; /* the supervisor's capability */
	cptr_t context, buffer, vspace;
	uint64_t stack_top;
	volatile uint64_t state; /* of its random numbers */
	volatile uint64_t calls;
	volatile uint64_t refused;
};
extern struct player players[PLAYERS_MAX];
/* Players' address space has no boot information: what their clock needs of it. */
extern uint64_t clock_start, clock_scale;

_Noreturn void player_main(struct player *player);
