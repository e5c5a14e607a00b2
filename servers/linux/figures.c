/* SPDX-License-Identifier: MIT */
/* What /proc tells of a process's memory: by looking at each page that is there. */
#include "figures.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "address_space.h"
#include "process.h"
#include "vfs.h"

/* How many processes have the frame mapped; input and output under way count too. */
static unsigned mappings_of(const struct page *frame)
{
	unsigned others = frame->flags & PAGE_CACHE ? 1 : 0;

	return frame->references > others + 1 ? frame->references - others : 1;
}

static void add_page(struct resident *sum, const struct vma *vma, entry_t entry)
{
	const struct page *frame = page_of(entry & ENTRY_PFN);
	unsigned mappings = mappings_of(frame);
	bool cache = frame->flags & PAGE_CACHE;
	bool dirty = cache ? frame->flags & PAGE_DIRTY || entry & ENTRY_WRITE : true;

	sum->pages++;
	sum->shares += PAGE_SIZE / mappings;
	if (vma->shared || (cache && inode_in_memory(frame->inode)))
		sum->shared_memory++;
	else if (cache)
		sum->file++;
	else
		sum->anonymous++;
	if (mappings > 1)
		*(dirty ? &sum->shared_dirty : &sum->shared_clean) += 1;
	else
		*(dirty ? &sum->private_dirty : &sum->private_clean) += 1;
}

/* The server's own pages of the vdso are in nobody's figures, as on Linux. */
static void add_region(struct resident *sum, struct vma *vma)
{
	uint64_t page = vma->start >> PAGE_BITS;
	entry_t *entry;

	if (vma->flags & VMA_VDSO)
		return;
	for (; (entry = page_map_next(&vma->mm->pages, &page, vma->end >> PAGE_BITS)); page++)
		add_page(sum, vma, *entry);
}

void memory_figures(const struct process *process, struct memory_figures *out)
{
	const struct mm *mm = process->mm;

	*out = (struct memory_figures){.locked = mm ? mm_locked_pages(mm, 0, USER_END) : 0};
	for (unsigned i = 0; mm && i < mm->regions.count; i++) {
		struct vma *vma = vma_at(&mm->regions, i);
		size_t pages = (vma->end - vma->start) >> PAGE_BITS;
		bool shared = vma->flags & VMA_SHARED;

		add_region(&out->resident, vma);
		if (vma->flags & VMA_GROWS_DOWN)
			out->stack += pages;
		else if (vma->prot & PROT_WRITE && !shared)
			out->data += pages;
		else if (vma->prot & PROT_EXEC && !shared && mm->exe && vma->file &&
		         vma->file->inode == mm->exe->inode)
			out->code += pages;
		else if (vma->prot & PROT_EXEC && !shared)
			out->libraries += pages;
	}
}

struct line {
	const char *name;
	size_t kib;
};

static void show_lines(const struct line *lines, size_t count, emit_text_t *emit, void *context)
{
	for (size_t i = 0; i < count; i++) {
		char line[64];
		int length = snprintf(line, sizeof(line), "%s:%*zu kB\n", lines[i].name,
		                      (int)(23 - strlen(lines[i].name)), lines[i].kib);

		emit(context, line, (size_t)length);
	}
}

static void show_resident(const struct resident *sum, size_t locked, emit_text_t *emit, void *context)
{
	const struct line lines[] = {
	        {"Rss", sum->pages * 4},
	        {"Pss", sum->shares / 1024},
	        {"Shared_Clean", sum->shared_clean * 4},
	        {"Shared_Dirty", sum->shared_dirty * 4},
	        {"Private_Clean", sum->private_clean * 4},
	        {"Private_Dirty", sum->private_dirty * 4},
	        {"Anonymous", sum->anonymous * 4},
	        {"AnonHugePages", 0},
	        {"ShmemPmdMapped", 0},
	        {"FilePmdMapped", 0},
	        {"Shared_Hugetlb", 0},
	        {"Private_Hugetlb", 0},
	        {"Swap", 0},
	        {"SwapPss", 0},
	        {"Locked", locked * 4},
	};

	show_lines(lines, sizeof(lines) / sizeof(lines[0]), emit, context);
}

static void show_flags(const struct vma *vma, emit_text_t *emit, void *context)
{
	const struct {
		bool set;
		const char *text;
	} flags[] = {
	        {vma->prot & PROT_READ, " rd"},       {vma->prot & PROT_WRITE, " wr"},
	        {vma->prot & PROT_EXEC, " ex"},       {vma->flags & VMA_SHARED, " sh"},
	        {vma->flags & VMA_GROWS_DOWN, " gd"}, {vma->flags & VMA_LOCKED, " lo"},
	        {vma->flags & VMA_DONTFORK, " dc"},   {vma->flags & VMA_NORESERVE, " nr"},
	};

	emit(context, "VmFlags:", 8);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].set)
			emit(context, flags[i].text, 3);
	emit(context, "\n", 1);
}

void memory_regions(const struct process *process, emit_text_t *emit, void *context)
{
	const struct mm *mm = process->mm;

	for (unsigned i = 0; mm && i < mm->regions.count; i++) {
		struct vma *vma = vma_at(&mm->regions, i);
		size_t pages = (vma->end - vma->start) >> PAGE_BITS;
		const struct line sizes[] = {{"Size", pages * 4}, {"KernelPageSize", 4}, {"MMUPageSize", 4}};
		struct resident sum = {0};

		add_region(&sum, vma);
		mm_region_line(vma, emit, context);
		show_lines(sizes, sizeof(sizes) / sizeof(sizes[0]), emit, context);
		show_resident(&sum, vma->flags & VMA_LOCKED ? sum.pages : 0, emit, context);
		show_flags(vma, emit, context);
	}
}

void memory_rollup(const struct process *process, emit_text_t *emit, void *context)
{
	const struct mm *mm = process->mm;
	unsigned count = mm ? mm->regions.count : 0;
	size_t locked = 0;
	struct resident sum = {0};
	char line[128];

	if (count == 0)
		return;
	for (unsigned i = 0; i < count; i++) {
		size_t before = sum.pages;

		add_region(&sum, vma_at(&mm->regions, i));
		if (vma_at(&mm->regions, i)->flags & VMA_LOCKED)
			locked += sum.pages - before;
	}
	int length = snprintf(line, sizeof(line),
	                      "%08lx-%08lx ---p 00000000 00:00 0                          [rollup]\n",
	                      vma_at(&mm->regions, 0)->start, vma_at(&mm->regions, count - 1)->end);

	emit(context, line, (size_t)length);
	show_resident(&sum, locked, emit, context);
}
