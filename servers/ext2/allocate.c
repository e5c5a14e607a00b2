/* SPDX-License-Identifier: MIT */
/*
 * Allocation of blocks and inodes. The bitmap of a group is fetched first (which may wait); searching,
 * marking and counting then happen without a wait in between, so no lock is needed. What was freed lately is
 * not given out before the disk knows that it is free (pending.c): a full disk is asked to learn it now.
 *
 * Blocks: at the goal if it is free, else the first run that is long enough, in the goal's group and then in
 * the others; a short run is taken only when no group has better. Inodes: files go to their directory's
 * group, directories are spread over groups with much room.
 */
#include "ext2.h"

#define RUN_GOOD 32 /* blocks: a run of that length is never passed over for a longer one */

struct run {
	uint32_t start, length;
};

/* The first run of at least `wanted` zero bits in [from, limit), else the longest. */
static struct run run_search(const uint8_t *bits, uint32_t from, uint32_t limit, uint32_t wanted)
{
	struct run best = {0, 0};

	while (best.length < wanted) {
		uint32_t start = bits_next_zero(bits, from, limit);
		uint32_t end;

		if (start >= limit)
			break;
		end = bits_next_one(bits, start, limit - start > wanted ? start + wanted : limit);
		if (end - start > best.length)
			best = (struct run){start, end - start};
		from = end;
	}
	return best;
}

static struct run group_search(const uint8_t *bits, uint32_t goal, uint32_t limit, uint32_t wanted)
{
	uint32_t good = wanted < RUN_GOOD ? wanted : RUN_GOOD;
	struct run after, before;

	if (!bit_test(bits, goal))
		return (struct run){goal,
		                    bits_next_one(bits, goal, limit - goal > wanted ? goal + wanted : limit) -
		                            goal};
	after = run_search(bits, goal, limit, wanted);
	if (after.length >= good)
		return after;
	before = run_search(bits, 0, goal, wanted);
	return before.length > after.length ? before : after;
}

static uint64_t blocks_available(const struct filesystem *fs, bool privileged)
{
	uint64_t reserved = privileged ? 0 : fs->super->reserved_blocks;

	return fs->free_blocks > reserved ? fs->free_blocks - reserved : 0;
}

static void blocks_take(struct filesystem *fs, uint32_t group, struct buffer *bitmap, struct run run)
{
	for (uint32_t i = 0; i < run.length; i++)
		bit_set(bitmap->data, run.start + i);
	buffer_dirty(&fs->cache, bitmap, BUFFER_BITMAP);
	group_descriptor(fs, group)->free_blocks -= (uint16_t)run.length;
	group_dirty(fs, group);
	fs->free_blocks -= run.length;
}

/* *count 0: nothing suitable in this group. */
static int group_allocate(struct filesystem *fs, uint32_t group, uint32_t goal_bit, uint32_t wanted,
                          uint32_t least, bool privileged, uint32_t *first, uint32_t *count)
{
	uint32_t blocks = group_block_count(fs, group);
	uint64_t available;
	struct buffer *bitmap;
	struct run run;
	int error;

	*count = 0;
	if (group_descriptor(fs, group)->free_blocks < least)
		return 0;
	error = group_block_bitmap(fs, group, &bitmap);
	if (error)
		return error;
	available = blocks_available(fs, privileged);
	run = group_search(pending_merge(fs, PENDING_BLOCKS, group, bitmap->data, blocks), goal_bit, blocks,
	                   wanted);
	if (run.length > available)
		run.length = (uint32_t)available;
	if (run.length && run.length >= least) {
		blocks_take(fs, group, bitmap, run);
		*first = group_first_block(fs, group) + run.start;
		*count = run.length;
	}
	buffer_put(&fs->cache, bitmap);
	return 0;
}

