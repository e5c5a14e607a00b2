/* SPDX-License-Identifier: MIT */
/* The client side of <proto/pci.h>. */
#include <driver/pci.h>

#include <driver/map.h>
#include <pith/log.h>
#include <pith/slots.h>
#include <pith/syscall.h>

#define BUS_ATTEMPTS 8
/* More than this is no register file of a device that we drive. */
#define BAR_SIZE_MAX (1ul << 24)

/*
 * One call to the bus component. When the bus dies while it serves us, the call is repeated: its successor,
 * which starts with all devices quiet, takes the calls of the same endpoint. receive: slot for a capability,
 * or CPTR_NULL. Answers PCI_BAD_REQUEST if the bus cannot be reached.
 */
static enum pci_status bus_call(struct pci_device *device, enum pci_operation operation, uint64_t a,
                                uint64_t b, cptr_t receive, struct message *reply)
{
	enum error error = ERR_NONE;
	for (unsigned attempt = 0; attempt < BUS_ATTEMPTS; attempt++) {
		*reply = (struct message){.info = MESSAGE_INFO(operation, 2), .words = {a, b}};
		for (unsigned i = 0; i < MESSAGE_CAPS; i++)
			ipc_buffer()->receive_slots[i] = CPTR_NULL;
		ipc_buffer()->receive_slots[0] = receive;
		error = ipc_call(device->bus, reply, DEADLINE_NEVER);
		if (error != ERR_PEER_DIED)
			break;
	}
	if (error) {
		log_error("calling the pci bus: %s", error_text(error));
		return PCI_BAD_REQUEST;
	}
	if (message_words(reply->info) < 1)
		return PCI_BAD_REQUEST;
	return (enum pci_status)reply->words[0];
}

enum pci_status pci_open(struct pci_device *device, cptr_t bus)
{
	struct message reply;
	*device = (struct pci_device){.bus = bus};
	enum pci_status status = bus_call(device, PCI_OPEN, 0, 0, CPTR_NULL, &reply);
	if (status)
		return status;
	device->vendor = (uint16_t)reply.words[1];
	device->device = (uint16_t)(reply.words[1] >> 16);
	device->class_revision = (uint32_t)reply.words[2];
	device->address = (uint16_t)reply.words[3];
	device->bars = (uint32_t)reply.words[4];
	return PCI_OK;
}

bool pci_bar_map(struct pci_device *device, unsigned bar)
{
	struct message reply;
	if (bar >= PCI_BARS)
		return false;
	if (device->bar[bar].registers)
		return true;
	cptr_t memory = slot_allocate();
	if (!memory)
		return false;
	enum pci_status status = bus_call(device, PCI_BAR, bar, 0, memory, &reply);
	size_t size = status ? 0 : (size_t)reply.words[1];
	if (status || message_caps(reply.info) != 1 || size < PAGE_SIZE || size > BAR_SIZE_MAX) {
		capability_delete(memory);
		slot_free(memory);
		return false;
	}
	device->bar[bar].registers = (volatile uint8_t *)device_map(memory, 0, size / PAGE_SIZE);
	device->bar[bar].size = size;
	return device->bar[bar].registers != NULL;
}

cptr_t pci_irq(struct pci_device *device, unsigned vector, bool *message)
{
	struct message reply;
	cptr_t irq = slot_allocate();
	if (!irq)
		return CPTR_NULL;
	if (bus_call(device, PCI_IRQ, vector, 0, irq, &reply) || message_caps(reply.info) != 1) {
		capability_delete(irq);
		slot_free(irq);
		return CPTR_NULL;
	}
	*message = reply.words[1] == 1;
	return irq;
}

bool pci_config_read(struct pci_device *device, unsigned offset, unsigned width, uint32_t *value)
{
	struct message reply;
	if (bus_call(device, PCI_CONFIG_READ, offset, width, CPTR_NULL, &reply))
		return false;
	*value = (uint32_t)reply.words[1];
	return true;
}

bool pci_enable(struct pci_device *device, bool on)
{
	struct message reply;
	return bus_call(device, PCI_ENABLE, on, 0, CPTR_NULL, &reply) == PCI_OK;
}
