/* SPDX-License-Identifier: MIT */
/*
 * splice, tee, vmsplice: bytes between a pipe and something else without passing through user memory. A
 * pipe's lock is held while its pages are filled or emptied, as on Linux: who splices from a terminal that
 * nothing is typed on keeps others from this pipe.
 */
#include "fs/pipe.h"
#include "syscall.h"

enum splice_flags { SPLICE_NONBLOCK = 2, SPLICE_KNOWN = 15 /* MOVE, MORE and GIFT change nothing */ };

/* What has bytes to be read or takes them, rather than events and counts. */
static bool has_bytes(const struct file *file)
{
	uint32_t type = inode_type(file->inode);
	return type == S_IFREG || type == S_IFCHR || type == S_IFSOCK;
}

static ssize_t fill(struct file *in, uint64_t *position, struct pipe *pipe, size_t size, bool nonblocking)
{
	bool paged = in->operations == &regular_file_operations;
	size_t done = 0;
	while (done < size && pipe_room(pipe) > 0) {
		/* once there are bytes, no waiting for more */
		if (done > 0 && !paged && !(file_poll(in, NULL) & POLLIN_))
			break;
		struct span part = pipe_back(pipe, size - done);
		struct io_buffer buffer = {.kernel = part.at,
		                           .size = part.size,
		                           .flags = !paged && (nonblocking || done > 0) ? O_NONBLOCK : 0};
		ssize_t count = part.at == NULL ? -ENOMEM : file_read(in, &buffer, position);
		if (count < 0)
			return done > 0 ? (ssize_t)done : count;
		pipe_filled(pipe, (size_t)count);
		done += (size_t)count;
		if ((size_t)count < part.size)
			break;
	}
	return (ssize_t)done;
}

static ssize_t file_to_pipe(struct file *in, uint64_t *position, struct file *out, size_t size,
                            bool nonblocking)
{
	struct pipe *pipe = pipe_of_file(out);
	for (;;) {
		int state = pipe_await_room(pipe, 1, nonblocking);
		if (state < 0)
			return state;
		if (!has_bytes(in) || in->operations->read == NULL)
			return -EINVAL;
		fiber_mutex_lock(&pipe->lock);
		if (pipe_room(pipe) > 0)
			break;
		fiber_mutex_unlock(&pipe->lock); /* another writer was quicker */
	}
	ssize_t count = fill(in, position, pipe, size, nonblocking);
	fiber_mutex_unlock(&pipe->lock);
	if (count > 0)
		pipe_wake_readers(pipe);
	return count;
}

static ssize_t pipe_to_file(struct file *in, struct file *out, uint64_t *position, size_t size,
                            bool nonblocking)
{
	struct pipe *pipe = pipe_of_file(in);
	size_t done = 0;
	if (!has_bytes(out) || out->operations->write == NULL)
		return -EINVAL;
	while (done < size) {
		int state = done > 0 && pipe_used(pipe) == 0 ? 0 : pipe_await_data(pipe, nonblocking);
		if (state <= 0)
			return done > 0 ? (ssize_t)done : state;
		fiber_mutex_lock(&pipe->lock);
		if (pipe_used(pipe) == 0) { /* another reader was quicker */
			fiber_mutex_unlock(&pipe->lock);
			continue;
		}
		size_t room = pipe_room(pipe);
		struct span part = pipe_front(pipe, 0, size - done);
		struct io_buffer buffer = {
		        .kernel = part.at,
		        .size = part.size,
		        .flags = nonblocking && S_ISSOCK(out->inode->attributes.mode) ? O_NONBLOCK : 0};
		ssize_t count = file_write(out, &buffer, position);
		if (count > 0)
			pipe_taken(pipe, (size_t)count);
		fiber_mutex_unlock(&pipe->lock);
		if (count < 0)
			return done > 0 ? (ssize_t)done : count;
		pipe_wake_writers(pipe, room);
		done += (size_t)count;
		if ((size_t)count < part.size)
			break;
	}
	return (ssize_t)done;
}

/* With both locks. keep: they stay in the first one (tee). */
static ssize_t move(struct pipe *in, struct pipe *out, size_t size, bool keep)
{
	size_t done = 0;
	while (done < size && pipe_used(in) > (keep ? done : 0) && pipe_room(out) > 0) {
		struct span from = pipe_front(in, keep ? done : 0, size - done),
		            to = pipe_back(out, from.size);
		if (to.at == NULL)
			return done > 0 ? (ssize_t)done : -ENOMEM;
		memcpy(to.at, from.at, to.size);
		pipe_filled(out, to.size);
		if (!keep)
			pipe_taken(in, to.size);
		done += to.size;
	}
	return (ssize_t)done;
}

static ssize_t pipe_to_pipe(struct pipe *in, struct pipe *out, size_t size, bool nonblocking, bool keep)
{
	for (;;) {
		int state = pipe_await_data(in, nonblocking);
		if (state > 0)
			state = pipe_await_room(out, 1, nonblocking);
		if (state <= 0)
			return state;
		/* all who take two take them in this order */
		fiber_mutex_lock(in < out ? &in->lock : &out->lock);
		fiber_mutex_lock(in < out ? &out->lock : &in->lock);
		size_t room = pipe_room(in);
		ssize_t count = move(in, out, size, keep);
		fiber_mutex_unlock(&in->lock);
		fiber_mutex_unlock(&out->lock);
		if (count == 0)
			continue; /* others were quicker */
		if (!keep)
			pipe_wake_writers(in, room);
		pipe_wake_readers(out);
		return count;
	}
}

/* ---- calls ---- */

static bool nonblocking(unsigned flags, const struct file *file)
{
	return flags & SPLICE_NONBLOCK || file->flags & O_NONBLOCK;
}

