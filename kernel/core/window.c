/* SPDX-License-Identifier: MIT */
/*
 * Windows. The hull grows before the first leaf is written, so at every preemption point all leaves that came
 * through the Window lie inside it; unbinding walks the hull and removes every leaf into the Memory's range,
 * whichever Window made it: removing too much only costs a fault.
 */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/delete.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/syscall.h>
#include <kernel/window.h>

#define PROTECT_PAGES 16 /* between two preemption points: each is found from the root table */

void window_init(struct window *window)
{
	window->memory.place = PLACE_WINDOW_MEMORY;
	window->vspace.place = PLACE_WINDOW_VSPACE;
	window->hull_start = USER_END;
}

/* Its slots are cleared, and so the memory can be used for anything, when no TLB knows a leaf any more. */
bool window_unbind(struct window *window)
{
	struct vspace *vspace = window_vspace(window);
	uint64_t removed = 0;
	unsigned behind;

	if (!vspace)
		return true;
	window->vspace.rights = 0;
	if (!vspace_remove(vspace, &window->hull_start, window->hull_end, window->memory.object,
	                   window->memory.pages << PAGE_BITS, &removed))
		return false;
	/* Somebody else may have removed them just before: what he still has to tell the others counts. */
	if (removed || !window->removed)
		window->removed = vspace->edited;
	behind = vspace_behind(vspace, window->removed);
	if (behind) {
		go_to(cpu_at((unsigned)__builtin_ctz(behind)));
		return false;
	}
	slot_clear(&window->memory);
	slot_clear(&window->vspace);
	window->hull_start = USER_END;
	window->hull_end = window->removed = 0;
	return true;
}

/* ---- map ---- */

/* Whether the TLB may know better than the tables. An IOMMU may also remember that nothing was there. */
static inline bool is_stale(const struct vspace *vspace, pte_t replaced)
{
	return arch_pte_present(replaced) || vspace->io;
}

/* A large leaf. */
static bool map_large(struct vspace *vspace, uint64_t address, pte_t pte, pte_t *replaced)
{
	pte_t *leaf = vspace_leaf(vspace, address, 1);

	if (!leaf)
		return false;
	*replaced |= *leaf;
	if (arch_pte_present(*leaf) && !arch_pte_is_leaf(*leaf, 1))
		vspace_drop_table(vspace, leaf, address);
	*leaf = pte;
	return true;
}

/* Until the end of the table, the next preemption point or the end. */
static inline uint64_t map_run(uint64_t address, uint64_t pages)
{
	uint64_t run = LARGE_PAGES - (address >> PAGE_BITS) % LARGE_PAGES;

	if (run > FEW_PAGES)
		run = FEW_PAGES;
	return run < pages ? run : pages;
}

/* Map from page *done of the request on. ERR_NO_MEMORY or STATUS_RESTART: *done says how far it came. */
static unsigned window_map_pages(struct window *window, const struct map_request *request, uint64_t *done)
{
	struct vspace *vspace = window_vspace(window);
	unsigned level = request->flags & MAP_LARGE ? 1 : 0;
	uint64_t physical = window->memory.object + (request->page << PAGE_BITS);
	uint64_t at = *done, first = at, pages = request->pages;
	pte_t pte = arch_pte_make(physical + (at << PAGE_BITS), request->flags & MAP_RIGHTS, level,
	                          window_memory_type(window, request->flags));
	pte_t replaced = 0;
	unsigned status = ERR_NONE;

	if (pages)
		window_include(window, request->address, request->address + (pages << PAGE_BITS));
	while (at < pages) {
		uint64_t address = request->address + (at << PAGE_BITS);
		uint64_t run = level ? LARGE_PAGES : map_run(address, pages - at);

		if (!(level ? map_large(vspace, address, pte, &replaced)
		            : map_small(vspace_leaf(vspace, address, 0), pte, run, &replaced))) {
			status = ERR_NO_MEMORY;
			break;
		}
		at += run;
		if (pte)
			pte += run << PAGE_BITS;
		if (at < pages && preempt_wanted()) {
			status = STATUS_RESTART;
			break;
		}
	}
	*done = at;
	if (is_stale(vspace, replaced))
		vspace_flush(vspace, request->address + (first << PAGE_BITS), (at - first) << PAGE_BITS);
	return status;
}

