/* SPDX-License-Identifier: MIT */
/*
 * The ext2 core: everything that is ext2 and nothing that is Pith, so that it also runs in host tests. All
 * functions that may wait run on a fiber; between two waits a fiber has all of these structures to itself.
 * Functions return 0 or a Linux errno value (positive).
 *
 * Locks, in the order in which they are taken: the rename lock; directories, ancestors before descendants,
 * else by inode number; other inodes by number; the orphan lock. A lock is held across disk waits, but only
 * those who need that inode wait for it.
 */
#pragma once

#include <errno.h>
#include <proto/fs.h>

#include "cache.h"
#include "disk.h"

#define POOLS_MAX  BLOCK_POOLS_MAX
#define INODE_HASH 256

/* The client's page pools, by their number in the protocol; 0 is this component's own. address NULL: not
 * mapped here, not usable. */
struct pool {
	uint8_t *address;
	uint64_t size;
};

/* A file that somebody works on or has opened, or whose links were not all counted yet. Exists while refs,
 * opens or drops are not 0, and as an orphan. */
struct inode {
	struct inode *hash_next;
	uint32_t number;
	uint32_t refs;           /* fibers that use it; raw and buffer are valid while there are any */
	uint32_t opens;          /* FS_OPEN */
	bool orphan;             /* unlinked, kept for its opens, in the list of orphans */
	uint32_t drops;          /* links that raw still counts and that are none any more (pending.c) */
	uint32_t dropped_blocks; /* of fs->dropped_blocks */
	struct inode *orphan_next;
	struct ext2_inode *raw;    /* in buffer */
	struct buffer *buffer;     /* of the inode table */
	struct fiber_rwlock lock;  /* contents of raw and of the file's blocks and pointers */
	uint32_t allocated;        /* block after the last one allocated for it, or 0: where to go on */
	uint64_t allocated_for;    /* the file block that `allocated` would suit */
	struct wait_queue loading; /* others wait while one fiber fetches the buffer */
	bool is_loading;
};

struct filesystem {
	struct device *device;
	struct cache cache;
	struct pool pools[POOLS_MAX];
	struct buffer *super_buffer;
	struct ext2_superblock *super;
	struct buffer **descriptor_buffers;
	uint32_t block_size, block_bits; /* block_bits: log2 of block_size */
	uint32_t pointers;               /* in an indirect block */
	uint32_t blocks_count, inodes_count, first_data_block, blocks_per_group, inodes_per_group;
	uint32_t group_count, descriptor_blocks, reserved_descriptor_blocks, table_blocks, first_inode,
	        inode_size;
	uint64_t size_max; /* of a file: what triple indirection reaches */
	uint64_t free_blocks, free_inodes;
	struct pending_group *pending;
	uint8_t *pending_scratch;                /* a bitmap */
	uint32_t pending_groups[2];              /* bitmaps of each generation */
	uint64_t dropped_blocks, dropped_inodes; /* of files that are gone, not counted as free yet */
	bool metadata_lost; /* not all that was answered is on the disk, and never will be */
	bool mounted, read_only, failed, filetype, sparse_super, two_backups;
	uint32_t backup_groups[2]; /* with copies of the superblock, if two_backups */
	uint32_t first_meta_group; /* so many blocks of descriptors lie together; meta_bg spreads the others */
	bool was_clean; /* the disk, before it was mounted */
	bool inherited; /* taken over from a predecessor */
	bool opens_unknown; /* files may be open of which no predecessor has left a record */
	uint32_t generation;
	struct inode *inodes[INODE_HASH];
	struct inode *orphans; /* newest first, as on the disk */
	struct fiber_mutex orphan_lock, rename_lock;
	uint64_t error_count;
	struct directory_indexes *indexes;
	struct wait_queue changed; /* the unmounting request waits for whoever is under way */
	uint32_t serving;          /* requests */
	bool unmounting;
	int mount_error;   /* why it is not mounted: the answer to every request */
	int unmount_error; /* of the first unmount: the answer to later ones */
};

static inline struct filesystem *filesystem_of(struct cache *cache)
{
	return (struct filesystem *)((uint8_t *)cache - offsetof(struct filesystem, cache));
}

/* ---- environment: given by the component or the test ---- */
struct fs_time environment_now(void);

