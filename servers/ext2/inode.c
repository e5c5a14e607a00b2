/* SPDX-License-Identifier: MIT */
/*
 * Inodes: the table of those in use, their fields, opening and closing, and the orphans (unlinked but open),
 * which are linked on the disk through dtime from the superblock, so that the next mount can free them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pith/log.h>

#include "ext2.h"

#define TABLE_READ_AHEAD 7 /* blocks of the inode table read along with a missing one */

/* ---- the table ---- */

static struct inode **hash_head(struct filesystem *fs, uint32_t number)
{
	return &fs->inodes[number % INODE_HASH];
}

static struct inode *hash_find(struct filesystem *fs, uint32_t number)
{
	struct inode *inode = *hash_head(fs, number);

	while (inode && inode->number != number)
		inode = inode->hash_next;
	return inode;
}

static void inode_forget(struct filesystem *fs, struct inode *inode)
{
	struct inode **link = hash_head(fs, inode->number);

	while (*link != inode)
		link = &(*link)->hash_next;
	*link = inode->hash_next;
	free(inode);
}

int inode_place(struct filesystem *fs, uint32_t number, struct inode_place *out)
{
	uint32_t group = (number - 1) / fs->inodes_per_group, index = (number - 1) % fs->inodes_per_group;
	uint32_t per_block = fs->block_size / fs->inode_size;

	if (number < 1 || number > fs->inodes_count)
		return ESTALE;
	*out = (struct inode_place){group_descriptor(fs, group)->inode_table + index / per_block,
	                            index % per_block};
	return 0;
}

/* How much of the table after `block` is worth reading with it. */
static uint32_t table_ahead(struct filesystem *fs, uint32_t number, uint32_t block)
{
	uint32_t group = (number - 1) / fs->inodes_per_group;
	uint32_t left = group_descriptor(fs, group)->inode_table + fs->table_blocks - 1 - block;

	return left < TABLE_READ_AHEAD ? left : TABLE_READ_AHEAD;
}

/* The first user of an inode fetches its block; others wait for that. */
static int inode_load(struct filesystem *fs, struct inode *inode)
{
	struct inode_place place;
	struct buffer *buffer;
	int error = inode_place(fs, inode->number, &place);

	if (error)
		return error;
	while (inode->is_loading)
		wait_queue_wait(&inode->loading);
	if (inode->raw)
		return 0;
	inode->is_loading = true;
	error = buffer_get_ahead(&fs->cache, place.block, table_ahead(fs, inode->number, place.block),
	                         &buffer);
	inode->is_loading = false;
	wait_queue_wake_all(&inode->loading, 0);
	if (error)
		return error;
	inode->buffer = buffer;
	inode->raw = (struct ext2_inode *)(buffer->data + (size_t)place.index * fs->inode_size);
	return 0;
}

static int inode_check(struct filesystem *fs, struct inode *inode)
{
	const struct ext2_inode *raw = inode->raw;
	uint64_t size = inode_size(inode);

	switch (inode_type(inode)) {
	case S_IFREG:
		if (size > fs->size_max)
			return filesystem_error(fs, "inode %u: impossible size", inode->number);
		return 0;
	case S_IFDIR:
		if (size == 0 || size % fs->block_size || size > 0x7fffffff)
			return filesystem_error(fs, "inode %u: impossible size of a directory",
			                        inode->number);
		return 0;
	case S_IFLNK:
		if (size == 0 || size >= fs->block_size ||
		    (inode_is_fast_symlink(fs, inode) && size >= EXT2_FAST_SYMLINK))
			return filesystem_error(fs, "inode %u: impossible symbolic link", inode->number);
		return 0;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return filesystem_error(fs, "inode %u: impossible mode %#o", inode->number, raw->mode);
	}
}

struct inode *inode_remember(struct filesystem *fs, uint32_t number)
{
	struct inode *inode = hash_find(fs, number);

	if (inode)
		return inode;
	inode = calloc(1, sizeof(*inode));
	if (!inode)
		return NULL;
	inode->number = number;
	inode->hash_next = *hash_head(fs, number);
	*hash_head(fs, number) = inode;
	return inode;
}

