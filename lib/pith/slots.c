/* SPDX-License-Identifier: MIT */
/*
 * Slots of the own CSpace, and kernel objects out of Untypeds.
 *
 * The kernel cuts an Untyped into at most 64 chunks of one size, so what is small comes out of a tree: large
 * Untypeds are cut into smaller ones, step by step (`ladder`), and the objects are the leaves. Each Untyped
 * that we hold is a node; a node is cut once into one chunk size and becomes uncut again when its last chunk
 * is freed. Empty nodes are kept for reuse; when memory runs out they are merged back (deleted) from the
 * leaves up.
 */
#include <string.h>

#include <pith/slots.h>
#include <pith/startup.h>

#include "runtime.h"

#define NODES_MAX        4096
#define NODE_NONE        0 /* node 0 is not used */
#define UNTYPED_BITS_MAX 47

struct node {
	cptr_t untyped;  /* CPTR_NULL: this node is free */
	uint16_t parent; /* NODE_NONE: given from outside */
	uint8_t size_bits;
	uint8_t chunk_bits; /* 0: uncut */
	uint8_t used;       /* chunks in use, at most 64 */
	uint8_t failed; /* the kernel refused a chunk that the books call free: do not ask again until one is
	                   freed */
};

static struct {
	bool ready;
	struct node nodes[NODES_MAX];
	uint16_t node_count; /* highest used + 1 */
	cptr_t next_fresh, slot_count;
	cptr_t free_list; /* through owner[] of free slots */
	uint32_t *owner;  /* per slot: free: next free slot; in use: the node its object came from, or
	                     NODE_NONE */
	uint64_t bytes_total, bytes_used;
	uint16_t hint[UNTYPED_BITS_MAX + 1]; /* by chunk size: the node that served last */
} pool;

static const uint8_t fixed_bits[OBJECT_TYPE_COUNT] = {
#define OBJECT(name, bits) [name] = bits,
        OBJECTS
#undef OBJECT
};

static void pool_init(void)
{
	const struct startup *start = startup();
	pool.ready = true;
	pool.node_count = 1;
	pool.next_fresh = start->first_free_slot;
	pool.slot_count = start->slot_count;
	pool.owner = heap_allocate((pool.slot_count * sizeof(uint32_t) + PAGE_SIZE - 1) / PAGE_SIZE);
	if (!pool.owner)
		pool.next_fresh = pool.slot_count; /* no heap: no slots */
	for (uint32_t i = 0; i < start->entry_count; i++)
		/* Device memory ("device") makes no objects: it is for the bus component to cut itself. */
		if (start->entries[i].kind == STARTUP_UNTYPED &&
		    strcmp(start->entries[i].name, "device") != 0)
			object_feed(start->entries[i].slot, (unsigned)__builtin_ctzl(start->entries[i].size));
}

cptr_t slot_allocate(void)
{
	if (!pool.ready)
		pool_init();
	cptr_t slot = pool.free_list;
	if (slot != CPTR_NULL) {
		pool.free_list = pool.owner[slot];
	} else {
		if (pool.next_fresh >= pool.slot_count)
			return CPTR_NULL;
		slot = pool.next_fresh++;
	}
	pool.owner[slot] = NODE_NONE;
	return slot;
}

void slot_free(cptr_t slot)
{
	if (slot == CPTR_NULL || slot >= pool.slot_count)
		return;
	pool.owner[slot] = pool.free_list;
	pool.free_list = slot;
}

static uint16_t node_create(cptr_t untyped, unsigned size_bits, uint16_t parent)
{
	uint16_t number = 1;
	while (number < pool.node_count && pool.nodes[number].untyped != CPTR_NULL)
		number++;
	if (number == NODES_MAX)
		return NODE_NONE;
	if (number == pool.node_count)
		pool.node_count++;
	pool.nodes[number] =
	        (struct node){.untyped = untyped, .parent = parent, .size_bits = (uint8_t)size_bits};
	return number;
}

