/* SPDX-License-Identifier: MIT */
/* Device memory in the driver's own address space, and the notification bit that its interrupts set. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <abi/types.h>

/* Maps pages [first_page, first_page + pages) of a device Memory, uncached, read/write, at an address of its
 * choice; NULL: no memory for the Window or the page tables, or no right to map. The mapping stays until the
 * Memory is revoked. */
volatile void *device_map(cptr_t memory, uint64_t first_page, size_t pages);

/* A bit of the "events" word that neither init nor an earlier call uses; below 64. Fatal if all are taken. */
unsigned event_bit_allocate(void);
/* Binds an Irq so that it sets `bit` of the "events" Notification. */
bool irq_bind_event(cptr_t irq, unsigned bit);
