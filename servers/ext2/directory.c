/* SPDX-License-Identifier: MIT */
/*
 * The entries of one directory, as a list in each block. An entry's record runs to the next entry, so
 * removing one gives its space to the one before it, and adding one splits a record with enough slack. Blocks
 * come from the disk: every record is checked before it is used.
 *
 * A hash index (dir_index) is only a hint: reading ignores it (its blocks look like empty entries), the first
 * change drops the flag.
 */
#include <string.h>
#include <sys/stat.h>

#include "ext2.h"

#define DIRECTORY_READ_AHEAD 7

static const uint8_t type_of_mode[16] = {
        [S_IFREG >> 12] = EXT2_TYPE_REGULAR,   [S_IFDIR >> 12] = EXT2_TYPE_DIRECTORY,
        [S_IFCHR >> 12] = EXT2_TYPE_CHARACTER, [S_IFBLK >> 12] = EXT2_TYPE_BLOCK,
        [S_IFIFO >> 12] = EXT2_TYPE_FIFO,      [S_IFSOCK >> 12] = EXT2_TYPE_SOCKET,
        [S_IFLNK >> 12] = EXT2_TYPE_SYMLINK,
};

/* Linux's DT_*: the file type bits of the mode. */
static const uint8_t protocol_type[EXT2_TYPE_COUNT] = {
        [EXT2_TYPE_REGULAR] = S_IFREG >> 12,   [EXT2_TYPE_DIRECTORY] = S_IFDIR >> 12,
        [EXT2_TYPE_CHARACTER] = S_IFCHR >> 12, [EXT2_TYPE_BLOCK] = S_IFBLK >> 12,
        [EXT2_TYPE_FIFO] = S_IFIFO >> 12,      [EXT2_TYPE_SOCKET] = S_IFSOCK >> 12,
        [EXT2_TYPE_SYMLINK] = S_IFLNK >> 12,
};

static uint32_t directory_blocks(const struct filesystem *fs, const struct inode *directory)
{
	return (uint32_t)(inode_size(directory) >> fs->block_bits);
}

static int bad_directory(struct filesystem *fs, const struct inode *directory, uint32_t block,
                         uint32_t offset)
{
	return filesystem_error(fs, "directory inode %u: block %u, offset %u", directory->number, block,
	                        offset);
}

int directory_block(struct filesystem *fs, struct inode *directory, uint32_t block, struct buffer **out)
{
	uint32_t physical, count;
	int error = map_lookup(fs, directory, block, DIRECTORY_READ_AHEAD + 1, &physical, &count);

	if (error)
		return error;
	if (!physical)
		return bad_directory(fs, directory, block, 0);
	return buffer_get_ahead(&fs->cache, physical, count - 1, out);
}

/* The record at the offset, or NULL if it is impossible. Offsets are multiples of 4, below the block size. */
struct ext2_dirent *directory_entry_at(const struct filesystem *fs, const struct buffer *buffer,
                                       uint32_t offset)
{
	struct ext2_dirent *entry = (struct ext2_dirent *)(buffer->data + offset);
	uint32_t size = entry->record_size;

	if (offset > fs->block_size - EXT2_DIRENT_SIZE(1) || size < EXT2_DIRENT_SIZE(1) || size % 4 ||
	    size > fs->block_size - offset || size < EXT2_DIRENT_SIZE(entry->name_length) ||
	    entry->inode > fs->inodes_count)
		return NULL;
	return entry;
}

static uint32_t entry_slack(const struct ext2_dirent *entry)
{
	return entry->inode ? entry->record_size - EXT2_DIRENT_SIZE(entry->name_length) : entry->record_size;
}

/* 0: found; ENOENT: not in this block. The loop that lookups in large directories spend their time in:
 * records are checked as far as walking on needs it, and wholly (directory_entry_at) before they are used. */