int inode_get(struct filesystem *fs, uint32_t number, enum inode_want want, struct inode **out)
{
	struct inode *inode;
	int error;

	if (number < 1 || number > fs->inodes_count ||
	    (number != EXT2_ROOT_INODE && number < fs->first_inode))
		return ESTALE;
	inode = inode_remember(fs, number);
	if (!inode)
		return ENOMEM;
	inode->refs++;
	error = inode_load(fs, inode);
	if (!error && want == INODE_LIVE) {
		if (!inode->raw->mode || inode_is_gone(inode))
			error = ESTALE;
		else
			error = inode_check(fs, inode);
	}
	if (error) {
		inode_put(fs, inode);
		return error;
	}
	*out = inode;
	return 0;
}

void inode_put(struct filesystem *fs, struct inode *inode)
{
	if (--inode->refs)
		return;
	if (inode->buffer)
		buffer_put(&fs->cache, inode->buffer);
	inode->buffer = NULL;
	inode->raw = NULL;
	if (!inode->opens && !inode->drops && !inode->orphan)
		inode_forget(fs, inode);
}

void inode_dirty(struct filesystem *fs, struct inode *inode)
{
	buffer_dirty(&fs->cache, inode->buffer, BUFFER_INODES);
}

static uint32_t bit_in_block(const struct filesystem *fs, const struct inode *inode)
{
	return 1u << ((size_t)((uint8_t *)inode->raw - inode->buffer->data) / fs->inode_size);
}

void inode_born(struct filesystem *fs, struct inode *inode, uint32_t links)
{
	inode->raw->links = (uint16_t)links;
	inode->buffer->born |= bit_in_block(fs, inode);
	inode_dirty(fs, inode);
}

bool inode_is_new(const struct filesystem *fs, const struct inode *inode)
{
	return inode->buffer->born & bit_in_block(fs, inode);
}

void inode_emptied(struct filesystem *fs, struct inode *directory)
{
	directory->buffer->emptied |= bit_in_block(fs, directory);
}

void inode_unsettled(struct filesystem *fs, struct inode *directory)
{
	directory->buffer->unsettled |= bit_in_block(fs, directory);
}

int inode_dies(struct filesystem *fs, struct inode *directory, uint32_t parent)
{
	struct buffer *buffer = directory->buffer;
	uint32_t bit = bit_in_block(fs, directory);

	if (buffer->born & bit || !((buffer->emptied | buffer->unsettled) & bit))
		return 0;
	if (!(buffer->unsettled & bit) && !directory->opens &&
	    cache_dying(&fs->cache, buffer, (uint32_t)__builtin_ctz(bit), parent))
		return 0;
	return cache_commit(&fs->cache);
}

void inode_leaving(struct filesystem *fs, struct inode *inode)
{
	inode->buffer->leaving |= bit_in_block(fs, inode);
	inode_dirty(fs, inode);
}

int inode_replaces(struct filesystem *fs, struct inode *inode)
{
	if (!inode_is_new(fs, inode))
		return 0;
	/* A directory can't have a name in lost+found beside its own. */
	if (inode_type(inode) == S_IFDIR)
		return cache_commit(&fs->cache);
	cache_park(&fs->cache, inode->number);
	inode->buffer->born &= ~bit_in_block(fs, inode);
	return 0;
}

/* ---- fields ---- */

uint64_t raw_size(const struct ext2_inode *raw)
{
	uint64_t size = raw->size;

	if (S_ISREG(raw->mode))
		size |= (uint64_t)raw->size_high << 32;
	return size;
}

uint64_t inode_size(const struct inode *inode)
{
	return raw_size(inode->raw);
}

/* A feature of the disk, and features are of revision 1: Linux makes the same of a disk of revision 0. */
static void allow_large_files(struct filesystem *fs)
{
	struct ext2_superblock *super = fs->super;

	if (!super->revision) {
		super->revision = 1;
		super->first_inode = EXT2_FIRST_INODE;
		super->inode_size = EXT2_INODE_SIZE_MIN;
		super->compatible = super->incompatible = super->ro_compatible = 0;
	}
	if (super->ro_compatible & EXT2_RO_LARGE_FILE)
		return;
	super->ro_compatible |= EXT2_RO_LARGE_FILE;
	super_dirty(fs);
}

void inode_set_size(struct filesystem *fs, struct inode *inode, uint64_t size)
{
	inode->raw->size = (uint32_t)size;
	if (inode_type(inode) == S_IFREG)
		inode->raw->size_high = (uint32_t)(size >> 32);
	if (size > 0x7fffffff)
		allow_large_files(fs);
	inode_dirty(fs, inode);
}

