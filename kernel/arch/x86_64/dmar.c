/* SPDX-License-Identifier: MIT */
/*
 * The ACPI table of Intel's IOMMUs (DMAR): where their registers are, and for which devices firmware reserves
 * memory. What cannot be understood makes the whole table bad: then no IOMMU is used.
 */
#include "local.h"

#define TABLE_HEADER 48 /* before the first entry */

enum { ENTRY_UNIT = 0, ENTRY_RESERVED = 1 };
enum { SCOPE_BRIDGE = 2 };

/* flags, size, segment, address of the registers, devices. Units of other segments know other devices. */
static bool unit_parse(struct dmar_info *dmar, const uint8_t *entry, unsigned length)
{
	uint64_t address;

	if (length < 16)
		return false;
	if (load(entry + 6, 2) != 0)
		return true;
	address = load(entry + 8, 8);
	if (address == 0 || address % PAGE_SIZE != 0 || address >> 46 != 0 || dmar->unit_count == DMAR_UNITS)
		return false;
	dmar->units[dmar->unit_count++] = address;
	return true;
}

/* type, length, 2 bytes, id, bus, then a device and a function for each bridge on the way and for the device
 * itself */
static bool scope_parse(struct dmar_info *dmar, const uint8_t *scope, unsigned length)
{
	const uint8_t *last = scope + length - 2;

	if (length < 8 || length % 2 != 0 || last[0] > 31 || last[1] > 7 ||
	    dmar->reserved_count == DMAR_RESERVED)
		return false;
	dmar->reserved[dmar->reserved_count++] = (struct dmar_reserved){
	        .bus = scope[5],
	        .device = (uint8_t)(last[0] << 3 | last[1]),
	        .direct = length == 8,
	        .bridge = scope[0] == SCOPE_BRIDGE,
	};
	return true;
}

/* 2 bytes, segment, first and last byte, devices */
static bool reserved_parse(struct dmar_info *dmar, const uint8_t *entry, unsigned length)
{
	unsigned at = 24;

	if (length < at)
		return false;
	if (load(entry + 6, 2) != 0)
		return true;
	while (at < length) {
		unsigned rest = length - at;

		if (rest < 2 || entry[at + 1] > rest || !scope_parse(dmar, entry + at, entry[at + 1]))
			return false;
		at += entry[at + 1];
	}
	return true;
}

static bool entries_parse(struct dmar_info *dmar, const uint8_t *table, uint32_t size)
{
	uint32_t at = TABLE_HEADER;

	if (size < at)
		return false;
	while (at < size) {
		const uint8_t *entry = table + at;
		uint32_t rest = size - at, length = rest < 4 ? 0 : (uint32_t)load(entry + 2, 2);
		bool good = length >= 4 && length <= rest;

		if (good && load(entry, 2) == ENTRY_UNIT)
			good = unit_parse(dmar, entry, length);
		else if (good && load(entry, 2) == ENTRY_RESERVED)
			good = reserved_parse(dmar, entry, length);
		if (!good)
			return false;
		at += length;
	}
	return true;
}

void dmar_parse(struct dmar_info *dmar, const void *table, uint32_t size)
{
	if (entries_parse(dmar, table, size))
		return;
	kernel_log("acpi: the DMAR is bad: no IOMMU is used\n");
	dmar->unit_count = 0;
}

/*
 * The kernel does not ask bridges which buses are behind them: behind a bridge, the device may be on any
 * other bus. So this may be said of more devices than it is true of.
 */
bool dmar_reserves(const struct dmar_info *dmar, unsigned requester)
{
	unsigned bus = requester >> 8, device = requester & 0xff;

	for (unsigned i = 0; i < dmar->reserved_count; i++) {
		const struct dmar_reserved *reserved = &dmar->reserved[i];

		if (reserved->direct && bus == reserved->bus && device == reserved->device)
			return true;
		if (bus != reserved->bus &&
		    (reserved->bridge || (!reserved->direct && device == reserved->device)))
			return true;
	}
	return false;
}
