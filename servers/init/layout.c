/* SPDX-License-Identifier: MIT */
/* The address space of a component: where things are, how many page tables that takes, and mapping them. */
#include "init.h"

#define GIB (1ul << 30)

bool channel_side(const struct channel *channel, const struct component *component, unsigned *side)
{
	if (channel->manifest->server == (int)component->index)
		*side = 0;
	else if (channel->manifest->client == (int)component->index)
		*side = 1;
	else
		return false;
	return true;
}

bool pool_grant(const struct pool *pool, const struct component *component, struct manifest_grant *grant)
{
	const struct manifest_pool *statement = &init.manifest.pools[pool->statement];
	for (unsigned i = 0; i < statement->grant_count; i++) {
		if (statement->grants[i].component == (int)component->index) {
			*grant = statement->grants[i];
			return true;
		}
	}
	return false;
}

/* Channels lie one after the other; the DMA memory follows as if it were the last (channel == channel_count).
 */
uint64_t layout_channel_address(const struct component *component, unsigned channel)
{
	uint64_t address = LAYOUT_CHANNELS;
	unsigned side;
	for (unsigned i = 0; i < channel && i < init.manifest.channel_count; i++)
		if (channel_side(&init.channels[i], component, &side))
			address += init.channels[i].region.size;
	return address;
}

/* Pools are aligned to their size, so that large pages fit. */
uint64_t layout_pool_address(const struct component *component, unsigned pool)
{
	uint64_t address = LAYOUT_POOLS;
	struct manifest_grant grant;
	for (unsigned i = 0; i <= pool && i < init.pool_count; i++) {
		uint64_t size = 1ul << init.pools[i].size_bits;
		if (!pool_grant(&init.pools[i], component, &grant) || !grant.mapped)
			continue;
		address = (address + size - 1) & ~(size - 1);
		if (i == pool)
			return address;
		address += size;
	}
	return 0;
}

static uint64_t spans(uint64_t address, uint64_t size, uint64_t unit)
{
	return size ? (address + size - 1) / unit - address / unit + 1 : 0;
}

uint64_t layout_table_pages(const struct component *component)
{
	/* Above the leaves: one table for 512 GiB, one for each GiB. Then one for each 2 MiB of small pages.
	 */
	uint64_t pages = 1 + 2 + 2; /* ... start-up information, log, wall clock and IPC buffer share one; one
	                               for the channels' end */
	for (unsigned i = 0; i < component->program.segment_count; i++)
		pages += spans(component->program.segments[i].address, component->program.segments[i].size,
		               LARGE_PAGE_SIZE);
	pages += spans(component->stack.address, component->stack.size, LARGE_PAGE_SIZE);
	for (unsigned i = 0; i < component->heap.count; i++)
		pages += component->heap.parts[i].size_bits < LARGE_PAGE_BITS;
	uint64_t channels = layout_channel_address(component, init.manifest.channel_count) - LAYOUT_CHANNELS;
	pages += spans(LAYOUT_CHANNELS, channels + component->dma.size, LARGE_PAGE_SIZE);
	struct manifest_grant grant;
	for (unsigned i = 0; i < init.pool_count; i++)
		if (pool_grant(&init.pools[i], component, &grant) && grant.mapped)
			pages += 2 + (init.pools[i].size_bits < LARGE_PAGE_BITS);
	for (unsigned i = 0; i < init.manifest.pool_count; i++) {
		const struct manifest_pool *statement = &init.manifest.pools[i];
		for (unsigned g = 0; statement->rest && g < statement->grant_count; g++)
			if (statement->grants[g].component == (int)component->index &&
			    statement->grants[g].mapped)
				pages += COMPONENT_POOLS + 2 * (boot_information->ram_bytes / GIB + 1);
	}
	return pages + 4;
}

cptr_t component_small(struct component *component, enum object_type type)
{
	if (component->small_used == SMALL_OBJECTS)
		return CPTR_NULL;
	cptr_t slot = component->small_slots[component->small_used];
	unsigned cpu = type == OBJECT_SCHED_CONTEXT ? component->cpu : 0;
	if (untyped_retype(component->backings[component->small].untyped, type, 0, cpu, 1, CPTR_NULL, slot) !=
	    ERR_NONE)
		return CPTR_NULL;
	component->small_used++;
	return slot;
}

static cptr_t window_open(struct component *component, cptr_t memory, unsigned rights)
{
	cptr_t window = component_small(component, OBJECT_WINDOW);
	enum error error =
	        window ? window_bind(window, memory, component->backings[component->vspace].object, rights)
	               : ERR_NO_MEMORY;
	if (error == ERR_NONE)
		return window;
	log_error("%s: a Window: %s", component->manifest->name, error_text(error));
	return CPTR_NULL;
}

