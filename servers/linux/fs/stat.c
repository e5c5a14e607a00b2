/* SPDX-License-Identifier: MIT */
/* Asking about files: stat and its relatives, statfs, access, readlink. */
#include "capability.h"
#include "fs/internal.h"
#include "syscall.h"

/* What (dirfd, path, flags) names: also of descriptors that have no dentry. */
struct found {
	struct inode *inode;
	struct dentry *dentry; /* or NULL. Both are references */
};

static int find(struct thread *thread, int dirfd, uint64_t path, unsigned flags, struct found *out)
{
	char first = 0;
	if (flags & AT_EMPTY_PATH) {
		if (path != 0 && copy_from_user(thread, &first, path, 1) != 0)
			return -EFAULT;
		if (first == 0 && dirfd != AT_FDCWD_LINUX) {
			struct file *file = file_table_lookup(thread, dirfd);
			if (file == NULL)
				return -EBADF;
			out->inode = inode_get(file->inode);
			out->dentry = file->dentry != NULL ? dentry_get(file->dentry) : NULL;
			return 0;
		}
	}
	unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
	                  (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	int error = user_path_lookup(thread, dirfd, path, lookup, &out->dentry);
	if (error != 0)
		return error;
	out->inode = inode_get(out->dentry->inode);
	return 0;
}

/* The inode first: its dentry keeps its file system from being unmounted. */
static void found_put(const struct found *found)
{
	inode_put(found->inode);
	dentry_put(found->dentry);
}

static void refresh(struct inode *inode)
{
	if (inode->operations->refresh != NULL)
		inode->operations->refresh(inode);
}

static struct linux_stat stat_of(struct inode *inode)
{
	refresh(inode);
	const struct fs_attributes *a = &inode->attributes;
	return (struct linux_stat){
	        .st_dev = inode->superblock->device,
	        .st_ino = a->inode,
	        .st_nlink = a->links,
	        .st_mode = a->mode,
	        .st_uid = a->uid,
	        .st_gid = a->gid,
	        .st_rdev = a->rdev,
	        .st_size = (int64_t)a->size,
	        .st_blksize = a->block_size != 0 ? a->block_size : 4096,
	        .st_blocks = (int64_t)inode_blocks(inode),
	        .st_atime_sec = (uint64_t)a->atime.seconds,
	        .st_atime_nsec = a->atime.nanoseconds,
	        .st_mtime_sec = (uint64_t)a->mtime.seconds,
	        .st_mtime_nsec = a->mtime.nanoseconds,
	        .st_ctime_sec = (uint64_t)a->ctime.seconds,
	        .st_ctime_nsec = a->ctime.nanoseconds,
	};
}

static long stat_at(struct thread *thread, int dirfd, uint64_t path, uint64_t out, unsigned flags)
{
	struct found found;
	int error = find(thread, dirfd, path, flags, &found);
	if (error != 0)
		return error;
	struct linux_stat stat = stat_of(found.inode);
	found_put(&found);
	return copy_to_user(thread, out, &stat, sizeof(stat));
}

long sys_stat(struct thread *thread, const uint64_t arguments[6])
{
	return stat_at(thread, AT_FDCWD_LINUX, arguments[0], arguments[1], 0);
}

long sys_lstat(struct thread *thread, const uint64_t arguments[6])
{
	return stat_at(thread, AT_FDCWD_LINUX, arguments[0], arguments[1], AT_SYMLINK_NOFOLLOW);
}

long sys_fstat(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file = file_of_any(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	struct linux_stat stat = stat_of(file->inode);
	file_put(file);
	return copy_to_user(thread, arguments[1], &stat, sizeof(stat));
}

long sys_newfstatat(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[3];
	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
		return -EINVAL;
	return stat_at(thread, (int)arguments[0], arguments[1], arguments[2], flags);
}

static struct linux_statx_time statx_time(struct fs_time time)
{
	return (struct linux_statx_time){.sec = time.seconds, .nsec = time.nanoseconds};
}

long sys_statx(struct thread *thread, const uint64_t arguments[6])
{
	enum {
		BASIC = 0x7ff,
		MNT_ID = 0x1000,
		SYNC_TYPE = 0x6000,
		ATTRIBUTE_MOUNT_ROOT = 0x2000,
		ATTRIBUTES_OF_FLAGS = 0x70, /* IMMUTABLE, APPEND, NODUMP: the same bits */
	};
	unsigned flags = (unsigned)arguments[2];
	struct found found;
	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | SYNC_TYPE) ||
	    (flags & SYNC_TYPE) == SYNC_TYPE || arguments[3] >> 31 & 1)
		return -EINVAL;
	int error = find(thread, (int)arguments[0], arguments[1], flags, &found);
	if (error != 0)
		return error;
	struct inode *inode = found.inode;
	refresh(inode);
	const struct mount *mount = found.dentry != NULL ? found.dentry->mount : NULL;
	const struct fs_attributes *a = &inode->attributes;
	struct linux_statx statx = {
	        .mask = BASIC | MNT_ID,
	        .blksize = a->block_size != 0 ? a->block_size : 4096,
	        .nlink = a->links,
	        .uid = a->uid,
	        .gid = a->gid,
	        .mode = (uint16_t)a->mode,
	        .ino = a->inode,
	        .size = a->size,
	        .blocks = inode_blocks(inode),
	        .attributes_mask = ATTRIBUTE_MOUNT_ROOT | (has_store(inode) ? ATTRIBUTES_OF_FLAGS : 0),
	        .attributes = (a->flags & ATTRIBUTES_OF_FLAGS) |
	                      (mount != NULL && mount->root->inode == inode ? ATTRIBUTE_MOUNT_ROOT : 0),
	        .atime = statx_time(a->atime),
	        .ctime = statx_time(a->ctime),
	        .mtime = statx_time(a->mtime),
	        .rdev_major = device_major(a->rdev),
	        .rdev_minor = device_minor(a->rdev),
	        .dev_major = device_major(inode->superblock->device),
	        .dev_minor = device_minor(inode->superblock->device),
	        .mnt_id = mount != NULL ? mount->id : 0,
	};
	found_put(&found);
	return copy_to_user(thread, arguments[4], &statx, sizeof(statx));
}

