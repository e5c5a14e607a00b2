/* SPDX-License-Identifier: MIT */
/*
 * Names: lookup, create, link, unlink, rmdir, symlinks. (Renaming is rename.c.) Each takes its directory's
 * lock first, then the file's. What can fail is done before the first change where possible; a creation that
 * fails half-way is undone.
 */
#include <string.h>
#include <sys/stat.h>

#include "namespace.h"

int name_check(struct name name)
{
	if (!name.length)
		return ENOENT;
	if (name.length > EXT2_NAME_MAX)
		return ENAMETOOLONG;
	if (memchr(name.text, '/', name.length) || memchr(name.text, 0, name.length))
		return EINVAL;
	return 0;
}

bool name_is_dot(struct name name)
{
	return name.text[0] == '.' && (name.length == 1 || (name.length == 2 && name.text[1] == '.'));
}

int directory_get(struct filesystem *fs, uint32_t number, struct inode **out)
{
	int error = inode_get(fs, number, INODE_LIVE, out);

	if (error)
		return error;
	if (inode_type(*out) != S_IFDIR) {
		inode_put(fs, *out);
		return ENOTDIR;
	}
	return 0;
}

/* For a change of the directory's entries: the name is usable, the disk writable. Reference and write lock on
 * success. */
static int directory_get_locked(struct filesystem *fs, uint32_t number, struct name name, struct inode **out)
{
	int error = filesystem_writable(fs);

	if (!error)
		error = name_check(name);
	if (!error)
		error = directory_get(fs, number, out);
	if (!error)
		fiber_rwlock_write(&(*out)->lock);
	return error;
}

static void directory_put_locked(struct filesystem *fs, struct inode *directory)
{
	fiber_rwlock_unlock_write(&directory->lock);
	inode_put(fs, directory);
}

/* The file that an entry names. An entry for a file that does not exist is corruption left by a crash: an
 * error, but no reason to stop. */
int entry_inode_get(struct filesystem *fs, uint32_t number, struct inode **out)
{
	int error = inode_get(fs, number, INODE_LIVE, out);

	return error == ESTALE ? EUCLEAN : error;
}

int namespace_lookup(struct filesystem *fs, uint32_t number, struct name name, struct fs_attributes *out)
{
	struct directory_place place;
	struct inode *directory, *inode;
	int error = name_check(name);

	if (error)
		return error;
	error = directory_get(fs, number, &directory);
	if (error)
		return error;
	fiber_rwlock_read(&directory->lock);
	error = directory_find(fs, directory, name.text, name.length, &place);
	if (!error)
		error = entry_inode_get(fs, place.inode, &inode);
	fiber_rwlock_unlock_read(&directory->lock);
	inode_put(fs, directory);
	if (error)
		return error;
	inode_attributes(fs, inode, out);
	inode_put(fs, inode);
	return 0;
}

void change_begin(struct change *change, enum change_state state, uint32_t source, uint32_t target)
{
	change->state = CHANGE_NONE;
	atomic_signal_fence(memory_order_seq_cst);
	change->source = source;
	change->target = target;
	atomic_signal_fence(memory_order_seq_cst);
	change->state = state;
	atomic_signal_fence(memory_order_seq_cst);
}

void change_end(struct change *change)
{
	atomic_signal_fence(memory_order_seq_cst);
	change->state = CHANGE_EXCHANGED;
}

/* ---- creation ---- */

static int symlink_init(struct filesystem *fs, struct inode *inode, const char *target, unsigned length)
{
	struct buffer *buffer;
	int error;

	if (length < EXT2_FAST_SYMLINK) {
		memcpy(inode->raw->block, target, length);
		inode_set_size(fs, inode, length);
		return 0;
	}
	error = map_allocate_buffer(fs, inode, 0, &buffer);
	if (error)
		return error;
	memcpy(buffer->data, target, length);
	buffer_dirty(&fs->cache, buffer, BUFFER_POINTERS);
	buffer_put(&fs->cache, buffer);
	inode_set_size(fs, inode, length);
	return 0;
}

