/* SPDX-License-Identifier: MIT */
/*
 * Commits: all metadata that is dirty at one moment goes to the disk, in phases with a flush behind each. The
 * order is chosen for what e2fsck -p repairs without a question, and so that no name is ever without its
 * file:
 *
 *   targets    new blocks of pointers, of directories and the like: nothing on the disk leads there yet
 *   pointers   what the disk has of them leads to the new ones now
 *   inodes     without the new ones; those of removed files are dead now, while their names are still there
 *   removed directories, which go after what was in them
 *   names      of new files lead nowhere yet, replaced ones to their new file
 *   old names  out of which files were renamed
 *   new inodes first directories, parents before what is in them, then files; and the death of files that
 * were replaced
 *
 * e2fsck clears names of dead inodes and corrects counts; what it would ask about is a file without a name,
 * two owners of a block (pending.c), or a directory of rubbish. A file that was replaced by a rename has no
 * name before it is dead, and if the other one is new, that one lives before it has its name: so before all
 * phases such files get a name in lost+found, where e2fsck would put them, and after them lost+found is as it
 * was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pith/log.h>

#include "ext2.h"

static enum commit_phase buffer_phase(const struct buffer *buffer)
{
	switch (buffer->kind) {
	case BUFFER_POINTERS:
		return buffer->fresh ? PHASE_TARGETS : PHASE_POINTERS;
	case BUFFER_DIRECTORY:
		return buffer->fresh ? PHASE_TARGETS : buffer->late ? PHASE_OLD_NAMES : PHASE_NAMES;
	default:
		return PHASE_INODES;
	}
}

bool buffer_order(struct buffer *before, struct buffer *after)
{
	/* In one block both changes are one. What is not dirty is on the disk, or in a commit that is before
	 * ours. */
	if (before == after || !before->dirty)
		return true;
	if (buffer_phase(before) == PHASE_OLD_NAMES || (after->dirty && after->early))
		return false;
	before->early = after->late = true;
	return true;
}

void cache_linked(struct cache *cache, uint32_t inode, uint32_t block, bool hidden)
{
	if (cache->recent_count == RECENT_LINKS)
		cache_commit(cache);
	else
		cache->recent_links[cache->recent_count++] = (struct recent_link){inode, block, hidden};
}

bool cache_unlink_order(struct cache *cache, uint32_t inode, struct buffer *block)
{
	for (uint32_t i = 0; i < cache->recent_count; i++) {
		const struct recent_link *link = &cache->recent_links[i];
		struct buffer *before;

		if (link->inode != inode)
			continue;
		before = cache_find(cache, link->block);
		if (before && before != block && (link->hidden || !buffer_order(before, block)))
			return false;
	}
	return true;
}

bool cache_dying(struct cache *cache, struct buffer *buffer, uint32_t index, uint32_t parent)
{
	struct dying *dying = malloc(sizeof(*dying) + cache->inode_size);

	if (!dying)
		return false;
	*dying = (struct dying){.buffer = buffer, .index = index, .parent = parent};
	memcpy(dying->alive, buffer->data + (size_t)index * cache->inode_size, cache->inode_size);
	buffer_hold(cache, buffer);
	buffer->dying = true;
	*cache->dying_end = dying;
	cache->dying_end = &dying->next;
	return true;
}

static int commit_order(const void *left, const void *right)
{
	const struct buffer *a = *(struct buffer *const *)left, *b = *(struct buffer *const *)right;

	if (a->phase != b->phase)
		return a->phase < b->phase ? -1 : 1;
	return a->block < b->block ? -1 : a->block > b->block;
}

/* ---- the two images of a block of inodes ---- */

static struct ext2_inode *image_inode(const struct cache *cache, uint8_t *block, uint32_t index)
{
	return (struct ext2_inode *)(block + (size_t)index * cache->inode_size);
}

/* Bits of the block's inodes that are directories. */
static uint32_t directories_in(const struct cache *cache, uint8_t *block, uint32_t bits)
{
	uint32_t result = 0;

	for (uint32_t rest = bits; rest; rest &= rest - 1) {
		uint32_t index = (uint32_t)__builtin_ctz(rest);

		if ((image_inode(cache, block, index)->mode & 0xf000) == 0x4000)
			result |= 1u << index;
	}
	return result;
}

