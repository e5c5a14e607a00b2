/* SPDX-License-Identifier: MIT */
/*
 * The pages of page tables (kernel/core/vspace.c): making tables, putting one in the place of a large page,
 * taking empty ones back, forgetting all. On any contents of a VSpace's tables every address means what it
 * meant but where it is said otherwise; each page is linked once or in the stock, once; and none is used
 * again that a CPU may still walk.
 *
 * What addresses mean is told by a walk of this file's own. Of the stock's list the front is seen: what was
 * in it before may be anything.
 */
#include <kernel/arch.h>

struct vspace;
static uint64_t reclaim_by_contract(struct vspace *space, uint64_t at_address, unsigned level);
static bool empty_by_contract(const void *table);

/* As in space.h. */
#define vspace_reclaim_one(...) reclaim_##__VA_ARGS__)
#define reclaim_struct real_reclaim_one(struct
#define reclaim_vspace reclaim_by_contract(vspace
#define table_is_empty(word) empty_##word)
#define empty_const real_is_empty(const
#define empty_table empty_by_contract(table
#include "space.h"
#undef vspace_reclaim_one
#undef table_is_empty

#ifndef OP
#define OP 0
#endif
#ifndef LEVEL
#define LEVEL 0
#endif
#ifndef EMPTY
#define EMPTY 0
#endif
/* Of the root, for what looks at all of them, and what the last falls short of. */
#ifndef SHORT
#define SHORT PAGE_SIZE
#endif
#ifndef USER_ENTRIES
#define USER_ENTRIES 256
#endif

struct vspace nondet_vspace(void);

static struct thread caller;
static struct table_page listed; /* what the stock's list begins with, if anything */
static struct table_page *list;
static uint64_t other, generation; /* any address; tlb_generation before the operation */

/* ---- what addresses mean ---- */

struct meaning {
	pte_t pte; /* 0: nothing */
	unsigned level;
};

/* A leaf, or the link to a table that is not on the way: those do not change. */
static struct meaning meaning_of(uint64_t at_address)
{
	for (unsigned level = LEVELS; level-- > 0;) {
		pte_t pte = tables[level][index_of(at_address, level)];

		if (!(pte & PTE_PRESENT))
			break;
		if (is_leaf(pte, level) || (at_address ^ address) >> (12 + 9 * level))
			return (struct meaning){pte, level};
	}
	return (struct meaning){0, 0};
}

static bool means_the_same(struct meaning a, struct meaning b)
{
	return a.pte == b.pte && a.level == b.level;
}

static bool in_large_page(uint64_t at_address)
{
	return !((at_address ^ address) >> LARGE_PAGE_BITS);
}

/* ---- any CPUs, any stock ---- */

static bool knows(const struct cpu *at, uint64_t what)
{
	return (at->vspace != &vspace && at->arch.cr3 != vspace.arch.root) || at->flushed >= what;
}

static void make_any_cpu(struct cpu *at)
{
	at->vspace = nondet_bool() ? &vspace : NULL;
	at->arch.cr3 = nondet_u64();
	at->flushed = nondet_u64();
	assume(at->flushed <= tlb_generation);
}

static void make_any(void)
{
	make_any_space(OP == 4 ? AT & ~(LARGE_PAGE_SIZE - 1) : AT);
	cpu_count = any_below(2) + 1;
	tlb_generation = generation = nondet_u64();
	vspace.edited = nondet_u64();
	vspace.tables_freed = nondet_u64();
	assume(generation < UINT64_MAX && vspace.edited <= generation &&
	       vspace.tables_freed <= vspace.edited);
	make_any_cpu(&cpu);
	make_any_cpu(&other_cpu);
	assume(cpu.vspace || cpu.arch.cr3 != vspace.arch.root); /* it is not in the middle of a switch */
	vspace.free_pages = nondet_u64();
	vspace.used_pages = nondet_u64();
	vspace.free = list = nondet_bool() ? &listed : NULL;
	other = nondet_u64();
	assume(other < USER_END);
}

/* Whoever has not been told since is behind. */
static void prove_tables_freed(void)
{
	prove(tlb_generation == generation + 1);
	prove(vspace.edited == tlb_generation && vspace.tables_freed == tlb_generation);
}

static void prove_flushed(uint64_t from, uint64_t to)
{
	prove(flushes == 1 && flushed_from == from && flushed_to == to);
}

/* In front of the list, and nothing but its link: which is no entry, if a CPU still walks it. */
static void prove_given(pte_t *table, unsigned level)
{
	prove(vspace.free == (struct table_page *)table && vspace.free->next == list);
	prove(!(table[0] & PTE_PRESENT));
	prove(any_level != level || !any_index || !any_now());
}

/* ---- the operations ---- */