/*
 * The caller is told nothing before all CPUs know what was replaced. If there are table pages, but a CPU may
 * still walk them, it has them afterwards.
 */
static unsigned window_tour(struct thread *caller, const struct vspace *vspace, unsigned status)
{
	if (status == STATUS_RESTART)
		return status;
	vspace_tour(caller, vspace);
	return status == ERR_NO_MEMORY && vspace->free_pages && caller->tour ? STATUS_RESTART : status;
}

static unsigned window_map(struct thread *caller, struct window *window)
{
	const struct map_request request = {
	        .address = argument(caller, 0),
	        .page = argument(caller, 1),
	        .pages = argument(caller, 2),
	        .flags = argument(caller, 3),
	};
	unsigned status;

	if (!arguments_zero(caller, 4))
		return ERR_ARGUMENT;
	status = map_check(window, &request);
	if (status)
		return status;
	status = window_map_pages(window, &request, &caller->progress);
	status = window_tour(caller, window_vspace(window), status);
	if (status != STATUS_RESTART)
		result(caller, 0, caller->progress);
	return status;
}

bool window_map_whole(struct window *window, const struct map_request *request)
{
	uint64_t done = 0;
	unsigned status;

	if (map_check(window, request))
		return false;
	do
		status = window_map_pages(window, request, &done);
	while (status == STATUS_RESTART);
	return status == ERR_NONE;
}

void window_map_for_reply(struct thread *replier, uint64_t window, const struct map_request *request)
{
	struct slot *slot;
	uint64_t done = 0;

	if (cspace_find(replier, window, OBJECT_WINDOW, RIGHT_MANAGE, &slot))
		return;
	if (map_check(slot_object(slot), request) != ERR_NONE)
		return;
	if (!window_map_few(slot_object(slot), request))
		window_map_pages(slot_object(slot), request, &done);
	vspace_tour(replier, window_vspace(slot_object(slot)));
}

/* ---- scatter ---- */

/*
 * The pages of a list usually lie close together, so the table that the last one was in is kept. Offsets
 * count pages from the call's base address: `table` translates the `pages` ones from `first` on, all of them
 * user memory, offset 0 at table[0].
 */
struct scatter {
	struct window *window;
	pte_t leaf[16];     /* by rights, of the Memory's page 0 */
	uint64_t limit[16]; /* by rights: the Memory's pages; 0: look closer */
	pte_t *table;
	uint64_t first, pages;
	uint64_t low, high; /* offsets that were touched: [low, high] */
	uint64_t base;      /* page number */
	pte_t replaced;
};

static void scatter_begin(struct scatter *scatter, struct window *window, uint64_t base)
{
	*scatter = (struct scatter){.window = window, .base = base >> PAGE_BITS, .low = UINT64_MAX};
	for (unsigned rights = 1; rights <= MAP_RIGHTS; rights++) {
		scatter->leaf[rights] =
		        arch_pte_make(window->memory.object, rights, 0, window_memory_type(window, 0));
		if (window_allows(window, rights))
			scatter->limit[rights] = window->memory.pages;
	}
}

static bool scatter_find_table(struct scatter *scatter, uint64_t offset)
{
	uint64_t page = scatter->base + offset;
	uint64_t first = page & ~(LARGE_PAGES - 1), end = first + LARGE_PAGES;
	struct vspace *vspace = window_vspace(scatter->window);
	pte_t *leaf = vspace_leaf(vspace, page << PAGE_BITS, 0);

	if (!leaf)
		return false;
	if (first < USER_BASE >> PAGE_BITS)
		first = USER_BASE >> PAGE_BITS;
	if (end > vspace->end >> PAGE_BITS)
		end = vspace->end >> PAGE_BITS;
	scatter->table = leaf - offset;
	scatter->first = first - scatter->base;
	scatter->pages = end - first;
	return true;
}

/* An entry that is unusual: wrong, without rights, or in another table than the last. */
static enum error scatter_odd(struct scatter *scatter, unsigned rights, uint64_t memory_page, uint64_t offset)
{
	uint64_t page = scatter->base + offset;

