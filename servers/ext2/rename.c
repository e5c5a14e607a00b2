/* SPDX-License-Identifier: MIT */
/*
 * Renaming. Between two directories, the rename lock keeps the tree's shape still, so that "is this below
 * that" means something, and the directories are locked ancestor first. Sequence of changes: the new name,
 * then the old one, then the "..", and the disk sees them in this order: whatever is cut off in between, the
 * file keeps a name. (A directory that moves to another block may be seen there twice: e2fsck asks.)
 *
 * A successor finds names and counts of links as recover_names.c leaves them. When it is asked the same
 * again, it removes the old one of two names, and does not undo an exchange.
 */
#include <string.h>
#include <sys/stat.h>

#include "namespace.h"

struct rename {
	struct filesystem *fs;
	struct inode *old_directory, *new_directory;
	struct name old_name, new_name;
	unsigned flags;
	struct directory_place old_place, new_place;
	struct inode *source, *target; /* target NULL: there is none */
	/* Across directories: the child of one on the way to the other (0: not below it), neither of which
	 * may be moved into itself. */
	uint32_t new_below_old, old_below_new;
	struct change *change;
};

/* *child: the directory right below `ancestor` on the way from `number` up to it; 0 if `number` is not below
 * it. */
static int below(struct filesystem *fs, uint32_t number, uint32_t ancestor, uint32_t *child)
{
	uint32_t seen = number;

	*child = 0;
	for (uint32_t depth = 1; number != EXT2_ROOT_INODE; depth++) {
		struct inode *inode;
		uint32_t parent;
		int error = directory_get(fs, number, &inode);

		if (error)
			return error;
		fiber_rwlock_read(&inode->lock);
		error = inode_is_gone(inode) ? ENOENT : directory_parent(fs, inode, &parent);
		fiber_rwlock_unlock_read(&inode->lock);
		inode_put(fs, inode);
		if (error)
			return error;
		if (parent == ancestor) {
			*child = number;
			return 0;
		}
		/* A loop on the disk comes again to one of those that it is compared with: farther up each
		 * time. */
		if (parent == seen)
			return filesystem_error(fs, "directory inode %u: the way to the root does not end",
			                        number);
		if (!(depth & (depth - 1)))
			seen = parent;
		number = parent;
	}
	return 0;
}

static void lock_two(struct inode *first, struct inode *second)
{
	fiber_rwlock_write(&first->lock);
	if (second != first)
		fiber_rwlock_write(&second->lock);
}

/* Takes the rename lock (if the directories differ) and the directories' locks. On failure nothing is held.
 */
static int lock_directories(struct rename *r)
{
	uint32_t old = r->old_directory->number, new = r->new_directory->number;
	int error;

	if (old == new) {
		fiber_rwlock_write(&r->old_directory->lock);
		return 0;
	}
	fiber_mutex_lock(&r->fs->rename_lock);
	error = below(r->fs, new, old, &r->new_below_old);
	if (!error)
		error = below(r->fs, old, new, &r->old_below_new);
	if (error) {
		fiber_mutex_unlock(&r->fs->rename_lock);
		return error;
	}
	if (r->new_below_old || (!r->old_below_new && old < new))
		lock_two(r->old_directory, r->new_directory);
	else
		lock_two(r->new_directory, r->old_directory);
	return 0;
}

static void unlock_directories(struct rename *r)
{
	fiber_rwlock_unlock_write(&r->old_directory->lock);
	if (r->old_directory == r->new_directory)
		return;
	fiber_rwlock_unlock_write(&r->new_directory->lock);
	fiber_mutex_unlock(&r->fs->rename_lock);
}

static bool is_directory(const struct inode *inode)
{
	return inode_type(inode) == S_IFDIR;
}

/* Both names lead to it, since a predecessor has given it the new one. */
static bool is_half_moved(const struct rename *r)
{
	return r->change->state == CHANGE_BEGUN && r->change->source == r->old_place.inode &&
	       r->change->source == r->new_place.inode;
}

