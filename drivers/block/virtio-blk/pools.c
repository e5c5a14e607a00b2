/* SPDX-License-Identifier: MIT */
/* The Memories that data goes to and comes from. The driver knows their physical addresses and maps none of
 * them. */
#include "disk.h"

#include <pith/log.h>
#include <pith/object.h>
#include <pith/startup.h>

static void pool_attach(struct pool *pool, unsigned index)
{
	const struct startup_entry *entry = startup_find("pool", STARTUP_MEMORY, index);
	size_t pages = 0;
	bool device = false;
	uint64_t physical = 0;
	if (!entry)
		return;
	enum error error = memory_info(entry->slot, &pages, &device, &physical);
	if (error || device || !physical) {
		log_error("pool %u is not RAM with the dma right: requests for it fail", index);
		return;
	}
	*pool = (struct pool){.physical = physical, .size = pages * PAGE_SIZE};
}

void disk_pools_attach(struct disk *disk)
{
	for (unsigned i = 0; i < BLOCK_POOLS_MAX; i++)
		pool_attach(&disk->pools[i], i);
}

bool disk_pool_range(const struct disk *disk, const struct block_segment *segment, uint64_t *physical)
{
	if (segment->pool >= BLOCK_POOLS_MAX)
		return false;
	const struct pool *pool = &disk->pools[segment->pool];
	if (segment->offset > pool->size || segment->length > pool->size - segment->offset)
		return false;
	*physical = pool->physical + segment->offset;
	return true;
}
