/* SPDX-License-Identifier: MIT */
/* A sorted array of regions. Invariant: items[i]->end <= items[i + 1]->start. */
#include "vma.h"
#include <stdlib.h>
#include <string.h>

unsigned vma_first(const struct vma_set *set, uint64_t address)
{
	unsigned low = 0, high = set->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (set->items[middle]->end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct vma *vma_search(struct vma_set *set, uint64_t address)
{
	unsigned index = vma_first(set, address);

	if (index == set->count || set->items[index]->start > address)
		return NULL;
	set->last = index;
	return set->items[index];
}

bool vma_reserve(struct vma_set *set, unsigned more)
{
	unsigned capacity = set->capacity ? set->capacity : 16;
	struct vma **items;

	if (set->count + more <= set->capacity)
		return true;
	while (capacity < set->count + more)
		capacity *= 2;
	items = realloc(set->items, capacity * sizeof(struct vma *));
	if (!items)
		return false;
	set->items = items;
	set->capacity = capacity;
	return true;
}

void vma_insert(struct vma_set *set, struct vma *vma)
{
	unsigned index = vma_first(set, vma->start);

	memmove(&set->items[index + 1], &set->items[index], (set->count - index) * sizeof(struct vma *));
	set->items[index] = vma;
	set->count++;
}

void vma_remove(struct vma_set *set, struct vma *vma)
{
	unsigned index = vma_first(set, vma->start);

	set->count--;
	memmove(&set->items[index], &set->items[index + 1], (set->count - index) * sizeof(struct vma *));
}

bool vma_range_free(const struct vma_set *set, uint64_t start, uint64_t end)
{
	unsigned index = vma_first(set, start);

	return index == set->count || set->items[index]->start >= end;
}

uint64_t vma_gap_below(const struct vma_set *set, uint64_t low, uint64_t high, uint64_t size)
{
	unsigned index = vma_first(set, high);

	/* Regions below items[index], which begins at or above high or covers it. */
	if (index < set->count && set->items[index]->start < high)
		high = set->items[index]->start;
	for (;;) {
		uint64_t floor = index ? set->items[index - 1]->end : low;

		if (floor < low)
			floor = low;
		if (high >= floor && high - floor >= size)
			return high - size;
		if (!index || floor == low)
			return 0;
		index--;
		high = set->items[index]->start;
	}
}

bool vma_mergeable(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && a->prot == b->prot && a->flags == b->flags && !a->file && !b->file &&
	       !a->shared && !b->shared && !(a->flags & VMA_GROWS_DOWN);
}
