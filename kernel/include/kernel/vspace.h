/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: a VSpace is one for threads, an IoSpace (io_space.h) contains one for a device.
 *
 * A VSpace object is two pages: the root table, and struct vspace. Its page-table pages come from feeds:
 * chunks of Untyped that its owner gave it; pages that were used and are free again form a list through their
 * first words and are otherwise zero.
 *
 * Invariant: every present leaf of V points into a Memory to which V has a bound Window with at least these
 * rights, and lies in that Window's hull. Losing a feed empties the whole VSpace (no table page can be told
 * from another), so the invariant survives.
 */
#pragma once

#include <kernel/arch.h>
#include <kernel/cpu.h>
#include <kernel/slot.h>
#include <kernel/thread.h>

#define TABLE_ENTRIES 512
#define FEW_PAGES     64 /* between two preemption points */

struct table_page {
	struct table_page *next;
};

struct vspace {
	struct arch_vspace arch;
	struct table_page *free;
	uint64_t end;                  /* of its addresses: [USER_BASE, end) */
	unsigned root_level;           /* of the table in the object itself */
	unsigned map_flags;            /* that its pages can have */
	bool io;                       /* it is inside an IoSpace */
	uint64_t free_pages;           /* in the list, and never used in feeds */
	uint64_t used_pages;           /* linked as tables, the root not counted */
	uint64_t carved[VSPACE_FEEDS]; /* pages of each feed that were ever taken */
	uint64_t edited;               /* tlb_generation of the last change that a TLB may not know of */
	uint64_t tables_freed;         /* the same for table pages that came back */
	struct slot feeds[VSPACE_FEEDS];
};
_Static_assert(sizeof(struct vspace) <= PAGE_SIZE, "the second page of a VSpace object");

#define VSPACE_MAP_FLAGS \
	(RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE | MAP_LARGE | MAP_UNCACHED | MAP_WRITE_COMBINING)

/* object: the two pages, zero. */
struct vspace *vspace_init(void *object);
void vspace_init_feeds(struct vspace *vspace);
/* Forget all translations and take all table pages back. */
void vspace_reset(struct vspace *vspace);
/* A feed's slot is about to be cleared: the same, without its pages. False: go on on another CPU (go_to). */
bool vspace_feed_lost(struct vspace *vspace, struct slot *feed);
/* Make sure that no CPU uses it any more. Its slots are empty or about to be. False: go on on another CPU. */
bool vspace_destroy(struct vspace *vspace);

/* [address, address + pages) is page-aligned and below the space's end. */
static inline enum error vspace_range_check(const struct vspace *vspace, uint64_t address, uint64_t pages)
{
	if (address % PAGE_SIZE)
		return ERR_ALIGNMENT;
	if (address < USER_BASE || address >= vspace->end || pages > (vspace->end - address) >> PAGE_BITS)
		return ERR_RANGE;
	return ERR_NONE;
}
/* Counts the changes of all address spaces that TLBs may not know of. Written with the lock. */
extern uint64_t tlb_generation;
/*
 * CPUs (a bit each) that may know what the space's tables said before this generation. Not this CPU: it is
 * made to forget. With the lock.
 */
unsigned vspace_cpus_behind(const struct vspace *vspace, uint64_t generation);

static inline unsigned vspace_behind(const struct vspace *vspace, uint64_t generation)
{
	return cpu_count == 1 ? 0 : vspace_cpus_behind(vspace, generation);
}

/* The caller is told that its change is complete: all CPUs learn of it first. */
static inline void vspace_tour(struct thread *caller, const struct vspace *vspace)
{
	caller->tour |= vspace_behind(vspace, vspace->edited);
}

/* Flush this CPU's TLB if it does not know of all changes of the loaded space. */
void tlb_catch_up(struct cpu *cpu);

/* The order matters: see docs/several-cpus.md. The first of a space that is not the loaded one, nor NULL. */
__attribute__((always_inline)) static inline void vspace_load_other(struct cpu *cpu, struct vspace *vspace)
{
	uint64_t generation = __atomic_load_n(&tlb_generation, __ATOMIC_ACQUIRE);

	__atomic_store_n(&cpu->vspace, vspace, __ATOMIC_RELAXED);
	arch_vspace_load(&cpu->arch, &vspace->arch);
	__atomic_store_n(&cpu->flushed, generation, __ATOMIC_RELEASE);
}

