/* SPDX-License-Identifier: MIT */
/* The page allocator: random use against a model, contents included. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "runtime.h"

#define PAGES  300
#define BLOCKS 64

static uint8_t memory[PAGES * PAGE_SIZE] __attribute__((aligned(4096)));

struct block {
	uint8_t *address;
	size_t pages;
	uint8_t mark;
};

static bool holds(const uint8_t *at, size_t size, uint8_t value)
{
	for (size_t i = 0; i < size; i++)
		if (at[i] != value)
			return false;
	return true;
}

static void test_random(unsigned seed)
{
	struct block blocks[BLOCKS] = {0};
	size_t used = 0;
	srand(seed);
	memset(memory, 0, sizeof(memory)); /* what a component gets */
	heap_init((uint64_t)memory, sizeof(memory));
	size_t total = heap_pages_free();
	CHECK(total == PAGES - 1);
	for (int step = 0; step < 3000; step++) {
		struct block *block = &blocks[rand() % BLOCKS];
		if (!block->address) {
			block->pages = 1 + (size_t)rand() % 20;
			block->address = heap_allocate(block->pages);
			if (!block->address)
				continue;
			used += block->pages;
			CHECK(holds(block->address, block->pages * PAGE_SIZE, 0));
			CHECK(block->address >= memory &&
			      block->address + block->pages * PAGE_SIZE <= memory + sizeof(memory));
			block->mark = (uint8_t)(1 + rand() % 255);
			memset(block->address, block->mark, block->pages * PAGE_SIZE);
		} else if (rand() % 4 == 0) {
			size_t pages = 1 + (size_t)rand() % 20;
			if (heap_grow(block->address, block->pages, pages)) {
				if (pages > block->pages)
					CHECK(holds(block->address + block->pages * PAGE_SIZE,
					            (pages - block->pages) * PAGE_SIZE, 0));
				used = used + pages - block->pages;
				block->pages = pages;
				memset(block->address, block->mark, pages * PAGE_SIZE);
			}
		} else {
			CHECK(holds(block->address, block->pages * PAGE_SIZE, block->mark));
			CHECK(heap_free(block->address, block->pages));
			CHECK(!heap_free(block->address, block->pages)); /* twice */
			used -= block->pages;
			block->address = NULL;
		}
		CHECK(heap_pages_free() == total - used);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (blocks[i].address)
			heap_free(blocks[i].address, blocks[i].pages);
	CHECK(heap_pages_free() == total);
	CHECK(heap_allocate(total) != NULL); /* all in one piece again */
}

static void test_edges(void)
{
	heap_init((uint64_t)memory, sizeof(memory));
	CHECK(heap_allocate(0) == NULL && heap_allocate(PAGES) == NULL &&
	      heap_allocate(SIZE_MAX / PAGE_SIZE) == NULL);
	CHECK(!heap_free(memory - PAGE_SIZE, 1) && !heap_free(memory + sizeof(memory), 1) &&
	      !heap_free(memory + 1, 1));
	uint8_t *page = heap_allocate(1);
	CHECK(!heap_free(page, PAGES + 1) && !heap_free(page, SIZE_MAX));
	CHECK(!heap_free(page, 2)); /* the second is free */
	heap_init((uint64_t)memory, PAGE_SIZE);
	CHECK(heap_pages_free() == 0 && heap_allocate(1) == NULL);
}

int main(void)
{
	for (unsigned seed = 1; seed <= 40; seed++)
		test_random(seed);
	test_edges();
	return checks_report();
}