/* Where the side that is no pipe begins: its own position, or the one given, which only what can seek has. */
static int choose_position(struct file *file, const int64_t *given, uint64_t *position)
{
	if (given != NULL && (file->operations->seek == NULL || *given < 0))
		return -EINVAL;
	*position = given != NULL ? (uint64_t)*given : file->position;
	return 0;
}

/* offsets: NULL, or of the side that is no pipe; they go forward */
static ssize_t splice(struct file *in, int64_t *in_offset, struct file *out, int64_t *out_offset, size_t size,
                      unsigned flags)
{
	struct pipe *from = pipe_of_file(in), *to = pipe_of_file(out);
	struct file *file = from != NULL ? out : in;
	int64_t *offset = from != NULL ? out_offset : in_offset;
	uint64_t position;
	if (!file_readable(in) || !file_writable(out))
		return -EBADF;
	if (from == NULL && to == NULL)
		return -EINVAL;
	if (from == to)
		return -EINVAL;
	if (from != NULL && to != NULL)
		return pipe_to_pipe(from, to, size, nonblocking(flags, in) || nonblocking(flags, out), false);
	int error = choose_position(file, offset, &position);
	if (error == 0 && from != NULL && out->flags & O_APPEND)
		error = -EINVAL;
	if (error != 0)
		return error;
	ssize_t count = from != NULL ? pipe_to_file(in, out, &position, size, nonblocking(flags, in))
	                             : file_to_pipe(in, &position, out, size, nonblocking(flags, out));
	if (offset != NULL)
		*offset = (int64_t)position;
	else
		file->position = position;
	return count;
}

static ssize_t splice_at(struct thread *thread, struct file *in, uint64_t in_address, struct file *out,
                         uint64_t out_address, size_t size, unsigned flags)
{
	int64_t in_offset, out_offset;
	if ((in_address != 0 && pipe_of_file(in) != NULL) || (out_address != 0 && pipe_of_file(out) != NULL))
		return -ESPIPE;
	if ((out_address != 0 && copy_from_user(thread, &out_offset, out_address, sizeof(out_offset)) != 0) ||
	    (in_address != 0 && copy_from_user(thread, &in_offset, in_address, sizeof(in_offset)) != 0))
		return -EFAULT;
	ssize_t count = splice(in, in_address != 0 ? &in_offset : NULL, out,
	                       out_address != 0 ? &out_offset : NULL, size, flags);
	if (count < 0)
		return count;
	if ((out_address != 0 && copy_to_user(thread, out_address, &out_offset, sizeof(out_offset)) != 0) ||
	    (in_address != 0 && copy_to_user(thread, in_address, &in_offset, sizeof(in_offset)) != 0))
		return -EFAULT;
	return count;
}

long sys_splice(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[5];
	if (arguments[4] == 0)
		return 0;
	if (flags & ~(unsigned)SPLICE_KNOWN)
		return -EINVAL;
	struct file *in = file_of(thread, (int)arguments[0]), *out = file_of(thread, (int)arguments[2]);
	ssize_t result = -EBADF;
	if (in != NULL && out != NULL)
		result = splice_at(thread, in, arguments[1], out, arguments[3], io_size_once(arguments[4]),
		                   flags);
	file_put(in);
	file_put(out);
	return result;
}

long sys_tee(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[3];
	if (flags & ~(unsigned)SPLICE_KNOWN)
		return -EINVAL;
	if (arguments[2] == 0)
		return 0;
	struct file *in = file_of(thread, (int)arguments[0]), *out = file_of(thread, (int)arguments[1]);
	struct pipe *from = in != NULL ? pipe_of_file(in) : NULL,
	            *to = out != NULL ? pipe_of_file(out) : NULL;
	ssize_t result;
	if (in == NULL || out == NULL || !file_readable(in) || !file_writable(out))
		result = -EBADF;
	else if (from == NULL || to == NULL || from == to)
		result = -EINVAL;
	else
		result = pipe_to_pipe(from, to, io_size_once(arguments[2]),
		                      nonblocking(flags, in) || nonblocking(flags, out), true);
	file_put(in);
	file_put(out);
	return result;
}

/* User memory and a pipe: which way is the descriptor's matter. That it is non-blocking is none. */
static ssize_t splice_memory(struct file *file, struct io_buffer *buffer, bool nonblocking)
{
	struct pipe *pipe = pipe_of_file(file);
	bool gives = file_writable(file);
	size_t room = 0;
	ssize_t count = 0;
	if (pipe == NULL)
		return -EBADF;
	while (count == 0 && buffer->size > 0) {
		int state =
		        gives ? pipe_await_room(pipe, 1, nonblocking) : pipe_await_data(pipe, nonblocking);
		if (state <= 0)
			return state;
		fiber_mutex_lock(&pipe->lock);
		room = pipe_room(pipe);
		count = gives ? pipe_put(pipe, buffer) : pipe_take(pipe, buffer);
		fiber_mutex_unlock(&pipe->lock);
	}
	if (count > 0 && gives)
		pipe_wake_readers(pipe);
	else if (count > 0)
		pipe_wake_writers(pipe, room);
	return count;
}

long sys_vmsplice(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[3];
	struct linux_iovec *vector;
	struct io_buffer buffer;
	if (flags & ~(unsigned)SPLICE_KNOWN)
		return -EINVAL;
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	ssize_t result = io_vector_from_user(thread, arguments[1], arguments[2], &vector, &buffer);
	if (result == 0)
		result = splice_memory(file, &buffer, flags & SPLICE_NONBLOCK);
	free(vector);
	file_put(file);
	return result;
}
