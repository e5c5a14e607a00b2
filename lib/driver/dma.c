/* SPDX-License-Identifier: MIT */
#include <driver/dma.h>

#include <string.h>
#include <pith/log.h>
#include <pith/object.h>
#include <pith/startup.h>

void dma_area_attach(struct dma_area *area)
{
	const struct startup_entry *entry = startup_need("dma", STARTUP_MEMORY, 0);
	size_t pages = 0;
	bool device = false;
	uint64_t physical = 0;
	enum error error = memory_info(entry->slot, &pages, &device, &physical);
	if (error || device || !physical)
		fatal("memory \"dma\" of the manifest is not RAM with the dma right (%s)", error_text(error));
	if (!entry->address || entry->size > pages * PAGE_SIZE)
		fatal("memory \"dma\" of the manifest is not mapped");
	*area = (struct dma_area){(uint8_t *)(uintptr_t)entry->address, physical, entry->size, 0};
}

void *dma_allocate(struct dma_area *area, size_t size, size_t alignment, uint64_t *physical)
{
	size_t start = (area->used + alignment - 1) & ~(alignment - 1);
	if (start > area->size || size > area->size - start)
		return NULL;
	area->used = start + size;
	*physical = area->physical + start;
	return memset(area->memory + start, 0, size);
}
