/* SPDX-License-Identifier: MIT */
/* A machine with PCI functions behind the configuration ports, and the part of the kernel that the bus
 * component uses. */
#pragma once

#include <pith/object.h>
#include <stdbool.h>
#include <stdint.h>

#define FUNCTION_SLOTS 64

/* A function of the machine. Registers outside the BARs are plain memory: writes stick. */
struct machine_function {
	bool present;
	uint16_t address;
	uint8_t config[256];
	uint32_t bar_mask[6]; /* bits of the BAR that can be written; 0: no BAR */
	bool hostile;         /* answers reads with noise */
};

struct machine_slot {
	enum object_type type;
	uint64_t base;
	unsigned size_bits;
	cptr_t parent; /* the Untyped that it was made of */
	unsigned children, chunk_bits;
	unsigned derived; /* capabilities that drivers have */
};

struct machine {
	struct machine_function functions[FUNCTION_SLOTS];
	unsigned function_count;
	struct machine_slot slots[4096];
	cptr_t next_slot, slot_limit;
	uint8_t table[4096 * 9]; /* what device_map maps */
	unsigned mapped, interrupts;
	uint64_t mapped_base;
	char config_text[512];
	uint32_t port_address;
	unsigned seed;
};

extern struct machine machine;

void machine_reset(void);
/* Device Untypeds of [0xc0000000, 4 GiB) without the last 16 MiB's half, and one above 4 GiB. */
void machine_untypeds(void);
struct machine_function *machine_add(unsigned bus, unsigned device, unsigned function, uint16_t vendor,
                                     uint16_t id);
struct machine_function *machine_bridge(unsigned bus, unsigned device, unsigned secondary,
                                        unsigned subordinate);
/* wide: 64 bits. size: a power of two. */
void machine_bar(struct machine_function *function, unsigned index, uint64_t base, uint64_t size, bool wide);
void machine_msix(struct machine_function *function, unsigned bar, uint32_t offset, unsigned entries);
void machine_msi(struct machine_function *function);
uint32_t machine_config(const struct machine_function *function, unsigned offset, unsigned width);
/* Slots in use of a type */
unsigned machine_count(enum object_type type);