static int find_both(struct rename *r)
{
	int error;

	if (!inode_links(r->old_directory) || !inode_links(r->new_directory))
		return ENOENT;
	error = directory_find(r->fs, r->old_directory, r->old_name.text, r->old_name.length, &r->old_place);
	if (r->change->state == CHANGE_BEGUN &&
	    (error == ENOENT || (!error && r->old_place.inode != r->change->source)))
		return EALREADY;
	if (error)
		return error;
	error = directory_find(r->fs, r->new_directory, r->new_name.text, r->new_name.length, &r->new_place);
	if (error && (error != ENOENT || r->flags & FS_RENAME_EXCHANGE))
		return error;
	if (!error && r->flags & FS_RENAME_NOREPLACE && !is_half_moved(r))
		return EEXIST;
	/* Before any lock on them is taken: moving into itself, or over an ancestor of where it comes from.
	 */
	if (r->new_below_old && r->old_place.inode == r->new_below_old)
		return EINVAL;
	if (r->old_below_new && !error && r->new_place.inode == r->old_below_new)
		return r->flags & FS_RENAME_EXCHANGE ? EINVAL : ENOTEMPTY;
	if (r->old_place.inode == r->old_directory->number ||
	    r->old_place.inode == r->new_directory->number ||
	    (!error && (r->new_place.inode == r->old_directory->number ||
	                r->new_place.inode == r->new_directory->number)))
		return filesystem_error(r->fs, "directories %u and %u contain themselves",
		                        r->old_directory->number, r->new_directory->number);
	if (entry_inode_get(r->fs, r->old_place.inode, &r->source))
		return EUCLEAN;
	if (!error && entry_inode_get(r->fs, r->new_place.inode, &r->target)) {
		inode_put(r->fs, r->source);
		return EUCLEAN;
	}
	return 0;
}

static void lock_files(struct rename *r)
{
	if (!r->target || r->target == r->source)
		fiber_rwlock_write(&r->source->lock);
	else if (r->source->number < r->target->number)
		lock_two(r->source, r->target);
	else
		lock_two(r->target, r->source);
}

static int replacement_check(struct rename *r)
{
	if (is_directory(r->source) && r->old_directory != r->new_directory && !r->target &&
	    r->new_directory->raw->links >= EXT2_LINKS_MAX)
		return EMLINK;
	if (!r->target)
		return 0;
	if (is_directory(r->source) && !is_directory(r->target))
		return ENOTDIR;
	if (!is_directory(r->source) && is_directory(r->target))
		return EISDIR;
	return is_directory(r->target) ? directory_is_empty(r->fs, r->target) : 0;
}

/* Its directory's count of subdirectories changes with it. */
static void links_add(struct filesystem *fs, struct inode *directory, int change)
{
	directory->raw->links = (uint16_t)(directory->raw->links + change);
	inode_dirty(fs, directory);
}

static int move_parent(struct rename *r, struct inode *moved, struct inode *from, struct inode *to)
{
	if (!is_directory(moved) || from == to)
		return 0;
	links_add(r->fs, from, -1);
	links_add(r->fs, to, 1);
	return directory_set_parent(r->fs, moved, to->number);
}

/* The block that has the new name reaches the disk before the old name's block changes there. */
static int order_blocks(struct rename *r)
{
	struct filesystem *fs = r->fs;
	struct buffer *new_block, *old_block;
	int error = directory_block(fs, r->new_directory, r->new_place.block, &new_block);

	if (error)
		return error;
	error = directory_block(fs, r->old_directory, r->old_place.block, &old_block);
	if (!error) {
		if (!buffer_order(new_block, old_block))
			error = cache_commit(&fs->cache);
		buffer_put(&fs->cache, old_block);
	}
	buffer_put(&fs->cache, new_block);
	return error;
}

bool is_changing(const struct filesystem *fs, enum change_state state, uint32_t number)
{
	const struct change *changes = fs->cache.header->changes;

	for (unsigned i = 0; i < CHANGES_MAX; i++)
		if (changes[i].state == state && (changes[i].source == number || changes[i].target == number))
			return true;
	return false;
}

