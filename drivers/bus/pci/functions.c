/* SPDX-License-Identifier: MIT */
/* Enumeration. Everything read here comes from devices: every loop is bounded by the table, never by what
 * they say. */
#include "functions.h"

#include <stddef.h>
#include <pith/log.h>

#define BAR_IO          0x1
#define BAR_TYPE_MASK   0x6
#define BAR_TYPE_64     0x4
#define BAR_IO_MASK     (~0x3u)
#define BAR_MEMORY_MASK (~0xfu)
#define BUSES           256

#define VIRTIO_VENDOR       0x1af4
#define VIRTIO_TRANSITIONAL 0x1000 /* first device ID */
#define VIRTIO_MODERN       0x1040 /* + the type */
#define VIRTIO_TYPES        0x40

static struct function functions[FUNCTIONS_MAX];
static unsigned count;

unsigned function_count(void)
{
	return count;
}

struct function *function_at(unsigned index)
{
	return index < count ? &functions[index] : NULL;
}

struct function *function_find(uint16_t vendor, uint16_t device, unsigned n)
{
	for (unsigned i = 0; i < count; i++) {
		if (functions[i].vendor == vendor && functions[i].device == device && !n--)
			return &functions[i];
	}
	return NULL;
}

void function_command(const struct function *function, uint16_t set, uint16_t clear)
{
	uint32_t command = config_read(function->address, CONFIG_COMMAND, 2);
	config_write(function->address, CONFIG_COMMAND, 2, (command & ~(uint32_t)clear) | set);
}

void function_bridges_enable(const struct function *function)
{
	uint8_t bus = (uint8_t)(function->address >> 8);
	for (unsigned i = 0; i < count; i++) {
		struct function *bridge = &functions[i];
		if (bridge->bridge && bus >= bridge->secondary && bus <= bridge->subordinate)
			function_command(bridge, COMMAND_MEMORY | COMMAND_MASTER, 0);
	}
}

/* Sizes one BAR by writing ones; decoding is off while it is done. The upper half only of 64-bit BARs. */
static void bar_size(pci_address address, unsigned index, struct bar *bar)
{
	unsigned offset = CONFIG_BAR + 4 * index;
	uint32_t low = config_read(address, offset, 4), high = 0;
	config_write(address, offset, 4, UINT32_MAX);
	uint32_t mask = config_read(address, offset, 4), mask_high = UINT32_MAX;
	config_write(address, offset, 4, low);
	*bar = (struct bar){.io = low & BAR_IO,
	                    .wide = !(low & BAR_IO) && (low & BAR_TYPE_MASK) == BAR_TYPE_64};
	if (bar->wide) {
		high = config_read(address, offset + 4, 4);
		config_write(address, offset + 4, 4, UINT32_MAX);
		mask_high = config_read(address, offset + 4, 4);
		config_write(address, offset + 4, 4, high);
	}
	uint32_t kept = bar->io ? BAR_IO_MASK : BAR_MEMORY_MASK;
	if (!(mask & kept) && (!bar->wide || !mask_high))
		return;
	uint64_t size = ~((uint64_t)mask_high << 32 | (mask & kept)) + 1;
	if (bar->io)
		size &= 0xffff;
	/* A size that is no power of two is no BAR. */
	if (!size || (size & (size - 1)))
		return;
	bar->size = size;
	bar->base = ((uint64_t)high << 32 | (low & kept)) & ~(size - 1);
}

static void bars_size(struct function *function)
{
	function_command(function, 0, COMMAND_IO | COMMAND_MEMORY);
	for (unsigned i = 0; i < BARS; i++) {
		struct bar *bar = &function->bars[i];
		bar_size(function->address, i, bar);
		if (bar->wide && i + 1 == BARS)
			*bar = (struct bar){0};
		if (bar->wide)
			i++;
	}
}