static int block_find(struct filesystem *fs, struct inode *directory, const struct buffer *buffer,
                      uint32_t block, const char *name, unsigned length, struct directory_place *place)
{
	uint32_t offset = 0, previous = 0, needed = EXT2_DIRENT_SIZE(length), end = fs->block_size;

	while (offset <= end - EXT2_DIRENT_SIZE(1)) {
		const struct ext2_dirent *entry = (const struct ext2_dirent *)(buffer->data + offset);
		uint32_t size = entry->record_size;

		if (size < EXT2_DIRENT_SIZE(1) || size % 4 || size > end - offset)
			break;
		/* The last letter first: names in one directory tend to begin alike. */
		if (entry->name_length == length && entry->name[length - 1] == name[length - 1] &&
		    entry->inode && size >= needed && !memcmp(entry->name, name, length)) {
			if (!directory_entry_at(fs, buffer, offset))
				break;
			place->inode = entry->inode;
			place->type = entry->type;
			place->block = block;
			place->offset = offset;
			place->previous = previous;
			return 0;
		}
		if (size >= needed + (entry->inode ? EXT2_DIRENT_SIZE(entry->name_length) : 0) &&
		    !place->has_room) {
			if (!directory_entry_at(fs, buffer, offset))
				break;
			place->has_room = true;
			place->room_block = block;
			place->room_offset = offset;
		}
		previous = offset;
		offset += size;
	}
	return offset == end ? ENOENT : bad_directory(fs, directory, block, offset);
}

/* In the blocks that the index names. EAGAIN: it cannot tell. */
static int index_find(struct filesystem *fs, struct inode *directory, const char *name, unsigned length,
                      struct directory_place *place)
{
	uint32_t blocks[8];
	unsigned count = index_candidates(fs, directory, name, length, blocks, 8);

	if (count == INDEX_UNKNOWN)
		return EAGAIN;
	for (unsigned i = 0; i < count; i++) {
		struct buffer *buffer;
		int error = directory_block(fs, directory, blocks[i], &buffer);

		if (error)
			return error;
		error = block_find(fs, directory, buffer, blocks[i], name, length, place);
		buffer_put(&fs->cache, buffer);
		if (error != ENOENT)
			return error;
	}
	return ENOENT;
}

static int walk_find(struct filesystem *fs, struct inode *directory, const char *name, unsigned length,
                     struct directory_place *place)
{
	uint32_t blocks = directory_blocks(fs, directory);

	for (uint32_t block = 0; block < blocks; block++) {
		struct buffer *buffer;
		int error = directory_block(fs, directory, block, &buffer);

		if (error)
			return error;
		error = block_find(fs, directory, buffer, block, name, length, place);
		buffer_put(&fs->cache, buffer);
		if (error != ENOENT)
			return error;
	}
	return ENOENT;
}

int directory_find(struct filesystem *fs, struct inode *directory, const char *name, unsigned length,
                   struct directory_place *place)
{
	int error = EAGAIN;

	*place = (struct directory_place){0};
	if (index_ready(fs, directory))
		error = index_find(fs, directory, name, length, place);
	return error == EAGAIN ? walk_find(fs, directory, name, length, place) : error;
}

uint32_t directory_block_room(const struct filesystem *fs, const struct buffer *buffer)
{
	uint32_t offset = 0, room = 0;

	while (offset < fs->block_size) {
		const struct ext2_dirent *entry = directory_entry_at(fs, buffer, offset);

		if (!entry)
			return 0;
		if (entry_slack(entry) > room)
			room = entry_slack(entry);
		offset += entry->record_size;
	}
	return room;
}

/* ---- changes ---- */

static void directory_changed(struct filesystem *fs, struct inode *directory, struct buffer *buffer)
{
	buffer_dirty(&fs->cache, buffer, BUFFER_DIRECTORY);
	directory->raw->flags &= ~(uint32_t)EXT2_FLAG_INDEX;
	inode_touch(fs, directory, FS_SET_MTIME | FS_SET_CTIME);
}

