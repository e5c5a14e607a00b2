/* SPDX-License-Identifier: MIT */
/*
 * Leftist heap. Invariants: a child's key is not less than its parent's; rank(left) >= rank(right);
 * rank = rank(right) + 1. So the right spine, the only way that loops go down, is at most log2(n + 1) long,
 * and ranks change on at most that many nodes on a way up.
 */
#include <kernel/arch.h>
#include <kernel/heap.h>

static uint64_t rank(const struct heap_node *node)
{
	return node ? node->rank : 0;
}

/* Restore rank and order of children. True: the rank is what it was. */
static bool heap_fix(struct heap_node *node)
{
	struct heap_node *left = node->left;
	uint64_t old = node->rank;

	if (rank(left) < rank(node->right)) {
		node->left = node->right;
		node->right = left;
	}
	node->rank = rank(node->right) + 1;
	return node->rank == old;
}

/* Merge two trees; the result's parent is `parent`. */
static struct heap_node *heap_merge(struct heap_node *a, struct heap_node *b, struct heap_node *parent)
{
	struct heap_node *root = NULL, **link = &root, *last = parent;

	/* Down: interleave the right spines by key. Ties keep the order in which keys were made: they never
	 * tie. */
	while (a && b) {
		struct heap_node **least = a->key <= b->key ? &a : &b;
		struct heap_node *node = *least;

		*least = node->right;
		*link = node;
		node->parent = last;
		last = node;
		link = &node->right;
	}
	*link = a ? a : b;
	if (*link)
		(*link)->parent = last;
	/* Up: ranks of the nodes that were relinked. */
	for (; last != parent; last = last->parent)
		heap_fix(last);
	return root;
}

void heap_insert(struct heap *heap, struct heap_node *node, uint64_t key)
{
	kernel_assert(!heap_node_linked(node));
	node->key = key;
	node->rank = 1;
	heap->root = heap->root ? heap_merge(heap->root, node, NULL) : node;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	struct heap_node *parent = node->parent;
	struct heap_node *rest = node->left;

	kernel_assert(heap_node_linked(node));
	/* Leftist: without a left child there is no right one. */
	if (node->right)
		rest = heap_merge(node->left, node->right, parent);
	else if (rest)
		rest->parent = parent;
	node->rank = 0;
	node->left = node->right = node->parent = NULL;
	if (!parent) {
		heap->root = rest;
		return;
	}
	if (parent->left == node)
		parent->left = rest;
	else
		parent->right = rest;
	while (parent && !heap_fix(parent))
		parent = parent->parent;
}

static bool heap_node_valid(const struct heap_node *node)
{
	const struct heap_node *left = node->left, *right = node->right;

	if ((left && (left->parent != node || left->key < node->key)) ||
	    (right && (right->parent != node || right->key < node->key)))
		return false;
	return rank(left) >= rank(right) && node->rank == rank(right) + 1;
}

/* Preorder. */
const struct heap_node *heap_next(const struct heap_node *node)
{
	if (node->left)
		return node->left; /* leftist: without a left child there is no right one */
	while (node->parent && (node == node->parent->right || !node->parent->right))
		node = node->parent;
	return node->parent ? node->parent->right : NULL;
}

bool heap_valid(const struct heap *heap)
{
	if (heap->root && heap->root->parent)
		return false;
	for (const struct heap_node *node = heap->root; node; node = heap_next(node)) {
		if (!heap_node_valid(node))
			return false;
	}
	return true;
}
