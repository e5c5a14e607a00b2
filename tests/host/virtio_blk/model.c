/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <driver/mmio.h>
#include <driver/virtqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAR_SIZE      0x4000
#define REGION_COMMON 0x0000
#define REGION_ISR    0x1000
#define REGION_DEVICE 0x2000
#define REGION_NOTIFY 0x3000

#define DMA_PHYSICAL  0x100000ull
#define POOL_PHYSICAL 0x10000000ull
#define POOL_STRIDE   0x1000000ull

struct model model;
uint8_t pools[MODEL_POOLS][MODEL_POOL_SIZE];
_Alignas(4096) uint8_t dma_memory[512 * 1024];
_Alignas(4096) uint8_t bar_memory[BAR_SIZE];

static _Noreturn void violation(const char *text, uint64_t value)
{
	printf("the driver makes the device do what it must not: %s (%llx)\n", text,
	       (unsigned long long)value);
	abort();
}

/* The model's view of memory. */
static uint8_t *physical(uint64_t address, uint64_t length)
{
	if (!model.mastering)
		violation("DMA while bus mastering is off", address);
	if (address >= DMA_PHYSICAL && address - DMA_PHYSICAL <= model.dma_size &&
	    length <= model.dma_size - (address - DMA_PHYSICAL))
		return dma_memory + (address - DMA_PHYSICAL);
	for (unsigned i = 0; i < MODEL_POOLS; i++) {
		uint64_t base = POOL_PHYSICAL + i * POOL_STRIDE;
		if (address >= base && address - base <= MODEL_POOL_SIZE &&
		    length <= MODEL_POOL_SIZE - (address - base))
			return pools[i] + (address - base);
	}
	violation("DMA outside the driver's memory", address);
}

static void capability(unsigned at, unsigned next, unsigned type, uint32_t offset, uint32_t length)
{
	model.config[at] = 9;
	model.config[at + 1] = (uint8_t)next;
	model.config[at + 2] = 16;
	model.config[at + 3] = (uint8_t)type;
	model.config[at + 4] = 4;
	memcpy(model.config + at + 8, &offset, 4);
	memcpy(model.config + at + 12, &length, 4);
}

void model_reset(void)
{
	uint8_t *disk = malloc(sizeof(model.disk));
	memcpy(disk, model.disk, sizeof(model.disk));
	memset(&model, 0, sizeof(model));
	memcpy(model.disk, disk, sizeof(model.disk));
	free(disk);
	model.present = model.message_interrupts = true;
	model.offered = 1ull << 32 | 1ull << 28 | 1ull << 2 | 1ull << 6 | 1ull << 9 | 1ull << 35;
	model.queue_size_max = 256;
	model.segments_max = 254;
	model.block_size = 512;
	model.capacity = MODEL_SECTORS;
	model.dma_size = sizeof(dma_memory);
	model.config[6] = 0x10;
	model.config[0x34] = 0x40;
	capability(0x40, 0x50, 1, REGION_COMMON, 0x1000);
	capability(0x50, 0x60, 3, REGION_ISR, 0x1000);
	capability(0x60, 0x70, 4, REGION_DEVICE, 0x1000);
	capability(0x70, 0x00, 2, REGION_NOTIFY, 0x1000);
	model.config[0x80] = 4; /* notify multiplier */
}

/* ---- registers ---- */

static void device_reset(void)
{
	model.resets++;
	model.status = 0;
	model.features = 0;
	model.queue_size = model.queue_size_max;
	model.queue_vector = 0xffff;
	model.queue_enable = 0;
	model.descriptors = model.available = model.used = 0;
	model.available_index = model.used_index = 0;
	model.isr = 0;
	model.interrupt = false;
}

static size_t register_offset(const volatile void *address, unsigned width)
{
	size_t offset = (size_t)((const volatile uint8_t *)address - bar_memory);
	if (offset >= BAR_SIZE || offset % width)
		violation("register access out of the BAR", offset);
	return offset;
}

static uint32_t config_field(size_t offset)
{
	switch (offset) {
	case 0:
		return (uint32_t)model.capacity;
	case 4:
		return (uint32_t)(model.capacity >> 32);
	case 12:
		return model.segments_max;
	case 20:
		return model.block_size;
	default:
		return 0;
	}
}

