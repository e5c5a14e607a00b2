/* SPDX-License-Identifier: MIT */
/*
 * The bus component: a driver calls it (endpoint entry "pci") to get its own device. The badge says which: init gives each driver
 * a capability whose badge is the number of its `device` line in the manifest, and the bus component the table of those lines.
 */
#pragma once

#include <abi/types.h>

enum pci_operation {
	/* -> words: 0 status (enum pci_status), 1 vendor | device << 16, 2 class code | revision << 24, 3 bus<<8|devfn, 4 bitmap of
	 * BARs handed over. Capabilities are asked for one by one. Opening again resets the driver's claim: bus mastering is
	 * switched off, capabilities handed out before are revoked, interrupts released. Memory decoding is on afterwards. */
	PCI_OPEN = 1,
	/* word 0 = BAR -> status, bytes; capability: Memory (device). BARs smaller than a page, or with the MSI-X
	 * table in them, are refused. */
	PCI_BAR,
	/* word 0 = vector number of the driver's choice (MSI-X index) -> status, 1 if MSI or MSI-X, 0 if INTx; capability: Irq.
	 * The MSI-X table entry is programmed and unmasked by the bus component. MSI (vector 0 only) counts as MSI-X here. INTx: the
	 * line, level-triggered. */
	PCI_IRQ,
	/* word 0 = offset, 1 = width (1, 2, 4): configuration space, read only -> status, value */
	PCI_CONFIG_READ,
	/* word 0 = 1: bus mastering on; 0: off -> status */
	PCI_ENABLE,
};

enum pci_status {
	PCI_OK,
	PCI_NO_DEVICE,  /* the machine has no such device */
	PCI_NO_BAR,
	PCI_NO_IRQ,
	PCI_BAD_REQUEST,
};
