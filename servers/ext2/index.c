/* SPDX-License-Identifier: MIT */
/*
 * Indexes of large directories, in memory only: which block a name is in, and which blocks have room. An
 * index is made by one walk through the directory when it is first searched, follows every change, and is
 * dropped whenever in doubt: without it, a search walks. What it says is a hint that the caller verifies in
 * the block itself, but it is complete: a name that it does not know is not there.
 *
 * Names are kept as hashes in an open-addressed table. The oldest index goes when there are too many or they
 * get too big.
 */
#include <stdlib.h>
#include <string.h>

#include <pith/hash.h>

#include "ext2.h"

#define INDEXES     12
#define SLOTS_LEAST 256
#define BLOCK_GONE  UINT32_MAX /* a removed name's slot */

uint32_t index_size_least = 8192, index_slots_most = INDEX_SLOTS_MOST;

struct index_slot {
	uint32_t hash;
	uint32_t block; /* the name's block + 1; 0: never used */
};

struct directory_index {
	uint32_t inode, generation; /* inode 0: unused */
	bool building;              /* its maker waits for the disk: nobody else may use or drop it */
	bool too_large;             /* has too many names: all that is known */
	uint32_t removed;           /* too_large: so many fewer than when that was found */
	uint64_t used_at;
	uint32_t slot_count, taken; /* taken: ever used, counts removed ones */
	struct index_slot *slots;
	uint32_t block_count;
	uint16_t *room; /* of each block: the largest piece that a new entry could take */
};

struct directory_indexes {
	uint64_t clock;
	uint32_t slots_all;
	struct directory_index index[INDEXES];
};

static void index_free(struct directory_indexes *all, struct directory_index *index)
{
	all->slots_all -= index->slot_count;
	free(index->slots);
	free(index->room);
	*index = (struct directory_index){0};
}

/* The same, but that one that is too large stays known as such. */
static void index_give_up(struct directory_indexes *all, struct directory_index *index)
{
	struct directory_index kept = {.inode = index->inode,
	                               .generation = index->generation,
	                               .used_at = index->used_at,
	                               .too_large = true};
	bool too_large = index->too_large;

	index_free(all, index);
	if (too_large)
		*index = kept;
}

/* Also one that is only known to be too large. */
static struct directory_index *index_entry(struct filesystem *fs, const struct inode *directory)
{
	for (unsigned i = 0; fs->indexes && i < INDEXES; i++) {
		struct directory_index *index = &fs->indexes->index[i];

		if (index->inode == directory->number && index->generation == directory->raw->generation) {
			index->used_at = ++fs->indexes->clock;
			return index;
		}
	}
	return NULL;
}

static struct directory_index *index_of(struct filesystem *fs, const struct inode *directory)
{
	struct directory_index *index = index_entry(fs, directory);

	return index && index->too_large ? NULL : index;
}

/* The place for a new index: unused, else the one that was used longest ago. NULL: all are being made. */
static struct directory_index *index_place(struct directory_indexes *all)
{
	struct directory_index *oldest = NULL;

	for (unsigned i = 0; i < INDEXES; i++) {
		struct directory_index *index = &all->index[i];

		if (!index->inode)
			return index;
		if (!index->building && (!oldest || index->used_at < oldest->used_at))
			oldest = index;
	}
	if (oldest)
		index_free(all, oldest);
	return oldest;
}

/* Oldest first, until so many slots may be added. */
static bool make_slots_free(struct directory_indexes *all, uint32_t count,
                            const struct directory_index *except)
{
	while (all->slots_all + count > index_slots_most) {
		struct directory_index *oldest = NULL;

		for (unsigned i = 0; i < INDEXES; i++) {
			struct directory_index *index = &all->index[i];

			if (index->slot_count && index != except && !index->building &&
			    (!oldest || index->used_at < oldest->used_at))
				oldest = index;
		}
		if (!oldest)
			return false;
		index_free(all, oldest);
	}
	return true;
}

static void slot_put(struct directory_index *index, uint32_t hash, uint32_t block)
{
	uint32_t i = hash & (index->slot_count - 1);

	while (index->slots[i].block)
		i = (i + 1) & (index->slot_count - 1);
	index->slots[i] = (struct index_slot){hash, block + 1};
	index->taken++;
}

/* Room for one more name at a load of at most 3/4; a bigger table drops removed names. */
static bool index_grow(struct directory_indexes *all, struct directory_index *index)
{
	uint32_t old_count = index->slot_count, count = old_count ? old_count * 2 : SLOTS_LEAST;
	struct index_slot *old = index->slots, *slots;

	if (old_count && index->taken + 1 <= old_count / 4 * 3)
		return true;
	/* While it grows there are both. */
	index->too_large = old_count + count > index_slots_most;
	if (index->too_large)
		return false;
	slots = make_slots_free(all, count, index) ? calloc(count, sizeof(*slots)) : NULL;
	if (!slots)
		return false;
	all->slots_all += count - old_count;
	index->slots = slots;
	index->slot_count = count;
	index->taken = 0;
	for (uint32_t i = 0; i < old_count; i++)
		if (old[i].block && old[i].block != BLOCK_GONE)
			slot_put(index, old[i].hash, old[i].block - 1);
	free(old);
	return true;
}

static bool index_add_name(struct directory_indexes *all, struct directory_index *index, const char *name,
                           unsigned length, uint32_t block)
{
	if (!index_grow(all, index))
		return false;
	slot_put(index, hash_name(name, length), block);
	return true;
}

