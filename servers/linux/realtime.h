/* SPDX-License-Identifier: MIT */
/* What threads of SCHED_FIFO and SCHED_RR leave to others: see realtime.c. */
#pragma once

#include <stdbool.h>

#define REALTIME_PERIOD  1000000000ull /* ns */
#define REALTIME_RUNTIME 950000000ull  /* of it, for such threads */

bool realtime_throttled(unsigned cpu); /* they come last there */
void realtime_watch(void);             /* there is one */
