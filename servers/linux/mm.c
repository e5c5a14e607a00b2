/* SPDX-License-Identifier: MIT */
/* Address spaces as a whole: life and death, what the page cache asks of them, and the figures that /proc
 * shows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "address_space.h"
#include "figures.h"
#include "ipc/ipc.h"
#include "vfs.h"

#define PAGES_AT_ONCE 256 /* until others have their turn */

static struct mm *all;

struct mm *mm_first(void)
{
	return all;
}

struct mm *mm_create(void)
{
	struct mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		return NULL;
	mm->space = space_create();
	if (!mm->space) {
		free(mm);
		return NULL;
	}
	mm->references = 1;
	mm->stack_limit = STACK_LIMIT;
	mm->address_limit = mm->data_limit = UINT64_MAX;
	mm->mmap_top = STACK_TOP - MMAP_GAP;
	mm->next = all;
	mm->link = &all;
	if (all)
		all->link = &mm->next;
	all = mm;
	return mm;
}

void mm_limit_stack(struct mm *mm, uint64_t limit)
{
	mm->stack_limit = limit;
	if (limit >= MMAP_GAP_MAX - STACK_GUARD)
		limit = MMAP_GAP_MAX;
	else
		limit = ((limit + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)) + STACK_GUARD;
	if (limit > MMAP_GAP)
		mm->mmap_top = STACK_TOP - limit;
}

struct mm *mm_get(struct mm *mm)
{
	mm->references++;
	return mm;
}

void mm_put(struct mm *mm)
{
	if (--mm->references)
		return;
	*mm->link = mm->next;
	if (mm->next)
		mm->next->link = mm->link;
	mm_drop_pages(mm, 0, USER_END);
	for (unsigned i = 0; i < mm->regions.count; i++)
		mm_region_free(vma_at(&mm->regions, i));
	free(mm->regions.items);
	file_put(mm->exe);
	page_map_destroy(&mm->pages);
	space_destroy(mm->space);
	free(mm);
}