static int new_name_put(struct rename *r)
{
	struct inode *source = r->source;

	if (r->target)
		return directory_replace(r->fs, r->new_directory, &r->new_place, source->number,
		                         source->raw->mode);
	return directory_add(r->fs, r->new_directory, &r->new_place, r->new_name.text, r->new_name.length,
	                     source->number, source->raw->mode);
}

static int old_name_remove(struct rename *r)
{
	/* Adding in the same block may have split the record before the old one: look again. */
	int error =
	        directory_find(r->fs, r->old_directory, r->old_name.text, r->old_name.length, &r->old_place);

	if (!error)
		error = order_blocks(r);
	if (!error)
		error = directory_remove(r->fs, r->old_directory, &r->old_place);
	if (r->old_directory != r->new_directory)
		inode_unsettled(r->fs, r->old_directory);
	return error;
}

static int target_drop(struct rename *r)
{
	inode_touch(r->fs, r->target, FS_SET_CTIME);
	if (!is_directory(r->target))
		return inode_drop(r->fs, r->target, 1);
	links_add(r->fs, r->new_directory, -1);
	return inode_gone(r->fs, r->target);
}

static int rename_replace(struct rename *r)
{
	struct filesystem *fs = r->fs;
	/* As long as it may have both names on the disk it has a link more there. */
	uint32_t twice = !is_directory(r->source);
	int error = replacement_check(r), drop_error = 0;

	if (error)
		return error;
	if (r->target)
		error = inode_replaces(fs, r->source);
	if (!error && r->target && is_directory(r->target))
		error = inode_dies(fs, r->target, r->new_directory->number);
	if (error)
		return error;
	change_begin(r->change, CHANGE_BEGUN, r->source->number, r->target ? r->target->number : 0);
	r->source->raw->links = (uint16_t)(r->source->raw->links + twice);
	r->source->drops += twice;
	inode_dirty(fs, r->source);
	error = new_name_put(r);
	if (error) {
		r->source->raw->links = (uint16_t)(r->source->raw->links - twice);
		r->source->drops -= twice;
		inode_dirty(fs, r->source); /* a full disk may have made a commit with it */
		return error;
	}
	inode_touch(fs, r->source, FS_SET_CTIME);
	if (r->target)
		error = target_drop(r);
	if (!error)
		error = old_name_remove(r);
	if (error) {
		/* Both names are there. */
		r->source->drops -= twice;
		inode_dirty(fs, r->source);
		return error;
	}
	if (twice)
		drop_error = inode_dropped(fs, r->source, 1);
	error = move_parent(r, r->source, r->old_directory, r->new_directory);
	return error ? error : drop_error;
}

/* move_parent() where both directories' counts are right already. */
static int settle_parent(struct rename *r, struct inode *moved, const struct inode *to)
{
	return is_directory(moved) ? directory_correct_parent(r->fs, moved, to->number) : 0;
}

/* A predecessor had given it its new name; counts of links know of both. */
static int rename_finish(struct rename *r)
{
	int error = old_name_remove(r);

	if (error)
		return error;
	if (is_directory(r->source)) {
		links_add(r->fs, r->old_directory, -1);
		error = settle_parent(r, r->source, r->new_directory);
	} else {
		error = inode_drop(r->fs, r->source, 1);
	}
	return error;
}

/* A predecessor had put the source in the target's place, which has no name since. */
static int exchange_finish(struct rename *r)
{
	struct filesystem *fs = r->fs;
	struct inode *target;
	int error = entry_inode_get(fs, r->change->target, &target);

	if (error)
		return error;
	error = directory_replace(fs, r->old_directory, &r->old_place, target->number, target->raw->mode);
	if (!error) {
		links_add(fs, r->old_directory, is_directory(target) - is_directory(r->source));
		error = settle_parent(r, r->source, r->new_directory);
	}
	if (!error)
		error = settle_parent(r, target, r->old_directory);
	change_end(r->change);
	inode_put(fs, target);
	return error;
}

