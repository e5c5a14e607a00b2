/* SPDX-License-Identifier: MIT */
/*
 * Windows. The hull grows before the first leaf is written, so at every preemption point all leaves that came
 * through the Window lie inside it; unbinding walks the hull and removes every leaf into the Memory's range,
 * whichever Window made it: removing too much only costs a fault.
 */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/delete.h>
#include <kernel/syscall.h>
#include <kernel/window.h>

#define MAP_RIGHTS      (RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE)
#define MAP_FLAGS       (MAP_RIGHTS | MAP_LARGE | MAP_UNCACHED)
#define LARGE_PAGES     (LARGE_PAGE_SIZE / PAGE_SIZE)
#define PREEMPT_PAGES   64
#define REPLY_MAP_PAGES 64

void window_init(struct window *window)
{
	window->memory.place = PLACE_WINDOW_MEMORY;
	window->vspace.place = PLACE_WINDOW_VSPACE;
	window->hull_start = USER_END;
}

static struct vspace *window_vspace(const struct window *window)
{
	return slot_object(&window->vspace);
}

static void window_include(struct window *window, uint64_t start, uint64_t end)
{
	if (start < window->hull_start)
		window->hull_start = start;
	if (end > window->hull_end)
		window->hull_end = end;
}

bool window_unbind(struct window *window)
{
	uint64_t removed = 0;

	if (slot_empty(&window->vspace))
		return true;
	if (!vspace_remove(window_vspace(window), &window->hull_start, window->hull_end,
	                   window->memory.object, window->memory.pages << PAGE_BITS, &removed))
		return false;
	slot_clear(&window->memory);
	slot_clear(&window->vspace);
	window->hull_start = USER_END;
	window->hull_end = 0;
	return true;
}

/* What a leaf with these rights would allow: an architecture may know no page that is executable but not
 * readable. */
static bool window_allows(const struct window *window, unsigned rights)
{
	return !((rights | arch_pte_rights(arch_pte_make(0, rights, 0, false))) &
	         ~(unsigned)window->memory.rights);
}

/* ---- map ---- */

static bool window_is_uncached(const struct window *window, uint64_t flags)
{
	return flags & MAP_UNCACHED || window->memory.flags & SLOT_DEVICE;
}

static enum error map_check(const struct window *window, const struct map_request *request)
{
	uint64_t memory = window->memory.pages;
	enum error error;

