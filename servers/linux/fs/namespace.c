/* SPDX-License-Identifier: MIT */
/*
 * Changing names: create, link, unlink, rename. The directory's lock is held from the lookup of the name to
 * the change of its dentry. rename holds a lock of its own first, so that only it ever takes two directories'
 * locks (ancestor first). Then comes the lock of what loses or gets a name, so that links of a file that are
 * in several directories go one by one, and nobody creates in a directory that goes. Who holds a file's lock
 * takes no other inode's.
 */
#include "capability.h"
#include "fs/notify.h"
#include "syscall.h"
#include <stdio.h>

static struct fiber_mutex rename_lock;

static const struct credentials *credentials_of(struct thread *thread)
{
	static const struct credentials root;
	return thread != NULL ? &thread->process->credentials : &root;
}

static unsigned umask_of(struct thread *thread)
{
	return thread != NULL && thread->process->fs != NULL ? thread->process->fs->umask : 0;
}

/* The directory is not where it says. */
static bool is_elsewhere(const struct dentry *directory)
{
	return !dentry_is_live(directory) && !directory->inode->superblock->volatile_names;
}

static int may_change(struct thread *thread, struct dentry *parent)
{
	if (parent->inode->attributes.links == 0)
		return -ENOENT; /* a removed directory */
	if (is_elsewhere(parent))
		return -ENOENT;
	int error = inode_permission(thread, parent->inode, MAY_WRITE | MAY_EXECUTE);
	if (error != 0)
		return error;
	return mount_read_only(parent) ? -EROFS : 0;
}

static bool may_only_stay(const struct inode *inode)
{
	return inode->attributes.flags & (FS_FLAG_IMMUTABLE | FS_FLAG_APPEND);
}

/* In a sticky directory only the file's and the directory's owner may remove names. */
static int may_remove(struct thread *thread, struct dentry *parent, const struct inode *victim)
{
	int error = may_change(thread, parent);
	if (error != 0)
		return error;
	if (may_only_stay(parent->inode) || may_only_stay(victim))
		return -EPERM;
	if (parent->inode->attributes.mode & S_ISVTX && !inode_owner_or_capable(thread, victim) &&
	    parent->inode->attributes.uid != credentials_of(thread)->fsuid)
		return -EPERM;
	return 0;
}

static struct new_inode what_to_make(struct thread *thread, struct dentry *parent, unsigned mode,
                                     uint64_t rdev)
{
	const struct credentials *credentials = credentials_of(thread);
	struct new_inode what = {
	        .mode = mode, .uid = credentials->fsuid, .gid = credentials->fsgid, .rdev = rdev};
	if (!S_ISLNK(mode))
		what.mode &= ~umask_of(thread);
	if (parent->inode->attributes.mode & S_ISGID) {
		what.gid = parent->inode->attributes.gid;
		if (S_ISDIR(mode))
			what.mode |= S_ISGID;
		else if (mode & S_ISGID && mode & S_IXGRP && thread != NULL && !capable(thread, CAP_FSETID) &&
		         !credentials_in_group(credentials, what.gid))
			what.mode &= ~(unsigned)S_ISGID; /* nobody gets the rights of a group that he is not in */
	}
	return what;
}

/* The directory changed: its times, and its number of links by `links`. */
static void directory_changed(struct inode *directory, int links)
{
	directory->attributes.links = (uint32_t)((int)directory->attributes.links + links);
	struct fs_time now = fs_now();
	directory->attributes.mtime = directory->attributes.ctime = now;
	directory->flags |= INODE_STALE; /* where a file system sets them on its side */
}

static void name_added(struct dentry *parent, struct dentry *dentry, struct inode *inode)
{
	dentry_set_inode(dentry, inode);
	dentry_forget_aliases(parent, dentry->name, dentry->name_length);
	notify_name(parent->inode, S_ISDIR(inode->attributes.mode), dentry->name, dentry->name_length,
	            NOTIFY_CREATE);
}

int vfs_create(struct thread *thread, struct dentry *parent, struct dentry *dentry, unsigned mode,
               uint64_t rdev)
{
	struct inode *directory = parent->inode, *inode = NULL;
	int error = may_change(thread, parent);
	if (error != 0)
		return error;
	if (directory->operations->create == NULL)
		return S_ISREG(mode) ? -EACCES : -EPERM;
	struct new_inode what = what_to_make(thread, parent, mode, rdev);
	error = directory->operations->create(directory, dentry->name, dentry->name_length, &what, &inode);
	if (error != 0)
		return error;
	name_added(parent, dentry, inode);
	inode_put(inode);
	directory_changed(directory, S_ISDIR(mode) ? 1 : 0);
	return 0;
}