/* All that is not the name, in one store: whoever is killed here leaves the old entry or the new one. */
static void entry_store(const struct filesystem *fs, struct ext2_dirent *entry, uint32_t number,
                        unsigned name_length, unsigned mode)
{
	struct ext2_dirent head = {.inode = number,
	                           .record_size = entry->record_size,
	                           .name_length = (uint8_t)name_length,
	                           .type = fs->filetype ? type_of_mode[mode >> 12 & 15] : 0};
	uint64_t value;

	_Static_assert(sizeof(head) == sizeof(value), "one store");
	memcpy(&value, &head, sizeof(value));
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(entry, &value, sizeof(value));
	atomic_signal_fence(memory_order_seq_cst);
}

static void entry_fill(const struct filesystem *fs, struct ext2_dirent *entry, const char *name,
                       unsigned length, uint32_t number, unsigned mode)
{
	memcpy(entry->name, name, length);
	entry_store(fs, entry, number, length, mode);
}

/* One more block at the end, holding one unused record. */
static int directory_grow(struct filesystem *fs, struct inode *directory, struct buffer **out)
{
	uint32_t block = directory_blocks(fs, directory), physical, count;
	struct ext2_dirent *entry;
	int error;

	if (inode_size(directory) + fs->block_size > 0x7fffffff)
		return ENOSPC;
	error = map_lookup(fs, directory, block, 1, &physical, &count);
	if (!error && physical)
		error = bad_directory(fs, directory, block, 0);
	if (!error)
		error = map_allocate_buffer(fs, directory, block, out);
	if (error)
		return error;
	inode_unsettled(fs, directory);
	entry = (struct ext2_dirent *)(*out)->data;
	entry->record_size = (uint16_t)fs->block_size;
	inode_set_size(fs, directory, inode_size(directory) + fs->block_size);
	return 0;
}

/* A search by the index has not looked for room on its way. */
static int find_room(struct filesystem *fs, struct inode *directory, unsigned length,
                     struct directory_place *place)
{
	uint32_t needed = EXT2_DIRENT_SIZE(length), block, offset = 0;
	struct buffer *buffer;
	int error;

	if (place->has_room || !index_room(fs, directory, needed, &block))
		return 0;
	error = directory_block(fs, directory, block, &buffer);
	if (error)
		return error;
	while (offset < fs->block_size) {
		const struct ext2_dirent *entry = directory_entry_at(fs, buffer, offset);

		if (!entry || entry_slack(entry) >= needed)
			break;
		offset += entry->record_size;
	}
	buffer_put(&fs->cache, buffer);
	place->has_room = offset < fs->block_size;
	place->room_block = block;
	place->room_offset = offset;
	return 0;
}

int directory_add(struct filesystem *fs, struct inode *directory, struct directory_place *place,
                  const char *name, unsigned length, uint32_t number, unsigned mode)
{
	struct ext2_dirent *entry, *next;
	struct buffer *buffer;
	int error = find_room(fs, directory, length, place);

	if (error)
		return error;
	if (!place->has_room)
		place->room_block = directory_blocks(fs, directory);
	error = place->has_room ? directory_block(fs, directory, place->room_block, &buffer)
	                        : directory_grow(fs, directory, &buffer);
	if (error)
		return error;
	entry = directory_entry_at(fs, buffer, place->room_offset);
	if (!entry || entry_slack(entry) < EXT2_DIRENT_SIZE(length)) {
		buffer_put(&fs->cache, buffer);
		return bad_directory(fs, directory, place->room_block, place->room_offset);
	}
	if (entry->inode) {
		uint32_t used = EXT2_DIRENT_SIZE(entry->name_length);

		next = (struct ext2_dirent *)((uint8_t *)entry + used);
		next->record_size = (uint16_t)(entry->record_size - used);
		entry_fill(fs, next, name, length, number, mode);
		entry->record_size = (uint16_t)used;
	} else {
		entry_fill(fs, entry, name, length, number, mode);
	}
	place->block = place->room_block;
	directory_changed(fs, directory, buffer);
	index_added(fs, directory, name, length, buffer, place->room_block);
	buffer_put(&fs->cache, buffer);
	return 0;
}