/* A virtio device that also has the legacy interface (transitional) is known by the ID that its type, in the
 * subsystem ID, has without that: who drives the one kind drives the other. */
static uint16_t device_id(pci_address address, uint32_t id)
{
	uint16_t device = (uint16_t)(id >> 16);
	if ((uint16_t)id != VIRTIO_VENDOR || device < VIRTIO_TRANSITIONAL || device >= VIRTIO_MODERN)
		return device;
	return (uint16_t)(VIRTIO_MODERN + config_read(address, CONFIG_SUBSYSTEM, 2) % VIRTIO_TYPES);
}

/* Adds a function to the table and quiets it. */
static void function_add(pci_address address, uint32_t id, unsigned header)
{
	if (count == FUNCTIONS_MAX) {
		log_warning("more than %d functions: %02x:%02x.%x is left out", FUNCTIONS_MAX, address >> 8,
		            address >> 3 & 31, address & 7);
		return;
	}
	struct function *function = &functions[count++];
	uint32_t revision = config_read(address, CONFIG_REVISION, 4);
	*function = (struct function){
	        .address = address,
	        .vendor = (uint16_t)id,
	        .device = device_id(address, id),
	        .class_revision = revision >> 8 | revision << 24,
	        .bridge = header == HEADER_TYPE_BRIDGE,
	};
	if (function->bridge) {
		function->secondary = (uint8_t)config_read(address, CONFIG_SECONDARY_BUS, 1);
		function->subordinate = (uint8_t)config_read(address, CONFIG_SUBORDINATE_BUS, 1);
	}
	if (header != HEADER_TYPE_DEVICE)
		return;
	uint32_t command = config_read(address, CONFIG_COMMAND, 2);
	function_command(function, COMMAND_INTX_DISABLE, COMMAND_MASTER);
	/* Host bridges decode what the whole machine needs: hands off their BARs. */
	if (revision >> 24 != 0x06) {
		bars_size(function);
		function_command(function, command & (COMMAND_IO | COMMAND_MEMORY), 0);
	}
	function->msix = (uint8_t)config_capability(address, CAPABILITY_ID_MSIX);
	function->msi = (uint8_t)config_capability(address, CAPABILITY_ID_MSI);
	log_info("%02x:%02x.%x %04x:%04x class %06x%s", address >> 8, address >> 3 & 31, address & 7,
	         function->vendor, id >> 16, function->class_revision & 0xffffff,
	         function->msix  ? ", msi-x"
	         : function->msi ? ", msi"
	                         : "");
}

static void bus_scan(unsigned bus)
{
	for (unsigned device = 0; device < 32; device++) {
		for (unsigned number = 0; number < 8; number++) {
			pci_address address = (pci_address)(bus << 8 | device << 3 | number);
			uint32_t id = config_read(address, CONFIG_VENDOR, 4);
			if ((id & 0xffff) == 0xffff || !id) {
				if (!number)
					break;
				continue;
			}
			unsigned header = config_read(address, CONFIG_HEADER_TYPE, 1);
			function_add(address, id, header & HEADER_TYPE_MASK);
			if (!number && !(header & HEADER_MULTIFUNCTION))
				break;
		}
	}
}

void functions_scan(void)
{
	/* Buses still to look at; a bit each, so that bridges that lie in a circle are walked once. */
	bool wanted[BUSES] = {true}, seen[BUSES] = {false};
	count = 0;
	for (unsigned bus = 0; bus < BUSES;) {
		if (!wanted[bus] || seen[bus]) {
			bus++;
			continue;
		}
		unsigned first = count;
		seen[bus] = true;
		bus_scan(bus);
		for (unsigned i = first; i < count; i++) {
			if (functions[i].bridge && functions[i].secondary > bus)
				wanted[functions[i].secondary] = true;
			else if (functions[i].bridge)
				log_warning("the bridge %04x leads to no bus of its own",
				            functions[i].address);
		}
	}
}
