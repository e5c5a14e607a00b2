/* SPDX-License-Identifier: MIT */
/* Bringing the device up: features, geometry, its queue and the memory for it. */
#include "disk.h"

#include <inttypes.h>
#include <pith/log.h>
#include <pith/startup.h>

#define FEATURE_SEG_MAX    (1ull << 2)
#define FEATURE_READ_ONLY  (1ull << 5)
#define FEATURE_BLOCK_SIZE (1ull << 6)
#define FEATURE_FLUSH      (1ull << 9)

#define CONFIG_CAPACITY   0
#define CONFIG_SEG_MAX    12
#define CONFIG_BLOCK_SIZE 20

#define BLOCK_SIZE_MAX  65536
#define BYTES_PER_TOKEN (sizeof(struct disk_header) + 1)

static void geometry_read(struct disk *disk)
{
	struct virtio_device *device = &disk->device;
	disk->sectors = virtio_config_read64(device, CONFIG_CAPACITY);
	disk->read_only = device->features & FEATURE_READ_ONLY;
	disk->flush = device->features & FEATURE_FLUSH;
	disk->block_size = BLOCK_SECTOR;
	if (device->features & FEATURE_BLOCK_SIZE) {
		uint32_t size = virtio_config_read32(device, CONFIG_BLOCK_SIZE);
		if (size >= BLOCK_SECTOR && size <= BLOCK_SIZE_MAX && !(size & (size - 1)))
			disk->block_size = size;
		else
			log_warning("the device claims blocks of %" PRIu32 " bytes; 512 assumed", size);
	}
}

/* As many requests at a time as the queue and the DMA memory allow. */
static bool memory_allocate(struct disk *disk, struct dma_area *area, unsigned size)
{
	bool indirect = disk->device.features & VIRTIO_F_INDIRECT_DESC;
	size_t fixed = virtqueue_bytes(size, 0) + 128;
	size_t each = BYTES_PER_TOKEN +
	              (indirect ? VIRTQUEUE_INDIRECT_MAX * sizeof(struct virtqueue_descriptor) : 0);
	if (dma_free(area) < fixed + each)
		return false;
	size_t tokens = (dma_free(area) - fixed) / each;
	disk->tokens = tokens > size ? size : (unsigned)tokens;
	if (!virtqueue_initialise(&disk->queue, area, 0, size, indirect ? disk->tokens : 0))
		return false;
	disk->headers =
	        dma_allocate(area, disk->tokens * sizeof(struct disk_header), 16, &disk->headers_physical);
	disk->statuses = dma_allocate(area, disk->tokens, 1, &disk->statuses_physical);
	for (unsigned i = 0; i < disk->tokens; i++)
		disk->tokens_free[i] = (uint16_t)i;
	disk->tokens_free_count = disk->tokens;
	return disk->headers && disk->statuses;
}

/* Without SEG_MAX the only limit is the queue. Header and status byte need a descriptor each. */
static uint32_t segments_limit(struct disk *disk)
{
	uint32_t limit = virtqueue_buffers_max(&disk->queue) - 2;
	if (disk->device.features & FEATURE_SEG_MAX) {
		uint32_t device_limit = virtio_config_read32(&disk->device, CONFIG_SEG_MAX);
		if (device_limit && device_limit < limit)
			limit = device_limit;
	}
	return limit < BLOCK_SEGMENTS_MAX ? limit : BLOCK_SEGMENTS_MAX;
}

static unsigned queue_size(struct disk *disk)
{
	unsigned size = virtio_queue_size(&disk->device, 0);
	if (size > VIRTQUEUE_SIZE_MAX)
		size = VIRTQUEUE_SIZE_MAX;
	/* Fewer than three entries cannot carry a request; what is no power of two is no size. */
	return size < 4 || (size & (size - 1)) ? 0 : size;
}

const char *disk_start(struct disk *disk)
{
	cptr_t bus = startup_need("pci", STARTUP_ENDPOINT, 0)->slot;
	const char *problem = virtio_open(&disk->device, bus);
	if (!problem)
		problem = virtio_negotiate(&disk->device, VIRTIO_F_INDIRECT_DESC | FEATURE_SEG_MAX |
		                                                  FEATURE_READ_ONLY | FEATURE_BLOCK_SIZE |
		                                                  FEATURE_FLUSH);
	if (problem)
		return problem;
	unsigned size = queue_size(disk);
	if (!size)
		return "the device has no usable request queue";
	geometry_read(disk);
	/* Only now: the device was reset, nothing of a predecessor writes here any more. */
	struct dma_area area;
	dma_area_attach(&area);
	if (!memory_allocate(disk, &area, size))
		return "memory \"dma\" of the manifest is too small";
	disk->segments_max = segments_limit(disk);
	problem = virtio_interrupt_attach(&disk->device);
	if (!problem)
		problem = virtio_queue_attach(&disk->device, &disk->queue);
	if (!problem)
		problem = virtio_start(&disk->device);
	if (problem)
		return problem;
	log_info("%" PRIu64 " sectors%s, blocks of %" PRIu32 " bytes, %u requests of %" PRIu32
	         " segments, %s",
	         disk->sectors, disk->read_only ? " (read-only)" : "", disk->block_size, disk->tokens,
	         disk->segments_max, disk->device.irq_message ? "msi" : "intx");
	return NULL;
}
