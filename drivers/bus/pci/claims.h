/* SPDX-License-Identifier: MIT */
/* Which driver holds which function: one claim for each `device` line of the manifest, and what was handed
 * out under it. */
#pragma once

#include "functions.h"
#include <abi/types.h>
#include <proto/pci.h>

#define CLAIMS_MAX 128

/* Reads the lines "device.BADGE=VENDOR:DEVICE,N" of the configuration (numbers of the ids in hexadecimal). */
void claims_configure(void);

/* Operations of <proto/pci.h>. badge: the caller's. Capabilities in *slot stay ours; the reply carries a
 * derived one. */
enum pci_status claim_open(uint64_t badge, const struct function **function, uint32_t *bars);
enum pci_status claim_bar(uint64_t badge, uint64_t bar, uint64_t *size, cptr_t *slot);
enum pci_status claim_irq(uint64_t badge, uint64_t vector, bool *message, cptr_t *slot);
enum pci_status claim_config_read(uint64_t badge, uint64_t offset, uint64_t width, uint32_t *value);
enum pci_status claim_enable(uint64_t badge, bool on);
