/* SPDX-License-Identifier: MIT */
/*
 * Capability slots and the derivation tree.
 *
 * A slot is 64 bytes: a capability (type, rights, object, data) and its links in the tree. Slots live in
 * CNodes and, for every pointer that one object keeps to another, inside objects (`place` tells where, so
 * that clearing a slot has the right side effect).
 *
 * The tree is a forest. Children form a list: `child` is the first, `next` the next sibling; `prev` is the
 * previous sibling or, for the first child, the parent. Roots are children of slot_forest, which is no
 * capability. So a capability moves, and hands its children up, in a constant number of steps; only finding a
 * parent walks the siblings, and only children of Untypeds (at most UNTYPED_CHUNKS siblings) ever ask for
 * theirs.
 *
 * Invariants: a slot of type OBJECT_NULL has no links; s->child->prev == s; s->next->prev == s; an original
 * (SLOT_ORIGINAL) of a retyped object is a child of the Untyped that it was cut from; Untypeds are always
 * originals, so their ancestors are Untypeds; every other capability of an object is below its original, with
 * no more rights and no larger range than its parent.
 */
#pragma once

#include <abi/error.h>
#include <abi/object.h>
#include <abi/types.h>

/* Kernel-internal capability types. */
enum {
	CAP_TABLE_PAGES = OBJECT_TYPE_COUNT, /* in a VSpace's feed slot: pages for page tables */
};

/* Where a slot is. */
enum slot_place {
	PLACE_CNODE,
	PLACE_THREAD, /* + enum thread_binding */
	PLACE_WINDOW_MEMORY = PLACE_THREAD + THREAD_BINDING_COUNT,
	PLACE_WINDOW_VSPACE,
	PLACE_IRQ,
	PLACE_IO_SPACE, /* the IoSpaceControl that it is attached by */
	PLACE_CONTEXT_TIME,
	PLACE_FEED, /* + index of the feed */
};

enum slot_flags {
	SLOT_ORIGINAL = 1 << 0,  /* owns the object */
	SLOT_DEVICE = 1 << 1,    /* Untyped, Memory: not RAM */
	SLOT_DYING = 1 << 2,     /* on the list of delete.c: its object is being taken apart */
	SLOT_DOOMED = 1 << 3,    /* an original whose Untyped is being deleted or revoked, or such an Untyped:
	                            nothing    is derived or retyped from it any more, no chunk comes back */
	SLOT_SELF_HELD = 1 << 4, /* dying Untyped: its slot is slot 0 of a former CNode in its own memory */
};

struct slot {
	uint8_t type; /* enum object_type */
	uint8_t rights;
	uint8_t place; /* enum slot_place; belongs to the slot, not to the capability */
	uint8_t flags;
	union {
		struct {
			uint32_t size_bits : 6;
			uint32_t chunk_bits : 6; /* 0: uncut */
			/* Clearing of the first chunk that is neither used nor clean: units that are
			 * done. */
			uint32_t progress : 20;
		} untyped;
		uint32_t slots; /* CNode: how many */
		uint32_t home;  /* index of the object's CPU: see type_has_home() */
	};
	uint64_t object; /* address in the kernel; Untyped, Memory: physical; IoPorts: first port;
	                    IoSpaceControl: first requester; CpuTime: CPU */
	union {
		struct {
			uint64_t used;  /* bitmap of chunks in use */
			uint64_t clean; /* bitmap of free chunks that are already zero */
		} chunks;               /* Untyped */
		badge_t badge;          /* Endpoint, Notification */
		uint64_t pages;         /* Memory, CAP_TABLE_PAGES */
		uint64_t ports;         /* IoPorts, IoSpaceControl: count */
		struct {
			uint64_t share; /* in 1/1000; in a SchedContext: what is promised to it */
			uint32_t priority;
			uint32_t promised; /* the sum for all SchedContexts below, at most share */
		} time;                    /* CpuTime */
		struct {
			struct slot *next, *prev;
		} dying; /* with SLOT_DYING */
		uint64_t data[2];
	};
	struct slot *child, *next, *prev;
	union {
		struct slot
		        *holder; /* dying Untyped, not self-held: slot 0 of the CNode that its slot lies in */
		uint64_t doomed; /* dying CNode, self-held Untyped: how many slots have this one as holder */
	};
};
_Static_assert(sizeof(struct slot) == 1 << SLOT_BITS, "a capability slot");

/* The first word of a slot, read at once. */
#define SLOT_TYPE_MASK    0xfful
#define SLOT_RIGHTS_SHIFT 8
#define SLOT_HOME_SHIFT   32
static inline uint64_t slot_header(const struct slot *slot)
{
	uint64_t header;

	__builtin_memcpy(&header, slot, sizeof(header));
	return header;
}

static inline bool slot_empty(const struct slot *slot)
{
	return slot->type == OBJECT_NULL;
}

/* These objects belong to one CPU, and every capability to one of them says to which. */
static inline bool type_has_home(unsigned type)
{
	return 1u << type & (1u << OBJECT_THREAD | 1u << OBJECT_SCHED_CONTEXT | 1u << OBJECT_ENDPOINT |
	                     1u << OBJECT_REPLY | 1u << OBJECT_NOTIFICATION);
}

/* It is of this type and has these rights: the first two bytes, looked at together. */
static inline bool slot_allows(const struct slot *slot, unsigned type, unsigned rights)
{
	uint16_t head;

	__builtin_memcpy(&head, slot, sizeof(head));
	return (head & (0xff | rights << 8)) == (type | rights << 8);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "slot_allows()");

static inline void *slot_object(const struct slot *slot)
{
	return (void *)slot->object;
}

extern struct slot slot_forest;

/* The parent (slot_forest for a root; NULL for slot_forest). Walks the siblings: for children of Untypeds. */
struct slot *slot_parent(const struct slot *slot);
/*
 * Whether slot_parent() needs at most SLOT_NEAR steps now. If not, the slot went past so many of its
 * siblings, whose order means nothing: look whether somebody waits, and ask again.
 */
#ifndef SLOT_NEAR
#define SLOT_NEAR 32
#endif
bool slot_approach_parent(struct slot *slot);
/* Walk all slots below top: begin with top->child, NULL ends it. For checks: it visits everything. */
struct slot *slot_next_below(const struct slot *slot, const struct slot *top);
/* Put a capability without parent into an empty slot. */
void slot_set_root(struct slot *slot, unsigned type, unsigned rights, uint64_t object);
/* The same as first child of parent. */
void slot_set_child(struct slot *slot, struct slot *parent, unsigned type, unsigned rights, uint64_t object);
/* to (empty) becomes a child of from, with the same capability but not the ownership. */
void slot_derive(struct slot *from, struct slot *to, unsigned rights);
/* to (empty) takes from's capability and its place in the tree; from is empty afterwards. */
void slot_move(struct slot *from, struct slot *to);
/* Make the first child of slot the sibling after slot. */
void slot_hand_up_child(struct slot *slot);
/* Unlink a slot without children and empty it. No side effects. */
void slot_clear(struct slot *slot);
