/* SPDX-License-Identifier: MIT */
/* read, write and all their forms; lseek; copying between files; syncing. */
#include "fs/notify.h"
#include "syscall.h"

typedef ssize_t transfer(struct file *file, struct io_buffer *buffer, uint64_t *position);

static bool is_paged(const struct file *file)
{
	return file->operations == &regular_file_operations;
}

static long transfer_onwards(struct file *file, struct io_buffer *buffer, transfer *move)
{
	uint32_t mode = file->inode->attributes.mode;
	if (!S_ISREG(mode) && !S_ISDIR(mode)) /* it may wait for ever, and has no position */
		return move(file, buffer, &file->position);
	fiber_mutex_lock(&file->position_lock);
	long result = move(file, buffer, &file->position);
	fiber_mutex_unlock(&file->position_lock);
	return result;
}

/* offset NULL: the file's own position */
static long transfer_buffer(struct file *file, struct io_buffer *buffer, const int64_t *offset,
                            transfer *move)
{
	if (offset == NULL)
		return transfer_onwards(file, buffer, move);
	if (*offset < 0)
		return -EINVAL;
	if (file->operations->seek == NULL)
		return -ESPIPE;
	uint64_t position = (uint64_t)*offset;
	return move(file, buffer, &position);
}

static long transfer_plain(struct thread *thread, const uint64_t arguments[6], const int64_t *offset,
                           transfer *move)
{
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	struct io_buffer buffer = {.thread = thread, .user = arguments[1], .size = arguments[2]};
	long result;
	if (arguments[2] > INT64_MAX) {
		result = -EINVAL;
	} else {
		buffer.size = io_size_once(buffer.size);
		result = transfer_buffer(file, &buffer, offset, move);
	}
	file_put(file);
	return result;
}

long sys_read(struct thread *thread, const uint64_t arguments[6])
{
	return transfer_plain(thread, arguments, NULL, file_read);
}

long sys_write(struct thread *thread, const uint64_t arguments[6])
{
	return transfer_plain(thread, arguments, NULL, file_write);
}

long sys_pread64(struct thread *thread, const uint64_t arguments[6])
{
	int64_t offset = (int64_t)arguments[3];
	return transfer_plain(thread, arguments, &offset, file_read);
}

long sys_pwrite64(struct thread *thread, const uint64_t arguments[6])
{
	int64_t offset = (int64_t)arguments[3];
	return transfer_plain(thread, arguments, &offset, file_write);
}

int io_vector_from_user(struct thread *thread, uint64_t address, uint64_t count, struct linux_iovec **out,
                        struct io_buffer *buffer)
{
	uint64_t total = 0;
	*out = NULL;
	if (count > IO_VECTOR_MAX)
		return -EINVAL;
	struct linux_iovec *vector = *out = malloc((count + 1) * sizeof(*vector));
	if (vector == NULL)
		return -ENOMEM;
	if (copy_from_user(thread, vector, address, count * sizeof(*vector)) != 0)
		return -EFAULT;
	for (uint64_t i = 0; i < count; i++) {
		if (vector[i].length > INT64_MAX)
			return -EINVAL;
		if (vector[i].length > USER_END)
			return -EFAULT;
		if (vector[i].length > IO_SIZE_MAX - total)
			vector[i].length = IO_SIZE_MAX - total;
		total += vector[i].length;
	}
	*buffer = (struct io_buffer){.thread = thread, .size = total, .segments = vector, .later = total};
	return 0;
}

static long transfer_vector(struct thread *thread, const uint64_t arguments[6], const int64_t *offset,
                            unsigned flags, transfer *move)
{
	struct linux_iovec *vector = NULL;
	struct io_buffer buffer;
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return arguments[2] > IO_VECTOR_MAX ? -EINVAL : -EBADF;
	long result = io_vector_from_user(thread, arguments[1], arguments[2], &vector, &buffer);
	if (result == 0 && flags & O_NONBLOCK && (!is_paged(file) || move == file_write))
		result = -EOPNOTSUPP;
	if (result == 0) {
		buffer.flags = flags;
		result = transfer_buffer(file, &buffer, offset, move);
	}
	free(vector);
	file_put(file);
	return result;
}

