/* SPDX-License-Identifier: MIT */
/* CpuTime: the right to configure scheduling contexts on a CPU, up to a share and a maximum priority. */
#pragma once

#include <kernel/slot.h>
#include <kernel/thread.h>

/* CpuTimes derived from each other, so that what one promises is looked up in few steps. */
#define TIME_DEPTH 16

/* Whether it and those above it are near each other (slot_approach_parent). */
bool time_approach_above(struct slot *time);
/* How many there are, with itself; after that. */
unsigned time_depth(const struct slot *time);

unsigned cpu_time_invoke(struct thread *caller, struct slot *slot, unsigned operation);