/* One pass over all groups from the goal's on. */
static int groups_allocate(struct filesystem *fs, uint32_t goal, uint32_t wanted, uint32_t least,
                           bool privileged, uint32_t *first, uint32_t *count)
{
	uint32_t group = (goal - fs->first_data_block) / fs->blocks_per_group;
	uint32_t bit = (goal - fs->first_data_block) % fs->blocks_per_group;
	int error;

	*count = 0;
	for (uint32_t i = 0; i < fs->group_count && !*count; i++) {
		error = group_allocate(fs, group, bit, wanted, least, privileged, first, count);
		if (error)
			return error;
		group = (group + 1) % fs->group_count;
		bit = 0;
	}
	return 0;
}

static int blocks_find(struct filesystem *fs, uint32_t goal, uint32_t wanted, bool privileged,
                       uint32_t *first, uint32_t *count)
{
	uint64_t available = blocks_available(fs, privileged);
	int error;

	if (!available)
		return ENOSPC;
	if (wanted > available)
		wanted = (uint32_t)available;
	if (goal < fs->first_data_block || goal >= fs->blocks_count)
		goal = fs->first_data_block;
	error = groups_allocate(fs, goal, wanted, wanted < RUN_GOOD ? wanted : RUN_GOOD, privileged, first,
	                        count);
	if (!error && !*count)
		error = groups_allocate(fs, goal, wanted, 1, privileged, first, count);
	if (!error && !*count)
		error = ENOSPC;
	return error;
}

int blocks_allocate(struct filesystem *fs, uint32_t goal, uint32_t wanted, bool privileged, uint32_t *first,
                    uint32_t *count)
{
	int error = blocks_find(fs, goal, wanted, privileged, first, count);

	if (error == ENOSPC && filesystem_reclaim(fs))
		error = blocks_find(fs, goal, wanted, privileged, first, count);
	/* Last line of defence: what a bitmap that lies gives out. */
	if (!error && !blocks_are_data(fs, *first, *count))
		error = filesystem_error(fs, "allocated blocks %u+%u are not data blocks", *first, *count);
	return error;
}

int blocks_free(struct filesystem *fs, uint32_t first, uint32_t count)
{
	int result = 0;

	if (!blocks_are_data(fs, first, count))
		return filesystem_error(fs, "freeing blocks %u+%u, which are not data blocks", first, count);
	while (count) {
		uint32_t group = (first - fs->first_data_block) / fs->blocks_per_group;
		uint32_t bit = (first - fs->first_data_block) % fs->blocks_per_group;
		uint32_t part = fs->blocks_per_group - bit < count ? fs->blocks_per_group - bit : count;
		struct buffer *bitmap;
		uint32_t freed = 0;
		int error = group_block_bitmap(fs, group, &bitmap);

		if (error)
			return error;
		error = pending_add(fs, PENDING_BLOCKS, group, bit, part);
		if (error) {
			buffer_put(&fs->cache, bitmap);
			return error;
		}
		for (uint32_t i = bit; i < bit + part; i++) {
			freed += bit_test(bitmap->data, i);
			bit_clear(bitmap->data, i);
		}
		buffer_dirty(&fs->cache, bitmap, BUFFER_BITMAP);
		group_descriptor(fs, group)->free_blocks += (uint16_t)freed;
		group_dirty(fs, group);
		fs->free_blocks += freed;
		buffer_put(&fs->cache, bitmap);
		if (freed != part)
			result = filesystem_error(fs, "blocks %u+%u were free already", first, part);
		first += part;
		count -= part;
	}
	return result;
}

/* ---- inodes ---- */

static uint32_t group_of_inode(const struct filesystem *fs, uint32_t number)
{
	return (number - 1) / fs->inodes_per_group;
}

/* Directories in the root are spread: the group with fewest directories of those with at least average room.
 * Others stay near their parent while its group is not worse than a good deal below average. */
