/* SPDX-License-Identifier: MIT */
/*
 * Boot: what the loader told is checked and made into struct boot_data, memory is laid out, the CPU and the
 * interrupt controllers are brought up, and core takes over. A loader's mistake ends in a panic message on
 * COM1.
 */
#include "local.h"

#ifdef PITH_PROBE
#include "probe.h"
#endif

#include <kernel/cpu.h>
#include <kernel/trace.h>

/* Kept from everybody: the firmware's data, and room for the start-up code of other CPUs. */
#define LOW_RESERVED 0x10000ul
/* Local APICs; what is written here is an interrupt. */
#define MESSAGES_START 0xfee00000ul
#define MESSAGES_END   0xfef00000ul

static struct boot_data boot;
static struct memory_range reserved_ranges[BOOT_RANGES];
static struct memory_range direct_ranges[BOOT_RANGES];
static struct loader_info info;
static uint64_t iommu_memory;

_Noreturn void boot_main(unsigned loader, uint64_t physical);

/* The kernel's own image has no place in what a loader passes, and only low memory is mapped yet. */
const void *boot_bytes(uint64_t physical, uint64_t size)
{
	uint64_t image = (uint64_t)image_start - KERNEL_IMAGE, end = (uint64_t)image_end - KERNEL_IMAGE;

	if (physical == 0 || physical >= BOOT_MAP_END || size > BOOT_MAP_END - physical)
		return NULL;
	if (physical < end && physical + size > image)
		return NULL;
	return phys_to_virt(physical);
}

void boot_command_line(struct loader_info *loader, const char *text, uint64_t limit)
{
	uint64_t length = 0;

	while (length < limit && text[length] != '\0')
		length++;
	if (length >= BOOT_COMMAND_LINE) {
		kernel_log("boot: the command line is cut to %u bytes\n", BOOT_COMMAND_LINE - 1);
		length = BOOT_COMMAND_LINE - 1;
	}
	for (uint64_t i = 0; i < length; i++)
		loader->command_line[i] = text[i];
	loader->command_line[length] = '\0';
}

static void loader_parse(unsigned loader, uint64_t physical)
{
	info.memory.ranges = boot.ram;
	info.reserved.ranges = reserved_ranges;
	info.command_line = boot.command_line;
	if (loader == BOOT_PVH)
		boot_pvh_parse(physical, &info);
	else
		boot_multiboot_parse(physical, &info);
	if (info.memory.overflow || info.reserved.overflow)
		kernel_log("boot: the memory map has too many ranges, some memory is not used\n");
	/* Where the firmware contradicts itself, it is not RAM. */
	for (unsigned i = 0; i < info.reserved.count; i++)
		range_remove(&info.memory, info.reserved.ranges[i].start, info.reserved.ranges[i].end);
}

