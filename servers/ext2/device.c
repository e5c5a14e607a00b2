/* SPDX-License-Identifier: MIT */
/* Batches of block requests (device.h): merging of adjacent pieces, waiting for slots and for completion. */
#include <errno.h>
#include <string.h>

#include "device.h"

static int error_of_status(uint32_t status)
{
	switch (status) {
	case BLOCK_OK:
		return 0;
	case BLOCK_ERROR_READ_ONLY:
		return EROFS;
	default:
		return EIO;
	}
}

void device_completed(struct device *device, uint32_t number, uint32_t status)
{
	struct io_batch *batch;

	if (number >= RING_SLOTS_MAX || !device->batches[number])
		return;
	batch = device->batches[number];
	device->batches[number] = NULL;
	device->under_way--;
	if (!batch->error)
		batch->error = error_of_status(status);
	if (--batch->outstanding == 0)
		fiber_resume(batch->fiber);
}

void device_slot_free(struct device *device)
{
	wait_queue_wake_one(&device->slots, 0);
}

void io_begin(struct io_batch *batch, struct device *device)
{
	*batch = (struct io_batch){.device = device, .fiber = fiber_current()};
}

static void io_submit(struct io_batch *batch)
{
	struct device *device = batch->device;
	uint32_t number = batch->number;

	if (!batch->request)
		return;
	batch->request = NULL;
	batch->outstanding++;
	device->batches[number] = batch;
	if (++device->under_way > device->under_way_most)
		device->under_way_most = device->under_way;
	device->submit(device, number);
}

/* Several fibers may have been woken for one slot, so the wait is a loop. A fiber holds at most one
 * unsubmitted slot, and none while it waits here: slots always come back. */
static void io_start(struct io_batch *batch, enum block_operation operation, uint64_t sector)
{
	struct block_request *request;

	while (!(request = batch->device->take(batch->device, &batch->number)))
		wait_queue_wait(&batch->device->slots);
	request->operation = operation;
	request->status = BLOCK_OK;
	request->sector = sector;
	request->segment_count = 0;
	batch->request = request;
	batch->next_sector = sector;
}

static bool io_merge(struct io_batch *batch, uint32_t pool, uint64_t offset, uint32_t length)
{
	struct block_request *request = batch->request;
	struct block_segment *last;

	if (request->segment_count) {
		last = &request->segments[request->segment_count - 1];
		if (last->pool == pool && last->offset + last->length == offset) {
			last->length += length;
			return true;
		}
	}
	if (request->segment_count == BLOCK_SEGMENTS_MAX)
		return false;
	request->segments[request->segment_count++] =
	        (struct block_segment){.pool = pool, .length = length, .offset = offset};
	return true;
}

void io_add(struct io_batch *batch, enum block_operation operation, uint64_t sector, uint32_t pool,
            uint64_t offset, uint32_t length)
{
	if (batch->request && (batch->request->operation != operation || batch->next_sector != sector))
		io_submit(batch);
	if (!batch->request)
		io_start(batch, operation, sector);
	if (!io_merge(batch, pool, offset, length)) {
		io_submit(batch);
		io_start(batch, operation, sector);
		io_merge(batch, pool, offset, length);
	}
	batch->next_sector = sector + length / BLOCK_SECTOR;
}

int io_finish(struct io_batch *batch)
{
	io_submit(batch);
	while (batch->outstanding)
		fiber_suspend();
	return batch->error;
}

int io_flush(struct device *device)
{
	struct io_batch batch;

	io_begin(&batch, device);
	io_start(&batch, BLOCK_FLUSH, 0);
	return io_finish(&batch);
}

int io_information(struct device *device)
{
	struct io_batch batch;
	struct block_request *request;
	int error;

	io_begin(&batch, device);
	io_start(&batch, BLOCK_INFO, 0);
	request = batch.request;
	error = io_finish(&batch);
	if (!error) {
		/* The slot is free by now, but only the mounting fiber runs: it still holds the answer. */
		device->sectors = request->sectors;
		device->read_only = request->read_only != 0;
	}
	return error;
}