bool inode_is_fast_symlink(const struct filesystem *fs, const struct inode *inode)
{
	uint32_t attributes = inode->raw->xattr_block ? fs->block_size / 512 : 0;

	return inode_type(inode) == S_IFLNK && inode->raw->sectors == attributes;
}

bool inode_has_blocks(const struct filesystem *fs, const struct inode *inode)
{
	switch (inode_type(inode)) {
	case S_IFREG:
	case S_IFDIR:
		return true;
	case S_IFLNK:
		return !inode_is_fast_symlink(fs, inode);
	default:
		return false;
	}
}

uint32_t inode_uid(const struct inode *inode)
{
	return inode->raw->uid | (uint32_t)inode->raw->uid_high << 16;
}

/* The protocol does not say who asks; a file's owner stands for them. */
bool inode_is_privileged(struct filesystem *fs, const struct inode *inode)
{
	uint32_t uid = inode_uid(inode);

	return uid == 0 || uid == fs->super->reserved_uid;
}

/* Does the inode hold the field that ends at `end`? */
static bool has_extra(const struct filesystem *fs, const struct ext2_inode *raw, size_t end)
{
	return fs->inode_size > EXT2_INODE_SIZE_MIN && end <= fs->inode_size &&
	       EXT2_INODE_SIZE_MIN + (size_t)raw->extra_size >= end;
}
#define HAS_EXTRA(fs, raw, field) \
	has_extra(fs, raw, offsetof(struct ext2_inode, field) + sizeof((raw)->field))

static struct fs_time time_decode(uint32_t seconds, bool extra, uint32_t more)
{
	struct fs_time time = {.seconds = (int32_t)seconds};

	if (extra) {
		time.seconds += (int64_t)(more & 3) << 32;
		time.nanoseconds = more >> 2;
		if (time.nanoseconds >= 1000000000)
			time.nanoseconds = 0;
	}
	return time;
}

/* The nearest time that there is: from 1901 to 2038, with `more` to 2446. As on Linux, the first and the last
 * second have no parts. */
static void time_encode(const struct fs_time *time, uint32_t *seconds, uint32_t *more)
{
	int64_t value = time->seconds, last = INT32_MAX + (more ? 3ll << 32 : 0);
	uint32_t nanoseconds = time->nanoseconds;

	if (value <= INT32_MIN || value >= last) {
		value = value < 0 ? INT32_MIN : last;
		nanoseconds = 0;
	}
	*seconds = (uint32_t)value;
	if (more)
		*more = (uint32_t)((uint64_t)(value - (int32_t)value) >> 32 & 3) | nanoseconds << 2;
}

void inode_set_times(struct filesystem *fs, struct inode *inode, unsigned mask, const struct fs_time *atime,
                     const struct fs_time *mtime, const struct fs_time *ctime)
{
	struct ext2_inode *raw = inode->raw;

	if (mask & FS_SET_ATIME)
		time_encode(atime, &raw->atime, HAS_EXTRA(fs, raw, atime_extra) ? &raw->atime_extra : NULL);
	if (mask & FS_SET_MTIME)
		time_encode(mtime, &raw->mtime, HAS_EXTRA(fs, raw, mtime_extra) ? &raw->mtime_extra : NULL);
	if (mask & FS_SET_CTIME)
		time_encode(ctime, &raw->ctime, HAS_EXTRA(fs, raw, ctime_extra) ? &raw->ctime_extra : NULL);
	inode_dirty(fs, inode);
}

void inode_set_flags(struct filesystem *fs, struct inode *inode, uint32_t flags)
{
	uint32_t mask = inode_type(inode) == S_IFDIR ? EXT2_FLAGS_SET_DIRECTORY : EXT2_FLAGS_SET;

	inode->raw->flags = (inode->raw->flags & ~mask) | (flags & mask);
	inode_dirty(fs, inode);
}

void inode_touch(struct filesystem *fs, struct inode *inode, unsigned mask)
{
	struct fs_time now = environment_now();

	inode_set_times(fs, inode, mask, &now, &now, &now);
}

/* Device numbers: 8:8 bits in block[0] where that is enough, else Linux's 32-bit form (which the protocol
 * uses) in block[1]. */
