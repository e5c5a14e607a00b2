/* SPDX-License-Identifier: MIT */
/*
 * After an unclean stop the bitmaps may be older than the inodes and say "free" of what files use. Giving
 * that out again would destroy files. So before anything is written, everything that files use is marked as
 * used, and all counts are made to agree. Or they are newer, and say "used" of blocks that nothing points to:
 * those are freed, if there is no doubt, as are inodes without links. Files without a name and wrong link
 * counts are e2fsck's. Names that lead to no file, which the order of commits leaves of new and of removed
 * ones, are removed, and so are those in lost+found that a commit gave to files that have a name of their
 * own: no count of links knows of them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pith/log.h>

#include "ext2.h"

#define TABLE_AHEAD 15
#define CLAIMS_MAX  (1u << 20) /* bytes of this component's memory: 32 GiB in blocks of 4 KiB */

/* An inode with a name in lost+found as commits give them. */
struct parked {
	uint32_t inode;
	uint32_t names; /* that it has elsewhere */
};

struct recovery {
	uint32_t inodes, blocks;        /* that were in use and marked free */
	uint32_t bad;                   /* pointers to what cannot be a file's */
	uint32_t names;                 /* that led nowhere, or of which no count knows */
	uint32_t leaked, leaked_inodes; /* blocks and inodes that are free again */
	uint32_t lost_found;            /* the directory's inode; 0: none */
	struct parked *parked;          /* by number */
	uint32_t parked_count;
	uint8_t *orphans; /* a bit for each inode; NULL: no memory for so many */
	/* A bit for each block from the first data block on: an inode has it. NULL: no memory for so many. */
	uint8_t *claims;
	bool claims_only; /* see claim_blocks() */
};

