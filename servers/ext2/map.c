/* SPDX-License-Identifier: MIT */
/*
 * Block maps: the twelve direct pointers and the single, double and triple indirect trees. Every pointer that
 * comes from the disk is checked before use; trees are at most three levels deep whatever the disk says.
 */
#include "ext2.h"

/* Where a file block's pointer is: slot index[0] of the inode, then index[1..depth] in indirect blocks. */
struct path {
	unsigned depth;
	uint32_t index[4];
};

static int path_find(const struct filesystem *fs, uint64_t block, struct path *path)
{
	uint64_t n = fs->pointers, span = n;

	if (block < EXT2_DIRECT) {
		*path = (struct path){0, {(uint32_t)block}};
		return 0;
	}
	block -= EXT2_DIRECT;
	for (unsigned depth = 1; depth <= 3; depth++, span *= n) {
		if (block >= span) {
			block -= span;
			continue;
		}
		*path = (struct path){.depth = depth, .index = {EXT2_DIRECT + depth - 1}};
		for (unsigned level = depth; level >= 1; level--) {
			path->index[level] = (uint32_t)(block % n);
			block /= n;
		}
		return 0;
	}
	return EFBIG;
}

/* How many of the file's blocks, from the path's end on, the entry at that level of the path (and those after
 * it, if it is the last) can map. */
static uint32_t path_left(const struct filesystem *fs, const struct path *path, unsigned level)
{
	uint32_t left = 1;

	if (level == path->depth)
		return (level ? fs->pointers : EXT2_DIRECT) - path->index[level];
	for (unsigned i = level + 1; i <= path->depth; i++)
		left = (left - 1) * fs->pointers + fs->pointers - path->index[i];
	return left;
}

static int bad_pointer(struct filesystem *fs, struct inode *inode, uint32_t block)
{
	return filesystem_error(fs, "inode %u: block pointer %u", inode->number, block);
}

/* The table with the last entry of the path that there is, and the entry's level; less than depth: it is 0.
 * *buffer NULL: the table is the inode's. */
static int table_get(struct filesystem *fs, struct inode *inode, const struct path *path,
                     struct buffer **buffer, uint32_t **table, unsigned *level)
{
	*buffer = NULL;
	*table = inode->raw->block;
	for (*level = 0; *level < path->depth; (*level)++) {
		uint32_t block = (*table)[path->index[*level]];
		int error;

		if (!block)
			return 0;

		if (*buffer)
			buffer_put(&fs->cache, *buffer);
		*buffer = NULL;
		if (!blocks_are_data(fs, block, 1))
			return bad_pointer(fs, inode, block);
		error = buffer_get(&fs->cache, block, buffer);
		if (error)
			return error;
		*table = (uint32_t *)(*buffer)->data;
	}
	return 0;
}

static uint32_t limit_of(uint64_t wanted, uint32_t left)
{
	return wanted < left ? (uint32_t)wanted : left;
}

static uint32_t run_length(const uint32_t *entries, uint32_t limit)
{
	uint32_t step = entries[0] ? 1 : 0, count = 1;

	while (count < limit && entries[count] == entries[0] + count * step)
		count++;
	return count;
}

int map_lookup(struct filesystem *fs, struct inode *inode, uint64_t block, uint64_t wanted,
               uint32_t *physical, uint32_t *count)
{
	struct buffer *buffer;
	struct path path;
	uint32_t *table, *entry;
	uint32_t limit;
	unsigned level;
	int error = path_find(fs, block, &path);

	if (error)
		return error;
	error = table_get(fs, inode, &path, &buffer, &table, &level);
	if (error)
		return error;
	limit = limit_of(wanted, path_left(fs, &path, level));
	entry = &table[path.index[level]];
	*physical = *entry;
	*count = level == path.depth ? run_length(entry, limit) : limit;
	if (buffer)
		buffer_put(&fs->cache, buffer);
	if (*physical && !blocks_are_data(fs, *physical, *count))
		return bad_pointer(fs, inode, *physical);
	return 0;
}

/* ---- allocation ---- */

static void inode_add_blocks(struct filesystem *fs, struct inode *inode, uint32_t count)
{
	inode->raw->sectors += count << (fs->block_bits - 9);
	inode_dirty(fs, inode);
}