	if (rights & ~(unsigned)MAP_RIGHTS)
		return ERR_ARGUMENT;
	if (!window_allows(scatter->window, rights))
		return ERR_RIGHTS;
	if (memory_page >= scatter->window->memory.pages || page < USER_BASE >> PAGE_BITS ||
	    page >= window_vspace(scatter->window)->end >> PAGE_BITS)
		return ERR_RANGE;
	return scatter_find_table(scatter, offset) ? ERR_NONE : ERR_NO_MEMORY;
}

/*
 * Map entries of the list from *at to end, of which the list's owner may change any meanwhile: each is read
 * once. The hull includes them before the next preemption point.
 */
__attribute__((noinline)) static unsigned scatter_some(struct scatter *s, const volatile uint64_t **at,
                                                       const volatile uint64_t *end)
{
	const volatile uint64_t *next = *at;
	uint64_t low = s->low, high = s->high;
	pte_t replaced = 0;
	unsigned status = ERR_NONE;

	for (; next < end; next++) {
		uint64_t entry = *next, memory_page = (uint32_t)entry, offset = entry >> 36;
		uint64_t rights = entry >> 32 & 15;

		if (memory_page >= s->limit[rights] || offset - s->first >= s->pages) {
			status = scatter_odd(s, (unsigned)rights, memory_page, offset);
			if (status)
				break;
			if (!rights)
				memory_page = 0; /* an empty leaf is zero */
		}
		if (offset < low)
			low = offset;
		if (offset > high)
			high = offset;
		replaced |= s->table[offset];
		s->table[offset] = s->leaf[rights] + (memory_page << PAGE_BITS);
	}
	*at = next;
	s->low = low;
	s->high = high;
	s->replaced |= replaced;
	if (low <= high)
		window_include(s->window, (s->base + low) << PAGE_BITS, (s->base + high + 1) << PAGE_BITS);
	return status;
}

static unsigned window_map_scatter(struct thread *caller, struct window *window)
{
	const struct ipc_buffer *buffer = thread_buffer(caller);
	struct vspace *vspace = window_vspace(window);
	uint64_t base = argument(caller, 0), count = argument(caller, 1);
	const volatile uint64_t *list, *at, *end;
	struct scatter scatter;
	unsigned status = ERR_NONE;

	if (!arguments_zero(caller, 2))
		return ERR_ARGUMENT;
	if (!window_is_open(window))
		return ERR_STATE;
	if (base % PAGE_SIZE)
		return ERR_ALIGNMENT;
	if (base >= vspace->end)
		return ERR_RANGE;
	if (!buffer || count > (thread_buffer_bytes(caller) - PAGE_SIZE) / sizeof(struct scatter_entry))
		return ERR_NO_BUFFER;
	if (caller->progress > count) /* of a call with more */
		return ERR_ARGUMENT;
	list = (const uint64_t *)buffer->scatter;
	at = list + caller->progress;
	end = list + count;
	scatter_begin(&scatter, window, base);
	while (at < end && !status) {
		status = scatter_some(&scatter, &at, end - at > FEW_PAGES ? at + FEW_PAGES : end);
		if (!status && at < end && preempt_wanted())
			status = STATUS_RESTART;
	}
	caller->progress = (uint64_t)(at - list);
	if (is_stale(vspace, scatter.replaced))
		vspace_flush(vspace, (scatter.base + scatter.low) << PAGE_BITS,
		             (scatter.high + 1 - scatter.low) << PAGE_BITS);
	status = window_tour(caller, vspace, status);
	if (status != STATUS_RESTART)
		result(caller, 0, caller->progress);
	return status;
}

/* ---- protect ---- */

/*
 * Another set of rights for a leaf that keeps everything else (accessed, dirty, memory type): the encodings
 * of both sets differ in just the bits that say rights.
 */
static pte_t pte_change_rights(pte_t pte, unsigned rights, unsigned level)
{
	if (!rights)
		return 0;
	return pte ^ arch_pte_make(0, arch_pte_rights(pte), level, 0) ^ arch_pte_make(0, rights, level, 0);
}

/* All of the leaf: a Window to a part of a large page has no say over the rest. */
static bool window_owns(const struct window *window, pte_t pte, unsigned level)
{
	uint64_t physical = arch_pte_physical(pte), size = level ? LARGE_PAGE_SIZE : PAGE_SIZE;

	return arch_pte_present(pte) && arch_pte_is_leaf(pte, level) && physical >= window->memory.object &&
	       physical + size <= window->memory.object + (window->memory.pages << PAGE_BITS);
}

