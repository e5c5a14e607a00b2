/* SPDX-License-Identifier: MIT */
/* init's own address space: the components' start-up pages for good, their memory while it is filled. */
#include "init.h"

#define PERMANENT_BASE 0x40000000ul
#define SCRATCH_BASE   0x80000000ul
#define TABLES_BITS    18 /* 64 page-table pages */

static uint64_t permanent_next = PERMANENT_BASE;

void space_init(void)
{
	cptr_t tables = ram_take(TABLES_BITS);
	enum error error = tables ? vspace_feed(INIT_SLOT_VSPACE, tables, TABLES_BITS) : ERR_NO_MEMORY;
	if (error != ERR_NONE)
		boot_fatal("no page tables for init: %s", error_text(error));
}

static cptr_t map(cptr_t memory, uint64_t first_page, size_t pages, unsigned rights, uint64_t address)
{
	cptr_t window = object_create(OBJECT_WINDOW, 0);
	enum error error = window ? window_bind(window, memory, INIT_SLOT_VSPACE, rights) : ERR_NO_MEMORY;
	if (error == ERR_NONE)
		error = window_map(window, address, first_page, pages, rights, NULL);
	if (error == ERR_NONE)
		return window;
	log_error("mapping %zu pages: %s", pages, error_text(error));
	object_destroy(window);
	return CPTR_NULL;
}

void *space_map(cptr_t memory, uint64_t first_page, size_t pages, unsigned rights)
{
	uint64_t address = permanent_next;
	if (map(memory, first_page, pages, rights, address) == CPTR_NULL)
		return NULL;
	permanent_next += pages * PAGE_SIZE;
	return (void *)address;
}

void *space_scratch(cptr_t memory, uint64_t first_page, size_t pages, unsigned rights, cptr_t *window)
{
	*window = map(memory, first_page, pages, rights, SCRATCH_BASE);
	return *window == CPTR_NULL ? NULL : (void *)SCRATCH_BASE;
}

void space_scratch_end(cptr_t window)
{
	object_destroy(window);
}
