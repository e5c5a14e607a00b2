/* SPDX-License-Identifier: MIT */
/* open and its relatives: finding or making the file, checking that it may be opened that way, truncating it.
 */
#include "fs/notify.h"
#include "syscall.h"

#define CREATION_FLAGS (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)

/* The last component, with the parent's lock if it may have to be made. *out is positive. */
static int open_last(struct walk *walk, int flags, unsigned mode, struct dentry **out, bool *created)
{
	struct dentry *parent = walk->current, *child = NULL;
	if (!(flags & O_CREAT)) {
		int error = walk_lookup(walk, false, &child);
		if (error != 0)
			return error;
		if (child->inode == NULL) {
			dentry_put(child);
			return -ENOENT;
		}
		*out = child;
		return 0;
	}
	if (walk->slash)
		return -EISDIR;
	fiber_mutex_lock(&parent->inode->lock);
	int error = walk_lookup(walk, true, &child);
	if (error == 0 && child->inode == NULL) {
		error = vfs_create(walk->thread, parent, child, S_IFREG | (mode & 07777), 0);
		*created = error == 0;
	} else if (error == 0 && flags & O_EXCL) {
		error = -EEXIST;
	}
	fiber_mutex_unlock(&parent->inode->lock);
	if (error == 0)
		*out = child;
	else
		dentry_put(child);
	return error;
}

static int open_walk(struct walk *walk, int flags, unsigned mode, struct dentry **out, bool *created)
{
	for (;;) {
		struct dentry *child = NULL;
		int error = walk_parent(walk);
		if (error != 0)
			return error;
		if (walk->last != LAST_NAME) {
			*out = dentry_get(walk->current);
			return 0;
		}
		if (!S_ISDIR(walk->current->inode->attributes.mode))
			return -ENOTDIR;
		error = open_last(walk, flags, mode, &child, created);
		if (error != 0)
			return error;
		error = walk_cross(walk, &child);
		if (error == 0 &&
		    (!S_ISLNK(child->inode->attributes.mode) || (flags & O_NOFOLLOW && !walk->slash))) {
			*out = child;
			return 0;
		}
		if (error == 0)
			error = walk_follow(walk, child);
		dentry_put(child);
		if (error != 0)
			return error;
	}
}

/* What the kinds of files and the permissions have against it. */
static int may_open(struct thread *thread, struct dentry *dentry, int flags, bool created)
{
	struct inode *inode = dentry->inode;
	bool write = (flags & ACCESS_MODE) != O_RDONLY;
	uint32_t type = inode_type(inode);
	if (flags & O_DIRECTORY && type != S_IFDIR)
		return -ENOTDIR;
	if (type == S_IFLNK)
		return flags & O_PATH ? 0 : -ELOOP;
	if (flags & O_PATH)
		return 0;
	if (type == S_IFDIR && (write || flags & (O_CREAT | O_TRUNC)))
		return -EISDIR;
	if ((type == S_IFCHR || type == S_IFBLK) && dentry->mount != NULL &&
	    dentry->mount->flags & LINUX_MS_NODEV)
		return -EACCES;
	if (created)
		return 0;
	unsigned mask = 0;
	if ((flags & ACCESS_MODE) != O_WRONLY)
		mask |= MAY_READ;
	if (write || flags & O_TRUNC)
		mask |= MAY_WRITE;
	int error = inode_permission(thread, inode, mask);
	if (error != 0)
		return error;
	if (mask & MAY_WRITE && type == S_IFREG && mount_read_only(dentry))
		return -EROFS;
	if (inode->attributes.flags & FS_FLAG_APPEND && mask & MAY_WRITE &&
	    (!(flags & O_APPEND) || flags & O_TRUNC))
		return -EPERM;
	if (flags & O_NOATIME && !inode_owner_or_capable(thread, inode))
		return -EPERM;
	return 0;
}

