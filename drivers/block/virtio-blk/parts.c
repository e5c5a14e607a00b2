/* SPDX-License-Identifier: MIT */
/* Requests at the device: a header, data segments and a status byte each, as descriptors. */
#include "disk.h"

#define TYPE_IN    0
#define TYPE_OUT   1
#define TYPE_FLUSH 4

#define STATUS_OK      0
#define STATUS_PENDING 0xff

/*
 * Adds data segments from the job's next on, merging those that follow each other in memory. Returns the
 * number of buffers; *end is the first segment left out, *bytes what was taken. The ranges were checked when
 * the job was prepared.
 */
static unsigned segments_gather(const struct disk *disk, const struct job *job,
                                struct virtqueue_buffer *buffers, uint32_t *end, uint64_t *bytes)
{
	unsigned count = 0;
	uint64_t physical;
	*bytes = 0;
	uint32_t i = job->segment;
	for (; i < job->segment_count; i++) {
		const struct block_segment *segment = &job->segments[i];
		if (!disk_pool_range(disk, segment, &physical))
			break;
		struct virtqueue_buffer *last = count ? &buffers[count - 1] : NULL;
		if (last && last->physical + last->length == physical &&
		    segment->length <= UINT32_MAX - last->length) {
			last->length += segment->length;
		} else if (count == disk->segments_max) {
			break;
		} else {
			buffers[count++] = (struct virtqueue_buffer){physical, segment->length, !job->write};
		}
		*bytes += segment->length;
	}
	*end = i;
	return count;
}

bool part_submit(struct disk *disk, struct job *job)
{
	struct virtqueue_buffer buffers[BLOCK_SEGMENTS_MAX + 2];
	uint32_t end;
	uint64_t bytes;
	if (!disk->tokens_free_count)
		return false;
	unsigned token = disk->tokens_free[disk->tokens_free_count - 1];
	unsigned data = segments_gather(disk, job, buffers + 1, &end, &bytes);

	bool flush = !job->segment_count;
	disk->headers[token] = (struct disk_header){
	        .type = flush        ? TYPE_FLUSH
	                : job->write ? TYPE_OUT
	                             : TYPE_IN,
	        .sector = flush ? 0 : job->sector,
	};
	disk->statuses[token] = STATUS_PENDING;
	buffers[0] = (struct virtqueue_buffer){disk->headers_physical + token * sizeof(struct disk_header),
	                                       sizeof(struct disk_header), false};
	buffers[data + 1] = (struct virtqueue_buffer){disk->statuses_physical + token, 1, true};
	if (!virtqueue_submit(&disk->queue, buffers, data + 2, token))
		return false;

	disk->tokens_free_count--;
	disk->parts[token] = (struct part){.busy = true, .job = (uint16_t)(job - disk->jobs)};
	job->parts++;
	job->segment = end;
	job->sector += bytes / BLOCK_SECTOR;
	return true;
}

const char *disk_collect(struct disk *disk)
{
	unsigned token;
	uint32_t length;
	for (;;) {
		enum virtqueue_result result = virtqueue_completed(&disk->queue, &token, &length);
		if (result == VIRTQUEUE_EMPTY)
			return NULL;
		if (result == VIRTQUEUE_BROKEN)
			return "the device completed a request that it did not have";
		struct part *part = &disk->parts[token];
		uint8_t status = *(volatile uint8_t *)&disk->statuses[token];
		part->busy = false;
		disk->tokens_free[disk->tokens_free_count++] = (uint16_t)token;
		job_part_done(disk, &disk->jobs[part->job], status == STATUS_OK ? BLOCK_OK : BLOCK_ERROR_IO);
	}
}