/* Tables are made down to the one of LEVEL; if a page is missing, all mean what they meant. */
static void prove_make(void)
{
	uint64_t free = vspace.free_pages, used = vspace.used_pages;
	struct meaning meant = meaning_of(other), means;
	bool large = LEVEL == 0 && LOWEST == 1 && before;
	pte_t *leaf = vspace_leaf_make(&vspace, address, LEVEL);

	means = meaning_of(other);
	prove(!leaf == refused);
	prove(!leaf || leaf == &tables[LEVEL][index_of(address, LEVEL)]);
	if (large && leaf && in_large_page(other))
		prove(!means.pte);
	else
		prove(means_the_same(means, meant));
	/* What was taken is linked, with no other bits, and says nothing else. */
	prove(vspace.free_pages == free - (LOWEST - lowest) && vspace.used_pages == used + (LOWEST - lowest));
	prove(leaf ? lowest <= LEVEL : lowest > LEVEL);
	for (unsigned level = LOWEST; level > 0; level--)
		prove(level <= lowest || entry_at(level) == (places[level - 1] | LINK));
	if (any_level < LOWEST)
		prove(!any_now() || (any_level > lowest && any_index == index_of(address, any_level)));
	else
		prove(any_now() == any_before ||
		      (any_level == LOWEST && any_index == index_of(address, LOWEST) && lowest < LOWEST));
	if (large && leaf) {
		prove_flushed(address & ~(LARGE_PAGE_SIZE - 1), (address | (LARGE_PAGE_SIZE - 1)) + 1);
		prove(!flushed_entry && vspace.edited == generation + 1 && tlb_generation == generation + 1);
	} else {
		prove(!flushes && tlb_generation == generation);
	}
}

/* The next page of the stock: the list's first, or the first of a feed that was never taken. */
static pte_t feed_page[512];
static uint64_t feed_physical;
static unsigned feed_pages;
extern pte_t any_feed_page[512];

static inline void *page_of_feed(uint64_t physical)
{
	feed_physical = physical;
	feed_pages++;
	return feed_page;
}

static void prove_take(void)
{
	struct table_page *second = nondet_bool() ? &listed : NULL;
	unsigned i = any_below(VSPACE_FEEDS), carved = 0;
	struct vspace old = nondet_vspace();
	pte_t *page;

	old.arch.root = vspace.arch.root;
	old.io = false;
	old.edited = vspace.edited;
	old.tables_freed = vspace.tables_freed;
	__CPROVER_array_copy(feed_page, any_feed_page);
	page_clear(table_0, 0, PAGE_SIZE);
	((struct table_page *)table_0)->next = second;
	old.free = nondet_bool() ? (struct table_page *)table_0 : NULL;
	for (unsigned feed = 0; feed < VSPACE_FEEDS; feed++)
		assume(old.carved[feed] <= old.feeds[feed].pages);
	vspace = old;
	page = real_table_take(&vspace);
	prove(tlb_generation == generation && vspace.tables_freed == old.tables_freed);
	if (page) {
		/* No CPU walks it. */
		prove(cpu_count == 1 ||
		      (knows(&other_cpu, old.tables_freed) && knows(&cpu, old.tables_freed)));
		prove(vspace.free_pages == old.free_pages - 1 && vspace.used_pages == old.used_pages + 1);
		prove(!page[any_index]);
	} else {
		prove(vspace.free_pages == old.free_pages && vspace.used_pages == old.used_pages);
		prove((cpu_count == 2 && old.tables_freed && !knows(&other_cpu, old.tables_freed)) ||
		      (!old.free && (slot_empty(&old.feeds[i]) || old.carved[i] == old.feeds[i].pages)));
	}
	if (page && old.free) {
		prove(page == table_0 && vspace.free == second && !feed_pages);
	} else {
		prove(vspace.free == old.free && feed_pages == (page ? 1 : 0) &&
		      (!page || page == feed_page));
	}
	for (unsigned feed = 0; feed < VSPACE_FEEDS; feed++) {
		if (vspace.carved[feed] == old.carved[feed])
			continue;
		carved++;
		prove(!slot_empty(&old.feeds[feed]) && old.carved[feed] < old.feeds[feed].pages);
		prove(vspace.carved[feed] == old.carved[feed] + 1);
		prove(feed_physical == old.feeds[feed].object + (old.carved[feed] << PAGE_BITS));
	}
	prove(carved == feed_pages);
}

/* The contract, which empty.c proves. */
static bool empty_by_contract(const void *table)
{
	prove(LOWEST <= LEVEL && table == tables[LEVEL]);
	return EMPTY;
}

/* A table is taken back if it is empty, and only then; no table of this level is passed over. */
static void prove_reclaim_one(void)
{
	uint64_t free = vspace.free_pages, used = vspace.used_pages, next;
	unsigned top = LOWEST > LEVEL + 1 ? LOWEST : LEVEL + 1;
	struct meaning meant;
	bool gone;

	if (EMPTY) {
		page_clear(tables[LEVEL], 0, PAGE_SIZE);
		any_before = any_now();
	}
	meant = meaning_of(other);
	walked = LEVEL + 1;
	next = real_reclaim_one(&vspace, address, LEVEL);
	gone = LOWEST <= LEVEL && !entry_at(LEVEL + 1);
	prove(gone == EMPTY);
	prove(means_the_same(meaning_of(other), meant));
	prove(vspace.free_pages == free + gone && vspace.used_pages == used - gone);
	if (gone) {
		prove_given(tables[LEVEL], LEVEL);
	} else {
		prove(vspace.free == list);
	}
	prove(any_now() == any_before || (gone && any_level == LEVEL && !any_index) ||
	      (gone && any_level == LEVEL + 1 && any_index == index_of(address, LEVEL + 1)));
	prove(next > address && !(next & (level_size(LEVEL + 1) - 1)));
	prove(other < address || other >= next || !((other ^ address) >> (12 + 9 * top)));
	prove(!flushes); /* for all tables at once: vspace_reclaim() */
}

