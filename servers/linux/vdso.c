/* SPDX-License-Identifier: MIT */
/*
 * The pages of lib/vdso are shared memory that is never given up and that no process may write: the page of
 * data that the server keeps writing, and the image.
 */
#include "vdso.h"
#include <cpuid.h>
#include <vdso_data.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <pith/log.h>
#include <pith/startup.h>

#define CPUID_EXTENDED_RDTSCP (1u << 27)

extern const uint8_t vdso_image[], vdso_image_end[];

static struct shared_memory memory = {.references = 1};
static struct vdso_data *data;

static void *add_page(void)
{
	pfn_t pfn = page_allocate(true);

	if (pfn == PFN_NONE || !page_map_set(&memory.pages, memory.pages.pages, pfn))
		fatal("no memory for the vDSO");
	return page_address(pfn);
}

static bool has_aux(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0x80000001, &a, &b, &c, &d) && d & CPUID_EXTENDED_RDTSCP;
}

void vdso_init(void)
{
	size_t size = (size_t)(vdso_image_end - vdso_image);

	data = add_page();
	*data = (struct vdso_data){
	        .tsc_at_boot = startup()->tsc_at_boot, .multiplier = time_multiplier(), .has_aux = has_aux()};
	for (size_t done = 0; done < size; done += PAGE_SIZE)
		memcpy(add_page(), vdso_image + done, size - done < PAGE_SIZE ? size - done : PAGE_SIZE);
}

void vdso_set_wall(int64_t offset)
{
	__atomic_store_n(&data->wall, offset, __ATOMIC_RELAXED);
}

static int map(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot, uint64_t page)
{
	int error;

	memory.references++;
	error = mm_add_region(mm, start, end, prot, VMA_SHARED | VMA_VDSO, NULL, page, &memory);
	if (error)
		shared_memory_put(&memory);
	return error;
}

int vdso_map(struct mm *mm, uint64_t *image)
{
	uint64_t size = memory.pages.pages << PAGE_BITS;
	uint64_t start = vma_gap_below(&mm->regions, USER_LOW, mm->mmap_top, size);
	int error = start ? map(mm, start, start + PAGE_SIZE, PROT_READ, 0) : -ENOMEM;

	*image = start + PAGE_SIZE;
	return error ? error : map(mm, *image, start + size, PROT_READ | PROT_EXEC, 1);
}
