/* SPDX-License-Identifier: MIT */
/*
 * Page tables: their pages, and walks over ranges. A walk never looks at more than one table (512 entries)
 * between preemption points and skips what has no table.
 */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/io_space.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/syscall.h>
#include <kernel/untyped.h>
#include <kernel/vspace.h>

#define HARVEST_PAGES (sizeof(((struct ipc_buffer *)0)->data) * 4)

void vspace_init_feeds(struct vspace *vspace)
{
	for (unsigned i = 0; i < VSPACE_FEEDS; i++)
		vspace->feeds[i].place = (uint8_t)(PLACE_FEED + i);
}

/* ---- TLBs ---- */

uint64_t tlb_generation;

/* Before this CPU goes on, its TLB knows of the change too. */
static inline void vspace_edited(struct vspace *vspace)
{
	struct cpu *cpu = this_cpu();
	uint64_t generation = tlb_generation + 1;

	/* If it knew of all others, it now knows of this change too. */
	if (cpu->flushed == tlb_generation)
		cpu->flushed = generation;
	/* In this order: who has read the generation will see that this space has it. */
	__atomic_store_n(&vspace->edited, generation, __ATOMIC_RELAXED);
	__atomic_store_n(&tlb_generation, generation, __ATOMIC_RELEASE);
}

void vspace_flush(struct vspace *vspace, uint64_t address, uint64_t size)
{
	if (vspace->io) {
		arch_io_flush(io_space_of(vspace)->domain);
		return;
	}
	vspace_edited(vspace);
	arch_tlb_flush(&vspace->arch, address, size);
}

struct vspace *vspace_init(void *object)
{
	struct vspace *vspace = (struct vspace *)((char *)object + PAGE_SIZE);

	arch_vspace_init(&vspace->arch, object);
	vspace->end = USER_END;
	vspace->root_level = ARCH_ROOT_LEVEL;
	vspace->map_flags = VSPACE_MAP_FLAGS;
	vspace_edited(vspace); /* a TLB with tags may remember another space that had its root here */
	vspace_init_feeds(vspace);
	return vspace;
}

