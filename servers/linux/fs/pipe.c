/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs: a ring of bytes in pages that are there only while they hold some. The pipe belongs to its
 * inode. Copying from and to user memory may wait (for the disk), so a lock makes reads and writes of one
 * pipe take turns. Of packets (O_DIRECT) it is kept where they begin and end.
 */
#include "capability.h"
#include "fs/pipe.h"
#include "syscall.h"

#define SIGPIPE_  13
#define PAGES_MAX (1 << 16) /* with CAP_SYS_RESOURCE; Linux finds no memory for the table of more */

static const struct file_operations pipe_operations;

struct pipe *pipe_of_file(const struct file *file)
{
	return file->operations == &pipe_operations ? file->inode->pipe : NULL;
}

static void drop_page(struct pipe *pipe, uint64_t position)
{
	pfn_t *page = pipe_page(pipe, position);
	if (*page != PFN_NONE)
		page_put(*page);
	*page = PFN_NONE;
}

static void pipe_empty(struct pipe *pipe)
{
	for (size_t i = 0; i < pipe->page_count; i++)
		drop_page(pipe, i * PAGE_SIZE);
	pipe->taken = pipe->put = 0;
	pipe->packet_count = 0;
}

/* What pipes hold is nobody's when memory is short: a user's can hold only so much, and a part of memory. */
static size_t pages_limit(void)
{
	size_t part = pages_total() / 16;
	if (capable(current_thread(), CAP_SYS_RESOURCE) || capable(current_thread(), CAP_SYS_ADMIN))
		return SIZE_MAX;
	return part < PIPE_PAGES_USER ? part : PIPE_PAGES_USER;
}

static struct pipe *pipe_new(void)
{
	uint32_t uid = current_thread()->process->credentials.uid;
	struct pipe *pipe = kept_alloc(sizeof(*pipe));
	pfn_t *pages = pipe != NULL ? kept_alloc(PIPE_PAGES * sizeof(*pages)) : NULL;
	if (pages == NULL) {
		free(pipe);
		return NULL;
	}
	pipe->pages = pages;
	pipe->page_count = PIPE_PAGES;
	pipe->uid = uid;
	pipe->user = user_charge(uid, USER_PIPES, PIPE_PAGES, pages_limit());
	if (pipe->user == NULL) {
		pipe->page_count = PIPE_PAGES_FEW;
		pipe->user = user_charge(uid, USER_PIPES, PIPE_PAGES_FEW, SIZE_MAX);
	}
	if (pipe->user != NULL)
		return pipe;
	free(pages);
	free(pipe);
	return NULL;
}

static void pipe_free(struct pipe *pipe)
{
	pipe_empty(pipe);
	user_discharge(pipe->user, USER_PIPES, pipe->page_count);
	free(pipe->pages);
	free(pipe->packets);
	free(pipe);
}

static void packets_taken(struct pipe *pipe)
{
	unsigned gone = 0;
	while (gone < pipe->packet_count && pipe->packets[gone].end <= pipe->taken)
		gone++;
	pipe->packet_count -= gone;
	memmove(pipe->packets, pipe->packets + gone, pipe->packet_count * sizeof(*pipe->packets));
}

void pipe_taken(struct pipe *pipe, size_t size)
{
	uint64_t before = pipe->taken;
	pipe->taken += size;
	if (pipe->packet_count > 0)
		packets_taken(pipe);
	if (pipe_used(pipe) == 0) {
		drop_page(pipe, before);
		pipe->taken = pipe->put = 0;
	} else if (pipe->taken % PAGE_SIZE == 0 &&
	           pipe->put + PAGE_SIZE <= pipe->taken + pipe->page_count * PAGE_SIZE) {
		/* unless a writer has filled the page's beginning anew: of a full pipe, a page holds both
		 * ends */
		drop_page(pipe, before);
	}
}

static ssize_t take(struct pipe *pipe, struct io_buffer *buffer, size_t size)
{
	size_t done = 0;
	while (done < size) {
		struct span part = pipe_front(pipe, 0, size - done);
		if (io_copy_to(buffer, part.at, part.size) != 0)
			return done > 0 ? (ssize_t)done : -EFAULT;
		pipe_taken(pipe, part.size);
		done += part.size;
	}
	return (ssize_t)done;
}

