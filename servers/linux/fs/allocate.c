/* SPDX-License-Identifier: MIT */
/* fallocate: memory for files in memory, and holes in files of any kind. Files on disks have no blocks that
 * are allocated and not written; Linux, too, has none for those that ext2 maps. */
#include "fs/notify.h"
#include "syscall.h"

enum fallocate_mode {
	KEEP_SIZE = 1,
	PUNCH_HOLE = 2,
	COLLAPSE_RANGE = 8,
	ZERO_RANGE = 16,
	INSERT_RANGE = 32,
	UNSHARE_RANGE = 64,
	ALL_MODES = KEEP_SIZE | PUNCH_HOLE | COLLAPSE_RANGE | ZERO_RANGE | INSERT_RANGE | UNSHARE_RANGE,
};

/* Combinations that mean nothing on any file system. */
static int check_mode(unsigned mode)
{
	if (mode & ~(unsigned)ALL_MODES)
		return -EOPNOTSUPP;
	if (mode & PUNCH_HOLE && (mode & ZERO_RANGE || !(mode & KEEP_SIZE)))
		return -EOPNOTSUPP;
	if ((mode & COLLAPSE_RANGE && mode != COLLAPSE_RANGE) ||
	    (mode & INSERT_RANGE && mode != INSERT_RANGE) ||
	    (mode & UNSHARE_RANGE && mode & ~(unsigned)(UNSHARE_RANGE | KEEP_SIZE)))
		return -EINVAL;
	return 0;
}

static int check_file(const struct file *file, bool only_grows)
{
	uint32_t mode = file->inode->attributes.mode, flags = file->inode->attributes.flags;
	if (!file_writable(file))
		return -EBADF;
	if (flags & (FS_FLAG_IMMUTABLE | (only_grows ? 0u : FS_FLAG_APPEND)))
		return -EPERM;
	if (!S_ISREG(mode))
		return S_ISFIFO(mode) ? -ESPIPE : -ENODEV;
	return 0;
}

static int punch(struct file *file, uint64_t offset, uint64_t end)
{
	struct inode *inode = file->inode;
	if (inode->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE))
		return -EPERM;
	if (has_store(inode) && offset >= inode->attributes.size)
		return 0;
	int error = page_cache_punch(inode, offset, end);
	if (error == 0)
		inode_written(file->dentry, inode);
	return error;
}

static int allocate(struct thread *thread, struct file *file, unsigned mode, uint64_t offset, uint64_t end)
{
	struct inode *inode = file->inode;
	bool grows = !(mode & KEEP_SIZE) && end > inode->attributes.size;
	int error = grows ? file_size_check(thread, end) : 0;
	if (error == 0 && grows && inode->seals & SEAL_GROW)
		error = -EPERM;
	if (error == 0)
		error = page_cache_allocate(inode, offset / PAGE_SIZE, (end - 1) / PAGE_SIZE);
	if (error == 0 && grows)
		error = inode_set_size(inode, end);
	return error;
}

static int change(struct thread *thread, struct file *file, unsigned mode, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length;
	if (file->operations != &regular_file_operations)
		return -EOPNOTSUPP;
	if (end > (has_store(file->inode) ? FILE_SIZE_MAX : INT64_MAX))
		return -EFBIG;
	if (mode & PUNCH_HOLE)
		return punch(file, offset, end);
	if (mode & ~(unsigned)KEEP_SIZE || has_store(file->inode))
		return -EOPNOTSUPP;
	return allocate(thread, file, mode, offset, end);
}

int file_punch(struct file *file, uint64_t offset, uint64_t length)
{
	int error = check_file(file, false);
	if (error != 0)
		return error;
	fiber_mutex_lock(&file->inode->lock);
	error = change(NULL, file, PUNCH_HOLE | KEEP_SIZE, offset, length);
	fiber_mutex_unlock(&file->inode->lock);
	if (error == 0)
		notify(file->dentry, file->inode, NOTIFY_MODIFY);
	return error;
}

long sys_fallocate(struct thread *thread, const uint64_t arguments[6])
{
	int64_t offset = (int64_t)arguments[2], length = (int64_t)arguments[3];
	unsigned mode = (unsigned)arguments[1];
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	int error = offset < 0 || length <= 0 ? -EINVAL : check_mode(mode);
	if (error == 0)
		error = check_file(file, !(mode & ~(unsigned)KEEP_SIZE));
	if (error == 0) {
		fiber_mutex_lock(&file->inode->lock);
		error = change(thread, file, mode, (uint64_t)offset, (uint64_t)length);
		fiber_mutex_unlock(&file->inode->lock);
	}
	if (error == 0)
		notify(file->dentry, file->inode, NOTIFY_MODIFY);
	file_put(file);
	return error;
}
