/* SPDX-License-Identifier: MIT */
/* Sparse arrays of page entries. Chunks are recycled through a free list: fork and exit make and drop many.
 */
#include "page_map.h"
#include <stdlib.h>
#include <string.h>

#define FREE_CHUNKS 256

static struct page_chunk *free_chunks[FREE_CHUNKS];
static unsigned free_count;

static struct page_chunk *chunk_allocate(uint64_t number)
{
	struct page_chunk *chunk = free_count ? free_chunks[--free_count] : malloc(sizeof(*chunk));

	if (chunk) {
		memset(chunk, 0, sizeof(*chunk));
		chunk->number = number;
	}
	return chunk;
}

static void chunk_free(struct page_chunk *chunk)
{
	if (free_count < FREE_CHUNKS)
		free_chunks[free_count++] = chunk;
	else
		free(chunk);
}

/* Index of the first chunk whose number is at least `number`. */
static uint32_t chunk_lower_bound(const struct page_map *map, uint64_t number)
{
	uint32_t low = 0, high = map->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (map->chunks[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct page_chunk *page_map_search(struct page_map *map, uint64_t number)
{
	uint32_t index = chunk_lower_bound(map, number);

	if (index == map->count || map->chunks[index]->number != number)
		return NULL;
	map->last = index;
	return map->chunks[index];
}

static struct page_chunk *chunk_insert(struct page_map *map, uint64_t number)
{
	uint32_t index = chunk_lower_bound(map, number);
	struct page_chunk *chunk;

	if (map->count == map->capacity) {
		uint32_t capacity = map->capacity ? map->capacity * 2 : 8;
		struct page_chunk **chunks = realloc(map->chunks, capacity * sizeof(*chunks));

		if (!chunks)
			return NULL;
		map->chunks = chunks;
		map->capacity = capacity;
	}
	chunk = chunk_allocate(number);
	if (!chunk)
		return NULL;
	memmove(&map->chunks[index + 1], &map->chunks[index], (map->count - index) * sizeof(*map->chunks));
	map->chunks[index] = chunk;
	map->count++;
	map->last = index;
	return chunk;
}

entry_t *page_map_find(struct page_map *map, uint64_t page)
{
	struct page_chunk *chunk = page_map_chunk(map, page / CHUNK_PAGES);

	if (!chunk || !chunk->entries[page % CHUNK_PAGES])
		return NULL;
	return &chunk->entries[page % CHUNK_PAGES];
}

bool page_map_reserve(struct page_map *map, uint64_t page)
{
	return page_map_chunk(map, page / CHUNK_PAGES) || chunk_insert(map, page / CHUNK_PAGES);
}

bool page_map_set(struct page_map *map, uint64_t page, entry_t entry)
{
	struct page_chunk *chunk = page_map_chunk(map, page / CHUNK_PAGES);
	uint64_t bit = 1ul << page % CHUNK_PAGES;

	if (!chunk)
		chunk = chunk_insert(map, page / CHUNK_PAGES);
	if (!chunk)
		return false;
	if (!(chunk->present & bit)) {
		chunk->present |= bit;
		if (++map->pages > map->peak)
			map->peak = map->pages;
	}
	chunk->entries[page % CHUNK_PAGES] = entry;
	return true;
}

entry_t page_map_take(struct page_map *map, uint64_t page)
{
	struct page_chunk *chunk = page_map_chunk(map, page / CHUNK_PAGES);
	entry_t entry;

	if (!chunk || !chunk->entries[page % CHUNK_PAGES])
		return 0;
	entry = chunk->entries[page % CHUNK_PAGES];
	chunk->entries[page % CHUNK_PAGES] = 0;
	chunk->present &= ~(1ul << page % CHUNK_PAGES);
	map->pages--;
	return entry;
}

entry_t *page_map_next(struct page_map *map, uint64_t *page, uint64_t end)
{
	uint64_t number = *page / CHUNK_PAGES;
	uint32_t index = map->last;

	if (*page >= end)
		return NULL;
	if (index >= map->count || map->chunks[index]->number != number)
		index = chunk_lower_bound(map, number);
	for (; index < map->count; index++) {
		struct page_chunk *chunk = map->chunks[index];
		uint64_t first = chunk->number * CHUNK_PAGES, present = chunk->present, at;

		if (first >= end)
			return NULL;
		if (*page > first)
			present &= ~0ul << (*page - first);
		if (!present)
			continue;
		at = first + (unsigned)__builtin_ctzl(present);
		if (at >= end)
			return NULL;
		map->last = index;
		*page = at;
		return &chunk->entries[at % CHUNK_PAGES];
	}
	return NULL;
}

void page_map_prune(struct page_map *map, uint64_t first, uint64_t end)
{
	uint32_t kept = chunk_lower_bound(map, first / CHUNK_PAGES), i = kept;

	for (; i < map->count && map->chunks[i]->number * CHUNK_PAGES < end; i++) {
		if (map->chunks[i]->present)
			map->chunks[kept++] = map->chunks[i];
		else
			chunk_free(map->chunks[i]);
	}
	if (kept == i)
		return;
	memmove(&map->chunks[kept], &map->chunks[i], (map->count - i) * sizeof(*map->chunks));
	map->count -= i - kept;
	map->last = 0;
}

void page_map_destroy(struct page_map *map)
{
	for (uint32_t i = 0; i < map->count; i++)
		chunk_free(map->chunks[i]);
	free(map->chunks);
	*map = (struct page_map){0};
}
