/* SPDX-License-Identifier: MIT */
/* The page before the image, which all processes see and the server writes. */
#pragma once

#include <stdint.h>

/* Nanoseconds since boot are (TSC - tsc_at_boot) * multiplier >> 32; all but `wall` never changes. */
struct vdso_data {
	uint64_t tsc_at_boot, multiplier;
	int64_t wall;     /* from then to the wall clock; written in one piece */
	uint64_t has_aux; /* the CPU says its number with its time (RDTSCP) */
};
