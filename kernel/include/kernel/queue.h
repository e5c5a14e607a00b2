/* SPDX-License-Identifier: MIT */
/*
 * Threads that wait for one thing, by priority and then by arrival. Embedded in Endpoint and Notification.
 */
#pragma once

#include <kernel/heap.h>

struct thread;

struct wait_queue {
	struct heap waiting;
	uint64_t arrivals; /* ever: 2^56 of them take longer than hardware lasts */
};

static inline bool queue_empty(const struct wait_queue *queue)
{
	return queue->waiting.root == NULL;
}

#define ARRIVAL_BITS 56

/* Priority first, then arrival. */
static inline uint64_t queue_key(unsigned priority, uint64_t arrival)
{
	return ((uint64_t)(PRIORITY_MAX - priority) << ARRIVAL_BITS) + arrival;
}

/*
 * Whoever waits alone may do so without a key and with rank 0 (fastpath.c): it gets both when another comes.
 * For all others queue membership and rank agree.
 */
void queue_insert(struct wait_queue *queue, struct thread *thread);
void queue_remove(struct wait_queue *queue, struct thread *thread);
/* The thread's priority has changed: its place among its new equals is by arrival. */
void queue_rekey(struct wait_queue *queue, struct thread *thread);
/* For checks. */
bool queue_valid(const struct wait_queue *queue);
struct thread *queue_first(const struct wait_queue *queue);