void object_feed(cptr_t untyped, unsigned size_bits)
{
	if (!pool.ready)
		pool_init();
	if (size_bits < UNTYPED_MIN_BITS || size_bits > UNTYPED_BITS_MAX)
		return;
	if (node_create(untyped, size_bits, NODE_NONE) != NODE_NONE)
		pool.bytes_total += 1ul << size_bits;
}

/* How large an Untyped to cut for objects of this size: few steps from the largest to the smallest, little
 * waste. */
static unsigned ladder(unsigned bits)
{
	if (bits <= 8)
		return 13;
	if (bits <= 13)
		return 17;
	return bits + 6;
}

static unsigned node_capacity(const struct node *node)
{
	return 1u << (node->size_bits - node->chunk_bits);
}

static bool node_has_chunk(uint16_t number, unsigned bits)
{
	const struct node *node = &pool.nodes[number];
	return node->untyped != CPTR_NULL && node->used && node->chunk_bits == bits && !node->failed &&
	       node->used < node_capacity(node);
}

/* A node already cut into chunks of this size, with a free one. */
static uint16_t node_with_chunk(unsigned bits)
{
	if (node_has_chunk(pool.hint[bits], bits))
		return pool.hint[bits];
	for (uint16_t i = 1; i < pool.node_count; i++)
		if (node_has_chunk(i, bits))
			return pool.hint[bits] = i;
	return NODE_NONE;
}

/* An uncut node that can be cut into chunks of this size: the smallest that is at least `wanted`, else the
 * largest. */
static uint16_t node_to_cut(unsigned bits, unsigned wanted)
{
	uint16_t best = NODE_NONE;
	for (uint16_t i = 1; i < pool.node_count; i++) {
		const struct node *node = &pool.nodes[i];
		if (node->untyped == CPTR_NULL || node->used || node->size_bits < bits ||
		    node->size_bits > bits + 6)
			continue;
		unsigned size = node->size_bits;
		unsigned best_size = best == NODE_NONE ? 0 : pool.nodes[best].size_bits;
		bool better = best_size < wanted ? size > best_size : size >= wanted && size < best_size;
		if (best == NODE_NONE || better)
			best = i;
	}
	return best;
}

/* What is cut out of a node. */
struct wanted {
	enum object_type type;
	unsigned size_bits; /* for the kernel: 0 where the type says it */
	unsigned bits;      /* of the chunk */
	unsigned cpu;
};

static cptr_t node_retype(uint16_t number, const struct wanted *wanted)
{
	struct node *node = &pool.nodes[number];
	cptr_t slot = slot_allocate();
	if (slot == CPTR_NULL)
		return CPTR_NULL;
	if (untyped_retype(node->untyped, wanted->type, wanted->size_bits, wanted->cpu, 1, CPTR_NULL, slot) !=
	    ERR_NONE) {
		slot_free(slot);
		node->failed = 1;
		return CPTR_NULL;
	}
	if (node->used == 0)
		node->chunk_bits = (uint8_t)wanted->bits;
	node->used++;
	pool.owner[slot] = number;
	return slot;
}

static cptr_t node_allocate(const struct wanted *wanted)
{
	uint16_t number = node_with_chunk(wanted->bits);
	if (number == NODE_NONE)
		number = node_to_cut(wanted->bits, ladder(wanted->bits));
	return number == NODE_NONE ? CPTR_NULL : node_retype(number, wanted);
}

/* Make a new uncut node of this size out of what is there. */
static bool node_split(unsigned bits)
{
	if (pool.node_count == NODES_MAX || bits > UNTYPED_BITS_MAX)
		return false;
	const struct wanted wanted = {.type = OBJECT_UNTYPED, .size_bits = bits, .bits = bits};
	cptr_t untyped = node_allocate(&wanted);
	if (untyped == CPTR_NULL)
		return false;
	uint16_t number = node_create(untyped, bits, (uint16_t)pool.owner[untyped]);
	if (number != NODE_NONE)
		return true;
	object_destroy(untyped);
	return false;
}

/* Provide an uncut node for objects of `bits`: split the smallest fitting larger one, level by level from the
 * top. */
