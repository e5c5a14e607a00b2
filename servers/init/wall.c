/* SPDX-License-Identifier: MIT */
/* The page with the wall clock. `epoch=SECONDS` of the kernel's command line sets it for this boot; else it
 * is up to the component that may write it. */
#include <stdatomic.h>
#include <stdlib.h>

#include "init.h"

static uint64_t epoch_option(void)
{
	char text[24], *end;
	if (!boot_option("epoch", text, sizeof(text)))
		return 0;
	uint64_t seconds = strtoul(text, &end, 10);
	if (*end || end == text || seconds > INT64_MAX / 1000000000) {
		log_warning("epoch=%s is no number of seconds", text);
		return 0;
	}
	return seconds * 1000000000;
}

void wall_init(void)
{
	cptr_t untyped = ram_take(PAGE_BITS);
	struct wall_clock *wall = NULL;
	init.wall = slot_allocate();
	if (untyped != CPTR_NULL && init.wall != CPTR_NULL &&
	    untyped_retype(untyped, OBJECT_MEMORY, PAGE_BITS, 0, 1, CPTR_NULL, init.wall) == ERR_NONE)
		wall = space_map(init.wall, 0, 1, RIGHT_READ | RIGHT_WRITE);
	if (!wall)
		boot_fatal("no memory for the wall clock");
	atomic_store(&wall->at_boot, epoch_option());
}
