/* SPDX-License-Identifier: MIT */
/*
 * A machine for the file system to live in: a disk in memory that completes requests out of order and can
 * stop writing at any point, pools, and images made by the host's mke2fs and checked by its e2fsck.
 */
#pragma once

#include "ext2.h"
#include "check.h"

#define MACHINE_SLOTS 12
#define POOL_PAGES    4096 /* of pool 1, the client's */

/* A block of the file system, of a write that the disk has taken, but not to stable storage. */
struct cached_write {
	uint64_t position;
	uint64_t epoch; /* flushes that had completed before it */
	uint8_t data[EXT2_BLOCK_MAX];
};

struct machine {
	struct device device; /* first: the device's functions find the machine by it */
	uint8_t *disk;
	uint64_t size;
	uint8_t *pool0;
	uint64_t pool0_size;
	uint8_t *pool1;
	struct block_request slots[MACHINE_SLOTS];
	bool taken[MACHINE_SLOTS], submitted[MACHINE_SLOTS];
	uint64_t random;
	uint64_t writes, writes_left;                   /* requests; writes_left: those after it are lost */
	uint32_t fail_reads, fail_writes, fail_flushes; /* one in so many fails; 0: none */
	bool slow_reads;                                /* others overtake them */
	uint32_t fail_flush_in;                         /* the one after so many flushes fails; 0: none */
	uint64_t reads, requests, bytes, flushes;
	/* A disk with a cache of its own (machine_cache_writes): what of `disk` would outlive a power cut,
	 * and the writes that may be lost. */
	uint8_t *stable;
	struct cached_write *cached;
	uint32_t cached_count, cached_room;
	uint32_t flush_reach[MACHINE_SLOTS]; /* the cached writes that had completed when this flush was
	                                        submitted */
	bool ignore_flushes;                 /* a disk that lies, to see that the tests notice; or one
	                                        whose cache a test reads as the log of all writes */
	uint64_t cut_in;                     /* completions until the power is cut; 0: it stays */
	uint8_t *cut;                        /* the disk as it was then; NULL: not yet */
	/* A file system that is killed: what it left in memory and on the disk (NULL: it lives), and the
	 * clients that wait for its successor. */
	uint8_t *left_pool0, *left_disk;
	struct wait_queue bereft;
	uint64_t calls; /* slots of requests under way */
	struct filesystem fs;
};

uint64_t random_next(uint64_t *state);
static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)(random_next(state) >> 16) % limit;
}

/* mke2fs with these options (and a content folder, or NULL) into a new machine. */
bool machine_make(struct machine *machine, const char *options, const char *content, const char *size,
                  uint64_t pool0_size);
void machine_init(struct machine *machine, uint64_t size, uint64_t pool0_size);
/* As new, with the other's disk, which is no larger than it was made for. */
void machine_copy_disk(struct machine *machine, const struct machine *good);
void machine_free(struct machine *machine);
void machine_save(const struct machine *machine, const char *path);
bool machine_load(struct machine *machine, const char *path, uint64_t pool0_size);
/* Runs function on a fiber, and the disk, until all fibers have ended. false: they wait for what never comes.
 */
bool machine_run(struct machine *machine, fiber_function *function, void *argument);
/* The same for fibers that are started already. */
bool machine_drain(struct machine *machine);
int machine_mount(struct machine *machine, bool restarted);
int machine_unmount(struct machine *machine);
const char *machine_image(void); /* the file that machine_make makes and that e2fsck sees */
/* What e2fsck says of them on the machine's disk, which is printed if they do not. */
bool machine_block_bitmaps_agree(struct machine *machine);
/* e2fsck's exit status with the given options on the machine's disk; the disk is what e2fsck left. Prints its
 * output if it fails `most`. */
int machine_fsck(struct machine *machine, const char *options, int most);
/* From now on the disk has a cache: a write is safe when a flush that was submitted after its end has
 * completed. When the power is cut, after `cut_in` requests, any of the other writes may have reached the
 * disk, in any order, but no part of a block. */
void machine_cache_writes(struct machine *machine, uint64_t cut_in);
/* The power is back: the disk is what the cut left, and takes all writes for good. */
void machine_power_on(struct machine *machine);
/* It dies after so many more basic blocks of its code, counted also while it mounts. What runs on after that is
 * not real: when all fibers wait, the successor mounts (machine_mount) what was there at the moment of its death. */
void machine_kill_in(struct machine *machine, uint64_t blocks);
void machine_lives(void); /* each of them */
/* The clients go on with it; what they had asked is asked again. */
void machine_revived(struct machine *machine);
/* One request, on the current fiber. Returns its error. */
int machine_call(struct machine *machine, struct fs_request *request);
extern const char *work_folder; /* for image files */
extern bool log_quiet;
extern unsigned log_errors;
