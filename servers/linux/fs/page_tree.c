/* SPDX-License-Identifier: MIT */
/* A file's cached pages by number: a tree of 64-way nodes, as high as its largest index needs. Leaves hold
 * pfns. */
#include "fs/internal.h"

#define BITS 6
#define WAYS (1u << BITS)

/* A leaf is allocated without what only inner nodes need: most files have one leaf and nothing else. */
struct node {
	unsigned count; /* slots in use */
	union {
		pfn_t pages[WAYS];
		struct node *children[WAYS];
	};
};
#define LEAF_SIZE (offsetof(struct node, pages) + WAYS * sizeof(pfn_t))

static struct node *node_create(bool leaf)
{
	return calloc(1, leaf ? LEAF_SIZE : sizeof(struct node));
}

static unsigned slot_of(uint64_t index, unsigned level)
{
	return (unsigned)(index >> (level * BITS)) & (WAYS - 1);
}

/* A tree of this height holds indexes below 64^height. */
static bool fits(unsigned height, uint64_t index)
{
	return height * BITS >= 64 || index >> (height * BITS) == 0;
}

pfn_t page_tree_find(const struct page_tree *tree, uint64_t index)
{
	const struct node *node = tree->root;
	if (tree->height == 0 || !fits(tree->height, index))
		return PFN_NONE;
	for (unsigned level = tree->height - 1; level > 0; level--) {
		node = node->children[slot_of(index, level)];
		if (node == NULL)
			return PFN_NONE;
	}
	return node->pages[slot_of(index, 0)];
}

static int grow(struct page_tree *tree, uint64_t index)
{
	while (tree->height == 0 || !fits(tree->height, index)) {
		struct node *root = node_create(tree->height == 0);
		if (root == NULL)
			return -ENOMEM;
		if (tree->height > 0) {
			root->children[0] = tree->root;
			root->count = 1;
		}
		tree->root = root;
		tree->height++;
	}
	return 0;
}

int page_tree_insert(struct page_tree *tree, uint64_t index, pfn_t pfn)
{
	int error = grow(tree, index);
	if (error != 0)
		return error;
	struct node *node = tree->root;
	for (unsigned level = tree->height - 1; level > 0; level--) {
		struct node **child = &node->children[slot_of(index, level)];
		if (*child == NULL) {
			*child = node_create(level == 1);
			if (*child == NULL)
				return -ENOMEM; /* empty nodes above go with the next removal, or with the
				                   tree */
			node->count++;
		}
		node = *child;
	}
	pfn_t *place = &node->pages[slot_of(index, 0)];
	if (*place != PFN_NONE)
		return -EEXIST;
	*place = pfn;
	node->count++;
	return 0;
}

void page_tree_remove(struct page_tree *tree, uint64_t index)
{
	struct node *path[64 / BITS + 2];
	struct node *node = tree->root;
	if (tree->height == 0 || !fits(tree->height, index))
		return;
	for (unsigned level = tree->height - 1;; level--) {
		path[level] = node;
		if (level == 0)
			break;
		node = node->children[slot_of(index, level)];
		if (node == NULL)
			return;
	}
	if (node->pages[slot_of(index, 0)] == PFN_NONE)
		return;
	node->pages[slot_of(index, 0)] = PFN_NONE;
	node->count--;
	for (unsigned level = 0; level < tree->height && path[level]->count == 0; level++) {
		free(path[level]);
		if (level + 1 == tree->height) {
			tree->root = NULL;
			tree->height = 0;
			return;
		}
		path[level + 1]->children[slot_of(index, level + 1)] = NULL;
		path[level + 1]->count--;
	}
}

pfn_t page_tree_next(const struct page_tree *tree, uint64_t *index)
{
	uint64_t at = *index;
	while (tree->height > 0 && fits(tree->height, at)) {
		const struct node *node = tree->root;
		unsigned level = tree->height - 1;
		/* descend as far as there are nodes; where there is none, skip what it would cover */
		while (level > 0 && node->children[slot_of(at, level)] != NULL) {
			node = node->children[slot_of(at, level)];
			level--;
		}
		if (level == 0) {
			for (unsigned slot = slot_of(at, 0); slot < WAYS; slot++, at++) {
				if (node->pages[slot] != PFN_NONE) {
					*index = at;
					return node->pages[slot];
				}
			}
		} else {
			at = ((at >> (level * BITS)) + 1) << (level * BITS);
		}
		if (at == 0) /* beyond the last index */
			break;
	}
	return PFN_NONE;
}