static uint64_t device_number(const struct ext2_inode *raw)
{
	if (raw->block[0])
		return raw->block[0] & 0xffff;
	return raw->block[1];
}

static void set_device_number(struct ext2_inode *raw, uint64_t number)
{
	if (number <= 0xffff)
		raw->block[0] = (uint32_t)number;
	else
		raw->block[1] = (uint32_t)number;
}

void inode_attributes(struct filesystem *fs, const struct inode *inode, struct fs_attributes *out)
{
	const struct ext2_inode *raw = inode->raw;

	*out = (struct fs_attributes){
	        .inode = inode->number,
	        .size = inode_size(inode),
	        .blocks = raw->sectors,
	        .mode = raw->mode,
	        .links = inode_links(inode),
	        .uid = inode_uid(inode),
	        .gid = raw->gid | (uint32_t)raw->gid_high << 16,
	        .block_size = fs->block_size,
	        .generation = raw->generation,
	        .flags = raw->flags & EXT2_FLAGS_SHOWN,
	        .atime = time_decode(raw->atime, HAS_EXTRA(fs, raw, atime_extra), raw->atime_extra),
	        .mtime = time_decode(raw->mtime, HAS_EXTRA(fs, raw, mtime_extra), raw->mtime_extra),
	        .ctime = time_decode(raw->ctime, HAS_EXTRA(fs, raw, ctime_extra), raw->ctime_extra),
	};
	if (inode_type(inode) == S_IFCHR || inode_type(inode) == S_IFBLK)
		out->rdev = device_number(raw);
}

void inode_init(struct filesystem *fs, struct inode *inode, const struct fs_attributes *attributes)
{
	struct ext2_inode *raw = inode->raw;
	uint32_t type = attributes->mode & S_IFMT;

	memset(raw, 0, fs->inode_size);
	if (fs->inode_size > EXT2_INODE_SIZE_MIN)
		raw->extra_size = sizeof(struct ext2_inode) - EXT2_INODE_SIZE_MIN;
	raw->mode = (uint16_t)attributes->mode;
	raw->uid = (uint16_t)attributes->uid;
	raw->uid_high = (uint16_t)(attributes->uid >> 16);
	raw->gid = (uint16_t)attributes->gid;
	raw->gid_high = (uint16_t)(attributes->gid >> 16);
	raw->generation = ++fs->generation;
	if (type == S_IFCHR || type == S_IFBLK)
		set_device_number(raw, attributes->rdev);
	inode_set_times(fs, inode, FS_SET_ATIME | FS_SET_MTIME | FS_SET_CTIME, &attributes->atime,
	                &attributes->mtime, &attributes->ctime);
	if (HAS_EXTRA(fs, raw, crtime_extra))
		time_encode(&attributes->ctime, &raw->crtime, &raw->crtime_extra);
	inode->allocated = 0;
}

/* ---- the end of a file ---- */

/* Attribute blocks (the host's mke2fs -d brings some) may be shared between files. */
static int xattr_release(struct filesystem *fs, struct inode *inode)
{
	uint32_t block = inode->raw->xattr_block;
	struct ext2_xattr_header *header;
	struct buffer *buffer;
	int error;

	if (!block)
		return 0;
	inode->raw->xattr_block = 0;
	if (!blocks_are_data(fs, block, 1))
		return filesystem_error(fs, "inode %u: impossible attribute block", inode->number);
	error = buffer_get(&fs->cache, block, &buffer);
	if (error)
		return error;
	header = (struct ext2_xattr_header *)buffer->data;
	if (header->magic != EXT2_XATTR_MAGIC || !header->references) {
		buffer_put(&fs->cache, buffer);
		return filesystem_error(fs, "inode %u: corrupt attribute block", inode->number);
	}
	if (--header->references) {
		buffer_dirty(&fs->cache, buffer, BUFFER_POINTERS);
		buffer_put(&fs->cache, buffer);
	} else {
		buffer_put(&fs->cache, buffer);
		buffer_forget(&fs->cache, block);
		error = blocks_free(fs, block, 1);
	}
	inode->raw->sectors -= fs->block_size / 512;
	return error;
}

/* Everything that belongs to a file without links goes back. After an error the inode stays taken (e2fsck's).
 */
