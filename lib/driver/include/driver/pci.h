/* SPDX-License-Identifier: MIT */
/* A driver's view of its PCI device: the client side of <proto/pci.h>. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <proto/pci.h>

#define PCI_BARS 6

struct pci_device {
	cptr_t bus; /* Endpoint of the bus component; its badge says which device */
	uint16_t vendor, device;
	uint32_t class_revision;
	uint16_t address; /* bus << 8 | device << 3 | function */
	uint32_t bars;    /* bitmap of those that the bus hands over */
	struct {
		volatile uint8_t *registers; /* NULL until pci_bar_map */
		size_t size;
	} bar[PCI_BARS];
};

/* Claims the device anew: its bus mastering is off and interrupts of a predecessor are gone when this returns
 * PCI_OK. */
enum pci_status pci_open(struct pci_device *device, cptr_t bus);
/* Maps a BAR once; false: the bus does not hand it over, or it cannot be mapped. */
bool pci_bar_map(struct pci_device *device, unsigned bar);
/* The capability of an interrupt in a fresh slot, CPTR_NULL: none. *message: MSI or MSI-X, so it is never
 * shared. */
cptr_t pci_irq(struct pci_device *device, unsigned vector, bool *message);
/* Little-endian value at `offset` of the configuration space; false: refused */
bool pci_config_read(struct pci_device *device, unsigned offset, unsigned width, uint32_t *value);
bool pci_enable(struct pci_device *device, bool on);
