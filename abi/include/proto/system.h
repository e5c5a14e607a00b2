/* SPDX-License-Identifier: MIT */
/*
 * The supervisor (init), as its clients see it: endpoint entry "system". Only components whose manifest line says
 * `uses system` have it. All calls are answered at once.
 */
#pragma once

#include <abi/types.h>
#include <proto/counters.h>

enum system_operation {
	/* word 0 = n -> status, length; name packed in words 2..5 (32 bytes). SYSTEM_NO_COMPONENT after the last. */
	SYSTEM_COMPONENT_NAME = 1,
	/* words 0..3 = name -> status; IPC buffer words 6..: struct component_status */
	SYSTEM_COMPONENT_STATUS,
	/* words 0..3 = name: kill it; the supervisor restarts it. Does not count towards the limit on crashes. -> status */
	SYSTEM_COMPONENT_KILL,
	/* words 0..3 = name, word 4 = position -> status, length (at most 400), next position; IPC buffer words 6..: log text; lines that
	 * begin with "init: " are the supervisor's about the component */
	SYSTEM_COMPONENT_LOG,
	/* word 0 = enum system_power */
	SYSTEM_POWER,
};

enum system_status {
	SYSTEM_OK,
	SYSTEM_NO_COMPONENT,
	SYSTEM_BAD_REQUEST,
	SYSTEM_DENIED,
	SYSTEM_GONE, /* it has failed or ended, and does not come back */
};

enum system_power {
	SYSTEM_POWER_OFF,
	SYSTEM_REBOOT,
};

enum component_state {
	COMPONENT_STARTING,
	COMPONENT_RUNNING,
	COMPONENT_RESTARTING, /* waits for its back-off */
	COMPONENT_FAILED,     /* too many crashes: clients get errors */
	COMPONENT_EXITED,
};

struct component_status {
	uint64_t state; /* enum component_state */
	uint64_t restarts;
	uint64_t kills;
	uint64_t memory;   /* bytes given to it */
	uint64_t cpu_time; /* ns */
	uint64_t priority;
	uint64_t started;  /* ns since boot */
	struct counters counters;
};
