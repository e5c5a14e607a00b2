/* SPDX-License-Identifier: MIT */
/*
 * Sockets: there is no network yet. socket() says so for every family; socketpair gives connected pairs of
 * local stream sockets, which shells and libraries use between processes.
 */
#include "fs/internal.h"
#include "syscall.h"
#include <pith/log.h>

#define FAMILY_UNIX 1
#define TYPE_MASK   15
#define BUFFER_SIZE 65536
#define SIGPIPE_    13

struct stream { /* one direction */
	unsigned references;
	bool no_reader, no_writer;
	uint64_t taken, put;
	struct waitq wait;
	struct fiber_mutex lock;
	uint8_t data[BUFFER_SIZE];
};

struct pair_end {
	struct stream *in, *out;
};

long sys_socket(struct thread *thread, const uint64_t arguments[6])
{
	static uint64_t logged;
	(void)thread;
	if (arguments[0] < 64 && !(logged >> arguments[0] & 1)) {
		logged |= 1ull << arguments[0];
		log_info("socket: address family %u is not supported", (unsigned)arguments[0]);
	}
	return -EAFNOSUPPORT;
}

static size_t used(const struct stream *stream)
{
	return (size_t)(stream->put - stream->taken);
}

static size_t move_out(struct stream *stream, struct io_buffer *buffer)
{
	size_t done = 0;
	while (buffer->size > 0 && used(stream) > 0) {
		struct span place = io_span(buffer, BUFFER_SIZE, true);
		if (place.at == NULL)
			break;
		size_t offset = stream->taken % BUFFER_SIZE, part = place.size;
		if (part > used(stream))
			part = used(stream);
		if (part > BUFFER_SIZE - offset)
			part = BUFFER_SIZE - offset;
		memcpy(place.at, stream->data + offset, part);
		io_advance(buffer, part);
		stream->taken += part;
		done += part;
	}
	return done;
}

static size_t move_in(struct stream *stream, struct io_buffer *buffer)
{
	size_t done = 0;
	while (buffer->size > 0 && used(stream) < BUFFER_SIZE) {
		struct span place = io_span(buffer, BUFFER_SIZE, false);
		if (place.at == NULL)
			break;
		size_t offset = stream->put % BUFFER_SIZE, part = place.size;
		if (part > BUFFER_SIZE - used(stream))
			part = BUFFER_SIZE - used(stream);
		if (part > BUFFER_SIZE - offset)
			part = BUFFER_SIZE - offset;
		memcpy(stream->data + offset, place.at, part);
		io_advance(buffer, part);
		stream->put += part;
		done += part;
	}
	return done;
}

static ssize_t pair_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct stream *stream = ((struct pair_end *)file->private)->in;
	(void)position;
	if (buffer->size == 0)
		return 0;
	while (used(stream) == 0) {
		if (stream->no_writer || stream->no_reader)
			return 0;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (waitq_wait(&stream->wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
	fiber_mutex_lock(&stream->lock);
	size_t done = move_out(stream, buffer);
	fiber_mutex_unlock(&stream->lock);
	waitq_wake_all(&stream->wait);
	return done > 0 ? (ssize_t)done : -EFAULT;
}

static ssize_t pair_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct stream *stream = ((struct pair_end *)file->private)->out;
	size_t done = 0;
	(void)position;
	while (buffer->size > 0) {
		if (stream->no_reader || stream->no_writer) {
			if (done > 0)
				break;
			signal_send_thread(current_thread(), SIGPIPE_, 0, 0);
			return -EPIPE;
		}
		if (used(stream) < BUFFER_SIZE) {
			fiber_mutex_lock(&stream->lock);
			size_t count = move_in(stream, buffer);
			fiber_mutex_unlock(&stream->lock);
			waitq_wake_all(&stream->wait);
			done += count;
			if (count == 0 && used(stream) < BUFFER_SIZE)
				return done > 0 ? (ssize_t)done : -EFAULT;
			continue;
		}
		if (file->flags & O_NONBLOCK)
			return done > 0 ? (ssize_t)done : -EAGAIN;
		if (waitq_wait(&stream->wait, true, DEADLINE_NEVER) != 0)
			return done > 0 ? (ssize_t)done : -EINTR_RESTART;
	}
	return (ssize_t)done;
}

static unsigned pair_poll(struct file *file, struct poll_table *table)
{
	struct pair_end *end = file->private;
	unsigned events = 0;
	poll_wait(table, &end->in->wait);
	poll_wait(table, &end->out->wait);
	if (used(end->in) > 0 || end->in->no_writer)
		events |= POLLIN_ | POLLRDNORM_;
	if (end->in->no_writer)
		events |= POLLRDHUP_ | (end->out->no_reader ? POLLHUP_ : 0);
	if (used(end->out) < BUFFER_SIZE / 2 || end->out->no_reader)
		events |= POLLOUT_ | POLLWRNORM_;
	return events;
}

static void stream_put(struct stream *stream)
{
	waitq_wake_all(&stream->wait);
	if (--stream->references == 0)
		free(stream);
}

static void pair_release(struct file *file)
{
	struct pair_end *end = file->private;
	end->in->no_reader = true;
	end->out->no_writer = true;
	stream_put(end->in);
	stream_put(end->out);
	free(end);
}

static long pair_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	enum { INQ = 0x541b };
	int count = (int)used(((struct pair_end *)file->private)->in);
	return command == INQ ? copy_to_user(thread, argument, &count, sizeof(count)) : -ENOTTY;
}

