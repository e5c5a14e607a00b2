/* SPDX-License-Identifier: MIT */
/*
 * Names after an unclean stop. Those that lead to no file, which the order of commits leaves of new and of
 * removed ones, are removed, and so are those in lost+found that a commit gave to files that have a name of
 * their own: no count of links knows of them. After a power cut, files without a name and wrong counts of
 * links are e2fsck's; what a predecessor that was killed has left half done is brought to an end here.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pith/log.h>

#include "namespace.h"
#include "recover.h"

#define NAMED     0x8000u
#define COUNT_MAX 0x7fffu

/* type 0: there is no such inode. */
static int name_check_target(struct filesystem *fs, uint32_t number, bool *dead, unsigned *type)
{
	struct inode *inode;
	int error = inode_get(fs, number, INODE_ANY, &inode);

	*dead = false;
	*type = 0;
	if (error)
		return error == ESTALE ? 0 : error;
	*dead = !inode->raw->links || !inode->raw->mode;
	*type = inode_type(inode);
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
			if (!entry) {
				recovery->broken = true;
				break;
			}
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
	recovery->broken |= error != 0;
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
	if (*remove && recovery->counts && recovery->counts[entry->inode] & COUNT_MAX)
		recovery->counts[entry->inode]--;
	inode_put(fs, inode);
	return 0;
}

/* ---- all names ---- */

/* A directory that was moved says where it is. */
static int parent_settle(struct filesystem *fs, uint32_t number, uint32_t directory)
{
	struct inode *inode;
	int error = directory_get(fs, number, &inode);

	if (!error) {
		error = directory_correct_parent(fs, inode, directory);
		inode_put(fs, inode);
	}
	return error == EIO || error == ENOMEM ? error : 0;
}

static int name_count(struct filesystem *fs, struct recovery *recovery, uint32_t directory, uint32_t number,
                      unsigned type)
{
	if (number > fs->inodes_count || !type)
		return 0;
	if (type != S_IFDIR) {
		recovery->counts[number] += recovery->counts[number] < COUNT_MAX;
		return 0;
	}
	recovery->counts[number] |= NAMED;
	recovery->counts[directory] += (recovery->counts[directory] & COUNT_MAX) < COUNT_MAX;
	return parent_settle(fs, number, directory);
}

static int name_recover(struct filesystem *fs, struct recovery *recovery, uint32_t directory,
                        struct ext2_dirent *entry, bool *remove)
{
	struct parked *parked = parked_at(recovery, entry->inode);
	unsigned type;
	int error = name_check_target(fs, entry->inode, remove, &type);

	if (error || *remove)
		return error;
	if (parked && (directory != recovery->lost_found || !is_parked_name(entry)))
		parked->names++;
	if (recovery->counts && !name_is_dot((struct name){entry->name, entry->name_length}))
		error = name_count(fs, recovery, directory, entry->inode, type);
	return error;
}

/* The directories of one block of inodes. */
static int directories_visit(struct filesystem *fs, struct recovery *recovery, uint32_t block,
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
	descriptor->directories += (uint16_t)__builtin_popcount(directories);
	group_dirty(fs, group);
	for (uint32_t i = 0; i < per_block && !error; i++)
		if (directories >> i & 1)
			error = directory_visit(fs, recovery, first_number + i, name_recover);
	return error;
}

/* ---- links ---- */

/* What is dropped already is counted until the drop is applied. */
static void drops_count(struct filesystem *fs, struct recovery *recovery)
{
	const struct cache_header *header = fs->cache.header;

	for (uint32_t i = 0; i < header->drop_count && i < DROP_RECORDS; i++) {
		const struct drop_record *record = &header->drops[i];
		struct parked *parked = parked_at(recovery, record->inode);
		uint32_t count;

		if (record->inode > fs->inodes_count)
			continue;
		count = recovery->counts[record->inode] + record->links;
		recovery->counts[record->inode] = (uint16_t)(count < COUNT_MAX ? count : COUNT_MAX);
		if (parked)
			parked->names += record->links;
	}
}

