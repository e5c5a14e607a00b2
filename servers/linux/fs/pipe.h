/* SPDX-License-Identifier: MIT */
/* Pipes, as the calls that move bytes between pipes and files see them. */
#pragma once

#include "fs/internal.h"

#define PIPE_PAGES      16          /* unless F_SETPIPE_SZ says otherwise */
#define PIPE_SIZE_USERS (1ul << 20) /* F_SETPIPE_SZ without CAP_SYS_RESOURCE */
#define PIPE_PAGES_USER 16384       /* of one, as long as no more is asked for than PIPE_PAGES_FEW */
#define PIPE_PAGES_FEW  2
#define PIPE_ATOMIC     4096
#define PIPE_PACKETS    16 /* that wait at a time */

/* Of a write with O_DIRECT: bytes that one read takes, or as much of them as it asks for. */
struct pipe_packet {
	uint64_t start, end; /* as `taken` and `put` */
};

struct pipe {
	pfn_t *pages;                /* of byte n: pages[n / PAGE_SIZE % page_count] */
	size_t page_count;           /* a power of two */
	struct user *user;           /* whom they count for, */
	uint32_t uid;                /* and its number */
	uint64_t taken, put;         /* run freely; put - taken bytes are in it */
	struct pipe_packet *packets; /* PIPE_PACKETS, the first `packet_count` in use; NULL until the first */
	unsigned packet_count;
	unsigned readers, writers;
	uint64_t readers_ever, writers_ever;
	struct fiber_mutex lock; /* whoever takes or puts; what both ends' bytes come from may wait */
	struct waitq wait;       /* readers, writers, openers, polls */
};

struct pipe *pipe_of_file(const struct file *file); /* NULL: it is none */
static inline size_t pipe_used(const struct pipe *pipe)
{
	return (size_t)(pipe->put - pipe->taken);
}
static inline size_t pipe_room(const struct pipe *pipe)
{
	return pipe->packet_count == PIPE_PACKETS ? 0 : pipe->page_count * PAGE_SIZE - pipe_used(pipe);
}
static inline pfn_t *pipe_page(const struct pipe *pipe, uint64_t position)
{
	return &pipe->pages[position / PAGE_SIZE & (pipe->page_count - 1)];
}

/* Nobody reads what the thread writes: its SIGPIPE; -EPIPE. */
int pipe_broken(void);
/* 1: there is something to take; 0: the end; -EAGAIN, -EINTR_RESTART */
int pipe_await_data(struct pipe *pipe, bool nonblocking);
/* 1: there is room for `size` bytes; -EPIPE (with the signal), -EAGAIN, -EINTR_RESTART */
int pipe_await_room(struct pipe *pipe, size_t size, bool nonblocking);

/* With the lock: what can be taken in one piece, behind `skip` bytes; then it is taken. */
static inline struct span pipe_front(const struct pipe *pipe, size_t skip, size_t size)
{
	uint64_t at = pipe->taken + skip;
	size_t offset = at % PAGE_SIZE, part = PAGE_SIZE - offset;
	if (part > pipe->put - at)
		part = (size_t)(pipe->put - at);
	if (part > size)
		part = size;
	return (struct span){(char *)page_address(*pipe_page(pipe, at)) + offset, part};
}
void pipe_taken(struct pipe *pipe, size_t size);
/* With the lock: room in one piece, NULL if there is no memory; then it is filled. */
static inline struct span pipe_back(struct pipe *pipe, size_t size)
{
	size_t offset = pipe->put % PAGE_SIZE, part = PAGE_SIZE - offset, space = pipe_room(pipe);
	pfn_t *page = pipe_page(pipe, pipe->put);
	if (part > space)
		part = space;
	if (part > size)
		part = size;
	if (*page == PFN_NONE)
		*page = page_allocate(false);
	if (*page == PFN_NONE)
		return (struct span){NULL, 0};
	return (struct span){(char *)page_address(*page) + offset, part};
}
static inline void pipe_filled(struct pipe *pipe, size_t size)
{
	pipe->put += size;
}
/* Those who wait for what was put, and for room; `room`: pipe_room() before it was made. */
static inline void pipe_wake_readers(struct pipe *pipe)
{
	waitq_wake_for(&pipe->wait, WAKE_IN);
}
static inline void pipe_wake_writers(struct pipe *pipe, size_t room)
{
	/* no edge unless poll said that there was no room */
	waitq_wake_for(&pipe->wait, room < PIPE_ATOMIC ? WAKE_OUT : WAKE_QUIET);
}
/* With the lock: bytes, or -errno if there were none. */
ssize_t pipe_take(struct pipe *pipe, struct io_buffer *buffer);
ssize_t pipe_put(struct pipe *pipe, struct io_buffer *buffer);