static inline void vspace_load(struct cpu *cpu, struct vspace *vspace)
{
	if (cpu->vspace == vspace)
		return;
	if (vspace) {
		vspace_load_other(cpu, vspace);
		return;
	}
	__atomic_store_n(&cpu->vspace, NULL, __ATOMIC_RELAXED);
	arch_vspace_switch(NULL);
}

/* Tables were changed: forget what [address, address + size) meant. */
void vspace_flush(struct vspace *vspace, uint64_t address, uint64_t size);
pte_t *vspace_find_small_io(struct vspace *vspace, uint64_t address);

/* The entry of level 0, or NULL if there is no table for it. */
static inline pte_t *vspace_find_small(struct vspace *vspace, uint64_t address)
{
	return vspace->io ? vspace_find_small_io(vspace, address) : arch_leaf_find(&vspace->arch, address);
}

/* The same for a few pages that lie in one table; NULL also for an IoSpace. */
__attribute__((always_inline)) static inline pte_t *vspace_find_few(struct vspace *vspace, uint64_t address,
                                                                    uint64_t pages)
{
	if (vspace->io || pages > FEW_PAGES || (address >> PAGE_BITS) % TABLE_ENTRIES + pages > TABLE_ENTRIES)
		return NULL;
	return arch_leaf_find(&vspace->arch, address);
}

/*
 * The entry for a leaf of this level; makes the tables that are missing. A large page in the way is gone
 * then, as a whole. NULL if there is no page for a table: then every address means what it meant.
 */
pte_t *vspace_leaf_make(struct vspace *vspace, uint64_t address, unsigned level);

static inline pte_t *vspace_leaf(struct vspace *vspace, uint64_t address, unsigned level)
{
	pte_t *leaf = level == 0 ? vspace_find_small(vspace, address) : NULL;

	return leaf ? leaf : vspace_leaf_make(vspace, address, level);
}

/* The first address behind this one that may have another table, when the table of level 0 is missing for it.
 */
uint64_t vspace_skip(struct vspace *vspace, uint64_t address);
/* entry (level 1) points to a table: forget its translations and take it back. */
void vspace_drop_table(struct vspace *vspace, pte_t *entry, uint64_t address);
/*
 * Remove the leaves of [*start, end) that point into [physical, physical + size), or all if size is 0. False:
 * preempted, *start is where to go on. Counts 4 KiB pages.
 */
bool vspace_remove(struct vspace *vspace, uint64_t *start, uint64_t end, uint64_t physical, uint64_t size,
                   uint64_t *removed);
unsigned vspace_invoke(struct thread *caller, struct slot *slot, unsigned operation);

/* ---- removing leaves, for vspace.c and the fast path ---- */

/* Bytes that one entry of this level covers. */
static inline uint64_t level_size(unsigned level)
{
	return 1ul << (PAGE_BITS + 9 * level);
}

static inline bool leaf_present(pte_t pte, unsigned level)
{
	return arch_pte_present(pte) && arch_pte_is_leaf(pte, level);
}

static inline bool leaf_hits(pte_t pte, unsigned level, uint64_t physical, uint64_t size)
{
	uint64_t start = arch_pte_physical(pte);

	if (!leaf_present(pte, level))
		return false;
	return !size || (start < physical + size && physical < start + level_size(level));
}

/* The entries of one table that translate [start, end). */
static inline uint64_t table_remove(pte_t *pte, uint64_t pages, uint64_t physical, uint64_t size)
{
	uint64_t removed = 0;

	for (const pte_t *end = pte + pages; pte < end; pte++) {
		if (leaf_hits(*pte, 0, physical, size)) {
			*pte = 0;
			removed++;
		}
	}
	return removed;
}

/* What is usual: a few pages in one table, which is there. False, and nothing has changed: it is not so. */
static inline bool vspace_unmap_few(struct vspace *vspace, uint64_t address, uint64_t pages,
                                    uint64_t *removed)
{
	pte_t *leaf = vspace_find_few(vspace, address, pages);

	if (!leaf)
		return false;
	*removed = table_remove(leaf, pages, 0, 0);
	if (*removed)
		vspace_flush(vspace, address, pages << PAGE_BITS);
	return true;
}
