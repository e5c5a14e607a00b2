/* SPDX-License-Identifier: MIT */
/* CNodes: arrays of slots. Slot 0 is never a capability of its owner; delete.c uses it. */
#pragma once

#include <kernel/cpu.h>
#include <kernel/slot.h>
#include <kernel/thread.h>

/* The slot of an index in the CNode that this capability names, or NULL. */
static inline struct slot *cnode_slot(const struct slot *cnode, uint64_t index)
{
	if (index == CPTR_NULL || index >= cnode->slots)
		return NULL;
	return (struct slot *)cnode->object + index;
}

/* The thread's capability at this index; NULL: no CSpace, out of range, or empty. */
static inline struct slot *cspace_lookup(const struct thread *thread, uint64_t index)
{
	struct slot *slot = cnode_slot(&thread->bindings[BIND_CSPACE], index);

	return slot && !slot_empty(slot) ? slot : NULL;
}

/* The capability at index if it has this type and these rights. With the lock. */
enum error cspace_find(const struct thread *thread, uint64_t index, unsigned type, unsigned rights,
                       struct slot **out);
/* The same of one that is to be derived: what a revocation is on its way to is as good as gone. */
enum error cspace_find_source(const struct thread *thread, uint64_t index, unsigned type, unsigned rights,
                              struct slot **out);
/*
 * Without the lock: what the capability was at one moment. Its object is alive as long as this CPU stays in
 * the kernel if it is the object's home; another CPU's may be gone by now.
 */
struct capability {
	void *object;
	badge_t badge;
	uint64_t header; /* slot_header() */
};
enum error cspace_read(const struct thread *thread, uint64_t index, unsigned type, unsigned rights,
                       struct capability *out);
/* The same if its object lives on this CPU; else ERR_REMOTE. */
enum error cspace_read_local(const struct thread *thread, uint64_t index, unsigned type, unsigned rights,
                             struct capability *out);

static inline struct cpu *capability_home(const struct capability *capability)
{
	return cpu_at((unsigned)(capability->header >> SLOT_HOME_SHIFT));
}

static inline unsigned capability_rights(const struct capability *capability)
{
	return (uint8_t)(capability->header >> SLOT_RIGHTS_SHIFT);
}
/* The CNode to read from or to write into: CPTR_NULL is the thread's own CSpace. */
enum error cspace_find_cnode(const struct thread *thread, uint64_t index, struct slot **out);
unsigned cnode_invoke(struct thread *caller, struct slot *slot, unsigned operation);
