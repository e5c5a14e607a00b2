/* SPDX-License-Identifier: MIT */
/*
 * What a power cut in the middle of one commit may leave: some changes of names, by a seed, are committed on
 * a small disk, and all that was written is replayed up to every flush and, between two of them, in part:
 * each subset of few blocks, a sample of many. e2fsck -p repairs each of these states without a question, and
 * files that were there before have a name that they had at some time; so after a mount without e2fsck.
 */
#pragma once

#include "machine.h"

enum states_changes {
	STATES_RANDOM,
	STATES_GROWN,    /* a directory grows and is removed */
	STATES_NAMES,    /* a large directory grows */
	STATES_CROWDED,  /* the same with a cache that is too small for it: commits begin at any wait */
	STATES_REPLACED, /* a new directory takes an empty one's place */
	STATES_LARGE,    /* a large file grows */
	STATES_CHANGES,
};
/* Returns how many of the states were wrong; each is printed. */
unsigned states_problems(uint64_t seed, enum states_changes changes);
/* The same number for a log of which the flushes are ignored: what must not be 0 for all seeds. */
unsigned states_problems_without_flushes(uint64_t seed);
