/* SPDX-License-Identifier: MIT */
/*
 * What a component counts of its own traffic, in memory that it shares with the supervisor. Only the component writes, each word by
 * itself; the supervisor shows them and believes nothing of them. They go on counting when the component is restarted.
 */
#pragma once

#include <abi/types.h>

struct counters {
	uint64_t messages; /* received from its Endpoint */
	uint64_t events;   /* times that its Notification woke it */
	uint64_t requests; /* put into channels whose client it is */
	uint64_t served;   /* requests completed in channels whose server it is */
};
