/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <pith/log.h>
#include <pith/object.h>
#include <pith/startup.h>

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define ENABLE       0x80000000u

#define CAPABILITY_FIRST 0x40
#define CAPABILITIES_MAX 48 /* what fits between 0x40 and 0x100 */

static cptr_t ports;

void config_attach(void)
{
	const struct startup_entry *entry = startup_need("ports", STARTUP_IO_PORTS, 0);
	if (entry->address > PORT_ADDRESS || entry->address + entry->size < PORT_DATA + 4)
		fatal("the port range of the manifest does not cover 0xcf8 to 0xcff");
	ports = entry->slot;
}

/* The capability was checked at start, so that a failing access is a bug or a revoked right: nothing to go on
 * with. */
static void select(pci_address address, unsigned offset)
{
	enum error error =
	        io_ports_out(ports, PORT_ADDRESS, 4, ENABLE | (uint32_t)address << 8 | (offset & 0xfc));
	if (error)
		fatal("port 0xcf8: %s", error_text(error));
}

uint32_t config_read(pci_address address, unsigned offset, unsigned width)
{
	uint32_t value = 0;
	select(address, offset);
	enum error error = io_ports_in(ports, PORT_DATA + offset % 4, width, &value);
	if (error)
		fatal("port 0xcfc: %s", error_text(error));
	return value;
}

void config_write(pci_address address, unsigned offset, unsigned width, uint32_t value)
{
	select(address, offset);
	enum error error = io_ports_out(ports, PORT_DATA + offset % 4, width, value);
	if (error)
		fatal("port 0xcfc: %s", error_text(error));
}

unsigned config_capability(pci_address address, unsigned id)
{
	if (!(config_read(address, CONFIG_STATUS, 2) & CONFIG_STATUS_LIST))
		return 0;
	unsigned at = config_read(address, CONFIG_CAPABILITIES, 1);
	/* The list is the device's: bounded, whatever it links to. */
	for (unsigned i = 0; i < CAPABILITIES_MAX; i++) {
		at &= 0xfc;
		if (at < CAPABILITY_FIRST)
			return 0;
		uint32_t header = config_read(address, at, 2);
		if ((header & 0xff) == id)
			return at;
		at = header >> 8;
	}
	return 0;
}