static void image_hide(const struct cache *cache, uint8_t *block, uint32_t bits)
{
	for (; bits; bits &= bits - 1)
		memset(image_inode(cache, block, (uint32_t)__builtin_ctz(bits)), 0, cache->inode_size);
}

/* The copy is to be without new inodes at first. Without memory for the other image it is as well without
 * this order. */
static void image_begin(const struct cache *cache, struct buffer *buffer)
{
	buffer->hidden = buffer->born;
	if (!buffer->born && !buffer->leaving && !buffer->dying)
		return;
	buffer->image = malloc(cache->block_size);
	if (!buffer->image)
		return;
	memcpy(buffer->image, buffer->copy, cache->block_size);
	for (uint32_t bits = buffer->leaving; bits; bits &= bits - 1) {
		struct ext2_inode *inode = image_inode(cache, buffer->image, (uint32_t)__builtin_ctz(bits));

		inode->links = 0;
		inode->dtime = inode->ctime;
	}
	image_hide(cache, buffer->copy, buffer->born);
}

/* The removed directories are the commit's, and alive in it at first. */
static void dying_begin(struct cache *cache)
{
	cache->commit_dying = cache->dying;
	cache->dying = NULL;
	cache->dying_end = &cache->dying;
	for (struct dying *dying = cache->commit_dying; dying; dying = dying->next)
		if (dying->buffer->image)
			memcpy(image_inode(cache, dying->buffer->copy, dying->index), dying->alive,
			       cache->inode_size);
}

static void drop_image(const struct cache *cache, uint8_t *block, const struct drop_record *drop,
                       uint32_t index)
{
	struct ext2_inode *inode = image_inode(cache, block, index);

	if (!inode->links)
		return;
	inode->links = inode->links > drop->links ? (uint16_t)(inode->links - drop->links) : 0;
	if (!inode->links)
		inode->dtime = inode->ctime;
}

/* Links whose names went with an earlier commit, and which memory has until drops_apply comes to them: an
 * inode that is dead on the disk must not come to life again without a name. */
static void drops_begin(struct cache *cache)
{
	struct filesystem *fs = filesystem_of(cache);

	/* Before a mount knows where inodes are, nothing is changed either. */
	if (!fs->descriptor_buffers)
		return;
	for (uint32_t i = 0; i < cache->header->drop_count; i++) {
		const struct drop_record *drop = &cache->header->drops[i];
		struct inode_place place;
		struct buffer *buffer;

		if (drop->commit > cache->durable || inode_place(fs, drop->inode, &place))
			continue;
		buffer = cache_find(cache, place.block);
		if (!buffer || !buffer->writing)
			continue;
		drop_image(cache, buffer->copy, drop, place.index);
		if (buffer->image)
			drop_image(cache, buffer->image, drop, place.index);
	}
}

static void dying_end(struct cache *cache)
{
	while (cache->commit_dying) {
		struct dying *dying = cache->commit_dying;

		cache->commit_dying = dying->next;
		buffer_put(cache, dying->buffer);
		free(dying);
	}
}

/* Copies all that is dirty, which from now on is the commit's. Does not suspend: it is what the disk would be
 * if everything were written at this moment. Returns how many, in the order of writing. */
static uint32_t commit_begin(struct cache *cache)
{
	const uint8_t *bits = (const uint8_t *)cache->dirty;
	uint32_t count = 0;

	cache->commits++;
	cache->recent_count = 0;
	for (uint32_t i = bits_next_one(bits, 0, cache->count); i < cache->count;
	     i = bits_next_one(bits, i + 1, cache->count)) {
		struct buffer *buffer = &cache->buffers[i];

		buffer_hold(cache, buffer);
		memcpy(buffer->copy, buffer->data, cache->block_size);
		buffer->phase = (uint8_t)buffer_phase(buffer);
		image_begin(cache, buffer);
		buffer->fresh = buffer->early = buffer->late = false;
		buffer_bits_clear(buffer);
		buffer->writing = true;
		buffer_set_dirty(cache, buffer, false);
		cache->commit_list[count++] = buffer;
	}
	dying_begin(cache);
	drops_begin(cache);
	qsort(cache->commit_list, count, sizeof(*cache->commit_list), commit_order);
	return count;
}

static int commit_written(struct cache *cache, int error)
{
	if (error) {
		log_error("write error: metadata is lost");
		cache->write_error = error;
		cache->header->lost = 1;
	}
	return error;
}

