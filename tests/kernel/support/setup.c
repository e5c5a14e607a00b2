/* SPDX-License-Identifier: MIT */
#include "setup.h"

#define FIRST_SLOT  1000
#define LEVELS      48
#define STACK_PAGES 4
#define AREA        0x20000000ul /* stacks and IPC buffers, each at its own address in all spaces */
#define POOL_BITS   25           /* what a test may use, cut into parts of ... */
#define PART_BITS   21

static const struct boot_info *boot;
static const struct boot_image *image;
static const char *program;
static cptr_t next_slot = FIRST_SLOT;
static uint64_t next_area = AREA;
static uint64_t time_scale;

/* Where Untypeds come from: for each size, a larger one that is being used up. */
static struct level {
	cptr_t parent;
	unsigned left;
} levels[LEVELS];
static cptr_t pool;
static bool pool_used;
static cptr_t pool_first_slot;
static cptr_t devices[BOOT_INFO_UNTYPEDS]; /* by Untyped: the Memory that it was made into */

struct space own_space = {INIT_SLOT_VSPACE};
struct ipc_buffer *own_buffer;

/* ---- system calls ---- */
struct result invoke(cptr_t cap, enum operation operation, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                     uint64_t w4, uint64_t w5)
{
	struct result r = {.status = SYS_INVOKE};
	register uint64_t r10 __asm__("r10") = w1;
	register uint64_t r8 __asm__("r8") = w2;
	register uint64_t r9 __asm__("r9") = w3;
	register uint64_t r12 __asm__("r12") = w4;
	register uint64_t r13 __asm__("r13") = w5;
	register uint64_t r14 __asm__("r14") = 0;
	register uint64_t r15 __asm__("r15") = 0;
	uint64_t rdi = cap, rsi = operation;

	__asm__ volatile("movq %%rbp, -136(%%rsp); syscall; movq -136(%%rsp), %%rbp"
	                 : "+a"(r.status), "+D"(rdi), "+S"(rsi), "+d"(w0), "+r"(r10), "+r"(r8), "+r"(r9),
	                   "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15)
	                 :
	                 : "rbx", "rcx", "r11", "memory");
	r.words[0] = w0;
	r.words[1] = r10;
	r.words[2] = r8;
	r.words[3] = r9;
	r.words[4] = r12;
	r.words[5] = r13;
	return r;
}

struct result must(const char *what, struct result result)
{
	if (result.status != ERR_NONE)
		fail(what, result.status);
	return result;
}

void print(const char *text)
{
	while (*text) {
		uint64_t words[6] = {0}, count = 0, status = SYS_DEBUG_WRITE, info = 0;

		while (count < sizeof(words) && text[count]) {
			((char *)words)[count] = text[count];
			count++;
		}
		text += count;
		register uint64_t r10 __asm__("r10") = words[1];
		register uint64_t r8 __asm__("r8") = words[2];
		register uint64_t r9 __asm__("r9") = words[3];
		register uint64_t r12 __asm__("r12") = words[4];
		register uint64_t r13 __asm__("r13") = words[5];

		__asm__ volatile("movq %%rbp, -136(%%rsp); syscall; movq -136(%%rsp), %%rbp"
		                 : "+a"(status), "+D"(count), "+S"(info), "+d"(words[0]), "+r"(r10), "+r"(r8),
		                   "+r"(r9), "+r"(r12), "+r"(r13)
		                 :
		                 : "rbx", "rcx", "r11", "r14", "r15", "memory");
	}
}

void print_number(uint64_t value)
{
	char text[24];
	unsigned at = sizeof(text) - 1;

	text[at] = '\0';
	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	print(text + at);
}

/* QEMU's isa-debug-exit, then nothing: whoever runs this elsewhere sees the last line. */
_Noreturn void finish(unsigned code)
{
	invoke(INIT_SLOT_IO_PORTS, IO_PORTS_OUT, 0xf4, 1, code, 0, 0, 0);
	for (;;)
		__asm__ volatile("pause");
}

_Noreturn void fail(const char *what, uint64_t status)
{
	print(program);
	print(" failed: ");
	print(what);
	print(" status ");
	print_number(status);
	print("\n");
	finish(1);
}