static int inode_delete(struct filesystem *fs, struct inode *inode)
{
	bool directory = inode_type(inode) == S_IFDIR;
	int error = 0;

	if (directory)
		index_drop(fs, inode);
	if (inode_has_blocks(fs, inode)) {
		if (inode_type(inode) == S_IFREG)
			inode_set_size(fs, inode, 0);
		error = map_free(fs, inode, 0, MAP_END);
	}
	if (!error)
		error = xattr_release(fs, inode);
	if (error)
		return error;
	inode->raw->size = inode->raw->size_high = 0;
	inode->raw->links = 0;
	inode->raw->dtime = (uint32_t)environment_now().seconds;
	inode_dirty(fs, inode);
	return inode_number_free(fs, inode->number, directory);
}

static int orphan_add(struct filesystem *fs, struct inode *inode)
{
	fiber_mutex_lock(&fs->orphan_lock);
	inode->orphan = true;
	inode->orphan_next = fs->orphans;
	fs->orphans = inode;
	inode->raw->dtime = fs->super->last_orphan;
	inode_dirty(fs, inode);
	fs->super->last_orphan = inode->number;
	super_dirty(fs);
	fiber_mutex_unlock(&fs->orphan_lock);
	return 0;
}

static int orphan_remove(struct filesystem *fs, struct inode *inode)
{
	uint32_t next = inode->orphan_next ? inode->orphan_next->number : 0;
	struct inode **link, *before = NULL;
	int error = 0;

	fiber_mutex_lock(&fs->orphan_lock);
	next = inode->orphan_next ? inode->orphan_next->number : 0;
	for (link = &fs->orphans; *link != inode; link = &(*link)->orphan_next)
		before = *link;
	if (before) {
		error = inode_get(fs, before->number, INODE_ANY, &before);
		if (!error) {
			before->raw->dtime = next;
			inode_dirty(fs, before);
			inode_put(fs, before);
		}
	} else {
		fs->super->last_orphan = next;
		super_dirty(fs);
	}
	/* The list has not changed during the wait: the orphan lock is held. */
	*link = inode->orphan_next;
	inode->orphan_next = NULL;
	inode->orphan = false;
	fiber_mutex_unlock(&fs->orphan_lock);
	return error;
}

int inode_unlinked(struct filesystem *fs, struct inode *inode)
{
	return inode->opens ? orphan_add(fs, inode) : inode_delete(fs, inode);
}

/* Kept in the pool, so that a successor knows what the client has open. */
static void open_record_set(struct filesystem *fs, uint32_t number, uint32_t opens)
{
	struct cache_header *header = fs->cache.header;
	struct open_record *unused = NULL;

	for (unsigned i = 0; i < OPEN_RECORDS; i++) {
		struct open_record *record = &header->opens[i];

		if (record->opens && record->inode == number) {
			record->opens = opens;
			return;
		}
		if (!record->opens && !unused)
			unused = record;
	}
	if (opens && unused)
		*unused = (struct open_record){number, opens};
	else if (opens)
		header->opens_unknown = 1;
}

bool inode_may_be_open(const struct filesystem *fs, uint32_t number)
{
	const struct cache_header *header = fs->cache.header;

	for (uint32_t i = 0; i < OPEN_RECORDS; i++)
		if (header->opens[i].opens && header->opens[i].inode == number)
			return true;
	return fs->opens_unknown;
}

int opens_restore(struct filesystem *fs)
{
	for (unsigned i = 0; i < OPEN_RECORDS; i++) {
		struct open_record record = fs->cache.header->opens[i];
		struct inode *inode;

		if (!record.opens)
			continue;
		inode = inode_remember(fs, record.inode);
		if (!inode)
			return ENOMEM;
		inode->opens = record.opens;
	}
	return 0;
}

void inode_open(struct filesystem *fs, struct inode *inode)
{
	inode->opens++;
	open_record_set(fs, inode->number, inode->opens);
}

int inode_close(struct filesystem *fs, struct inode *inode)
{
	int error = 0;

	fiber_rwlock_write(&inode->lock);
	if (!inode->opens) { /* nor may it have been when this began to wait */
		fiber_rwlock_unlock_write(&inode->lock);
		return 0;
	}
	inode->opens--;
	open_record_set(fs, inode->number, inode->opens);
	if (!inode->opens && inode->orphan && !fs->read_only) {
		error = orphan_remove(fs, inode);
		if (!error)
			error = inode_delete(fs, inode);
	}
	fiber_rwlock_unlock_write(&inode->lock);
	return error;
}