static int commit_write(struct cache *cache, struct buffer **list, uint32_t count)
{
	unsigned sectors = cache->block_size / BLOCK_SECTOR;
	struct io_batch batch;

	io_begin(&batch, cache->device);
	for (uint32_t i = 0; i < count; i++)
		io_add(&batch, BLOCK_WRITE, (uint64_t)list[i]->block * sectors, 0,
		       (uint64_t)(list[i]->copy - cache->pool), cache->block_size);
	return commit_written(cache, io_finish(&batch));
}

static int commit_flush(struct cache *cache)
{
	cache->commit_flushed = true;
	return io_flush(cache->device);
}

/* again: they are dirty as before. What was written may be lost when a flush fails, what was not because of
 * that can be written later. */
static void commit_end(struct cache *cache, uint32_t count, bool again)
{
	for (uint32_t i = 0; i < count; i++) {
		struct buffer *buffer = cache->commit_list[i];

		buffer->writing = false;
		buffer->next = 0;
		free(buffer->image);
		buffer->image = NULL;
		if (again && buffer->hashed)
			buffer_set_dirty(cache, buffer, true);
		buffer_record_update(cache, buffer);
		buffer_put(cache, buffer);
	}
}

/* The buffers of a phase. */
static int commit_phase(struct cache *cache, uint32_t count, enum commit_phase phase)
{
	struct buffer **list = cache->commit_list;
	uint32_t start = 0, end;
	int error;

	while (start < count && list[start]->phase < phase)
		start++;
	for (end = start; end < count && list[end]->phase == phase; end++)
		;
	if (start == end)
		return 0;
	error = commit_write(cache, list + start, end - start);
	return error ? error : commit_flush(cache);
}

/* Writes the blocks that have something `next`. *any: there was one. */
static int commit_next(struct cache *cache, uint32_t count, bool *any)
{
	struct buffer **list = cache->commit_list;
	unsigned sectors = cache->block_size / BLOCK_SECTOR;
	struct io_batch batch;
	int error;

	*any = false;
	io_begin(&batch, cache->device);
	for (uint32_t i = 0; i < count; i++) {
		list[i]->blocked = 0;
		if (!list[i]->next)
			continue;
		list[i]->next = 0;
		*any = true;
		io_add(&batch, BLOCK_WRITE, (uint64_t)list[i]->block * sectors, 0,
		       (uint64_t)(list[i]->copy - cache->pool), cache->block_size);
	}
	error = commit_written(cache, io_finish(&batch));
	return error || !*any ? error : commit_flush(cache);
}

/* The buffer of the commit under way that has two images and holds the inode, with its bit there, or NULL. */
static struct buffer *image_of(struct filesystem *fs, uint32_t number, uint32_t *bit)
{
	struct inode_place place;
	struct buffer *buffer;

	if (inode_place(fs, number, &place))
		return NULL;
	buffer = cache_find(&fs->cache, place.block);
	*bit = 1u << place.index;
	return buffer && buffer->image ? buffer : NULL;
}

/* ---- removed directories: after all that was in them ---- */

/* Records are in the order of removal, so that a directory comes after those that were in it. It waits for
 * them, if they are not in its own block. */
static void dying_choose(struct cache *cache)
{
	struct filesystem *fs = filesystem_of(cache);

	for (struct dying *dying = cache->commit_dying; dying; dying = dying->next) {
		struct buffer *buffer = dying->buffer, *parent;
		uint32_t bit = 1u << dying->index, parent_bit;
		bool waits = buffer->blocked & bit;

		if (dying->dead || !buffer->image)
			continue;
		if (!waits) {
			memcpy(image_inode(cache, buffer->copy, dying->index),
			       image_inode(cache, buffer->image, dying->index), cache->inode_size);
			buffer->next |= bit;
			dying->dead = true;
		}
		parent = image_of(fs, dying->parent, &parent_bit);
		if (parent && (waits || parent != buffer))
			parent->blocked |= parent_bit;
	}
}

static int commit_dying(struct cache *cache, uint32_t count)
{
	bool any = cache->commit_dying != NULL;
	int error = 0;

	while (any && !error) {
		dying_choose(cache);
		error = commit_next(cache, count, &any);
	}
	return error;
}

/* ---- the second images: new directories, parents first, then everything else ---- */