/* ---- statfs ---- */

/* Those of mount(2), many of which are the same bits. */
static uint64_t statfs_flags(const struct superblock *superblock, const struct mount *mount)
{
	enum {
		VALID = 0x20,
		RELATIME = 0x1000,
		NOSYMFOLLOW = 0x2000,
		SAME = LINUX_MS_RDONLY | LINUX_MS_NOSUID | LINUX_MS_NODEV | LINUX_MS_NOEXEC |
		       LINUX_MS_NOATIME | LINUX_MS_NODIRATIME
	};
	unsigned long flags = mount != NULL ? mount->flags : 0;
	return VALID | (flags & SAME) | (flags & LINUX_MS_RELATIME ? RELATIME : 0) |
	       (flags & LINUX_MS_NOSYMFOLLOW ? NOSYMFOLLOW : 0) |
	       (superblock->read_only ? LINUX_MS_RDONLY : 0) |
	       (superblock->synchronous ? LINUX_MS_SYNCHRONOUS : 0);
}

static long statfs_to_user(struct thread *thread, struct superblock *superblock, const struct mount *mount,
                           uint64_t address)
{
	struct fs_statfs fs = {.block_size = 4096, .name_max = NAME_LENGTH_MAX};
	if (superblock->operations->statfs != NULL) {
		int error = superblock->operations->statfs(superblock, &fs);
		if (error != 0)
			return error;
	}
	uint64_t reserved = superblock->blocks_reserved;
	struct linux_statfs out = {
	        .f_type = fs.magic,
	        .f_bsize = fs.block_size,
	        .f_blocks = fs.blocks,
	        .f_bfree = fs.blocks_free > reserved ? fs.blocks_free - reserved : 0,
	        .f_bavail = fs.blocks_available > reserved ? fs.blocks_available - reserved : 0,
	        .f_files = fs.files,
	        .f_ffree = fs.files_free,
	        .f_namelen = fs.name_max,
	        .f_frsize = fs.block_size,
	        .f_flags = statfs_flags(superblock, mount),
	};
	memcpy(out.f_fsid, fs.uuid, sizeof(out.f_fsid));
	return copy_to_user(thread, address, &out, sizeof(out));
}

