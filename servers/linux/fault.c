/* SPDX-License-Identifier: MIT */
/*
 * Page faults: what has to be where, decided from regions and records. mm_resolve makes a page's record good
 * for an access; the fault handler then lets the reply carry the mapping, or maps it and its neighbours with
 * one scatter call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "address_space.h"
#include "fault.h"
#include "vfs.h"

#define AROUND_PAGES 16        /* neighbours that are mapped along, an aligned group */
#define RETRY        (-100000) /* something changed while the fiber waited */

static unsigned effective_rights(const struct vma *vma, entry_t entry)
{
	return prot_rights(entry & ENTRY_WRITE ? vma->prot : vma->prot & ~(uint32_t)PROT_WRITE);
}

static struct vma *stack_grow(struct mm *mm, uint64_t address)
{
	unsigned index = vma_first(&mm->regions, address);
	uint64_t start = address & ~(PAGE_SIZE - 1);
	struct vma *vma, *below;

	if (index == mm->regions.count)
		return NULL;
	vma = vma_at(&mm->regions, index);
	if (!(vma->flags & VMA_GROWS_DOWN) || start < USER_BASE || vma->end - start > mm->stack_limit)
		return NULL;
	below = index ? vma_at(&mm->regions, index - 1) : NULL;
	/* From what can be used by mistake it keeps away. */
	if (below && below->end + STACK_GUARD > start && !(below->flags & VMA_GROWS_DOWN) &&
	    below->prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
		return NULL;
	mm_account(mm, vma, (int64_t)((vma->start - start) >> PAGE_BITS));
	vma->start = start;
	return vma;
}

static bool access_allowed(const struct vma *vma, unsigned access)
{
	if (access & FAULT_WRITE)
		return vma->prot & PROT_WRITE;
	if (access & FAULT_EXECUTE)
		return vma->prot & PROT_EXEC;
	return vma->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* A new frame; RETRY if the address space changed while waiting for one. */
static int frame_for(struct mm *mm, uint64_t page, entry_t before, bool zeroed, pfn_t *pfn)
{
	uint64_t generation = mm->generation;

	*pfn = page_allocate(zeroed);
	if (!*pfn)
		return FAULT_NO_MEMORY;
	if (generation == mm->generation && page_map_get(&mm->pages, page) == before)
		return FAULT_OK;
	page_put(*pfn);
	return RETRY;
}

static int record(struct mm *mm, uint64_t page, entry_t entry)
{
	if (page_map_set(&mm->pages, page, entry))
		return FAULT_OK;
	page_put(entry & ENTRY_PFN);
	return FAULT_NO_MEMORY;
}

static int bring_in_file(struct mm *mm, struct vma *vma, uint64_t page, bool write)
{
	uint64_t index = vma->offset + page - (vma->start >> PAGE_BITS), generation = mm->generation;
	struct file *file = file_get(vma->file);
	bool shared = vma->flags & VMA_SHARED;
	pfn_t pfn, copy;
	int result = page_cache_get(file->inode, index, &pfn);

	if (!result && shared && write) {
		result = page_cache_make_writable(file->inode, index);
		if (result)
			page_put(pfn);
	}
	if (result) {
		file_put(file);
		return result == -ENOMEM ? FAULT_NO_MEMORY : FAULT_BUS;
	}
	if (generation != mm->generation || page_map_get(&mm->pages, page) ||
	    page_of(pfn)->inode != file->inode) {
		page_put(pfn);
		file_put(file);
		return RETRY;
	}
	if (shared && write)
		page_cache_mark_dirty(file->inode, index, pfn);
	file_put(file);
	if (shared || !write)
		return record(mm, page, pfn | (shared && write ? ENTRY_WRITE : 0));
	result = frame_for(mm, page, 0, false, &copy);
	if (result == FAULT_OK) {
		memcpy(page_address(copy), page_address(pfn), PAGE_SIZE);
		result = record(mm, page, copy | ENTRY_WRITE);
	}
	page_put(pfn);
	return result;
}

static int bring_in_shared(struct mm *mm, struct vma *vma, uint64_t page)
{
	struct shared_memory *shared = vma->shared;
	uint64_t index = vma->offset + page - (vma->start >> PAGE_BITS);
	pfn_t pfn = page_map_get(&shared->pages, index) & ENTRY_PFN;
	int result;

	if (!pfn) {
		result = frame_for(mm, page, 0, true, &pfn);
		if (result)
			return result;
		/* Another address space may have brought it while this one waited. */
		if (page_map_get(&shared->pages, index)) {
			page_put(pfn);
			return RETRY;
		}
		if (!page_map_set(&shared->pages, index, pfn)) {
			page_put(pfn);
			return FAULT_NO_MEMORY;
		}
	}
	page_get(pfn);
	return record(mm, page, pfn | ENTRY_WRITE);
}

static int bring_in(struct mm *mm, struct vma *vma, uint64_t page, bool write)
{
	pfn_t pfn;
	int result;

	if (vma->file)
		return bring_in_file(mm, vma, page, write);
	if (vma->shared)
		return bring_in_shared(mm, vma, page);
	result = frame_for(mm, page, 0, true, &pfn);
	return result ? result : record(mm, page, pfn | ENTRY_WRITE);
}

static int make_shared_writable(struct mm *mm, struct vma *vma, uint64_t page, entry_t entry)
{
	uint64_t index = vma->offset + page - (vma->start >> PAGE_BITS), generation = mm->generation;
	struct file *file = vma->file;
	int error = 0;

	if (file) {
		file_get(file);
		error = page_cache_make_writable(file->inode, index);
		if (generation != mm->generation || page_map_get(&mm->pages, page) != entry)
			error = RETRY;
		else if (!error)
			page_cache_mark_dirty(file->inode, index, entry & ENTRY_PFN);
		file_put(file);
	}
	if (error)
		return error == RETRY ? RETRY : FAULT_BUS;
	page_map_set(&mm->pages, page, entry | ENTRY_WRITE);
	return FAULT_OK;
}

/* The page is there and is written for the first time: mark it dirty, take it over, or copy it. */
static int make_writable(struct mm *mm, struct vma *vma, uint64_t page, entry_t entry)
{
	pfn_t old = entry & ENTRY_PFN, new;
	const struct page *frame = page_of(old);
	int result;

	if (vma->flags & VMA_SHARED)
		return make_shared_writable(mm, vma, page, entry);
	if (frame->references == 1 && !(frame->flags & PAGE_CACHE)) {
		page_map_set(&mm->pages, page, entry | ENTRY_WRITE);
		return FAULT_OK;
	}
	page_get(old);
	result = frame_for(mm, page, entry, false, &new);
	if (result == FAULT_OK) {
		memcpy(page_address(new), page_address(old), PAGE_SIZE);
		/* The process must not go on reading the old page. */
		if (entry & ENTRY_MAPPED &&
		    !space_map(mm->space, page << PAGE_BITS, new, prot_rights(vma->prot))) {
			space_unmap(mm->space, page << PAGE_BITS, 1);
			entry &= ~ENTRY_MAPPED;
		}
		page_map_set(&mm->pages, page, new | ENTRY_WRITE | (entry & ENTRY_MAPPED));
		page_put(old);
	}
	page_put(old);
	return result;
}

enum fault_result mm_resolve(struct mm *mm, uint64_t address, unsigned access, entry_t *out)
{
	uint64_t page = address >> PAGE_BITS;
	bool write = access & FAULT_WRITE;
	int result;

	for (;;) {
		struct vma *vma = vma_find(&mm->regions, address);
		entry_t entry;

		if (!vma)
			vma = stack_grow(mm, address);
		if (!vma)
			return FAULT_NO_REGION;
		if (!access_allowed(vma, access))
			return FAULT_NO_RIGHT;
		entry = page_map_get(&mm->pages, page);
		if (entry && (!write || entry & ENTRY_WRITE)) {
			*out = entry;
			return FAULT_OK;
		}
		result = entry ? make_writable(mm, vma, page, entry) : bring_in(mm, vma, page, write);
		if (result > FAULT_OK)
			return (enum fault_result)result;
	}
}

/* ---- mapping neighbours along ---- */

/* Pages of the file that are in the cache, without waiting. */
static entry_t neighbour_of_file(struct mm *mm, struct vma *vma, uint64_t page)
{
	pfn_t pfn = page_cache_peek(vma->file->inode, vma->offset + page - (vma->start >> PAGE_BITS));

	if (!pfn)
		return 0;
	return record(mm, page, pfn) == FAULT_OK ? pfn : 0;
}

/* Memory that is filled from its start on gets a few pages ahead of time. */
static entry_t neighbour_of_memory(struct mm *mm, uint64_t page)
{
	pfn_t pfn = page_allocate(true);

	if (!pfn)
		return 0;
	return record(mm, page, pfn | ENTRY_WRITE) == FAULT_OK ? pfn | ENTRY_WRITE : 0;
}

static bool grows_upwards(struct mm *mm, struct vma *vma, uint64_t page)
{
	return !vma->file && !vma->shared && page > vma->start >> PAGE_BITS &&
	       page_map_get(&mm->pages, page - 1) && pages_free() > pages_total() / 8;
}

static unsigned map_around(struct mm *mm, struct vma *vma, uint64_t page, bool fresh)
{
	uint64_t first = page & ~(uint64_t)(AROUND_PAGES - 1), end = first + AROUND_PAGES;
	bool ahead = fresh && grows_upwards(mm, vma, page);
	struct space_batch batch;
	unsigned count = 0;

	if (first < vma->start >> PAGE_BITS)
		first = vma->start >> PAGE_BITS;
	if (end > vma->end >> PAGE_BITS)
		end = vma->end >> PAGE_BITS;
	space_batch_begin(&batch, mm->space);
	for (uint64_t at = first; at < end; at++) {
		entry_t entry = page_map_get(&mm->pages, at);

		if (entry & ENTRY_MAPPED && at != page)
			continue;
		if (!entry && vma->file)
			entry = neighbour_of_file(mm, vma, at);
		else if (!entry && ahead && at > page && at <= page + AROUND_PAGES / 2)
			entry = neighbour_of_memory(mm, at);
		if (!entry)
			continue;
		space_batch_add(&batch, at << PAGE_BITS, entry & ENTRY_PFN, effective_rights(vma, entry));
		*page_map_find(&mm->pages, at) |= ENTRY_MAPPED;
		count++;
	}
	space_batch_flush(&batch);
	return count;
}

/* Is there a neighbour that map_around would map? Saves the batch for lonely pages. */
static bool worth_looking_around(struct mm *mm, struct vma *vma, uint64_t page, bool fresh)
{
	uint64_t group = page & ~(uint64_t)(AROUND_PAGES - 1);
	entry_t *entry;

	if (vma->file || (fresh && grows_upwards(mm, vma, page)))
		return true;
	for (uint64_t at = group; (entry = page_map_next(&mm->pages, &at, group + AROUND_PAGES)); at++)
		if (!(*entry & ENTRY_MAPPED) && at != page)
			return true;
	return false;
}

enum fault_result fault_handle(struct mm *mm, uint64_t address, unsigned access, bool *map)
{
	uint64_t page = address >> PAGE_BITS;
	bool fresh = !page_map_get(&mm->pages, page);
	entry_t entry;
	enum fault_result result = mm_resolve(mm, address, access, &entry);
	uint64_t memory_page;
	struct vma *vma;

	*map = false;
	if (result != FAULT_OK)
		return result;
	vma = vma_find(&mm->regions, address);
	/* The records say that it is mapped, the processor said that it was not: a reply's mapping found no
	 * page table. The record that holds now is asked: what was there before may have gone in a wait. */
	if (entry & ENTRY_MAPPED && !(access & FAULT_PRESENT))
		return space_map(mm->space, page << PAGE_BITS, entry & ENTRY_PFN,
		                 effective_rights(vma, entry))
		               ? FAULT_OK
		               : FAULT_NO_MEMORY;
	if (!(entry & ENTRY_MAPPED) && worth_looking_around(mm, vma, page, fresh)) {
		map_around(mm, vma, page, fresh);
		return FAULT_OK;
	}
	*map = true;
	return space_window(mm->space, entry & ENTRY_PFN, &memory_page) ? FAULT_OK : FAULT_NO_MEMORY;
}

bool fault_mapping(struct mm *mm, uint64_t address, struct fault_mapping *mapping)
{
	const struct vma *vma = vma_find(&mm->regions, address);
	entry_t *entry = page_map_find(&mm->pages, address >> PAGE_BITS);

	if (!vma || !entry)
		return false;
	mapping->window = space_window(mm->space, *entry & ENTRY_PFN, &mapping->memory_page);
	mapping->address = address & ~(PAGE_SIZE - 1);
	mapping->rights = effective_rights(vma, *entry);
	*entry |= ENTRY_MAPPED;
	return mapping->window;
}