long sys_readv(struct thread *thread, const uint64_t arguments[6])
{
	return transfer_vector(thread, arguments, NULL, 0, file_read);
}

long sys_writev(struct thread *thread, const uint64_t arguments[6])
{
	return transfer_vector(thread, arguments, NULL, 0, file_write);
}

long sys_preadv(struct thread *thread, const uint64_t arguments[6])
{
	int64_t offset = (int64_t)arguments[3];
	return transfer_vector(thread, arguments, &offset, 0, file_read);
}

long sys_pwritev(struct thread *thread, const uint64_t arguments[6])
{
	int64_t offset = (int64_t)arguments[3];
	return transfer_vector(thread, arguments, &offset, 0, file_write);
}

/* RWF_*: the flags of a single call. Only reading through the page cache can tell what would wait. */
static int call_flags(uint64_t given, unsigned *flags)
{
	enum { HIPRI = 1, DSYNC = 2, SYNC = 4, NOWAIT = 8, APPEND = 16 };
	if (given & ~(uint64_t)(HIPRI | DSYNC | SYNC | NOWAIT | APPEND))
		return -EOPNOTSUPP;
	*flags = (given & (DSYNC | SYNC) ? O_DSYNC : 0u) | (given & NOWAIT ? O_NONBLOCK : 0u) |
	         (given & APPEND ? O_APPEND : 0u);
	return 0;
}

long sys_preadv2(struct thread *thread, const uint64_t arguments[6])
{
	int64_t offset = (int64_t)arguments[3];
	unsigned flags;
	int error = call_flags(arguments[5], &flags);
	return error != 0
	               ? error
	               : transfer_vector(thread, arguments, offset == -1 ? NULL : &offset, flags, file_read);
}

long sys_pwritev2(struct thread *thread, const uint64_t arguments[6])
{
	int64_t offset = (int64_t)arguments[3];
	unsigned flags;
	int error = call_flags(arguments[5], &flags);
	return error != 0
	               ? error
	               : transfer_vector(thread, arguments, offset == -1 ? NULL : &offset, flags, file_write);
}

long sys_lseek(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	long result = -ESPIPE;
	if (file->operations->seek != NULL) {
		fiber_mutex_lock(&file->position_lock);
		result = (long)file->operations->seek(file, (int64_t)arguments[1], (int)arguments[2]);
		fiber_mutex_unlock(&file->position_lock);
	}
	file_put(file);
	return result;
}

long sys_ioctl(struct thread *thread, const uint64_t arguments[6])
{
	enum {
		FIONREAD_ = 0x541b,
		FIONBIO_ = 0x5421,
		FIONCLEX_ = 0x5450,
		FIOCLEX_ = 0x5451,
		FIOASYNC_ = 0x5452,
		FIGETBSZ_ = 2,
		FICLONE_ = 0x40049409
	};
	int fd = (int)arguments[0], value = 0;
	unsigned command = (unsigned)arguments[1];
	struct file *file = file_of(thread, fd);
	if (file == NULL)
		return -EBADF;
	long result = -ENOTTY;
	if (command == FIOCLEX_ || command == FIONCLEX_) {
		result = fd_set_close_on_exec(thread, fd, command == FIOCLEX_);
	} else if (command == FIONBIO_ || command == FIOASYNC_) {
		unsigned flag = command == FIONBIO_ ? O_NONBLOCK : O_ASYNC;
		result = copy_from_user(thread, &value, arguments[2], sizeof(value));
		if (result == 0)
			file->flags = value ? file->flags | flag : file->flags & ~flag;
	} else if (command == FIONREAD_ && file->operations == &regular_file_operations) {
		int64_t left = (int64_t)(file->inode->attributes.size - file->position);
		value = left > 0 ? (int)left : 0;
		result = copy_to_user(thread, arguments[2], &value, sizeof(value));
	} else if (command == FIGETBSZ_ && S_ISREG(file->inode->attributes.mode)) {
		value = (int)file->inode->attributes.block_size;
		result = copy_to_user(thread, arguments[2], &value, sizeof(value));
	} else if (command == FICLONE_ && file->operations == &regular_file_operations) {
		result = -EOPNOTSUPP;
	} else if (command == IOCTL_GET_FLAGS || command == IOCTL_SET_FLAGS || command == IOCTL_GET_VERSION) {
		result = file_flags_command(thread, file, command, arguments[2]);
	} else if (file->operations->ioctl != NULL) {
		result = file->operations->ioctl(file, thread, command, arguments[2]);
	}
	file_put(file);
	return result;
}