/* Both names lead to the same file: POSIX says that nothing happens, if it was so before. */
static int rename_same(struct rename *r)
{
	if (is_half_moved(r))
		return rename_finish(r);
	return r->change->state == CHANGE_EXCHANGES && r->change->source == r->source->number
	               ? exchange_finish(r)
	               : 0;
}

/* Has a predecessor done it? */
static bool is_exchanged_already(const struct rename *r)
{
	return r->change->state >= CHANGE_EXCHANGES && r->change->source == r->target->number &&
	       r->change->target == r->source->number;
}

static int rename_exchange(struct rename *r)
{
	struct filesystem *fs = r->fs;
	bool across = r->old_directory != r->new_directory;
	int error;

	if (across && ((is_directory(r->source) && !is_directory(r->target) &&
	                r->new_directory->raw->links >= EXT2_LINKS_MAX) ||
	               (is_directory(r->target) && !is_directory(r->source) &&
	                r->old_directory->raw->links >= EXT2_LINKS_MAX)))
		return EMLINK;
	if (is_exchanged_already(r)) {
		error = settle_parent(r, r->target, r->new_directory);
		if (!error)
			error = settle_parent(r, r->source, r->old_directory);
		change_end(r->change);
		return error;
	}
	change_begin(r->change, CHANGE_EXCHANGES, r->source->number, r->target->number);
	error = directory_replace(fs, r->new_directory, &r->new_place, r->source->number,
	                          r->source->raw->mode);
	if (!error)
		error = directory_replace(fs, r->old_directory, &r->old_place, r->target->number,
		                          r->target->raw->mode);
	if (!error)
		error = move_parent(r, r->source, r->old_directory, r->new_directory);
	if (!error)
		error = move_parent(r, r->target, r->new_directory, r->old_directory);
	inode_touch(fs, r->source, FS_SET_CTIME);
	inode_touch(fs, r->target, FS_SET_CTIME);
	change_end(r->change);
	return error;
}

static int rename_locked(struct rename *r)
{
	int error = find_both(r);

	if (error)
		return error == EALREADY ? 0 : error;
	lock_files(r);
	/* A name in a new directory comes to the disk after all others have gone from there. */
	if (r->old_directory != r->new_directory && inode_is_new(r->fs, r->new_directory) &&
	    !inode_is_new(r->fs, r->source))
		error = cache_commit(&r->fs->cache);
	if (r->target == r->source)
		error = rename_same(r);
	else if (!error)
		error = r->flags & FS_RENAME_EXCHANGE ? rename_exchange(r) : rename_replace(r);
	if (r->target && r->target != r->source)
		fiber_rwlock_unlock_write(&r->target->lock);
	if (r->target)
		inode_put(r->fs, r->target);
	fiber_rwlock_unlock_write(&r->source->lock);
	inode_put(r->fs, r->source);
	return error;
}

int namespace_rename(struct filesystem *fs, uint32_t old_directory, struct name old_name,
                     uint32_t new_directory, struct name new_name, unsigned flags, struct change *change)
{
	struct rename r = {
	        .fs = fs, .old_name = old_name, .new_name = new_name, .flags = flags, .change = change};
	int error = filesystem_writable(fs);

	if (!error)
		error = name_check(old_name);
	if (!error)
		error = name_check(new_name);
	if (!error && (name_is_dot(old_name) || name_is_dot(new_name)))
		error = EBUSY;
	if (!error && (flags & ~(unsigned)(FS_RENAME_NOREPLACE | FS_RENAME_EXCHANGE) ||
	               flags == (FS_RENAME_NOREPLACE | FS_RENAME_EXCHANGE)))
		error = EINVAL;
	if (error)
		return error;
	error = directory_get(fs, old_directory, &r.old_directory);
	if (error)
		return error;
	error = directory_get(fs, new_directory, &r.new_directory);
	if (!error) {
		error = lock_directories(&r);
		if (!error) {
			error = rename_locked(&r);
			unlock_directories(&r);
		}
		inode_put(fs, r.new_directory);
	}
	inode_put(fs, r.old_directory);
	return error;
}