/* ---- making one ---- */

static bool index_add_block(struct filesystem *fs, struct directory_index *index, const struct buffer *buffer,
                            uint32_t block)
{
	uint32_t offset = 0;

	index->room[block] = (uint16_t)directory_block_room(fs, buffer);
	while (offset < fs->block_size) {
		const struct ext2_dirent *entry = directory_entry_at(fs, buffer, offset);

		if (!entry || (entry->inode &&
		               !index_add_name(fs->indexes, index, entry->name, entry->name_length, block)))
			return false;
		offset += entry->record_size;
	}
	return true;
}

static bool index_fill(struct filesystem *fs, struct inode *directory, struct directory_index *index)
{
	for (uint32_t block = 0; block < index->block_count; block++) {
		struct buffer *buffer;
		bool good;

		if (directory_block(fs, directory, block, &buffer))
			return false;
		good = index_add_block(fs, index, buffer, block);
		buffer_put(&fs->cache, buffer);
		if (!good)
			return false;
	}
	return true;
}

bool index_ready(struct filesystem *fs, struct inode *directory)
{
	struct directory_index *index;

	if (inode_size(directory) < index_size_least)
		return false;
	index = index_entry(fs, directory);
	if (index)
		return !index->building && !index->too_large;
	if (!fs->indexes)
		fs->indexes = calloc(1, sizeof(*fs->indexes));
	index = fs->indexes ? index_place(fs->indexes) : NULL;
	if (!index)
		return false;
	index->inode = directory->number;
	index->generation = directory->raw->generation;
	index->used_at = ++fs->indexes->clock;
	index->block_count = (uint32_t)(inode_size(directory) >> fs->block_bits);
	index->room = calloc(index->block_count, sizeof(*index->room));
	index->building = true;
	if (!index->room || !index_grow(fs->indexes, index) || !index_fill(fs, directory, index)) {
		index_give_up(fs->indexes, index);
		return false;
	}
	index->building = false;
	return true;
}

void index_drop(struct filesystem *fs, const struct inode *directory)
{
	struct directory_index *index = index_entry(fs, directory);

	if (index && !index->building)
		index_free(fs->indexes, index);
}

void indexes_free(struct filesystem *fs)
{
	for (unsigned i = 0; fs->indexes && i < INDEXES; i++)
		index_free(fs->indexes, &fs->indexes->index[i]);
	free(fs->indexes);
	fs->indexes = NULL;
}

/* ---- asking ---- */

unsigned index_candidates(struct filesystem *fs, const struct inode *directory, const char *name,
                          unsigned length, uint32_t *blocks, unsigned limit)
{
	struct directory_index *index = index_of(fs, directory);
	uint32_t hash = hash_name(name, length), i;
	unsigned count = 0;

	if (!index || index->building)
		return INDEX_UNKNOWN;
	for (i = hash & (index->slot_count - 1); index->slots[i].block;
	     i = (i + 1) & (index->slot_count - 1)) {
		if (index->slots[i].hash != hash || index->slots[i].block == BLOCK_GONE)
			continue;
		if (count == limit)
			return INDEX_UNKNOWN;
		blocks[count++] = index->slots[i].block - 1;
	}
	return count;
}

bool index_room(struct filesystem *fs, const struct inode *directory, uint32_t needed, uint32_t *block)
{
	struct directory_index *index = index_of(fs, directory);

	for (uint32_t i = 0; index && i < index->block_count; i++) {
		if (index->room[i] >= needed) {
			*block = i;
			return true;
		}
	}
	return false;
}

/* ---- following changes ---- */

static void index_block_changed(struct filesystem *fs, struct directory_index *index,
                                const struct buffer *buffer, uint32_t block)
{
	if (block >= index->block_count) {
		uint16_t *room = realloc(index->room, (block + 1) * sizeof(*room));

		if (!room) {
			index_free(fs->indexes, index);
			return;
		}
		memset(room + index->block_count, 0, (block + 1 - index->block_count) * sizeof(*room));
		index->room = room;
		index->block_count = block + 1;
	}
	index->room[block] = (uint16_t)directory_block_room(fs, buffer);
}

void index_added(struct filesystem *fs, struct inode *directory, const char *name, unsigned length,
                 const struct buffer *buffer, uint32_t block)
{
	struct directory_index *index = index_entry(fs, directory);

	if (!index)
		return;
	if (index->too_large)
		index->removed -= index->removed > 0;
	else if (!index_add_name(fs->indexes, index, name, length, block))
		index_give_up(fs->indexes, index);
	else
		index_block_changed(fs, index, buffer, block);
}

void index_removed(struct filesystem *fs, struct inode *directory, const char *name, unsigned length,
                   const struct buffer *buffer, uint32_t block)
{
	struct directory_index *index = index_entry(fs, directory);
	uint32_t hash = hash_name(name, length), i;

	if (!index)
		return;
	if (index->too_large) {
		/* Often enough that it is seen when it is small, and not so often that it is made in vain. */
		if (++index->removed > index_slots_most / 8)
			index_free(fs->indexes, index);
		return;
	}
	for (i = hash & (index->slot_count - 1); index->slots[i].block;
	     i = (i + 1) & (index->slot_count - 1)) {
		if (index->slots[i].hash == hash && index->slots[i].block == block + 1) {
			index->slots[i].block = BLOCK_GONE;
			index_block_changed(fs, index, buffer, block);
			return;
		}
	}
	index_free(fs->indexes, index);
}
