/* SPDX-License-Identifier: MIT */
/* The regions of an address space, sorted by address. Pure bookkeeping: what is mapped is in the page
 * records. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

struct file;
struct inode;
struct mm;
struct shared_memory;

struct vma {
	uint64_t start, end;          /* bytes, page-aligned; end exclusive */
	uint32_t prot;                /* PROT_* */
	uint32_t flags;               /* enum vma_flags */
	struct file *file;            /* a reference, or NULL */
	struct shared_memory *shared; /* MAP_SHARED | MAP_ANONYMOUS: a reference, or NULL */
	uint64_t offset;              /* page number in the file or shared object of `start` */
	struct mm *mm;
	struct vma *inode_next, **inode_link; /* in inode->mappings */
	struct vma *next_taken; /* mm_take_regions */
};

enum vma_flags {
	VMA_SHARED = 1 << 0,
	VMA_GROWS_DOWN = 1 << 1, /* the stack */
	VMA_NORESERVE = 1 << 2,
	VMA_DONTFORK = 1 << 3,
	VMA_VDSO = 1 << 4, /* the server's own: never writable, never larger (vdso.c) */
	VMA_WIPEONFORK = 1 << 7, /* a child finds zeros */
	VMA_NEVER_WRITABLE = 1 << 6, /* attached read-only: mprotect cannot change that */
	VMA_LOCKED = 1 << 5, /* by mlock: its pages of files stay in memory, too */
};

/* What RLIMIT_DATA counts: private, writable, and not the stack. */
static inline bool vma_is_data(uint32_t prot, uint32_t flags)
{
	return prot & PROT_WRITE && !(flags & (VMA_SHARED | VMA_GROWS_DOWN));
}

#define REGIONS_MAX 65530 /* of an address space, as Linux's vm.max_map_count */

struct vma_set {
	/* By address, disjoint: the first `below` at the beginning of the array, all others at its end. What is free lies
	 * between, where the last one came or went, as the next one mostly does. */
	struct vma **items;
	unsigned count, capacity, below;
	unsigned last; /* where the last search ended */
	/* The last search for a gap below `high` has seen that none between `from` and there has `size` bytes. */
	struct {
		uint64_t high, from, size;
	} gap;
};

static inline struct vma *vma_at(const struct vma_set *set, unsigned index)
{
	return set->items[index < set->below ? index : index + set->capacity - set->count];
}

struct vma *vma_search(struct vma_set *set, uint64_t address);
/* The region that holds address, or NULL. Mostly it is the one of last time. */
static inline struct vma *vma_find(struct vma_set *set, uint64_t address)
{
	if (set->last < set->count) {
		struct vma *vma = vma_at(set, set->last);

		if (address - vma->start < vma->end - vma->start)
			return vma;
	}
	return vma_search(set, address);
}
/* Index of the first region that ends after address; set->count: none. */
unsigned vma_first(const struct vma_set *set, uint64_t address);
/* Room for `more` regions without a failure later. */
bool vma_reserve(struct vma_set *set, unsigned more);
/* Needs room (vma_reserve) and a free range. */
void vma_insert(struct vma_set *set, struct vma *vma);
/* The same for one that lies above all others. */
void vma_append(struct vma_set *set, struct vma *vma);
void vma_remove(struct vma_set *set, struct vma *vma);
/* Nothing in [start, end) */
bool vma_range_free(const struct vma_set *set, uint64_t start, uint64_t end);
/* Highest free range of that size in [low, high); 0: none. Begins where the last search with this `high` has ended, if it can. */
uint64_t vma_gap_below(struct vma_set *set, uint64_t low, uint64_t high, uint64_t size);
/* May the two, b starting where a ends, be one region? */
bool vma_mergeable(const struct vma *a, const struct vma *b);