/* The parent of a directory that the commit makes: its first block is in the commit too. 0: it is none any
 * more. */
static uint32_t new_directory_parent(struct cache *cache, const struct ext2_inode *directory)
{
	struct buffer *buffer = directory->links ? cache_find(cache, directory->block[0]) : NULL;
	const struct ext2_dirent *dotdot;

	if (!buffer || !buffer->writing || buffer->kind != BUFFER_DIRECTORY)
		return 0;
	dotdot = (const struct ext2_dirent *)(buffer->copy + EXT2_DIRENT_SIZE(1));
	return dotdot->inode;
}

/* Those of the buffer's hidden directories whose parents are on the disk, or come to it in the same block. */
static uint32_t image_next(struct filesystem *fs, struct buffer *buffer)
{
	uint32_t rest = directories_in(&fs->cache, buffer->image, buffer->hidden), next = 0, before;

	do {
		before = next;
		for (uint32_t bits = rest & ~next; bits; bits &= bits - 1) {
			uint32_t index = (uint32_t)__builtin_ctz(bits), parent_bit;
			struct ext2_inode *inode = image_inode(&fs->cache, buffer->image, index);
			struct buffer *parent =
			        image_of(fs, new_directory_parent(&fs->cache, inode), &parent_bit);

			if (!parent || !(parent->hidden & parent_bit) ||
			    (parent == buffer && next & parent_bit))
				next |= 1u << index;
		}
	} while (next != before);
	return next;
}

/* With so many of the new inodes. */
static void image_copy(const struct cache *cache, struct buffer *buffer)
{
	memcpy(buffer->copy, buffer->image, cache->block_size);
	image_hide(cache, buffer->copy, buffer->hidden);
}

/* A directory that the disk sees before its parent has no name there: e2fsck asks. So each flush is followed
 * by all directories that have their parents on the disk then. Most need one: who makes a directory in a new
 * one finds its inode in the same block. */
static int commit_directories(struct cache *cache, uint32_t count)
{
	struct filesystem *fs = filesystem_of(cache);
	struct buffer **list = cache->commit_list;
	bool any;
	int error;

	do {
		for (uint32_t i = 0; i < count; i++)
			list[i]->next = list[i]->image ? image_next(fs, list[i]) : 0;
		for (uint32_t i = 0; i < count; i++) {
			list[i]->hidden &= ~list[i]->next;
			if (list[i]->next)
				image_copy(cache, list[i]);
		}
		error = commit_next(cache, count, &any);
	} while (any && !error);
	return error;
}

static int commit_rest(struct cache *cache, uint32_t count)
{
	struct buffer **list = cache->commit_list;
	bool any;

	for (uint32_t i = 0; i < count; i++) {
		list[i]->hidden = 0;
		list[i]->next = list[i]->image != NULL;
		if (list[i]->image)
			image_copy(cache, list[i]);
	}
	return commit_next(cache, count, &any);
}

/* ---- names in lost+found ---- */

void cache_park(struct cache *cache, uint32_t inode)
{
	for (uint32_t i = 0; i < cache->parked_count; i++)
		if (cache->parked[i] == inode)
			return;
	if (cache->parked_count == PARKED_MAX)
		cache_commit(cache);
	if (cache->parked_count < PARKED_MAX)
		cache->parked[cache->parked_count++] = inode;
}

uint32_t park_name(char name[PARK_NAME_MAX], uint32_t inode)
{
	return (uint32_t)snprintf(name, PARK_NAME_MAX, "#%u", inode);
}

static bool park_one(uint8_t *block, uint32_t block_size, uint32_t inode)
{
	char name[PARK_NAME_MAX];
	uint32_t length = park_name(name, inode);
	struct ext2_dirent *entry;

	for (uint32_t offset = 0; offset < block_size; offset += entry->record_size) {
		uint32_t used;

		entry = (struct ext2_dirent *)(block + offset);
		used = entry->inode ? EXT2_DIRENT_SIZE(entry->name_length) : 0;
		if (entry->record_size < EXT2_DIRENT_SIZE(1) || entry->record_size > block_size - offset ||
		    entry->record_size % 4)
			return false;
		if (entry->record_size < used + EXT2_DIRENT_SIZE(length))
			continue;
		if (used) {
			struct ext2_dirent *next = (struct ext2_dirent *)(block + offset + used);

			next->record_size = (uint16_t)(entry->record_size - used);
			entry->record_size = (uint16_t)used;
			entry = next;
		}
		entry->inode = inode;
		entry->name_length = (uint8_t)length;
		entry->type = EXT2_TYPE_UNKNOWN;
		memcpy(entry->name, name, length);
		return true;
	}
	return false;
}

