/* SPDX-License-Identifier: MIT */
/* Load averages: as Linux has them, with the same numbers. */
#pragma once

#include <stdint.h>

#define LOAD_ONE 2048 /* fixed point */

extern uint64_t load_averages[3]; /* of 1, 5 and 15 minutes */

void load_begin(void); /* takes samples from now on */
void threads_count(unsigned *running, unsigned *all);
