/* SPDX-License-Identifier: MIT */
/*
 * Addresses for memory BARs that the firmware left without one. PC firmware assigns all of them, so this is
 * for machines that start without one. Only bus 0: behind bridges, windows would have to move.
 */
#include "functions.h"
#include "regions.h"

#include <pith/log.h>

#define PAGE 4096ul

static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/* The end of an assigned BAR that is in the way of [base, base + size), or 0: the range is free. */
static uint64_t obstacle_end(uint64_t base, uint64_t size)
{
	for (unsigned i = 0; i < function_count(); i++) {
		for (unsigned b = 0; b < BARS; b++) {
			const struct bar *bar = &function_at(i)->bars[b];
			if (bar->size && !bar->io && bar->base &&
			    ranges_overlap(base, size, bar->base, bar->size))
				return bar->base + bar->size;
		}
	}
	return 0;
}

/* The lowest free, naturally aligned place in the window; each BAR in the way moves the candidate on, so at
 * most as many steps as there are BARs. 0: none. */
static uint64_t place_find(uint64_t size)
{
	uint64_t base = REGION_WINDOW_START;
	for (unsigned step = 0; step <= FUNCTIONS_MAX * BARS; step++) {
		base = (base + size - 1) & ~(size - 1);
		if (base + size > REGION_WINDOW_END)
			return 0;
		uint64_t end = obstacle_end(base, size);
		if (!end)
			return base;
		base = end;
	}
	return 0;
}

static void bar_assign(struct function *function, unsigned index)
{
	struct bar *bar = &function->bars[index];
	/* Whole pages each, so that every BAR can be handed over by itself. */
	uint64_t base = place_find(bar->size < PAGE ? PAGE : bar->size);
	if (!base || !region_covered(base, bar->size < PAGE ? PAGE : bar->size)) {
		log_warning("no address space for BAR %u of %04x", index, function->address);
		return;
	}
	unsigned offset = CONFIG_BAR + 4 * index;
	config_write(function->address, offset, 4, (uint32_t)base);
	if (bar->wide)
		config_write(function->address, offset + 4, 4, (uint32_t)(base >> 32));
	bar->base = base;
	log_info("BAR %u of %04x is now at %lx", index, function->address, base);
}

void functions_assign(void)
{
	for (unsigned i = 0; i < function_count(); i++) {
		struct function *function = function_at(i);
		for (unsigned b = 0; b < BARS && !(function->address >> 8); b++) {
			struct bar *bar = &function->bars[b];
			if (bar->size && !bar->io && !bar->base)
				bar_assign(function, b);
		}
	}
}