int vfs_create_nameless(struct thread *thread, struct dentry *parent, unsigned mode, bool linkable,
                        struct dentry **out)
{
	struct inode *directory = parent->inode, *inode = NULL;
	char name[24];
	int error = may_change(thread, parent);
	if (error != 0)
		return error;
	if (directory->operations->create_nameless == NULL)
		return -EOPNOTSUPP;
	struct new_inode what = what_to_make(thread, parent, S_IFREG | (mode & 07777), 0);
	error = directory->operations->create_nameless(directory, &what, &inode);
	if (error != 0)
		return error;
	inode->flags |= linkable ? INODE_LINKABLE : 0u;
	int length = snprintf(name, sizeof(name), "#%lu", inode->attributes.inode); /* as Linux shows it */
	*out = dentry_create(parent, parent->mount, name, (size_t)length, inode);
	inode_put(inode);
	return *out != NULL ? 0 : -ENOMEM;
}

/* Walks to the parent of a name that is to be made: locked, with its negative dentry. */
static int start_create(struct walk *walk, struct thread *thread, int dirfd, const char *path, bool directory,
                        struct dentry **out)
{
	int error = walk_start(walk, thread, dirfd, path, 0);
	if (error == 0)
		error = walk_parent(walk);
	if (error == 0 && walk->last != LAST_NAME)
		error = -EEXIST;
	if (error == 0 && !S_ISDIR(walk->current->inode->attributes.mode))
		error = -ENOTDIR;
	if (error != 0)
		return error;
	fiber_mutex_lock(&walk->current->inode->lock);
	struct dentry *dentry;
	error = dentry_lookup(walk->current, walk->name, walk->length, true, &dentry);
	if (error == 0 && (dentry->inode != NULL || (walk->slash && !directory))) {
		error = dentry->inode != NULL ? -EEXIST : -ENOENT;
		dentry_put(dentry);
	}
	if (error != 0) {
		fiber_mutex_unlock(&walk->current->inode->lock);
		return error;
	}
	*out = dentry;
	return 0;
}

static void end_create(struct walk *walk, struct dentry *dentry)
{
	fiber_mutex_unlock(&walk->current->inode->lock);
	dentry_put(dentry);
}

int vfs_mknod(struct thread *thread, int dirfd, const char *path, unsigned mode, uint64_t rdev)
{
	struct walk walk;
	struct dentry *dentry;
	if ((mode & S_IFMT) == 0)
		mode |= S_IFREG;
	uint32_t type = mode & S_IFMT;
	if (type == S_IFDIR)
		return -EPERM;
	if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR && type != S_IFBLK)
		return -EINVAL;
	if ((type == S_IFCHR || type == S_IFBLK) && thread != NULL && !capable(thread, CAP_MKNOD))
		return -EPERM;
	int error = start_create(&walk, thread, dirfd, path, false, &dentry);
	if (error == 0) {
		error = vfs_create(thread, walk.current, dentry, mode, rdev);
		end_create(&walk, dentry);
	}
	walk_end(&walk);
	return error;
}

int vfs_mkdir(struct thread *thread, int dirfd, const char *path, unsigned mode)
{
	struct walk walk;
	struct dentry *dentry;
	int error = start_create(&walk, thread, dirfd, path, true, &dentry);
	if (error == 0) {
		error = vfs_create(thread, walk.current, dentry, S_IFDIR | (mode & 01777), 0);
		end_create(&walk, dentry);
	}
	walk_end(&walk);
	return error;
}

int vfs_symlink(struct thread *thread, const char *target, int dirfd, const char *path)
{
	struct walk walk;
	struct dentry *dentry;
	if (target[0] == 0)
		return -ENOENT;
	int error = start_create(&walk, thread, dirfd, path, false, &dentry);
	if (error == 0) {
		struct inode *directory = walk.current->inode, *inode = NULL;
		error = may_change(thread, walk.current);
		if (error == 0 && directory->operations->symlink == NULL)
			error = -EPERM;
		if (error == 0) {
			struct new_inode what = what_to_make(thread, walk.current, S_IFLNK | 0777, 0);
			error = directory->operations->symlink(directory, walk.name, walk.length, target,
			                                       &what, &inode);
		}
		if (error == 0) {
			name_added(walk.current, dentry, inode);
			inode_put(inode);
			directory_changed(directory, 0);
		}
		end_create(&walk, dentry);
	}
	walk_end(&walk);
	return error;
}

