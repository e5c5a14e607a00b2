/* SPDX-License-Identifier: MIT */
/*
 * A sparse array of page entries by page number: what an address space maps where, and the pages of a shared
 * memory object. Chunks of 64 pages in a sorted array, so that iterating a range costs what is in it, not
 * what it spans.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An entry holds a page frame number and flags; 0: nothing there. */
typedef uint32_t entry_t;
#define ENTRY_PFN ((1u << 28) - 1)
#define ENTRY_WRITE                                                                                      \
	(1u << 31) /* may be written without a further decision: not shared by copy-on-write, counted as \
	              dirty */
#define ENTRY_MAPPED (1u << 30) /* the kernel has it in the VSpace */

#define CHUNK_PAGES 64

struct page_chunk {
	uint64_t number;  /* page number / CHUNK_PAGES */
	uint64_t present; /* bit i: entries[i] is not 0 */
	entry_t entries[CHUNK_PAGES];
};

struct page_map {
	struct page_chunk **chunks; /* by number, ascending */
	uint32_t count, capacity;
	uint32_t last;      /* where the last search ended */
	size_t pages, peak; /* entries that are not 0, now and at most so far */
};

struct page_chunk *page_map_search(struct page_map *map, uint64_t number);

/* The chunk with this number, or NULL. Mostly it is the one of last time. */
static inline struct page_chunk *page_map_chunk(struct page_map *map, uint64_t number)
{
	if (map->last < map->count && map->chunks[map->last]->number == number)
		return map->chunks[map->last];
	return page_map_search(map, number);
}

static inline entry_t page_map_get(struct page_map *map, uint64_t page)
{
	const struct page_chunk *chunk = page_map_chunk(map, page / CHUNK_PAGES);

	return chunk ? chunk->entries[page % CHUNK_PAGES] : 0;
}
/* The entry's place while something is there; NULL otherwise. Valid until the map changes shape (set of a new
 * page, prune). */
entry_t *page_map_find(struct page_map *map, uint64_t page);
/* Makes the place for the page's entry: until a prune, set does not fail. false: no memory. */
bool page_map_reserve(struct page_map *map, uint64_t page);
/* entry is not 0. false: no memory; nothing changed. */
bool page_map_set(struct page_map *map, uint64_t page, entry_t entry);
/* Takes the entry out; 0: there was none. */
entry_t page_map_take(struct page_map *map, uint64_t page);
/* The first entry at or after *page and before end: its number in *page, its place returned; NULL: none. */
entry_t *page_map_next(struct page_map *map, uint64_t *page, uint64_t end);
/* Gives chunks that have become empty back, of the pages in [first, end). */
void page_map_prune(struct page_map *map, uint64_t first, uint64_t end);
void page_map_destroy(struct page_map *map);