/* ---- between files, without passing through user memory ---- */

/* Pages of the cache are the source of the write, which the caller has found allowed. */
static long copy_pages(struct file *in, uint64_t *in_position, struct file *out, uint64_t *out_position,
                       uint64_t count)
{
	static char zeros[PAGE_SIZE];
	uint64_t done = 0;
	while (done < count && *in_position < in->inode->attributes.size) {
		uint64_t left = in->inode->attributes.size - *in_position, index = *in_position / PAGE_SIZE;
		size_t offset = *in_position % PAGE_SIZE, part = PAGE_SIZE - offset;
		pfn_t pfn;
		if (part > left)
			part = left;
		if (part > count - done)
			part = count - done;
		uint64_t wanted = left < count - done ? left : count - done;
		int error = page_cache_get_for_file(in, index, (*in_position + wanted - 1) / PAGE_SIZE, true,
		                                    &pfn);
		bool hole = error == -ENODATA;
		if (error == -ENXIO) /* truncated meanwhile */
			break;
		if (error != 0 && !hole)
			return done > 0 ? (long)done : error;
		if (*in_position + part > in->inode->attributes.size) { /* truncated within the page */
			if (!hole)
				page_put(pfn);
			continue;
		}
		struct io_buffer buffer = {.kernel = hole ? zeros : (char *)page_address(pfn) + offset,
		                           .size = part};
		ssize_t written = out->operations->write(out, &buffer, out_position);
		if (!hole)
			page_put(pfn);
		if (written <= 0)
			return done > 0 ? (long)done : written;
		done += (uint64_t)written;
		*in_position += (uint64_t)written;
		if ((size_t)written < part ||
		    (*in_position % COPY_AT_ONCE == 0 && done < count && !wait_yield()))
			break;
	}
	return (long)done;
}

static long copy_between(struct file *in, uint64_t *in_position, struct file *out, uint64_t *out_position,
                         uint64_t count)
{
	long result = copy_pages(in, in_position, out, out_position, count);
	if (result > 0) {
		notify(in->dentry, in->inode, NOTIFY_ACCESS);
		notify(out->dentry, out->inode, NOTIFY_MODIFY);
	}
	return result;
}

long sys_sendfile(struct thread *thread, const uint64_t arguments[6])
{
	int64_t offset;
	uint64_t count = io_size_once(arguments[3]);
	struct file *out = file_of(thread, (int)arguments[0]), *in = file_of(thread, (int)arguments[1]);
	long result = 0;
	if (in == NULL || out == NULL || !file_readable(in) || !file_writable(out))
		result = -EBADF;
	else if (!is_paged(in) || out->operations->write == NULL || out->flags & O_APPEND)
		result = -EINVAL;
	else if (arguments[2] != 0 && copy_from_user(thread, &offset, arguments[2], sizeof(offset)) != 0)
		result = -EFAULT;
	else if (arguments[2] != 0 && offset < 0)
		result = -EINVAL;
	if (result == 0) {
		uint64_t position = arguments[2] != 0 ? (uint64_t)offset : in->position;
		result = copy_between(in, &position, out, &out->position, count);
		if (arguments[2] == 0)
			in->position = position;
		else if (result >= 0 && copy_to_user(thread, arguments[2], &position, sizeof(position)) != 0)
			result = -EFAULT;
	}
	file_put(in);
	file_put(out);
	return result;
}

static int optional_offset(struct thread *thread, uint64_t address, uint64_t *position)
{
	int64_t offset;
	if (address == 0)
		return 0;
	if (copy_from_user(thread, &offset, address, sizeof(offset)) != 0)
		return -EFAULT;
	if (offset < 0)
		return -EINVAL;
	*position = (uint64_t)offset;
	return 0;
}