/* Debian's fs.protected_hardlinks: others' files can be linked only by who could open them for writing, and
 * set-id programs not at all. */
static bool may_link(struct thread *thread, const struct inode *inode)
{
	uint32_t mode = inode->attributes.mode;
	if (inode_owner_or_capable(thread, inode))
		return true;
	return S_ISREG(mode) && !(mode & S_ISUID) && (mode & (S_ISGID | S_IXGRP)) != (S_ISGID | S_IXGRP) &&
	       inode_permission(thread, inode, MAY_READ | MAY_WRITE) == 0;
}

static int vfs_link(struct thread *thread, struct dentry *from, int dirfd, const char *path)
{
	struct walk walk;
	struct dentry *dentry;
	struct inode *inode = from->inode;
	if (S_ISDIR(inode->attributes.mode))
		return -EPERM;
	int error = start_create(&walk, thread, dirfd, path, false, &dentry);
	if (error == 0) {
		struct inode *directory = walk.current->inode;
		fiber_mutex_lock(&inode->lock);
		error = may_change(thread, walk.current);
		if (error == 0 &&
		    (directory->superblock != inode->superblock || from->mount != walk.current->mount))
			error = -EXDEV;
		else if (error == 0 && (may_only_stay(inode) || directory->operations->link == NULL))
			error = -EPERM;
		else if (error == 0 && !may_link(thread, inode))
			error = -EPERM;
		else if (error == 0 && inode->attributes.links == 0 && !(inode->flags & INODE_LINKABLE))
			error = -ENOENT;
		if (error == 0)
			error = directory->operations->link(directory, walk.name, walk.length, inode);
		if (error == 0) {
			inode->flags &= ~(uint32_t)INODE_LINKABLE;
			notify(NULL, inode, NOTIFY_ATTRIB);
			name_added(walk.current, dentry, inode);
			directory_changed(directory, 0);
		}
		fiber_mutex_unlock(&inode->lock);
		end_create(&walk, dentry);
	}
	walk_end(&walk);
	return error;
}

/*
 * Before the last name of a file goes, with its lock: if it stays in use or has pages to be written or on
 * their way, the file system must keep it, so that nothing reaches a number that may mean another file by
 * then. The dentry is unhashed: nobody can start to use it now.
 */
static int prepare_unlink(struct dentry *dentry)
{
	struct inode *inode = dentry->inode;
	if (inode->attributes.links != 1 || inode->superblock->operations->keep == NULL ||
	    S_ISDIR(inode->attributes.mode) || inode->flags & INODE_KEPT)
		return 0;
	if (inode->references == 1 && dentry->references == 1 && inode->dirty_count == 0 &&
	    inode->io_count == 0) {
		inode_clear_dirty(inode);
		return 0;
	}
	int error = inode->superblock->operations->keep(inode, true);
	if (error == 0)
		inode->flags |= INODE_KEPT;
	return error;
}

/* The name stays after all. */
static void unlink_failed(struct inode *inode)
{
	if (inode->pending_attributes != 0)
		inode_mark_dirty(inode);
	if (!(inode->flags & INODE_KEPT) || inode->attributes.links == 0)
		return;
	inode->flags &= ~(uint32_t)INODE_KEPT;
	inode->superblock->operations->keep(inode, false);
}

/* One name less. An inode that the file system was not told to keep is gone with the last one: its number may
 * be used again. */
static void name_removed(struct inode *inode)
{
	inode->attributes.links = S_ISDIR(inode->attributes.mode) ? 0 : inode->attributes.links - 1;
	if (inode->attributes.links == 0 && !(inode->flags & INODE_KEPT))
		inode_unhash(inode);
}

/* The answer to a rename has no times: the file system is told ours, or asked. */
static void name_changed(struct inode *inode)
{
	inode->attributes.ctime = fs_now();
	if (S_ISDIR(inode->attributes.mode))
		inode->flags |= INODE_STALE;
	else if (inode->attributes.links > 0)
		inode_touch(inode, FS_SET_CTIME);
}