/* The contract. */
static unsigned watched_level;
static bool seen, gave;

static uint64_t reclaim_by_contract(struct vspace *space, uint64_t at_address, unsigned level)
{
	uint64_t next = nondet_u64();

	prove(level < ARCH_ROOT_LEVEL && at_address < space->end && !flushes);
	assume(next > at_address && next <= USER_END + PAGE_SIZE && !(next & (level_size(level + 1) - 1)));
	if (nondet_bool()) {
		space->free_pages++;
		space->used_pages--;
		gave = true;
	}
	if (level == watched_level && at_address <= other && other < next)
		seen = true;
	return next;
}

/* The table of watched_level for `other` was looked at, or is still to come. */
static bool is_ahead(unsigned level, uint64_t at_address)
{
	return level < watched_level || (level == watched_level && at_address <= other);
}

static void prove_reclaim(void)
{
	uint64_t at_address = nondet_u64(), after, freed = vspace.tables_freed;
	unsigned level = any_below(ARCH_ROOT_LEVEL), level_after, status;
	bool ahead;

	watched_level = any_below(ARCH_ROOT_LEVEL);
	assume(at_address < USER_END && !(at_address & (level_size(level + 1) - 1)));
	caller.progress = (uint64_t)level << 56 | at_address >> PAGE_BITS;
	ahead = is_ahead(level, at_address);
	status = vspace_reclaim(&caller, &vspace);
	level_after = (unsigned)(caller.progress >> 56);
	after = caller.progress << PAGE_BITS & (USER_END + PAGE_SIZE - 1);
	prove(level_after > level || (level_after == level && after > at_address));
	prove(!ahead || seen || is_ahead(level_after, after));
	prove(status == (level_after < ARCH_ROOT_LEVEL ? STATUS_RESTART : (unsigned)ERR_NONE));
	if (gave) {
		prove_tables_freed();
		prove(flushes && !flushed_from && flushed_to == USER_END);
	} else {
		prove(tlb_generation == generation && vspace.tables_freed == freed);
	}
	/* The caller goes on when all CPUs know. */
	prove(status || cpu_count == 1 || knows(&other_cpu, vspace.edited) || caller.tour & 2);
}

/* A table that is full of anything is emptied, and gone. */
static void prove_drop(void)
{
	uint64_t free = vspace.free_pages, used = vspace.used_pages;
	struct meaning meant = meaning_of(other), means;

	walked = 1;
	vspace_drop_table(&vspace, &table_1[index_of(address, 1)], address);
	means = meaning_of(other);
	prove(!entry_at(1) && vspace.free_pages == free + 1 && vspace.used_pages == used - 1);
	prove(in_large_page(other) ? !means.pte : means_the_same(means, meant));
	prove(any_now() == any_before || !any_level || (any_level == 1 && any_index == index_of(address, 1)));
	prove_given(table_0, 0);
	prove_tables_freed();
	prove_flushed(address, address + LARGE_PAGE_SIZE);
	prove(!flushed_entry);
}

/* Everything is forgotten, but for the kernel's half. */
static void prove_reset(void)
{
	uint64_t pages = 0, used = vspace.used_pages, freed = vspace.tables_freed;
	unsigned i = any_below(VSPACE_FEEDS);

	for (unsigned feed = 0; feed < VSPACE_FEEDS; feed++) {
		vspace.carved[feed] = nondet_u64();
		vspace.feeds[feed].pages = nondet_u64();
		pages += vspace.feeds[feed].pages;
	}
	/* With no table in use the root links none. */
	vspace.end = USER_ENTRIES * level_size(ARCH_ROOT_LEVEL) - SHORT;
	assume(other < vspace.end);
	assume(used || !(table_3[index_of(other, 3)] & PTE_PRESENT));
	vspace_reset(&vspace);
	prove(!meaning_of(other).pte);
	if (any_level == 3 && any_index < USER_ENTRIES)
		prove(!used || !any_now());
	else
		prove(any_now() == any_before);
	prove(!vspace.free && !vspace.used_pages && vspace.free_pages == pages && !vspace.carved[i]);
	if (used) {
		prove_tables_freed();
		prove_flushed(0, vspace.end);
	} else {
		prove(!flushes && vspace.tables_freed == freed);
	}
}

int main(void)
{
	make_any();
	switch (OP) {
	case 0:
		prove_make();
		break;
	case 1:
		prove_take();
		break;
	case 2:
		prove_reclaim_one();
		break;
	case 3:
		prove_reclaim();
		break;
	case 4:
		prove_drop();
		break;
	default:
		prove_reset();
		break;
	}
	return 0;
}