	if (slot_empty(&window->vspace))
		return ERR_STATE;
	if (request->flags & ~(uint64_t)MAP_FLAGS)
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

/* The leaf to write for this page, found anew or the one behind the last. */
static pte_t *map_next_leaf(struct vspace *vspace, pte_t *last, uint64_t address, unsigned level)
{
	if (last && level == 0 && address % LARGE_PAGE_SIZE)
		return last + 1;
	return vspace_leaf(vspace, address, level);
}

/* Write one leaf. True: the TLB may hold what was there. */
static bool map_write(struct vspace *vspace, pte_t *leaf, pte_t pte, uint64_t address, unsigned level)
{
	pte_t old = *leaf;

	if (level > 0 && arch_pte_present(old) && !arch_pte_is_leaf(old, level))
		vspace_drop_table(vspace, leaf, address);
	*leaf = pte;
	return arch_pte_present(old);
}

/* Map from page *done of the request on. ERR_NO_MEMORY or STATUS_RESTART: *done says how far it came. */
static unsigned window_map_pages(struct window *window, const struct map_request *request, uint64_t *done)
{
	struct vspace *vspace = window_vspace(window);
	unsigned level = request->flags & MAP_LARGE ? 1 : 0, rights = request->flags & MAP_RIGHTS;
	uint64_t step = level ? LARGE_PAGES : 1, first = *done;
	uint64_t physical = window->memory.object + (request->page << PAGE_BITS);
	bool uncached = window_is_uncached(window, request->flags), flush = false;
	unsigned status = ERR_NONE;
	pte_t *leaf = NULL;

	if (request->pages)
		window_include(window, request->address, request->address + (request->pages << PAGE_BITS));
	while (*done < request->pages) {
		uint64_t offset = *done << PAGE_BITS;

		leaf = map_next_leaf(vspace, leaf, request->address + offset, level);
		if (!leaf) {
			status = ERR_NO_MEMORY;
			break;
		}
		flush |= map_write(vspace, leaf, arch_pte_make(physical + offset, rights, level, uncached),
		                   request->address + offset, level);
		*done += step;
		if (*done % PREEMPT_PAGES == 0 && *done < request->pages && arch_interrupt_pending()) {
			status = STATUS_RESTART;
			break;
		}
	}
	if (flush)
		vspace_flush(vspace, request->address + (first << PAGE_BITS), (*done - first) << PAGE_BITS);
	return status;
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

	if (cspace_find(replier, window, OBJECT_WINDOW, RIGHT_MANAGE, &slot) ||
	    request->pages > REPLY_MAP_PAGES)
		return;
	if (map_check(slot_object(slot), request) == ERR_NONE)
		window_map_pages(slot_object(slot), request, &done);
}

/* ---- scatter ---- */

/* One entry of the list. */
static enum error scatter_one(struct window *window, uint64_t base, struct scatter_entry entry, bool *flush,
                              pte_t **last, uint64_t *last_address)
{
	struct vspace *vspace = window_vspace(window);
	uint64_t address = base + (((uint64_t)entry.virtual_page_rights >> 4) << PAGE_BITS);
	unsigned rights = entry.virtual_page_rights & MAP_RIGHTS;
	pte_t *leaf;

	if (entry.virtual_page_rights & 8)
		return ERR_ARGUMENT;
	if (!window_allows(window, rights))
		return ERR_RIGHTS;
	if (entry.memory_page >= window->memory.pages || address < USER_BASE || address >= vspace->end)
		return ERR_RANGE;
	window_include(window, address, address + PAGE_SIZE);
	if (*last && address == *last_address + PAGE_SIZE)
		leaf = map_next_leaf(vspace, *last, address, 0);
	else
		leaf = vspace_leaf(vspace, address, 0);
	if (!leaf)
		return ERR_NO_MEMORY;
	*flush |= map_write(vspace, leaf,
	                    arch_pte_make(window->memory.object + ((uint64_t)entry.memory_page << PAGE_BITS),
	                                  rights, 0, window_is_uncached(window, 0)),
	                    address, 0);
	*last = leaf;
	*last_address = address;
	return ERR_NONE;
}

static unsigned window_map_scatter(struct thread *caller, struct window *window)
{
	const struct ipc_buffer *buffer = thread_buffer(caller);
	struct vspace *vspace = window_vspace(window);
	uint64_t base = argument(caller, 0), count = argument(caller, 1), last_address = 0;
	unsigned status = ERR_NONE;
	bool flush = false;
	pte_t *last = NULL;

	if (!arguments_zero(caller, 2))
		return ERR_ARGUMENT;
	if (slot_empty(&window->vspace))
		return ERR_STATE;
	if (base % PAGE_SIZE)
		return ERR_ALIGNMENT;
	if (base >= vspace->end)
		return ERR_RANGE;
	if (!buffer || count > (thread_buffer_bytes(caller) - PAGE_SIZE) / sizeof(struct scatter_entry))
		return ERR_NO_BUFFER;
	while (caller->progress < count) {
		status = scatter_one(window, base, buffer->scatter[caller->progress], &flush, &last,
		                     &last_address);
		if (status)
			break;
		caller->progress++;
		if (caller->progress % PREEMPT_PAGES == 0 && caller->progress < count &&
		    arch_interrupt_pending()) {
			status = STATUS_RESTART;
			break;
		}
	}
	if (flush)
		vspace_flush(vspace, 0, vspace->end);
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
	return pte ^ arch_pte_make(0, arch_pte_rights(pte), level, false) ^
	       arch_pte_make(0, rights, level, false);
}

static bool window_owns(const struct window *window, pte_t pte, unsigned level)
{
	uint64_t physical = arch_pte_physical(pte);

	return arch_pte_present(pte) && arch_pte_is_leaf(pte, level) && physical >= window->memory.object &&
	       physical < window->memory.object + (window->memory.pages << PAGE_BITS);
}

/* Returns the next address to look at. */
static uint64_t window_protect_one(struct window *window, uint64_t address, unsigned rights)
{
	struct vspace *vspace = window_vspace(window);
	unsigned missing;
	pte_t *pte = arch_pte_find(&vspace->arch, address, 0, &missing);

	if (pte) {
		if (window_owns(window, *pte, 0))
			*pte = pte_change_rights(*pte, rights, 0);
		return address + PAGE_SIZE;
	}
	pte = arch_pte_find(&vspace->arch, address, 1, &missing);
	if (pte && window_owns(window, *pte, 1))
		*pte = pte_change_rights(*pte, rights, 1);
	return (address | (LARGE_PAGE_SIZE - 1)) + 1;
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
	if (slot_empty(&window->vspace))
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
		if (next % (PREEMPT_PAGES * PAGE_SIZE) == 0 && next < end && arch_interrupt_pending())
			break;
	}
	vspace_flush(vspace, address, end - address);
	caller->progress = (next - address) >> PAGE_BITS;
	return next < end ? STATUS_RESTART : (unsigned)ERR_NONE;
}

/* ---- bind, dispatch ---- */

void window_attach(struct window *window, struct slot *memory, struct slot *vspace, unsigned rights)
{
	slot_derive(memory, &window->memory, rights);
	slot_derive(vspace, &window->vspace, RIGHT_MANAGE);
}

static enum error window_bind(struct thread *caller, struct window *window)
{
	uint64_t rights = argument(caller, 2);
	struct slot *memory, *vspace;
	enum error error;

	if (!arguments_zero(caller, 3) || rights & ~(uint64_t)MAP_RIGHTS)
		return ERR_ARGUMENT;
	error = cspace_find(caller, argument(caller, 0), OBJECT_MEMORY, RIGHT_MANAGE, &memory);
	if (!error)
		error = cspace_find(caller, argument(caller, 1), OBJECT_VSPACE, RIGHT_MANAGE, &vspace);
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

	if (operation < WINDOW_BIND || operation > WINDOW_PROTECT)
		return ERR_NO_OPERATION;
	if (!(slot->rights & RIGHT_MANAGE))
		return ERR_RIGHTS;
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
