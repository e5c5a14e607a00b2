/* SPDX-License-Identifier: MIT */
/*
 * The metadata buffer cache: blocks of the disk in the component's own pool (pool 0 of the driver), written
 * back later. File data never comes here; only superblock, descriptors, bitmaps, inode tables, indirect
 * blocks, directories, long symlinks and attributes do.
 *
 * Which block a buffer holds, and whether it is newer than the disk, is recorded in the pool itself: a
 * successor of this component finds there what its predecessor had changed and not written (cache_recover).
 *
 * Suspends the fiber: buffer_get on a miss, buffer_forget and everything that writes. Nothing else.
 */
#pragma once

#include "device.h"

/* What a block is for: the order of write-back. What is pointed to goes to the disk before what points to it.
 */
enum buffer_kind {
	BUFFER_BITMAP,
	BUFFER_POINTERS, /* indirect blocks, attributes, symlink targets */
	BUFFER_INODES,
	BUFFER_DIRECTORY,
	BUFFER_SUPER, /* superblock and descriptors */
	BUFFER_KINDS,
};

struct buffer_record {
	uint32_t block;
	uint32_t dirty; /* 0 or 1; only then is `block` meaningful after a restart */
};

/* An inode that the client has open. */
struct open_record {
	uint32_t inode, opens; /* opens 0: unused */
};
#define OPEN_RECORDS 256

struct cache_header {
	uint64_t magic; /* CACHE_MAGIC once a file system is mounted from this pool */
	uint32_t block_size;
	uint32_t count;
	uint8_t uuid[16];
	uint32_t changing;  /* requests that were changing something: 0 means that the blocks fit together */
	uint32_t was_clean; /* before it was mounted */
	uint32_t
	        opens_unknown; /* more were opened than there are records, or a predecessor's are not known */
	uint8_t reserved[512 - 44];
	uint8_t scratch[1024]; /* where the superblock is read before anything is known */
	struct open_record opens[OPEN_RECORDS];
	struct buffer_record records[];
};
_Static_assert(offsetof(struct cache_header, scratch) == 512, "whole sectors for the scratch area");
#define CACHE_MAGIC 0x3145484341325445ul

struct buffer {
	struct buffer *hash_next;
	struct buffer *newer, *older; /* in the LRU list: exactly while refs is 0 */
	struct buffer *chain;         /* of the fiber that writes it */
	uint8_t *data;
	uint32_t block;
	uint32_t owner; /* inode whose fsync writes it; 0: none */
	uint16_t refs;
	uint8_t kind;
	bool hashed, valid, dirty, reading, writing;
	bool checked;              /* bitmaps: compared with the group */
	struct wait_queue waiters; /* for the end of reading or writing */
};

struct cache {
	struct device *device;
	struct cache_header *header;
	uint8_t *pool;
	uint64_t pool_size;
	struct buffer *buffers;
	struct buffer **hash;
	uint32_t count, hash_mask, block_size, block_limit;
	uint32_t dirty_count;
	/* A bit for each buffer that is dirty or being written: what write-back looks through. */
	uint64_t *busy;
	struct buffer *newest, *oldest; /* LRU */
	struct wait_queue released;     /* fibers that found no buffer to take */
	uint64_t zero_offset;           /* in the pool: a zeroed block of EXT2_BLOCK_MAX bytes */
	int write_error;                /* first error of a write-back since it was last taken */
	uint64_t hits, misses, evictions;
};

/* 0 or ENOMEM. The pool must hold at least CACHE_BUFFERS_MIN buffers. block_limit: blocks beyond are refused.
 */
#define CACHE_BUFFERS_MIN 48
int cache_init(struct cache *cache, struct device *device, void *pool, uint64_t pool_size,
               uint32_t block_size, uint32_t block_limit);
void cache_destroy(struct cache *cache);
/* Before cache_init: may this pool hold a predecessor's unwritten buffers of the file system with this uuid?
 */
bool cache_recoverable(const void *pool, uint64_t pool_size, uint32_t block_size, const uint8_t uuid[16]);
/* After cache_init of a recoverable pool: adopts the predecessor's dirty buffers. Returns how many. */
uint32_t cache_recover(struct cache *cache);
/* From now on the records in the pool are worth recovering. */
void cache_mark_mounted(struct cache *cache, const uint8_t uuid[16]);
void cache_mark_unmounted(struct cache *cache);

/* A reference to the block's buffer, read if it is not here; 0, EIO, or EUCLEAN for a block beyond the limit.
 */
int buffer_get(struct cache *cache, uint32_t block, struct buffer **out);
/* The same, reading up to `ahead` blocks after it in the same request if they are not here either. */
int buffer_get_ahead(struct cache *cache, uint32_t block, uint32_t ahead, struct buffer **out);
/* For a block that was just allocated: zeroed, not read. */
int buffer_get_new(struct cache *cache, uint32_t block, struct buffer **out);
void buffer_put(struct cache *cache, struct buffer *buffer);
void buffer_dirty(struct cache *cache, struct buffer *buffer, enum buffer_kind kind, uint32_t owner);
/* The block is freed: its contents must not reach the disk any more (it may soon hold somebody's file). Waits
 * for a write under way. */
void buffer_forget(struct cache *cache, uint32_t block);

/* Write and wait. buffer_write: this one; cache_write_owner: all of one inode; cache_write_all: everything
 * that is dirty now, by kind. 0 or EIO; a buffer that could not be written stays clean, since the disk will
 * not take it later either. */
int buffer_write(struct cache *cache, struct buffer *buffer);
int cache_write_owner(struct cache *cache, uint32_t owner);
int cache_write_all(struct cache *cache);
