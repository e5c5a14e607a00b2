/* SPDX-License-Identifier: MIT */
/* Windows: pages of this Memory may appear in this VSpace or IoSpace with at most these rights. */
#pragma once

#include <kernel/slot.h>
#include <kernel/thread.h>
#include <kernel/vspace.h>

struct window {
	struct slot memory;
	struct slot vspace; /* of a VSpace or an IoSpace: the object is a struct vspace. No rights: it is
	                       closing */
	uint64_t removed;   /* tlb_generation when, unbinding it, its leaves were gone */
	uint64_t hull_start, hull_end; /* virtual; every leaf that was made through it lies inside */
};
_Static_assert(sizeof(struct window) <= 1 << 8, "Window object");

#define MAP_RIGHTS  (RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE)
#define LARGE_PAGES (LARGE_PAGE_SIZE / PAGE_SIZE)

struct map_request {
	uint64_t address;
	uint64_t page; /* first, in the Memory */
	uint64_t pages;
	uint64_t flags; /* rights and enum map_flags */
};

/* It is bound, and unbinding it, which takes its time, has not begun: that would not come to an end. */
static inline bool window_is_open(const struct window *window)
{
	return window->vspace.rights;
}

void window_init(struct window *window);
/* One of its slots is going: remove its leaves, then empty both slots. False: preempted, call again. */
bool window_unbind(struct window *window);
void window_attach(struct window *window, struct slot *memory, struct slot *vspace, unsigned rights);
/* Without preemption, for boot. False: it cannot be mapped. */
bool window_map_whole(struct window *window, const struct map_request *request);
/* WINDOW_MAP as part of a reply: what fails or would take long is left to the next fault. */
void window_map_for_reply(struct thread *replier, uint64_t window, const struct map_request *request);
unsigned window_invoke(struct thread *caller, struct slot *slot, unsigned operation);

/* ---- mapping, for window.c and the fast path ---- */

static inline struct vspace *window_vspace(const struct window *window)
{
	return slot_object(&window->vspace);
}

static inline void window_include(struct window *window, uint64_t start, uint64_t end)
{
	if (start < window->hull_start)
		window->hull_start = start;
	if (end > window->hull_end)
		window->hull_end = end;
}

/* What a leaf with these rights would allow: an architecture may know no page that is executable but not
 * readable. */
static inline bool window_allows(const struct window *window, unsigned rights)
{
	return !(arch_pte_effective(rights) & ~(unsigned)window->memory.rights);
}

static inline unsigned window_memory_type(const struct window *window, uint64_t flags)
{
	if (window->memory.flags & SLOT_DEVICE && !(flags & MAP_WRITE_COMBINING))
		return MAP_UNCACHED;
	return flags & (MAP_UNCACHED | MAP_WRITE_COMBINING);
}

__attribute__((always_inline)) static inline enum error map_check(const struct window *window,
                                                                  const struct map_request *request)
{
	uint64_t memory = window->memory.pages;
	enum error error;

	if (!window_is_open(window))
		return ERR_STATE;
	if (request->flags & ~(uint64_t)window_vspace(window)->map_flags ||
	    (request->flags & MAP_UNCACHED && request->flags & MAP_WRITE_COMBINING))
		return ERR_ARGUMENT;
	if (!window_allows(window, request->flags & MAP_RIGHTS))
		return ERR_RIGHTS;
	error = vspace_range_check(window_vspace(window), request->address, request->pages);
	if (error)
		return error;
	if (request->page > memory || request->pages > memory - request->page)
		return ERR_RANGE;
	if (request->flags & MAP_LARGE &&
	    ((window->memory.object + (request->page << PAGE_BITS)) % LARGE_PAGE_SIZE ||
	     request->address % LARGE_PAGE_SIZE || request->pages % LARGE_PAGES))
		return ERR_ALIGNMENT;
	return ERR_NONE;
}

/* Consecutive leaves in one table. `replaced` collects what was there. */
static inline bool map_small(pte_t *leaf, pte_t pte, uint64_t pages, pte_t *replaced)
{
	uint64_t step = pte ? PAGE_SIZE : 0;

	if (!leaf)
		return false;
	for (const pte_t *end = leaf + pages; leaf < end; leaf++) {
		*replaced |= *leaf;
		*leaf = pte;
		pte += step;
	}
	return true;
}

/* What is usual: a few pages in one table, which is there. False, and nothing has changed: it is not so. */
__attribute__((always_inline)) static inline bool window_map_few(struct window *window,
                                                                 const struct map_request *request)
{
	struct vspace *vspace = window_vspace(window);
	uint64_t pages = request->pages, address = request->address;
	pte_t replaced = 0, *leaf;

	leaf = vspace_find_few(vspace, address, pages);
	if (!leaf || request->flags & MAP_LARGE)
		return false;
	if (pages)
		window_include(window, address, address + (pages << PAGE_BITS));
	map_small(leaf,
	          arch_pte_make(window->memory.object + (request->page << PAGE_BITS),
	                        request->flags & MAP_RIGHTS, 0, window_memory_type(window, request->flags)),
	          pages, &replaced);
	if (arch_pte_present(replaced))
		vspace_flush(vspace, address, pages << PAGE_BITS);
	return true;
}
