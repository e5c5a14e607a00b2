/* SPDX-License-Identifier: MIT */
/* A sorted array of regions. Invariant: each ends where the next one begins, or before. */
#include "vma.h"
#include <abi/types.h>
#include <stdlib.h>
#include <string.h>

unsigned vma_first(const struct vma_set *set, uint64_t address)
{
	unsigned low = 0, high = set->count, below = set->below;

	/* Mostly it is where the last region came or went. */
	if (below < set->count && set->items[below + set->capacity - set->count]->end <= address)
		low = below + 1;
	else if (!below || set->items[below - 1]->end <= address)
		return below;
	else if (below == 1 || set->items[below - 2]->end <= address)
		return below - 1;
	else
		high = below - 2;
	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (vma_at(set, middle)->end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct vma *vma_search(struct vma_set *set, uint64_t address)
{
	unsigned index = vma_first(set, address);

	if (index == set->count || vma_at(set, index)->start > address)
		return NULL;
	set->last = index;
	return vma_at(set, index);
}

bool vma_reserve(struct vma_set *set, unsigned more)
{
	unsigned capacity = set->capacity ? set->capacity : 16, above = set->count - set->below;
	struct vma **items;

	if (set->count + more <= set->capacity)
		return true;
	while (capacity < set->count + more)
		capacity *= 2;
	items = realloc(set->items, capacity * sizeof(struct vma *));
	if (!items)
		return false;
	memmove(items + capacity - above, items + set->capacity - above, above * sizeof(struct vma *));
	set->items = items;
	set->capacity = capacity;
	return true;
}

static void free_move(struct vma_set *set, unsigned index)
{
	unsigned room = set->capacity - set->count;
	struct vma **at = set->items + index, **from = set->items + set->below;

	if (index < set->below)
		memmove(at + room, at, (set->below - index) * sizeof(struct vma *));
	else
		memmove(from, from + room, (index - set->below) * sizeof(struct vma *));
	set->below = index;
}

static void insert_at(struct vma_set *set, unsigned index, struct vma *vma)
{
	free_move(set, index);
	set->items[set->below++] = vma;
	set->count++;
}

void vma_insert(struct vma_set *set, struct vma *vma)
{
	insert_at(set, vma_first(set, vma->start), vma);
}

void vma_append(struct vma_set *set, struct vma *vma)
{
	insert_at(set, set->count, vma);
}

void vma_remove(struct vma_set *set, struct vma *vma)
{
	if (vma->end > set->gap.from)
		set->gap.high = 0;
	free_move(set, vma_first(set, vma->start));
	set->count--;
}

bool vma_range_free(const struct vma_set *set, uint64_t start, uint64_t end)
{
	unsigned index = vma_first(set, start);

	return index == set->count || vma_at(set, index)->start >= end;
}

uint64_t vma_gap_below(struct vma_set *set, uint64_t low, uint64_t high, uint64_t size)
{
	bool known = set->gap.high == high && size >= set->gap.size;
	uint64_t top = known ? set->gap.from : high, least = known ? set->gap.size : 1;
	unsigned index = vma_first(set, top);

	/* Regions below items[index], which begins at or above top or covers it. */
	if (index < set->count && vma_at(set, index)->start < top)
		top = vma_at(set, index)->start;
	for (;;) {
		uint64_t floor = index ? vma_at(set, index - 1)->end : low;

		if (floor < low)
			floor = low;
		if (top >= floor && top - floor >= size) {
			set->gap.high = high;
			set->gap.from = top;
			set->gap.size = least;
			return top - size;
		}
		if (!index || floor == low)
			return 0;
		if (top - floor >= least)
			least = top - floor + 1;
		index--;
		top = vma_at(set, index)->start;
	}
}

bool vma_mergeable(const struct vma *a, const struct vma *b)
{
	if (a->end != b->start || a->prot != b->prot || a->flags != b->flags || a->flags & VMA_GROWS_DOWN ||
	    a->file != b->file || a->shared != b->shared)
		return false;
	return (!a->file && !a->shared) || a->offset + ((a->end - a->start) >> PAGE_BITS) == b->offset;
}
