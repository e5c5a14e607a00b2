/* SPDX-License-Identifier: MIT */
/*
 * An intrusive min-heap (leftist tree) over 64-bit keys: insert, take the least, remove any, each in
 * logarithmic time and without recursion. Deadlines and priority-ordered wait queues are made of it.
 */
#pragma once

#include <abi/types.h>

struct heap_node {
	struct heap_node *parent, *left, *right;
	uint64_t key;
	/* In no heap all links are NULL. */
	uint64_t rank; /* 0: in no heap; else 1 + length of the shortest way down to a missing child */
};

struct heap {
	struct heap_node *root;
};

static inline bool heap_node_linked(const struct heap_node *node)
{
	return node->rank != 0;
}

void heap_insert(struct heap *heap, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *heap, struct heap_node *node);
/* All nodes, in no particular order, parents before children: begin with the root, NULL ends it. */
const struct heap_node *heap_next(const struct heap_node *node);
/* For checks: visits all nodes. */
bool heap_valid(const struct heap *heap);