static int contents_init(struct filesystem *fs, struct inode *inode, uint32_t parent, const char *target,
                         unsigned length)
{
	switch (inode_type(inode)) {
	case S_IFDIR:
		return directory_init(fs, inode, parent);
	case S_IFLNK:
		return symlink_init(fs, inode, target, length);
	default:
		return 0;
	}
}

static int creation_check(struct filesystem *fs, const struct inode *directory, unsigned mode,
                          unsigned target_length)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return directory->raw->links >= EXT2_LINKS_MAX ? EMLINK : 0;
	case S_IFLNK:
		return !target_length ? ENOENT : target_length >= fs->block_size ? ENAMETOOLONG : 0;
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	default:
		return EINVAL;
	}
}

static int inode_create(struct filesystem *fs, struct inode *directory,
                        const struct fs_attributes *attributes, const char *target, unsigned target_length,
                        struct inode **out)
{
	uint32_t number;
	int error = inode_number_allocate(fs, directory->number, S_ISDIR(attributes->mode), &number);

	if (error)
		return error;
	error = inode_get(fs, number, INODE_ANY, out);
	if (error) {
		inode_number_free(fs, number, S_ISDIR(attributes->mode));
		return error;
	}
	inode_init(fs, *out, attributes);
	error = contents_init(fs, *out, directory->number, target, target_length);
	if (error) {
		inode_unlinked(fs, *out);
		inode_put(fs, *out);
	}
	return error;
}

/* There is a file of that name: is it what a predecessor made for this very request? */
static int created_before(struct filesystem *fs, uint32_t number, struct fs_attributes *attributes,
                          const struct change *change)
{
	struct fs_attributes found;
	struct inode *inode;

	if (change->state != CHANGE_BEGUN || change->source != number || entry_inode_get(fs, number, &inode))
		return EEXIST;
	inode_attributes(fs, inode, &found);
	inode_put(fs, inode);
	if (found.mode != attributes->mode || found.uid != attributes->uid || found.gid != attributes->gid)
		return EEXIST;
	*attributes = found;
	return 0;
}

static int create_in(struct filesystem *fs, struct inode *directory, struct name name, const char *target,
                     unsigned target_length, struct fs_attributes *attributes, struct change *change)
{
	struct directory_place place;
	struct inode *inode;
	int error;

	if (!inode_links(directory))
		return ENOENT;
	error = directory_find(fs, directory, name.text, name.length, &place);
	if (error != ENOENT)
		return error ? error : created_before(fs, place.inode, attributes, change);
	error = creation_check(fs, directory, attributes->mode, target_length);
	if (!error)
		error = inode_create(fs, directory, attributes, target, target_length, &inode);
	if (error)
		return error;
	change_begin(change, CHANGE_BEGUN, inode->number, 0);
	error = directory_add(fs, directory, &place, name.text, name.length, inode->number, attributes->mode);
	if (error) {
		inode_unlinked(fs, inode);
	} else {
		inode_born(fs, inode, S_ISDIR(attributes->mode) ? 2 : 1);
		if (S_ISDIR(attributes->mode)) {
			directory->raw->links++;
			inode_dirty(fs, directory);
		}
		inode_attributes(fs, inode, attributes);
	}
	inode_put(fs, inode);
	return error;
}

int namespace_create(struct filesystem *fs, uint32_t number, struct name name, const char *target,
                     unsigned target_length, struct fs_attributes *attributes, struct change *change)
{
	struct inode *directory;
	int error;

	if (!(attributes->mode & S_IFMT))
		attributes->mode |= S_IFREG;
	/* What a string of C cannot say no program asked for. */
	if (target_length && memchr(target, 0, target_length))
		return EINVAL;
	error = directory_get_locked(fs, number, name, &directory);
	if (error)
		return error;
	error = create_in(fs, directory, name, target, target_length, attributes, change);
	directory_put_locked(fs, directory);
	return error;
}

/* The file's other names shall not be gone from the disk before this one is there. */
static void link_record(struct filesystem *fs, struct inode *directory, const struct directory_place *place,
                        const struct inode *file)
{
	struct buffer *buffer;

	if (inode_is_new(fs, file) || directory_block(fs, directory, place->block, &buffer))
		return;
	cache_linked(&fs->cache, file->number, buffer->block, inode_is_new(fs, directory));
	buffer_put(&fs->cache, buffer);
}