static int mark_block(struct filesystem *fs, struct recovery *recovery, uint32_t block)
{
	uint32_t group, bit;
	struct buffer *bitmap;
	int error;

	if (!blocks_are_data(fs, block, 1)) {
		recovery->bad += !recovery->claims_only;
		return 0;
	}
	if (recovery->claims)
		bit_set(recovery->claims, block - fs->first_data_block);
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

static int mark_blocks(struct filesystem *fs, struct recovery *recovery, const struct ext2_inode *raw)
{
	uint32_t attributes = raw->xattr_block ? fs->block_size / 512 : 0;
	unsigned type = raw->mode & S_IFMT;
	int error = raw->xattr_block ? mark_block(fs, recovery, raw->xattr_block) : 0;

	if (error ||
	    (type && type != S_IFREG && type != S_IFDIR && (type != S_IFLNK || raw->sectors == attributes)))
		return error;
	for (unsigned i = 0; i < EXT2_POINTERS && !error; i++)
		error = mark_tree(fs, recovery, raw->block[i], i < EXT2_DIRECT ? 0 : i - EXT2_DIRECT + 1);
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

	if (!recovery->orphans || bit_test(recovery->orphans, number))
		return mark_inode(fs, recovery, number, raw);
	if (inode_may_be_open(fs, number) || fs->super->state & EXT2_STATE_ERRORS)
		return claim_blocks(fs, recovery, raw);
	error = group_inode_bitmap(fs, (number - 1) / fs->inodes_per_group, &bitmap);
	if (error)
		return error;
	bit_clear(bitmap->data, (number - 1) % fs->inodes_per_group);
	buffer_dirty(&fs->cache, bitmap, BUFFER_BITMAP);
	buffer_put(&fs->cache, bitmap);
	if (!raw->dtime)
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
			error = mark_inode(fs, recovery, number, raw);
		else if (!(error = inode_number_is_used(fs, number, &used)) && used)
			error = linkless_recover(fs, recovery, number, buffer, raw);
	}
	buffer_put(&fs->cache, buffer);
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

typedef int entry_visit(struct filesystem *fs, struct recovery *recovery, uint32_t directory,
                        struct ext2_dirent *entry, bool *remove);

/* All names of the directory: what is wrong otherwise is left as it is. */
static int entries_visit(struct filesystem *fs, struct recovery *recovery, struct inode *directory,
                         entry_visit *visit)
{
	uint32_t blocks = (uint32_t)(inode_size(directory) >> fs->block_bits);
	struct ext2_dirent *entry;
	struct buffer *buffer;
	int error = 0;

	for (uint32_t block = 0; block < blocks && !error; block++) {
		error = directory_block(fs, directory, block, &buffer);
		if (error)
			break;
		for (uint32_t offset = 0; !error && offset < fs->block_size; offset += entry->record_size) {
			bool remove = false;

			entry = directory_entry_at(fs, buffer, offset);
			if (!entry)
				break;
			if (entry->inode)
				error = visit(fs, recovery, directory->number, entry, &remove);
			if (!remove)
				continue;
			entry->inode = 0;
			buffer_dirty(&fs->cache, buffer, BUFFER_DIRECTORY);
			recovery->names++;
		}
		buffer_put(&fs->cache, buffer);
	}
	return error;
}

static int directory_visit(struct filesystem *fs, struct recovery *recovery, uint32_t number,
                           entry_visit *visit)
{
	struct inode *directory;
	int error = inode_get(fs, number, INODE_LIVE, &directory);

	if (!error) {
		error = entries_visit(fs, recovery, directory, visit);
		inode_put(fs, directory);
	}
	return error == EIO || error == ENOMEM ? error : 0;
}

/* ---- names in lost+found ---- */

static bool is_parked_name(const struct ext2_dirent *entry)
{
	char name[PARK_NAME_MAX];

	return park_name(name, entry->inode) == entry->name_length &&
	       !memcmp(name, entry->name, entry->name_length);
}

static int parked_add(struct filesystem *fs, struct recovery *recovery, uint32_t directory,
                      struct ext2_dirent *entry, bool *remove)
{
	struct parked *more;

	(void)fs;
	(void)directory;
	(void)remove;
	if (!is_parked_name(entry))
		return 0;
	more = realloc(recovery->parked, (recovery->parked_count + 1) * sizeof(*more));
	if (!more)
		return ENOMEM;
	recovery->parked = more;
	more[recovery->parked_count++] = (struct parked){.inode = entry->inode};
	return 0;
}

static int parked_compare(const void *left, const void *right)
{
	uint32_t a = ((const struct parked *)left)->inode, b = ((const struct parked *)right)->inode;

	return a < b ? -1 : a > b;
}

static int parked_find(struct filesystem *fs, struct recovery *recovery)
{
	int error;

	recovery->lost_found = lost_found(fs);
	if (!recovery->lost_found)
		return 0;
	error = directory_visit(fs, recovery, recovery->lost_found, parked_add);
	if (recovery->parked_count)
		qsort(recovery->parked, recovery->parked_count, sizeof(*recovery->parked), parked_compare);
	return error;
}

static struct parked *parked_at(const struct recovery *recovery, uint32_t inode)
{
	struct parked key = {.inode = inode};

	return recovery->parked_count
	               ? bsearch(&key, recovery->parked, recovery->parked_count, sizeof(key), parked_compare)
	               : NULL;
}

static int parked_check(struct filesystem *fs, struct recovery *recovery, uint32_t directory,
                        struct ext2_dirent *entry, bool *remove)
{
	const struct parked *parked = is_parked_name(entry) ? parked_at(recovery, entry->inode) : NULL;
	struct inode *inode;
	int error;

	(void)directory;
	if (!parked || !parked->names)
		return 0;
	error = inode_get(fs, entry->inode, INODE_ANY, &inode);
	if (error)
		return error == ESTALE ? 0 : error;
	*remove = parked->names >= inode->raw->links;
	inode_put(fs, inode);
	return 0;
}

/* ---- all names ---- */

static int name_recover(struct filesystem *fs, struct recovery *recovery, uint32_t directory,
                        struct ext2_dirent *entry, bool *remove)
{
	struct parked *parked = parked_at(recovery, entry->inode);
	int error = name_check_target(fs, entry->inode, remove);

	if (!error && !*remove && parked && (directory != recovery->lost_found || !is_parked_name(entry)))
		parked->names++;
	return error;
}

/* The directories of one block of inodes. */
static int names_recover(struct filesystem *fs, struct recovery *recovery, uint32_t block,
                         uint32_t first_number)
{
	uint32_t per_block = fs->block_size / fs->inode_size, directories = 0;
	uint32_t group = (first_number - 1) / fs->inodes_per_group;
	struct ext2_group *descriptor = group_descriptor(fs, group);
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
	if ((first_number - 1) % fs->inodes_per_group == 0)
		descriptor->directories = 0;
	descriptor->directories += (uint16_t)__builtin_popcount(directories);
	group_dirty(fs, group);
	for (uint32_t i = 0; i < per_block && !error; i++)
		if (directories >> i & 1)
			error = directory_visit(fs, recovery, first_number + i, name_recover);
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
	uint32_t claims = (fs->blocks_count - fs->first_data_block) / 8 + 1;
	int error;

	if (claims <= CLAIMS_MAX)
		recovery.claims = calloc(1, claims);
	error = orphans_find(fs, &recovery);
	if (!error)
		error = tables_visit(fs, &recovery, mark_table_block);
	free(recovery.orphans);
	if (!error)
		error = leaked_free(fs, &recovery);
	free(recovery.claims);
	for (uint32_t group = 0; group < fs->group_count && !error; group++)
		error = group_recount(fs, group);
	if (!error)
		error = parked_find(fs, &recovery);
	if (!error)
		error = tables_visit(fs, &recovery, names_recover);
	if (!error && recovery.parked_count)
		error = directory_visit(fs, &recovery, recovery.lost_found, parked_check);
	free(recovery.parked);
	if (error) {
		log_error("not mounted: the disk cannot be recovered");
		return error;
	}
	if (recovery.inodes || recovery.blocks || recovery.bad)
		log_warning("bitmaps: %u inodes and %u blocks in use were marked free, %u bad pointers; run "
		            "e2fsck",
		            recovery.inodes, recovery.blocks, recovery.bad);
	if (recovery.leaked || recovery.leaked_inodes)
		log_info("%u blocks and %u inodes that nobody had are free again", recovery.leaked,
		         recovery.leaked_inodes);
	if (recovery.names)
		log_warning("%u names led to no file, or were those of a commit", recovery.names);
	return 0;
}
