/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>
#include <proto/clock.h>

/* A call to the component `clock`, repeated while that is restarted or the clock counts: 0 or -errno. result:
 * word 1 of the answer. */
int clock_ask(enum clock_operation operation, uint64_t argument, uint64_t *result);
