/* SPDX-License-Identifier: MIT */
/*
 * Block devices: a request channel (proto/ring.h) named "block" between a file system (client) and a driver (server).
 * Data is not in the channel: it stays in *pools*, Memories that client and driver both know by number (manifest), and
 * goes there by DMA. Requests are idempotent. A request may be split by the driver as it likes.
 */
#pragma once

#include <proto/ring.h>

#define BLOCK_SECTOR       512
#define BLOCK_SEGMENTS_MAX 64
#define BLOCK_POOLS_MAX    16
#define BLOCK_CHANNEL_SIZE (256 * 1024)

enum block_operation {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH, /* everything completed before it was submitted is on stable storage when it completes */
	BLOCK_INFO,  /* fills in sectors, read_only */
};

enum block_status {
	BLOCK_OK,
	BLOCK_ERROR_IO,
	BLOCK_ERROR_RANGE,     /* beyond the end of the disk, or of the pool */
	BLOCK_ERROR_READ_ONLY,
	BLOCK_ERROR_REQUEST,   /* malformed */
};

struct block_segment {
	uint32_t pool;   /* index of the driver's STARTUP_MEMORY entries named "pool" */
	uint32_t length; /* bytes, a multiple of BLOCK_SECTOR */
	uint64_t offset; /* bytes into the pool's Memory */
};

struct block_request {
	uint32_t operation; /* enum block_operation */
	uint32_t status;    /* enum block_status, by the driver */
	uint64_t sector;
	uint32_t segment_count;
	uint32_t reserved;
	struct block_segment segments[BLOCK_SEGMENTS_MAX];
	/* BLOCK_INFO */
	uint64_t sectors;
	uint64_t read_only;
};
