/* SPDX-License-Identifier: MIT */
/*
 * The clocks: endpoint entry "clock", for those whose manifest line says `uses clock`. The wall clock is read from a page that
 * everybody has (struct wall_clock of <abi/startup.h>); here it is set. The CMOS clock goes on while the machine is off, counts whole
 * seconds, and is taken to show UTC. Calls are answered at once.
 */
#pragma once

#include <abi/types.h>

enum clock_operation {
	CLOCK_SET_WALL = 1, /* word 0 = ns since 1970 -> status. For the whole system; the CMOS clock stays as it is */
	CLOCK_READ_CMOS,    /* -> status, seconds since 1970 */
	CLOCK_SET_CMOS,     /* word 0 = seconds since 1970 -> status */
};

enum clock_status {
	CLOCK_OK,
	CLOCK_BUSY,     /* it is counting right now: ask again in a millisecond */
	CLOCK_NONSENSE, /* it shows no time */
	CLOCK_RANGE,    /* not a time that the clock can show */
	CLOCK_BAD_REQUEST,
};
