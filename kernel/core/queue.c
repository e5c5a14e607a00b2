/* SPDX-License-Identifier: MIT */
/* Wait queues: heaps whose key is priority first, then arrival. */
#include <kernel/queue.h>
#include <kernel/thread.h>

#define ARRIVAL_BITS 56

/* Arrivals are counted for all queues together; 2^56 of them take longer than hardware lasts. */
static uint64_t arrivals;

void queue_insert(struct wait_queue *queue, struct thread *thread)
{
	uint64_t order = (uint64_t)(PRIORITY_MAX - thread->priority) << ARRIVAL_BITS;

	heap_insert(&queue->waiting, &thread->wait, order | (++arrivals & ((1ul << ARRIVAL_BITS) - 1)));
}

void queue_remove(struct wait_queue *queue, struct thread *thread)
{
	heap_remove(&queue->waiting, &thread->wait);
}

struct thread *queue_first(const struct wait_queue *queue)
{
	struct heap_node *root = queue->waiting.root;

	return root ? thread_of_wait(root) : NULL;
}