/* ---- mount.c ---- */
struct mount_options {
	struct device *device;
	void *pool; /* pool 0 */
	uint64_t pool_size;
	bool read_only;
	bool restarted; /* a predecessor may have left unwritten buffers in the pool, and files open */
};
/* 0; EINVAL: not ext2 or a feature that is not known; EUCLEAN: corrupt; EIO; ENOMEM. Says why in the log. */
int filesystem_mount(struct filesystem *fs, const struct mount_options *options);
/* Every change that was answered, and all data, to stable storage. */
int filesystem_sync(struct filesystem *fs);
/* Gives back at once what files that are gone had. false: there is nothing of that kind. */
bool filesystem_reclaim(struct filesystem *fs);
int filesystem_unmount(struct filesystem *fs);
uint64_t filesystem_free_blocks(const struct filesystem *fs); /* as a client counts them */
void filesystem_statfs(struct filesystem *fs, struct fs_statfs *out);
#define METADATA_LOST "metadata could not be written"
/* The disk contradicts itself: logged, marked in the superblock, and read-only from now on. Returns EUCLEAN.
 */
int filesystem_error(struct filesystem *fs, const char *format, ...) __attribute__((format(printf, 2, 3)));
void super_dirty(struct filesystem *fs);
static inline int filesystem_writable(const struct filesystem *fs)
{
	return fs->read_only ? EROFS : 0;
}

/* ---- group.c: descriptors and where metadata lies ---- */
struct ext2_group *group_descriptor(struct filesystem *fs, uint32_t group);
void group_dirty(struct filesystem *fs, uint32_t group);
uint32_t group_first_block(const struct filesystem *fs, uint32_t group);
uint32_t group_block_count(const struct filesystem *fs, uint32_t group);
uint32_t group_super_blocks(const struct filesystem *fs,
                            uint32_t group); /* superblock, descriptors and reserve at its start */
uint32_t group_descriptor_block(const struct filesystem *fs, uint32_t index); /* where each block of descriptors lies */
/* May a file own all of these blocks? false for numbers out of range and for the file system's own blocks. */
bool blocks_are_data(struct filesystem *fs, uint32_t first, uint32_t count);
int groups_check(struct filesystem *fs);
int group_block_bitmap(struct filesystem *fs, uint32_t group, struct buffer **out);
int group_inode_bitmap(struct filesystem *fs, uint32_t group, struct buffer **out);

/* ---- pending.c: what was given up, and is still in use for the disk ---- */
enum pending_kind {
	PENDING_BLOCKS,
	PENDING_INODES,
	PENDING_KINDS,
};
struct pending_group {
	uint8_t *bits[PENDING_KINDS][2]; /* NULL: none */
};
int pending_init(struct filesystem *fs);
void pending_free(struct filesystem *fs);
/* Bits of a group that are about to be cleared in its bitmap: not given out again before the next commit has
 * ended. May wait. */
int pending_add(struct filesystem *fs, enum pending_kind kind, uint32_t group, uint32_t first,
                uint32_t count);
/* The first `limit` bits of the group's bitmap with those; valid until the next wait or call. */
const uint8_t *pending_merge(struct filesystem *fs, enum pending_kind kind, uint32_t group,
                             const uint8_t *bitmap, uint32_t limit);
/* The last name of a file (write-locked) was removed: it dies on the disk before the name does. May wait. */
int inode_gone(struct filesystem *fs, struct inode *inode);
/* Names of the file (write-locked) are gone. Its links follow when the disk knows, and the file with the last
 * one. May wait. */
int inode_drop(struct filesystem *fs, struct inode *inode, uint32_t links);
/* The same for links that inode->drops counts already. */
int inode_dropped(struct filesystem *fs, struct inode *inode, uint32_t links);
/* Where commits may give names to files that have none for a moment. */
void parks_init(struct filesystem *fs);
uint32_t lost_found(struct filesystem *fs); /* the inode of lost+found, 0: there is none */
/* What commits that have ended allow. */
int drops_apply(struct filesystem *fs);
void drop_record_add(struct filesystem *fs, struct drop_record record); /* there is room */
void drop_record_remove(struct filesystem *fs, uint32_t index);         /* the last one takes its place */
/* What a predecessor had dropped. */
int drops_restore(struct filesystem *fs);

