/* SPDX-License-Identifier: MIT */
/*
 * The metadata buffer cache: blocks of the disk in the component's own pool (pool 0 of the driver), written
 * back later. File data never comes here; only superblock, descriptors, bitmaps, inode tables, indirect
 * blocks, directories, long symlinks and attributes do.
 *
 * Dirty buffers are written by *commits*, one at a time: all that is dirty at one moment, from copies, so
 * that changes can go on meanwhile; in phases with a flush behind each, so that a power cut at any time
 * leaves a disk that e2fsck repairs by itself (docs/decisions/ordered-commits.md).
 *
 * Which block a buffer holds, and whether it is newer than the disk, is recorded in the pool itself: a
 * successor of this component finds there what its predecessor had changed and not written (cache_recover).
 *
 * Suspends the fiber: buffer_get on a miss, and everything that writes. Nothing else.
 */
#pragma once

#include <proto/ring.h>

#include "device.h"

/* What a block is for: which phase of a commit writes it. */
enum buffer_kind {
	BUFFER_BITMAP,
	BUFFER_POINTERS, /* indirect blocks, attributes, symlink targets */
	BUFFER_INODES,
	BUFFER_DIRECTORY,
	BUFFER_SUPER, /* superblock and descriptors */
};

/* See commit.c. */
enum commit_phase {
	PHASE_TARGETS,
	PHASE_POINTERS,
	PHASE_INODES, /* and what e2fsck and recovery rebuild anyway: bitmaps, counts */
	PHASE_NAMES,
	PHASE_OLD_NAMES,
	PHASES,
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

/* Names of a file that were removed, while its inode still counts them: see pending.c. */
struct drop_record {
	uint32_t inode, links;
	uint64_t commit; /* the names are off the disk when this one has ended */
};
#define DROP_RECORDS 512

/* What a request has begun to do to names (one for each slot of the client's): a successor that is asked the
 * same again can tell how far it had come. */
enum change_state {
	CHANGE_NONE,
	CHANGE_BEGUN,
	CHANGE_EXCHANGES, /* between its two steps */
	CHANGE_EXCHANGED,
};
struct change {
	uint32_t state;
	uint32_t source; /* the inode whose name is made, removed or moved */
	uint32_t target; /* of a rename: the inode whose name that was */
};
#define CHANGES_MAX (RING_SLOTS_MAX / 2)

struct cache_header {
	uint64_t magic; /* CACHE_MAGIC once a file system is mounted from this pool */
	uint32_t block_size;
	uint32_t count;
	uint8_t uuid[16];
	uint32_t changing;  /* requests that were changing something: 0 means that the blocks fit together */
	uint32_t was_clean; /* before it was mounted */
	uint32_t
	        opens_unknown; /* more were opened than there are records, or a predecessor's are not known */
	uint32_t drop_count;
	uint32_t cut_off; /* the disk lost something before it was mounted, and recovery from that is under
	                     way */
	uint32_t failed, lost; /* found to be broken; metadata could not be written */
	uint8_t reserved[512 - 60];
	uint8_t scratch[1024]; /* where the superblock is read before anything is known */
	struct open_record opens[OPEN_RECORDS];
	struct drop_record drops[DROP_RECORDS];
	struct change changes[CHANGES_MAX];
	struct buffer_record records[];
};
_Static_assert(offsetof(struct cache_header, scratch) == 512, "whole sectors for the scratch area");
#define CACHE_MAGIC 0x3145484341325445ul

struct buffer {
	struct buffer *hash_next;
	struct buffer *newer, *older; /* in the LRU list: exactly while refs is 0 */
	uint8_t *data, *copy;         /* copy: what a commit writes */
	uint32_t block;
	uint16_t refs;
	uint8_t kind, phase; /* phase: in the commit under way */
	bool hashed, valid, dirty, reading, writing;
	bool checked;              /* bitmaps: compared with the group */
	bool fresh;                /* nothing on the disk leads to this block yet */
	bool early, late;          /* see buffer_order; until the next commit */
	uint32_t born, leaving;    /* bits of a block of inodes: made, replaced since the last commit */
	bool dying;                /* there are records of it in cache.dying */
	uint32_t emptied;          /* directories that something was removed from */
	uint32_t unsettled;        /* directories whose removal begins with a commit */
	uint32_t hidden, next;     /* of the commit under way: born and not written yet; written next */
	uint32_t blocked;          /* while directories of a commit are chosen: they wait */
	uint8_t *image;            /* in the commit under way, what is written at its end; NULL: as in copy */
	struct wait_queue waiters; /* for the end of reading */
};

/* A name that a file got beside its others since the last commit. */
struct recent_link {
	uint32_t inode, block; /* block: of the directory */
	bool hidden;           /* the directory is new too: the name comes last of all */
};
#define RECENT_LINKS 64

/* A directory that was removed after what it held: dead on the disk after that. */
struct dying {
	struct dying *next; /* from the first to the last */
	struct buffer *buffer;
	uint32_t index, parent; /* its place in the buffer; the directory that it was in */
	bool dead;
	uint8_t alive[]; /* the inode; all its blocks are on the disk */
};

#define PARK_BLOCKS 8
#define PARKED_MAX  256

struct cache {
	struct device *device;
	struct cache_header *header;
	uint8_t *pool;
	uint64_t pool_size;
	struct buffer *buffers;
	struct buffer **hash;
	uint32_t count, hash_mask, block_size, block_limit;
	uint32_t inode_size;
	uint32_t dirty_count;
	uint64_t *dirty; /* a bit for each buffer: what a commit looks through */
	struct buffer **commit_list;
	bool commit_flushed;
	/* Blocks of lost+found, held, and the inodes that the next commit gives a name there meanwhile. */
	struct buffer *park_blocks[PARK_BLOCKS];
	uint32_t parked[PARKED_MAX], parked_count;
	struct dying *dying, **dying_end, *commit_dying; /* of the next commit, of the one under way */
	struct recent_link recent_links[RECENT_LINKS];
	uint32_t recent_count;
	struct fiber_mutex commit_lock;
	/* Numbers of commits: the last that was begun, ended, ended well, and not well. */
	uint64_t commits, ended, durable, failed;
	void (*committed)(
	        struct cache *cache);   /* before anything can change after a commit that ended well */
	struct buffer *newest, *oldest; /* LRU */
	struct wait_queue released;     /* fibers that found no buffer to take */
	uint64_t zero_offset;           /* in the pool: a zeroed block of EXT2_BLOCK_MAX bytes */
	int write_error;                /* of the commit under way */
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
void buffer_dirty(struct cache *cache, struct buffer *buffer, enum buffer_kind kind);
/* The block is freed: its contents must not reach the disk by a commit that begins from now on. */
void buffer_forget(struct cache *cache, uint32_t block);
/* A name is about to go from `after` because it is in `before` now (held buffers of directories): `after`
 * shall not be written first. false: what is ordered already speaks against it, commit first. */
bool buffer_order(struct buffer *before, struct buffer *after);

/* The file has got a name more, in the directory's block. May commit. */
void cache_linked(struct cache *cache, uint32_t inode, uint32_t block, bool hidden);
/* One of the file's names is about to go from the block (held): as buffer_order, for all that cache_linked
 * was told since the last commit. */
bool cache_unlink_order(struct cache *cache, uint32_t inode, struct buffer *block);
/* The directory in this place is about to be removed: false if there is no memory. */
bool cache_dying(struct cache *cache, struct buffer *buffer, uint32_t index, uint32_t parent);
/* A file whose last name becomes another's, or the other way round: see commit.c. May commit. */
void cache_park(struct cache *cache, uint32_t inode);
/* The name that e2fsck would give it, and a commit does. Returns its length. */
#define PARK_NAME_MAX 12
uint32_t park_name(char name[PARK_NAME_MAX], uint32_t inode);

/* For the other files of the cache. */
struct buffer *cache_find(struct cache *cache, uint32_t block); /* NULL: not here */
void buffer_hold(struct cache *cache, struct buffer *buffer);
void buffer_set_dirty(struct cache *cache, struct buffer *buffer, bool dirty);
void buffer_bits_clear(struct buffer *buffer); /* what is only known until the next commit */
void buffer_record_update(struct cache *cache, struct buffer *buffer);

/* Writes one buffer that is not dirty, without a commit, and waits: 0 or EIO. */
int buffer_write(struct cache *cache, struct buffer *buffer);
/* Everything that is dirty now is on stable storage, and all data that the disk took before: 0 or EIO. A
 * buffer that could not be written stays clean, since the disk will not take it later either. */
int cache_commit(struct cache *cache);
