/* SPDX-License-Identifier: MIT */
/*
 * After an unclean stop the bitmaps may be older than the inodes and say "free" of what files use. Giving
 * that out again would destroy files. So before anything is written, everything that files use is marked as
 * used, and all counts are made to agree. Nothing is ever marked free here: leaked space and wrong link
 * counts are e2fsck's. Names that lead to no file, which the order of commits leaves of new and of removed
 * ones, are removed.
 */
#include <string.h>
#include <sys/stat.h>

#include <pith/log.h>

#include "ext2.h"

#define TABLE_AHEAD 15

struct recovery {
	uint32_t inodes, blocks; /* that were in use and marked free */
	uint32_t bad;            /* pointers to what cannot be a file's */
	uint32_t names;          /* that led nowhere */
};

static int mark_block(struct filesystem *fs, struct recovery *recovery, uint32_t block)
{
	uint32_t group, bit;
	struct buffer *bitmap;
	int error;

	if (!blocks_are_data(fs, block, 1)) {
		recovery->bad++;
		return 0;
	}
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

/* A tree of indirect blocks, depth ≤ 3, and all that it points to. */
static int mark_tree(struct filesystem *fs, struct recovery *recovery, uint32_t block, unsigned depth)
{
	struct buffer *buffer;
	int error;

	if (!block)
		return 0;
	error = mark_block(fs, recovery, block);
	if (error || !depth || !blocks_are_data(fs, block, 1))
		return error;
	error = buffer_get(&fs->cache, block, &buffer);
	for (uint32_t i = 0; !error && i < fs->pointers; i++)
		error = mark_tree(fs, recovery, ((uint32_t *)buffer->data)[i], depth - 1);
	if (buffer)
		buffer_put(&fs->cache, buffer);
	return error;
}

static int mark_inode(struct filesystem *fs, struct recovery *recovery, uint32_t number,
                      const struct ext2_inode *raw)
{
	uint32_t group = (number - 1) / fs->inodes_per_group, bit = (number - 1) % fs->inodes_per_group;
	uint32_t attributes = raw->xattr_block ? fs->block_size / 512 : 0;
	unsigned type = raw->mode & S_IFMT;
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
	if (raw->xattr_block)
		error = mark_block(fs, recovery, raw->xattr_block);
	if (error || (type != S_IFREG && type != S_IFDIR && (type != S_IFLNK || raw->sectors == attributes)))
		return error;
	for (unsigned i = 0; i < EXT2_POINTERS && !error; i++)
		error = mark_tree(fs, recovery, raw->block[i], i < EXT2_DIRECT ? 0 : i - EXT2_DIRECT + 1);
	return error;
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
		const struct ext2_inode *raw = (const struct ext2_inode *)(buffer->data + i * fs->inode_size);
		uint32_t number = first_number + i;

		/* Reserved inodes own blocks that are never freed or given out: their bitmap bits date from
		 * mke2fs. */
		if (raw->links && raw->mode && (number >= fs->first_inode || number == EXT2_ROOT_INODE))
			error = mark_inode(fs, recovery, number, raw);
	}
	buffer_put(&fs->cache, buffer);
	return error;
}

/* Orphans have no links, but are still whole: until they are freed, their blocks are theirs. */
static int mark_orphans(struct filesystem *fs, struct recovery *recovery)
{
	uint32_t number = fs->super->last_orphan;
	int error = 0;

	for (uint32_t count = 0; number && !error && count < fs->inodes_count; count++) {
		struct inode *inode;
		bool used;

		if (inode_get(fs, number, INODE_ANY, &inode))
			break;
		error = inode_number_is_used(fs, number, &used);
		if (!error && used)
			error = mark_inode(fs, recovery, number, inode->raw);
		number = used ? inode->raw->dtime : 0;
		inode_put(fs, inode);
	}
	return error;
}

static int name_check_target(struct filesystem *fs, uint32_t number, bool *dead)
{
	struct inode *inode;
	int error = inode_get(fs, number, INODE_ANY, &inode);

	*dead = false;
	if (error)
		return error == ESTALE ? 0 : error;
	*dead = !inode->raw->links || !inode->raw->mode;
	inode_put(fs, inode);
	return 0;
}

