/* SPDX-License-Identifier: MIT */
/* The disk and what is under way to it. One instance a component. */
#pragma once

#include <driver/dma.h>
#include <driver/virtio.h>
#include <pith/ring.h>
#include <proto/block.h>

#define TOKENS_MAX VIRTQUEUE_SIZE_MAX

struct pool {
	uint64_t physical, size; /* size 0: there is no such pool */
};

/* A request of the client that has been taken: a private, checked copy. It goes to the device in one or more
 * parts. */
struct job {
	uint32_t slot; /* of the ring */
	bool active;
	bool write;
	uint32_t status;  /* enum block_status so far */
	uint32_t parts;   /* at the device now */
	uint64_t sector;  /* of the next part */
	uint32_t segment; /* next to submit */
	uint32_t segment_count;
	struct block_segment segments[BLOCK_SEGMENTS_MAX];
};

/* The header of a request, as the device reads it. */
struct disk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

/* One request at the device: the number of its header and status byte. */
struct part {
	bool busy;
	uint16_t job; /* index in jobs */
};

struct disk {
	struct virtio_device device;
	struct virtqueue queue;
	uint64_t sectors;
	uint32_t block_size;
	uint32_t segments_max; /* data segments of one part */
	bool read_only;
	bool flush; /* the device has a cache to be flushed */

	struct pool pools[BLOCK_POOLS_MAX];

	/* In DMA memory, one a token */
	struct disk_header *headers;
	uint8_t *statuses;
	uint64_t headers_physical, statuses_physical;
	unsigned tokens;
	uint16_t tokens_free[TOKENS_MAX]; /* a stack */
	unsigned tokens_free_count;
	struct part parts[TOKENS_MAX];

	struct ring ring;
	bool attached;
	struct job jobs[RING_SLOTS_MAX]; /* by ring slot */
	struct job *current;             /* taken, but not all of it is at the device yet; NULL: none */
};

/* device.c: finds and starts the device. NULL, or what is wrong. */
const char *disk_start(struct disk *disk);

/* pools.c */
void disk_pools_attach(struct disk *disk);
/* Physical address of a piece of a pool; false: no such pool, or beyond its end. */
bool disk_pool_range(const struct disk *disk, const struct block_segment *segment, uint64_t *physical);

/* jobs.c: requests of the client. */
/* Checks a request, copies what is needed. BLOCK_OK: the job has parts to submit (or, if segment_count is 0,
 * is a flush). */
enum block_status job_prepare(const struct disk *disk, struct job *job,
                              const volatile struct block_request *request);
/* Takes requests and submits parts as long as there is room; false: there is no room, completions must come
 * first. */
bool disk_submit_all(struct disk *disk);

/* parts.c: requests at the device. */
/* The next part of the job; false: no room at the device. */
bool part_submit(struct disk *disk, struct job *job);
/* All that the device has completed. NULL, or what it did wrong. */
const char *disk_collect(struct disk *disk);
/* jobs.c: a part is back. */
void job_part_done(struct disk *disk, struct job *job, enum block_status status);
