/* SPDX-License-Identifier: MIT */
#include "regions.h"

#include <pith/log.h>
#include <pith/slots.h>
#include <pith/startup.h>

/* Each BAR needs at most two new nodes a level, and shares the upper levels with its neighbours. */
#define NODES_MAX 1024

enum node_state {
	NODE_FREE,  /* an uncut Untyped */
	NODE_SPLIT, /* two children */
	NODE_USED,  /* a Memory was made of it, in another slot */
};

struct node {
	uint64_t base;
	uint8_t size_bits;
	uint8_t state;     /* enum node_state */
	uint16_t children; /* index of the first of two */
	cptr_t slot;
};

static struct node nodes[NODES_MAX];
static unsigned node_count, root_count;

static void root_add(const struct startup_entry *entry)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0};
	if (invoke(entry->slot, UNTYPED_INFO, words) || !words[3] || words[0] < PAGE_BITS || words[0] > 60)
		return;
	if (!words[4]) {
		log_warning("a device Untyped without the dma right: its address is unknown");
		return;
	}
	if (node_count == NODES_MAX)
		return;
	nodes[node_count++] =
	        (struct node){.base = words[4], .size_bits = (uint8_t)words[0], .slot = entry->slot};
}

void regions_attach(void)
{
	const struct startup *info = startup();
	node_count = 0;
	for (uint32_t i = 0; i < info->entry_count && i < STARTUP_ENTRIES; i++) {
		if (info->entries[i].kind == STARTUP_UNTYPED)
			root_add(&info->entries[i]);
	}
	root_count = node_count;
	if (!root_count)
		fatal("no device Untyped in the manifest: no register of any device can be reached");
}

static bool node_contains(const struct node *node, uint64_t base, uint64_t size)
{
	uint64_t node_size = 1ull << node->size_bits;
	return base >= node->base && size <= node_size && base - node->base <= node_size - size;
}

static struct node *root_find(uint64_t base, uint64_t size)
{
	for (unsigned i = 0; i < root_count; i++) {
		if (node_contains(&nodes[i], base, size))
			return &nodes[i];
	}
	return NULL;
}

bool region_covered(uint64_t base, uint64_t size)
{
	return root_find(base, size) != NULL;
}

/* One half of the node in a slot of its own; the kernel says which half it is. */
static bool half_make(const struct node *node, struct node *half)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0};
	unsigned bits = node->size_bits - 1u;
	cptr_t slot = slot_allocate();
	if (!slot)
		return false;
	enum error error = untyped_retype(node->slot, OBJECT_UNTYPED, bits, 0, 1, CPTR_NULL, slot);
	if (error) {
		log_error("splitting device memory at %lx: %s", node->base, error_text(error));
		slot_free(slot);
		return false;
	}
	error = invoke(slot, UNTYPED_INFO, words);
	*half = (struct node){.base = words[4], .size_bits = (uint8_t)bits, .slot = slot};
	return !error;
}

static void half_release(struct node *half)
{
	capability_delete(half->slot);
	slot_free(half->slot);
}

/* Both halves, or nothing. */
static bool node_split(struct node *node)
{
	if (node_count + 2 > NODES_MAX)
		return false;
	struct node *halves = &nodes[node_count];
	if (!half_make(node, &halves[0]))
		return false;
	if (!half_make(node, &halves[1])) {
		half_release(&halves[0]);
		return false;
	}
	node->children = (uint16_t)node_count;
	node->state = NODE_SPLIT;
	node_count += 2;
	return true;
}

/* A Memory over the whole of a free node. */
static cptr_t node_memory(struct node *node)
{
	cptr_t slot = slot_allocate();
	if (!slot)
		return CPTR_NULL;
	enum error error = untyped_retype(node->slot, OBJECT_MEMORY, node->size_bits, 0, 1, CPTR_NULL, slot);
	if (error) {
		log_error("device memory at %lx: %s", node->base, error_text(error));
		slot_free(slot);
		return CPTR_NULL;
	}
	node->state = NODE_USED;
	return slot;
}

cptr_t region_memory(uint64_t base, uint64_t size)
{
	if (size < PAGE_SIZE || (size & (size - 1)) || (base & (size - 1)))
		return CPTR_NULL;
	/* A device whose BAR claims the interrupt controllers' addresses does not get them. */
	if (base < 1ull << 32 && base + size > REGION_WINDOW_END)
		return CPTR_NULL;
	struct node *node = root_find(base, size);
	while (node && (1ull << node->size_bits) > size) {
		if (node->state == NODE_USED || (node->state == NODE_FREE && !node_split(node)))
			return CPTR_NULL;
		struct node *child = &nodes[node->children];
		node = node_contains(child, base, size) ? child : child + 1;
		if (!node_contains(node, base, size))
			return CPTR_NULL;
	}
	return node && node->state == NODE_FREE ? node_memory(node) : CPTR_NULL;
}
