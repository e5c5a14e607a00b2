/* SPDX-License-Identifier: MIT */
/*
 * Page allocator over the component's heap: one bit a page, first fit from where the last search ended.
 * Serves the C library's mmap; load is a few calls a second at most (malloc keeps its own pools). The bitmap
 * lies in the first pages of the heap itself.
 */
#pragma GCC optimize("no-stack-protector")

#include <string.h>

#include "runtime.h"

static struct {
	uint64_t base;
	size_t pages;
	size_t free;
	size_t next;  /* where the next search starts */
	size_t fresh; /* pages from here on were never used: still zero */
	uint64_t *used;
} heap;

static bool page_used(size_t page)
{
	return heap.used[page / 64] >> page % 64 & 1;
}

static void pages_mark(size_t first, size_t count, bool used)
{
	for (size_t page = first; page < first + count; page++) {
		if (used)
			heap.used[page / 64] |= 1ul << page % 64;
		else
			heap.used[page / 64] &= ~(1ul << page % 64);
	}
	if (used)
		heap.free -= count;
	else
		heap.free += count;
}

void heap_init(uint64_t base, uint64_t size)
{
	heap.base = base;
	heap.pages = size / PAGE_SIZE;
	heap.free = heap.pages;
	heap.used = (uint64_t *)base;
	size_t bitmap = ((heap.pages + 63) / 64 * 8 + PAGE_SIZE - 1) / PAGE_SIZE;
	if (heap.pages <= bitmap) {
		heap.pages = heap.free = 0;
		return;
	}
	pages_mark(0, bitmap, true);
	heap.next = heap.fresh = bitmap;
}

/* First page of a free run in [from, to), or to. */
static size_t run_find(size_t from, size_t to, size_t pages)
{
	size_t run = 0;
	for (size_t page = from; page < to;) {
		if (page % 64 == 0 && heap.used[page / 64] == UINT64_MAX) {
			run = 0;
			page += 64;
			continue;
		}
		run = page_used(page) ? 0 : run + 1;
		page++;
		if (run == pages)
			return page - pages;
	}
	return to;
}

static void run_take(size_t first, size_t pages)
{
	pages_mark(first, pages, true);
	size_t dirty_end = first + pages < heap.fresh ? first + pages : heap.fresh;
	if (first < dirty_end)
		memset((void *)(heap.base + first * PAGE_SIZE), 0, (dirty_end - first) * PAGE_SIZE);
	if (first + pages > heap.fresh)
		heap.fresh = first + pages;
}

void *heap_allocate(size_t pages)
{
	if (pages == 0 || pages > heap.free)
		return NULL;
	size_t first = run_find(heap.next, heap.pages, pages);
	if (first == heap.pages) {
		first = run_find(0, heap.pages, pages);
		if (first == heap.pages)
			return NULL;
	}
	run_take(first, pages);
	heap.next = first + pages;
	return (void *)(heap.base + first * PAGE_SIZE);
}

static bool range_valid(const void *address, size_t pages, size_t *first)
{
	uint64_t offset = (uint64_t)address - heap.base;
	*first = offset / PAGE_SIZE;
	return (uint64_t)address >= heap.base && offset % PAGE_SIZE == 0 && *first < heap.pages &&
	       pages <= heap.pages - *first;
}

bool heap_free(void *address, size_t pages)
{
	size_t first;
	if (!range_valid(address, pages, &first))
		return false;
	for (size_t page = first; page < first + pages; page++)
		if (!page_used(page))
			return false;
	pages_mark(first, pages, false);
	if (first < heap.next)
		heap.next = first;
	return true;
}

bool heap_grow(void *address, size_t pages, size_t new_pages)
{
	size_t first;
	if (!range_valid(address, pages > new_pages ? pages : new_pages, &first))
		return false;
	if (new_pages <= pages)
		return new_pages == pages ||
		       heap_free((char *)address + new_pages * PAGE_SIZE, pages - new_pages);
	size_t end = first + new_pages;
	for (size_t page = first + pages; page < end; page++)
		if (page_used(page))
			return false;
	run_take(first + pages, new_pages - pages);
	return true;
}

size_t heap_pages_free(void)
{
	return heap.free;
}

size_t heap_pages_total(void)
{
	return heap.pages;
}