static int link_in(struct filesystem *fs, struct inode *directory, struct name name, struct inode *file,
                   struct change *change)
{
	struct directory_place place;
	int error;

	if (!inode_links(directory))
		return ENOENT;
	error = directory_find(fs, directory, name.text, name.length, &place);
	if (!error && change->state == CHANGE_BEGUN && place.inode == file->number)
		return 0;
	if (error != ENOENT)
		return error ? error : EEXIST;
	if (!inode_links(file))
		return ENOENT;
	if (inode_links(file) >= EXT2_LINKS_MAX)
		return EMLINK;
	/* The count goes up first: if the disk is cut off in between, a link too many is harmless. */
	change_begin(change, CHANGE_BEGUN, file->number, 0);
	file->raw->links++;
	inode_touch(fs, file, FS_SET_CTIME);
	error = directory_add(fs, directory, &place, name.text, name.length, file->number, file->raw->mode);
	if (error) {
		file->raw->links--;
		inode_dirty(fs, file);
	} else {
		link_record(fs, directory, &place, file);
	}
	return error;
}

int namespace_link(struct filesystem *fs, uint32_t number, struct name name, uint32_t file,
                   struct fs_attributes *out, struct change *change)
{
	struct inode *directory, *inode;
	int error = inode_get(fs, file, INODE_LIVE, &inode);

	if (error)
		return error;
	if (inode_type(inode) == S_IFDIR) {
		inode_put(fs, inode);
		return EPERM;
	}
	error = directory_get_locked(fs, number, name, &directory);
	if (!error) {
		fiber_rwlock_write(&inode->lock);
		error = link_in(fs, directory, name, inode, change);
		if (!error)
			inode_attributes(fs, inode, out);
		fiber_rwlock_unlock_write(&inode->lock);
		directory_put_locked(fs, directory);
	}
	inode_put(fs, inode);
	return error;
}

/* ---- removal ---- */

/* On a corrupt disk two directories may be in each other: nobody waits for one with the other locked. The
 * caller looks again. */
static bool wait_unlocked(struct filesystem *fs, struct inode *directory, struct inode *inode)
{
	if (inode_type(inode) != S_IFDIR || (!inode->lock.writer && !inode->lock.readers))
		return false;
	fiber_rwlock_unlock_write(&directory->lock);
	fiber_rwlock_write(&inode->lock);
	fiber_rwlock_unlock_write(&inode->lock);
	inode_put(fs, inode);
	fiber_rwlock_write(&directory->lock);
	return true;
}

/* Finds the entry and takes a locked reference to its file. EALREADY: a predecessor has removed it. */
static int entry_get_locked(struct filesystem *fs, struct inode *directory, struct name name,
                            struct directory_place *place, struct inode **out, const struct change *change)
{
	do {
		int error = directory_find(fs, directory, name.text, name.length, place);

		if (change->state == CHANGE_BEGUN &&
		    (error == ENOENT || (!error && place->inode != change->source)))
			return EALREADY;
		if (!error && place->inode == directory->number)
			error = filesystem_error(fs, "directory inode %u contains itself", directory->number);
		if (!error)
			error = entry_inode_get(fs, place->inode, out);
		if (error)
			return error;
	} while (wait_unlocked(fs, directory, *out));
	fiber_rwlock_write(&(*out)->lock);
	return 0;
}

static int entry_remove(struct filesystem *fs, struct inode *directory, const struct directory_place *place,
                        const struct inode *inode)
{
	struct buffer *buffer;
	int error;

	if (inode_links(inode) > 1) {
		error = directory_block(fs, directory, place->block, &buffer);
		if (error)
			return error;
		if (!cache_unlink_order(&fs->cache, inode->number, buffer))
			error = cache_commit(&fs->cache);
		buffer_put(&fs->cache, buffer);
		if (error)
			return error;
		inode_unsettled(fs, directory);
	}
	return directory_remove(fs, directory, place);
}