unsigned prot_rights(uint32_t prot)
{
	unsigned rights = 0;

	if (prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
		rights |= RIGHT_READ; /* as on a PC: whatever is mapped can be read */
	if (prot & PROT_WRITE)
		rights |= RIGHT_WRITE;
	if (prot & PROT_EXEC)
		rights |= RIGHT_EXECUTE;
	return rights;
}

/*
 * Frames are given back only after the kernel has forgotten them: mapped runs are unmapped first, with one
 * call for each stretch of chunks that hangs together.
 */
static void unmap_runs(struct mm *mm, uint64_t first, uint64_t end)
{
	uint64_t page = first, run_first = 0, run_end = 0;
	entry_t *entry;

	for (; (entry = page_map_next(&mm->pages, &page, end)); page++) {
		if (!(*entry & ENTRY_MAPPED))
			continue;
		if (run_end && page - run_end > CHUNK_PAGES) {
			space_unmap(mm->space, run_first << PAGE_BITS, run_end - run_first);
			run_end = 0;
		}
		if (!run_end)
			run_first = page;
		run_end = page + 1;
	}
	if (run_end)
		space_unmap(mm->space, run_first << PAGE_BITS, run_end - run_first);
}

void mm_drop_pages(struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t first = start >> PAGE_BITS, page = first, last = end >> PAGE_BITS;
	entry_t *entry;

	unmap_runs(mm, first, last);
	for (; (entry = page_map_next(&mm->pages, &page, last)); page++)
		page_put(page_map_take(&mm->pages, page) & ENTRY_PFN);
	page_map_prune(&mm->pages, first, last);
}

bool mm_populate(struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned pages = 0;

	for (uint64_t at = start; at < end; at += PAGE_SIZE) {
		const struct vma *vma;
		entry_t entry;

		if (++pages % PAGES_AT_ONCE == 0 && !wait_yield())
			return false;
		vma = vma_find(&mm->regions, at);
		if (!vma)
			return false; /* unmapped while an earlier page was waited for */
		if (!(vma->prot & (PROT_READ | PROT_WRITE | PROT_EXEC))) {
			at = vma->end - PAGE_SIZE;
			continue;
		}
		if (mm_resolve(mm, at,
		               vma->prot & PROT_WRITE && !(vma->flags & VMA_SHARED) ? FAULT_WRITE
		                                                                    : FAULT_READ,
		               &entry) != FAULT_OK)
			return false;
	}
	return true;
}

void shared_memory_put(struct shared_memory *shared)
{
	uint64_t page = 0;
	entry_t *entry;

	if (--shared->references) {
		if (shared->segment)
			shm_detached(shared->segment);
		return;
	}
	for (; (entry = page_map_next(&shared->pages, &page, UINT64_MAX)); page++)
		page_put(*entry & ENTRY_PFN);
	page_map_destroy(&shared->pages);
	free(shared);
}

static void drop_shared(struct mm *mm, const struct shared_memory *shared, uint64_t first, uint64_t end)
{
	for (unsigned i = 0; i < mm->regions.count; i++) {
		const struct vma *vma = vma_at(&mm->regions, i);
		uint64_t vma_end = vma->offset + ((vma->end - vma->start) >> PAGE_BITS);
		uint64_t from = first > vma->offset ? first : vma->offset, to = end < vma_end ? end : vma_end;

		if (vma->shared == shared && from < to)
			mm_drop_pages(mm, vma->start + ((from - vma->offset) << PAGE_BITS),
			              vma->start + ((to - vma->offset) << PAGE_BITS));
	}
}

void shared_memory_punch(struct shared_memory *shared, uint64_t first, uint64_t end)
{
	uint64_t page = first;

	for (struct mm *mm = all; mm; mm = mm->next)
		drop_shared(mm, shared, first, end);
	for (; page_map_next(&shared->pages, &page, end); page++)
		page_put(page_map_take(&shared->pages, page) & ENTRY_PFN);
	page_map_prune(&shared->pages, first, end);
}

/* ---- for the page cache ---- */

void mm_unmap_file_range(struct inode *inode, uint64_t first_page, uint64_t last_page)
{
	for (struct vma *vma = inode->mappings; vma; vma = vma->inode_next) {
		uint64_t pages = (vma->end - vma->start) >> PAGE_BITS;
		uint64_t first = first_page > vma->offset ? first_page - vma->offset : 0;
		uint64_t end;

		if (last_page < vma->offset || first >= pages)
			continue;
		end = last_page - vma->offset >= pages ? pages : last_page - vma->offset + 1;
		mm_drop_pages(vma->mm, vma->start + (first << PAGE_BITS), vma->start + (end << PAGE_BITS));
	}
}

/* Where the region has this very page of the file; 0: it has another one, or none. */
static uint64_t mapped_at(const struct vma *vma, uint64_t index, pfn_t pfn)
{
	uint64_t at = vma->start + ((index - vma->offset) << PAGE_BITS);
	const entry_t *entry;

	if (index < vma->offset || at >= vma->end)
		return 0;
	entry = page_map_find(&vma->mm->pages, at >> PAGE_BITS);
	return entry && (*entry & ENTRY_PFN) == pfn ? at : 0;
}

void mm_unmap_file_page(struct inode *inode, uint64_t index, pfn_t pfn)
{
	for (struct vma *vma = inode->mappings; vma; vma = vma->inode_next) {
		uint64_t at = mapped_at(vma, index, pfn);

		if (at)
			mm_drop_pages(vma->mm, at, at + PAGE_SIZE);
	}
}

bool mm_may_unmap(const struct inode *inode, uint64_t index, pfn_t pfn, uint32_t users)
{
	for (const struct vma *vma = inode->mappings; vma; vma = vma->inode_next) {
		if (!mapped_at(vma, index, pfn))
			continue;
		if (vma->flags & VMA_LOCKED)
			return false;
		users--;
	}
	return !users;
}

void mm_write_protect(struct inode *inode, uint64_t page_index)
{
	for (struct vma *vma = inode->mappings; vma; vma = vma->inode_next) {
		uint64_t page = (vma->start >> PAGE_BITS) + page_index - vma->offset;
		entry_t *entry;

		if (!(vma->flags & VMA_SHARED) || page_index < vma->offset || page >= vma->end >> PAGE_BITS)
			continue;
		entry = page_map_find(&vma->mm->pages, page);
		if (!entry || !(*entry & ENTRY_WRITE))
			continue;
		*entry &= ~ENTRY_WRITE;
		if (*entry & ENTRY_MAPPED)
			space_protect(vma->mm->space, page << PAGE_BITS, 1,
			              prot_rights(vma->prot & ~PROT_WRITE));
	}
}

/* ---- figures ---- */

size_t process_resident_pages(const struct process *process)
{
	return process->mm ? process->mm->pages.pages : 0;
}

size_t process_peak_pages(const struct process *process)
{
	return process->mm ? process->mm->pages.peak : 0;
}

size_t process_virtual_peak(const struct process *process)
{
	return process->mm ? process->mm->virtual_peak : 0;
}

size_t mm_locked_pages(const struct mm *mm, uint64_t start, uint64_t end)
{
	size_t pages = 0;

	for (unsigned i = vma_first(&mm->regions, start); i < mm->regions.count; i++) {
		const struct vma *vma = vma_at(&mm->regions, i);
		uint64_t from = vma->start > start ? vma->start : start, to = vma->end < end ? vma->end : end;

		if (vma->start >= end)
			break;
		if (vma->flags & VMA_LOCKED)
			pages += (to - from) >> PAGE_BITS;
	}
	return pages;
}

size_t process_virtual_size(struct process *process)
{
	return process->mm ? process->mm->virtual_pages << PAGE_BITS : 0;
}

void mm_region_name(struct vma *vma, char *out, size_t size)
{
	struct mm *mm = vma->mm;

	*out = 0;
	if (vma->flags & VMA_VDSO)
		snprintf(out, size, vma->prot & PROT_EXEC ? "[vdso]" : "[vvar]");
	else if (vma->file && vma->file->dentry)
		dentry_path(NULL, vma->file->dentry, out, size);
	else if (vma->shared && vma->shared->segment)
		snprintf(out, size, "/SYSV%08x (deleted)", (unsigned)shm_key(vma->shared->segment));
	else if (vma->shared)
		snprintf(out, size, "/dev/zero (deleted)");
	else if (vma->end == STACK_TOP)
		snprintf(out, size, "[stack]");
	else if (vma->start >= mm->brk_start && vma->end <= ((mm->brk + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)))
		snprintf(out, size, "[heap]");
}

void mm_region_line(struct vma *vma, emit_text_t *emit, void *context)
{
	uint64_t inode = vma->file ? vma->file->inode->attributes.inode : 0;
	char name[512], line[640];
	int length;

	mm_region_name(vma, name, sizeof(name));
	length = snprintf(line, sizeof(line), "%08lx-%08lx %c%c%c%c %08lx 00:00 %lu%s%s\n", vma->start,
	                  vma->end, vma->prot & PROT_READ ? 'r' : '-', vma->prot & PROT_WRITE ? 'w' : '-',
	                  vma->prot & PROT_EXEC ? 'x' : '-',
	                  (vma->flags & (VMA_SHARED | VMA_VDSO)) == VMA_SHARED ? 's' : 'p',
	                  vma->offset << PAGE_BITS, inode, *name ? "                    " : "", name);
	if (length > 0)
		emit(context, line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

void process_maps(struct process *process, void (*emit)(void *, const char *, size_t), void *context)
{
	struct mm *mm = process->mm;

	for (unsigned i = 0; mm && i < mm->regions.count; i++)
		mm_region_line(vma_at(&mm->regions, i), emit, context);
}