static uint32_t directory_group(struct filesystem *fs, uint32_t parent)
{
	uint64_t inodes_average = fs->free_inodes / fs->group_count,
	         blocks_average = fs->free_blocks / fs->group_count;
	uint32_t start = group_of_inode(fs, parent), best = start, fewest = UINT32_MAX;
	bool spread = parent == EXT2_ROOT_INODE;

	for (uint32_t i = 0; i < fs->group_count; i++) {
		uint32_t group = (start + i) % fs->group_count;
		struct ext2_group *descriptor = group_descriptor(fs, group);

		if (!descriptor->free_inodes)
			continue;
		if (!spread && descriptor->free_inodes >= inodes_average / 4 &&
		    descriptor->free_blocks >= blocks_average / 4)
			return group;
		if (spread && descriptor->free_inodes >= inodes_average &&
		    descriptor->free_blocks >= blocks_average && descriptor->directories < fewest) {
			fewest = descriptor->directories;
			best = group;
		}
	}
	return best;
}

static int group_inode_allocate(struct filesystem *fs, uint32_t group, bool directory, uint32_t *number)
{
	struct ext2_group *descriptor = group_descriptor(fs, group);
	uint32_t reserved = group == 0 ? fs->first_inode - 1 : 0;
	struct buffer *bitmap;
	uint32_t bit;
	int error;

	*number = 0;
	if (!descriptor->free_inodes)
		return 0;
	error = group_inode_bitmap(fs, group, &bitmap);
	if (error)
		return error;
	bit = bits_next_zero(pending_merge(fs, PENDING_INODES, group, bitmap->data, fs->inodes_per_group),
	                     reserved, fs->inodes_per_group);
	if (bit < fs->inodes_per_group) {
		bit_set(bitmap->data, bit);
		buffer_dirty(&fs->cache, bitmap, BUFFER_BITMAP);
		descriptor->free_inodes--;
		descriptor->directories = (uint16_t)(descriptor->directories + directory);
		group_dirty(fs, group);
		fs->free_inodes--;
		*number = group * fs->inodes_per_group + bit + 1;
	}
	buffer_put(&fs->cache, bitmap);
	return 0;
}

static int inode_number_find(struct filesystem *fs, uint32_t parent, bool directory, uint32_t *number)
{
	uint32_t group = directory ? directory_group(fs, parent) : group_of_inode(fs, parent);

	for (uint32_t i = 0; i < fs->group_count; i++) {
		int error = group_inode_allocate(fs, (group + i) % fs->group_count, directory, number);

		if (error || *number)
			return error;
	}
	return ENOSPC;
}

int inode_number_allocate(struct filesystem *fs, uint32_t parent, bool directory, uint32_t *number)
{
	int error = inode_number_find(fs, parent, directory, number);

	return error == ENOSPC && filesystem_reclaim(fs) ? inode_number_find(fs, parent, directory, number)
	                                                 : error;
}

int inode_number_is_used(struct filesystem *fs, uint32_t number, bool *used)
{
	struct buffer *bitmap;
	int error = group_inode_bitmap(fs, group_of_inode(fs, number), &bitmap);

	if (error)
		return error;
	*used = bit_test(bitmap->data, (number - 1) % fs->inodes_per_group);
	buffer_put(&fs->cache, bitmap);
	return 0;
}

int inode_number_free(struct filesystem *fs, uint32_t number, bool directory)
{
	uint32_t group = group_of_inode(fs, number), bit = (number - 1) % fs->inodes_per_group;
	struct ext2_group *descriptor = group_descriptor(fs, group);
	struct buffer *bitmap;
	int error = group_inode_bitmap(fs, group, &bitmap);

	if (error)
		return error;
	if (!bit_test(bitmap->data, bit))
		error = filesystem_error(fs, "inode %u was free already", number);
	else
		error = pending_add(fs, PENDING_INODES, group, bit, 1);
	if (!error) {
		bit_clear(bitmap->data, bit);
		buffer_dirty(&fs->cache, bitmap, BUFFER_BITMAP);
		descriptor->free_inodes++;
		if (directory && descriptor->directories)
			descriptor->directories--;
		group_dirty(fs, group);
		fs->free_inodes++;
	}
	buffer_put(&fs->cache, bitmap);
	return error;
}