/* Which blocks of lost+found can be used: those that are still its, and not in this commit themselves. */
static uint32_t park_blocks_begin(struct cache *cache, struct buffer **list)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < PARK_BLOCKS && cache->parked_count; i++) {
		struct buffer *buffer = cache->park_blocks[i];

		if (!buffer || !buffer->hashed || buffer->writing)
			continue;
		buffer->image = malloc(cache->block_size);
		if (!buffer->image)
			continue;
		memcpy(buffer->image, buffer->data, cache->block_size);
		memcpy(buffer->copy, buffer->data, cache->block_size);
		/* A successor that finds it so writes it without the names. */
		buffer->writing = true;
		buffer_record_update(cache, buffer);
		list[count++] = buffer;
	}
	return count;
}

/* Right after commit_begin, without suspension. *count: the blocks that are written before and after
 * everything. */
static void parks_begin(struct cache *cache, struct buffer **list, uint32_t *count)
{
	uint32_t block = 0;

	*count = park_blocks_begin(cache, list);
	for (uint32_t i = 0; i < cache->parked_count && block < *count;) {
		if (park_one(list[block]->copy, cache->block_size, cache->parked[i]))
			i++;
		else
			block++;
	}
	cache->parked_count = 0;
}

/* No flush: names of the dead or of files that have others do no harm, and the next commit's first one comes
 * before the inodes' numbers are used again. */
static int parks_end(struct cache *cache, struct buffer **list, uint32_t count, int error)
{
	for (uint32_t i = 0; i < count; i++)
		memcpy(list[i]->copy, list[i]->image, cache->block_size);
	if (count && !error)
		error = commit_write(cache, list, count);
	for (uint32_t i = 0; i < count; i++) {
		free(list[i]->image);
		list[i]->image = NULL;
		list[i]->writing = false;
		buffer_record_update(cache, list[i]);
		/* After a flush that failed the names are still there: the next commit takes them away. */
		if (error && !cache->write_error && list[i]->hashed)
			buffer_dirty(cache, list[i], BUFFER_DIRECTORY);
	}
	return error;
}

static int commit_run(struct cache *cache)
{
	struct buffer *parks[PARK_BLOCKS];
	uint32_t count = commit_begin(cache), park_count;
	int error = 0;

	parks_begin(cache, parks, &park_count);
	cache->commit_flushed = false;
	if (park_count)
		error = commit_write(cache, parks, park_count);
	if (park_count && !error)
		error = commit_flush(cache);
	for (enum commit_phase phase = 0; phase < PHASES && !error; phase++) {
		error = commit_phase(cache, count, phase);
		if (phase == PHASE_INODES && !error)
			error = commit_dying(cache, count);
	}
	if (!error)
		error = commit_directories(cache, count);
	if (!error)
		error = commit_rest(cache, count);
	error = parks_end(cache, parks, park_count, error);
	/* For data that the disk took before. */
	if (!error && !cache->commit_flushed)
		error = commit_flush(cache);
	dying_end(cache);
	commit_end(cache, count, error && !cache->write_error);
	return error;
}

/* Blocks that could not be written are lost: from then on the disk is not trusted. */
static void lost_check(struct cache *cache)
{
	struct filesystem *fs = filesystem_of(cache);

	if (!cache->write_error)
		return;
	cache->write_error = 0;
	fs->metadata_lost = true;
	filesystem_error(fs, METADATA_LOST);
}

int cache_commit(struct cache *cache)
{
	uint64_t wanted = cache->commits + 1;

	fiber_mutex_lock(&cache->commit_lock);
	/* Whoever had the lock before may have begun after we came. */
	if (cache->ended < wanted) {
		int error = commit_run(cache);

		cache->ended = cache->commits;
		if (error)
			cache->failed = cache->ended;
		else
			cache->durable = cache->ended;
		if (!error && cache->committed)
			cache->committed(cache);
		lost_check(cache);
	}
	fiber_mutex_unlock(&cache->commit_lock);
	return cache->failed >= wanted ? EIO : 0;
}
