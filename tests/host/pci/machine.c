/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <driver/map.h>
#include <driver/mmio.h>
#include <pith/log.h>
#include <pith/slots.h>
#include <pith/startup.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct machine machine;
static struct startup info;
static struct ipc_buffer buffer;

#define SLOT_PORTS   1
#define SLOT_CONTROL 2

static void entry_add(const char *name, enum startup_kind kind, cptr_t slot, uint64_t address, uint64_t size)
{
	struct startup_entry *entry = &info.entries[info.entry_count++];
	*entry = (struct startup_entry){.kind = kind, .slot = slot, .address = address, .size = size};
	strcpy(entry->name, name);
}

static void untyped_add(uint64_t base, unsigned size_bits)
{
	cptr_t slot = machine.next_slot++;
	machine.slots[slot] =
	        (struct machine_slot){.type = OBJECT_UNTYPED, .base = base, .size_bits = size_bits};
	entry_add("device", STARTUP_UNTYPED, slot, 0, 1ull << size_bits);
}

void machine_reset(void)
{
	memset(&machine, 0, sizeof(machine));
	memset(&info, 0, sizeof(info));
	machine.next_slot = 10;
	machine.slot_limit = 4096;
	machine.seed = 1;
	entry_add("ports", STARTUP_IO_PORTS, SLOT_PORTS, 0xcf8, 8);
	entry_add("irq-control", STARTUP_CAPABILITY, SLOT_CONTROL, 0, 0);
}

void machine_untypeds(void)
{
	untyped_add(0xc0000000, 29);
	untyped_add(0xe0000000, 28);
	untyped_add(0xf0000000, 27);
	untyped_add(0xf8000000, 26);
	untyped_add(0xfc000000, 25);
	untyped_add(0xfe000000, 24);
	untyped_add(0x8000000000, 36);
}

/* ---- PCI ---- */

struct machine_function *machine_add(unsigned bus, unsigned device, unsigned function, uint16_t vendor,
                                     uint16_t id)
{
	struct machine_function *f = &machine.functions[machine.function_count++];
	*f = (struct machine_function){.present = true,
	                               .address = (uint16_t)(bus << 8 | device << 3 | function)};
	memcpy(f->config, &vendor, 2);
	memcpy(f->config + 2, &id, 2);
	f->config[0x0b] = 1;
	return f;
}

struct machine_function *machine_bridge(unsigned bus, unsigned device, unsigned secondary,
                                        unsigned subordinate)
{
	struct machine_function *f = machine_add(bus, device, 0, 0x8086, 0x1000);
	f->config[0x0b] = 6;
	f->config[0x0e] = 1;
	f->config[0x18] = (uint8_t)bus;
	f->config[0x19] = (uint8_t)secondary;
	f->config[0x1a] = (uint8_t)subordinate;
	return f;
}

void machine_bar(struct machine_function *function, unsigned index, uint64_t base, uint64_t size, bool wide)
{
	uint64_t mask = ~(size - 1);
	uint32_t low = (uint32_t)base | (wide ? 4 : 0), high = (uint32_t)(base >> 32);
	function->bar_mask[index] = (uint32_t)mask & ~0xfu;
	memcpy(function->config + 0x10 + 4 * index, &low, 4);
	if (wide) {
		function->bar_mask[index + 1] = (uint32_t)(mask >> 32);
		memcpy(function->config + 0x14 + 4 * index, &high, 4);
	}
}

static unsigned capability_add(struct machine_function *function, uint8_t id)
{
	unsigned at = function->config[0x34] ? 0x60 : 0x40;
	function->config[6] = 0x10;
	function->config[at] = id;
	function->config[at + 1] = function->config[0x34];
	function->config[0x34] = (uint8_t)at;
	return at;
}

void machine_msix(struct machine_function *function, unsigned bar, uint32_t offset, unsigned entries)
{
	unsigned at = capability_add(function, 0x11);
	uint16_t control = (uint16_t)(entries - 1);
	uint32_t where = offset | bar;
	memcpy(function->config + at + 2, &control, 2);
	memcpy(function->config + at + 4, &where, 4);
}

void machine_msi(struct machine_function *function)
{
	unsigned at = capability_add(function, 0x05);
	function->config[at + 2] = 0x80;
}

uint32_t machine_config(const struct machine_function *function, unsigned offset, unsigned width)
{
	uint32_t value = 0;
	memcpy(&value, function->config + offset, width);
	return value;
}

static struct machine_function *addressed(void)
{
	uint16_t address = (uint16_t)(machine.port_address >> 8);
	for (unsigned i = 0; i < machine.function_count; i++) {
		if (machine.functions[i].present && machine.functions[i].address == address)
			return &machine.functions[i];
	}
	return NULL;
}

static void config_store(struct machine_function *f, unsigned offset, unsigned width, uint32_t value)
{
	if (offset >= 0x10 && offset < 0x28 && !(f->config[0x0e] & 0x7f)) {
		unsigned index = (offset - 0x10) / 4;
		uint32_t old = machine_config(f, 0x10 + 4 * index, 4);
		value = (value & f->bar_mask[index]) | (old & ~f->bar_mask[index]);
	}
	memcpy(f->config + offset, &value, width);
}

enum error io_ports_in(cptr_t ports, unsigned port, unsigned width, uint32_t *value)
{
	struct machine_function *f = addressed();
	unsigned offset = (machine.port_address & 0xfc) + (port - 0xcfc);
	if (ports != SLOT_PORTS || port < 0xcfc || port + width > 0xd00)
		abort();
	*value = width == 4 ? UINT32_MAX : (1u << 8 * width) - 1;
	if (f && f->hostile && offset >= 4)
		*value &= (uint32_t)rand_r(&machine.seed) * 2654435761u;
	else if (f)
		*value = machine_config(f, offset, width);
	return ERR_NONE;
}

