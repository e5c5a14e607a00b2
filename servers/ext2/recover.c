/* SPDX-License-Identifier: MIT */
/*
 * After an unclean stop the bitmaps may be older than the inodes and say "free" of what files use. Giving
 * that out again would destroy files. So before anything is written, everything that files use is marked as
 * used, and all counts are made to agree. Or they are newer, and say "used" of blocks that nothing points to:
 * those are freed, if there is no doubt, as are inodes without links. Names are recover_names.c's.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pith/log.h>

#include "recover.h"

#define TABLE_AHEAD 15
#define CLAIMS_MAX  (1u << 20) /* bytes of this component's memory: 32 GiB in blocks of 4 KiB */

static int mark_block(struct filesystem *fs, struct recovery *recovery, uint32_t block)
{
	uint32_t group, bit;
	struct buffer *bitmap;
	int error;

	if (!blocks_are_data(fs, block, 1)) {
		recovery->bad += !recovery->claims_only;
		return 0;
	}
	recovery->own_blocks++;
	if (recovery->claims) {
		recovery->shared += bit_test(recovery->claims, block - fs->first_data_block);
		bit_set(recovery->claims, block - fs->first_data_block);
	}
	if (recovery->claims_only)
		return 0;
	group = (block - fs->first_data_block) / fs->blocks_per_group;
	bit = (block - fs->first_data_block) % fs->blocks_per_group;
	error = group_block_bitmap(fs, group, &bitmap);
	if (error)
		return error;
	if (!bit_test(bitmap->data, bit)) {
		bit_set(bitmap->data, bit);
		buffer_dirty(&fs->cache, bitmap, BUFFER_BITMAP);
		recovery->blocks++;
	}
	buffer_put(&fs->cache, bitmap);
	return 0;
}

/* Somebody has it already. Without memory to know that, nobody has more blocks than there are. */
static bool is_claimed(const struct filesystem *fs, const struct recovery *recovery, uint32_t block)
{
	return recovery->claims ? bit_test(recovery->claims, block - fs->first_data_block)
	                        : recovery->own_blocks > fs->blocks_count;
}

/* A tree of indirect blocks, depth ≤ 3, and all that it points to: the file's blocks from `first` on. */
static int mark_tree(struct filesystem *fs, struct recovery *recovery, uint32_t block, unsigned depth,
                     uint64_t first)
{
	struct buffer *buffer;
	uint64_t span = 1;
	int error;

	if (!block)
		return 0;
	if (depth && blocks_are_data(fs, block, 1) && is_claimed(fs, recovery, block)) {
		recovery->bad += !recovery->claims_only;
		/* What it maps for this one is in use as well, unless it leads to itself. */
		if (!recovery->claims || recovery->shared > fs->blocks_count)
			return 0;
	}
	error = mark_block(fs, recovery, block);
	if (!depth)
		recovery->reach = first + 1;
	if (error || !depth || !blocks_are_data(fs, block, 1))
		return error;
	for (unsigned i = 1; i < depth; i++)
		span *= fs->pointers;
	error = buffer_get(&fs->cache, block, &buffer);
	if (error)
		return error;
	for (uint32_t i = 0; !error && i < fs->pointers; i++)
		error = mark_tree(fs, recovery, ((uint32_t *)buffer->data)[i], depth - 1, first + i * span);
	buffer_put(&fs->cache, buffer);
	return error;
}

static int mark_blocks(struct filesystem *fs, struct recovery *recovery, const struct ext2_inode *raw)
{
	uint32_t attributes = raw->xattr_block ? fs->block_size / 512 : 0;
	unsigned type = raw->mode & S_IFMT;
	uint64_t first = 0, span = 1;
	int error;

	recovery->own_blocks = 0;
	recovery->reach = 0;
	error = raw->xattr_block ? mark_block(fs, recovery, raw->xattr_block) : 0;
	if (error ||
	    (type && type != S_IFREG && type != S_IFDIR && (type != S_IFLNK || raw->sectors == attributes)))
		return error;
	for (unsigned i = 0; i < EXT2_POINTERS && !error; i++) {
		span *= i < EXT2_DIRECT ? 1 : fs->pointers;
		error = mark_tree(fs, recovery, raw->block[i], i < EXT2_DIRECT ? 0 : i - EXT2_DIRECT + 1,
		                  first);
		first += span;
	}
	return error;
}

