/* SPDX-License-Identifier: MIT */
/* A modern (1.x) virtio device on PCI: finding its registers, reset, feature negotiation, queues, interrupt.
 */
#pragma once

#include <driver/pci.h>
#include <driver/virtqueue.h>

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_VERSION_1     (1ull << 32)

struct virtio_device {
	struct pci_device pci;
	volatile uint8_t *common;
	volatile uint8_t *isr;
	volatile uint8_t *notify;
	size_t notify_size;
	uint32_t notify_multiplier;
	volatile uint8_t *config; /* device-specific; NULL: none */
	size_t config_size;

	uint64_t features; /* as negotiated */
	cptr_t irq;
	unsigned irq_bit; /* of "events" */
	bool irq_message;
};

/* Each returns NULL, or what is wrong as a text for the log. Nothing that the device says is trusted. */
/* Claims the device behind `bus`, finds its registers and resets it: from then on it touches no memory. */
const char *virtio_open(struct virtio_device *device, cptr_t bus);
/* Features: VERSION_1 and what both the device and `wanted` have. */
const char *virtio_negotiate(struct virtio_device *device, uint64_t wanted);
/* The device's limit for queue `index`; 0: it has no such queue. */
unsigned virtio_queue_size(struct virtio_device *device, unsigned index);
/* One interrupt for all queues: MSI-X vector 0, or the INTx line. */
const char *virtio_interrupt_attach(struct virtio_device *device);
const char *virtio_queue_attach(struct virtio_device *device, struct virtqueue *queue);
const char *virtio_start(struct virtio_device *device);

/* The interrupt's event came: quiets the line, allows the next one. Look at the queues afterwards. */
void virtio_interrupt_handled(struct virtio_device *device);
/* The device asks for a reset (DEVICE_NEEDS_RESET), or was unplugged. */
bool virtio_failed(struct virtio_device *device);
/* Fields of the device-specific configuration; 0 if it is too short. */
uint32_t virtio_config_read32(struct virtio_device *device, size_t offset);
uint64_t virtio_config_read64(struct virtio_device *device, size_t offset);
