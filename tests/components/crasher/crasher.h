/* SPDX-License-Identifier: MIT */
/* What crasher and supervise-test share: the memory of channel "control", and calls. */
#pragma once

#include <stdint.h>

struct control {
	_Atomic uint64_t always_crash;  /* 1: crash at once at every start */
	_Atomic uint64_t starts;        /* of crasher, counted by itself */
	_Atomic uint64_t unclean;       /* starts that found memory which was not clean */
	_Atomic uint64_t faults_passed; /* faults of the list that did not end it */
};

enum crasher_operation {
	CRASHER_PING = 1, /* -> word 0 = generation */
	CRASHER_CRASH,    /* crashes while the caller waits */
	CRASHER_FLOOD,    /* writes 20000 log lines */
	CRASHER_KEEP,     /* parks the caller and crashes on the next event */
};