/* Where it is, if parts of its file system are mounted, which want to know when that changes. */
static char *path_of_bound(struct dentry *dentry)
{
	char *path = NULL;
	if (dentry->parent->inode->superblock->mounts > 1 && mount_path_within(dentry, &path) != 0)
		path = NULL;
	return path;
}

static void bound_moved(const struct superblock *superblock, char *from, char *to, bool exchange)
{
	if (from != NULL && to != NULL)
		mounts_moved(superblock, from, to, exchange);
	free(from);
	free(to);
}

static void bound_deleted(const struct superblock *superblock, char *path)
{
	static const char mark[] = "//deleted";
	char *marked = path != NULL ? malloc(strlen(path) + sizeof(mark)) : NULL;
	if (marked != NULL)
		sprintf(marked, "%s%s", path, mark);
	bound_moved(superblock, path, marked, false);
}

/* With the parent's lock and that of what is removed; the dentry is the caller's reference. */
static int remove_name(struct dentry *parent, struct dentry *dentry, bool directory)
{
	const struct inode_operations *operations = parent->inode->operations;
	struct inode *inode = dentry->inode;
	int (*remove)(struct inode *, const char *, size_t, struct inode *) =
	        directory ? operations->rmdir : operations->unlink;
	if (remove == NULL)
		return -EPERM;
	bool was_hashed = dentry->hashed;
	char *path = path_of_bound(dentry);
	dentry_unhash(dentry);
	int error = prepare_unlink(dentry);
	if (error == 0)
		error = remove(parent->inode, dentry->name, dentry->name_length, inode);
	if (error != 0) {
		unlink_failed(inode);
		if (was_hashed)
			dentry_hash(dentry);
		free(path);
		return error;
	}
	name_removed(inode);
	if (directory)
		inode->attributes.ctime = fs_now();
	bound_deleted(inode->superblock, path);
	dentry_forget_aliases(parent, dentry->name, dentry->name_length);
	directory_changed(parent->inode, directory ? -1 : 0);
	if (!directory)
		notify(NULL, inode, NOTIFY_ATTRIB);
	else if (inode->watches != NULL)
		dentries_forget_below(dentry);
	return 0;
}

static int check_unlink(struct thread *thread, struct walk *walk, struct dentry *dentry, bool directory)
{
	if (dentry->inode == NULL)
		return -ENOENT;
	bool is_directory = S_ISDIR(dentry->inode->attributes.mode);
	if (walk->slash && !is_directory)
		return -ENOTDIR;
	int error = may_remove(thread, walk->current, dentry->inode);
	if (error != 0)
		return error;
	if (directory && !is_directory)
		return -ENOTDIR;
	if (!directory && is_directory)
		return -EISDIR;
	return dentry->mounted != NULL ? -EBUSY : 0;
}

static int unlink_last(struct thread *thread, struct walk *walk, bool directory)
{
	struct dentry *dentry;
	struct inode *parent = walk->current->inode;
	if (!S_ISDIR(parent->attributes.mode))
		return -ENOTDIR;
	fiber_mutex_lock(&parent->lock);
	int error = dentry_lookup(walk->current, walk->name, walk->length, true, &dentry);
	if (error == 0) {
		error = check_unlink(thread, walk, dentry, directory);
		if (error == 0) {
			struct inode *victim = dentry->inode; /* the dentry holds it */
			fiber_mutex_lock(&victim->lock);
			error = dentry->mounted != NULL ? -EBUSY
			                                : remove_name(walk->current, dentry, directory);
			fiber_mutex_unlock(&victim->lock);
		}
		dentry_put(dentry);
		if (error == 0) /* what was its own end is told before */
			notify_name(parent, directory, walk->name, walk->length, NOTIFY_DELETE);
	}
	fiber_mutex_unlock(&parent->lock);
	return error;
}

static int vfs_unlink(struct thread *thread, int dirfd, const char *path, bool directory)
{
	struct walk walk;
	int error = walk_start(&walk, thread, dirfd, path, 0);
	if (error == 0)
		error = walk_parent(&walk);
	if (error == 0) {
		if (walk.last == LAST_NAME)
			error = unlink_last(thread, &walk, directory);
		else if (!directory)
			error = -EISDIR;
		else
			error = walk.last == LAST_DOT      ? -EINVAL
			        : walk.last == LAST_DOTDOT ? -ENOTEMPTY
			                                   : -EBUSY;
	}
	walk_end(&walk);
	return error;
}

/* ---- rename ---- */

