/* SPDX-License-Identifier: MIT */
/* A driver's own memory that its device may read and write: cut from one Memory of the manifest, never given
 * back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dma_area {
	uint8_t *memory;
	uint64_t physical;
	size_t size, used;
};

/* The startup entry "dma" (STARTUP_MEMORY, mapped, with DMA right). Fatal with a clear text if it is missing
 * or unusable. */
void dma_area_attach(struct dma_area *area);
/* Zeroed; NULL: it does not fit. alignment is a power of two. */
void *dma_allocate(struct dma_area *area, size_t size, size_t alignment, uint64_t *physical);
static inline size_t dma_free(const struct dma_area *area)
{
	return area->size - area->used;
}
