/* SPDX-License-Identifier: MIT */
/*
 * RAM. Everything that init hands out lives as long as the system (a restarted component gets its own memory
 * back), so blocks are only ever taken: the smallest free one that fits is split by halves.
 */
#include "init.h"

#define ORDERS     48
#define ORDER_FREE 128

static struct {
	cptr_t blocks[ORDER_FREE];
	unsigned count;
} orders[ORDERS];

static void block_add(unsigned bits, cptr_t untyped)
{
	if (orders[bits].count == ORDER_FREE) {
		log_warning("RAM is in too many pieces: one of %lu bytes is not used", 1ul << bits);
		return;
	}
	orders[bits].blocks[orders[bits].count++] = untyped;
}

void ram_init(void)
{
	for (uint64_t i = 0; i < boot_information->untyped_count; i++) {
		const struct boot_untyped *untyped = &boot_information->untypeds[i];
		if (!untyped->device && untyped->size_bits < ORDERS)
			block_add(untyped->size_bits, (cptr_t)(INIT_SLOT_UNTYPED + i));
	}
}

/* One block of 2^bits becomes two of half the size. */
static bool block_split(unsigned bits)
{
	cptr_t untyped = orders[bits].blocks[--orders[bits].count];
	for (int half = 0; half < 2; half++) {
		cptr_t slot = slot_allocate();
		enum error error =
		        slot ? untyped_retype(untyped, OBJECT_UNTYPED, bits - 1, 0, 1, CPTR_NULL, slot)
		             : ERR_LIMIT;
		if (error != ERR_NONE) {
			log_error("splitting RAM: %s", error_text(error));
			return false;
		}
		block_add(bits - 1, slot);
	}
	return true;
}

cptr_t ram_take(unsigned size_bits)
{
	unsigned bits = size_bits;
	while (bits < ORDERS && orders[bits].count == 0)
		bits++;
	if (bits == ORDERS)
		return CPTR_NULL;
	for (; bits > size_bits; bits--)
		if (!block_split(bits))
			return CPTR_NULL;
	return orders[size_bits].blocks[--orders[size_bits].count];
}

cptr_t ram_take_largest(unsigned minimum_bits, unsigned *size_bits)
{
	for (unsigned bits = ORDERS - 1; bits >= minimum_bits; bits--) {
		if (orders[bits].count == 0)
			continue;
		*size_bits = bits;
		return orders[bits].blocks[--orders[bits].count];
	}
	return CPTR_NULL;
}

uint64_t ram_free(void)
{
	uint64_t bytes = 0;
	for (unsigned bits = 0; bits < ORDERS; bits++)
		bytes += (uint64_t)orders[bits].count << bits;
	return bytes;
}
