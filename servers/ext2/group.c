/* SPDX-License-Identifier: MIT */
/* Block groups: descriptors, where the file system's own blocks lie, and the bitmaps, which are checked when
 * they are read. */
#include <pith/log.h>

#include "ext2.h"

/* The descriptors of so many groups fill a block; with meta_bg it lies in the first of them, with copies in
 * the second and the last. */
static uint32_t meta_group_size(const struct filesystem *fs)
{
	return fs->block_size / sizeof(struct ext2_group);
}

struct ext2_group *group_descriptor(struct filesystem *fs, uint32_t group)
{
	uint32_t per_block = meta_group_size(fs);

	return (struct ext2_group *)fs->descriptor_buffers[group / per_block]->data + group % per_block;
}

void group_dirty(struct filesystem *fs, uint32_t group)
{
	uint32_t per_block = meta_group_size(fs);

	buffer_dirty(&fs->cache, fs->descriptor_buffers[group / per_block], BUFFER_SUPER);
}

uint32_t group_first_block(const struct filesystem *fs, uint32_t group)
{
	return fs->first_data_block + group * fs->blocks_per_group;
}

uint32_t group_block_count(const struct filesystem *fs, uint32_t group)
{
	uint32_t first = group_first_block(fs, group);
	uint32_t left = fs->blocks_count - first;

	return left < fs->blocks_per_group ? left : fs->blocks_per_group;
}

static bool is_power_of(uint32_t value, uint32_t base)
{
	while (value > 1 && value % base == 0)
		value /= base;
	return value == 1;
}

static bool group_has_super(const struct filesystem *fs, uint32_t group)
{
	if (fs->two_backups)
		return !group || group == fs->backup_groups[0] || group == fs->backup_groups[1];
	return !fs->sparse_super || group <= 1 || is_power_of(group, 3) || is_power_of(group, 5) ||
	       is_power_of(group, 7);
}

uint32_t group_super_blocks(const struct filesystem *fs, uint32_t group)
{
	uint32_t size = meta_group_size(fs), index = group % size;
	uint32_t super = group_has_super(fs, group) ? 1 : 0;

	if (group / size < fs->first_meta_group)
		return super * (1 + fs->first_meta_group + fs->reserved_descriptor_blocks);
	return super + (index <= 1 || index == size - 1 ? 1 : 0);
}

uint32_t group_descriptor_block(const struct filesystem *fs, uint32_t index)
{
	uint32_t group = index * meta_group_size(fs);

	if (index < fs->first_meta_group)
		return fs->first_data_block + 1 + index;
	return group_first_block(fs, group) + (group_has_super(fs, group) ? 1 : 0);
}

static bool overlaps(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
	return a < b + b_count && b < a + a_count;
}

static bool group_part_is_data(struct filesystem *fs, uint32_t group, uint32_t first, uint32_t count)
{
	struct ext2_group *descriptor = group_descriptor(fs, group);

	return !overlaps(first, count, group_first_block(fs, group), group_super_blocks(fs, group)) &&
	       !overlaps(first, count, descriptor->block_bitmap, 1) &&
	       !overlaps(first, count, descriptor->inode_bitmap, 1) &&
	       !overlaps(first, count, descriptor->inode_table, fs->table_blocks);
}

bool blocks_are_data(struct filesystem *fs, uint32_t first, uint32_t count)
{
	if (first < fs->first_data_block || first >= fs->blocks_count || count > fs->blocks_count - first)
		return false;
	while (count) {
		uint32_t group = (first - fs->first_data_block) / fs->blocks_per_group;
		uint32_t end = group_first_block(fs, group) + group_block_count(fs, group);
		uint32_t part = end - first < count ? end - first : count;

		if (!group_part_is_data(fs, group, first, part))
			return false;
		first += part;
		count -= part;
	}
	return true;
}

static bool group_holds(struct filesystem *fs, uint32_t group, uint32_t first, uint32_t count)
{
	uint32_t start = group_first_block(fs, group) + group_super_blocks(fs, group);
	uint32_t end = group_first_block(fs, group) + group_block_count(fs, group);

	return first >= start && first < end && count <= end - first;
}

/* Every descriptor names blocks inside its own group (without flex_bg it cannot be otherwise), apart from
 * each other. */
int groups_check(struct filesystem *fs)
{
	for (uint32_t group = 0; group < fs->group_count; group++) {
		struct ext2_group *descriptor = group_descriptor(fs, group);

		if (!group_holds(fs, group, descriptor->block_bitmap, 1) ||
		    !group_holds(fs, group, descriptor->inode_bitmap, 1) ||
		    !group_holds(fs, group, descriptor->inode_table, fs->table_blocks) ||
		    descriptor->block_bitmap == descriptor->inode_bitmap ||
		    overlaps(descriptor->block_bitmap, 1, descriptor->inode_table, fs->table_blocks) ||
		    overlaps(descriptor->inode_bitmap, 1, descriptor->inode_table, fs->table_blocks) ||
		    descriptor->free_blocks > group_block_count(fs, group) ||
		    descriptor->free_inodes > fs->inodes_per_group) {
			log_error("corrupt: descriptor of block group %u", group);
			return EUCLEAN;
		}
	}
	return 0;
}

/* The file system's own blocks of a group must be taken in its bitmap, or they would be given to files. */
static bool block_bitmap_sane(struct filesystem *fs, uint32_t group, const uint8_t *bits)
{
	struct ext2_group *descriptor = group_descriptor(fs, group);
	uint32_t first = group_first_block(fs, group);
	uint32_t table = descriptor->inode_table - first;
	uint32_t super = group_super_blocks(fs, group);

	return bits_next_zero(bits, 0, super) == super && bit_test(bits, descriptor->block_bitmap - first) &&
	       bit_test(bits, descriptor->inode_bitmap - first) &&
	       bits_next_zero(bits, table, table + fs->table_blocks) == table + fs->table_blocks;
}

int group_block_bitmap(struct filesystem *fs, uint32_t group, struct buffer **out)
{
	struct ext2_group *descriptor = group_descriptor(fs, group);
	int error = buffer_get(&fs->cache, descriptor->block_bitmap, out);

	if (error || (*out)->checked)
		return error;
	if (!block_bitmap_sane(fs, group, (*out)->data) ||
	    (fs->mounted &&
	     bits_count_zero((*out)->data, group_block_count(fs, group)) != descriptor->free_blocks)) {
		buffer_put(&fs->cache, *out);
		return filesystem_error(fs, "block bitmap of group %u", group);
	}
	(*out)->checked = true;
	return 0;
}

int group_inode_bitmap(struct filesystem *fs, uint32_t group, struct buffer **out)
{
	struct ext2_group *descriptor = group_descriptor(fs, group);
	int error = buffer_get(&fs->cache, descriptor->inode_bitmap, out);

	if (error || (*out)->checked)
		return error;
	if (fs->mounted && bits_count_zero((*out)->data, fs->inodes_per_group) != descriptor->free_inodes) {
		buffer_put(&fs->cache, *out);
		return filesystem_error(fs, "inode bitmap of group %u", group);
	}
	(*out)->checked = true;
	return 0;
}