/* From the directory to a new file in it that has no name; on error it stays the directory. */
static int into_nameless(struct thread *thread, struct dentry **dentry, unsigned mode, bool linkable)
{
	struct dentry *file = NULL;
	if (!S_ISDIR((*dentry)->inode->attributes.mode))
		return -ENOTDIR;
	int error = vfs_create_nameless(thread, *dentry, mode, linkable, &file);
	if (error != 0)
		return error;
	dentry_put(*dentry);
	*dentry = file;
	return 0;
}

static int open_resolved(struct thread *thread, int dirfd, const char *path, int flags, unsigned mode,
                         unsigned resolve, struct file **out)
{
	struct walk walk;
	struct dentry *dentry = NULL;
	bool created = false;
	bool nameless = flags & (LINUX_O_TMPFILE & ~O_DIRECTORY) && !(flags & O_PATH);
	bool linkable = !(flags & O_EXCL);
	if (nameless &&
	    ((flags & (LINUX_O_TMPFILE | O_CREAT)) != LINUX_O_TMPFILE || (flags & ACCESS_MODE) == O_RDONLY))
		return -EINVAL;
	if (nameless)
		flags &= ~(O_EXCL | O_TRUNC);
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	else
		flags |= LINUX_O_LARGEFILE;
	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		return -EINVAL;
	if (flags & O_CREAT && flags & O_EXCL)
		flags |= O_NOFOLLOW;
	int error = walk_start(&walk, thread, dirfd, path, resolve);
	if (error == 0)
		error = open_walk(&walk, flags, mode, &dentry, &created);
	if (error == 0 && walk.slash && !S_ISDIR(dentry->inode->attributes.mode))
		error = -ENOTDIR;
	walk_end(&walk);
	if (error == 0 && nameless) {
		error = into_nameless(thread, &dentry, mode, linkable);
		flags &= ~LINUX_O_TMPFILE; /* with the flag for directories */
		created = true;
	}
	if (error == 0)
		error = may_open(thread, dentry, flags, created);
	struct file *file = NULL;
	if (error == 0)
		error = file_open_inode(thread, dentry,
		                        (unsigned)flags & ~(unsigned)(CREATION_FLAGS & ~O_NOCTTY), &file);
	if (error == 0 && flags & O_TRUNC && S_ISREG(dentry->inode->attributes.mode) && !created)
		error = path_truncate(dentry, 0);
	dentry_put(dentry);
	if (error != 0) {
		file_put(file);
		return error;
	}
	file->flags &= ~(unsigned)(CREATION_FLAGS | O_NOFOLLOW * !(flags & O_PATH));
	file->flags |= nameless ? (unsigned)LINUX_O_TMPFILE : 0u; /* F_GETFL tells it */
	if (!(flags & O_PATH))
		notify(file->dentry, file->inode, NOTIFY_OPEN);
	*out = file;
	return 0;
}

int vfs_open(struct thread *thread, int dirfd, const char *path, int flags, unsigned mode, struct file **out)
{
	return open_resolved(thread, dirfd, path, flags, mode, 0, out);
}

bool file_noexec(const struct file *file)
{
	return file->dentry != NULL && mount_noexec(file->dentry);
}

/* What the kinds of files and the permissions have against running it. */
static int may_execute(struct thread *thread, const struct dentry *dentry)
{
	if (S_ISLNK(dentry->inode->attributes.mode))
		return -ELOOP;
	if (!S_ISREG(dentry->inode->attributes.mode) || mount_noexec(dentry))
		return -EACCES;
	return inode_permission(thread, dentry->inode, MAY_EXECUTE);
}

int vfs_open_program(struct thread *thread, int dirfd, const char *path, bool follow, struct file **out)
{
	struct dentry *dentry;
	struct file *file = *path == 0 ? file_table_lookup(thread, dirfd) : NULL;
	if (file != NULL && file->dentry == NULL)
		return -EACCES; /* pipes and the like */
	int error = path_lookup(thread, dirfd, path, LOOKUP_EMPTY | (follow ? LOOKUP_FOLLOW : 0u), &dentry);
	if (error != 0)
		return error;
	file = NULL;
	error = may_execute(thread, dentry);
	if (error == 0)
		error = file_open_inode(thread, dentry, O_RDONLY | LINUX_O_LARGEFILE, &file);
	dentry_put(dentry);
	if (error == 0)
		error = file_claim(file, -1);
	if (error != 0) {
		file_put(file);
		return error;
	}
	notify(file->dentry, file->inode, NOTIFY_OPEN);
	*out = file;
	return 0;
}

