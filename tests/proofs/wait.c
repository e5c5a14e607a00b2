/* SPDX-License-Identifier: MIT */
/*
 * Wait queues (kernel/core/queue.c) and the leftist heap that they are made of (heap.c): each operation, on
 * any heap of up to THREADS threads, keeps the heap's invariant, adds or removes exactly one, and changes no
 * other key.
 *
 * A heap whose root has the least key, whatever was done to it, gives its threads in the order of their keys;
 * and a key is priority first, then arrival.
 */
#include "proof.h"

#include "kernel/core/heap.c"
#include "kernel/core/queue.c"

#include <kernel/thread.h>

#ifndef THREADS
#define THREADS 4
#endif
#ifndef OP
#define OP any_below(4)
#endif

static struct thread *threads[THREADS];
static struct wait_queue queue;

static struct heap_node *any_link(void)
{
	unsigned i = any_below(THREADS + 1);

	return i < THREADS ? &threads[i]->wait : NULL;
}

static bool waits(const struct thread *thread)
{
	return thread->waits_on == &queue;
}

static bool waits_alone(const struct thread *thread)
{
	return queue_has_lone(&queue) && queue.waiting.root == &thread->wait;
}

/* From each node that waits the way up ends at the root. */
static bool is_rooted(const struct heap_node *node)
{
	for (unsigned i = 0; i < THREADS; i++) {
		if (!node->parent)
			break;
		node = node->parent;
	}
	return node == queue.waiting.root;
}

static uint64_t arrival_of(const struct thread *thread)
{
	return thread->wait.key & ((1ul << ARRIVAL_BITS) - 1);
}

static void check_node(const struct thread *thread)
{
	const struct heap_node *node = &thread->wait, *parent = node->parent;

	if (!waits(thread)) {
		require(!heap_node_linked(node) && !node->parent && !node->left && !node->right);
		return;
	}
	require(is_rooted(node));
	if (waits_alone(thread)) {
		require(!node->parent && !node->left && !node->right);
		return;
	}
	require(heap_node_linked(node) && heap_node_valid(node));
	require(!parent || parent->left == node || parent->right == node);
	require(!node->left || node->left != node->right);
	/* No two have come at the same time, nor one after now. */
	require(node->key == queue_key(thread->priority, arrival_of(thread)) &&
	        arrival_of(thread) <= queue.arrivals);
}

static bool has_arrived_alone(const struct thread *thread)
{
	for (unsigned i = 0; i < THREADS; i++) {
		if (threads[i] != thread && waits(threads[i]) && waits(thread) &&
		    arrival_of(threads[i]) == arrival_of(thread))
			return false;
	}
	return true;
}

static void check_all(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		check_node(threads[i]);
		count += waits(threads[i]);
	}
	for (unsigned i = 0; i < THREADS && !queue_has_lone(&queue); i++)
		require(has_arrived_alone(threads[i]));
	require(queue_has_lone(&queue) ? count == 1 : !count == queue_empty(&queue));
	require(!queue.waiting.root ||
	        (!queue.waiting.root->parent && waits(thread_of_wait(queue.waiting.root))));
}

static void make_any_queue(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		struct thread *thread = threads[i];

		thread->wait.parent = any_link();
		thread->wait.left = any_link();
		thread->wait.right = any_link();
		thread->wait.key = nondet_u64();
		thread->wait.rank = any_below(THREADS + 1);
		thread->waits_on = nondet_bool() ? &queue : NULL;
		thread->priority = (uint8_t)nondet_unsigned();
	}
	queue.waiting.root = any_link();
	queue.arrivals = nondet_u64();
	assume(queue.arrivals < (1ul << ARRIVAL_BITS) - 2);
	proof_assuming = true;
	check_all();
	proof_assuming = false;
}

int main(void)
{
	struct thread *thread, *other, *first;
	uint64_t key, other_key, arrivals;
	bool other_waits, other_alone;
	uint8_t priority;

	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = malloc(sizeof(struct thread));
	if (OP == 4) { /* the first state: nobody waits */
		for (unsigned i = 0; i < THREADS; i++)
			*threads[i] = (struct thread){0};
		check_all();
		return 0;
	}
	make_any_queue();
	/* Threads are alike. */
	thread = threads[0];
	other = threads[1];
	key = thread->wait.key;
	other_key = other->wait.key;
	other_waits = waits(other);
	other_alone = other_waits && waits_alone(other);
	arrivals = queue.arrivals;
	switch (OP) {
	case 0:
		assume(!waits(thread));
		queue_insert(&queue, thread);
		thread->waits_on = &queue;
		prove(heap_node_linked(&thread->wait) && arrival_of(thread) == queue.arrivals &&
		      queue.arrivals > arrivals);
		/* Whoever waited alone came before. */
		if (other_alone)
			prove(arrival_of(other) == arrivals + 1 && arrival_of(thread) == arrivals + 2);
		break;
	case 1:
		assume(waits(thread));
		queue_remove(&queue, thread);
		thread->waits_on = NULL;
		break;
	case 2:
		assume(waits(thread));
		priority = (uint8_t)nondet_unsigned();
		thread->priority = priority;
		queue_rekey(&queue, thread);
		if (!waits_alone(thread))
			prove(arrival_of(thread) == (key & ((1ul << ARRIVAL_BITS) - 1)));
		break;
	default: /* who is first: the highest priority; of equals, the first that came */
		first = queue_first(&queue);
		prove(!other_waits || first);
		if (other_waits && !other_alone && first != other)
			prove(first->priority > other->priority ||
			      (first->priority == other->priority && arrival_of(first) < arrival_of(other)));
		return 0;
	}
	check_all();
	/* Nobody else has come, gone, or changed places. */
	prove(waits(other) == other_waits);
	if (other_waits && !other_alone)
		prove(other->wait.key == other_key);
	return 0;
}
