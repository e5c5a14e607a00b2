/* SPDX-License-Identifier: MIT */
/*
 * Absolute deadlines of this CPU: of waiting threads, and of scheduling contexts that wait for their next
 * budget.
 */
#pragma once

#include <kernel/heap.h>

enum deadline_kind {
	DEADLINE_THREAD, /* a wait ends with ERR_TIMEOUT */
	DEADLINE_REFILL, /* a scheduling context gets its budget again */
};

struct deadline {
	struct heap_node node;
	uint64_t kind; /* enum deadline_kind */
};

static inline bool deadline_armed(const struct deadline *deadline)
{
	return heap_node_linked(&deadline->node);
}

void deadline_arm(struct deadline *deadline, deadline_t when);
void deadline_disarm(struct deadline *deadline);
/* The earliest of this CPU, or DEADLINE_NEVER. */
deadline_t deadline_earliest(void);
/*
 * Act on deadlines that are not after now, but not on any number of them with interrupts off: what is left
 * over waits while others run.
 */
#define EXPIRE_MAX   16
#define EXPIRE_PAUSE 20000ul /* ns */
void deadline_expire(uint64_t now);
