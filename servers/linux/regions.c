/* SPDX-License-Identifier: MIT */
/* Making, splitting, merging, removing and protecting the regions of an address space. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "address_space.h"
#include "kept.h"
#include "vfs.h"

static size_t region_pages(const struct vma *vma)
{
	return (vma->end - vma->start) >> PAGE_BITS;
}

bool mm_may_grow(const struct mm *mm, uint32_t prot, uint32_t flags, uint64_t pages)
{
	return mm->virtual_pages + pages <= mm->address_limit >> PAGE_BITS &&
	       (!vma_is_data(prot, flags) || mm->data_pages + pages <= mm->data_limit >> PAGE_BITS);
}

void mm_account(struct mm *mm, const struct vma *vma, int64_t pages)
{
	mm->virtual_pages += (size_t)pages;
	if (mm->virtual_pages > mm->virtual_peak)
		mm->virtual_peak = mm->virtual_pages;
	if (vma_is_data(vma->prot, vma->flags))
		mm->data_pages += (size_t)pages;
}

struct inode *vma_inode(const struct vma *vma)
{
	return vma->file->inode;
}

void mm_region_link(struct vma *vma)
{
	struct inode *inode;

	if (!vma->file)
		return;
	inode = vma->file->inode;
	vma->inode_next = inode->mappings;
	vma->inode_link = &inode->mappings;
	if (inode->mappings)
		inode->mappings->inode_link = &vma->inode_next;
	inode->mappings = vma;
}

static void region_unlink(struct vma *vma)
{
	if (!vma->inode_link)
		return;
	*vma->inode_link = vma->inode_next;
	if (vma->inode_next)
		vma->inode_next->inode_link = vma->inode_link;
	vma->inode_link = NULL;
}

void mm_region_free(struct vma *vma)
{
	region_unlink(vma);
	if (vma->file)
		file_put(vma->file);
	if (vma->shared)
		shared_memory_put(vma->shared);
	free(vma);
}

struct vma *mm_region_copy(const struct vma *vma)
{
	struct vma *copy = kept_malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *vma;
	copy->inode_next = NULL;
	copy->inode_link = NULL;
	if (copy->file)
		file_get(copy->file);
	if (copy->shared)
		copy->shared->references++;
	return copy;
}

static void merge_region(struct mm *mm, struct vma *vma)
{
	unsigned index = vma_first(&mm->regions, vma->start);
	struct vma *below = index ? vma_at(&mm->regions, index - 1) : NULL;

	if (!below || !vma_mergeable(below, vma))
		return;
	vma_remove(&mm->regions, vma);
	below->end = vma->end;
	mm_region_free(vma);
}

/* A new region, whose range is free: makes one of those beside it larger, if it can. */
static bool merge_new(struct mm *mm, const struct vma *region)
{
	unsigned index = vma_first(&mm->regions, region->start);
	struct vma *below = index ? vma_at(&mm->regions, index - 1) : NULL;
	struct vma *above = index < mm->regions.count ? vma_at(&mm->regions, index) : NULL;

	if (below && vma_mergeable(below, region)) {
		below->end = region->end;
		if (above)
			merge_region(mm, above);
	} else if (above && vma_mergeable(region, above)) {
		above->start = region->start;
		above->offset = region->offset;
	} else {
		return false;
	}
	if (region->file)
		file_put(region->file);
	if (region->shared)
		shared_memory_put(region->shared);
	return true;
}

int mm_place_region(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot, uint32_t flags,
                    struct file *file, uint64_t offset, struct shared_memory *shared)
{
	struct vma region = {.start = start,
	                     .end = end,
	                     .prot = prot,
	                     .flags = flags,
	                     .file = file,
	                     .shared = shared,
	                     .offset = offset,
	                     .mm = mm};
	struct vma *vma;

