/* SPDX-License-Identifier: MIT */
/* The table of PCI functions that the machine has, and what their BARs are. Built once at start. */
#pragma once

#include <stdbool.h>
#include "config.h"

#define FUNCTIONS_MAX 128
#define BARS          6

struct bar {
	uint64_t base; /* 0: without an address */
	uint64_t size; /* 0: there is no such BAR */
	bool io;       /* in port space: never handed over */
	bool wide;     /* 64 bits: the next BAR's register is its upper half */
};

struct function {
	pci_address address;
	uint16_t vendor, device;
	uint32_t class_revision; /* class code | revision << 24 */
	bool bridge;
	uint8_t secondary, subordinate; /* buses behind a bridge */
	struct bar bars[BARS];
	uint8_t msix, msi; /* offsets of the capabilities, 0: none */
};

/* Walks all buses from 0 through the bridges, in bus order. Every function's bus mastering is off afterwards
 * (but for bridges, which only pass on), and so are its interrupts. */
void functions_scan(void);
unsigned function_count(void);
struct function *function_at(unsigned index);
/* The n-th function with these ids in bus order; NULL: there is none. */
struct function *function_find(uint16_t vendor, uint16_t device, unsigned n);

void function_command(const struct function *function, uint16_t set, uint16_t clear);
/* Bus mastering of all bridges on the way to the function. */
void function_bridges_enable(const struct function *function);
/* Gives addresses to memory BARs that the firmware left without one (functions on bus 0). */
void functions_assign(void);
