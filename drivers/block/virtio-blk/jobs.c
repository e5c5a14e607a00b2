/* SPDX-License-Identifier: MIT */
/* Requests of the client: checking, taking, completing. The channel is shared memory: everything is copied
 * before it is checked. */
#include "disk.h"

/* Sectors of all segments, or false: a segment is malformed or the sum is impossible. */
static bool segments_copy(struct job *job, const volatile struct block_request *request, uint64_t *sectors)
{
	*sectors = 0;
	for (uint32_t i = 0; i < job->segment_count; i++) {
		struct block_segment *segment = &job->segments[i];
		segment->pool = request->segments[i].pool;
		segment->length = request->segments[i].length;
		segment->offset = request->segments[i].offset;
		if (!segment->length || segment->length % BLOCK_SECTOR)
			return false;
		*sectors += segment->length / BLOCK_SECTOR;
	}
	return true;
}

static enum block_status transfer_prepare(const struct disk *disk, struct job *job,
                                          const volatile struct block_request *request)
{
	uint64_t sectors, physical;
	uint32_t unit = disk->block_size / BLOCK_SECTOR;
	job->segment_count = request->segment_count;
	if (!job->segment_count || job->segment_count > BLOCK_SEGMENTS_MAX)
		return BLOCK_ERROR_REQUEST;
	job->sector = request->sector;
	if (!segments_copy(job, request, &sectors) || job->sector % unit)
		return BLOCK_ERROR_REQUEST;
	if (job->sector > disk->sectors || sectors > disk->sectors - job->sector)
		return BLOCK_ERROR_RANGE;
	for (uint32_t i = 0; i < job->segment_count; i++) {
		if (job->segments[i].length % disk->block_size)
			return BLOCK_ERROR_REQUEST;
		if (!disk_pool_range(disk, &job->segments[i], &physical))
			return BLOCK_ERROR_RANGE;
	}
	return BLOCK_OK;
}

enum block_status job_prepare(const struct disk *disk, struct job *job,
                              const volatile struct block_request *request)
{
	uint32_t operation = request->operation;
	job->status = BLOCK_OK;
	job->parts = job->segment = job->segment_count = 0;
	job->write = operation == BLOCK_WRITE;
	switch (operation) {
	case BLOCK_READ:
		return transfer_prepare(disk, job, request);
	case BLOCK_WRITE:
		if (disk->read_only)
			return BLOCK_ERROR_READ_ONLY;
		return transfer_prepare(disk, job, request);
	case BLOCK_FLUSH:
		return BLOCK_OK;
	default:
		return BLOCK_ERROR_REQUEST;
	}
}

/* Hands the slot back to the client. */
static void job_complete(struct disk *disk, struct job *job, enum block_status status)
{
	struct block_request *request = ring_slot(&disk->ring, job->slot);
	request->status = status;
	job->active = false;
	ring_complete(&disk->ring, job->slot);
}

void job_part_done(struct disk *disk, struct job *job, enum block_status status)
{
	job->parts--;
	if (status)
		job->status = status;
	/* After an error the rest of the job would be for nothing. */
	if (job->status)
		job->segment = job->segment_count;
	if (job->parts || job->segment < job->segment_count)
		return;
	if (disk->current == job)
		disk->current = NULL;
	job_complete(disk, job, (enum block_status)job->status);
}

/* Takes one request. What needs no device is answered at once. */
static void job_take(struct disk *disk, uint32_t number)
{
	struct job *job = &disk->jobs[number];
	struct block_request *request = ring_slot(&disk->ring, number);
	if (!request || job->active)
		return;
	job->active = true;
	job->slot = number;
	if (request->operation == BLOCK_INFO) {
		request->sectors = disk->sectors;
		request->read_only = disk->read_only;
		job_complete(disk, job, BLOCK_OK);
		return;
	}
	enum block_status status = job_prepare(disk, job, request);
	/* Without the flush feature the device writes through: what completed is on stable storage. */
	if (status || (!job->segment_count && !disk->flush))
		job_complete(disk, job, status);
	else
		disk->current = job;
}

/* All parts of the current job, none after an error; false: the device has no room. */
static bool current_submit(struct disk *disk)
{
	struct job *job = disk->current;
	do {
		if (!job->status && !part_submit(disk, job))
			return false;
	} while (job->segment < job->segment_count);
	disk->current = NULL;
	return true;
}

bool disk_submit_all(struct disk *disk)
{
	uint32_t number;
	for (;;) {
		if (disk->current && !current_submit(disk))
			return false;
		if (!ring_next(&disk->ring, &number))
			return true;
		job_take(disk, number);
	}
}
