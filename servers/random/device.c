/* SPDX-License-Identifier: MIT */
/*
 * The driver of a virtio 1.x entropy device. It is not needed: whatever is wrong with it, the component goes
 * on without, so a device that breaks the rules is switched off and not asked again.
 */
#include "device.h"

#include <string.h>
#include <driver/virtio.h>
#include <pith/log.h>
#include <pith/startup.h>

#define QUEUE_SIZE 2 /* one request has one descriptor */

static struct {
	struct virtio_device virtio;
	struct virtqueue queue;
	volatile uint8_t *buffer; /* in DMA memory */
	uint64_t physical;
	bool running, asked;
} device;

static bool memory_allocate(void)
{
	struct dma_area area;
	dma_area_attach(&area);
	if (!virtqueue_initialise(&device.queue, &area, 0, QUEUE_SIZE, 0))
		return false;
	device.buffer = dma_allocate(&area, DEVICE_BYTES, DEVICE_BYTES, &device.physical);
	return device.buffer != NULL;
}

static const char *bring_up(void)
{
	const struct startup_entry *bus = startup_find("pci", STARTUP_ENDPOINT, 0);
	if (!bus)
		return "the manifest gives no device";
	const char *problem = virtio_open(&device.virtio, bus->slot);
	if (!problem)
		problem = virtio_negotiate(&device.virtio, 0);
	if (problem)
		return problem;
	if (virtio_queue_size(&device.virtio, 0) < QUEUE_SIZE)
		return "the device has no usable request queue";
	/* Only now: the device was reset, nothing of a predecessor writes here any more. */
	if (!memory_allocate())
		return "memory \"dma\" of the manifest is too small";
	problem = virtio_interrupt_attach(&device.virtio);
	if (!problem)
		problem = virtio_queue_attach(&device.virtio, &device.queue);
	return problem ? problem : virtio_start(&device.virtio);
}

const char *device_start(void)
{
	const char *problem = bring_up();
	device.running = !problem;
	if (problem && device.virtio.common)
		pci_enable(&device.virtio.pci, false);
	return problem;
}

void device_ask(void)
{
	if (!device.running || device.asked)
		return;
	const struct virtqueue_buffer buffer = {device.physical, DEVICE_BYTES, true};
	device.asked = virtqueue_submit(&device.queue, &buffer, 1, 0);
	virtqueue_notify(&device.queue);
}

static void give_up(const char *problem)
{
	log_error("%s: the device is switched off", problem);
	device.running = false;
	pci_enable(&device.virtio.pci, false);
}

size_t device_collect(uint64_t bits, uint8_t *bytes)
{
	unsigned token;
	uint32_t length;
	if (!device.running || !(bits & 1ull << device.virtio.irq_bit))
		return 0;
	virtio_interrupt_handled(&device.virtio);
	switch (virtqueue_completed(&device.queue, &token, &length)) {
	case VIRTQUEUE_EMPTY:
		if (virtio_failed(&device.virtio))
			give_up("the device has failed (status register)");
		return 0;
	case VIRTQUEUE_BROKEN:
		give_up("the device names a request that it does not have");
		return 0;
	case VIRTQUEUE_DONE:
		break;
	}
	device.asked = false;
	if (!length || length > DEVICE_BYTES) {
		give_up("the device claims an impossible number of bytes");
		return 0;
	}
	for (uint32_t i = 0; i < length; i++) {
		bytes[i] = device.buffer[i];
		device.buffer[i] = 0;
	}
	return length;
}