	if (end > USER_END || !vma_range_free(&mm->regions, start, end))
		return -ENOMEM; /* a program whose segments leave the stack no place, say */
	if (mm->lock_future)
		region.flags |= VMA_LOCKED;
	if (!merge_new(mm, &region)) {
		vma = kept_malloc(sizeof(*vma));
		if (!vma || mm->regions.count >= REGIONS_MAX || !vma_reserve(&mm->regions, 1)) {
			free(vma);
			return -ENOMEM;
		}
		*vma = region;
		vma_insert(&mm->regions, vma);
		mm_region_link(vma);
	}
	mm_account(mm, &region, (int64_t)region_pages(&region));
	mm->generation++;
	return 0;
}

int mm_add_region(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot, uint32_t flags,
                  struct file *file, uint64_t offset, struct shared_memory *shared)
{
	if (!mm_may_grow(mm, prot, flags, (end - start) >> PAGE_BITS))
		return -ENOMEM;
	return mm_place_region(mm, start, end, prot, flags, file, offset, shared);
}

int mm_region_split(struct mm *mm, struct vma *vma, uint64_t address)
{
	struct vma *upper;

	if (mm->regions.count >= REGIONS_MAX || !vma_reserve(&mm->regions, 1))
		return -ENOMEM;
	upper = mm_region_copy(vma);
	if (!upper)
		return -ENOMEM;
	upper->start = address;
	upper->offset = vma->offset + ((address - vma->start) >> PAGE_BITS);
	vma->end = address;
	mm_account(mm, upper, -(int64_t)region_pages(upper));
	mm_account(mm, upper, (int64_t)region_pages(upper));
	vma_insert(&mm->regions, upper);
	mm_region_link(upper);
	mm->generation++;
	return 0;
}

/* Regions begin and end at start and end, so that whole regions can be worked on. */
static int split_at_ends(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *vma = vma_find(&mm->regions, start);
	int error;

	if (vma && vma->start < start) {
		error = mm_region_split(mm, vma, start);
		if (error)
			return error;
	}
	vma = vma_find(&mm->regions, end);
	return vma && vma->start < end ? mm_region_split(mm, vma, end) : 0;
}

int mm_take_regions(struct mm *mm, uint64_t start, uint64_t end, struct vma **taken)
{
	unsigned index = vma_first(&mm->regions, start);
	int error;

	if (index == mm->regions.count || vma_at(&mm->regions, index)->start >= end)
		return 0;
	error = split_at_ends(mm, start, end);
	if (error)
		return error;
	mm_drop_pages(mm, start, end);
	index = vma_first(&mm->regions, start);
	while (index < mm->regions.count && vma_at(&mm->regions, index)->start < end) {
		struct vma *vma = vma_at(&mm->regions, index);

		mm_account(mm, vma, -(int64_t)region_pages(vma));
		vma_remove(&mm->regions, vma);
		region_unlink(vma);
		vma->next_taken = *taken;
		*taken = vma;
	}
	mm->generation++;
	return 0;
}

void mm_free_taken(struct vma *taken)
{
	while (taken) {
		struct vma *vma = taken;

		taken = vma->next_taken;
		mm_region_free(vma);
	}
}

int mm_unmap(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *taken = NULL;
	int error = mm_take_regions(mm, start, end, &taken);

	mm_free_taken(taken);
	return error;
}

static unsigned entry_rights(entry_t entry, uint32_t prot)
{
	return prot_rights(entry & ENTRY_WRITE ? prot : prot & ~(uint32_t)PROT_WRITE);
}

/* Brings the kernel's mappings of a region in line with its protection: one call for each run of equal
 * rights. */