enum error io_ports_out(cptr_t ports, unsigned port, unsigned width, uint32_t value)
{
	struct machine_function *f = addressed();
	if (ports != SLOT_PORTS)
		abort();
	if (port == 0xcf8) {
		if (width != 4 || !(value & 0x80000000) || (value & 0x7f000003))
			abort();
		machine.port_address = value;
		return ERR_NONE;
	}
	if (port < 0xcfc || port + width > 0xd00)
		abort();
	if (f && !f->hostile)
		config_store(f, (machine.port_address & 0xfc) + (port - 0xcfc), width, value);
	return ERR_NONE;
}

/* ---- the kernel ---- */

unsigned machine_count(enum object_type type)
{
	unsigned count = 0;
	for (unsigned i = 0; i < 4096; i++)
		count += machine.slots[i].type == type;
	return count;
}

cptr_t slot_allocate(void)
{
	for (cptr_t slot = machine.next_slot; slot < machine.slot_limit; slot++) {
		if (machine.slots[slot].type == OBJECT_NULL) {
			machine.next_slot = slot + 1;
			return slot;
		}
	}
	return CPTR_NULL;
}

void slot_free(cptr_t slot)
{
	if (machine.slots[slot].type != OBJECT_NULL)
		abort();
	if (slot < machine.next_slot)
		machine.next_slot = slot;
}

enum error untyped_retype(cptr_t untyped, enum object_type type, unsigned size_bits, unsigned cpu,
                          unsigned count, cptr_t cnode, cptr_t first_slot)
{
	struct machine_slot *parent = &machine.slots[untyped];
	if (parent->type != OBJECT_UNTYPED || count != 1 || cnode || cpu ||
	    machine.slots[first_slot].type != OBJECT_NULL)
		abort();
	if (size_bits > parent->size_bits || size_bits < 12 || parent->size_bits - size_bits > 6)
		return ERR_ARGUMENT;
	if (parent->children && parent->chunk_bits != size_bits)
		return ERR_ARGUMENT;
	if (parent->children == 1u << (parent->size_bits - size_bits))
		return ERR_NO_MEMORY;
	parent->chunk_bits = size_bits;
	machine.slots[first_slot] =
	        (struct machine_slot){.type = type,
	                              .base = parent->base + ((uint64_t)parent->children++ << size_bits),
	                              .size_bits = size_bits,
	                              .parent = untyped};
	return ERR_NONE;
}

enum error invoke(cptr_t capability, enum operation operation, uint64_t words[MESSAGE_REGISTER_WORDS])
{
	struct machine_slot *slot = &machine.slots[capability];
	if (operation != UNTYPED_INFO || slot->type != OBJECT_UNTYPED)
		abort();
	words[0] = slot->size_bits;
	words[3] = 1;
	words[4] = slot->base;
	return ERR_NONE;
}

enum error capability_delete(cptr_t slot)
{
	if (machine.slots[slot].parent)
		machine.slots[machine.slots[slot].parent].children--;
	machine.slots[slot].type = OBJECT_NULL;
	return ERR_NONE;
}

enum error capability_revoke(cptr_t slot)
{
	machine.slots[slot].derived = 0;
	return ERR_NONE;
}

enum error irq_control_message(cptr_t control, cptr_t slot, uint64_t *address, uint64_t *data)
{
	if (control != SLOT_CONTROL || machine.slots[slot].type != OBJECT_NULL)
		abort();
	machine.slots[slot] = (struct machine_slot){.type = OBJECT_IRQ};
	*address = 0xfee00000;
	*data = 0x40 + machine.interrupts++;
	return ERR_NONE;
}

enum error irq_control_line(cptr_t control, unsigned gsi, unsigned flags, cptr_t slot)
{
	if (control != SLOT_CONTROL || gsi > 23 || !(flags & IRQ_LEVEL))
		abort();
	machine.slots[slot] = (struct machine_slot){.type = OBJECT_IRQ};
	return ERR_NONE;
}

volatile void *device_map(cptr_t memory, uint64_t first_page, size_t pages)
{
	struct machine_slot *slot = &machine.slots[memory];
	if (slot->type != OBJECT_MEMORY || first_page + pages > (1ull << slot->size_bits) / 4096)
		abort();
	if (pages > 9)
		return NULL;
	machine.mapped++;
	machine.mapped_base = slot->base + first_page * 4096;
	return machine.table;
}

uint32_t mmio_read32(const volatile void *address)
{
	return *(const volatile uint32_t *)address;
}

void mmio_write32(volatile void *address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

/* ---- startup, log ---- */

struct ipc_buffer *ipc_buffer(void)
{
	return &buffer;
}

const struct startup *startup(void)
{
	return &info;
}

const struct startup_entry *startup_need(const char *name, enum startup_kind kind, unsigned index)
{
	for (unsigned i = 0; i < info.entry_count; i++) {
		if (info.entries[i].kind == kind && !strcmp(info.entries[i].name, name) && !index--)
			return &info.entries[i];
	}
	abort();
}

bool startup_config(const char *key, char *out, size_t size)
{
	const char *at = machine.config_text;
	size_t length = strlen(key);
	while (*at) {
		size_t line = strcspn(at, "\n");
		if (line > length && !strncmp(at, key, length) && at[length] == '=') {
			snprintf(out, size, "%.*s", (int)(line - length - 1), at + length + 1);
			return true;
		}
		at += line + (at[line] == '\n');
	}
	return false;
}

const char *error_text(enum error error)
{
	return error ? "an error" : "success";
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)level, (void)format;
}

void fatal(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	abort();
}
