/* SPDX-License-Identifier: MIT */
/* Wait queues: heaps whose key is priority first, then arrival. */
#include <kernel/queue.h>
#include <kernel/thread.h>

uint64_t queue_arrivals;

void queue_insert(struct wait_queue *queue, struct thread *thread)
{
	heap_insert(&queue->waiting, &thread->wait, queue_order(thread->priority));
}

void queue_rekey(struct wait_queue *queue, struct thread *thread)
{
	uint64_t arrival = thread->wait.key & ((1ul << ARRIVAL_BITS) - 1);

	heap_remove(&queue->waiting, &thread->wait);
	heap_insert(&queue->waiting, &thread->wait, queue_key(thread->priority, arrival));
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
