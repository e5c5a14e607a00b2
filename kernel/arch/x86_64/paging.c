/* SPDX-License-Identifier: MIT */
/*
 * Page tables: the kernel's own, made once at boot, and what core asks for VSpaces.
 *
 * The kernel's half of every root table is the same from boot on: the direct map of RAM (no-execute, without
 * the kernel's image, so that its text has no writable alias), the image with the rights of its sections, and
 * one table of device pages. All of it is global.
 *
 * Under KPTI there are two such halves: the kernel's, which is not global then, and user mode's, which every
 * VSpace has.
 */
#include "local.h"

#define ENTRIES 512
/* Device registers that the kernel itself uses: the last 2 MiB of the address space. */
#define DEVICE_BASE 0xffffffffffe00000ul

uint64_t kernel_root;
static uint64_t upper_half; /* the root whose upper half every VSpace has */
static pte_t device_table[ENTRIES] __attribute__((aligned(PAGE_SIZE)));
static unsigned device_count;

/* ---- the kernel's own tables ---- */
static uint64_t pool_next, pool_end;

static unsigned entry_index(uint64_t address, unsigned level)
{
	return (unsigned)(address >> (PAGE_BITS + 9 * level)) & (ENTRIES - 1);
}

static uint64_t level_size(unsigned level)
{
	return PAGE_SIZE << (9 * level);
}

static uint64_t pool_page(void)
{
	uint64_t page = pool_next;
	uint64_t *words = phys_to_virt(page);

	kernel_assert(page < pool_end);
	pool_next += PAGE_SIZE;
	for (unsigned i = 0; i < ENTRIES; i++)
		words[i] = 0;
	return page;
}

static void map_one(uint64_t root, uint64_t address, uint64_t physical, unsigned level, uint64_t flags)
{
	pte_t *table = phys_to_virt(root);

	for (unsigned l = ARCH_ROOT_LEVEL; l > level; l--) {
		pte_t *entry = &table[entry_index(address, l)];

		if (!(*entry & PTE_PRESENT))
			*entry = pool_page() | PTE_PRESENT | PTE_WRITE;
		table = phys_to_virt(*entry & PTE_ADDRESS);
	}
	table[entry_index(address, level)] =
	        physical | flags | PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | (level > 0 ? PTE_LARGE : 0);
}

/* The largest pages that fit. */
static void map_range(uint64_t address, uint64_t physical, uint64_t size, uint64_t flags)
{
	while (size > 0) {
		unsigned level = cpu_features.large_1g ? 2 : 1;

		while (level > 0 &&
		       (((address | physical) & (level_size(level) - 1)) != 0 || size < level_size(level)))
			level--;
		map_one(kernel_root, address, physical, level, flags);
		address += level_size(level);
		physical += level_size(level);
		size -= level_size(level);
	}
}

static bool is_guard(uint64_t address)
{
	uint64_t guard;

	for (unsigned i = 0; (guard = stack_guard(i)) != 0; i++)
		if (guard == address)
			return true;
	return false;
}

/* In 4 KiB pages, for the guard pages' sake. */
static void map_image(uint64_t root, const char *start, const char *end, uint64_t flags)
{
	for (uint64_t page = (uint64_t)start; page < (uint64_t)end; page += PAGE_SIZE)
		if (!is_guard(page))
			map_one(root, page, page - KERNEL_IMAGE, 0, flags);
}

/* Global: they are the same in both halves. */
static void map_user_half(void)
{
	uint64_t page;

	upper_half = pool_page();
	map_image(upper_half, entry_start, entry_end, PTE_GLOBAL);
	for (unsigned i = 0; (page = entry_page(i)) != 0; i++)
		map_one(upper_half, page, page - KERNEL_IMAGE, 0, PTE_WRITE | PTE_NX | PTE_GLOBAL);
}

uint64_t paging_bytes(const struct range_list *ranges)
{
	/* root; image: three levels of which the last maps 2 MiB; the device table's two upper levels */
	uint64_t image = 1 + 2 + (uint64_t)(image_end - image_start) / LARGE_PAGE_SIZE + 2;
	uint64_t pages = image + 2 + (kpti ? image : 0);

	for (unsigned i = 0; i < ranges->count; i++) {
		uint64_t size = ranges->ranges[i].end - ranges->ranges[i].start;

		/* per range: two directory pointer tables, directories, and a table of small pages at each
		 * end */
		pages += 2 + (size >> 39) + 2 + (size >> 30) + 2;
	}
	return pages * PAGE_SIZE;
}

void paging_init(const struct range_list *ranges, uint64_t pool, uint64_t pool_size)
{
	uint64_t global = kpti ? 0 : PTE_GLOBAL;

	pool_next = pool;
	pool_end = pool + pool_size;
	kernel_root = pool_page();
	for (unsigned i = 0; i < ranges->count; i++) {
		uint64_t start = ranges->ranges[i].start, end = ranges->ranges[i].end;

		map_range(start + KERNEL_OFFSET, start, end - start, PTE_WRITE | PTE_NX | global);
	}
	map_image(kernel_root, text_start, text_end, global);
	map_image(kernel_root, rodata_start, rodata_end, PTE_NX | global);
	map_image(kernel_root, data_start, image_end, PTE_WRITE | PTE_NX | global);
	upper_half = kernel_root;
	if (kpti)
		map_user_half();
	/* One page, to have the levels above; its entry is then replaced by the table's. */
	map_one(kernel_root, DEVICE_BASE, 0, 1, 0);
	{
		pte_t *table = phys_to_virt(kernel_root);

		for (unsigned l = ARCH_ROOT_LEVEL; l > 1; l--)
			table = phys_to_virt(table[entry_index(DEVICE_BASE, l)] & PTE_ADDRESS);
		table[entry_index(DEVICE_BASE, 1)] =
		        ((uint64_t)device_table - KERNEL_IMAGE) | PTE_PRESENT | PTE_WRITE;
	}
	paging_cpu_init();
}

