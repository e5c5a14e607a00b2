/* SPDX-License-Identifier: MIT */
/* Configuration space of PCI functions, by the ports 0xcf8 and 0xcfc: the first 256 bytes of each. */
#pragma once

#include <stdint.h>

#define CONFIG_SIZE 256

/* bus << 8 | device << 3 | function */
typedef uint16_t pci_address;

/* The IoPorts entry "ports"; fatal if it is missing. */
void config_attach(void);
/* width: 1, 2 or 4, and offset a multiple of it. A function that is not there reads as all ones. */
uint32_t config_read(pci_address address, unsigned offset, unsigned width);
void config_write(pci_address address, unsigned offset, unsigned width, uint32_t value);
/* The offset of a capability by its id, 0: it has none. */
unsigned config_capability(pci_address address, unsigned id);

enum config_offset {
	CONFIG_VENDOR = 0x00,
	CONFIG_DEVICE = 0x02,
	CONFIG_COMMAND = 0x04,
	CONFIG_STATUS = 0x06,
	CONFIG_REVISION = 0x08, /* revision, then the class code's three bytes */
	CONFIG_HEADER_TYPE = 0x0e,
	CONFIG_BAR = 0x10,
	CONFIG_PRIMARY_BUS = 0x18,
	CONFIG_SECONDARY_BUS = 0x19,
	CONFIG_SUBORDINATE_BUS = 0x1a,
	CONFIG_SUBSYSTEM = 0x2e,
	CONFIG_CAPABILITIES = 0x34,
	CONFIG_INTERRUPT_LINE = 0x3c,
	CONFIG_INTERRUPT_PIN = 0x3d,
};

enum config_command {
	COMMAND_IO = 1 << 0,
	COMMAND_MEMORY = 1 << 1,
	COMMAND_MASTER = 1 << 2,
	COMMAND_INTX_DISABLE = 1 << 10,
};

#define CONFIG_STATUS_LIST   0x10
#define HEADER_TYPE_MASK     0x7f
#define HEADER_MULTIFUNCTION 0x80
#define HEADER_TYPE_DEVICE   0
#define HEADER_TYPE_BRIDGE   1
#define CAPABILITY_ID_MSI    0x05
#define CAPABILITY_ID_MSIX   0x11