int directory_remove(struct filesystem *fs, struct inode *directory, const struct directory_place *place)
{
	struct ext2_dirent *entry, *previous;
	struct buffer *buffer;
	int error = directory_block(fs, directory, place->block, &buffer);

	if (error)
		return error;
	entry = directory_entry_at(fs, buffer, place->offset);
	previous = directory_entry_at(fs, buffer, place->previous);
	if (!entry || !previous ||
	    (place->previous != place->offset && place->previous + previous->record_size != place->offset)) {
		buffer_put(&fs->cache, buffer);
		return bad_directory(fs, directory, place->block, place->offset);
	}
	entry->inode = 0;
	if (previous != entry)
		previous->record_size = (uint16_t)(previous->record_size + entry->record_size);
	directory_changed(fs, directory, buffer);
	inode_emptied(fs, directory);
	index_removed(fs, directory, entry->name, entry->name_length, buffer, place->block);
	buffer_put(&fs->cache, buffer);
	return 0;
}

int directory_replace(struct filesystem *fs, struct inode *directory, const struct directory_place *place,
                      uint32_t number, unsigned mode)
{
	struct ext2_dirent *entry;
	struct buffer *buffer;
	int error = directory_block(fs, directory, place->block, &buffer);

	if (error)
		return error;
	entry = directory_entry_at(fs, buffer, place->offset);
	if (entry) {
		entry_store(fs, entry, number, entry->name_length, mode);
		directory_changed(fs, directory, buffer);
	}
	buffer_put(&fs->cache, buffer);
	return entry ? 0 : bad_directory(fs, directory, place->block, place->offset);
}

static bool is_dot_or_dotdot(const struct ext2_dirent *entry)
{
	return entry->name[0] == '.' &&
	       (entry->name_length == 1 || (entry->name_length == 2 && entry->name[1] == '.'));
}

static int block_is_empty(struct filesystem *fs, struct inode *directory, const struct buffer *buffer,
                          uint32_t block)
{
	for (uint32_t offset = 0; offset < fs->block_size;) {
		struct ext2_dirent *entry = directory_entry_at(fs, buffer, offset);

		if (!entry)
			return bad_directory(fs, directory, block, offset);
		if (entry->inode && !is_dot_or_dotdot(entry))
			return ENOTEMPTY;
		offset += entry->record_size;
	}
	return 0;
}

int directory_is_empty(struct filesystem *fs, struct inode *directory)
{
	uint32_t blocks = directory_blocks(fs, directory);

	for (uint32_t block = 0; block < blocks; block++) {
		struct buffer *buffer;
		int error = directory_block(fs, directory, block, &buffer);

		if (error)
			return error;
		error = block_is_empty(fs, directory, buffer, block);
		buffer_put(&fs->cache, buffer);
		if (error)
			return error;
	}
	return 0;
}

int directory_init(struct filesystem *fs, struct inode *directory, uint32_t parent)
{
	struct ext2_dirent *dot, *dotdot;
	struct buffer *buffer;
	int error = directory_grow(fs, directory, &buffer);

	if (error)
		return error;
	dot = (struct ext2_dirent *)buffer->data;
	dot->record_size = EXT2_DIRENT_SIZE(1);
	entry_fill(fs, dot, ".", 1, directory->number, S_IFDIR);
	dotdot = (struct ext2_dirent *)(buffer->data + EXT2_DIRENT_SIZE(1));
	dotdot->record_size = (uint16_t)(fs->block_size - EXT2_DIRENT_SIZE(1));
	entry_fill(fs, dotdot, "..", 2, parent, S_IFDIR);
	buffer_dirty(&fs->cache, buffer, BUFFER_DIRECTORY);
	buffer_put(&fs->cache, buffer);
	return 0;
}

