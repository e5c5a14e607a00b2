/* SPDX-License-Identifier: MIT */
/*
 * Points in time at which something happens: a binary heap, so that setting and taking back cost a logarithm
 * of how many there are. The heap's array grows as needed; a deadline lives in its owner's structure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <abi/types.h>

struct deadline {
	deadline_t when;
	size_t position;                         /* in the heap, from 1; 0: not set */
	void (*fire)(struct deadline *deadline); /* already taken out of the heap */
};

/* Set, or set again to another time. false: no memory (it is not set). */
bool deadline_set(struct deadline *deadline, deadline_t when);
void deadline_cancel(struct deadline *deadline);
/* DEADLINE_NEVER: none */
deadline_t deadline_next(void);
/* Fire all that are due. */
void deadline_run(deadline_t now);
