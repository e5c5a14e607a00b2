/* SPDX-License-Identifier: MIT */
/* The heap against a table that is searched. */
#include <stdlib.h>

#include <kernel/heap.h>

#include "../check.h"
#include "units.h"

#define NODES 200

static struct heap_node nodes[NODES];
static struct heap heap;
static uint64_t state = 88172645463325252ul;

static uint64_t rnd(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static uint64_t least(void)
{
	uint64_t key = UINT64_MAX;

	for (unsigned i = 0; i < NODES; i++)
		if (heap_node_linked(&nodes[i]) && nodes[i].key < key)
			key = nodes[i].key;
	return key;
}

/* Nodes on the longest way down to the right, the only way that the loops go. */
static unsigned spine(void)
{
	unsigned length = 0;

	for (const struct heap_node *node = heap.root; node; node = node->right)
		length++;
	return length;
}

static void random_operations(uint64_t keys)
{
	unsigned longest = 0;

	for (unsigned i = 0; i < 20000; i++) {
		struct heap_node *node = &nodes[rnd(NODES)];

		if (heap_node_linked(node))
			heap_remove(&heap, node);
		else
			heap_insert(&heap, node, rnd(keys));
		if (spine() > longest)
			longest = spine();
		if (!heap_valid(&heap) || (heap.root ? heap.root->key : UINT64_MAX) != least()) {
			CHECK(!"heap broken");
			return;
		}
	}
	CHECK(longest <= 8); /* log2(200 + 1) */
}

static void drain_in_order(void)
{
	uint64_t last = 0;
	bool sorted = true;

	while (heap.root) {
		sorted &= heap.root->key >= last;
		last = heap.root->key;
		heap_remove(&heap, heap.root);
	}
	CHECK(sorted);
}

unsigned units_heap(unsigned *passed)
{
	random_operations(1ul << 60);
	drain_in_order();
	random_operations(10); /* many equal keys */
	drain_in_order();
	*passed += checks_passed;
	return checks_failed;
}