static uint64_t round_up(uint64_t value)
{
	return (value + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

/* Whole pages that the kernel can address. */
static void memory_round(struct range_list *list)
{
	range_remove(list, 1ul << 46, UINT64_MAX);
	for (unsigned i = 0; i < list->count;) {
		struct memory_range r = list->ranges[i];
		uint64_t start = round_up(r.start), end = r.end & ~(PAGE_SIZE - 1);

		if (start < end) {
			list->ranges[i++] = (struct memory_range){start, end};
		} else {
			list->ranges[i].start = r.start & ~(PAGE_SIZE - 1);
			list->ranges[i].end = round_up(r.end);
			range_remove(list, list->ranges[i].start, list->ranges[i].end);
		}
	}
}

static void module_check(const struct range_list *memory)
{
	uint64_t image = (uint64_t)image_start - KERNEL_IMAGE, end = (uint64_t)image_end - KERNEL_IMAGE;

	if (info.module_start == info.module_end)
		return;
	if (info.module_start % PAGE_SIZE != 0)
		panic("boot: the boot image at %#lx is not page-aligned", info.module_start);
	if (info.module_end > (1ul << 46) ||
	    !range_contains(memory, info.module_start, round_up(info.module_end)))
		panic("boot: the boot image [%#lx, %#lx) is not in RAM", info.module_start, info.module_end);
	if (info.module_start < LOW_RESERVED || (info.module_start < end && info.module_end > image))
		panic("boot: the boot image [%#lx, %#lx) overlaps the kernel", info.module_start,
		      info.module_end);
	boot.module = (struct memory_range){info.module_start, round_up(info.module_end)};
}

static void rsdp_parse(void)
{
	if (info.rsdp == 0)
		info.rsdp = acpi_find_rsdp();
	if (info.rsdp_copy_size != 0)
		acpi_parse(info.rsdp_copy, info.rsdp_copy_size);
	else if (boot_bytes(info.rsdp, sizeof(info.rsdp_copy)))
		acpi_parse(boot_bytes(info.rsdp, sizeof(info.rsdp_copy)), sizeof(info.rsdp_copy));
	else
		acpi_parse(NULL, 0);
}

/* A loader that only has a copy of the root pointer: it gets a page of its own, which counts as firmware's.
 */
static void rsdp_place(struct range_list *memory)
{
	uint64_t page;
	uint8_t *to;

	boot.acpi_rsdp = info.rsdp;
	if (boot.acpi_rsdp || info.rsdp_copy_size == 0)
		return;
	page = range_take(memory, PAGE_SIZE, boot.module.end, BOOT_MAP_END);
	if (page == 0)
		page = range_take(memory, PAGE_SIZE, (uint64_t)image_end - KERNEL_IMAGE, BOOT_MAP_END);
	if (page == 0)
		return;
	to = phys_to_virt(page);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		to[i] = i < info.rsdp_copy_size ? info.rsdp_copy[i] : 0;
	boot.acpi_rsdp = page;
}

#ifdef PITH_TRACE
static struct memory_range trace_memory;

/* Not above 4 GiB: there an address is the place in a file of the emulator's memory. */
static void trace_place(struct range_list *memory)
{
	uint64_t ram = 0, bytes;

	for (unsigned i = 0; i < memory->count; i++)
		ram += memory->ranges[i].end - memory->ranges[i].start;
	bytes = trace_bytes(ram < BOOT_MAP_END / 2 ? ram : BOOT_MAP_END / 2);
	trace_memory.start = range_take(memory, bytes, (uint64_t)image_end - KERNEL_IMAGE, BOOT_MAP_END);
	if (trace_memory.start == 0)
		panic("boot: no %lu KiB of contiguous memory for the trace", bytes >> 10);
	trace_memory.end = trace_memory.start + bytes;
}

static void trace_start(void)
{
	unsigned cpus = acpi.cpu_count < CPU_MAX ? acpi.cpu_count : CPU_MAX;

	trace_init(phys_to_virt(trace_memory.start), trace_memory.end - trace_memory.start, cpus ? cpus : 1);
}
#else
static void trace_place(struct range_list *memory)
{
	(void)memory;
}

static void trace_start(void)
{
}
#endif

/* The loader's information is not used any more from here on: its memory may be. */
static void memory_layout(void)
{
	struct range_list *memory = &info.memory;
	struct range_list direct = {.ranges = direct_ranges};
	uint64_t image = (uint64_t)image_start - KERNEL_IMAGE, end = (uint64_t)image_end - KERNEL_IMAGE;
	uint64_t pool, pool_size;

	memory_round(memory);
	if (!range_contains(memory, image, end))
		panic("boot: the kernel at [%#lx, %#lx) is not in RAM by the memory map", image, end);
	module_check(memory);
	range_remove(memory, image, end);
	range_remove(memory, boot.module.start, boot.module.end);
	cpus_prepare(range_take(memory, PAGE_SIZE, PAGE_SIZE, LOW_RESERVED));
	range_remove(memory, 0, LOW_RESERVED);
	rsdp_place(memory);

	for (unsigned i = 0; i < memory->count; i++)
		range_add(&direct, memory->ranges[i].start, memory->ranges[i].end);
	range_add(&direct, boot.module.start, boot.module.end);
	for (unsigned i = 0; i < direct.count; i++)
		boot.not_device[i] = direct.ranges[i];
	boot.not_device_count = direct.count;

	pool_size = paging_bytes(&direct);
	pool = range_take(memory, pool_size, end, BOOT_MAP_END);
	if (pool == 0)
		panic("boot: no memory for page tables (%lu KiB)", pool_size >> 10);
	trace_place(memory);
	if (iommu_bytes())
		iommu_memory = range_take(memory, iommu_bytes(), end, UINT64_MAX);
	boot.ram_count = memory->count;
	paging_init(&direct, pool, pool_size);
}

static void page_add(struct range_list *list, uint64_t address)
{
	range_add(list, address & ~(PAGE_SIZE - 1), (address & ~(PAGE_SIZE - 1)) + PAGE_SIZE);
}

/* What must not be taken for a device: the kernel's image, the low pages, and registers with which one could
 * raise any interrupt on any CPU, or let devices reach all memory. */
static void memory_all(void)
{
	struct range_list all = {.ranges = boot.not_device, .count = boot.not_device_count};

	range_add(&all, 0, LOW_RESERVED);
	range_add(&all, (uint64_t)image_start - KERNEL_IMAGE, (uint64_t)image_end - KERNEL_IMAGE);
	for (unsigned i = 0; i < all.count; i++)
		boot.ram_bytes += all.ranges[i].end - all.ranges[i].start;
	range_add(&all, MESSAGES_START, MESSAGES_END);
	page_add(&all, acpi.local_apic);
	for (unsigned i = 0; i < acpi.io_apic_count; i++)
		page_add(&all, acpi.io_apics[i].address);
	for (unsigned i = 0; i < acpi.dmar.unit_count; i++)
		page_add(&all, acpi.dmar.units[i]);
	if (all.overflow)
		panic("boot: the memory map has too many ranges");
	boot.not_device_count = all.count;
}

_Noreturn void boot_main(unsigned loader, uint64_t physical)
{
	cpu_detect();
	arch_cpu_init(0);
	debug_init();
	loader_parse(loader, physical);
	patch_text(boot.command_line);
	rsdp_parse();
	memory_layout();
	memory_all();
	trace_start();
	vector_init();
	apic_init();
	apic_timer_start();
	time_init();
	apic_timer_init();
	irq_init();
	if (iommu_bytes())
		iommu_init(iommu_memory);
	boot.tsc_hz = time_tsc_hz;
	boot.tsc_at_boot = time_tsc_at_boot;
	boot.xsave_bytes = vector_bytes;
	boot.cpu_count = cpus_start();
#ifdef PITH_PROBE
	probe(boot.command_line);
#endif
	kernel_main(&boot);
}
