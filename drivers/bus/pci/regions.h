/* SPDX-License-Identifier: MIT */
/*
 * The physical address space that the bus component holds as device Untypeds, and Memories cut out of it at
 * exact addresses. An Untyped is split in halves on the way to an address, like a buddy allocator that never
 * merges: BARs are naturally aligned powers of two, so every one of them is a node of this tree.
 */
#pragma once

#include <abi/types.h>

/* Where BARs below 4 GiB may be: above the PC's configuration window, below I/O APIC, HPET, local APIC and
 * firmware. */
#define REGION_WINDOW_START 0xc0000000ul
#define REGION_WINDOW_END   0xfec00000ul

/* Takes the device Untypeds of the startup information. */
void regions_attach(void);
bool region_covered(uint64_t base, uint64_t size);
/* A Memory of [base, base + size) in a slot of its own, CPTR_NULL: the range is not held, is in use by
 * another Memory, or could be the interrupt controllers'. size: a power of two of at least a page, base a
 * multiple of it. */
cptr_t region_memory(uint64_t base, uint64_t size);