static void inode_subtract_blocks(struct filesystem *fs, struct inode *inode, uint32_t count)
{
	uint32_t sectors = count << (fs->block_bits - 9);

	inode->raw->sectors = inode->raw->sectors > sectors ? inode->raw->sectors - sectors : 0;
	inode_dirty(fs, inode);
}

static uint32_t goal_of_inode(const struct filesystem *fs, const struct inode *inode)
{
	return group_first_block(fs, (inode->number - 1) / fs->inodes_per_group);
}

/* Of a block that was just allocated; without a buffer it is given back. */
static int buffer_get_allocated(struct filesystem *fs, uint32_t block, struct buffer **out)
{
	int error = buffer_get_new(&fs->cache, block, out);

	if (error)
		blocks_free(fs, block, 1);
	return error;
}

/* Makes the indirect blocks on the way that do not exist yet. One that stays empty because the disk is full
 * is freed with the file. */
static int leaf_make(struct filesystem *fs, struct inode *inode, const struct path *path,
                     struct buffer **buffer, uint32_t **table)
{
	*buffer = NULL;
	*table = inode->raw->block;
	for (unsigned level = 0; level < path->depth; level++) {
		uint32_t *entry = &(*table)[path->index[level]];
		struct buffer *next;
		uint32_t count;
		int error;

		if (*entry) {
			error = blocks_are_data(fs, *entry, 1) ? buffer_get(&fs->cache, *entry, &next)
			                                       : bad_pointer(fs, inode, *entry);
		} else {
			uint32_t goal = inode->allocated ? inode->allocated : goal_of_inode(fs, inode), block;

			error = blocks_allocate(fs, goal, 1, inode_is_privileged(fs, inode), &block, &count);
			if (!error)
				error = buffer_get_allocated(fs, block, &next);
			if (!error) {
				buffer_dirty(&fs->cache, next, BUFFER_POINTERS);
				*entry = block;
				if (*buffer)
					buffer_dirty(&fs->cache, *buffer, BUFFER_POINTERS);
				inode_add_blocks(fs, inode, 1);
				if (inode->allocated)
					inode->allocated = block + 1;
			}
		}
		if (*buffer)
			buffer_put(&fs->cache, *buffer);
		*buffer = NULL;
		if (error)
			return error;
		*buffer = next;
		*table = (uint32_t *)next->data;
	}
	return 0;
}

static uint32_t goal_of_block(struct filesystem *fs, struct inode *inode, uint64_t block,
                              const uint32_t *table, const struct path *path, const struct buffer *buffer)
{
	uint32_t index = path->index[path->depth];

	if (index > 0 && table[index - 1])
		return table[index - 1] + 1;
	if (inode->allocated && inode->allocated_for == block)
		return inode->allocated;
	return buffer ? buffer->block + 1 : goal_of_inode(fs, inode);
}

/* contents: NULL, or for the buffer of the first one. */
static int allocate(struct filesystem *fs, struct inode *inode, uint64_t block, uint64_t wanted,
                    uint32_t *physical, uint32_t *count, struct buffer **contents)
{
	struct buffer *buffer;
	struct path path;
	uint32_t *table, *entry;
	uint32_t limit;
	int error = path_find(fs, block, &path);

	if (error)
		return error;
	error = leaf_make(fs, inode, &path, &buffer, &table);
	if (error)
		return error;
	entry = &table[path.index[path.depth]];
	limit = run_length(entry, limit_of(wanted, path_left(fs, &path, path.depth)));
	error = *entry ? EIO /* the caller found a hole under its lock */
	               : blocks_allocate(fs, goal_of_block(fs, inode, block, table, &path, buffer), limit,
	                                 inode_is_privileged(fs, inode), physical, count);
	if (!error && contents)
		error = buffer_get_allocated(fs, *physical, contents);
	if (!error) {
		for (uint32_t i = 0; i < *count; i++)
			entry[i] = *physical + i;
		if (buffer)
			buffer_dirty(&fs->cache, buffer, BUFFER_POINTERS);
		inode_add_blocks(fs, inode, *count);
		inode->allocated = *physical + *count;
		inode->allocated_for = block + *count;
	}
	if (buffer)
		buffer_put(&fs->cache, buffer);
	return error;
}

int map_allocate(struct filesystem *fs, struct inode *inode, uint64_t block, uint64_t wanted,
                 uint32_t *physical, uint32_t *count)
{
	return allocate(fs, inode, block, wanted, physical, count, NULL);
}

