/* SPDX-License-Identifier: MIT */
/*
 * Reading firmware tables: physical memory that is not RAM. A whole device Untyped becomes a Memory, the
 * pages of interest are mapped and copied, and everything is undone, so that the Untyped is uncut again when
 * the bus component gets it.
 */
#include <string.h>

#include "init.h"

static bool untyped_read(uint64_t index, uint64_t physical, void *out, size_t size)
{
	const struct boot_untyped *untyped = &boot_information->untypeds[index];
	cptr_t memory = slot_allocate(), window;
	uint64_t offset = physical - untyped->address;
	if (memory == CPTR_NULL)
		return false;
	enum error error = untyped_retype((cptr_t)(INIT_SLOT_UNTYPED + index), OBJECT_MEMORY,
	                                  untyped->size_bits, 0, 1, CPTR_NULL, memory);
	if (error != ERR_NONE) {
		log_warning("firmware memory at %#lx: %s", physical, error_text(error));
		slot_free(memory);
		return false;
	}
	size_t pages = (offset % PAGE_SIZE + size + PAGE_SIZE - 1) / PAGE_SIZE;
	const uint8_t *mapped = space_scratch(memory, offset / PAGE_SIZE, pages, RIGHT_READ, &window);
	if (mapped) {
		memcpy(out, mapped + offset % PAGE_SIZE, size);
		space_scratch_end(window);
	}
	capability_delete(memory);
	slot_free(memory);
	return mapped != NULL;
}

bool devices_read(uint64_t physical, void *out, size_t size)
{
	for (uint64_t i = 0; i < boot_information->untyped_count; i++) {
		const struct boot_untyped *untyped = &boot_information->untypeds[i];
		uint64_t bytes = 1ul << untyped->size_bits;
		if (!untyped->device || physical < untyped->address || physical - untyped->address >= bytes)
			continue;
		/* What goes on in the next Untyped is read from there. */
		uint64_t here = bytes - (physical - untyped->address);
		size_t part = here < size ? here : size;
		return untyped_read(i, physical, out, part) &&
		       (part == size || devices_read(physical + part, (uint8_t *)out + part, size - part));
	}
	return false;
}