struct renaming {
	struct walk from, to;
	struct dentry *old, *new;
};

static void lock_directories(struct dentry *a, struct dentry *b)
{
	if (a->inode == b->inode) {
		fiber_mutex_lock(&a->inode->lock);
		return;
	}
	bool b_first = dentry_is_ancestor(b, a);
	fiber_mutex_lock(b_first ? &b->inode->lock : &a->inode->lock);
	fiber_mutex_lock(b_first ? &a->inode->lock : &b->inode->lock);
}

static void unlock_directories(struct dentry *a, struct dentry *b)
{
	fiber_mutex_unlock(&a->inode->lock);
	if (a->inode != b->inode)
		fiber_mutex_unlock(&b->inode->lock);
}

/* What the names and the shape of the tree have against it. */
static int check_rename_names(const struct renaming *r, unsigned flags)
{
	const struct inode *inode = r->old->inode, *target = r->new->inode;
	bool exchanges = flags & FS_RENAME_EXCHANGE, directory = S_ISDIR(inode->attributes.mode);
	bool onto_directory = target != NULL && S_ISDIR(target->attributes.mode);
	if (target != NULL && flags & FS_RENAME_NOREPLACE)
		return -EEXIST;
	if (target == NULL && exchanges)
		return -ENOENT;
	if ((r->from.slash && !directory) || (r->to.slash && !(exchanges ? onto_directory : directory)))
		return -ENOTDIR;
	if (directory && dentry_is_ancestor(r->old, r->to.current))
		return -EINVAL;
	if (onto_directory && dentry_is_ancestor(r->new, r->from.current))
		return exchanges ? -EINVAL : -ENOTEMPTY;
	/* on a damaged disk a directory may have two names, but it has one lock */
	return target == r->from.current->inode ? -EUCLEAN : 0;
}

/* A directory that gets another parent changes itself: what its ".." is. */
static int may_get_parent(struct thread *thread, const struct inode *inode)
{
	return S_ISDIR(inode->attributes.mode) ? inode_permission(thread, inode, MAY_WRITE) : 0;
}

static int check_rename(struct thread *thread, const struct renaming *r, unsigned flags)
{
	const struct inode *inode = r->old->inode, *target = r->new->inode;
	const struct inode *from = r->from.current->inode, *to = r->to.current->inode;
	bool exchanges = flags & FS_RENAME_EXCHANGE, directory = S_ISDIR(inode->attributes.mode);
	int error = may_remove(thread, r->from.current, inode);
	if (error == 0)
		error = target != NULL ? may_remove(thread, r->to.current, target)
		                       : may_change(thread, r->to.current);
	if (error == 0 && target != NULL && !exchanges && S_ISDIR(target->attributes.mode) != directory)
		error = directory ? -ENOTDIR : -EISDIR;
	if (error == 0 && from->operations->rename == NULL)
		error = -EPERM;
	if (error == 0 && from != to)
		error = may_get_parent(thread, inode);
	if (error == 0 && from != to && exchanges)
		error = may_get_parent(thread, target);
	if (error == 0 && (r->old->mounted != NULL || r->new->mounted != NULL))
		error = -EBUSY;
	return error;
}