static bool node_provide(unsigned bits)
{
	unsigned steps[8], count = 0;
	/* Up the ladder until a level can be taken from directly, then down again. */
	for (unsigned level = bits; count < 8 && level <= UNTYPED_BITS_MAX; count++) {
		unsigned parent = ladder(level);
		steps[count] = parent;
		if (node_split(parent)) {
			while (count-- > 0)
				if (!node_split(steps[count]))
					return false;
			return true;
		}
		level = parent;
	}
	/* The ladder's sizes do not fit what there is: any size up to 64 chunks will do. */
	for (unsigned size = bits + 6; size > bits; size--)
		if (node_split(size))
			return true;
	return false;
}

static void node_release(uint16_t number)
{
	struct node *node = &pool.nodes[number];
	struct node *parent = &pool.nodes[node->parent];
	capability_delete(node->untyped);
	slot_free(node->untyped);
	node->untyped = CPTR_NULL;
	parent->failed = 0;
	if (--parent->used == 0)
		parent->chunk_bits = 0;
}

/* Give unused nodes back to where they were cut from. */
static bool nodes_merge(void)
{
	bool any = false;
	for (bool again = true; again;) {
		again = false;
		for (uint16_t i = 1; i < pool.node_count; i++) {
			struct node *node = &pool.nodes[i];
			if (node->untyped != CPTR_NULL && node->parent != NODE_NONE && node->used == 0) {
				node_release(i);
				again = any = true;
			}
		}
	}
	return any;
}

static bool has_home(enum object_type type)
{
	return type == OBJECT_THREAD || type == OBJECT_SCHED_CONTEXT || type == OBJECT_ENDPOINT ||
	       type == OBJECT_REPLY || type == OBJECT_NOTIFICATION;
}

cptr_t object_create_on(unsigned cpu, enum object_type type, unsigned size_bits)
{
	if (!pool.ready)
		pool_init();
	if ((unsigned)type >= OBJECT_TYPE_COUNT)
		return CPTR_NULL;
	const struct wanted wanted = {
	        .type = type,
	        .size_bits = fixed_bits[type] ? 0 : size_bits,
	        .bits = fixed_bits[type] ? fixed_bits[type] : size_bits,
	        .cpu = has_home(type) ? cpu : 0,
	};
	if (wanted.bits < UNTYPED_MIN_BITS || wanted.bits > UNTYPED_BITS_MAX)
		return CPTR_NULL;
	for (int attempt = 0; attempt < 2; attempt++) {
		cptr_t slot = node_allocate(&wanted);
		if (slot == CPTR_NULL && node_provide(wanted.bits))
			slot = node_allocate(&wanted);
		if (slot != CPTR_NULL) {
			if (type != OBJECT_UNTYPED)
				pool.bytes_used += 1ul << wanted.bits;
			return slot;
		}
		if (attempt == 0 && !nodes_merge())
			break;
	}
	return CPTR_NULL;
}

cptr_t object_create(enum object_type type, unsigned size_bits)
{
	return object_create_on(startup()->cpu, type, size_bits);
}

cptr_t object_untyped(unsigned size_bits)
{
	cptr_t slot = object_create(OBJECT_UNTYPED, size_bits);
	if (slot != CPTR_NULL)
		pool.bytes_used += 1ul << size_bits;
	return slot;
}

void object_destroy(cptr_t slot)
{
	if (slot == CPTR_NULL || slot >= pool.slot_count)
		return;
	struct node *node = &pool.nodes[pool.owner[slot]];
	capability_delete(slot);
	if (pool.owner[slot] != NODE_NONE) {
		pool.bytes_used -= 1ul << node->chunk_bits;
		node->failed = 0;
		pool.hint[node->chunk_bits] = (uint16_t)pool.owner[slot];
		if (--node->used == 0)
			node->chunk_bits = 0;
	}
	slot_free(slot);
}

uint64_t object_bytes_free(void)
{
	if (!pool.ready)
		pool_init();
	return pool.bytes_total - pool.bytes_used;
}
