/* SPDX-License-Identifier: MIT */
/* Mapping of device memory and binding of interrupts: what every driver needs once at its start. */
#include <driver/map.h>

#include <pith/log.h>
#include <pith/slots.h>
#include <pith/startup.h>

/* Free for drivers in every component's address space: below 1 GiB, so that it shares page tables with the
 * program. */
#define DEVICE_MAP_BASE 0x30000000ul
#define DEVICE_MAP_END  0x3f000000ul
/* Page-table memory is fed in pieces of this size when the address space has run out of it. */
#define FEED_BITS 14

static uint64_t map_next = DEVICE_MAP_BASE;

/* Maps the whole range, feeding page tables as often as needed. */
static bool window_map_all(cptr_t window, cptr_t vspace, uint64_t address, uint64_t first_page, size_t pages)
{
	for (size_t mapped = 0; mapped < pages;) {
		size_t done = 0;
		enum error error = window_map(window, address + mapped * PAGE_SIZE, first_page + mapped,
		                              pages - mapped, RIGHT_READ | RIGHT_WRITE | MAP_UNCACHED, &done);
		mapped += done;
		if (!error && mapped < pages && !done)
			return false;
		if (!error)
			continue;
		cptr_t tables = error == ERR_NO_MEMORY ? object_untyped(FEED_BITS) : CPTR_NULL;
		if (!tables || vspace_feed(vspace, tables, FEED_BITS)) {
			log_error("mapping a device register page: %s", error_text(error));
			return false;
		}
	}
	return true;
}

volatile void *device_map(cptr_t memory, uint64_t first_page, size_t pages)
{
	cptr_t vspace = startup_need("vspace", STARTUP_CAPABILITY, 0)->slot;
	if (!pages || pages > (DEVICE_MAP_END - map_next) / PAGE_SIZE)
		return NULL;
	cptr_t window = object_create(OBJECT_WINDOW, 0);
	if (!window)
		return NULL;
	uint64_t address = map_next;
	if (window_bind(window, memory, vspace, RIGHT_READ | RIGHT_WRITE) ||
	    !window_map_all(window, vspace, address, first_page, pages)) {
		object_destroy(window);
		return NULL;
	}
	map_next += pages * PAGE_SIZE;
	return (volatile void *)(uintptr_t)address;
}

/* The bits that init has given to channels and interrupts of the manifest. */
static uint64_t event_bits_of_startup(void)
{
	uint64_t used = 0;
	const struct startup *info = startup();
	for (uint32_t i = 0; i < info->entry_count && i < STARTUP_ENTRIES; i++) {
		const struct startup_entry *entry = &info->entries[i];
		if ((entry->kind == STARTUP_CHANNEL || entry->kind == STARTUP_IRQ) && entry->bit < 64)
			used |= 1ull << entry->bit;
	}
	return used;
}

unsigned event_bit_allocate(void)
{
	static uint64_t allocated;
	uint64_t used = allocated | event_bits_of_startup();
	for (unsigned bit = 64; bit-- > 0;) {
		if (used & 1ull << bit)
			continue;
		allocated |= 1ull << bit;
		return bit;
	}
	fatal("all 64 event bits are taken");
}

bool irq_bind_event(cptr_t irq, unsigned bit)
{
	cptr_t events = startup_need("events", STARTUP_NOTIFICATION, 0)->slot;
	cptr_t badged = slot_allocate();
	if (!badged)
		return false;
	enum error error = capability_derive(badged, events, RIGHT_WRITE, 1ull << bit, 0);
	if (!error)
		error = irq_bind(irq, badged);
	if (error)
		log_error("binding an interrupt: %s", error_text(error));
	/* The badged capability stays: the Irq's binding is derived from it. */
	return !error;
}
