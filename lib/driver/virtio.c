/* SPDX-License-Identifier: MIT */
/* Virtio over PCI (virtio 1.x, section 4.1): modern devices only. */
#include <driver/virtio.h>

#include <driver/map.h>
#include <driver/mmio.h>
#include <pith/log.h>
#include <pith/object.h>
#include <pith/startup.h>

/* Configuration space: where the capability list is, and its bounds. */
#define PCI_STATUS            0x06
#define PCI_STATUS_LIST       0x10
#define PCI_CAPABILITIES      0x34
#define PCI_CAPABILITY_FIRST  0x40
#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITIES_MAX  48

/* struct virtio_pci_cap */
#define CAPABILITY_TYPE       3
#define CAPABILITY_BAR        4
#define CAPABILITY_OFFSET     8
#define CAPABILITY_LENGTH     12
#define CAPABILITY_MULTIPLIER 16

enum capability_type {
	CAPABILITY_COMMON = 1,
	CAPABILITY_NOTIFY = 2,
	CAPABILITY_ISR = 3,
	CAPABILITY_DEVICE = 4,
};

/* struct virtio_pci_common_cfg */
#define COMMON_DEVICE_FEATURE_SELECT 0x00
#define COMMON_DEVICE_FEATURE        0x04
#define COMMON_DRIVER_FEATURE_SELECT 0x08
#define COMMON_DRIVER_FEATURE        0x0c
#define COMMON_CONFIG_VECTOR         0x10
#define COMMON_STATUS                0x14
#define COMMON_GENERATION            0x15
#define COMMON_QUEUE_SELECT          0x16
#define COMMON_QUEUE_SIZE            0x18
#define COMMON_QUEUE_VECTOR          0x1a
#define COMMON_QUEUE_ENABLE          0x1c
#define COMMON_QUEUE_NOTIFY          0x1e
#define COMMON_QUEUE_DESCRIPTORS     0x20
#define COMMON_QUEUE_AVAILABLE       0x28
#define COMMON_QUEUE_USED            0x30
#define COMMON_LENGTH                0x38

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER      2
#define STATUS_DRIVER_OK   4
#define STATUS_FEATURES_OK 8
#define STATUS_NEEDS_RESET 64

#define NO_VECTOR        0xffff
#define RESET_TIMEOUT_NS 2000000000ull
#define CONFIG_ATTEMPTS  16

static uint8_t status_read(struct virtio_device *device)
{
	return mmio_read8(device->common + COMMON_STATUS);
}

static void status_write(struct virtio_device *device, unsigned status)
{
	mmio_write8(device->common + COMMON_STATUS, (uint8_t)status);
}

/* ---- finding the registers ---- */

/* The registers that a capability names, or NULL if they do not lie inside a BAR that we can have. */
static volatile uint8_t *capability_registers(struct virtio_device *device, unsigned at, size_t least,
                                              size_t *length)
{
	uint32_t bar, offset, bytes;
	if (!pci_config_read(&device->pci, at + CAPABILITY_BAR, 1, &bar) ||
	    !pci_config_read(&device->pci, at + CAPABILITY_OFFSET, 4, &offset) ||
	    !pci_config_read(&device->pci, at + CAPABILITY_LENGTH, 4, &bytes))
		return NULL;
	if (bar >= PCI_BARS || !(device->pci.bars & 1u << bar) || bytes < least || offset % 4)
		return NULL;
	if (!pci_bar_map(&device->pci, bar))
		return NULL;
	size_t size = device->pci.bar[bar].size;
	if (offset > size || bytes > size - offset)
		return NULL;
	*length = bytes;
	return device->pci.bar[bar].registers + offset;
}

/* The first usable capability of each type counts, as the specification wants. */
static void capability_take(struct virtio_device *device, unsigned at)
{
	uint32_t type;
	size_t length = 0;
	if (!pci_config_read(&device->pci, at + CAPABILITY_TYPE, 1, &type))
		return;
	if (type == CAPABILITY_COMMON && !device->common) {
		device->common = capability_registers(device, at, COMMON_LENGTH, &length);
	} else if (type == CAPABILITY_ISR && !device->isr) {
		device->isr = capability_registers(device, at, 1, &length);
	} else if (type == CAPABILITY_DEVICE && !device->config) {
		device->config = capability_registers(device, at, 4, &device->config_size);
	} else if (type == CAPABILITY_NOTIFY && !device->notify) {
		if (pci_config_read(&device->pci, at + CAPABILITY_MULTIPLIER, 4, &device->notify_multiplier))
			device->notify = capability_registers(device, at, 2, &device->notify_size);
	}
}

static void capabilities_walk(struct virtio_device *device)
{
	uint32_t status, at, header;
	if (!pci_config_read(&device->pci, PCI_STATUS, 2, &status) || !(status & PCI_STATUS_LIST) ||
	    !pci_config_read(&device->pci, PCI_CAPABILITIES, 1, &at))
		return;
	/* The list is the device's: it may be a circle, or point out of the configuration space. */
	for (unsigned i = 0; i < PCI_CAPABILITIES_MAX; i++) {
		at &= 0xfc;
		if (at < PCI_CAPABILITY_FIRST || !pci_config_read(&device->pci, at, 2, &header))
			return;
		if ((header & 0xff) == PCI_CAPABILITY_VENDOR && at + CAPABILITY_MULTIPLIER <= 0x100)
			capability_take(device, at);
		at = header >> 8 & 0xff;
	}
}

/* ---- life ---- */

static bool device_reset(struct virtio_device *device)
{
	uint64_t deadline = time_now() + RESET_TIMEOUT_NS;
	status_write(device, 0);
	while (status_read(device)) {
		if (time_now() > deadline)
			return false;
		thread_yield();
	}
	return true;
}

