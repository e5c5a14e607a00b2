/* SPDX-License-Identifier: MIT */
/* Reading directories. */
#include "fs/notify.h"
#include "syscall.h"

int dirent_emit(struct io_buffer *buffer, uint64_t inode, uint64_t next, unsigned type, const char *name,
                size_t length)
{
	union {
		struct linux_dirent64 record;
		char bytes[sizeof(struct linux_dirent64) + 256 + 8];
	} out;
	size_t size = (offsetof(struct linux_dirent64, name) + length + 1 + 7) & ~(size_t)7;
	if (size > buffer->size)
		return -ENOSPC;
	memset(&out, 0, size);
	out.record.ino = inode;
	out.record.off = (int64_t)next;
	out.record.reclen = (uint16_t)size;
	out.record.type = (uint8_t)type;
	memcpy(out.bytes + offsetof(struct linux_dirent64, name), name, length);
	int error = io_copy_to(buffer, &out, size);
	return error != 0 ? error : (int)size;
}

/* At once, and under the lock: what has no name any more is not found by its number. */
static void accessed(struct file *file)
{
	struct inode *inode = file->inode;
	struct fs_attributes attributes = {.atime = fs_now()};
	if (!file_access_tells(file))
		return;
	fiber_mutex_lock(&inode->lock);
	if (inode->attributes.links > 0)
		inode_setattr(inode, FS_SET_ATIME, &attributes);
	fiber_mutex_unlock(&inode->lock);
}

static int read_directory(struct thread *thread, int fd, struct io_buffer *buffer)
{
	struct file *file = file_of(thread, fd);
	if (file == NULL)
		return -EBADF;
	int result = -ENOTDIR;
	if (S_ISDIR(file->inode->attributes.mode) && file->operations->readdir != NULL) {
		fiber_mutex_lock(&file->position_lock);
		fiber_mutex_lock(&file->inode->lock);
		result =
		        file->inode->attributes.links > 0 ? file->operations->readdir(file, buffer) : -ENOENT;
		fiber_mutex_unlock(&file->inode->lock);
		fiber_mutex_unlock(&file->position_lock);
	}
	if (result >= 0) {
		accessed(file);
		notify(file->dentry, file->inode, NOTIFY_ACCESS);
	}
	file_put(file);
	return result;
}

long sys_getdents64(struct thread *thread, const uint64_t arguments[6])
{
	struct io_buffer buffer = {.thread = thread, .user = arguments[1], .size = (unsigned)arguments[2]};
	return read_directory(thread, (int)arguments[0], &buffer);
}

/* A record of the old form is as long as the new one: the type is its last byte instead of the one before the
 * name. */
static void make_old(char *record)
{
	struct linux_dirent64 *entry = (struct linux_dirent64 *)record;
	size_t name = offsetof(struct linux_dirent64, name);
	uint8_t type = entry->type;
	memmove(record + name - 1, record + name, entry->reclen - name);
	record[entry->reclen - 1] = (char)type;
}

#define OLD_SIZE_MAX 32768 /* of what is read at once */

long sys_getdents(struct thread *thread, const uint64_t arguments[6])
{
	size_t size = (unsigned)arguments[2] < OLD_SIZE_MAX ? (unsigned)arguments[2] : OLD_SIZE_MAX;
	char *records = malloc(size + 1);
	if (records == NULL)
		return -ENOMEM;
	struct io_buffer buffer = {.kernel = records, .size = size};
	int result = read_directory(thread, (int)arguments[0], &buffer);
	for (int at = 0; at < result;) {
		int length = ((struct linux_dirent64 *)(records + at))->reclen;
		make_old(records + at);
		at += length;
	}
	if (result > 0 && copy_to_user(thread, arguments[1], records, (size_t)result) != 0)
		result = -EFAULT;
	free(records);
	return result;
}