static uint32_t register_read(const volatile void *address, unsigned width)
{
	size_t offset = register_offset(address, width);
	if (offset >= REGION_NOTIFY)
		return 0;
	if (offset >= REGION_DEVICE)
		return config_field(offset - REGION_DEVICE);
	if (offset >= REGION_ISR) {
		uint8_t isr = model.isr;
		model.isr = 0;
		return isr;
	}
	switch (offset) {
	case 0x04:
		return model.device_select < 2 ? (uint32_t)(model.offered >> (32 * model.device_select)) : 0;
	case 0x14:
		if (model.hostility == STAYS_IN_RESET)
			return 0x80;
		return model.status | (model.hostility == NEEDS_RESET && (model.status & 4) ? 64 : 0);
	case 0x18:
		return model.queue_size;
	case 0x1a:
		return model.queue_vector;
	case 0x1e:
		return model.notify_offset;
	default:
		return 0;
	}
}

static void half_write(uint64_t *field, bool upper, uint32_t value)
{
	if (upper)
		*field = (*field & 0xffffffff) | (uint64_t)value << 32;
	else
		*field = (*field & ~0xffffffffull) | value;
}

static void common_write(size_t offset, uint32_t value)
{
	switch (offset) {
	case 0x00:
		model.device_select = value;
		break;
	case 0x08:
		model.driver_select = value;
		break;
	case 0x0c:
		half_write(&model.features, model.driver_select == 1, value);
		if (model.features & ~model.offered)
			violation("features that were not offered", model.features);
		break;
	case 0x14:
		if (!value)
			device_reset();
		else
			model.status = (uint8_t)(model.hostility == REFUSES_FEATURES ? value & ~8u : value);
		break;
	case 0x18:
		model.queue_size = (uint16_t)value;
		break;
	case 0x1a:
		model.queue_vector = (uint16_t)value;
		break;
	case 0x1c:
		model.queue_enable = (uint16_t)value;
		break;
	case 0x20:
	case 0x24:
		half_write(&model.descriptors, offset == 0x24, value);
		break;
	case 0x28:
	case 0x2c:
		half_write(&model.available, offset == 0x2c, value);
		break;
	case 0x30:
	case 0x34:
		half_write(&model.used, offset == 0x34, value);
		break;
	default:
		break;
	}
}

static void register_write(volatile void *address, unsigned width, uint32_t value)
{
	size_t offset = register_offset(address, width);
	if (offset >= REGION_NOTIFY)
		model.notifications++;
	else if (offset < REGION_ISR)
		common_write(offset, value);
	else
		violation("a write to read-only registers", offset);
}

uint8_t mmio_read8(const volatile void *address)
{
	return (uint8_t)register_read(address, 1);
}

uint16_t mmio_read16(const volatile void *address)
{
	return (uint16_t)register_read(address, 2);
}

uint32_t mmio_read32(const volatile void *address)
{
	return register_read(address, 4);
}

void mmio_write8(volatile void *address, uint8_t value)
{
	register_write(address, 1, value);
}

void mmio_write16(volatile void *address, uint16_t value)
{
	register_write(address, 2, value);
}

void mmio_write32(volatile void *address, uint32_t value)
{
	register_write(address, 4, value);
}

/* ---- requests ---- */

#define CHAIN_MAX 128

struct piece {
	uint8_t *memory;
	uint32_t length;
	bool writable;
};

static unsigned chain_read(struct piece *pieces, uint64_t table, unsigned table_size, unsigned at,
                           bool nested)
{
	unsigned count = 0;
	for (;;) {
		if (at >= table_size || count == CHAIN_MAX)
			violation("a chain that does not end", at);
		struct virtqueue_descriptor d;
		memcpy(&d, physical(table + at * sizeof(d), sizeof(d)), sizeof(d));
		if (d.flags & 4) {
			if (nested || (d.flags & 1))
				violation("a nested indirect descriptor", at);
			return chain_read(pieces, d.address, d.length / sizeof(d), 0, true);
		}
		if (!d.length)
			violation("an empty descriptor", at);
		pieces[count++] = (struct piece){physical(d.address, d.length), d.length, d.flags & 2};
		if (!(d.flags & 1))
			return count;
		at = d.next;
	}
}