int map_allocate_buffer(struct filesystem *fs, struct inode *inode, uint64_t block, struct buffer **out)
{
	uint32_t physical, count;

	return allocate(fs, inode, block, 1, &physical, &count, out);
}

/* ---- freeing ---- */

/* Collects adjacent blocks, so that each bitmap is touched once for a run. */
struct truncation {
	struct filesystem *fs;
	struct inode *inode;
	bool cached; /* the data blocks may be in the metadata cache (directories, symlinks) */
	uint32_t first, count;
	int error;
};

static void truncation_flush(struct truncation *truncation)
{
	int error;

	if (!truncation->count)
		return;
	error = blocks_free(truncation->fs, truncation->first, truncation->count);
	if (!truncation->error)
		truncation->error = error;
	inode_subtract_blocks(truncation->fs, truncation->inode, truncation->count);
	truncation->count = 0;
}

static void truncation_add(struct truncation *truncation, uint32_t block, bool cached)
{
	struct filesystem *fs = truncation->fs;

	if (!block)
		return;
	if (cached)
		buffer_forget(&fs->cache, block);
	if (truncation->count && block == truncation->first + truncation->count) {
		truncation->count++;
		return;
	}
	if (truncation->count && block + 1 == truncation->first) {
		truncation->first--;
		truncation->count++;
		return;
	}
	truncation_flush(truncation);
	truncation->first = block;
	truncation->count = 1;
}

/* What holds the entry is dirty: once the block is forgotten, no commit and no successor may come to it. */
static void entry_free(struct truncation *truncation, uint32_t *entry, bool cached)
{
	uint32_t block = *entry;

	*entry = 0;
	atomic_signal_fence(memory_order_seq_cst);
	truncation_add(truncation, block, cached);
}

static bool is_empty(const uint32_t *table, uint32_t count)
{
	while (count && !table[count - 1])
		count--;
	return !count;
}

/* Frees what a tree of depth ≥ 1 maps of its blocks [from, to). true: nothing is left, and its own block can
 * go. Recursion: at most three levels, since depth falls. */
static bool free_tree(struct truncation *truncation, uint32_t block, unsigned depth, uint64_t from,
                      uint64_t to)
{
	struct filesystem *fs = truncation->fs;
	uint64_t span = 1;
	struct buffer *buffer;
	uint32_t *table;
	bool empty;
	int error;

	if (!block || truncation->error)
		return false;
	error = blocks_are_data(fs, block, 1) ? buffer_get(&fs->cache, block, &buffer)
	                                      : bad_pointer(fs, truncation->inode, block);
	if (error) {
		truncation->error = error;
		return false;
	}
	for (unsigned i = 1; i < depth; i++)
		span *= fs->pointers;
	table = (uint32_t *)buffer->data;
	for (uint64_t i = from / span; i < fs->pointers && i * span < to && !truncation->error; i++) {
		uint64_t start = i * span;

		if (depth == 1 ? table[i] != 0
		               : free_tree(truncation, table[i], depth - 1, from > start ? from - start : 0,
		                           to - start)) {
			buffer_dirty(&fs->cache, buffer, BUFFER_POINTERS);
			entry_free(truncation, &table[i], depth > 1 || truncation->cached);
		}
	}
	empty = !truncation->error && is_empty(table, fs->pointers);
	buffer_put(&fs->cache, buffer);
	return empty;
}

int map_free(struct filesystem *fs, struct inode *inode, uint64_t first, uint64_t end)
{
	struct truncation truncation = {.fs = fs, .inode = inode};
	uint32_t *entries = inode->raw->block;
	uint64_t start = EXT2_DIRECT, span = fs->pointers;

	truncation.cached = (inode->raw->mode & 0xf000) != 0x8000;
	for (uint64_t i = first; i < EXT2_DIRECT && i < end; i++) {
		inode_dirty(fs, inode);
		entry_free(&truncation, &entries[i], truncation.cached);
	}
	for (unsigned depth = 1; depth <= 3 && !truncation.error; depth++) {
		uint32_t *entry = &entries[EXT2_DIRECT + depth - 1];

		if (first < start + span && start < end &&
		    free_tree(&truncation, *entry, depth, first > start ? first - start : 0, end - start)) {
			inode_dirty(fs, inode);
			entry_free(&truncation, entry, true);
		}
		start += span;
		span *= fs->pointers;
	}
	truncation_flush(&truncation);
	inode->allocated = 0;
	return truncation.error;
}