static struct inode *inode_opened(struct filesystem *fs)
{
	for (unsigned i = 0; i < INODE_HASH; i++)
		for (struct inode *inode = fs->inodes[i]; inode; inode = inode->hash_next)
			if (inode->opens)
				return inode;
	return NULL;
}

int inodes_close(struct filesystem *fs)
{
	struct inode *inode;
	int error = 0;

	while (!error && (inode = inode_opened(fs))) {
		error = inode_get(fs, inode->number, INODE_ANY, &inode);
		if (error)
			break;
		while (!error && inode->opens)
			error = inode_close(fs, inode);
		inode_put(fs, inode);
	}
	if (!error)
		fs->cache.header->opens_unknown = fs->opens_unknown = false;
	return error;
}

/* One orphan that an earlier mount left: one that was being truncated keeps its links. */
static int orphan_finish(struct filesystem *fs, struct inode *inode)
{
	int error;

	inode->raw->dtime = 0;
	inode_dirty(fs, inode);
	error = inode_check(fs, inode);
	if (error)
		return error;
	if (inode->raw->links)
		return inode_has_blocks(fs, inode)
		               ? map_free(fs, inode,
		                          (inode_size(inode) + fs->block_size - 1) >> fs->block_bits, MAP_END)
		               : 0;
	return inode_delete(fs, inode);
}

/* An orphan of the predecessor whose client may still have it open: kept as one. Appended, since the list is
 * walked in its order. */
static void orphan_adopt(struct filesystem *fs, struct inode *inode)
{
	struct inode **link = &fs->orphans;

	while (*link)
		link = &(*link)->orphan_next;
	inode->orphan = true;
	if (!inode->opens)
		inode->opens = 1;
	*link = inode;
}

/* After adopting: the list on the disk is what is in memory, whatever was between. */
static void orphans_relink(struct filesystem *fs)
{
	for (struct inode *inode = fs->orphans; inode; inode = inode->orphan_next) {
		struct inode *held;

		if (inode_get(fs, inode->number, INODE_ANY, &held))
			continue;
		held->raw->dtime = held->orphan_next ? held->orphan_next->number : 0;
		inode_dirty(fs, held);
		inode_put(fs, held);
	}
}

/* ESTALE: not an orphan, or one that was freed already and only the list was not written: the list ends
 * before it. */
static int orphan_get(struct filesystem *fs, uint32_t number, struct inode **out)
{
	bool used;
	int error = inode_get(fs, number, INODE_ANY, out);

	if (error)
		return error;
	error = inode_number_is_used(fs, number, &used);
	if (!error && (!used || (*out)->orphan))
		error = ESTALE;
	if (error)
		inode_put(fs, *out);
	return error;
}

/* Frees the orphans that the last mount left (or takes them over from a predecessor that was restarted: they
 * may be open). A list with a loop ends at an inode that was freed or adopted before. */
int orphans_recover(struct filesystem *fs)
{
	uint32_t number = fs->super->last_orphan, next, count = 0;
	struct inode *inode;
	int error = 0;

	for (; number && !error; number = next, count++) {
		error = orphan_get(fs, number, &inode);
		if (error)
			break;
		next = inode->raw->dtime;
		if (!inode->raw->links && (inode->opens || fs->opens_unknown))
			orphan_adopt(fs, inode);
		else
			error = orphan_finish(fs, inode);
		inode_put(fs, inode);
		if (count > fs->inodes_count)
			error = filesystem_error(fs, "endless list of orphans");
	}
	if (count)
		log_info("%u orphans found%s", count,
		         fs->orphans ? ", kept for those who have them open" : ", freed");
	if (error == ESTALE)
		log_warning("the list of orphans ends at inode %u, which is none", number);
	if (!fs->read_only) {
		fs->super->last_orphan = fs->orphans ? fs->orphans->number : 0;
		super_dirty(fs);
		orphans_relink(fs);
	}
	return error == EIO || error == ENOMEM ? error : 0;
}

int orphans_free_all(struct filesystem *fs)
{
	int error = 0;

	while (fs->orphans && !error) {
		struct inode *inode = fs->orphans;

		error = inode_get(fs, inode->number, INODE_ANY, &inode);
		if (error)
			break;
		inode->opens = 1;
		error = inode_close(fs, inode);
		inode_put(fs, inode);
	}
	return error;
}