static void request_serve(const struct piece *pieces, unsigned count)
{
	uint32_t type;
	uint64_t sector, bytes = 0;
	if (count < 2 || pieces[0].length != 16 || pieces[0].writable || pieces[count - 1].length != 1 ||
	    !pieces[count - 1].writable)
		violation("a malformed request", count);
	memcpy(&type, pieces[0].memory, 4);
	memcpy(&sector, pieces[0].memory + 8, 8);
	uint8_t *status = pieces[count - 1].memory;
	if (count - 2 > model.parts_largest)
		model.parts_largest = count - 2;
	if (type == 4 && count == 2 && (model.offered & 1 << 9)) {
		*status = 0;
		return;
	}
	if (type > 1 || (type == 1 && (model.offered & 1 << 5)))
		violation("an operation that the device does not have", type);
	for (unsigned i = 1; i + 1 < count; i++) {
		if (pieces[i].writable != (type == 0))
			violation("a segment of the wrong direction", i);
		bytes += pieces[i].length;
	}
	if (!bytes)
		violation("a transfer of nothing", type);
	if (bytes % model.block_size || sector > model.capacity || bytes / 512 > model.capacity - sector)
		violation("beyond the end of the disk", sector);
	if (count - 2 > model.segments_max)
		violation("more segments than the device takes", count);
	*status = model.fail_io ? 1 : 0;
	uint8_t *at = model.disk + sector * 512;
	for (unsigned i = 1; i + 1 < count && !model.fail_io; i++) {
		if (type == 0)
			memcpy(pieces[i].memory, at, pieces[i].length);
		else
			memcpy(at, pieces[i].memory, pieces[i].length);
		at += pieces[i].length;
	}
}

static void used_put(uint32_t id)
{
	struct virtqueue_used *used = (void *)physical(model.used, 4);
	physical(model.used, sizeof(*used) + model.queue_size * 8ull);
	used->ring[model.used_index % model.queue_size].id = id;
	used->ring[model.used_index % model.queue_size].length = 1;
	used->index = ++model.used_index;
}

static void misbehave(uint16_t head)
{
	struct virtqueue_used *used = (void *)physical(model.used, 4);
	switch (model.hostility) {
	case ID_OUT_OF_RANGE:
		used_put(0xffffff00u);
		break;
	case ID_NOT_IN_FLIGHT:
		used_put(model.queue_size - 1u);
		break;
	case INDEX_JUMPS:
		used->index = (uint16_t)(model.used_index + model.queue_size + 1);
		break;
	case COMPLETES_TWICE:
		used_put(head);
		used_put(head);
		break;
	default:
		used_put(head);
		break;
	}
}

unsigned model_run(unsigned most, unsigned *seed)
{
	uint16_t heads[256];
	unsigned count = 0;
	if (!model.mastering || !(model.status & 4) || !model.queue_enable)
		return 0;
	struct virtqueue_available *available = (void *)physical(model.available, 4);
	physical(model.available, 4 + model.queue_size * 2ull);
	if ((uint16_t)(available->index - model.available_index) > model.queue_size)
		violation("the available index jumps", available->index);
	if (model.hostility == NEEDS_RESET)
		model.interrupt = true;
	while (model.hostility != NEEDS_RESET && model.available_index != available->index && count < most &&
	       count < 256) {
		heads[count++] = available->ring[model.available_index % model.queue_size];
		model.available_index++;
	}
	for (unsigned left = count; left; left--) {
		unsigned pick = (unsigned)rand_r(seed) % left;
		struct piece pieces[CHAIN_MAX];
		unsigned length = chain_read(pieces, model.descriptors, model.queue_size, heads[pick], false);
		request_serve(pieces, length);
		misbehave(heads[pick]);
		heads[pick] = heads[left - 1];
		model.requests++;
	}
	if (count) {
		model.interrupt = true;
		model.isr = 1;
	}
	return count;
}