/* ---- objects ---- */
cptr_t slot_new(void)
{
	return next_slot++;
}

static cptr_t retype(cptr_t untyped, enum object_type type, unsigned bits, unsigned cpu)
{
	cptr_t slot = slot_new();

	MUST(untyped, UNTYPED_RETYPE, type | bits << 8 | cpu << 16, 1, CPTR_NULL, slot);
	return slot;
}

static cptr_t untyped_from_boot(unsigned bits)
{
	static uint64_t used;

	for (uint64_t i = 0; i < boot->untyped_count && i < 64; i++) {
		const struct boot_untyped *u = &boot->untypeds[i];

		if (u->device || u->size_bits < bits || u->size_bits > bits + 6 || used & 1ul << i)
			continue;
		used |= 1ul << i;
		return retype((cptr_t)(INIT_SLOT_UNTYPED + i), OBJECT_UNTYPED, bits, 0);
	}
	fail("no memory", bits);
}

static cptr_t untyped_from_pool(unsigned bits)
{
	if (bits > POOL_BITS || pool_used)
		fail("the test's memory is used up", bits);
	pool_used = true;
	return pool;
}

cptr_t untyped_new(unsigned bits)
{
	struct level *level = &levels[bits];
	unsigned parent_bits = bits == PART_BITS ? POOL_BITS : bits + 3 < PART_BITS ? bits + 3 : PART_BITS;

	if (bits > PART_BITS)
		return pool ? untyped_from_pool(bits) : untyped_from_boot(bits);
	if (level->left == 0) {
		level->parent = untyped_new(parent_bits);
		level->left = 1u << (parent_bits - bits);
	}
	level->left--;
	return retype(level->parent, OBJECT_UNTYPED, bits, 0);
}

void pool_begin(void)
{
	static cptr_t permanent;

	if (!permanent)
		permanent = untyped_from_boot(POOL_BITS);
	pool = permanent;
	pool_used = false;
	pool_first_slot = next_slot;
	for (unsigned i = 0; i < LEVELS; i++)
		levels[i] = (struct level){0};
}

bool pool_end(void)
{
	struct result info;

	MUST(INIT_SLOT_CNODE, CNODE_REVOKE, pool);
	/* What was derived from other things than the pool. */
	for (cptr_t slot = pool_first_slot; slot < next_slot; slot++)
		MUST(INIT_SLOT_CNODE, CNODE_DELETE, slot);
	info = MUST(pool, UNTYPED_INFO, 0);
	next_slot = pool_first_slot;
	next_area = AREA;
	for (unsigned i = 0; i < BOOT_INFO_UNTYPEDS; i++)
		devices[i] = CPTR_NULL;
	pool = CPTR_NULL;
	for (unsigned i = 0; i < LEVELS; i++)
		levels[i] = (struct level){0};
	return info.words[2] == 0;
}

static const uint8_t fixed_bits[] = {
#define OBJECT(name, bits) bits,
        OBJECTS
#undef OBJECT
};

cptr_t object_new(enum object_type type, unsigned bits)
{
	if (fixed_bits[type])
		return object_new_on(0, type);
	return retype(untyped_new(bits), type, bits, 0);
}

cptr_t object_new_on(unsigned cpu, enum object_type type)
{
	return retype(untyped_new(fixed_bits[type]), type, 0, cpu);
}

int device_untyped(uint64_t address)
{
	const struct boot_info *info = (const struct boot_info *)BOOT_INFO_ADDRESS;

	for (uint64_t i = 0; i < info->untyped_count; i++) {
		const struct boot_untyped *u = &info->untypeds[i];

		if (u->device && address >= u->address && address - u->address < 1ul << u->size_bits)
			return (int)i;
	}
	return -1;
}

struct device_memory device_memory(uint64_t address)
{
	const struct boot_info *info = (const struct boot_info *)BOOT_INFO_ADDRESS;
	int i = device_untyped(address);

	if (i < 0)
		fail("no device memory", address);
	if (!devices[i])
		devices[i] =
		        retype((cptr_t)(INIT_SLOT_UNTYPED + i), OBJECT_MEMORY, info->untypeds[i].size_bits, 0);
	return (struct device_memory){devices[i], info->untypeds[i].address};
}