/* Of an inode that is to keep them, while the bitmaps stay as they are. */
static int claim_blocks(struct filesystem *fs, struct recovery *recovery, const struct ext2_inode *raw)
{
	int error;

	recovery->claims_only = true;
	error = mark_blocks(fs, recovery, raw);
	recovery->claims_only = false;
	return error;
}

static int mark_inode(struct filesystem *fs, struct recovery *recovery, uint32_t number,
                      const struct ext2_inode *raw)
{
	uint32_t group = (number - 1) / fs->inodes_per_group, bit = (number - 1) % fs->inodes_per_group;
	struct buffer *bitmap;
	int error = group_inode_bitmap(fs, group, &bitmap);

	if (error)
		return error;
	if (!bit_test(bitmap->data, bit)) {
		bit_set(bitmap->data, bit);
		buffer_dirty(&fs->cache, bitmap, BUFFER_BITMAP);
		recovery->inodes++;
	}
	buffer_put(&fs->cache, bitmap);
	return mark_blocks(fs, recovery, raw);
}

/* What a change that was not ended has left: its count of sectors, and blocks beyond the end that it was to
 * get. */
static void inode_settle(struct filesystem *fs, struct recovery *recovery, uint32_t number,
                         struct buffer *buffer, struct ext2_inode *raw)
{
	uint32_t sectors = recovery->own_blocks << (fs->block_bits - 9);

	if (!S_ISREG(raw->mode) && !S_ISDIR(raw->mode))
		return;
	if (raw->sectors != sectors) {
		raw->sectors = sectors;
		buffer_dirty(&fs->cache, buffer, BUFFER_INODES);
	}
	if (recovery->reach > (raw_size(raw) + fs->block_size - 1) >> fs->block_bits &&
	    recovery->overhang_count < OVERHANGS)
		recovery->overhangs[recovery->overhang_count++] = number;
}

static int keep_inode(struct filesystem *fs, struct recovery *recovery, uint32_t number,
                      struct buffer *buffer, struct ext2_inode *raw)
{
	int error = mark_inode(fs, recovery, number, raw);

	if (!error && recovery->killed && !recovery->bad)
		inode_settle(fs, recovery, number, buffer, raw);
	return error;
}

static int overhangs_free(struct filesystem *fs, const struct recovery *recovery)
{
	int error = 0;

	for (uint32_t i = 0; i < recovery->overhang_count && !error; i++) {
		struct inode *inode;

		error = inode_get(fs, recovery->overhangs[i], INODE_ANY, &inode);
		if (error)
			return error;
		error = map_free(fs, inode, (inode_size(inode) + fs->block_size - 1) >> fs->block_bits,
		                 MAP_END);
		inode_put(fs, inode);
	}
	return error;
}

/* Which inodes are on the disk's list; it may be a circle. */
static int orphans_find(struct filesystem *fs, struct recovery *recovery)
{
	uint32_t number = fs->super->last_orphan;
	struct inode *inode;

	recovery->orphans = calloc(1, fs->inodes_count / 8 + 1);
	while (recovery->orphans && number && number <= fs->inodes_count &&
	       !bit_test(recovery->orphans, number)) {
		int error = inode_get(fs, number, INODE_ANY, &inode);

		if (error)
			return error == ESTALE ? 0 : error;
		bit_set(recovery->orphans, number);
		number = inode->raw->dtime;
		inode_put(fs, inode);
	}
	return 0;
}

