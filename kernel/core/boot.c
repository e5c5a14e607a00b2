/* SPDX-License-Identifier: MIT */
/*
 * From the arch code's findings to the first component: its objects are carved out of free RAM, once, before
 * user space runs; all other memory becomes Untypeds. Everything that it gets is a root of the derivation
 * tree.
 */
#include <kernel/boot.h>
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/lock.h>
#include <kernel/sched.h>
#include <kernel/slot.h>
#include <kernel/thread.h>
#include <kernel/vspace.h>
#include <kernel/window.h>

#define INIT_SLICE 5000000ul /* ns */

#define CNODE_BYTES (1ul << (INIT_CNODE_BITS + SLOT_BITS))

/* The first component under construction. */
struct init {
	const struct boot_data *boot;
	const struct boot_image *image;
	uint64_t next, end; /* physical memory for it */
	struct memory_range free[BOOT_RANGES];
	struct slot *cnode;
	struct vspace *vspace;
	struct thread *thread;
	struct boot_info *info;
};

static uint64_t pages_bytes(uint64_t bytes)
{
	return (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

/* ---- memory ---- */

/* Segments and stack, one after the other. */
static uint64_t private_bytes(const struct boot_image *image)
{
	uint64_t bytes = INIT_STACK_SIZE;

	for (uint64_t i = 0; i < image->segment_count; i++)
		bytes += pages_bytes(image->segments[i].memory_size);
	return bytes;
}

static uint64_t table_bytes(const struct init *init)
{
	uint64_t pages = (private_bytes(init->image) + init->image->size) >> PAGE_BITS;

	/* Last-level tables, and for each separate range a table of every level at both ends. */
	return (pages / 512 + (BOOT_SEGMENTS + 4) * 2 * ARCH_ROOT_LEVEL) << PAGE_BITS;
}

static uint64_t init_bytes(const struct init *init)
{
	return CNODE_BYTES + 2 * PAGE_SIZE /* VSpace */ + PAGE_SIZE /* Thread, SchedContext, Windows */ +
	       INIT_IPC_BUFFER_PAGES * PAGE_SIZE + pages_bytes(sizeof(struct boot_info)) +
	       private_bytes(init->image) + table_bytes(init);
}

/* Take what it needs from the end of the lowest range of free RAM that is large enough. */
static void init_reserve(struct init *init)
{
	uint64_t bytes = init_bytes(init);

	for (unsigned i = 0; i < init->boot->ram_count; i++)
		init->free[i] = init->boot->ram[i];
	for (unsigned i = 0; i < init->boot->ram_count; i++) {
		struct memory_range *range = &init->free[i];

		if (range->end - range->start < bytes)
			continue;
		init->end = range->end;
		range->end -= bytes;
		init->next = range->end;
		return;
	}
	panic("no %lu KiB of contiguous free memory for the first component", bytes >> 10);
}

static uint64_t init_take(struct init *init, uint64_t bytes)
{
	uint64_t physical = init->next;

	init->next += bytes;
	kernel_assert(init->next <= init->end);
	__builtin_memset(phys_to_virt(physical), 0, bytes);
	return physical;
}

/* ---- capabilities ---- */

static struct slot *init_slot(struct init *init, unsigned index, unsigned type, unsigned rights,
                              uint64_t object)
{
	struct slot *slot = &init->cnode[index];

	slot_set_root(slot, type, rights, object);
	slot->flags = SLOT_ORIGINAL;
	return slot;
}

static struct slot *init_memory(struct init *init, unsigned index, unsigned rights, uint64_t physical,
                                uint64_t bytes)
{
	struct slot *slot = init_slot(init, index, OBJECT_MEMORY, rights, physical);

	slot->pages = bytes >> PAGE_BITS;
	return slot;
}

static void init_objects(struct init *init)
{
	struct sched_context *context;
	char *page;

	init->cnode = phys_to_virt(init_take(init, CNODE_BYTES));
	init_slot(init, INIT_SLOT_CNODE, OBJECT_CNODE, RIGHT_ALL, (uint64_t)init->cnode)->slots =
	        1u << INIT_CNODE_BITS;
	init->vspace = vspace_init(phys_to_virt(init_take(init, 2 * PAGE_SIZE)));
	init_slot(init, INIT_SLOT_VSPACE, OBJECT_VSPACE, RIGHT_ALL, (uint64_t)init->vspace);
	page = phys_to_virt(init_take(init, PAGE_SIZE));
	init->thread = (struct thread *)page;
	thread_init(init->thread, this_cpu());
	init_slot(init, INIT_SLOT_THREAD, OBJECT_THREAD, RIGHT_ALL, (uint64_t)init->thread);
	context = (struct sched_context *)(page + sizeof(struct thread));
	sched_context_init(context);
	init_slot(init, INIT_SLOT_SCHED_CONTEXT, OBJECT_SCHED_CONTEXT, RIGHT_ALL, (uint64_t)context);
	for (unsigned i = 0; i < INIT_WINDOWS; i++) {
		struct window *window = (struct window *)(page + PAGE_SIZE - (i + 1) * sizeof(struct window));

		window_init(window);
		init_slot(init, INIT_SLOT_WINDOWS + i, OBJECT_WINDOW, RIGHT_ALL, (uint64_t)window);
	}
	init_slot(init, INIT_SLOT_IRQ_CONTROL, OBJECT_IRQ_CONTROL, RIGHT_ALL, 0);
	init_slot(init, INIT_SLOT_IO_PORTS, OBJECT_IO_PORTS, RIGHT_ALL, 0)->ports = 65536;
	if (arch_io.end)
		init_slot(init, INIT_SLOT_IO_SPACE_CONTROL, OBJECT_IO_SPACE_CONTROL, RIGHT_ALL, 0)->ports =
		        IO_REQUESTERS;
	for (unsigned i = 0; i < init->boot->cpu_count; i++) {
		struct slot *time = init_slot(init, INIT_SLOT_CPU_TIME + i, OBJECT_CPU_TIME, RIGHT_ALL, i);

		time->time.share = 1000;
		time->time.priority = PRIORITY_MAX;
	}
}
_Static_assert(((sizeof(struct thread) + 63) & ~63ul) + sizeof(struct sched_context) +
                               INIT_WINDOWS * sizeof(struct window) <=
                       PAGE_SIZE,
               "Thread, SchedContext and Windows share a page");

/* The page tables come out of a feed without parent. */
static void init_tables(struct init *init)
{
	struct slot *feed = &init->vspace->feeds[0];
	uint64_t bytes = table_bytes(init);

	slot_set_root(feed, CAP_TABLE_PAGES, 0, init_take(init, bytes));
	feed->flags = SLOT_ORIGINAL;
	feed->pages = bytes >> PAGE_BITS;
	init->vspace->free_pages = feed->pages;
}

/* ---- the address space ---- */

static struct window *init_window(struct init *init, unsigned index, unsigned memory, unsigned rights)
{
	struct window *window = slot_object(&init->cnode[INIT_SLOT_WINDOWS + index]);

	window_attach(window, &init->cnode[memory], &init->cnode[INIT_SLOT_VSPACE], rights);
	return window;
}

static void init_map(struct window *window, uint64_t address, uint64_t page, uint64_t bytes, unsigned rights)
{
	const struct map_request request = {
	        .address = address,
	        .page = page,
	        .pages = bytes >> PAGE_BITS,
	        .flags = rights,
	};

	if (!window_map_whole(window, &request))
		panic("the first component's memory at %#lx cannot be mapped", address);
}

/* Segments are copied, so that the image stays what it was. */
static void init_load(struct init *init)
{
	uint64_t bytes = private_bytes(init->image), physical = init_take(init, bytes), offset = 0;
	struct window *window;

	init_memory(init, INIT_SLOT_PRIVATE, RIGHT_ALL, physical, bytes);
	window = init_window(init, 0, INIT_SLOT_PRIVATE, RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE);
	for (uint64_t i = 0; i < init->image->segment_count; i++) {
		const struct boot_segment *segment = &init->image->segments[i];
		uint64_t size = pages_bytes(segment->memory_size);

		__builtin_memcpy(phys_to_virt(physical + offset), (const char *)init->image + segment->offset,
		                 segment->file_size);
		init_map(window, segment->address, offset >> PAGE_BITS, size, (unsigned)segment->rights);
		offset += size;
	}
	init_map(window, INIT_STACK_BOTTOM, offset >> PAGE_BITS, INIT_STACK_SIZE, RIGHT_READ | RIGHT_WRITE);
}

static void init_share(struct init *init, unsigned window, unsigned memory, uint64_t address, unsigned rights)
{
	init_map(init_window(init, window, memory, rights), address, 0,
	         init->cnode[memory].pages << PAGE_BITS, rights);
}

static void init_map_boot(struct init *init)
{
	uint64_t ipc_bytes = INIT_IPC_BUFFER_PAGES * PAGE_SIZE,
	         info_bytes = pages_bytes(sizeof(struct boot_info));
	uint64_t info = init_take(init, info_bytes);
	const struct memory_range *module = &init->boot->module;

	init->info = phys_to_virt(info);
	init_memory(init, INIT_SLOT_IPC_BUFFER, RIGHT_ALL, init_take(init, ipc_bytes), ipc_bytes);
	init_memory(init, INIT_SLOT_BOOT_INFO, RIGHT_ALL, info, info_bytes);
	init_memory(init, INIT_SLOT_BOOT_IMAGE, RIGHT_ALL & ~RIGHT_WRITE, module->start,
	            pages_bytes(init->image->size));
	init_share(init, 1, INIT_SLOT_IPC_BUFFER, INIT_IPC_BUFFER, RIGHT_READ | RIGHT_WRITE);
	init_share(init, 2, INIT_SLOT_BOOT_INFO, BOOT_INFO_ADDRESS, RIGHT_READ);
	init_share(init, 3, INIT_SLOT_BOOT_IMAGE, INIT_IMAGE, RIGHT_READ);
}

/* ---- what it is told ---- */

static void init_tell(struct init *init)
{
	const struct boot_data *boot = init->boot;
	struct boot_info *info = init->info;

	info->size = sizeof(*info);
	info->ipc_buffer = INIT_IPC_BUFFER;
	info->image_address = INIT_IMAGE;
	info->image_size = init->image->size;
	info->tsc_hz = boot->tsc_hz;
	info->tsc_at_boot = boot->tsc_at_boot;
	info->acpi_rsdp = boot->acpi_rsdp;
	info->cpu_count = boot->cpu_count;
	info->xsave_bytes = boot->xsave_bytes;
	info->ram_bytes = boot->ram_bytes;
	__builtin_memcpy(info->command_line, boot->command_line, BOOT_COMMAND_LINE);
	boot_untypeds_list(info, init->free, boot->ram_count, boot->not_device, boot->not_device_count);
	for (uint64_t i = 0; i < info->untyped_count; i++) {
		const struct boot_untyped *untyped = &info->untypeds[i];
		struct slot *slot = init_slot(init, INIT_SLOT_UNTYPED + (unsigned)i, OBJECT_UNTYPED,
		                              RIGHT_ALL, untyped->address);

		slot->untyped.size_bits = untyped->size_bits;
		if (untyped->device)
			slot->flags |= SLOT_DEVICE;
	}
	info->first_free_slot = INIT_SLOT_UNTYPED + info->untyped_count;
}

/* ---- its thread ---- */

static void init_bind(struct init *init, enum thread_binding binding, unsigned index)
{
	struct slot *from = &init->cnode[index];

	slot_derive(from, &init->thread->bindings[binding], from->rights);
	thread_binding_filled(init->thread, binding);
}

static void init_start(struct init *init)
{
	const struct thread_registers registers = {
	        .rip = init->image->entry,
	        .rsp = INIT_STACK_TOP,
	        .rdi = BOOT_INFO_ADDRESS,
	};

	init->thread->base_priority = init->thread->priority = PRIORITY_MAX;
	sched_context_setup(slot_object(&init->cnode[INIT_SLOT_SCHED_CONTEXT]), INIT_SLICE, INIT_SLICE);
	init_bind(init, BIND_CSPACE, INIT_SLOT_CNODE);
	init_bind(init, BIND_VSPACE, INIT_SLOT_VSPACE);
	init_bind(init, BIND_IPC_BUFFER, INIT_SLOT_IPC_BUFFER);
	init_bind(init, BIND_SCHED_CONTEXT, INIT_SLOT_SCHED_CONTEXT);
	kernel_assert(arch_context_write(&init->thread->context, &registers));
	thread_wake(init->thread);
}

static const struct boot_image *boot_image_find(const struct boot_data *boot)
{
	uint64_t size = boot->module.end - boot->module.start;
	const struct boot_image *image = phys_to_virt(boot->module.start);
	const char *wrong;

	if (!size)
		panic("no boot image: the boot loader gave no module (QEMU: -initrd)");
	wrong = boot_image_check(image, size);
	if (wrong)
		panic("the boot image cannot be used: %s", wrong);
	return image;
}

/* The other CPUs have nothing to do until somebody sends them a thread. */
void kernel_main_other(void)
{
	debug_lock_take();
	this_cpu()->since = arch_time();
	schedule_and_return();
}

void kernel_main(const struct boot_data *boot)
{
	static struct init init;

	cpu_count = boot->cpu_count;
	for (unsigned i = 0; i < cpu_count; i++)
		cpu_init(cpu_at(i));
	debug_lock_take();
	init.boot = boot;
	init.image = boot_image_find(boot);
	init_reserve(&init);
	init_objects(&init);
	init_tables(&init);
	init_load(&init);
	init_map_boot(&init);
	init_tell(&init);
	init_start(&init);
	arch_cpus_start();
	schedule_and_return();
}
