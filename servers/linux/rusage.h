/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>
#include "process.h"

/* struct rusage */
struct linux_rusage {
	int64_t user_seconds, user_microseconds, system_seconds, system_microseconds;
	int64_t maximum_resident, reserved[3];
	int64_t minor_faults, major_faults, swaps, blocks_in, blocks_out, sent, received, signals, voluntary,
	        involuntary;
};
_Static_assert(sizeof(struct linux_rusage) == 144, "struct rusage");

struct linux_rusage rusage_of(const struct usage *usage);
