/* SPDX-License-Identifier: MIT */
/*
 * What the server keeps because programs asked for it, and how much of that users may have. Without its heap
 * nobody gets on: the last part of it is for the records of memory, and for those with CAP_SYS_RESOURCE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Only that last part is left. */
bool heap_is_low(void);
/* It is, and the thread whose call this is may not have it. */
bool kept_refused(void);
/* Zeroed, for free(); NULL: there is none, or it is refused. */
void *kept_alloc(size_t size);
/* The same, for what is written at once: not cleared. */
void *kept_malloc(size_t size);
/* One of so many equal parts of the heap, in bytes. */
size_t heap_part(unsigned parts);

/* What is counted for each user, by the real user id. */
enum user_count {
	USER_SIGNALS, /* queued: RLIMIT_SIGPENDING */
	USER_WATCHES, /* items of epoll */
	USER_PACKETS, /* bytes of packets of local sockets, with all that belongs to them */
	USER_FLIGHT,  /* files in them */
	USER_PIPES,   /* pages that pipes may hold */
	USER_EVENTS,  /* bytes of inotify's queues */
	USER_COUNTS,
};
struct user;
/* Counts `amount` more, of which there are `limit` at most; NULL: that would be too many (or no memory). */
struct user *user_charge(uint32_t uid, enum user_count which, size_t amount, size_t limit);
void user_discharge(struct user *user, enum user_count which, size_t amount);