/* An inode without links that is in the bitmap. Orphans are still whole: until they are freed, their blocks
 * are theirs. What was open before a restart keeps its blocks; everything else was made or removed by half,
 * if the disk has no errors. */
static int linkless_recover(struct filesystem *fs, struct recovery *recovery, uint32_t number,
                            struct buffer *buffer, struct ext2_inode *raw)
{
	struct buffer *bitmap;
	int error;

	if (recovery->killed && inode_may_be_open(fs, number)) {
		raw->dtime = recovery->first_orphan;
		buffer_dirty(&fs->cache, buffer, BUFFER_INODES);
		recovery->first_orphan = number;
		return keep_inode(fs, recovery, number, buffer, raw);
	}
	if (!recovery->killed && (!recovery->orphans || bit_test(recovery->orphans, number)))
		return mark_inode(fs, recovery, number, raw);
	if (inode_may_be_open(fs, number) || fs->super->state & EXT2_STATE_ERRORS)
		return claim_blocks(fs, recovery, raw);
	error = group_inode_bitmap(fs, (number - 1) / fs->inodes_per_group, &bitmap);
	if (error)
		return error;
	bit_clear(bitmap->data, (number - 1) % fs->inodes_per_group);
	buffer_dirty(&fs->cache, bitmap, BUFFER_BITMAP);
	buffer_put(&fs->cache, bitmap);
	/* It may be the next orphan's number. */
	raw->dtime = (uint32_t)environment_now().seconds;
	buffer_dirty(&fs->cache, buffer, BUFFER_INODES);
	recovery->leaked_inodes++;
	return 0;
}

static int mark_table_block(struct filesystem *fs, struct recovery *recovery, uint32_t block,
                            uint32_t first_number)
{
	uint32_t per_block = fs->block_size / fs->inode_size;
	uint32_t left = fs->table_blocks - 1 - (first_number - 1) % fs->inodes_per_group / per_block;
	struct buffer *buffer;
	int error = buffer_get_ahead(&fs->cache, block, left < TABLE_AHEAD ? left : TABLE_AHEAD, &buffer);

	if (error)
		return error;
	for (uint32_t i = 0; i < per_block && !error; i++) {
		struct ext2_inode *raw = (struct ext2_inode *)(buffer->data + i * fs->inode_size);
		uint32_t number = first_number + i;
		bool used = false;

		/* Reserved inodes own blocks that are never freed or given out: their bits date from
		 * mke2fs. */
		if (number < fs->first_inode && number != EXT2_ROOT_INODE)
			error = claim_blocks(fs, recovery, raw);
		else if (raw->links && raw->mode)
			error = keep_inode(fs, recovery, number, buffer, raw);
		else if (!(error = inode_number_is_used(fs, number, &used)) && used)
			error = linkless_recover(fs, recovery, number, buffer, raw);
	}
	buffer_put(&fs->cache, buffer);
	return error;
}

/* Those of the group's blocks that nobody has. Its count in the descriptor is wrong until group_recount. */
static int group_free_leaked(struct filesystem *fs, struct recovery *recovery, uint32_t group)
{
	uint32_t first = group_first_block(fs, group), count = group_block_count(fs, group);
	const uint8_t *claims = recovery->claims + (first - fs->first_data_block) / 8;
	struct buffer *bitmap;
	int error = group_block_bitmap(fs, group, &bitmap);

	if (error)
		return error;
	for (uint32_t bit = 0; bit < count && !error; bit++) {
		if (!bit_test(bitmap->data, bit) || bit_test(claims, bit) ||
		    !blocks_are_data(fs, first + bit, 1))
			continue;
		error = blocks_free(fs, first + bit, 1);
		recovery->leaked++;
	}
	buffer_put(&fs->cache, bitmap);
	return error;
}

static int leaked_free(struct filesystem *fs, struct recovery *recovery)
{
	int error = 0;

	/* What is wrong otherwise may be somebody's that was not understood. */
	if (!recovery->claims || recovery->bad || fs->super->state & EXT2_STATE_ERRORS)
		return 0;
	for (uint32_t group = 0; group < fs->group_count && !error; group++)
		error = group_free_leaked(fs, recovery, group);
	return error;
}

