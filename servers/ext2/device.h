/* SPDX-License-Identifier: MIT */
/*
 * The block device as the file system sees it: request slots that are filled, submitted, and completed later
 * in any order. In the component the slots are those of the "block" channel; host tests bring a device of
 * their own.
 *
 * A fiber does its input and output in batches: io_begin, io_add as often as it likes (adjacent pieces become
 * one request, full requests are under way while more are added), io_finish waits for all.
 */
#pragma once

#include <pith/fiber.h>
#include <proto/block.h>

struct device {
	/* A free request slot, or NULL: none now. */
	struct block_request *(*take)(struct device *device, uint32_t *number);
	void (*submit)(struct device *device, uint32_t number);
	uint64_t sectors;
	bool read_only;
	unsigned under_way, under_way_most;
	struct wait_queue slots;                  /* fibers that wait for a free slot */
	struct io_batch *batches[RING_SLOTS_MAX]; /* whose a submitted slot is */
};

struct io_batch {
	struct device *device;
	struct fiber *fiber;
	unsigned outstanding;
	int error;                     /* the first one: EIO, EROFS */
	struct block_request *request; /* being filled, not submitted yet */
	uint32_t number;
	uint64_t next_sector;
};

/* By whoever runs the device: request `number` has completed; the slot may be taken again afterwards
 * (device_slot_free). */
void device_completed(struct device *device, uint32_t number, uint32_t status);
void device_slot_free(struct device *device);

/* Sectors and bytes. The batch must stay where it is until io_finish. */
void io_begin(struct io_batch *batch, struct device *device);
void io_add(struct io_batch *batch, enum block_operation operation, uint64_t sector, uint32_t pool,
            uint64_t offset, uint32_t length);
/* Waits for all requests of the batch; 0 or the first error. */
int io_finish(struct io_batch *batch);
/* Everything written before is on stable storage when it returns 0. */
int io_flush(struct device *device);
/* BLOCK_INFO: fills device->sectors and read_only */
int io_information(struct device *device);