const char *virtio_open(struct virtio_device *device, cptr_t bus)
{
	*device = (struct virtio_device){0};
	switch (pci_open(&device->pci, bus)) {
	case PCI_OK:
		break;
	case PCI_NO_DEVICE:
		return "the machine has no such device";
	default:
		return "the pci bus refuses the device";
	}
	capabilities_walk(device);
	if (!device->common || !device->notify || !device->isr)
		return "the device has no usable virtio 1.x registers";
	/* Reset comes before bus mastering, so that requests of a predecessor never touch memory again. */
	if (!device_reset(device))
		return "the device does not come out of reset";
	if (!pci_enable(&device->pci, true))
		return "the pci bus does not enable the device";
	status_write(device, STATUS_ACKNOWLEDGE);
	status_write(device, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	return NULL;
}

const char *virtio_negotiate(struct virtio_device *device, uint64_t wanted)
{
	uint64_t offered = 0;
	for (unsigned half = 0; half < 2; half++) {
		mmio_write32(device->common + COMMON_DEVICE_FEATURE_SELECT, half);
		offered |= (uint64_t)mmio_read32(device->common + COMMON_DEVICE_FEATURE) << (32 * half);
	}
	if (!(offered & VIRTIO_F_VERSION_1))
		return "the device is a legacy one (no VIRTIO_F_VERSION_1)";
	device->features = offered & (wanted | VIRTIO_F_VERSION_1);
	for (unsigned half = 0; half < 2; half++) {
		mmio_write32(device->common + COMMON_DRIVER_FEATURE_SELECT, half);
		mmio_write32(device->common + COMMON_DRIVER_FEATURE,
		             (uint32_t)(device->features >> (32 * half)));
	}
	unsigned status = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
	status_write(device, status);
	return status_read(device) == status ? NULL : "the device refuses the features that it offered";
}

unsigned virtio_queue_size(struct virtio_device *device, unsigned index)
{
	mmio_write16(device->common + COMMON_QUEUE_SELECT, (uint16_t)index);
	return mmio_read16(device->common + COMMON_QUEUE_SIZE);
}

const char *virtio_interrupt_attach(struct virtio_device *device)
{
	device->irq = pci_irq(&device->pci, 0, &device->irq_message);
	if (!device->irq)
		return "the pci bus gives no interrupt";
	device->irq_bit = event_bit_allocate();
	if (!irq_bind_event(device->irq, device->irq_bit))
		return "the interrupt cannot be bound";
	return NULL;
}

static void address_write(volatile uint8_t *at, uint64_t address)
{
	mmio_write32(at, (uint32_t)address);
	mmio_write32(at + 4, (uint32_t)(address >> 32));
}

const char *virtio_queue_attach(struct virtio_device *device, struct virtqueue *queue)
{
	volatile uint8_t *common = device->common;
	mmio_write16(common + COMMON_CONFIG_VECTOR, NO_VECTOR);
	mmio_write16(common + COMMON_QUEUE_SELECT, queue->index);
	uint64_t offset = (uint64_t)mmio_read16(common + COMMON_QUEUE_NOTIFY) * device->notify_multiplier;
	if (offset % 2 || offset > device->notify_size - 2)
		return "the device's notification register is out of its bounds";
	queue->notify = device->notify + offset;

	mmio_write16(common + COMMON_QUEUE_SIZE, queue->size);
	address_write(common + COMMON_QUEUE_DESCRIPTORS, queue->descriptors_physical);
	address_write(common + COMMON_QUEUE_AVAILABLE, queue->available_physical);
	address_write(common + COMMON_QUEUE_USED, queue->used_physical);
	uint16_t vector = device->irq_message ? 0 : NO_VECTOR;
	mmio_write16(common + COMMON_QUEUE_VECTOR, vector);
	if (mmio_read16(common + COMMON_QUEUE_VECTOR) != vector)
		return "the device has no room for its interrupt vector";
	mmio_write16(common + COMMON_QUEUE_ENABLE, 1);
	return NULL;
}

const char *virtio_start(struct virtio_device *device)
{
	status_write(device, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	return virtio_failed(device) ? "the device fails as soon as it is started" : NULL;
}

/* ---- while it runs ---- */

void virtio_interrupt_handled(struct virtio_device *device)
{
	/* Reading the ISR register takes an INTx line down; it must be down before the interrupt may fire
	 * again. */
	if (!device->irq_message)
		(void)mmio_read8(device->isr);
	enum error error = irq_acknowledge(device->irq);
	if (error)
		log_error("acknowledging the interrupt: %s", error_text(error));
}

bool virtio_failed(struct virtio_device *device)
{
	uint8_t status = status_read(device);
	return (status & STATUS_NEEDS_RESET) || !(status & STATUS_DRIVER_OK) || status == 0xff;
}

uint32_t virtio_config_read32(struct virtio_device *device, size_t offset)
{
	if (device->config_size < 4 || offset > device->config_size - 4)
		return 0;
	return mmio_read32(device->config + offset);
}

uint64_t virtio_config_read64(struct virtio_device *device, size_t offset)
{
	/* Two reads belong together if the generation did not change between them. */
	for (unsigned attempt = 0; attempt < CONFIG_ATTEMPTS; attempt++) {
		uint8_t generation = mmio_read8(device->common + COMMON_GENERATION);
		uint64_t low = virtio_config_read32(device, offset);
		uint64_t high = virtio_config_read32(device, offset + 4);
		if (mmio_read8(device->common + COMMON_GENERATION) == generation)
			return high << 32 | low;
	}
	return 0;
}
