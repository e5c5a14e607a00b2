/* SPDX-License-Identifier: MIT */
/*
 * Threads that wait for one thing, by priority and then by arrival. Embedded in Endpoint and Notification.
 */
#pragma once

#include <kernel/heap.h>

struct thread;

struct wait_queue {
	struct heap waiting;
};

static inline bool queue_empty(const struct wait_queue *queue)
{
	return queue->waiting.root == NULL;
}

void queue_insert(struct wait_queue *queue, struct thread *thread);
void queue_remove(struct wait_queue *queue, struct thread *thread);
struct thread *queue_first(const struct wait_queue *queue);