long sys_statfs(struct thread *thread, const uint64_t arguments[6])
{
	struct dentry *dentry;
	int error = user_path_lookup(thread, AT_FDCWD_LINUX, arguments[0], LOOKUP_FOLLOW, &dentry);
	if (error != 0)
		return error;
	long result = statfs_to_user(thread, dentry->inode->superblock, dentry->mount, arguments[1]);
	dentry_put(dentry);
	return result;
}

long sys_fstatfs(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file = file_of_any(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	long result = statfs_to_user(thread, file->inode->superblock,
	                             file->dentry != NULL ? file->dentry->mount : NULL, arguments[1]);
	file_put(file);
	return result;
}

/* ---- access ---- */

static long access_at(struct thread *thread, int dirfd, uint64_t path, unsigned mode, unsigned flags)
{
	struct dentry *dentry;
	if (mode & ~7u || flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
	                  (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	char *text;
	int error = path_from_user(thread, path, &text);
	if (error != 0)
		return error;
	struct credentials credentials = thread->process->credentials;
	if (!(flags & AT_EACCESS))
		credentials_of_real_user(&credentials);
	group_list_get(credentials.groups); /* the process may get others while this waits */
	error = path_lookup_as(thread, &credentials, dirfd, text, lookup, &dentry);
	free(text);
	if (error != 0) {
		group_list_put(credentials.groups);
		return error;
	}
	if (mode & MAY_EXECUTE && S_ISREG(dentry->inode->attributes.mode) && mount_noexec(dentry))
		error = -EACCES;
	if (error == 0)
		error = permission_check(&credentials, dentry->inode, mode);
	if (error == 0 && mode & MAY_WRITE && mount_read_only(dentry) &&
	    (S_ISREG(dentry->inode->attributes.mode) || S_ISDIR(dentry->inode->attributes.mode)))
		error = -EROFS;
	group_list_put(credentials.groups);
	dentry_put(dentry);
	return error;
}

long sys_access(struct thread *thread, const uint64_t arguments[6])
{
	return access_at(thread, AT_FDCWD_LINUX, arguments[0], (unsigned)arguments[1], 0);
}

long sys_faccessat(struct thread *thread, const uint64_t arguments[6])
{
	return access_at(thread, (int)arguments[0], arguments[1], (unsigned)arguments[2], 0);
}

long sys_faccessat2(struct thread *thread, const uint64_t arguments[6])
{
	return access_at(thread, (int)arguments[0], arguments[1], (unsigned)arguments[2],
	                 (unsigned)arguments[3]);
}

/* ---- readlink ---- */

static long readlink_at(struct thread *thread, int dirfd, uint64_t path, uint64_t out, int64_t size)
{
	char target[PATH_SIZE];
	struct dentry *dentry;
	if (size <= 0)
		return -EINVAL;
	int error = user_path_lookup(thread, dirfd, path, LOOKUP_EMPTY, &dentry);
	if (error != 0)
		return error;
	struct inode *inode = dentry->inode;
	ssize_t length;
	if (!S_ISLNK(inode->attributes.mode) || inode->operations->readlink == NULL)
		length = -EINVAL;
	else
		length = inode->operations->readlink(inode, target, sizeof(target));
	dentry_put(dentry);
	if (length < 0)
		return length;
	if (length > size)
		length = size;
	error = copy_to_user(thread, out, target, (size_t)length);
	return error != 0 ? error : length;
}

long sys_readlink(struct thread *thread, const uint64_t arguments[6])
{
	return readlink_at(thread, AT_FDCWD_LINUX, arguments[0], arguments[1], (int)arguments[2]);
}

long sys_readlinkat(struct thread *thread, const uint64_t arguments[6])
{
	return readlink_at(thread, (int)arguments[0], arguments[1], arguments[2], (int)arguments[3]);
}
