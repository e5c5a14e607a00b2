/* SPDX-License-Identifier: MIT */
/* Address spaces of processes: inside the process half (mm.c, vma.c, fault.c, fork.c, mmap.c, user_copy.c).
 */
#pragma once

#include "mm.h"
#include "page_map.h"
#include "space.h"
#include "vma.h"

/* Addresses: the stack at the very top, mappings from MMAP_GAP below it downwards, programs without a fixed
 * address at PIE_BASE. */
#define STACK_TOP         0x7ffffffff000ul
#define STACK_LIMIT       (8ul << 20)
#define MMAP_GAP          (128ul << 20)
#define STACK_GUARD       (1ul << 20)                           /* between the stack and what lies below it */
#define MMAP_GAP_MAX      (USER_END / 6 * 5 & ~(PAGE_SIZE - 1)) /* for stacks without a limit */
#define PIE_BASE          0x555555554000ul
#define PIE_SIZE_MAX      (STACK_TOP - MMAP_GAP - PIE_BASE - (1ul << 30))
#define PIE_ALIGNMENT_MAX (1ul << 30) /* what a program can have its segments aligned to */
#define USER_LOW    0x10000ul /* mmap never chooses or accepts less */

struct mm {
	struct mm *next, **link; /* all address spaces */
	uint32_t references;     /* processes (vfork shares), and fibers at work on it */
	struct file *exe;        /* the program: nobody may write to it; or NULL */
	struct space *space;
	struct page_map pages;
	struct vma_set regions;
	uint64_t generation; /* changes with every region */
	uint64_t brk_start, brk;
	uint64_t mmap_top;
	uint64_t stack_limit; /* RLIMIT_STACK */
	uint64_t address_limit, data_limit; /* RLIMIT_AS, RLIMIT_DATA, bytes */
	size_t virtual_pages, virtual_peak, data_pages; /* the last of regions that vma_is_data() */
	bool lock_future; /* mlockall(MCL_FUTURE) */
};

/* Pages of MAP_SHARED | MAP_ANONYMOUS mappings, and of System V's segments. Each holds a reference of the object's. */
struct shared_memory {
	uint32_t references;
	struct shm_segment *segment; /* which has one, too; or NULL */
	struct page_map pages;
};

struct mm *mm_create(void); /* NULL: no memory */
/* RLIMIT_STACK of a new one: mappings begin below all that the stack may take. */
void mm_limit_stack(struct mm *mm, uint64_t limit);
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm);
struct mm *mm_first(void);

/* ---- regions (mmap.c) ---- */
/* As mm_add_region, whatever the limits say. */
int mm_place_region(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot, uint32_t flags,
                    struct file *file, uint64_t offset, struct shared_memory *shared);
/* A new region in a free range; takes over `file` and `shared` references only on success. */
int mm_add_region(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot, uint32_t flags,
                  struct file *file, uint64_t offset, struct shared_memory *shared);
/* shmat: a region of shared memory, which it takes a reference to. address 0: wherever there is room; otherwise there, and only
 * `replace` takes away what is there. The address or -errno. */
long mm_map_shared(struct mm *mm, uint64_t address, uint64_t length, uint32_t prot, uint32_t flags, bool replace,
                   struct shared_memory *shared);
/*
 * Nothing is mapped in the range any more. What was is chained to *taken, for mm_free_taken: that may wait (the last
 * reference of a file that has no name), and others change the address space meanwhile.
 */
int mm_take_regions(struct mm *mm, uint64_t start, uint64_t end, struct vma **taken);
void mm_free_taken(struct vma *taken);
/* Both at once: for those who need not find the range free afterwards. */
int mm_unmap(struct mm *mm, uint64_t start, uint64_t end);
/* A shared file mapping may become writable only if the file was opened for it. */
bool mm_may_write(const struct vma *vma);
int mm_protect(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot);
/* Of all regions in the range, which may have gaps: enum vma_flags. */
int mm_change_flags(struct mm *mm, uint64_t start, uint64_t end, uint32_t clear, uint32_t set);
/* mlock: the range is mapped throughout, or ENOMEM. */
int mm_lock(struct mm *mm, uint64_t start, uint64_t end, bool lock);
size_t mm_locked_pages(const struct mm *mm, uint64_t start, uint64_t end);
/* Whether the limits leave room for so many pages more. */
bool mm_may_grow(const struct mm *mm, uint32_t prot, uint32_t flags, uint64_t pages);
/* The region has so many pages more, or fewer. */
void mm_account(struct mm *mm, const struct vma *vma, int64_t pages);
void mm_region_link(struct vma *vma);
void mm_region_free(struct vma *vma);
struct vma *mm_region_copy(const struct vma *vma); /* takes references; not yet in a set; NULL: no memory */
int mm_region_split(struct mm *mm, struct vma *vma, uint64_t address); /* vma keeps the lower part */
/* Takes the pages of the range out of records and VSpace. */
void mm_drop_pages(struct mm *mm, uint64_t start, uint64_t end);
unsigned prot_rights(uint32_t prot);

struct inode *vma_inode(const struct vma *vma); /* of a file mapping */
void shared_memory_put(struct shared_memory *shared);
/* Its pages of [first, end) are gone, for all who map it. */
void shared_memory_punch(struct shared_memory *shared, uint64_t first, uint64_t end);

/* ---- faults (fault.c) ---- */
enum fault_result {
	FAULT_OK,
	FAULT_NO_REGION, /* SIGSEGV, SEGV_MAPERR */
	FAULT_NO_RIGHT,  /* SIGSEGV, SEGV_ACCERR */
	FAULT_BUS,       /* SIGBUS: beyond the end of the file, or its storage failed */
	FAULT_NO_MEMORY,
};
/*
 * Makes the record of the page good for the access (enum fault_access bits). Waits. The kernel's mapping is
 * brought up to date only if the page had one; *out: the entry.
 */
enum fault_result mm_resolve(struct mm *mm, uint64_t address, unsigned access, entry_t *out);

/* Every page of the range that allows any access is there, written to where that makes a private copy. false: one could not be had, or
 * the thread ends. */
bool mm_populate(struct mm *mm, uint64_t start, uint64_t end);

/* ---- fork.c ---- */
struct mm *mm_fork(struct mm *mm); /* NULL: no memory */

/* ---- user_copy.c: as copy_to_user and so on, for an address space that no thread runs in yet ---- */
struct span mm_span(struct mm *mm, uint64_t address, size_t size, bool write);
int mm_copy_to(struct mm *mm, uint64_t to, const void *from, size_t size);
int mm_copy_from(struct mm *mm, void *to, uint64_t from, size_t size);
int mm_clear(struct mm *mm, uint64_t to, size_t size);