/* `links` of the file's entries are gone. Called with the file locked; unlocks it and drops the reference. */
static int unlinked_put(struct filesystem *fs, struct inode *inode, uint32_t links, struct fs_attributes *out)
{
	int error;

	inode_touch(fs, inode, FS_SET_CTIME);
	error = inode_links(inode) > links ? inode_drop(fs, inode, links) : inode_gone(fs, inode);
	if (out)
		inode_attributes(fs, inode, out);
	fiber_rwlock_unlock_write(&inode->lock);
	inode_put(fs, inode);
	return error;
}

int namespace_unlink(struct filesystem *fs, uint32_t number, struct name name, struct fs_attributes *out,
                     struct change *change)
{
	struct directory_place place;
	struct inode *directory, *inode;
	int error = directory_get_locked(fs, number, name, &directory);

	if (error)
		return error;
	error = name_is_dot(name) ? EISDIR : entry_get_locked(fs, directory, name, &place, &inode, change);
	if (error) {
		directory_put_locked(fs, directory);
		if (error != EALREADY)
			return error;
		*out = (struct fs_attributes){0};
		return 0;
	}
	error = inode_type(inode) == S_IFDIR ? EISDIR : 0;
	if (!error) {
		change_begin(change, CHANGE_BEGUN, inode->number, 0);
		error = entry_remove(fs, directory, &place, inode);
	}
	directory_put_locked(fs, directory);
	if (error) {
		fiber_rwlock_unlock_write(&inode->lock);
		inode_put(fs, inode);
		return error;
	}
	return unlinked_put(fs, inode, 1, out);
}

int namespace_rmdir(struct filesystem *fs, uint32_t number, struct name name, struct change *change)
{
	struct directory_place place;
	struct inode *directory, *inode;
	int error = directory_get_locked(fs, number, name, &directory);

	if (error)
		return error;
	error = !name_is_dot(name) ? entry_get_locked(fs, directory, name, &place, &inode, change)
	        : name.length == 1 ? EINVAL
	                           : ENOTEMPTY;
	if (error) {
		directory_put_locked(fs, directory);
		return error == EALREADY ? 0 : error;
	}
	error = inode_type(inode) != S_IFDIR ? ENOTDIR : directory_is_empty(fs, inode);
	if (!error) {
		change_begin(change, CHANGE_BEGUN, inode->number, 0);
		error = inode_dies(fs, inode, directory->number);
	}
	if (!error)
		error = directory_remove(fs, directory, &place);
	if (!error) {
		if (directory->raw->links > 2)
			directory->raw->links--;
		inode_dirty(fs, directory);
	}
	directory_put_locked(fs, directory);
	if (!error)
		return unlinked_put(fs, inode, inode_links(inode), NULL);
	fiber_rwlock_unlock_write(&inode->lock);
	inode_put(fs, inode);
	return error;
}

/* Read-locked. */
static int symlink_read(struct filesystem *fs, struct inode *inode, char *out, uint32_t capacity,
                        uint32_t *length)
{
	uint32_t size = (uint32_t)inode_size(inode), physical, count;
	struct buffer *buffer;
	int error;

	*length = size < capacity ? size : capacity;
	if (inode_is_fast_symlink(fs, inode)) {
		memcpy(out, inode->raw->block, *length);
		return 0;
	}
	error = map_lookup(fs, inode, 0, 1, &physical, &count);
	if (!error && !physical)
		error = filesystem_error(fs, "symbolic link inode %u has no block", inode->number);
	if (!error)
		error = buffer_get(&fs->cache, physical, &buffer);
	if (error)
		return error;
	memcpy(out, buffer->data, *length);
	buffer_put(&fs->cache, buffer);
	return 0;
}

int namespace_readlink(struct filesystem *fs, uint32_t number, char *out, uint32_t capacity, uint32_t *length)
{
	struct inode *inode;
	int error = inode_get(fs, number, INODE_LIVE, &inode);

	if (error)
		return error;
	fiber_rwlock_read(&inode->lock);
	if (inode_is_gone(inode))
		error = ESTALE;
	else
		error = inode_type(inode) == S_IFLNK ? symlink_read(fs, inode, out, capacity, length)
		                                     : EINVAL;
	fiber_rwlock_unlock_read(&inode->lock);
	inode_put(fs, inode);
	return error;
}