static int rename_locked(struct thread *thread, struct renaming *r, unsigned flags)
{
	struct inode *from = r->from.current->inode, *to = r->to.current->inode;
	int error = dentry_lookup(r->from.current, r->from.name, r->from.length, true, &r->old);
	if (error == 0)
		error = dentry_lookup(r->to.current, r->to.name, r->to.length, true, &r->new);
	if (error == 0)
		error = r->old->inode != NULL ? check_rename_names(r, flags) : -ENOENT;
	if (error != 0)
		return error;
	if (r->old->inode == r->new->inode) /* two names of one file: nothing happens */
		return mount_read_only(r->from.current) ? -EROFS : 0;
	error = check_rename(thread, r, flags);
	if (error != 0)
		return error;
	struct inode *inode = r->old->inode, *target = r->new->inode; /* their dentries hold them */
	bool exchanges = flags & FS_RENAME_EXCHANGE, replaces = target != NULL && !exchanges;
	char *old_path = path_of_bound(r->old), *new_path = path_of_bound(r->new);
	if (replaces) {
		fiber_mutex_lock(&target->lock);
		dentry_unhash(r->new);
		error = r->new->mounted != NULL ? -EBUSY : prepare_unlink(r->new);
	}
	if (error == 0)
		error = from->operations->rename(from, r->from.name, r->from.length, inode, to, r->to.name,
		                                 r->to.length, target, flags);
	if (replaces) {
		dentry_hash(r->new);
		if (error == 0)
			name_removed(target);
		else
			unlink_failed(target);
		fiber_mutex_unlock(&target->lock);
	}
	if (error != 0) {
		free(old_path);
		free(new_path);
		return error;
	}
	int from_links = 0, to_links = 0;
	if (S_ISDIR(inode->attributes.mode)) {
		from_links--;
		to_links++;
	}
	if (target != NULL && S_ISDIR(target->attributes.mode)) {
		to_links--;
		if (!replaces)
			from_links++;
	}
	if (replaces)
		bound_deleted(inode->superblock, path_of_bound(r->new));
	directory_changed(from, from_links);
	directory_changed(to, to_links);
	name_changed(inode);
	if (target != NULL)
		name_changed(target);
	dentry_move(r->old, r->new, exchanges);
	dentry_move_aliases(&(struct dentry_name){r->from.current, r->from.name, r->from.length},
	                    &(struct dentry_name){r->to.current, r->to.name, r->to.length}, inode, target,
	                    exchanges);
	bound_moved(inode->superblock, old_path, new_path, exchanges);
	notify_moved(from, r->from.name, r->from.length, r->old);
	if (replaces && !S_ISDIR(target->attributes.mode))
		notify(NULL, target, NOTIFY_ATTRIB);
	notify(NULL, inode, NOTIFY_MOVE_SELF);
	if (target != NULL && !replaces) {
		notify_moved(to, r->to.name, r->to.length, r->new);
		notify(NULL, target, NOTIFY_MOVE_SELF);
	}
	return 0;
}

static int vfs_rename(struct thread *thread, int from_fd, const char *from, int to_fd, const char *to,
                      unsigned flags)
{
	struct renaming r = {.old = NULL};
	int error = walk_start(&r.from, thread, from_fd, from, 0);
	if (error == 0)
		error = walk_parent(&r.from);
	if (error == 0)
		error = walk_start(&r.to, thread, to_fd, to, 0);
	if (error == 0)
		error = walk_parent(&r.to);
	if (error == 0 && r.from.current->mount != r.to.current->mount)
		error = -EXDEV;
	else if (error == 0 && (r.from.last != LAST_NAME || r.to.last != LAST_NAME))
		error = flags & FS_RENAME_NOREPLACE && r.to.last != LAST_NAME ? -EEXIST : -EBUSY;
	else if (error == 0 && (!S_ISDIR(r.from.current->inode->attributes.mode) ||
	                        !S_ISDIR(r.to.current->inode->attributes.mode)))
		error = -ENOTDIR;
	if (error == 0) {
		fiber_mutex_lock(&rename_lock);
		/* Only of directories that are where their names say is it known which one is above the
		 * other. */
		if (is_elsewhere(r.from.current) || is_elsewhere(r.to.current)) {
			error = -ENOENT;
		} else {
			lock_directories(r.from.current, r.to.current);
			error = rename_locked(thread, &r, flags);
			unlock_directories(r.from.current, r.to.current);
		}
		fiber_mutex_unlock(&rename_lock);
		dentry_put(r.old);
		dentry_put(r.new);
	}
	walk_end(&r.from);
	walk_end(&r.to);
	return error;
}

/* ---- calls ---- */

static long with_path(struct thread *thread, int dirfd, uint64_t address, unsigned mode, uint64_t rdev,
                      int (*make)(struct thread *, int, const char *, unsigned, uint64_t))
{
	char *path;
	int error = path_from_user(thread, address, &path);
	if (error != 0)
		return error;
	error = make(thread, dirfd, path, mode, rdev);
	free(path);
	return error;
}

static int make_directory(struct thread *thread, int dirfd, const char *path, unsigned mode, uint64_t rdev)
{
	(void)rdev;
	return vfs_mkdir(thread, dirfd, path, mode);
}

static int unlink_name(struct thread *thread, int dirfd, const char *path, unsigned directory,
                       uint64_t unused)
{
	(void)unused;
	return vfs_unlink(thread, dirfd, path, directory);
}

long sys_mkdir(struct thread *thread, const uint64_t arguments[6])
{
	return with_path(thread, AT_FDCWD_LINUX, arguments[0], (unsigned)arguments[1], 0, make_directory);
}

