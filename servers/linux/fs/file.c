/* SPDX-License-Identifier: MIT */
/* Open files: their life, reading and writing through them, and the buffers that bytes go to and come from.
 */
#include "fs/notify.h"

/* ---- buffers ---- */

static void next_segment(struct io_buffer *buffer)
{
	while (buffer->size == buffer->later && buffer->later > 0) {
		const struct linux_iovec *segment = buffer->segments++;
		buffer->user = segment->base;
		buffer->later -= segment->length;
	}
}

struct span io_span(struct io_buffer *buffer, size_t size, bool to_user)
{
	next_segment(buffer);
	if (size > buffer->size - buffer->later)
		size = buffer->size - buffer->later;
	if (buffer->thread == NULL)
		return (struct span){buffer->kernel, size};
	return user_span(buffer->thread, buffer->user, size, to_user);
}

void io_advance(struct io_buffer *buffer, size_t size)
{
	buffer->size -= size;
	if (buffer->thread == NULL)
		buffer->kernel = (char *)buffer->kernel + size;
	else
		buffer->user += size;
}

enum copy_kind { COPY_TO, COPY_FROM, COPY_ZERO };

__attribute__((always_inline)) static inline int copy(struct io_buffer *buffer, void *memory, size_t size,
                                                      enum copy_kind kind)
{
	char *at = memory;
	while (size > 0) {
		struct span part = io_span(buffer, size, kind != COPY_FROM);
		if (part.at == NULL)
			return -EFAULT;
		if (kind == COPY_TO)
			memcpy(part.at, at, part.size);
		else if (kind == COPY_FROM)
			memcpy(at, part.at, part.size);
		else
			memset(part.at, 0, part.size);
		io_advance(buffer, part.size);
		at = kind == COPY_ZERO ? at : at + part.size;
		size -= part.size;
	}
	return 0;
}

int io_copy_to(struct io_buffer *buffer, const void *from, size_t size)
{
	return copy(buffer, (void *)(uintptr_t)from, size, COPY_TO);
}

int io_copy_from(struct io_buffer *buffer, void *to, size_t size)
{
	return copy(buffer, to, size, COPY_FROM);
}

int io_clear(struct io_buffer *buffer, size_t size)
{
	return copy(buffer, NULL, size, COPY_ZERO);
}

ssize_t buffer_read_text(struct io_buffer *buffer, uint64_t *position, const char *text, size_t length)
{
	if (*position >= length)
		return 0;
	size_t size = length - *position;
	if (size > buffer->size)
		size = buffer->size;
	if (io_copy_to(buffer, text + *position, size) != 0)
		return -EFAULT;
	*position += size;
	return (ssize_t)size;
}

/* ---- open files ---- */

static size_t open_files;

const char *file_last_name(const struct file *file)
{
	return file->dentry != NULL ? file->dentry->name : "";
}

struct file *file_create(struct inode *inode, struct dentry *dentry, unsigned flags,
                         const struct file_operations *operations)
{
	struct file *file = kept_alloc(sizeof(*file));
	if (file == NULL)
		return NULL;
	file->references = 1;
	file->flags = flags;
	file->inode = inode_get(inode);
	file->dentry = dentry != NULL ? dentry_get(dentry) : NULL;
	file->operations = operations;
	file_errors_begin(file);
	open_files++;
	return file;
}

size_t files_open(void)
{
	return open_files;
}

int file_claim(struct file *file, int share)
{
	int error = inode_claim(file->inode, share);
	if (error != 0)
		return error;
	file->writers = share;
	if (share > 0 && file->dentry != NULL && file->dentry->mount != NULL)
		file->dentry->mount->writers++;
	return 0;
}

struct file *file_get(struct file *file)
{
	file->references++;
	return file;
}

void file_put(struct file *file)
{
	if (file == NULL || --file->references > 0)
		return;
	file->references = 1; /* what release does may take and give references */
	if (file->operations != NULL && !(file->flags & O_PATH))
		notify(file->dentry, file->inode,
		       file_writable(file) ? NOTIFY_CLOSE_WRITE : NOTIFY_CLOSE_NOWRITE);
	epoll_file_released(file);
	directory_notify_released(file);
	if (file->inode->locks != NULL)
		file_locks_released(file);
	if (file->operations != NULL && file->operations->release != NULL)
		file->operations->release(file);
	file->inode->writers -= file->writers;
	if (file->writers > 0 && file->dentry != NULL && file->dentry->mount != NULL)
		file->dentry->mount->writers--;
	inode_put(file->inode); /* first: its dentry keeps its file system from being unmounted */
	dentry_put(file->dentry);
	free(file->owner);
	free(file);
	open_files--;
}

static const struct inode_operations anonymous_inode_operations = {.setattr = setattr_in_memory};
static const struct superblock_operations anonymous_operations;

struct superblock *anonymous_superblock(void)
{
	static struct superblock superblock;
	if (superblock.operations == NULL) {
		superblock.operations = &anonymous_operations;
		superblock.type = "anon";
		superblock.device = device_number_next();
		superblock.mounts = 1;
	}
	return &superblock;
}

