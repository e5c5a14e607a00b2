/* SPDX-License-Identifier: MIT */
/*
 * IoSpaces: what a device can reach by DMA. The object is two pages: the table that the IOMMU begins with,
 * and struct io_space. All but attaching is done by the address space inside, to which Windows are bound as
 * to a VSpace; the object word of a capability is its address.
 *
 * Invariant: a device is translated by an IoSpace exactly while `control` holds a capability for it.
 */
#pragma once

#include <kernel/vspace.h>

struct io_space {
	pte_t top;           /* first in its page: see arch_io_space_init() */
	unsigned domain;     /* while attached; else 0 */
	struct slot control; /* of one requester, derived from the IoSpaceControl that it was attached by */
	struct vspace vspace;
};
_Static_assert(sizeof(struct io_space) <= PAGE_SIZE, "the second page of an IoSpace object");

static inline struct io_space *io_space_of(const struct vspace *vspace)
{
	return (struct io_space *)((char *)vspace - offsetof(struct io_space, vspace));
}

/* object: the two pages, zero. */
struct vspace *io_space_init(void *object);
/* `control` is about to be cleared. */
void io_space_detached(struct io_space *io);
unsigned io_space_invoke(struct thread *caller, struct slot *slot, unsigned operation);
