/* SPDX-License-Identifier: MIT */
/* A fake IOMMU with devices that do DMA, and a TLB that never forgets by itself. */
#pragma once

#include <kernel/arch.h>

#define FAKE_REQUESTERS 8
#define FAKE_RESERVED   7 /* firmware has memory with this one */
#define FAKE_DOMAINS    4

/* root_level 0: no IOMMU. Nothing is attached. */
void fake_io_reset(unsigned root_level);
unsigned fake_io_attached(void);
/* The device accesses this address. 0: it may not; else the physical address. */
uint64_t fake_io_dma(unsigned requester, uint64_t address, bool write);
/* Whether all that the TLB remembers is (still) in the tables of who is attached. */
bool fake_io_sound(void);