static int directory_block_recover(struct filesystem *fs, struct recovery *recovery, struct inode *directory,
                                   uint32_t block)
{
	struct ext2_dirent *entry;
	struct buffer *buffer;
	int error = directory_block(fs, directory, block, &buffer);

	if (error)
		return error;
	for (uint32_t offset = 0; !error && offset < fs->block_size; offset += entry->record_size) {
		bool dead;

		entry = directory_entry_at(fs, buffer, offset);
		if (!entry)
			break;
		if (!entry->inode)
			continue;
		error = name_check_target(fs, entry->inode, &dead);
		if (error || !dead)
			continue;
		entry->inode = 0;
		buffer_dirty(&fs->cache, buffer, BUFFER_DIRECTORY);
		recovery->names++;
	}
	buffer_put(&fs->cache, buffer);
	return error;
}

/* What is wrong otherwise is left as it is. */
static int directory_recover(struct filesystem *fs, struct recovery *recovery, uint32_t number)
{
	struct inode *directory;
	int error = inode_get(fs, number, INODE_LIVE, &directory);

	if (!error) {
		uint32_t blocks = (uint32_t)(inode_size(directory) >> fs->block_bits);

		for (uint32_t block = 0; block < blocks && !error; block++)
			error = directory_block_recover(fs, recovery, directory, block);
		inode_put(fs, directory);
	}
	return error == EIO || error == ENOMEM ? error : 0;
}

/* The directories of one block of inodes. */
static int names_recover(struct filesystem *fs, struct recovery *recovery, uint32_t block,
                         uint32_t first_number)
{
	uint32_t per_block = fs->block_size / fs->inode_size, directories = 0;
	struct buffer *buffer;
	int error = buffer_get(&fs->cache, block, &buffer);

	if (error)
		return error;
	for (uint32_t i = 0; i < per_block; i++) {
		const struct ext2_inode *raw = (const struct ext2_inode *)(buffer->data + i * fs->inode_size);

		if (raw->links && (raw->mode & S_IFMT) == S_IFDIR)
			directories |= 1u << i;
	}
	buffer_put(&fs->cache, buffer);
	for (uint32_t i = 0; i < per_block && !error; i++)
		if (directories >> i & 1)
			error = directory_recover(fs, recovery, first_number + i);
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
	buffer_put(&fs->cache, bitmap);
	group_dirty(fs, group);
	return 0;
}

typedef int table_visit(struct filesystem *fs, struct recovery *recovery, uint32_t block,
                        uint32_t first_number);

static int tables_visit(struct filesystem *fs, struct recovery *recovery, table_visit *visit)
{
	uint32_t per_block = fs->block_size / fs->inode_size;
	int error = 0;

	for (uint32_t group = 0; group < fs->group_count && !error; group++)
		for (uint32_t i = 0; i < fs->table_blocks && !error; i++)
			error = visit(fs, recovery, group_descriptor(fs, group)->inode_table + i,
			              group * fs->inodes_per_group + i * per_block + 1);
	return error;
}

int disk_recover(struct filesystem *fs)
{
	struct recovery recovery = {0};
	int error = tables_visit(fs, &recovery, mark_table_block);

	if (!error)
		error = mark_orphans(fs, &recovery);
	for (uint32_t group = 0; group < fs->group_count && !error; group++)
		error = group_recount(fs, group);
	if (!error)
		error = tables_visit(fs, &recovery, names_recover);
	if (error) {
		log_error("not mounted: the disk cannot be recovered");
		return error;
	}
	if (recovery.inodes || recovery.blocks || recovery.bad)
		log_warning("bitmaps: %u inodes and %u blocks in use were marked free, %u bad pointers; run "
		            "e2fsck",
		            recovery.inodes, recovery.blocks, recovery.bad);
	if (recovery.names)
		log_warning("%u names led to no file", recovery.names);
	return 0;
}