static long copy_range(struct thread *thread, struct file *in, uint64_t in_address, struct file *out,
                       uint64_t out_address, uint64_t count)
{
	uint64_t from = in->position, to = out->position;
	int error = optional_offset(thread, in_address, &from);
	if (error == 0)
		error = optional_offset(thread, out_address, &to);
	if (error != 0)
		return error;
	uint64_t size = in->inode->attributes.size;
	if (from >= size)
		return 0;
	if (count > size - from)
		count = size - from;
	if (in->inode == out->inode && from < to + count && to < from + count)
		return -EINVAL;
	long result = copy_between(in, &from, out, &to, count);
	if (result < 0)
		return result;
	if (in_address == 0)
		in->position = from;
	else if (copy_to_user(thread, in_address, &from, sizeof(from)) != 0)
		return -EFAULT;
	if (out_address == 0)
		out->position = to;
	else if (copy_to_user(thread, out_address, &to, sizeof(to)) != 0)
		return -EFAULT;
	return result;
}

long sys_copy_file_range(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t count = io_size_once(arguments[4]);
	struct file *in = file_of(thread, (int)arguments[0]), *out = file_of(thread, (int)arguments[2]);
	long result;
	if (in == NULL || out == NULL || !file_readable(in) || !file_writable(out) || out->flags & O_APPEND)
		result = -EBADF;
	else if (arguments[5] != 0)
		result = -EINVAL;
	else if (S_ISDIR(in->inode->attributes.mode) || S_ISDIR(out->inode->attributes.mode))
		result = -EISDIR;
	else if (!is_paged(in) || !is_paged(out))
		result = -EINVAL;
	else
		result = copy_range(thread, in, arguments[1], out, arguments[3], count);
	file_put(in);
	file_put(out);
	return result;
}

/* ---- advice ---- */

long sys_readahead(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	long result = !file_readable(file) ? -EBADF : is_paged(file) ? 0 : -EINVAL;
	if (result == 0)
		page_cache_read_ahead(file->inode, arguments[1] / PAGE_SIZE, FS_PAGES_MAX);
	file_put(file);
	return result;
}

long sys_fadvise64(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file = file_table_lookup(thread, (int)arguments[0]);
	if (file == NULL || file->flags & O_PATH)
		return -EBADF;
	if (S_ISFIFO(file->inode->attributes.mode))
		return -ESPIPE;
	return arguments[3] > 5 || (int64_t)arguments[2] < 0 ? -EINVAL : 0;
}

/* ---- sync ---- */

static long fsync_fd(struct thread *thread, int fd)
{
	struct file *file = file_of(thread, fd);
	if (file == NULL)
		return -EBADF;
	long result = file->operations->fsync != NULL ? file->operations->fsync(file) : -EINVAL;
	file_put(file);
	return result;
}

long sys_fsync(struct thread *thread, const uint64_t arguments[6])
{
	return fsync_fd(thread, (int)arguments[0]);
}

long sys_fdatasync(struct thread *thread, const uint64_t arguments[6])
{
	return fsync_fd(thread, (int)arguments[0]);
}

long sys_sync(struct thread *thread, const uint64_t arguments[6])
{
	(void)thread, (void)arguments;
	for (struct mount *mount = mount_first(), *next; mount != NULL; mount = next) {
		mount_hold(mount);
		superblock_sync(mount->superblock);
		next = mount->next;
		if (!mount_release(mount))
			next = mount_first(); /* once more: syncing what is clean costs little */
	}
	return 0;
}

long sys_syncfs(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file = file_of_any(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	int error = superblock_sync(file->inode->superblock);
	file_put(file);
	return error;
}

#define SYNC_FLAGS 7ul /* wait before, write, wait after */

long sys_sync_file_range(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	int error = 0;
	if (!is_paged(file))
		error = -ESPIPE;
	else if ((int64_t)arguments[1] < 0 || (int64_t)arguments[2] < 0 || arguments[3] & ~SYNC_FLAGS)
		error = -EINVAL;
	else
		error = inode_write_back(
		        file->inode, arguments[1] / PAGE_SIZE,
		        arguments[2] == 0 ? UINT64_MAX : (arguments[1] + arguments[2] - 1) / PAGE_SIZE, true);
	file_put(file);
	return error;
}