long sys_mkdirat(struct thread *thread, const uint64_t arguments[6])
{
	return with_path(thread, (int)arguments[0], arguments[1], (unsigned)arguments[2], 0, make_directory);
}

long sys_mknod(struct thread *thread, const uint64_t arguments[6])
{
	return with_path(thread, AT_FDCWD_LINUX, arguments[0], (unsigned)arguments[1], arguments[2],
	                 vfs_mknod);
}

long sys_mknodat(struct thread *thread, const uint64_t arguments[6])
{
	return with_path(thread, (int)arguments[0], arguments[1], (unsigned)arguments[2], arguments[3],
	                 vfs_mknod);
}

long sys_unlink(struct thread *thread, const uint64_t arguments[6])
{
	return with_path(thread, AT_FDCWD_LINUX, arguments[0], false, 0, unlink_name);
}

long sys_rmdir(struct thread *thread, const uint64_t arguments[6])
{
	return with_path(thread, AT_FDCWD_LINUX, arguments[0], true, 0, unlink_name);
}

long sys_unlinkat(struct thread *thread, const uint64_t arguments[6])
{
	if ((int)arguments[2] & ~AT_REMOVEDIR)
		return -EINVAL;
	return with_path(thread, (int)arguments[0], arguments[1], (arguments[2] & AT_REMOVEDIR) != 0, 0,
	                 unlink_name);
}

static long two_paths(struct thread *thread, int from_fd, uint64_t from, int to_fd, uint64_t to,
                      unsigned flags,
                      int (*change)(struct thread *, int, const char *, int, const char *, unsigned))
{
	char *first = NULL, *second = NULL;
	int error = path_from_user(thread, from, &first);
	if (error == 0)
		error = path_from_user(thread, to, &second);
	if (error == 0)
		error = change(thread, from_fd, first, to_fd, second, flags);
	free(first);
	free(second);
	return error;
}

long sys_rename(struct thread *thread, const uint64_t arguments[6])
{
	return two_paths(thread, AT_FDCWD_LINUX, arguments[0], AT_FDCWD_LINUX, arguments[1], 0, vfs_rename);
}

long sys_renameat(struct thread *thread, const uint64_t arguments[6])
{
	return two_paths(thread, (int)arguments[0], arguments[1], (int)arguments[2], arguments[3], 0,
	                 vfs_rename);
}

long sys_renameat2(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[4];
	if (flags & ~(unsigned)(FS_RENAME_NOREPLACE | FS_RENAME_EXCHANGE) ||
	    flags == (FS_RENAME_NOREPLACE | FS_RENAME_EXCHANGE))
		return -EINVAL;
	return two_paths(thread, (int)arguments[0], arguments[1], (int)arguments[2], arguments[3], flags,
	                 vfs_rename);
}

static int link_paths(struct thread *thread, int from_fd, const char *from, int to_fd, const char *to,
                      unsigned flags)
{
	struct dentry *dentry;
	unsigned lookup =
	        (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	int error = path_lookup(thread, from_fd, from, lookup, &dentry);
	if (error != 0)
		return error;
	error = vfs_link(thread, dentry, to_fd, to);
	dentry_put(dentry);
	return error;
}

long sys_link(struct thread *thread, const uint64_t arguments[6])
{
	return two_paths(thread, AT_FDCWD_LINUX, arguments[0], AT_FDCWD_LINUX, arguments[1], 0, link_paths);
}

long sys_linkat(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[4];
	if (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	/* Whoever was only handed the descriptor may not give the file a name where he can open it. */
	if (flags & AT_EMPTY_PATH && !capable(thread, CAP_DAC_READ_SEARCH))
		return -ENOENT;
	return two_paths(thread, (int)arguments[0], arguments[1], (int)arguments[2], arguments[3], flags,
	                 link_paths);
}

static int symlink_paths(struct thread *thread, int unused, const char *target, int dirfd, const char *path,
                         unsigned flags)
{
	(void)unused, (void)flags;
	return vfs_symlink(thread, target, dirfd, path);
}

long sys_symlink(struct thread *thread, const uint64_t arguments[6])
{
	return two_paths(thread, 0, arguments[0], AT_FDCWD_LINUX, arguments[1], 0, symlink_paths);
}

long sys_symlinkat(struct thread *thread, const uint64_t arguments[6])
{
	return two_paths(thread, 0, arguments[0], (int)arguments[1], arguments[2], 0, symlink_paths);
}
