/* SPDX-License-Identifier: MIT */
/*
 * One round of the driver: completions first (they make room), then new requests, then one notification for
 * all of them. What the device does wrong ends the driver: its successor resets the device and takes over all
 * requests.
 */
#include "loop.h"

#include <pith/log.h>
#include <pith/startup.h>

static bool channel_attach(struct disk *disk)
{
	disk->attached = ring_server_attach(&disk->ring, startup_need("block", STARTUP_CHANNEL, 0));
	if (disk->attached && disk->ring.slot_size < sizeof(struct block_request))
		fatal("the client's requests of %u bytes are too small", disk->ring.slot_size);
	return disk->attached;
}

/* Takes what the device has completed; how many requests that were. */
static unsigned completions_take(struct disk *disk)
{
	unsigned before = disk->tokens_free_count;
	const char *problem = disk_collect(disk);
	if (problem)
		fatal("%s", problem);
	return disk->tokens_free_count - before;
}

bool disk_work(struct disk *disk)
{
	completions_take(disk);
	if (!disk->attached && !channel_attach(disk))
		return false;
	bool room = disk_submit_all(disk);
	virtqueue_notify(&disk->queue);
	/* Without room only the device can change anything, and its interrupt will tell. */
	return room && !ring_prepare_sleep(&disk->ring);
}

bool disk_busy(const struct disk *disk)
{
	return disk->tokens_free_count != disk->tokens;
}

void disk_check(struct disk *disk)
{
	if (virtio_failed(&disk->device))
		fatal("the device has failed (status register)");
}

void disk_events(struct disk *disk, uint64_t bits)
{
	if (!(bits & 1ull << disk->device.irq_bit))
		return;
	virtio_interrupt_handled(&disk->device);
	/* An interrupt for nothing may be the device's call for help. */
	if (!completions_take(disk))
		disk_check(disk);
}