/* Another CPU may be setting the accessed and the dirty bit. */
static void leaf_change_rights(pte_t *leaf, unsigned rights, unsigned level)
{
	pte_t old = *leaf;

	while (!__atomic_compare_exchange_n(leaf, &old, pte_change_rights(old, rights, level), false,
	                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* Returns the next address to look at. */
static uint64_t window_protect_one(struct window *window, uint64_t address, unsigned rights)
{
	struct vspace *vspace = window_vspace(window);
	unsigned missing;
	pte_t *pte = arch_pte_find(&vspace->arch, address, 0, &missing);

	if (pte) {
		if (window_owns(window, *pte, 0))
			leaf_change_rights(pte, rights, 0);
		return address + PAGE_SIZE;
	}
	pte = arch_pte_find(&vspace->arch, address, 1, &missing);
	if (pte && window_owns(window, *pte, 1)) {
		address &= ~(LARGE_PAGE_SIZE - 1);
		window_include(window, address, address + LARGE_PAGE_SIZE);
		leaf_change_rights(pte, rights, 1);
	}
	return vspace_skip(vspace, address);
}

/* progress: the page to go on with, so that a restart does not begin again. */
static unsigned window_protect(struct thread *caller, struct window *window)
{
	uint64_t address = argument(caller, 0), pages = argument(caller, 1), rights = argument(caller, 2);
	uint64_t end = address + (pages << PAGE_BITS), next;
	struct vspace *vspace = window_vspace(window);
	enum error error;

	if (!arguments_zero(caller, 3) || rights & ~(uint64_t)MAP_RIGHTS)
		return ERR_ARGUMENT;
	if (!window_is_open(window))
		return ERR_STATE;
	if (!window_allows(window, (unsigned)rights))
		return ERR_RIGHTS;
	error = vspace_range_check(vspace, address, pages);
	if (error)
		return error;
	/* Pages that another Window mapped get this one's rights, so they are this one's to remove as well.
	 */
	if (pages)
		window_include(window, address, end);
	for (next = address + (caller->progress << PAGE_BITS); next < end;) {
		next = window_protect_one(window, next, (unsigned)rights);
		if (next % (PROTECT_PAGES * PAGE_SIZE) == 0 && next < end && preempt_wanted())
			break;
	}
	vspace_flush(vspace, address, end - address);
	caller->progress = (next - address) >> PAGE_BITS;
	return window_tour(caller, vspace, next < end ? STATUS_RESTART : (unsigned)ERR_NONE);
}

/* ---- bind, dispatch ---- */

void window_attach(struct window *window, struct slot *memory, struct slot *vspace, unsigned rights)
{
	slot_derive(memory, &window->memory, rights);
	slot_derive(vspace, &window->vspace, RIGHT_MANAGE);
}

static unsigned target_type(const struct thread *caller, uint64_t target)
{
	const struct slot *slot = cspace_lookup(caller, target);

	return slot && slot->type == OBJECT_IO_SPACE ? OBJECT_IO_SPACE : OBJECT_VSPACE;
}

static enum error window_bind(struct thread *caller, struct window *window)
{
	uint64_t rights = argument(caller, 2), target = argument(caller, 1);
	struct slot *memory, *vspace;
	enum error error;

	if (!arguments_zero(caller, 3) || rights & ~(uint64_t)MAP_RIGHTS)
		return ERR_ARGUMENT;
	error = cspace_find_source(caller, argument(caller, 0), OBJECT_MEMORY, RIGHT_MANAGE, &memory);
	if (!error)
		error = cspace_find_source(caller, target, target_type(caller, target), RIGHT_MANAGE,
		                           &vspace);
	if (error)
		return error;
	if (rights & ~(uint64_t)memory->rights)
		return ERR_RIGHTS;
	if (!slot_empty(&window->vspace))
		return ERR_OCCUPIED;
	window_attach(window, memory, vspace, (unsigned)rights);
	return ERR_NONE;
}

unsigned window_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	struct window *window = slot_object(slot);

	switch (operation) {
	case WINDOW_BIND:
		return window_bind(caller, window);
	case WINDOW_MAP:
		return window_map(caller, window);
	case WINDOW_MAP_SCATTER:
		return window_map_scatter(caller, window);
	default:
		return window_protect(caller, window);
	}
}
