/* SPDX-License-Identifier: MIT */
/*
 * Physical pages, address spaces, and access to user memory.
 *
 * All memory of Linux processes and the page cache comes from the pools (Memories given by the manifest), which are mapped in this
 * server too: a page is named by its page frame number (pfn), an index over all pools in order.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/types.h>
#include "wait.h"

struct inode;
struct file;
struct process;
struct thread;

typedef uint32_t pfn_t;
#define PFN_NONE ((pfn_t)0)

enum page_flags {
	PAGE_UPTODATE = 1 << 0, /* page cache: holds the file's data */
	PAGE_DIRTY = 1 << 1,    /* page cache: to be written back */
	PAGE_BUSY = 1 << 2,     /* page cache: being read or written; wait on page_waitq(pfn) */
	PAGE_CACHE = 1 << 3,    /* owned by a file's page cache (one reference is the cache's) */
};

/* One for each page of the pools. */
struct page {
	uint32_t references; /* users: mappings, the page cache, in-flight I/O; 0: free */
	uint16_t flags;
	uint16_t reserved;
	struct inode *inode;  /* page cache: the file */
	uint64_t index;       /* page cache: page number in the file; free list: next */
	struct page *lru_next, *lru_previous;
};

/* ---- pages.c (linux-proc) ---- */
void pages_init(void); /* finds the pools */
struct page *page_of(pfn_t pfn);
pfn_t page_pfn(const struct page *page);
void *page_address(pfn_t pfn); /* mapped in this server */
void page_pool(pfn_t pfn, uint32_t *pool, uint32_t *offset); /* as struct fs_page wants it (pool numbers start at 1) */
/* One reference. Reclaims clean page cache (page_cache_reclaim) and may wait for write-back when memory is short;
 * PFN_NONE: really out of memory (-ENOMEM). */
pfn_t page_allocate(bool zeroed);
void page_get(pfn_t pfn);
void page_put(pfn_t pfn); /* frees it with the last reference */
struct waitq *page_waitq(pfn_t pfn); /* hashed */
size_t pages_total(void);
size_t pages_free(void);

/* ---- user memory (mm.c, linux-proc): 0 or -EFAULT; faults pages in, so it may wait. Partial copies are not undone. ---- */
int copy_from_user(struct thread *thread, void *to, uint64_t from, size_t size);
/* A structure that programs may know longer or shorter than we do: -E2BIG if what we do not know is not zero.
 */
int copy_struct_from_user(struct thread *thread, void *to, size_t size, uint64_t from, size_t given);
int copy_to_user(struct thread *thread, uint64_t to, const void *from, size_t size);
/* A NUL-terminated string of at most size bytes with its NUL: length without it, -EFAULT, or -ENAMETOOLONG */
ssize_t copy_string_from_user(struct thread *thread, char *to, uint64_t from, size_t size);
int clear_user(struct thread *thread, uint64_t to, size_t size);
/* A stretch of memory in this server; at NULL: none. Small enough to be returned in registers. */
struct span {
	void *at;
	size_t size;
};
/*
 * For moving bulk data without a bounce: user memory at this address, up to the end of its page and at most `size`;
 * the page is present and (write) private to the process or shared-writable as its mapping demands. None: fault. Valid until the next wait.
 */
struct span user_span(struct thread *thread, uint64_t address, size_t size, bool write);

/* ---- what the page cache asks of address spaces ---- */
/* The file was truncated: take pages of [first, last] out of every process that maps them. */
void mm_unmap_file_range(struct inode *inode, uint64_t first_page, uint64_t last_page);
/* The page leaves the file: out of every process that maps it. What is private to one stays. */
void mm_unmap_file_page(struct inode *inode, uint64_t index, pfn_t pfn);
/* Do mappings account for all of the page's users, and is none of them locked in memory? */
bool mm_may_unmap(const struct inode *inode, uint64_t index, pfn_t pfn, uint32_t users);
/* Writable shared mappings: make the page clean-and-write-protected in every process before it is written back. */
void mm_write_protect(struct inode *inode, uint64_t page_index);