/* Up to the end of the first packet. If it is reached at all, it goes as a whole. */
static ssize_t take_packet(struct pipe *pipe, struct io_buffer *buffer)
{
	struct pipe_packet first = pipe->packets[0];
	uint64_t start = pipe->taken;
	size_t size = (size_t)(first.end - start);
	ssize_t count = take(pipe, buffer, buffer->size < size ? buffer->size : size);
	if (count <= 0 || start + (size_t)count <= first.start)
		return count;
	for (size_t rest = size - (size_t)count; rest > 0;) {
		size_t part = pipe_front(pipe, 0, rest).size;
		pipe_taken(pipe, part);
		rest -= part;
	}
	return count;
}

ssize_t pipe_take(struct pipe *pipe, struct io_buffer *buffer)
{
	size_t used = pipe_used(pipe);
	if (pipe->packet_count > 0)
		return take_packet(pipe, buffer);
	return take(pipe, buffer, buffer->size < used ? buffer->size : used);
}

static ssize_t put(struct pipe *pipe, struct io_buffer *buffer, size_t size)
{
	size_t done = 0;
	while (done < size && pipe_room(pipe) > 0) {
		struct span part = pipe_back(pipe, size - done);
		int error = part.at == NULL ? -ENOMEM : io_copy_from(buffer, part.at, part.size);
		if (error != 0)
			return done > 0 ? (ssize_t)done : error;
		pipe_filled(pipe, part.size);
		done += part.size;
	}
	return (ssize_t)done;
}

ssize_t pipe_put(struct pipe *pipe, struct io_buffer *buffer)
{
	return put(pipe, buffer, buffer->size);
}