/* 0: it has lost its last name. */
static uint32_t links_expected(struct filesystem *fs, struct recovery *recovery, uint32_t number,
                               const struct ext2_inode *raw)
{
	uint32_t count = recovery->counts[number];

	/* Between its two steps, an exchange has given one of them no name, and the other two. It changes no
	 * count of either. */
	if (!S_ISDIR(raw->mode))
		return is_changing(fs, CHANGE_EXCHANGES, number) ? raw->links : count;
	if (count & NAMED || number == EXT2_ROOT_INODE || is_changing(fs, CHANGE_EXCHANGES, number))
		return 2 + (count & COUNT_MAX);
	return count ? raw->links : 0;
}

static void links_settle(struct filesystem *fs, struct recovery *recovery, uint32_t number,
                         struct buffer *buffer, struct ext2_inode *raw)
{
	struct cache_header *header = fs->cache.header;
	uint32_t expected = links_expected(fs, recovery, number, raw);

	if (expected == raw->links || expected > EXT2_LINKS_MAX)
		return;
	/* On a disk that was not clean others may have lost it: it is e2fsck's to save. */
	if (!expected && !fs->was_clean && !is_changing(fs, CHANGE_BEGUN, number))
		return;
	recovery->links++;
	if (expected) {
		raw->links = (uint16_t)expected;
		buffer_dirty(&fs->cache, buffer, BUFFER_INODES);
	} else if (header->drop_count < DROP_RECORDS) {
		drop_record_add(fs, (struct drop_record){number, raw->links, 0});
	}
}

static int links_visit(struct filesystem *fs, struct recovery *recovery, uint32_t block,
                       uint32_t first_number)
{
	uint32_t per_block = fs->block_size / fs->inode_size;
	struct buffer *buffer;
	int error = buffer_get(&fs->cache, block, &buffer);

	if (error)
		return error;
	for (uint32_t i = 0; i < per_block; i++) {
		struct ext2_inode *raw = (struct ext2_inode *)(buffer->data + i * fs->inode_size);
		uint32_t number = first_number + i;

		if ((number >= fs->first_inode || number == EXT2_ROOT_INODE) && raw->links && raw->mode)
			links_settle(fs, recovery, number, buffer, raw);
	}
	buffer_put(&fs->cache, buffer);
	return 0;
}

/* Those that were applied already. */
static int drops_purge(struct filesystem *fs)
{
	struct cache_header *header = fs->cache.header;

	for (uint32_t i = 0; i < header->drop_count && i < DROP_RECORDS;) {
		struct inode *inode;
		int error = inode_get(fs, header->drops[i].inode, INODE_ANY, &inode);
		bool gone = error == ESTALE;

		if (error && !gone)
			return error;
		if (!error) {
			gone = !inode->raw->links || !inode->raw->mode;
			inode_put(fs, inode);
		}
		if (gone)
			drop_record_remove(fs, i);
		else
			i++;
	}
	return 0;
}

/* Where something else is wrong, too, files without a name are e2fsck's to save. */
static bool links_are_known(const struct filesystem *fs, const struct recovery *recovery)
{
	return recovery->counts && !recovery->bad && !recovery->broken &&
	       !(fs->super->state & EXT2_STATE_ERRORS);
}

int names_recover(struct filesystem *fs, struct recovery *recovery)
{
	int error;

	if (recovery->killed)
		recovery->counts = calloc(fs->inodes_count + 1, sizeof(*recovery->counts));
	error = parked_find(fs, recovery);
	if (!error && recovery->counts)
		drops_count(fs, recovery);
	if (!error)
		error = tables_visit(fs, recovery, false, directories_visit);
	if (!error && recovery->parked_count)
		error = directory_visit(fs, recovery, recovery->lost_found, parked_check);
	if (!error && links_are_known(fs, recovery))
		error = tables_visit(fs, recovery, false, links_visit);
	if (!error && recovery->killed)
		error = drops_purge(fs);
	if (recovery->killed && !links_are_known(fs, recovery)) {
		log_warning("links cannot be counted: run e2fsck");
		fs->was_clean = false;
	}
	free(recovery->counts);
	free(recovery->parked);
	return error;
}