static const struct file_operations pair_operations = {.read = pair_read,
                                                       .write = pair_write,
                                                       .poll = pair_poll,
                                                       .ioctl = pair_ioctl,
                                                       .release = pair_release};

static int pair_create(unsigned flags, struct file *files[2])
{
	struct stream *streams[2] = {calloc(1, sizeof(struct stream)), calloc(1, sizeof(struct stream))};
	struct pair_end *ends[2] = {calloc(1, sizeof(struct pair_end)), calloc(1, sizeof(struct pair_end))};
	int error =
	        streams[0] == NULL || streams[1] == NULL || ends[0] == NULL || ends[1] == NULL ? -ENOMEM : 0;
	files[0] = files[1] = NULL;
	for (unsigned i = 0; i < 2 && error == 0; i++) {
		*ends[i] = (struct pair_end){streams[i], streams[1 - i]};
		streams[i]->references = 2;
		error = anonymous_file(S_IFSOCK | 0777, O_RDWR | flags, &pair_operations, ends[i], &files[i]);
	}
	if (error == 0)
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		if (files[i] != NULL)
			files[i]->operations = NULL;
		file_put(files[i]);
		free(streams[i]);
		free(ends[i]);
	}
	return error;
}

long sys_socketpair(struct thread *thread, const uint64_t arguments[6])
{
	unsigned type = (unsigned)arguments[1] & TYPE_MASK;
	unsigned flags = (unsigned)arguments[1] & (O_NONBLOCK | O_CLOEXEC);
	struct file *files[2];
	int fds[2];
	if (arguments[0] != FAMILY_UNIX)
		return -EAFNOSUPPORT;
	if (type != 1) /* SOCK_STREAM */
		return -ESOCKTNOSUPPORT;
	int error = pair_create(flags & O_NONBLOCK, files);
	if (error != 0)
		return error;
	fds[0] = file_install(thread, files[0], flags & O_CLOEXEC);
	fds[1] = file_install(thread, files[1], flags & O_CLOEXEC);
	error = fds[0] < 0   ? fds[0]
	        : fds[1] < 0 ? fds[1]
	                     : copy_to_user(thread, arguments[3], fds, sizeof(fds));
	for (unsigned i = 0; i < 2 && error != 0; i++) {
		const uint64_t close[6] = {(uint64_t)fds[i]};
		if (fds[i] >= 0)
			sys_close(thread, close);
	}
	return error;
}

/* ---- calls on sockets: only pairs are any ---- */

static struct file *socket_of(struct thread *thread, uint64_t fd, long *error)
{
	struct file *file = file_of(thread, (int)fd);
	*error = file == NULL ? -EBADF : file->operations != &pair_operations ? -ENOTSOCK : 0;
	if (*error == 0)
		return file;
	file_put(file);
	return NULL;
}

static long on_socket(struct thread *thread, const uint64_t arguments[6], long answer)
{
	long error;
	struct file *file = socket_of(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	file_put(file);
	return answer;
}

long sys_shutdown(struct thread *thread, const uint64_t arguments[6])
{
	long error;
	if (arguments[1] > 2)
		return -EINVAL;
	struct file *file = socket_of(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	struct pair_end *end = file->private;
	if (arguments[1] != 1)
		end->in->no_reader = true;
	if (arguments[1] != 0)
		end->out->no_writer = true;
	waitq_wake_all(&end->in->wait);
	waitq_wake_all(&end->out->wait);
	file_put(file);
	return 0;
}

static long transfer(struct thread *thread, const uint64_t arguments[6], bool receive)
{
	enum { DONTWAIT = 0x40, NOSIGNAL = 0x4000 };
	long error;
	struct file *file = socket_of(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	struct io_buffer buffer = {.thread = thread, .user = arguments[1], .size = arguments[2]};
	struct file view = *file; /* with the call's own flags */
	if (arguments[3] & DONTWAIT)
		view.flags |= O_NONBLOCK;
	if (arguments[3] & ~(uint64_t)(DONTWAIT | NOSIGNAL))
		error = -EOPNOTSUPP;
	else if (!receive && arguments[3] & NOSIGNAL && ((struct pair_end *)file->private)->out->no_reader)
		error = -EPIPE;
	else
		error = receive ? pair_read(&view, &buffer, NULL) : pair_write(&view, &buffer, NULL);
	file_put(file);
	return error;
}

long sys_sendto(struct thread *thread, const uint64_t arguments[6])
{
	return transfer(thread, arguments, false);
}

long sys_recvfrom(struct thread *thread, const uint64_t arguments[6])
{
	return transfer(thread, arguments, true);
}

#define SOCKET_CALL(name, answer)                                           \
	long sys_##name(struct thread *thread, const uint64_t arguments[6]) \
	{                                                                   \
		return on_socket(thread, arguments, answer);                \
	}
SOCKET_CALL(connect, -EISCONN)
SOCKET_CALL(accept, -EINVAL)
SOCKET_CALL(accept4, -EINVAL)
SOCKET_CALL(bind, -EOPNOTSUPP)
SOCKET_CALL(listen, -EINVAL)
SOCKET_CALL(sendmsg, -EOPNOTSUPP)
SOCKET_CALL(recvmsg, -EOPNOTSUPP)
SOCKET_CALL(getsockname, -EOPNOTSUPP)
SOCKET_CALL(getpeername, -EOPNOTSUPP)
SOCKET_CALL(setsockopt, 0)
SOCKET_CALL(getsockopt, -ENOPROTOOPT)
