/* SPDX-License-Identifier: MIT */
/*
 * Tags of a TLB (x86_64: PCIDs), by which it tells address spaces apart: what it knows of one stays when the
 * CPU loads another. Each CPU has a table of the spaces that its tags were last used for.
 *
 * Only the translations behind the loaded tag are used; those behind the others may be stale. So a space that
 * a CPU has left needs no visit from who changes it: when it is loaded again, the CPU compares
 * (docs/several-cpus.md).
 */
#pragma once

#include <abi/types.h>

#define TAGS 6

struct tags {
	struct tag {
		uint64_t root;    /* of the space's tables; 0: none */
		uint64_t flushed; /* when it was left: of its changes up to this generation the TLB knows */
	} tag[TAGS];
	unsigned loaded; /* 1 to TAGS; 0: none */
	unsigned next;   /* the tag that is taken away next */
};

/* The loaded space is left. */
void tags_leave(struct tags *tags, uint64_t flushed);
/*
 * A space is loaded of which a change has the generation `edited`, none a later one: the tag (1 to TAGS) for
 * it. *stale: what the TLB has behind that tag must be forgotten before it is used.
 */
unsigned tags_load(struct tags *tags, uint64_t root, uint64_t edited, bool *stale);
