/* SPDX-License-Identifier: MIT */
/* A call that is refused changes nothing: all memory before and after it is compared, but for the caller's
 * registers. */
#pragma once

#include "world.h"

/* Every n-th call is watched; 0: none. Needs a small world. */
extern unsigned compare_every;
extern unsigned long compare_count;

/* False: this call is not watched. */
bool compare_begin(const struct thread *caller);
/* Aborts if the call came back refused and something is not as it was. */
void compare_end(struct thread *caller, uint64_t number, const struct call *call);
