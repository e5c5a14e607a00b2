/* SPDX-License-Identifier: MIT */
/* Windows: pages of this Memory may appear in this VSpace or IoSpace with at most these rights. */
#pragma once

#include <kernel/slot.h>
#include <kernel/thread.h>
#include <kernel/vspace.h>

struct window {
	struct slot memory;
	struct slot vspace;            /* of a VSpace or an IoSpace: the object is a struct vspace */
	uint64_t removed;              /* tlb_generation when, unbinding it, its leaves were gone */
	uint64_t hull_start, hull_end; /* virtual; every leaf that was made through it lies inside */
};
_Static_assert(sizeof(struct window) <= 1 << 8, "Window object");

struct map_request {
	uint64_t address;
	uint64_t page; /* first, in the Memory */
	uint64_t pages;
	uint64_t flags; /* rights and enum map_flags */
};

void window_init(struct window *window);
/* One of its slots is going: remove its leaves, then empty both slots. False: preempted, call again. */
bool window_unbind(struct window *window);
void window_attach(struct window *window, struct slot *memory, struct slot *vspace, unsigned rights);
/* Without preemption, for boot. False: it cannot be mapped. */
bool window_map_whole(struct window *window, const struct map_request *request);
/* WINDOW_MAP as part of a reply: what fails or would take long is left to the next fault. */
void window_map_for_reply(struct thread *replier, uint64_t window, const struct map_request *request);
/* WINDOW_MAP if it succeeds at once: a few pages in one table. False, and nothing has changed: it does not.
 */
bool window_map_fast(struct thread *caller, struct window *window);
unsigned window_invoke(struct thread *caller, struct slot *slot, unsigned operation);
