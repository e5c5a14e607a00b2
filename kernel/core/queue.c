/* SPDX-License-Identifier: MIT */
/* Wait queues: heaps whose key is priority first, then arrival. */
#include <kernel/queue.h>
#include <kernel/thread.h>

/* The key of one that comes now. */
static uint64_t queue_order(struct wait_queue *queue, unsigned priority)
{
	return queue_key(priority, ++queue->arrivals);
}

static bool queue_has_lone(const struct wait_queue *queue)
{
	return queue->waiting.root && !heap_node_linked(queue->waiting.root);
}

/* The one that waits there alone is put in order, as if it came now: nobody else has come since it did. */
static void queue_order_lone(struct wait_queue *queue)
{
	struct heap_node *node = queue->waiting.root;

	if (!queue_has_lone(queue))
		return;
	queue->waiting.root = NULL;
	heap_insert(&queue->waiting, node, queue_order(queue, thread_of_wait(node)->priority));
}

void queue_insert(struct wait_queue *queue, struct thread *thread)
{
	queue_order_lone(queue);
	heap_insert(&queue->waiting, &thread->wait, queue_order(queue, thread->priority));
}

void queue_rekey(struct wait_queue *queue, struct thread *thread)
{
	uint64_t arrival = thread->wait.key & ((1ul << ARRIVAL_BITS) - 1);

	if (queue_has_lone(queue))
		return;
	heap_remove(&queue->waiting, &thread->wait);
	heap_insert(&queue->waiting, &thread->wait, queue_key(thread->priority, arrival));
}

void queue_remove(struct wait_queue *queue, struct thread *thread)
{
	if (queue_has_lone(queue))
		queue->waiting.root = NULL;
	else
		heap_remove(&queue->waiting, &thread->wait);
}

struct thread *queue_first(const struct wait_queue *queue)
{
	struct heap_node *root = queue->waiting.root;

	return root ? thread_of_wait(root) : NULL;
}

bool queue_valid(const struct wait_queue *queue)
{
	const struct heap_node *root = queue->waiting.root;

	return queue_has_lone(queue) ? !root->left && !root->right && !root->parent
	                             : heap_valid(&queue->waiting);
}
