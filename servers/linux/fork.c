/* SPDX-License-Identifier: MIT */
/*
 * Copy of an address space: regions and page records, not pages. Private pages lose ENTRY_WRITE on both
 * sides, the parent's mappings their write right (a call for each region that has any); the child's mappings
 * come with its faults, a group at a time.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "address_space.h"
#include "vfs.h"

static bool copy_private(struct mm *child, struct mm *mm, struct vma *vma)
{
	uint64_t page = vma->start >> PAGE_BITS, end = vma->end >> PAGE_BITS, first = 0, last = 0;
	bool complete = true;
	entry_t *entry;

	for (; (entry = page_map_next(&mm->pages, &page, end)); page++) {
		if ((*entry & (ENTRY_WRITE | ENTRY_MAPPED)) == (ENTRY_WRITE | ENTRY_MAPPED)) {
			if (!last)
				first = page;
			last = page + 1;
		}
		*entry &= ~ENTRY_WRITE;
		if (!page_map_set(&child->pages, page, *entry & ENTRY_PFN)) {
			complete = false;
			break;
		}
		page_get(*entry & ENTRY_PFN);
	}
	if (last && vma->prot & PROT_WRITE)
		space_protect(mm->space, first << PAGE_BITS, last - first,
		              prot_rights(vma->prot & ~(uint32_t)PROT_WRITE));
	return complete;
}

static bool copy_shared(struct mm *child, struct mm *mm, struct vma *vma)
{
	uint64_t page = vma->start >> PAGE_BITS, end = vma->end >> PAGE_BITS;
	entry_t *entry;

	for (; (entry = page_map_next(&mm->pages, &page, end)); page++) {
		if (!page_map_set(&child->pages, page, *entry & ~ENTRY_MAPPED))
			return false;
		page_get(*entry & ENTRY_PFN);
	}
	return true;
}

static bool copy_region(struct mm *child, struct mm *mm, struct vma *vma)
{
	struct vma *copy = mm_region_copy(vma);

	if (!copy)
		return false;
	copy->mm = child;
	copy->flags &= ~(uint32_t)VMA_LOCKED;
	vma_append(&child->regions, copy); /* in order, and there is room */
	mm_account(child, copy, (int64_t)((copy->end - copy->start) >> PAGE_BITS));
	mm_region_link(copy);
	if (vma->flags & VMA_WIPEONFORK)
		return true;
	return vma->flags & VMA_SHARED ? copy_shared(child, mm, vma) : copy_private(child, mm, vma);
}

struct mm *mm_fork(struct mm *mm)
{
	struct mm *child = mm_create();

	if (!child)
		return NULL;
	child->exe = mm->exe ? file_get(mm->exe) : NULL;
	child->brk_start = mm->brk_start;
	child->brk = mm->brk;
	child->mmap_top = mm->mmap_top;
	child->stack_limit = mm->stack_limit;
	child->address_limit = mm->address_limit;
	child->data_limit = mm->data_limit;
	if (!vma_reserve(&child->regions, mm->regions.count))
		goto fail;
	for (unsigned i = 0; i < mm->regions.count; i++) {
		if (vma_at(&mm->regions, i)->flags & VMA_DONTFORK)
			continue;
		if (!copy_region(child, mm, vma_at(&mm->regions, i)))
			goto fail;
	}
	return child;
fail:
	mm_put(child);
	return NULL;
}
