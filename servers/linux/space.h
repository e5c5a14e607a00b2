/* SPDX-License-Identifier: MIT */
/*
 * The kernel's side of an address space: a VSpace, its page-table memory, one Window for each pool that was
 * used in it. Spaces are recycled (emptied, with their page tables) so that fork and exit need few kernel
 * calls. What is mapped where is known by the records in struct mm alone; this file only carries it out.
 */
#pragma once

#include "mm.h"
#include "page_map.h"

struct space;

struct space *space_create(void); /* NULL: out of kernel memory */
/* Everything was unmapped, and no thread runs in it. */
void space_destroy(struct space *space);
size_t space_tables(const struct space *space); /* pages of page tables */
cptr_t space_vspace(const struct space *space);
/* The Window and the page of its Memory for a frame; CPTR_NULL: out of kernel memory. What a reply with
 * REPLY_MAP wants. */
cptr_t space_window(struct space *space, pfn_t pfn, uint64_t *memory_page);

/* Map one page. false: out of kernel memory. */
bool space_map(struct space *space, uint64_t address, pfn_t pfn, unsigned rights);
/* Many pages, in few calls: begin, add, …, flush. No wait in between. A page that could not be mapped faults
 * again later. */
struct space_batch {
	struct space *space;
	uint64_t base;
	unsigned count, pool;
};
void space_batch_begin(struct space_batch *batch, struct space *space);
void space_batch_add(struct space_batch *batch, uint64_t address, pfn_t pfn, unsigned rights);
void space_batch_flush(struct space_batch *batch);
void space_unmap(struct space *space, uint64_t address, size_t pages);
void space_protect(struct space *space, uint64_t address, size_t pages, unsigned rights);
