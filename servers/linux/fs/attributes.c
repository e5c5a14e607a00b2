/* SPDX-License-Identifier: MIT */
/* Changing what stat shows: mode, owner, times, size; and extended attributes, which no file system here has.
 */
#include "capability.h"
#include "fs/notify.h"
#include "syscall.h"

static int target_of(struct thread *thread, int dirfd, uint64_t path, unsigned flags, struct dentry **dentry,
                     struct inode **inode)
{
	unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
	                  (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	int error = user_path_lookup(thread, dirfd, path, lookup, dentry);
	if (error == 0)
		*inode = inode_get((*dentry)->inode);
	return error;
}

static int target_of_fd(struct thread *thread, int fd, struct dentry **dentry, struct inode **inode)
{
	struct file *file = file_table_lookup(thread, fd);
	if (file == NULL || file->flags & O_PATH)
		return -EBADF;
	*dentry = file->dentry != NULL ? dentry_get(file->dentry) : NULL;
	*inode = inode_get(file->inode);
	return 0;
}

/* The inode first: its dentry keeps its file system from being unmounted. */
static void release(struct dentry *dentry, struct inode *inode)
{
	inode_put(inode);
	dentry_put(dentry);
}

/* Under the lock of a directory: one that was removed has its attributes here alone, its number may mean
 * another file. */
static int set_attributes(struct inode *inode, unsigned mask, const struct fs_attributes *attributes)
{
	int error = 0;
	if (!S_ISDIR(inode->attributes.mode))
		return inode_setattr(inode, mask, attributes);
	fiber_mutex_lock(&inode->lock);
	if (inode->attributes.links > 0)
		error = inode_setattr(inode, mask, attributes);
	else
		attributes_apply(&inode->attributes, mask, attributes);
	fiber_mutex_unlock(&inode->lock);
	return error;
}

/* What those who watch are told; one time without the other is set by what reads or writes. */
static unsigned event_of(unsigned mask)
{
	unsigned times = mask & (FS_SET_ATIME | FS_SET_MTIME);
	if (mask & (FS_SET_MODE | FS_SET_UID | FS_SET_GID) || times == (FS_SET_ATIME | FS_SET_MTIME))
		return NOTIFY_ATTRIB;
	return times == 0 ? 0 : times == FS_SET_ATIME ? NOTIFY_ACCESS : NOTIFY_MODIFY;
}

/* Files with those flags (enum fs_file_flags) refuse. Consumes the references. */
static int change(struct dentry *dentry, struct inode *inode, unsigned mask,
                  const struct fs_attributes *attributes, uint32_t refusing)
{
	int error;
	if (dentry != NULL && mount_read_only(dentry))
		error = -EROFS;
	else if (inode->attributes.flags & refusing)
		error = -EPERM;
	else
		error = set_attributes(inode, mask, attributes);
	if (error == 0)
		notify(dentry, inode, event_of(mask));
	release(dentry, inode);
	return error;
}

static long do_chmod(struct thread *thread, struct dentry *dentry, struct inode *inode, unsigned mode)
{
	if (!inode_owner_or_capable(thread, inode)) {
		release(dentry, inode);
		return -EPERM;
	}
	struct fs_attributes attributes = {.mode = (inode->attributes.mode & S_IFMT) | (mode & 07777),
	                                   .ctime = fs_now()};
	const struct credentials *credentials = &thread->process->credentials;
	if (!capable(thread, CAP_FSETID) && !credentials_in_group(credentials, inode->attributes.gid))
		attributes.mode &= ~(uint32_t)S_ISGID;
	return change(dentry, inode, FS_SET_MODE | FS_SET_CTIME, &attributes,
	              FS_FLAG_IMMUTABLE | FS_FLAG_APPEND);
}

long sys_chmod(struct thread *thread, const uint64_t arguments[6])
{
	const uint64_t at[6] = {(uint64_t)AT_FDCWD_LINUX, arguments[0], arguments[1]};
	return sys_fchmodat(thread, at);
}

long sys_fchmod(struct thread *thread, const uint64_t arguments[6])
{
	struct dentry *dentry;
	struct inode *inode;
	int error = target_of_fd(thread, (int)arguments[0], &dentry, &inode);
	return error != 0 ? error : do_chmod(thread, dentry, inode, (unsigned)arguments[1]);
}

long sys_fchmodat(struct thread *thread, const uint64_t arguments[6])
{
	struct dentry *dentry;
	struct inode *inode;
	int error = target_of(thread, (int)arguments[0], arguments[1], 0, &dentry, &inode);
	return error != 0 ? error : do_chmod(thread, dentry, inode, (unsigned)arguments[2]);
}

static int may_chown(struct thread *thread, const struct inode *inode, uint32_t uid, uint32_t gid)
{
	const struct credentials *credentials = &thread->process->credentials;
	if (capable(thread, CAP_CHOWN))
		return 0;
	if (credentials->fsuid != inode->attributes.uid ||
	    (uid != UINT32_MAX && uid != inode->attributes.uid))
		return -EPERM;
	if (gid != UINT32_MAX && gid != inode->attributes.gid && !credentials_in_group(credentials, gid))
		return -EPERM;
	return 0;
}

static long do_chown(struct thread *thread, struct dentry *dentry, struct inode *inode, uint32_t uid,
                     uint32_t gid)
{
	int error = may_chown(thread, inode, uid, gid);
	if (error != 0) {
		release(dentry, inode);
		return error;
	}
	struct fs_attributes attributes = {
	        .uid = uid, .gid = gid, .mode = inode->attributes.mode, .ctime = fs_now()};
	unsigned mask =
	        FS_SET_CTIME | (uid != UINT32_MAX ? FS_SET_UID : 0) | (gid != UINT32_MAX ? FS_SET_GID : 0);
	if (!S_ISDIR(attributes.mode) && attributes.mode & (S_ISUID | S_ISGID)) {
		attributes.mode &= ~(uint32_t)S_ISUID;
		if (attributes.mode & S_IXGRP)
			attributes.mode &= ~(uint32_t)S_ISGID;
		mask |= FS_SET_MODE;
	}
	return change(dentry, inode, mask, &attributes, FS_FLAG_IMMUTABLE | FS_FLAG_APPEND);
}

static long chown_at(struct thread *thread, int dirfd, uint64_t path, uint64_t uid, uint64_t gid,
                     unsigned flags)
{
	struct dentry *dentry;
	struct inode *inode;
	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	int error = target_of(thread, dirfd, path, flags, &dentry, &inode);
	return error != 0 ? error : do_chown(thread, dentry, inode, (uint32_t)uid, (uint32_t)gid);
}

long sys_chown(struct thread *thread, const uint64_t arguments[6])
{
	return chown_at(thread, AT_FDCWD_LINUX, arguments[0], arguments[1], arguments[2], 0);
}

long sys_lchown(struct thread *thread, const uint64_t arguments[6])
{
	return chown_at(thread, AT_FDCWD_LINUX, arguments[0], arguments[1], arguments[2],
	                AT_SYMLINK_NOFOLLOW);
}

long sys_fchownat(struct thread *thread, const uint64_t arguments[6])
{
	return chown_at(thread, (int)arguments[0], arguments[1], arguments[2], arguments[3],
	                (unsigned)arguments[4]);
}

long sys_fchown(struct thread *thread, const uint64_t arguments[6])
{
	struct dentry *dentry;
	struct inode *inode;
	int error = target_of_fd(thread, (int)arguments[0], &dentry, &inode);
	return error != 0 ? error
	                  : do_chown(thread, dentry, inode, (uint32_t)arguments[1], (uint32_t)arguments[2]);
}

/* ---- times ---- */

static int do_utimes(struct thread *thread, struct dentry *dentry, struct inode *inode,
                     const struct linux_timespec times[2])
{
	struct fs_time now = fs_now(), set[2] = {now, now};
	unsigned mask = FS_SET_CTIME;
	bool only_now = true;
	for (unsigned i = 0; i < 2; i++) {
		if (times != NULL && times[i].nanoseconds == LINUX_UTIME_OMIT) {
			only_now = false;
			continue;
		}
		mask |= i == 0 ? FS_SET_ATIME : FS_SET_MTIME;
		if (times == NULL || times[i].nanoseconds == LINUX_UTIME_NOW)
			continue;
		only_now = false;
		set[i] = (struct fs_time){.seconds = times[i].seconds,
		                          .nanoseconds = (uint32_t)times[i].nanoseconds};
	}
	int error = 0;
	if (mask == FS_SET_CTIME)
		mask = 0; /* both omitted: nothing to do */
	else if (!inode_owner_or_capable(thread, inode))
		error = only_now ? inode_permission(thread, inode, MAY_WRITE) : -EPERM;
	if (error != 0 || mask == 0) {
		release(dentry, inode);
		return error;
	}
	struct fs_attributes attributes = {.atime = set[0], .mtime = set[1], .ctime = now};
	return change(dentry, inode, mask, &attributes, FS_FLAG_IMMUTABLE | (only_now ? 0u : FS_FLAG_APPEND));
}

static bool valid_nanoseconds(int64_t n)
{
	return (n >= 0 && n < 1000000000) || n == LINUX_UTIME_NOW || n == LINUX_UTIME_OMIT;
}

long sys_utimensat(struct thread *thread, const uint64_t arguments[6])
{
	struct linux_timespec times[2];
	unsigned flags = (unsigned)arguments[3];
	struct dentry *dentry;
	struct inode *inode;
	if (arguments[2] != 0) {
		if (copy_from_user(thread, times, arguments[2], sizeof(times)) != 0)
			return -EFAULT;
		/* nothing to do: Linux does not even look for the file */
		if (times[0].nanoseconds == LINUX_UTIME_OMIT && times[1].nanoseconds == LINUX_UTIME_OMIT)
			return 0;
		if (!valid_nanoseconds(times[0].nanoseconds) || !valid_nanoseconds(times[1].nanoseconds))
			return -EINVAL;
	}
	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	int error;
	if (arguments[1] == 0 && (int)arguments[0] != AT_FDCWD_LINUX)
		error = target_of_fd(thread, (int)arguments[0], &dentry, &inode);
	else
		error = target_of(thread, (int)arguments[0], arguments[1], flags, &dentry, &inode);
	return error != 0 ? error : do_utimes(thread, dentry, inode, arguments[2] != 0 ? times : NULL);
}

/* The older calls: seconds and microseconds (utimes, futimesat), seconds (utime). */
static long old_utimes(struct thread *thread, int dirfd, uint64_t path, uint64_t address, bool seconds_only)
{
	struct linux_timespec times[2];
	int64_t raw[4] = {0};
	struct dentry *dentry;
	struct inode *inode;
	if (address != 0) {
		if (copy_from_user(thread, raw, address, seconds_only ? 16 : 32) != 0)
			return -EFAULT;
		if (!seconds_only && (raw[1] < 0 || raw[1] > 999999 || raw[3] < 0 || raw[3] > 999999))
			return -EINVAL;
		times[0] = (struct linux_timespec){raw[0], seconds_only ? 0 : raw[1] * 1000};
		times[1] =
		        (struct linux_timespec){raw[seconds_only ? 1 : 2], seconds_only ? 0 : raw[3] * 1000};
	}
	int error = target_of(thread, dirfd, path, 0, &dentry, &inode);
	return error != 0 ? error : do_utimes(thread, dentry, inode, address != 0 ? times : NULL);
}

long sys_utime(struct thread *thread, const uint64_t arguments[6])
{
	return old_utimes(thread, AT_FDCWD_LINUX, arguments[0], arguments[1], true);
}

long sys_utimes(struct thread *thread, const uint64_t arguments[6])
{
	return old_utimes(thread, AT_FDCWD_LINUX, arguments[0], arguments[1], false);
}

long sys_futimesat(struct thread *thread, const uint64_t arguments[6])
{
	return old_utimes(thread, (int)arguments[0], arguments[1], arguments[2], false);
}

/* ---- size ---- */

int inode_set_size(struct inode *inode, uint64_t size)
{
	if (inode->seals & (size < inode->attributes.size ? SEAL_SHRINK : SEAL_GROW) &&
	    size != inode->attributes.size)
		return -EPERM;
	struct fs_time now = fs_now();
	struct fs_attributes attributes = {.size = size, .mtime = now, .ctime = now};
	uint64_t old = inode->attributes.size;
	if (size < old) {
		int error = page_cache_zero_tail(inode, size);
		if (error != 0)
			return error;
		inode->attributes.size = size; /* faults behind it fail from now on */
		uint64_t first = (size + PAGE_SIZE - 1) / PAGE_SIZE;
		mm_unmap_file_range(inode, first, UINT64_MAX);
		page_cache_drop(inode, first); /* and no write is in flight, which would carry the old size */
	} else if (size > old) {
		page_cache_clear_beyond(inode, old);
	}
	int error = inode_setattr(inode, FS_SET_SIZE | FS_SET_MTIME | FS_SET_CTIME, &attributes);
	if (error != 0)
		inode->attributes.size = old;
	else if (inode->allocated_end > size)
		inode->allocated_end = size;
	return error;
}

int inode_truncate(struct dentry *dentry, struct inode *inode, uint64_t size)
{
	int error = 0;
	fiber_mutex_lock(&inode->lock);
	if (size > inode->attributes.size)
		error = file_size_check(current_thread(), size);
	if (error == 0 && (size != inode->attributes.size || size == 0))
		error = size == 0 && inode->attributes.size == 0 && inode->attributes.blocks == 0
		                ? 0
		                : inode_set_size(inode, size);
	if (error == 0)
		inode_written(dentry, inode);
	fiber_mutex_unlock(&inode->lock);
	if (error == 0)
		notify(dentry, inode, NOTIFY_MODIFY);
	return error;
}

int path_truncate(struct dentry *dentry, uint64_t size)
{
	int error = inode_claim(dentry->inode, 1);
	if (error != 0)
		return error;
	error = inode_truncate(dentry, dentry->inode, size);
	dentry->inode->writers--;
	return error;
}

int file_size_check(struct thread *thread, uint64_t size)
{
	enum { FSIZE = 1, SIGXFSZ_ = 25 };
	if (thread == NULL || size <= thread->process->limits[FSIZE].current)
		return 0;
	signal_send_thread(thread, SIGXFSZ_, 0, 0);
	return -EFBIG;
}

long sys_truncate(struct thread *thread, const uint64_t arguments[6])
{
	struct dentry *dentry;
	if (arguments[1] > INT64_MAX)
		return -EINVAL;
	int error = user_path_lookup(thread, AT_FDCWD_LINUX, arguments[0], LOOKUP_FOLLOW, &dentry);
	if (error != 0)
		return error;
	if (S_ISDIR(dentry->inode->attributes.mode))
		error = -EISDIR;
	else if (!S_ISREG(dentry->inode->attributes.mode))
		error = -EINVAL;
	else
		error = inode_permission(thread, dentry->inode, MAY_WRITE);
	if (error == 0 && mount_read_only(dentry))
		error = -EROFS;
	if (error == 0 && dentry->inode->attributes.flags & FS_FLAG_APPEND)
		error = -EPERM;
	if (error == 0)
		error = path_truncate(dentry, arguments[1]);
	dentry_put(dentry);
	return error;
}

long sys_ftruncate(struct thread *thread, const uint64_t arguments[6])
{
	if (arguments[1] > INT64_MAX)
		return -EINVAL;
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	int error = S_ISREG(file->inode->attributes.mode) && file_writable(file) ? 0 : -EINVAL;
	if (error == 0 && file->inode->attributes.flags & (FS_FLAG_IMMUTABLE | FS_FLAG_APPEND))
		error = -EPERM;
	if (error == 0)
		error = inode_truncate(file->dentry, file->inode, arguments[1]);
	file_put(file);
	return error;
}

/* ---- flags ---- */

static int set_flags(struct thread *thread, struct file *file, uint32_t flags)
{
	struct inode *inode = file->inode;
	struct fs_attributes attributes = {.flags = flags, .ctime = fs_now()};
	if (!inode_owner_or_capable(thread, inode) ||
	    ((flags ^ inode->attributes.flags) & (FS_FLAG_IMMUTABLE | FS_FLAG_APPEND) &&
	     !capable(thread, CAP_LINUX_IMMUTABLE)))
		return -EPERM;
	return change(dentry_get(file->dentry), inode_get(inode), FS_SET_FLAGS | FS_SET_CTIME, &attributes,
	              0);
}

long file_flags_command(struct thread *thread, struct file *file, unsigned command, uint64_t argument)
{
	const struct fs_attributes *attributes = &file->inode->attributes;
	uint32_t value = command == IOCTL_GET_FLAGS ? attributes->flags : attributes->generation;
	if (!has_store(file->inode) || !(S_ISREG(attributes->mode) || S_ISDIR(attributes->mode)))
		return -ENOTTY;
	if (command != IOCTL_SET_FLAGS)
		return copy_to_user(thread, argument, &value, sizeof(value));
	int error = copy_from_user(thread, &value, argument, sizeof(value));
	return error != 0 ? error : set_flags(thread, file, value);
}

/* ---- extended attributes: the file must exist, the attribute never does ---- */

enum xattr_call { XATTR_SET, XATTR_GET, XATTR_LIST, XATTR_REMOVE };

/* What is said of an attribute of a file that is there, if what is given makes sense. */
static long xattr_answer(struct thread *thread, const uint64_t arguments[6], enum xattr_call call)
{
	enum { NAME_SIZE = 256, VALUE_MAX = 65536, CREATE_OR_REPLACE = 3 };
	char name[NAME_SIZE], piece[NAME_SIZE];
	if (call == XATTR_LIST)
		return 0;
	if (call == XATTR_SET && arguments[4] & ~(uint64_t)CREATE_OR_REPLACE)
		return -EINVAL;
	ssize_t length = copy_string_from_user(thread, name, arguments[1], sizeof(name));
	if (length == 0 || length == -ENAMETOOLONG)
		return -ERANGE;
	if (length < 0)
		return length;
	if (call == XATTR_SET && arguments[3] > VALUE_MAX)
		return -E2BIG;
	for (uint64_t at = 0; call == XATTR_SET && at < arguments[3]; at += sizeof(piece)) {
		uint64_t rest = arguments[3] - at;
		if (copy_from_user(thread, piece, arguments[2] + at,
		                   rest < sizeof(piece) ? rest : sizeof(piece)))
			return -EFAULT;
	}
	return -EOPNOTSUPP;
}

static long xattr_path(struct thread *thread, const uint64_t arguments[6], bool follow, enum xattr_call call)
{
	struct dentry *dentry;
	int error =
	        user_path_lookup(thread, AT_FDCWD_LINUX, arguments[0], follow ? LOOKUP_FOLLOW : 0, &dentry);
	if (error != 0)
		return error;
	dentry_put(dentry);
	return xattr_answer(thread, arguments, call);
}

static long xattr_file(struct thread *thread, const uint64_t arguments[6], enum xattr_call call)
{
	struct file *file = file_table_lookup(thread, (int)arguments[0]);
	return file == NULL || file->flags & O_PATH ? -EBADF : xattr_answer(thread, arguments, call);
}

#define XATTR(name, by, call)                                               \
	long sys_##name(struct thread *thread, const uint64_t arguments[6]) \
	{                                                                   \
		return by(call);                                            \
	}
#define BY_PATH(call) xattr_path(thread, arguments, true, call)
#define BY_LINK(call) xattr_path(thread, arguments, false, call)
#define BY_FILE(call) xattr_file(thread, arguments, call)
XATTR(setxattr, BY_PATH, XATTR_SET)
XATTR(lsetxattr, BY_LINK, XATTR_SET)
XATTR(fsetxattr, BY_FILE, XATTR_SET)
XATTR(getxattr, BY_PATH, XATTR_GET)
XATTR(lgetxattr, BY_LINK, XATTR_GET)
XATTR(fgetxattr, BY_FILE, XATTR_GET)
XATTR(listxattr, BY_PATH, XATTR_LIST)
XATTR(llistxattr, BY_LINK, XATTR_LIST)
XATTR(flistxattr, BY_FILE, XATTR_LIST)
XATTR(removexattr, BY_PATH, XATTR_REMOVE)
XATTR(lremovexattr, BY_LINK, XATTR_REMOVE)
XATTR(fremovexattr, BY_FILE, XATTR_REMOVE)
