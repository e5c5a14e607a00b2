/* SPDX-License-Identifier: MIT */
/*
 * Randomness: endpoint entry "random", for those whose manifest line says `uses random`. Clients keep a generator of their own
 * (<pith/random.h>) and seed it from here, at start and again from time to time. Calls are answered at once.
 */
#pragma once

#include <abi/types.h>

enum random_operation {
	RANDOM_SEED = 1, /* -> status; words 1..4: bytes that nobody else gets */
};

enum random_status {
	RANDOM_OK,
	RANDOM_NOT_YET, /* nothing unpredictable has been seen so far: ask again later */
	RANDOM_BAD_REQUEST,
};

#define RANDOM_SEED_BYTES 32