static void protect_region(struct mm *mm, struct vma *vma)
{
	uint64_t page = vma->start >> PAGE_BITS, end = vma->end >> PAGE_BITS, run = 0, run_end = 0;
	unsigned run_rights = 0;
	entry_t *entry;

	for (; (entry = page_map_next(&mm->pages, &page, end)); page++) {
		unsigned rights = entry_rights(*entry, vma->prot);

		if (!(*entry & ENTRY_MAPPED))
			continue;
		if (!(vma->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
			*entry &= ~ENTRY_MAPPED;
		if (run_end && rights == run_rights) {
			run_end = page + 1;
			continue;
		}
		if (run_end && run_rights)
			space_protect(mm->space, run << PAGE_BITS, run_end - run, run_rights);
		run = page;
		run_end = page + 1;
		run_rights = rights;
	}
	if (run_end && run_rights)
		space_protect(mm->space, run << PAGE_BITS, run_end - run, run_rights);
	else if (run_end)
		space_unmap(mm->space, run << PAGE_BITS, run_end - run);
}

static bool range_is_mapped(struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned index = vma_first(&mm->regions, start);

	for (; start < end; index++) {
		if (index == mm->regions.count || vma_at(&mm->regions, index)->start > start)
			return false;
		start = vma_at(&mm->regions, index)->end;
	}
	return true;
}

bool mm_may_write(const struct vma *vma)
{
	if (vma->flags & (VMA_VDSO | VMA_NEVER_WRITABLE))
		return false;
	return !vma->file || !(vma->flags & VMA_SHARED) || (vma->file->flags & 3) == 2;
}

/* And with what begins at `end`. */
static void merge_range(struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned index;

	while (start <= end && (index = vma_first(&mm->regions, start)) < mm->regions.count) {
		struct vma *vma = vma_at(&mm->regions, index);

		start = vma->end;
		merge_region(mm, vma);
	}
	mm->generation++;
}

int mm_change_flags(struct mm *mm, uint64_t start, uint64_t end, uint32_t clear, uint32_t set)
{
	int error = split_at_ends(mm, start, end);

	if (error)
		return error;
	for (unsigned i = vma_first(&mm->regions, start); i < mm->regions.count; i++) {
		struct vma *vma = vma_at(&mm->regions, i);

		if (vma->start >= end)
			break;
		vma->flags = (vma->flags & ~clear) | set;
	}
	merge_range(mm, start, end);
	return 0;
}

int mm_lock(struct mm *mm, uint64_t start, uint64_t end, bool lock)
{
	if (!range_is_mapped(mm, start, end))
		return -ENOMEM;
	return mm_change_flags(mm, start, end, VMA_LOCKED, lock ? VMA_LOCKED : 0);
}

/* Pages of the range that would become data. */
static uint64_t new_data(const struct mm *mm, uint64_t start, uint64_t end, uint32_t prot)
{
	uint64_t pages = 0;

	for (unsigned i = vma_first(&mm->regions, start); i < mm->regions.count; i++) {
		const struct vma *vma = vma_at(&mm->regions, i);
		uint64_t first = vma->start > start ? vma->start : start,
		         last = vma->end < end ? vma->end : end;

		if (first >= end)
			break;
		if (!vma_is_data(vma->prot, vma->flags) && vma_is_data(prot, vma->flags))
			pages += (last - first) >> PAGE_BITS;
	}
	return pages;
}

int mm_protect(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot)
{
	unsigned index = vma_first(&mm->regions, start);
	uint64_t pages;
	int error;

	if (!range_is_mapped(mm, start, end))
		return -ENOMEM;
	for (; index < mm->regions.count && vma_at(&mm->regions, index)->start < end; index++) {
		const struct vma *vma = vma_at(&mm->regions, index);

		if ((prot & PROT_WRITE && !mm_may_write(vma)) ||
		    (prot & ~vma->prot & PROT_EXEC && vma->file && file_noexec(vma->file)))
			return -EACCES;
	}
	pages = new_data(mm, start, end, prot);
	if (pages && mm->data_pages + pages > mm->data_limit >> PAGE_BITS)
		return -ENOMEM;
	error = split_at_ends(mm, start, end);
	if (error)
		return error;
	for (index = vma_first(&mm->regions, start); index < mm->regions.count; index++) {
		struct vma *vma = vma_at(&mm->regions, index);

		if (vma->start >= end)
			break;
		if (vma->prot == prot)
			continue;
		mm_account(mm, vma, -(int64_t)region_pages(vma));
		vma->prot = prot;
		mm_account(mm, vma, (int64_t)region_pages(vma));
		protect_region(mm, vma);
	}
	merge_range(mm, start, end);
	return 0;
}