/* After the space was announced (cpu->vspace), before its tables are used. */
unsigned tlb_tag(bool *stale)
{
	struct cpu *cpu = this_cpu();
	const struct vspace *vspace = cpu->vspace;

	tags_leave(&cpu->tags, cpu->flushed);
	if (!vspace)
		return 0;
	/* Who changes it sees that it is announced, or we see the change. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return tags_load(&cpu->tags, vspace->arch.root, __atomic_load_n(&vspace->edited, __ATOMIC_RELAXED),
	                 stale);
}

/* The table pages themselves are free as well. */
static void vspace_flush_tables(struct vspace *vspace, uint64_t address, uint64_t size)
{
	vspace_flush(vspace, address, size);
	vspace->tables_freed = vspace->edited;
}

void tlb_catch_up(struct cpu *cpu)
{
	uint64_t generation = __atomic_load_n(&tlb_generation, __ATOMIC_ACQUIRE);
	struct vspace *vspace = cpu->vspace;

	if (!vspace || cpu->flushed >= __atomic_load_n(&vspace->edited, __ATOMIC_RELAXED))
		return;
	arch_tlb_flush(&vspace->arch, 0, vspace->end);
	__atomic_store_n(&cpu->flushed, generation, __ATOMIC_RELEASE);
}

static bool vspace_is_loaded(const struct vspace *vspace, const struct cpu *cpu)
{
	return __atomic_load_n(&cpu->vspace, __ATOMIC_RELAXED) == vspace ||
	       arch_vspace_in_use(cpu, &vspace->arch);
}

unsigned vspace_cpus_behind(const struct vspace *vspace, uint64_t generation)
{
	unsigned behind = 0;

	/* What was changed in the tables is seen before we look: who loads the space later walks what is new.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	tlb_catch_up(this_cpu());
	for (unsigned i = 0; i < cpu_count; i++) {
		const struct cpu *cpu = cpu_at(i);

		if (cpu != this_cpu() && vspace_is_loaded(vspace, cpu) &&
		    __atomic_load_n(&cpu->flushed, __ATOMIC_ACQUIRE) < generation)
			behind |= 1u << i;
	}
	return behind;
}

/* False: the first of these CPUs has to do what comes next. */
static bool nobody_behind(unsigned cpus)
{
	if (cpus)
		go_to(cpu_at((unsigned)__builtin_ctz(cpus)));
	return !cpus;
}

/* ---- table pages ---- */

static struct table_page *feed_carve(struct vspace *vspace)
{
	for (unsigned i = 0; i < VSPACE_FEEDS; i++) {
		const struct slot *feed = &vspace->feeds[i];
		void *page;

		if (slot_empty(feed) || vspace->carved[i] == feed->pages)
			continue;
		page = phys_to_virt(feed->object + (vspace->carved[i]++ << PAGE_BITS));
		__builtin_memset(page, 0, PAGE_SIZE);
		return page;
	}
	return NULL;
}

static void *table_take(struct vspace *vspace)
{
	struct table_page *page = vspace->free;

	/* Another CPU may still walk one that is free again. */
	if (vspace->tables_freed && vspace_behind(vspace, vspace->tables_freed))
		return NULL;
	if (page) {
		vspace->free = page->next;
		page->next = NULL;
	} else {
		page = feed_carve(vspace);
	}
	if (!page)
		return NULL;
	if (vspace->io)
		arch_io_page(page);
	vspace->free_pages--;
	vspace->used_pages++;
	return page;
}

/* The page is zero and linked nowhere. */
static void table_give(struct vspace *vspace, void *table)
{
	struct table_page *page = table;

	page->next = vspace->free;
	vspace->free = page;
	vspace->free_pages++;
	vspace->used_pages--;
}

void vspace_reset(struct vspace *vspace)
{
	uint64_t pages = 0;

	/* Often it is empty already: deleting asks again and again. */
	if (vspace->used_pages) {
		unsigned missing;
		pte_t *root = arch_pte_find(&vspace->arch, 0, vspace->root_level, &missing);

		/* The last may be for a part: USER_END is a page below the half. */
		for (uint64_t i = 0; i <= (vspace->end - 1) / level_size(vspace->root_level); i++)
			root[i] = 0;
		vspace_flush_tables(vspace, 0, vspace->end);
	}
	vspace->free = NULL;
	vspace->used_pages = 0;
	for (unsigned i = 0; i < VSPACE_FEEDS; i++) {
		vspace->carved[i] = 0;
		pages += vspace->feeds[i].pages;
	}
	vspace->free_pages = pages;
}

bool vspace_feed_lost(struct vspace *vspace, struct slot *feed)
{
	if (feed->pages) {
		feed->pages = 0;
		vspace_reset(vspace);
	}
	return nobody_behind(vspace_behind(vspace, vspace->tables_freed));
}

bool vspace_destroy(struct vspace *vspace)
{
	struct cpu *cpu = this_cpu();
	unsigned users = 0;

	vspace_reset(vspace);
	if (cpu->vspace == vspace)
		vspace_load(cpu, NULL);
	for (unsigned i = 0; i < cpu_count; i++) {
		if (vspace_is_loaded(vspace, cpu_at(i)))
			users |= 1u << i;
	}
	return nobody_behind(users);
}

/* ---- finding entries ---- */

/* The large leaf that translates this address, or NULL. */
static pte_t *vspace_find_large(struct vspace *vspace, uint64_t address)
{
	unsigned missing;
	pte_t *pte = arch_pte_find(&vspace->arch, address, 1, &missing);

	return pte && leaf_present(*pte, 1) ? pte : NULL;
}

uint64_t vspace_skip(struct vspace *vspace, uint64_t address)
{
	unsigned missing = 0;
	uint64_t size;

	if (arch_pte_find(&vspace->arch, address, 1, &missing))
		missing = 0;
	size = level_size(missing + 1);
	return (address | (size - 1)) + 1;
}

pte_t *vspace_find_small_io(struct vspace *vspace, uint64_t address)
{
	unsigned missing;

	return arch_pte_find(&vspace->arch, address, 0, &missing);
}

pte_t *vspace_leaf_make(struct vspace *vspace, uint64_t address, unsigned level)
{
	for (unsigned i = 0; i <= ARCH_ROOT_LEVEL; i++) {
		unsigned missing;
		pte_t *pte = arch_pte_find(&vspace->arch, address, level, &missing);
		pte_t *large;
		void *table;

		if (pte)
			return pte;
		table = table_take(vspace);
		if (!table)
			return NULL;
		large = level == 0 ? vspace_find_large(vspace, address) : NULL;
		if (large) {
			*large = 0;
			vspace_flush(vspace, address & ~(LARGE_PAGE_SIZE - 1), LARGE_PAGE_SIZE);
			missing = 0; /* in its place */
		}
		arch_table_link(&vspace->arch, address, missing, table);
	}
	return NULL;
}

void vspace_drop_table(struct vspace *vspace, pte_t *entry, uint64_t address)
{
	void *table = phys_to_virt(arch_pte_physical(*entry));

	*entry = 0;
	__builtin_memset(table, 0, PAGE_SIZE);
	vspace_flush_tables(vspace, address & ~(LARGE_PAGE_SIZE - 1), LARGE_PAGE_SIZE);
	table_give(vspace, table);
}

/* ---- removing leaves ---- */

/* Where there is no table of level 0. */
static uint64_t vspace_remove_large(struct vspace *vspace, uint64_t address, uint64_t physical, uint64_t size)
{
	pte_t *large = vspace_find_large(vspace, address);

	if (!large || !leaf_hits(*large, 1, physical, size))
		return 0;
	*large = 0;
	return LARGE_PAGE_SIZE / PAGE_SIZE;
}

/* From start on, for at most FEW_PAGES of one table: returns how far it came. */
static inline uint64_t vspace_remove_some(struct vspace *vspace, uint64_t start, uint64_t end,
                                          uint64_t physical, uint64_t size, uint64_t *removed)
{
	pte_t *pte = vspace_find_small(vspace, start);
	uint64_t next = (start | (FEW_PAGES * PAGE_SIZE - 1)) + 1;

	if (!pte) {
		*removed += vspace_remove_large(vspace, start, physical, size);
		return vspace_skip(vspace, start);
	}
	if (next > end)
		next = end;
	*removed += table_remove(pte, (next - start) >> PAGE_BITS, physical, size);
	return next;
}

bool vspace_remove(struct vspace *vspace, uint64_t *start, uint64_t end, uint64_t physical, uint64_t size,
                   uint64_t *removed)
{
	uint64_t at = *start, count = 0;

	while (at < end) {
		at = vspace_remove_some(vspace, at, end, physical, size, &count);
		if (at < end && preempt_wanted())
			break;
	}
	/* Of a large page that the range begins inside of, any address will do. */
	if (count)
		vspace_flush(vspace, *start, at - *start);
	*start = at;
	*removed += count;
	return at >= end;
}

/* ---- taking back empty tables ---- */

static bool table_is_empty(const void *table)
{
	const uint64_t *entry = table;

	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		if (entry[i])
			return false;
	}
	return true;
}

/* Look at the table of `level` for this address; returns where the next one may be. */
static uint64_t vspace_reclaim_one(struct vspace *vspace, uint64_t address, unsigned level)
{
	unsigned missing;
	pte_t *entry = arch_pte_find(&vspace->arch, address, level + 1, &missing);
	uint64_t size = level_size(entry ? level + 1 : missing + 1);
	void *table;

	if (entry && arch_pte_present(*entry) && !arch_pte_is_leaf(*entry, level + 1)) {
		table = phys_to_virt(arch_pte_physical(*entry));
		if (table_is_empty(table)) {
			*entry = 0;
			table_give(vspace, table);
		}
	}
	return (address | (size - 1)) + 1;
}

/* progress: level in the top byte, page below. */
static unsigned vspace_reclaim(struct thread *caller, struct vspace *vspace)
{
	uint64_t address = (caller->progress & ((1ul << 56) - 1)) << PAGE_BITS;
	unsigned level = (unsigned)(caller->progress >> 56);
	uint64_t before = vspace->free_pages;
	bool preempted = false;

	while (level < vspace->root_level && !preempted) {
		if (address < vspace->end)
			address = vspace_reclaim_one(vspace, address, level);
		if (address >= vspace->end) {
			address = 0;
			level++;
		}
		preempted = level < vspace->root_level && preempt_wanted();
	}
	if (vspace->free_pages != before)
		vspace_flush_tables(vspace, 0, vspace->end);
	caller->progress = (uint64_t)level << 56 | address >> PAGE_BITS;
	if (preempted)
		return STATUS_RESTART;
	vspace_tour(caller, vspace);
	result(caller, 0, vspace->free_pages);
	return ERR_NONE;
}

/* ---- other operations ---- */

static struct slot *vspace_free_feed(struct vspace *vspace)
{
	for (unsigned i = 0; i < VSPACE_FEEDS; i++) {
		if (slot_empty(&vspace->feeds[i]))
			return &vspace->feeds[i];
	}
	return NULL;
}

static enum error vspace_feed(struct thread *caller, struct vspace *vspace)
{
	uint64_t size_bits = argument(caller, 1);
	struct slot *untyped, *feed = vspace_free_feed(vspace);
	enum error error;

	if (!arguments_zero(caller, 2))
		return ERR_ARGUMENT;
	error = cspace_find(caller, argument(caller, 0), OBJECT_UNTYPED, RIGHT_MANAGE, &untyped);
	if (error)
		return error;
	if (untyped->flags & SLOT_DEVICE)
		return ERR_ARGUMENT;
	if (size_bits < PAGE_BITS || size_bits > 63)
		return ERR_RANGE;
	error = untyped_chunk_check(untyped, (unsigned)size_bits, 1);
	if (error)
		return error;
	if (!feed)
		return ERR_LIMIT;
	slot_set_child(feed, untyped, CAP_TABLE_PAGES, 0, untyped_take(untyped, (unsigned)size_bits));
	feed->flags = SLOT_ORIGINAL;
	feed->pages = 1ul << (size_bits - PAGE_BITS);
	vspace->carved[feed - vspace->feeds] = 0;
	vspace->free_pages += feed->pages;
	return ERR_NONE;
}

static unsigned vspace_unmap(struct thread *caller, struct vspace *vspace)
{
	uint64_t address = argument(caller, 0), pages = argument(caller, 1);
	uint64_t end = address + (pages << PAGE_BITS);
	enum error error;

	if (!arguments_zero(caller, 2))
		return ERR_ARGUMENT;
	error = vspace_range_check(vspace, address, pages);
	if (error)
		return error;
	if (!vspace_remove(vspace, &address, end, 0, 0, &caller->progress)) {
		/* Go on from here. */
		result(caller, 0, address);
		result(caller, 1, (end - address) >> PAGE_BITS);
		return STATUS_RESTART;
	}
	vspace_tour(caller, vspace);
	result(caller, 0, caller->progress);
	return ERR_NONE;
}

static unsigned vspace_harvest_page(struct vspace *vspace, uint64_t address)
{
	unsigned missing;
	pte_t *pte = arch_pte_find(&vspace->arch, address, 0, &missing);

	if (!pte)
		pte = vspace_find_large(vspace, address);
	return pte && arch_pte_present(*pte) ? arch_pte_harvest(pte) : 0;
}

/* A large page tells its first harvested page, and only that. progress: pages done. */
static unsigned vspace_harvest(struct thread *caller, struct vspace *vspace)
{
	struct ipc_buffer *buffer = thread_buffer(caller);
	uint64_t address = argument(caller, 0), pages = argument(caller, 1), i;
	enum error error;

	if (!arguments_zero(caller, 2))
		return ERR_ARGUMENT;
	error = vspace_range_check(vspace, address, pages);
	if (!error && pages > HARVEST_PAGES)
		error = ERR_RANGE;
	if (!error && !buffer)
		error = ERR_NO_BUFFER;
	if (error)
		return error;
	for (i = caller->progress; i < pages; i++) {
		unsigned bits = vspace_harvest_page(vspace, address + i * PAGE_SIZE);
		unsigned shift = i % 4 * 2;

		buffer->data[i / 4] = (uint8_t)((buffer->data[i / 4] & ~(3u << shift)) | bits << shift);
		if (i % 64 == 63 && i + 1 < pages && preempt_wanted())
			break;
	}
	vspace_flush(vspace, address, pages << PAGE_BITS);
	if (i < pages) {
		caller->progress = i + 1;
		return STATUS_RESTART;
	}
	vspace_tour(caller, vspace);
	return ERR_NONE;
}

static unsigned vspace_info(struct thread *caller, const struct vspace *vspace)
{
	result(caller, 0, vspace->free_pages);
	result(caller, 1, vspace->used_pages);
	return ERR_NONE;
}

unsigned vspace_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	struct vspace *vspace = slot_object(slot);

	switch (operation) {
	case VSPACE_FEED:
		return vspace_feed(caller, vspace);
	case VSPACE_UNMAP:
		return vspace_unmap(caller, vspace);
	case VSPACE_HARVEST:
		return vspace_harvest(caller, vspace);
	default:
		break;
	}
	if (!arguments_zero(caller, 0))
		return ERR_ARGUMENT;
	return operation == VSPACE_RECLAIM ? vspace_reclaim(caller, vspace) : vspace_info(caller, vspace);
}