int pipe_await_data(struct pipe *pipe, bool nonblocking)
{
	while (pipe_used(pipe) == 0) {
		if (pipe->writers == 0)
			return 0;
		if (nonblocking)
			return -EAGAIN;
		if (waitq_wait(&pipe->wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
	return 1;
}

int pipe_broken(void)
{
	struct thread *thread = current_thread();
	if (thread != NULL)
		signal_send_thread(thread, SIGPIPE_, 0, 0);
	return -EPIPE;
}

int pipe_await_room(struct pipe *pipe, size_t size, bool nonblocking)
{
	for (;;) {
		if (pipe->readers == 0)
			return pipe_broken();
		if (pipe_room(pipe) >= size)
			return 1;
		if (nonblocking)
			return -EAGAIN;
		if (waitq_wait(&pipe->wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
}

static ssize_t pipe_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct pipe *pipe = file->inode->pipe;
	(void)position;
	if (buffer->size == 0)
		return 0;
	for (;;) {
		if (pipe_used(pipe) == 0) {
			int state = pipe_await_data(pipe, file->flags & O_NONBLOCK);
			if (state <= 0)
				return state;
		}
		fiber_mutex_lock(&pipe->lock);
		size_t room = pipe_room(pipe);
		ssize_t count = pipe_take(pipe, buffer);
		fiber_mutex_unlock(&pipe->lock);
		if (count != 0) {
			pipe_wake_writers(pipe, room);
			return count;
		}
	}
}

/* With the lock and the room. */
static ssize_t put_packet(struct pipe *pipe, struct io_buffer *buffer, size_t size)
{
	if (pipe->packets == NULL)
		pipe->packets = calloc(PIPE_PACKETS, sizeof(*pipe->packets));
	if (pipe->packets == NULL)
		return -ENOMEM;
	uint64_t start = pipe->put;
	ssize_t count = put(pipe, buffer, size);
	if (count > 0)
		pipe->packets[pipe->packet_count++] = (struct pipe_packet){start, pipe->put};
	return count;
}

static ssize_t pipe_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct pipe *pipe = file->inode->pipe;
	bool packets = file->flags & O_DIRECT;
	size_t atomic = buffer->size <= PIPE_ATOMIC ? buffer->size : 1, done = 0;
	(void)position;
	while (buffer->size > 0) {
		if (packets)
			atomic = buffer->size <= PIPE_ATOMIC ? buffer->size : PIPE_ATOMIC;
		if (pipe->readers == 0 || pipe_room(pipe) < atomic) {
			int state = pipe_await_room(pipe, atomic, file->flags & O_NONBLOCK);
			if (state < 0)
				return done > 0 ? (ssize_t)done : state;
		}
		fiber_mutex_lock(&pipe->lock);
		ssize_t count = pipe_room(pipe) < atomic ? 0
		                : packets                ? put_packet(pipe, buffer, atomic)
		                                         : pipe_put(pipe, buffer);
		fiber_mutex_unlock(&pipe->lock);
		if (count < 0)
			return done > 0 ? (ssize_t)done : count;
		if (count > 0) {
			done += (size_t)count;
			atomic = 1;
			pipe_wake_readers(pipe);
		}
	}
	return (ssize_t)done;
}

static unsigned pipe_poll(struct file *file, struct poll_table *table)
{
	struct pipe *pipe = file->inode->pipe;
	unsigned events = 0;
	poll_wait(table, &pipe->wait);
	if (file_readable(file)) {
		if (pipe_used(pipe) > 0)
			events |= POLLIN_ | POLLRDNORM_;
		if (pipe->writers == 0 && pipe->writers_ever != (uintptr_t)file->private)
			events |= POLLHUP_;
	}
	if (file_writable(file)) {
		if (pipe_room(pipe) >= PIPE_ATOMIC)
			events |= POLLOUT_ | POLLWRNORM_;
		if (pipe->readers == 0)
			events |= POLLERR_;
	}
	return events;
}

static long pipe_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	enum { FIONREAD_ = 0x541b };
	int count = (int)pipe_used(file->inode->pipe);
	if (command != FIONREAD_)
		return -ENOTTY;
	return copy_to_user(thread, argument, &count, sizeof(count));
}

static void pipe_release(struct file *file)
{
	struct pipe *pipe = file->inode->pipe;
	if (file_readable(file))
		pipe->readers--;
	if (file_writable(file))
		pipe->writers--;
	waitq_wake_all(&pipe->wait);
	if (pipe->readers == 0 && pipe->writers == 0) {
		pipe_free(pipe);
		file->inode->pipe = NULL;
	}
}

static const struct file_operations pipe_operations = {
        .read = pipe_read,
        .write = pipe_write,
        .poll = pipe_poll,
        .ioctl = pipe_ioctl,
        .release = pipe_release,
};

static void pipe_opened(struct pipe *pipe, const struct file *file)
{
	if (file_readable(file)) {
		pipe->readers++;
		pipe->readers_ever++;
	}
	if (file_writable(file)) {
		pipe->writers++;
		pipe->writers_ever++;
	}
	waitq_wake_all(&pipe->wait);
}

/* An open for reading waits for a writer, and the other way round. */
int fifo_open(struct inode *inode, struct file *file, struct thread *thread)
{
	(void)thread;
	bool reads = file_readable(file), writes = file_writable(file);
	/* made by pipe(): whoever opens it again, through /proc, waits for nobody */
	bool nameless = inode->superblock == anonymous_superblock();
	if (!reads && !writes)
		return -EINVAL;
	if (writes && !reads && file->flags & O_NONBLOCK && !nameless &&
	    (inode->pipe == NULL || inode->pipe->readers == 0))
		return -ENXIO;
	if (inode->pipe == NULL)
		inode->pipe = pipe_new();
	struct pipe *pipe = inode->pipe;
	if (pipe == NULL)
		return -ENOMEM;
	/* of a reader that did not wait for a writer: how many had come before; their going is no news */
	if (file->flags & O_NONBLOCK && reads && !writes && !nameless && pipe->writers == 0)
		file->private = (void *)(uintptr_t)pipe->writers_ever;
	file->operations = &pipe_operations;
	pipe_opened(pipe, file);
	if ((reads && writes) || file->flags & O_NONBLOCK || nameless)
		return 0;
	uint64_t seen = reads ? pipe->writers_ever : pipe->readers_ever;
	while ((reads ? pipe->writers : pipe->readers) == 0 &&
	       seen == (reads ? pipe->writers_ever : pipe->readers_ever)) {
		if (waitq_wait(&pipe->wait, true, DEADLINE_NEVER) != 0) {
			pipe_release(file);
			return -EINTR_RESTART;
		}
	}
	return 0;
}

static int pipe_create(unsigned flags, struct file *ends[2])
{
	int error = anonymous_file(S_IFIFO | 0600, O_RDONLY | flags, &pipe_operations, NULL, &ends[0]);
	if (error != 0)
		return error;
	struct pipe *pipe = pipe_new();
	ends[1] = pipe != NULL ? file_create(ends[0]->inode, NULL, O_WRONLY | flags, &pipe_operations) : NULL;
	if (ends[1] == NULL) {
		if (pipe != NULL)
			pipe_free(pipe);
		ends[0]->operations = NULL;
		file_put(ends[0]);
		return -ENOMEM;
	}
	ends[0]->inode->pipe = pipe;
	pipe_opened(pipe, ends[0]);
	pipe_opened(pipe, ends[1]);
	return 0;
}

static long do_pipe(struct thread *thread, uint64_t address, unsigned flags)
{
	struct file *ends[2];
	int fds[2];
	if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	int error = pipe_create(flags & (O_NONBLOCK | O_DIRECT), ends);
	if (error != 0)
		return error;
	struct file_table *table = file_table_get(thread->process->files);
	fds[0] = file_install(thread, ends[0], flags & O_CLOEXEC);
	fds[1] = fds[0] < 0 ? fds[0] : file_install(thread, ends[1], flags & O_CLOEXEC);
	if (fds[0] < 0)
		file_put(ends[1]);
	error = fds[1] < 0 ? fds[1] : copy_to_user(thread, address, fds, sizeof(fds));
	if (error != 0) {
		for (unsigned i = 0; i < 2; i++) {
			const uint64_t close[6] = {(uint64_t)fds[i]};
			if (fds[i] >= 0)
				sys_close(thread, close);
		}
	}
	file_table_put(table);
	return error;
}

long sys_pipe(struct thread *thread, const uint64_t arguments[6])
{
	return do_pipe(thread, arguments[0], 0);
}

long sys_pipe2(struct thread *thread, const uint64_t arguments[6])
{
	return do_pipe(thread, arguments[0], (unsigned)arguments[1]);
}

/* With the lock: the bytes go over to a ring of another size. */
static int pipe_resize(struct pipe *pipe, size_t page_count)
{
	struct pipe next = {.pages = calloc(page_count, sizeof(*next.pages)), .page_count = page_count};
	size_t used = pipe_used(pipe);
	uint64_t taken = pipe->taken;
	int error = next.pages == NULL ? -ENOMEM : used > page_count * PAGE_SIZE ? -EBUSY : 0;
	while (error == 0 && next.put < used) {
		struct span from = pipe_front(pipe, (size_t)next.put, used), to = pipe_back(&next, from.size);
		if (to.at == NULL) {
			error = -ENOMEM;
			break;
		}
		memcpy(to.at, from.at, to.size);
		pipe_filled(&next, to.size);
	}
	if (error != 0) {
		pipe_empty(&next);
		free(next.pages);
		return error;
	}
	unsigned packet_count = pipe->packet_count;
	pipe_empty(pipe);
	free(pipe->pages);
	pipe->pages = next.pages;
	pipe->page_count = page_count;
	pipe->put = used;
	pipe->packet_count = packet_count;
	for (unsigned i = 0; i < packet_count; i++) {
		pipe->packets[i].start -= pipe->packets[i].start < taken ? pipe->packets[i].start : taken;
		pipe->packets[i].end -= taken;
	}
	return 0;
}

long pipe_size_command(struct thread *thread, struct file *file, bool set, uint64_t size)
{
	struct pipe *pipe = pipe_of_file(file);
	size_t pages = 1;
	if (pipe == NULL)
		return -EBADF;
	if (!set)
		return (long)(pipe->page_count * PAGE_SIZE);
	if ((unsigned)size > 1u << 31)
		return -EINVAL;
	while (pages * PAGE_SIZE < (unsigned)size)
		pages *= 2;
	if (pages > pipe->page_count && pages * PAGE_SIZE > PIPE_SIZE_USERS &&
	    !capable(thread, CAP_SYS_RESOURCE))
		return -EPERM;
	if (pages > PAGES_MAX)
		return -ENOMEM;
	fiber_mutex_lock(&pipe->lock);
	size_t room = pipe_room(pipe), counted = pipe->page_count;
	int error = 0;
	if (pages > counted && user_charge(pipe->uid, USER_PIPES, pages - counted, pages_limit()) == NULL) {
		error = -EPERM;
	} else if (pages != counted) {
		counted = pages > counted ? pages : counted;
		error = pipe_resize(pipe, pages);
		user_discharge(pipe->user, USER_PIPES, counted - pipe->page_count);
	}
	fiber_mutex_unlock(&pipe->lock);
	if (error == 0)
		pipe_wake_writers(pipe, room);
	return error != 0 ? error : (long)(pages * PAGE_SIZE);
}