struct inode *anonymous_inode(unsigned mode)
{
	static uint64_t number;
	struct inode *inode = inode_create(anonymous_superblock());
	if (inode == NULL)
		return NULL;
	inode->operations = &anonymous_inode_operations;
	inode->attributes =
	        (struct fs_attributes){.inode = ++number, .mode = mode, .links = 1, .block_size = 4096};
	inode->attributes.atime = inode->attributes.mtime = inode->attributes.ctime = fs_now();
	struct thread *thread = current_thread();
	if (thread != NULL) {
		inode->attributes.uid = thread->process->credentials.fsuid;
		inode->attributes.gid = thread->process->credentials.fsgid;
	}
	return inode;
}

int anonymous_file(unsigned mode, unsigned flags, const struct file_operations *operations, void *private,
                   struct file **out)
{
	struct inode *inode = anonymous_inode(mode);
	if (inode == NULL)
		return -ENOMEM;
	*out = file_create(inode, NULL, flags, operations);
	inode_put(inode);
	if (*out == NULL)
		return -ENOMEM;
	(*out)->private = private;
	return 0;
}

int file_open_inode(struct thread *thread, struct dentry *dentry, unsigned flags, struct file **out)
{
	static const struct file_operations path_operations;
	struct inode *inode = dentry->inode;
	uint32_t type = inode_type(inode);
	int error = 0;
	if (type == S_IFSOCK && !(flags & O_PATH))
		return -ENXIO;
	struct file *file = file_create(inode, dentry, flags, inode->file_operations);
	if (file == NULL)
		return -ENOMEM;
	if (flags & O_PATH)
		file->operations = &path_operations;
	else if (type == S_IFREG && file_writable(file))
		error = file_claim(file, 1);
	if (error != 0 || flags & O_PATH)
		;
	else if (inode->operations->open != NULL)
		error = inode->operations->open(inode, file, thread);
	else if (type == S_IFCHR || type == S_IFBLK)
		error = device_open(inode, file, thread);
	else if (type == S_IFIFO)
		error = fifo_open(inode, file, thread);
	if (error == 0 && file->operations == NULL)
		error = -ENXIO; /* nameless, and not to be opened again through /proc */
	if (error != 0) {
		file->operations = NULL; /* it never was open: no release */
		file_put(file);
		return error;
	}
	*out = file;
	return 0;
}

/* Apart, so that without watches the look at their number is all that it costs. */
__attribute__((noinline)) static ssize_t noticed(struct file *file, struct io_buffer *buffer,
                                                 uint64_t *position, bool write)
{
	const struct file_operations *operations = file->operations;
	ssize_t count = (write ? operations->write : operations->read)(file, buffer, position);
	if (count > 0)
		notify(file->dentry, file->inode, write ? NOTIFY_MODIFY : NOTIFY_ACCESS);
	return count;
}

ssize_t file_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	if (!file_readable(file) || file->flags & O_PATH)
		return -EBADF;
	if (S_ISDIR(file->inode->attributes.mode))
		return -EISDIR;
	if (file->operations->read == NULL)
		return -EINVAL;
	if (__builtin_expect(notify_watches != 0, 0))
		return noticed(file, buffer, position, false);
	return file->operations->read(file, buffer, position);
}

ssize_t file_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	if (!file_writable(file) || file->flags & O_PATH)
		return -EBADF;
	if (file->operations->write == NULL)
		return -EINVAL;
	if (__builtin_expect(notify_watches != 0, 0))
		return noticed(file, buffer, position, true);
	return file->operations->write(file, buffer, position);
}

unsigned file_poll(struct file *file, struct poll_table *table)
{
	if (file->operations->poll == NULL)
		return POLLIN_ | POLLOUT_ | POLLRDNORM_ | POLLWRNORM_;
	return file->operations->poll(file, table);
}

ssize_t file_read_kernel(struct file *file, void *to, size_t size, uint64_t position)
{
	size_t done = 0;
	if (file->operations->read == NULL)
		return S_ISDIR(file->inode->attributes.mode) ? -EISDIR : -EINVAL;
	while (done < size) {
		struct io_buffer buffer = {.kernel = (char *)to + done, .size = size - done};
		ssize_t count = file->operations->read(file, &buffer, &position);
		if (count < 0)
			return done > 0 ? (ssize_t)done : count;
		if (count == 0)
			break;
		done += (size_t)count;
	}
	return (ssize_t)done;
}

int64_t seek_in(struct file *file, int64_t offset, int whence, uint64_t end)
{
	int64_t base;
	if (whence == SEEK_SET)
		base = 0;
	else if (whence == SEEK_CUR)
		base = (int64_t)file->position;
	else if (whence == SEEK_END)
		base = (int64_t)end;
	else
		return -EINVAL;
	int64_t position;
	if (__builtin_add_overflow(base, offset, &position))
		return -EOVERFLOW;
	if (position < 0)
		return -EINVAL;
	file->position = (uint64_t)position;
	return position;
}