/* ---- bits.c ---- */
uint32_t bits_next_zero(const uint8_t *bits, uint32_t from, uint32_t limit); /* limit: none */
uint32_t bits_next_one(const uint8_t *bits, uint32_t from, uint32_t limit);
uint32_t bits_count_zero(const uint8_t *bits, uint32_t limit);
void bits_merge(uint8_t *bits, const uint8_t *other, uint32_t limit);
static inline bool bit_test(const uint8_t *bits, uint32_t bit)
{
	return bits[bit / 8] >> bit % 8 & 1;
}
static inline void bit_set(uint8_t *bits, uint32_t bit)
{
	bits[bit / 8] |= (uint8_t)(1u << bit % 8);
}
static inline void bit_clear(uint8_t *bits, uint32_t bit)
{
	bits[bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

/* ---- allocate.c ---- */
/* Up to `wanted` adjacent blocks near the goal (0: none). privileged: may use the reserve. ENOSPC */
int blocks_allocate(struct filesystem *fs, uint32_t goal, uint32_t wanted, bool privileged, uint32_t *first,
                    uint32_t *count);
int blocks_free(struct filesystem *fs, uint32_t first, uint32_t count);
int inode_number_allocate(struct filesystem *fs, uint32_t parent, bool directory, uint32_t *number);
int inode_number_free(struct filesystem *fs, uint32_t number, bool directory);
int inode_number_is_used(struct filesystem *fs, uint32_t number, bool *used);

/* ---- inode.c ---- */
enum inode_want {
	INODE_LIVE, /* has links, or is an orphan that is open; else ESTALE */
	INODE_ANY,  /* whatever is there (new ones, orphans at mount) */
};
/* Where an inode is: which one of a block. */
struct inode_place {
	uint32_t block, index;
};
/* ESTALE: there is no such inode. */
int inode_place(struct filesystem *fs, uint32_t number, struct inode_place *out);
/* A reference (not a lock). ESTALE: no such file; EUCLEAN: nonsense on the disk; EIO */
int inode_get(struct filesystem *fs, uint32_t number, enum inode_want want, struct inode **out);
void inode_put(struct filesystem *fs, struct inode *inode);
void inode_dirty(struct filesystem *fs, struct inode *inode);
/* For commits: it has its first link, after its name; its last name is another file's now. */
void inode_born(struct filesystem *fs, struct inode *inode, uint32_t links);
/* Not on the disk yet, and there only after the names of others. */
bool inode_is_new(const struct filesystem *fs, const struct inode *inode);
void inode_leaving(struct filesystem *fs, struct inode *inode);
/* A name was removed from the directory. */
void inode_emptied(struct filesystem *fs, struct inode *directory);
/* A file that lives on had its name there, or the directory has a block that the disk does not have: before
 * it can be removed, the disk must be as it is now. */
void inode_unsettled(struct filesystem *fs, struct inode *directory);
/* The directory is about to be removed from its parent (write-locked): on the disk, what was in it goes
 * first. May commit. */
int inode_dies(struct filesystem *fs, struct inode *directory, uint32_t parent);
/* It is about to replace another one: alive before its name. May commit. */
int inode_replaces(struct filesystem *fs, struct inode *inode);
void inode_open(struct filesystem *fs, struct inode *inode);
/* Undo one inode_open, through a reference; frees the file if that was the last thing that kept it. */
int inode_close(struct filesystem *fs, struct inode *inode);
/* The client is another one: it has nothing open. */
int inodes_close(struct filesystem *fs);
/* Its last link is gone for the disk too (write-locked): frees it, or makes it an orphan if it is open. */
int inode_unlinked(struct filesystem *fs, struct inode *inode);
/* The one with the number, without a reference: made, or NULL if there is no memory. */
struct inode *inode_remember(struct filesystem *fs, uint32_t number);
bool inode_may_be_open(const struct filesystem *fs, uint32_t number); /* with a predecessor */
/* What the client had open with a predecessor. */
int opens_restore(struct filesystem *fs);
int orphans_recover(struct filesystem *fs);
int orphans_free_all(struct filesystem *fs);
uint64_t inode_size(const struct inode *inode);
uint64_t raw_size(const struct ext2_inode *raw);
void inode_set_size(struct filesystem *fs, struct inode *inode, uint64_t size);
bool inode_is_fast_symlink(const struct filesystem *fs, const struct inode *inode);
bool inode_has_blocks(const struct filesystem *fs,
                      const struct inode *inode); /* are block[] block numbers? */
uint32_t inode_uid(const struct inode *inode);
bool inode_is_privileged(struct filesystem *fs, const struct inode *inode);
void inode_attributes(struct filesystem *fs, const struct inode *inode, struct fs_attributes *out);
void inode_set_times(struct filesystem *fs, struct inode *inode, unsigned mask, const struct fs_time *atime,
                     const struct fs_time *mtime, const struct fs_time *ctime); /* marks it dirty */
void inode_touch(struct filesystem *fs, struct inode *inode,
                 unsigned mask); /* the same, all of mask to now */
void inode_set_flags(struct filesystem *fs, struct inode *inode,
                     uint32_t flags); /* those that users may set */
void inode_init(struct filesystem *fs, struct inode *inode, const struct fs_attributes *attributes);
static inline uint32_t inode_links(const struct inode *inode)
{
	return inode->raw->links > inode->drops ? inode->raw->links - inode->drops : 0;
}
/* Without a name or somebody who has it open; maybe only since the caller began to wait for its lock. */
static inline bool inode_is_gone(const struct inode *inode)
{
	return !inode_links(inode) && !inode->orphan && !inode->opens;
}
static inline unsigned inode_type(const struct inode *inode)
{
	return inode->raw->mode & 0xf000;
}

/* ---- map.c: which disk block holds a file's block ---- */
/* *count ≥ 1 blocks from `block` on lie at *physical and after it, or are all holes (*physical = 0). Locked
 * for reading. */
int map_lookup(struct filesystem *fs, struct inode *inode, uint64_t block, uint64_t wanted,
               uint32_t *physical, uint32_t *count);
/* Fills holes from `block` on (which is one) with *count ≤ wanted new adjacent blocks. Locked for writing. */
int map_allocate(struct filesystem *fs, struct inode *inode, uint64_t block, uint64_t wanted,
                 uint32_t *physical, uint32_t *count);
/* Fills one with a new block that is zeros in its buffer. No wait between the inode's change and the return:
 * every commit has the block with the inode, or neither, if the caller marks it dirty without waiting. */
int map_allocate_buffer(struct filesystem *fs, struct inode *inode, uint64_t block, struct buffer **out);
/* Frees blocks [first, end), and indirect blocks that have nothing left to map. Locked for writing. */
int map_free(struct filesystem *fs, struct inode *inode, uint64_t first, uint64_t end);
#define MAP_END UINT64_MAX

/* ---- data.c: pages between disk and pools ---- */
int data_read(struct filesystem *fs, struct inode *inode, const struct fs_page *pages, uint32_t count);
int data_write(struct filesystem *fs, struct inode *inode, const struct fs_page *pages, uint32_t count,
               uint64_t size, uint32_t *done);
int data_set_size(struct filesystem *fs, struct inode *inode, uint64_t size);
int data_punch(struct filesystem *fs, struct inode *inode, uint64_t offset, uint64_t length);
int data_seek(struct filesystem *fs, struct inode *inode, bool hole, uint64_t *offset);

/* ---- directory.c: entries of one directory; the caller holds its lock ---- */
struct directory_place {
	uint32_t inode;
	uint8_t type;
	uint32_t block, offset; /* the entry's file block, and where in it */
	uint32_t previous; /* offset of the entry before it in its block; equal to offset: it is the first */
	/* where a name of the length that was looked for would fit, filled in also if the name is not found
	 */
	bool has_room;
	uint32_t room_block, room_offset;
};
/* ENOENT: not there (place's room is valid) */
int directory_find(struct filesystem *fs, struct inode *directory, const char *name, unsigned length,
                   struct directory_place *place);
/* After directory_find said ENOENT, with no change in between. place->block: where it is then. */
int directory_add(struct filesystem *fs, struct inode *directory, struct directory_place *place,
                  const char *name, unsigned length, uint32_t number, unsigned mode);
int directory_remove(struct filesystem *fs, struct inode *directory, const struct directory_place *place);
int directory_replace(struct filesystem *fs, struct inode *directory, const struct directory_place *place,
                      uint32_t number, unsigned mode);
int directory_is_empty(struct filesystem *fs, struct inode *directory); /* 0 or ENOTEMPTY */
int directory_init(struct filesystem *fs, struct inode *directory, uint32_t parent);
int directory_parent(struct filesystem *fs, struct inode *directory, uint32_t *parent);
int directory_set_parent(struct filesystem *fs, struct inode *directory, uint32_t parent);
int directory_correct_parent(struct filesystem *fs, struct inode *directory,
                             uint32_t parent); /* sets it if it is another one */
int directory_read(struct filesystem *fs, struct inode *directory, uint64_t offset, uint8_t *out,
                   uint32_t capacity, uint32_t *length, uint64_t *next);

int directory_block(struct filesystem *fs, struct inode *directory, uint32_t block, struct buffer **out);
/* The record at the offset, or NULL if it is impossible. */
struct ext2_dirent *directory_entry_at(const struct filesystem *fs, const struct buffer *buffer,
                                       uint32_t offset);
uint32_t directory_block_room(const struct filesystem *fs,
                              const struct buffer *buffer); /* of one new entry */

/* ---- index.c: where names are in large directories; the caller holds the directory's lock ---- */
extern uint32_t index_size_least; /* bytes of a directory that is worth one; tests change it */
extern uint32_t index_slots_most; /* 8 bytes each, over all indexes; tests change it */
#define INDEX_SLOTS_MOST (96 * 1024)
/* Makes one if the directory is worth it. false: there is none. May wait. */
bool index_ready(struct filesystem *fs, struct inode *directory);
#define INDEX_UNKNOWN UINT32_MAX
/* Blocks that may hold the name; no others can. INDEX_UNKNOWN: no index, or more than `limit`. */
unsigned index_candidates(struct filesystem *fs, const struct inode *directory, const char *name,
                          unsigned length, uint32_t *blocks, unsigned limit);
bool index_room(struct filesystem *fs, const struct inode *directory, uint32_t needed, uint32_t *block);
/* After the change of the block. */
void index_added(struct filesystem *fs, struct inode *directory, const char *name, unsigned length,
                 const struct buffer *buffer, uint32_t block);
void index_removed(struct filesystem *fs, struct inode *directory, const char *name, unsigned length,
                   const struct buffer *buffer, uint32_t block);
void index_drop(struct filesystem *fs, const struct inode *directory);
void indexes_free(struct filesystem *fs);

/* ---- namespace.c: change is the request's, CHANGE_NONE or as a predecessor left it ---- */
struct name {
	const char *text;
	unsigned length;
};
int namespace_lookup(struct filesystem *fs, uint32_t directory, struct name name, struct fs_attributes *out);
/* *attributes in: what to make; out: what was made. target: of a symlink. */
int namespace_create(struct filesystem *fs, uint32_t directory, struct name name, const char *target,
                     unsigned target_length, struct fs_attributes *attributes, struct change *change);
int namespace_link(struct filesystem *fs, uint32_t directory, struct name name, uint32_t file,
                   struct fs_attributes *out, struct change *change);
int namespace_unlink(struct filesystem *fs, uint32_t directory, struct name name, struct fs_attributes *out,
                     struct change *change);
int namespace_rmdir(struct filesystem *fs, uint32_t directory, struct name name, struct change *change);
int namespace_rename(struct filesystem *fs, uint32_t old_directory, struct name old_name,
                     uint32_t new_directory, struct name new_name, unsigned flags, struct change *change);
/* Had a request got so far with one of its names? */
bool is_changing(const struct filesystem *fs, enum change_state state, uint32_t number);
int namespace_readlink(struct filesystem *fs, uint32_t number, char *out, uint32_t capacity,
                       uint32_t *length);

/* ---- recover.c: after an unclean stop ---- */
/* Marks in the bitmaps everything that files use, so that nothing in use is given out again; makes all counts
 * agree with the bitmaps; removes names that lead to no file. killed: in memory all is there that a
 * predecessor knew, and some of it is half done; what is not ended now can be done again. */
int disk_recover(struct filesystem *fs, bool killed);

/* ---- serve.c: one request of the protocol ---- */
/* The slot, of this number, is shared with the client: read once, checked, and written at the end. repeated: a
 * predecessor may have done it already. */
void filesystem_serve(struct filesystem *fs, struct fs_request *slot, uint32_t number, bool repeated);
/* The client has the answer: no successor will be asked the same again. */
void filesystem_answered(struct filesystem *fs, uint32_t number);
