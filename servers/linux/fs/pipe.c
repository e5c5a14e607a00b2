/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs: a ring of bytes in pages that are there only while they hold some. The pipe belongs to its
 * inode. Copying from and to user memory may wait (for the disk), so a lock makes reads and writes of one
 * pipe take turns.
 */
#include "fs/pipe.h"
#include "syscall.h"

#define PIPE_ATOMIC 4096
#define SIGPIPE_    13

static const struct file_operations pipe_operations;

struct pipe *pipe_of_file(const struct file *file)
{
	return file->operations == &pipe_operations ? file->inode->pipe : NULL;
}

static void drop_page(struct pipe *pipe, uint64_t position)
{
	pfn_t *page = &pipe->pages[position / PAGE_SIZE % PIPE_PAGES];
	if (*page != PFN_NONE)
		page_put(*page);
	*page = PFN_NONE;
}

void pipe_inode_free(struct inode *inode)
{
	for (unsigned i = 0; i < PIPE_PAGES; i++)
		drop_page(inode->pipe, i * PAGE_SIZE);
	free(inode->pipe);
	inode->pipe = NULL;
}

void pipe_taken(struct pipe *pipe, size_t size)
{
	uint64_t before = pipe->taken;
	pipe->taken += size;
	if (pipe_used(pipe) == 0) {
		drop_page(pipe, before);
		pipe->taken = pipe->put = 0;
	} else if (pipe->taken % PAGE_SIZE == 0 && pipe->put + PAGE_SIZE <= pipe->taken + PIPE_CAPACITY) {
		/* unless a writer has filled the page's beginning anew: of a full pipe, a page holds both
		 * ends */
		drop_page(pipe, before);
	}
}

ssize_t pipe_take(struct pipe *pipe, struct io_buffer *buffer)
{
	size_t done = 0;
	while (buffer->size > 0 && pipe_used(pipe) > 0) {
		struct span part = pipe_front(pipe, 0, buffer->size);
		if (io_copy_to(buffer, part.at, part.size) != 0)
			return done > 0 ? (ssize_t)done : -EFAULT;
		pipe_taken(pipe, part.size);
		done += part.size;
	}
	return (ssize_t)done;
}

ssize_t pipe_put(struct pipe *pipe, struct io_buffer *buffer)
{
	size_t done = 0;
	while (buffer->size > 0 && pipe_used(pipe) < PIPE_CAPACITY) {
		struct span part = pipe_back(pipe, buffer->size);
		int error = part.at == NULL ? -ENOMEM : io_copy_from(buffer, part.at, part.size);
		if (error != 0)
			return done > 0 ? (ssize_t)done : error;
		pipe_filled(pipe, part.size);
		done += part.size;
	}
	return (ssize_t)done;
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

static int broken_pipe(void)
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
			return broken_pipe();
		if (PIPE_CAPACITY - pipe_used(pipe) >= size)
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
		ssize_t count = pipe_take(pipe, buffer);
		fiber_mutex_unlock(&pipe->lock);
		if (count != 0) {
			waitq_wake_all(&pipe->wait);
			return count;
		}
	}
}

static ssize_t pipe_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct pipe *pipe = file->inode->pipe;
	size_t atomic = buffer->size <= PIPE_ATOMIC ? buffer->size : 1, done = 0;
	(void)position;
	while (buffer->size > 0) {
		if (pipe->readers == 0 || PIPE_CAPACITY - pipe_used(pipe) < atomic) {
			int state = pipe_await_room(pipe, atomic, file->flags & O_NONBLOCK);
			if (state < 0)
				return done > 0 ? (ssize_t)done : state;
		}
		fiber_mutex_lock(&pipe->lock);
		bool fits = PIPE_CAPACITY - pipe_used(pipe) >= atomic;
		ssize_t count = fits ? pipe_put(pipe, buffer) : 0;
		fiber_mutex_unlock(&pipe->lock);
		if (count < 0)
			return done > 0 ? (ssize_t)done : count;
		if (count > 0) {
			done += (size_t)count;
			atomic = 1;
			waitq_wake_all(&pipe->wait);
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
		if (pipe->writers == 0 && pipe->writers_ever > 0)
			events |= POLLHUP_;
	}
	if (file_writable(file)) {
		if (PIPE_CAPACITY - pipe_used(pipe) >= PIPE_ATOMIC)
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
	if (pipe->readers == 0 && pipe->writers == 0) {
		for (unsigned i = 0; i < PIPE_PAGES; i++)
			drop_page(pipe, i * PAGE_SIZE);
		pipe->taken = pipe->put = 0;
	}
	waitq_wake_all(&pipe->wait);
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
	if (inode->pipe == NULL)
		inode->pipe = calloc(1, sizeof(*inode->pipe));
	struct pipe *pipe = inode->pipe;
	if (pipe == NULL)
		return -ENOMEM;
	bool reads = file_readable(file), writes = file_writable(file);
	if (writes && !reads && file->flags & O_NONBLOCK && pipe->readers == 0 && !pipe->nameless)
		return -ENXIO;
	file->operations = &pipe_operations;
	pipe_opened(pipe, file);
	if ((reads && writes) || file->flags & O_NONBLOCK || pipe->nameless)
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
	struct pipe *pipe = calloc(1, sizeof(*pipe));
	ends[1] = pipe != NULL ? file_create(ends[0]->inode, NULL, O_WRONLY | flags, &pipe_operations) : NULL;
	if (ends[1] == NULL) {
		free(pipe);
		ends[0]->operations = NULL;
		file_put(ends[0]);
		return -ENOMEM;
	}
	ends[0]->inode->pipe = pipe;
	pipe->nameless = true;
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
	int error = pipe_create(flags & O_NONBLOCK, ends);
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

long pipe_size_command(struct file *file, bool set, uint64_t size)
{
	if (file->operations != &pipe_operations)
		return -EBADF;
	if (set && size > PIPE_CAPACITY)
		return -EPERM; /* the one size there is is the largest allowed */
	return PIPE_CAPACITY;
}