bool file_sets_ids(const struct file *file)
{
	const struct mount *mount = file->dentry != NULL ? file->dentry->mount : NULL;
	return mount == NULL || !(mount->flags & LINUX_MS_NOSUID);
}

void file_allow_writers(struct file *file)
{
	file->inode->writers -= file->writers;
	file->writers = 0;
}

bool file_may_read(struct thread *thread, const struct file *file)
{
	return inode_permission(thread, file->inode, MAY_READ) == 0;
}

static long open_common(struct thread *thread, int dirfd, uint64_t address, int flags, unsigned mode,
                        unsigned resolve)
{
	char *path;
	struct file *file;
	int error = path_from_user(thread, address, &path);
	if (error != 0)
		return error;
	error = file_room(thread);
	if (error == 0)
		error = open_resolved(thread, dirfd, path, flags, mode, resolve, &file);
	free(path);
	if (error != 0)
		return error;
	return file_install(thread, file, flags & O_CLOEXEC);
}

long sys_open(struct thread *thread, const uint64_t arguments[6])
{
	return open_common(thread, AT_FDCWD_LINUX, arguments[0], (int)arguments[1], (unsigned)arguments[2],
	                   0);
}

long sys_openat(struct thread *thread, const uint64_t arguments[6])
{
	return open_common(thread, (int)arguments[0], arguments[1], (int)arguments[2], (unsigned)arguments[3],
	                   0);
}

long sys_creat(struct thread *thread, const uint64_t arguments[6])
{
	return open_common(thread, AT_FDCWD_LINUX, arguments[0], O_CREAT | O_WRONLY | O_TRUNC,
	                   (unsigned)arguments[1], 0);
}

struct open_how {
	uint64_t flags, mode, resolve;
};

/* Unlike open's, its flags are checked. */
static int check_how(const struct open_how *how)
{
	enum {
		PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		FLAGS = ACCESS_MODE | CREATION_FLAGS | PATH_FLAGS | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC |
		        O_ASYNC | O_DIRECT | LINUX_O_LARGEFILE | O_NOATIME | LINUX_O_TMPFILE,
		RESOLVE = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH |
		          RESOLVE_IN_ROOT | RESOLVE_CACHED,
		SCOPES = RESOLVE_BENEATH | RESOLVE_IN_ROOT,
	};
	bool temporary = (how->flags & LINUX_O_TMPFILE) == LINUX_O_TMPFILE;
	bool creates = how->flags & O_CREAT || temporary;
	if (how->flags & ~(uint64_t)FLAGS || how->resolve & ~(uint64_t)RESOLVE ||
	    (how->resolve & SCOPES) == SCOPES || how->mode & ~(creates ? 07777ul : 0ul))
		return -EINVAL;
	if (how->flags & O_PATH && how->flags & ~(uint64_t)PATH_FLAGS)
		return -EINVAL;
	/* what makes or changes a file may always wait */
	if (how->resolve & RESOLVE_CACHED && (creates || how->flags & O_TRUNC))
		return -EAGAIN;
	return 0;
}

long sys_openat2(struct thread *thread, const uint64_t arguments[6])
{
	struct open_how how = {0};
	uint64_t size = arguments[3];
	if (size < sizeof(how))
		return -EINVAL;
	int error = copy_struct_from_user(thread, &how, sizeof(how), arguments[2], size);
	if (error == 0)
		error = check_how(&how);
	return error != 0 ? error
	                  : open_common(thread, (int)arguments[0], arguments[1], (int)how.flags,
	                                (unsigned)how.mode, (unsigned)how.resolve);
}