static bool window_place(struct component *component, cptr_t window, uint64_t address, uint64_t first_page,
                         size_t pages, unsigned rights)
{
	enum error error =
	        window ? window_map(window, address, first_page, pages, rights, NULL) : ERR_NO_CAPABILITY;
	if (error == ERR_NONE)
		return true;
	log_error("%s: mapping %zu pages at %#lx: %s", component->manifest->name, pages, address,
	          error_text(error));
	return false;
}

bool layout_map_memory(struct component *component, cptr_t memory, unsigned size_bits, uint64_t address,
                       unsigned rights)
{
	unsigned large = size_bits >= LARGE_PAGE_BITS && address % LARGE_PAGE_SIZE == 0 ? MAP_LARGE : 0;
	cptr_t window = window_open(component, memory, rights);
	return window_place(component, window, address, 0, 1ul << (size_bits - PAGE_BITS), rights | large);
}

static bool region_map(struct component *component, const struct region *region, uint64_t address)
{
	uint64_t end = address + region->size;
	for (unsigned i = 0; i < region->count; i++) {
		uint64_t size = 1ul << region->parts[i].size_bits;
		/* The last part may be larger than what is asked for. */
		size_t pages = (end - address < size ? end - address : size) / PAGE_SIZE;
		unsigned large = size >= LARGE_PAGE_SIZE && address % LARGE_PAGE_SIZE == 0 && pages % 512 == 0
		                         ? MAP_LARGE
		                         : 0;
		cptr_t window = window_open(component, region->parts[i].memory, RIGHT_READ | RIGHT_WRITE);
		if (!window_place(component, window, address, 0, pages, RIGHT_READ | RIGHT_WRITE | large))
			return false;
		address += size;
	}
	return true;
}

static bool program_map(struct component *component)
{
	cptr_t window = window_open(component, component->backings[component->image].object,
	                            RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE);
	for (unsigned i = 0; i < component->program.segment_count; i++) {
		const struct program_segment *segment = &component->program.segments[i];
		if (!window_place(component, window, segment->address, segment->offset / PAGE_SIZE,
		                  segment->size / PAGE_SIZE, segment->rights))
			return false;
	}
	return true;
}

static bool info_map(struct component *component)
{
	/* One Window; only init holds it, so the component cannot turn its start-up page writable. */
	cptr_t window = window_open(component, component->info, RIGHT_READ | RIGHT_WRITE);
	return window_place(component, window, STARTUP_ADDRESS, 0, INFO_STARTUP_PAGES, RIGHT_READ) &&
	       window_place(component, window, LAYOUT_COUNTERS, INFO_COUNTERS_PAGE, 1 + LOG_RING_PAGES,
	                    RIGHT_READ | RIGHT_WRITE);
}

static bool wall_map(struct component *component)
{
	unsigned rights = component->manifest->wall_clock ? RIGHT_READ | RIGHT_WRITE : RIGHT_READ;
	return layout_map_memory(component, init.wall, PAGE_BITS, LAYOUT_WALL, rights);
}

static bool channels_map(struct component *component)
{
	unsigned side;
	for (unsigned i = 0; i < init.manifest.channel_count; i++)
		if (channel_side(&init.channels[i], component, &side) &&
		    !region_map(component, &init.channels[i].region, layout_channel_address(component, i)))
			return false;
	return component->dma.size == 0 ||
	       region_map(component, &component->dma,
	                  layout_channel_address(component, init.manifest.channel_count));
}

static bool pools_map(struct component *component)
{
	struct manifest_grant grant;
	for (unsigned i = 0; i < init.pool_count; i++)
		if (pool_grant(&init.pools[i], component, &grant) && grant.mapped &&
		    !layout_map_memory(component, init.pools[i].memory, init.pools[i].size_bits,
		                       layout_pool_address(component, i), RIGHT_READ | RIGHT_WRITE))
			return false;
	return true;
}

bool layout_map(struct component *component)
{
	const struct backing *tables = &component->backings[component->tables];
	enum error error = vspace_feed(component->backings[component->vspace].object, tables->untyped,
	                               tables->size_bits);
	if (error != ERR_NONE) {
		log_error("%s: page tables: %s", component->manifest->name, error_text(error));
		return false;
	}
	return program_map(component) && info_map(component) && wall_map(component) &&
	       region_map(component, &component->stack, component->stack.address) &&
	       region_map(component, &component->heap, component->heap.address) && channels_map(component) &&
	       layout_map_memory(component, component->backings[component->ipc].object, PAGE_BITS + 1,
	                         LAYOUT_IPC_BUFFER, RIGHT_READ | RIGHT_WRITE) &&
	       pools_map(component);
}
