/* SPDX-License-Identifier: MIT */
/* Reading directories. */
#include "fs/internal.h"
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

long sys_getdents64(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	struct io_buffer buffer = {.thread = thread, .user = arguments[1], .size = (unsigned)arguments[2]};
	int result;
	if (!S_ISDIR(file->inode->attributes.mode) || file->operations->readdir == NULL)
		result = -ENOTDIR;
	else if (file->inode->attributes.links == 0)
		result = -ENOENT;
	else
		result = file->operations->readdir(file, &buffer);
	file_put(file);
	return result;
}