static int group_recount(struct filesystem *fs, uint32_t group)
{
	struct ext2_group *descriptor = group_descriptor(fs, group);
	struct buffer *bitmap;
	int error = group_block_bitmap(fs, group, &bitmap);

	if (error)
		return error;
	descriptor->free_blocks = (uint16_t)bits_count_zero(bitmap->data, group_block_count(fs, group));
	buffer_put(&fs->cache, bitmap);
	error = group_inode_bitmap(fs, group, &bitmap);
	if (error)
		return error;
	descriptor->free_inodes = (uint16_t)bits_count_zero(bitmap->data, fs->inodes_per_group);
	descriptor->directories = 0; /* directories_visit() counts them */
	buffer_put(&fs->cache, bitmap);
	group_dirty(fs, group);
	return 0;
}

static int table_is_used(struct filesystem *fs, uint32_t group, uint32_t first_index, bool *used)
{
	uint32_t end = first_index + fs->block_size / fs->inode_size;
	struct buffer *bitmap;
	int error = group_inode_bitmap(fs, group, &bitmap);

	if (error)
		return error;
	*used = bits_next_one(bitmap->data, first_index, end) < end;
	buffer_put(&fs->cache, bitmap);
	return 0;
}

int tables_visit(struct filesystem *fs, struct recovery *recovery, bool all, table_visit *visit)
{
	uint32_t per_block = fs->block_size / fs->inode_size, count = fs->group_count * fs->table_blocks;
	int error = 0;

	for (uint32_t n = 0; n < count && !error; n++) {
		uint32_t group = n / fs->table_blocks, i = n % fs->table_blocks;
		bool used = true;

		if (!all)
			error = table_is_used(fs, group, i * per_block, &used);
		if (!error && used)
			error = visit(fs, recovery, group_descriptor(fs, group)->inode_table + i,
			              group * fs->inodes_per_group + i * per_block + 1);
	}
	return error;
}

int disk_recover(struct filesystem *fs, bool killed)
{
	struct recovery recovery = {.killed = killed};
	uint32_t claims = (fs->blocks_count - fs->first_data_block) / 8 + 1;
	int error;

	if (claims <= CLAIMS_MAX)
		recovery.claims = calloc(1, claims);
	error = killed ? 0 : orphans_find(fs, &recovery);
	/* Who was killed had marked an inode as used before it was one, and until it was none any more. */
	if (!error)
		error = tables_visit(fs, &recovery, !killed, mark_table_block);
	free(recovery.orphans);
	if (!error && killed) {
		fs->super->last_orphan = recovery.first_orphan;
		super_dirty(fs);
	}
	if (!error)
		error = leaked_free(fs, &recovery);
	free(recovery.claims);
	for (uint32_t group = 0; group < fs->group_count && !error; group++)
		error = group_recount(fs, group);
	if (!error)
		error = overhangs_free(fs, &recovery);
	if (!error)
		error = names_recover(fs, &recovery);
	if (error) {
		log_error("not mounted: the disk cannot be recovered");
		return error;
	}
	if (recovery.inodes || recovery.blocks || recovery.bad)
		log_warning("bitmaps: %u inodes and %u blocks in use were marked free, %u bad pointers%s",
		            recovery.inodes, recovery.blocks, recovery.bad,
		            killed && !recovery.bad ? "" : "; run e2fsck");
	if (recovery.leaked || recovery.leaked_inodes)
		log_info("%u blocks and %u inodes that nobody had are free again", recovery.leaked,
		         recovery.leaked_inodes);
	if (recovery.links)
		log_info("%u counts of links agree with the names again", recovery.links);
	if (recovery.names)
		log_warning("%u names led to no file, or were those of a commit", recovery.names);
	return 0;
}
