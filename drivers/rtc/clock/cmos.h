/* SPDX-License-Identifier: MIT */
/* The PC's CMOS clock (MC146818): BCD or binary, 12 or 24 hours, with or without a century, as the firmware
 * left it. */
#pragma once

#include <stdbool.h>
#include <abi/types.h>
#include <proto/clock.h>

/* One look: CLOCK_BUSY while it counts, CLOCK_NONSENSE. Seconds since 1970. */
enum clock_status cmos_read(cptr_t ports, uint64_t *seconds);
enum clock_status cmos_write(cptr_t ports, uint64_t seconds);
/* A predecessor may have died while it set the clock, which stands still then. True: so it was, and it goes
 * again. */
bool cmos_resume(cptr_t ports);