/* The early map has no global pages: nothing of it is left in the TLB. */
void paging_cpu_init(void)
{
	struct arch_cpu *cpu = cpu_local();

	cr3_write(kernel_root);
	if (cpu_features.pcid)
		cr4_write(cr4_read() | CR4_PCIDE);
	cpu->cr3 = kernel_root;
	cpu->entry.kernel_root = kernel_root | (cpu_features.pcid ? CR3_KEEP : 0);
	cpu->entry.user_root = kpti ? cpu->entry.kernel_root : 0;
}

/* In the place of cpu_load_root()'s instructions where there are PCIDs. */
void pcid_load(uint64_t root)
{
	struct arch_cpu *cpu = cpu_local();
	bool stale = false;

	cpu->pcid = tlb_tag(&stale);
	if (stale)
		invpcid(INVPCID_ALL_OF_ONE, cpu->pcid, 0);
	if (kpti)
		cpu->entry.user_root = root | cpu->pcid | CR3_KEEP;
	else
		cr3_write(root | cpu->pcid | CR3_KEEP);
	__atomic_store_n(&cpu->cr3, root, __ATOMIC_RELAXED);
}

void *paging_map_device(uint64_t physical)
{
	uint64_t page = physical & PTE_ADDRESS;

	kernel_assert(device_count < ENTRIES);
	device_table[device_count] = page | PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_PCD | PTE_PWT |
	                             (kpti ? 0 : PTE_GLOBAL) | PTE_ACCESSED | PTE_DIRTY;
	return (void *)(DEVICE_BASE + device_count++ * PAGE_SIZE + (physical & (PAGE_SIZE - 1)));
}

/* ---- VSpaces ---- */
void arch_vspace_init(struct arch_vspace *vspace, void *root)
{
	const pte_t *kernel = phys_to_virt(upper_half);
	pte_t *table = root;

	for (unsigned i = ENTRIES / 2; i < ENTRIES; i++)
		table[i] = kernel[i];
	vspace->root = virt_to_phys(root);
}

pte_t *arch_pte_find(struct arch_vspace *vspace, uint64_t address, unsigned level, unsigned *missing)
{
	pte_t *table = phys_to_virt(vspace->root);

	for (unsigned l = ARCH_ROOT_LEVEL; l > level; l--) {
		pte_t entry = table[entry_index(address, l)];

		if (!(entry & PTE_PRESENT)) {
			*missing = l - 1;
			return NULL;
		}
		if (entry & PTE_LARGE) {
			*missing = l;
			return NULL;
		}
		table = phys_to_virt(entry & PTE_ADDRESS);
	}
	return &table[entry_index(address, level)];
}

void arch_table_link(struct arch_vspace *vspace, uint64_t address, unsigned level, void *table)
{
	unsigned missing = 0;
	pte_t *entry = arch_pte_find(vspace, address, level + 1, &missing);

	kernel_assert(entry != NULL && address < USER_END);
	*entry = virt_to_phys(table) | PTE_PRESENT | PTE_WRITE | PTE_USER;
}

/* Atomic: another CPU may be setting the bits. The caller flushes the TLB, or they would not be set again. */
unsigned arch_pte_harvest(pte_t *pte)
{
	pte_t old;

	if (!(*pte & (PTE_ACCESSED | PTE_DIRTY)))
		return 0;
	old = __atomic_fetch_and(pte, ~(PTE_ACCESSED | PTE_DIRTY), __ATOMIC_RELAXED);
	return (old & PTE_ACCESSED ? 1 : 0) | (old & PTE_DIRTY ? 2 : 0);
}

/* Beyond this many pages, one flush of everything costs less. */
#define FLUSH_PAGES_MAX 33

/* In the place of arch_tlb_flush() where there are PCIDs: under KPTI it is not the loaded one that is meant.
 */
void pcid_tlb_flush(struct arch_vspace *vspace, uint64_t address, uint64_t size)
{
	const struct arch_cpu *cpu = cpu_local();

	if (cpu->cr3 != vspace->root)
		return;
	if (size > FLUSH_PAGES_MAX * PAGE_SIZE) {
		invpcid(INVPCID_ALL_OF_ONE, cpu->pcid, 0);
		return;
	}
	for (uint64_t page = address & ~(PAGE_SIZE - 1); page < address + size; page += PAGE_SIZE)
		invpcid(INVPCID_ADDRESS, cpu->pcid, page);
}

void arch_tlb_flush(struct arch_vspace *vspace, uint64_t address, uint64_t size)
{
	if (cpu_local()->cr3 != vspace->root)
		return; /* it is flushed when it is loaded */
	/* Under KPTI there is nothing to forget: coming here did it. */
	if (size > FLUSH_PAGES_MAX * PAGE_SIZE) {
		cr3_write(cr3_read());
		return;
	}
	for (uint64_t page = address & ~(PAGE_SIZE - 1); page < address + size; page += PAGE_SIZE)
		__asm__ volatile("invlpg (%0)" : : "r"(page) : "memory");
}