cptr_t space_map(struct space space, cptr_t memory, uint64_t address, uint64_t pages, unsigned rights)
{
	cptr_t window = object_new(OBJECT_WINDOW, 0);

	MUST(window, WINDOW_BIND, memory, space.vspace, rights);
	MUST(window, WINDOW_MAP, address, 0, pages, rights);
	return window;
}

struct space space_new(void)
{
	struct space space = {object_new(OBJECT_VSPACE, 0)};
	cptr_t window = object_new(OBJECT_WINDOW, 0);
	uint64_t page = 0;

	MUST(space.vspace, VSPACE_FEED, untyped_new(18), 17);
	MUST(window, WINDOW_BIND, INIT_SLOT_PRIVATE, space.vspace, RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE);
	for (uint64_t i = 0; i < image->segment_count; i++) {
		uint64_t pages = (image->segments[i].memory_size + PAGE_SIZE - 1) >> PAGE_BITS;

		MUST(window, WINDOW_MAP, image->segments[i].address, page, pages, image->segments[i].rights);
		page += pages;
	}
	return space;
}

/* ---- threads ---- */
struct worker worker_new(struct space space, void (*entry)(void), unsigned priority)
{
	return worker_new_on(0, space, entry, priority);
}

struct worker worker_new_on(unsigned cpu, struct space space, void (*entry)(void), unsigned priority)
{
	struct worker worker = {.thread = object_new_on(cpu, OBJECT_THREAD),
	                        .context = object_new_on(cpu, OBJECT_SCHED_CONTEXT)};
	cptr_t buffer = object_new(OBJECT_MEMORY, PAGE_BITS + 2),
	       stack = object_new(OBJECT_MEMORY, PAGE_BITS + 2);
	uint64_t at = next_area;
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;

	next_area += 0x100000;
	worker.buffer = (struct ipc_buffer *)at;
	space_map(own_space, buffer, at, BUFFER_PAGES, RIGHT_READ | RIGHT_WRITE);
	if (space.vspace != own_space.vspace)
		space_map(space, buffer, at, BUFFER_PAGES, RIGHT_READ | RIGHT_WRITE);
	space_map(space, stack, at + 0x10000, STACK_PAGES, RIGHT_READ | RIGHT_WRITE);

	MUST(worker.thread, THREAD_BIND, BIND_CSPACE, INIT_SLOT_CNODE);
	MUST(worker.thread, THREAD_BIND, BIND_VSPACE, space.vspace);
	MUST(worker.thread, THREAD_BIND, BIND_IPC_BUFFER, buffer);
	MUST(INIT_SLOT_CPU_TIME + cpu, CPU_TIME_CONFIGURE, worker.context, 10000000, 10000000);
	MUST(worker.thread, THREAD_BIND, BIND_SCHED_CONTEXT, worker.context);
	MUST(worker.thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME + cpu, priority);
	*registers = (struct thread_registers){
	        .rip = (uint64_t)entry,
	        .rsp = at + 0x10000 + STACK_PAGES * PAGE_SIZE - 8,
	        .rflags = 0x202,
	};
	MUST(worker.thread, THREAD_WRITE_REGISTERS, 0);
	return worker;
}

void worker_start(const struct worker *worker)
{
	MUST(worker->thread, THREAD_RESUME, 0);
}

void worker_argument(const struct worker *worker, uint64_t argument)
{
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;

	MUST(worker->thread, THREAD_READ_REGISTERS, 0);
	registers->rdi = argument;
	MUST(worker->thread, THREAD_WRITE_REGISTERS, 0);
}

uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)((__uint128_t)(((uint64_t)high << 32 | low) - boot->tsc_at_boot) * time_scale >> 32);
}

void setup(const char *name, const struct boot_info *info)
{
	program = name;
	boot = info;
	image = (const struct boot_image *)info->image_address;
	own_buffer = (struct ipc_buffer *)info->ipc_buffer;
	time_scale = (1000000000ul << 32) / info->tsc_hz;
	/* Room for the page tables of what is mapped here. */
	MUST(own_space.vspace, VSPACE_FEED, untyped_new(18), 17);
}