/* In the first block, for which no index is made. */
static int parent_find(struct filesystem *fs, struct inode *directory, struct directory_place *place)
{
	int error;

	*place = (struct directory_place){0};
	error = walk_find(fs, directory, "..", 2, place);
	return error == ENOENT ? filesystem_error(fs, "directory inode %u has no ..", directory->number)
	                       : error;
}

int directory_parent(struct filesystem *fs, struct inode *directory, uint32_t *parent)
{
	struct directory_place place;
	int error = parent_find(fs, directory, &place);

	*parent = place.inode;
	return error;
}

int directory_set_parent(struct filesystem *fs, struct inode *directory, uint32_t parent)
{
	struct directory_place place;
	int error = parent_find(fs, directory, &place);

	return error ? error : directory_replace(fs, directory, &place, parent, S_IFDIR);
}

int directory_correct_parent(struct filesystem *fs, struct inode *directory, uint32_t parent)
{
	uint32_t found;
	int error = directory_parent(fs, directory, &found);

	return error || found == parent ? error : directory_set_parent(fs, directory, parent);
}

/* ---- reading for the client ---- */

/* false: no room for this entry */
static bool emit(const struct filesystem *fs, const struct ext2_dirent *entry, uint64_t next, uint8_t *out,
                 uint32_t capacity, uint32_t *length)
{
	uint32_t size = (uint32_t)(sizeof(struct fs_dirent) + entry->name_length + 7) & ~7u;
	struct fs_dirent record = {.inode = entry->inode, .next_offset = next, .record_size = (uint16_t)size};

	if (capacity - *length < size)
		return false;
	record.name_length = entry->name_length;
	if (fs->filetype && entry->type < EXT2_TYPE_COUNT)
		record.type = protocol_type[entry->type];
	memset(out + *length, 0, size);
	memcpy(out + *length, &record, sizeof(record));
	memcpy(out + *length + offsetof(struct fs_dirent, name), entry->name, entry->name_length);
	*length += size;
	return true;
}

/* The cookie is a byte offset. What was there may have been merged into the entry before it meanwhile: the
 * block is walked from its start. */
static int block_read(struct filesystem *fs, struct inode *directory, const struct buffer *buffer,
                      uint32_t block, uint8_t *out, uint32_t capacity, uint32_t *length, uint64_t *next,
                      bool *full)
{
	uint64_t base = (uint64_t)block << fs->block_bits;

	for (uint32_t offset = 0; offset < fs->block_size;) {
		struct ext2_dirent *entry = directory_entry_at(fs, buffer, offset);

		if (!entry)
			return bad_directory(fs, directory, block, offset);
		if (base + offset >= *next && entry->inode &&
		    !emit(fs, entry, base + offset + entry->record_size, out, capacity, length)) {
			*next = base + offset;
			*full = true;
			return 0;
		}
		offset += entry->record_size;
	}
	*next = base + fs->block_size;
	return 0;
}

int directory_read(struct filesystem *fs, struct inode *directory, uint64_t offset, uint8_t *out,
                   uint32_t capacity, uint32_t *length, uint64_t *next)
{
	uint32_t blocks = directory_blocks(fs, directory);
	bool full = false;

	*length = 0;
	*next = offset;
	while (*next >> fs->block_bits < blocks && !full) {
		uint32_t block = (uint32_t)(*next >> fs->block_bits);
		struct buffer *buffer;
		int error = directory_block(fs, directory, block, &buffer);

		if (error)
			return error;
		error = block_read(fs, directory, buffer, block, out, capacity, length, next, &full);
		buffer_put(&fs->cache, buffer);
		if (error)
			return error;
	}
	return 0;
}
