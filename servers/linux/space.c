/* SPDX-License-Identifier: MIT */
/* VSpaces and Windows of processes. */
#include "space.h"
#include <stdlib.h>
#include <abi/object.h>
#include <pith/log.h>
#include <pith/slots.h>
#include <pith/syscall.h>
#include "pools.h"

#define FEED_BITS 15 /* 8 pages of tables at a time at first, more later */
/* Entries of the scatter list: the IPC buffer of a component's first thread has two pages. */
#define BATCH_LIMIT (PAGE_SIZE / sizeof(struct scatter_entry))
/* Kernel memory that new address spaces leave for those that are there: they need tables and Windows as they
 * grow. */
#define KERNEL_RESERVE (1024 * 1024)
#define FREE_SPACES    8
#define FEEDS_RECYCLE  8 /* a space with more is not recycled: others need the memory */
#define TABLES_A_PAGE  4 /* that a mapping may lack */
#define TABLES_RECYCLE \
	48 /* a recycled space with more page tables than this takes the empty ones back first */

struct space {
	struct space *next_free;
	cptr_t vspace;
	cptr_t windows[POOLS_MAX];
	cptr_t feeds[VSPACE_FEEDS];
	unsigned feed_count;
};

static struct space *free_spaces;
static unsigned free_count;

/* Give the VSpace memory for page tables: the more often it asked, the more. */
static bool space_feed(struct space *space)
{
	unsigned bits = FEED_BITS + space->feed_count / 3;
	size_t free_tables = 0;
	cptr_t untyped;

	if (space->feed_count == VSPACE_FEEDS)
		bits = 0;
	for (; bits >= PAGE_BITS; bits--) {
		untyped = object_untyped(bits);
		if (untyped)
			break;
	}
	if (bits < PAGE_BITS) /* none to be had: tables that hold nothing, if they are enough to get on */
		return vspace_reclaim(space->vspace, &free_tables) == ERR_NONE &&
		       free_tables >= TABLES_A_PAGE;
	if (vspace_feed(space->vspace, untyped, bits) != ERR_NONE) {
		object_destroy(untyped);
		return false;
	}
	space->feeds[space->feed_count++] = untyped;
	return true;
}

static void space_release(struct space *space)
{
	for (unsigned i = 0; i < pool_count(); i++)
		if (space->windows[i])
			object_destroy(space->windows[i]);
	if (space->vspace)
		object_destroy(space->vspace);
	for (unsigned i = 0; i < space->feed_count; i++)
		object_destroy(space->feeds[i]);
	free(space);
}

struct space *space_create(void)
{
	struct space *space = free_spaces;

	if (space) {
		free_spaces = space->next_free;
		free_count--;
		return space;
	}
	if (object_bytes_free() < KERNEL_RESERVE)
		return NULL;
	space = calloc(1, sizeof(*space));
	if (!space)
		return NULL;
	space->vspace = object_create(OBJECT_VSPACE, 0);
	if (!space->vspace || !space_feed(space)) {
		space_release(space);
		return NULL;
	}
	return space;
}

void space_destroy(struct space *space)
{
	size_t free_tables = 0, used = 0;

	if (free_count == FREE_SPACES || space->feed_count > FEEDS_RECYCLE ||
	    vspace_info(space->vspace, &free_tables, &used) != ERR_NONE) {
		space_release(space);
		return;
	}
	if (used > TABLES_RECYCLE)
		vspace_reclaim(space->vspace, &free_tables);
	space->next_free = free_spaces;
	free_spaces = space;
	free_count++;
}

size_t space_tables(const struct space *space)
{
	size_t free_tables = 0, used = 0;

	return vspace_info(space->vspace, &free_tables, &used) == ERR_NONE ? used : 0;
}

cptr_t space_vspace(const struct space *space)
{
	return space->vspace;
}

static cptr_t window_of(struct space *space, unsigned pool)
{
	cptr_t window = space->windows[pool];
	enum error error;

	if (window)
		return window;
	window = object_create(OBJECT_WINDOW, 0);
	if (!window)
		return CPTR_NULL;
	error = window_bind(window, pool_memory(pool), space->vspace,
	                    RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE);
	if (error != ERR_NONE) {
		log_error("window: %s", error_text(error));
		object_destroy(window);
		return CPTR_NULL;
	}
	space->windows[pool] = window;
	return window;
}

cptr_t space_window(struct space *space, pfn_t pfn, uint64_t *memory_page)
{
	uint32_t page;
	unsigned pool = pool_of(pfn, &page);

	*memory_page = page;
	return window_of(space, pool);
}

bool space_map(struct space *space, uint64_t address, pfn_t pfn, unsigned rights)
{
	uint64_t memory_page;
	cptr_t window = space_window(space, pfn, &memory_page);
	enum error error;
	size_t done;

	if (!window)
		return false;
	while ((error = window_map(window, address, memory_page, 1, rights, &done)) == ERR_NO_MEMORY)
		if (!space_feed(space))
			return false;
	if (error != ERR_NONE)
		log_error("map %lx: %s", address, error_text(error));
	return error == ERR_NONE;
}

void space_batch_begin(struct space_batch *batch, struct space *space)
{
	*batch = (struct space_batch){.space = space};
}

void space_batch_flush(struct space_batch *batch)
{
	struct scatter_entry *entries = ipc_buffer()->scatter;
	size_t done = 0, total = 0;
	enum error error;
	cptr_t window;

	if (!batch->count)
		return;
	window = window_of(batch->space, batch->pool);
	while (window && total < batch->count) {
		error = window_map_scatter(window, batch->base, batch->count - total, &done);
		total += done;
		if (error != ERR_NO_MEMORY || !space_feed(batch->space))
			break;
		for (size_t i = total; i < batch->count; i++)
			entries[i - total] = entries[i];
	}
	batch->count = 0;
}

void space_batch_add(struct space_batch *batch, uint64_t address, pfn_t pfn, unsigned rights)
{
	uint32_t memory_page;
	unsigned pool = pool_of(pfn, &memory_page);
	uint64_t page;

	if (batch->count && (pool != batch->pool || address < batch->base || batch->count == BATCH_LIMIT ||
	                     (address - batch->base) >> (PAGE_BITS + 28)))
		space_batch_flush(batch);
	if (!batch->count) {
		batch->base = address;
		batch->pool = pool;
	}
	page = (address - batch->base) >> PAGE_BITS;
	ipc_buffer()->scatter[batch->count++] =
	        (struct scatter_entry){memory_page, (uint32_t)(page << 4) | (rights & 7)};
}

void space_unmap(struct space *space, uint64_t address, size_t pages)
{
	size_t present;

	vspace_unmap(space->vspace, address, pages, &present);
}

void space_protect(struct space *space, uint64_t address, size_t pages, unsigned rights)
{
	for (unsigned i = 0; i < pool_count(); i++)
		if (space->windows[i])
			window_protect(space->windows[i], address, pages, rights);
}
