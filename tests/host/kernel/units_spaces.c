/* SPDX-License-Identifier: MIT */
/* Address spaces of both kinds: their ends, large pages, memory types, and operations that are interrupted at
 * every chance. */
#include "../check.h"
#include "fake.h"
#include "fake_io.h"
#include "units.h"
#include "world.h"

#define RW        (RIGHT_READ | RIGHT_WRITE)
#define AT        0x40000000ul
#define REQUESTER 3

static struct vspace *space_at(cptr_t space)
{
	return slot_object(init_slot_at(space));
}

static cptr_t space_make(unsigned type)
{
	cptr_t space = make(type, 0);

	CHECK(INVOKE(space, VSPACE_FEED, make(OBJECT_UNTYPED, 18), 18) == ERR_NONE);
	return space;
}

static cptr_t window_make(cptr_t memory, cptr_t space, unsigned rights)
{
	cptr_t window = make(OBJECT_WINDOW, 0);

	CHECK(INVOKE(window, WINDOW_BIND, memory, space, rights) == ERR_NONE);
	return window;
}

static pte_t leaf(cptr_t space, uint64_t address, unsigned level)
{
	unsigned missing;
	const pte_t *pte = arch_pte_find(&space_at(space)->arch, address, level, &missing);

	return pte ? *pte : 0;
}

static void test_ends(unsigned level)
{
	cptr_t space, window, memory;
	uint64_t end, physical;

	world_io_level = level;
	world_boot();
	space = space_make(OBJECT_IO_SPACE);
	memory = make(OBJECT_MEMORY, PAGE_BITS + 1);
	window = window_make(memory, space, RW);
	physical = init_slot_at(memory)->object;
	CHECK(INVOKE(space, IO_SPACE_INFO) == ERR_NONE);
	end = last.words[3];
	CHECK(end == (level == 2 ? 1ul << 39 : USER_END));
	CHECK(INVOKE(window, WINDOW_MAP, end - PAGE_SIZE, 0, 2, RW) == ERR_RANGE);
	CHECK(INVOKE(window, WINDOW_MAP, end - PAGE_SIZE, 1, 1, RW) == ERR_NONE);
	CHECK(INVOKE(window, WINDOW_MAP, USER_BASE, 0, 1, RIGHT_READ) == ERR_NONE);
	CHECK(fake_io_dma(REQUESTER, USER_BASE, false) == 0);
	CHECK(INVOKE(space, IO_SPACE_ATTACH, INIT_SLOT_IO_SPACE_CONTROL, REQUESTER) == ERR_NONE);
	CHECK(fake_io_dma(REQUESTER, USER_BASE + 5, false) == physical + 5);
	CHECK(fake_io_dma(REQUESTER, USER_BASE, true) == 0);
	CHECK(fake_io_dma(REQUESTER, end - PAGE_SIZE, true) == physical + PAGE_SIZE);
	CHECK(INVOKE(space, VSPACE_UNMAP, USER_BASE, (end - USER_BASE) >> PAGE_BITS) == ERR_NONE);
	CHECK(last.words[0] == 2 && fake_io_dma(REQUESTER, USER_BASE, false) == 0);
	/* All tables come back, but the root, which is the object's. */
	CHECK(INVOKE(space, VSPACE_RECLAIM) == ERR_NONE && last.words[0] == 64);
	CHECK(INVOKE(space, VSPACE_INFO) == ERR_NONE && last.words[1] == 0);
	CHECK(INVOKE(window, WINDOW_MAP, AT, 0, 2, RW) == ERR_NONE);
	CHECK(fake_io_dma(REQUESTER, AT, true) == physical);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, space) == ERR_NONE);
	CHECK(fake_io_attached() == 0 && fake_io_sound());
	CHECK(INVOKE(window, WINDOW_MAP, AT, 0, 2, RW) == ERR_STATE);
}

static cptr_t device_memory(unsigned bits)
{
	cptr_t memory = new_slot();

	for (cptr_t i = INIT_SLOT_UNTYPED; i < INIT_SLOT_UNTYPED + BOOT_INFO_UNTYPEDS; i++) {
		const struct slot *slot = init_slot_at(i);

		if (slot->type == OBJECT_UNTYPED && slot->flags & SLOT_DEVICE &&
		    slot->untyped.size_bits >= bits &&
		    INVOKE(i, UNTYPED_RETYPE, OBJECT_MEMORY | (uint64_t)bits << 8, 1, CPTR_NULL, memory) ==
		            ERR_NONE)
			break;
	}
	CHECK(!slot_empty(init_slot_at(memory)));
	return memory;
}

/* The fake IOMMU with fewer levels knows no large pages. */
static void test_large(unsigned type, unsigned level)
{
	bool large = type == OBJECT_VSPACE || level == 3;
	cptr_t space, window, memory, part, small, wide;

	world_io_level = level;
	world_boot();
	part = new_slot();
	space = space_make(type);
	memory = device_memory(LARGE_PAGE_BITS);
	window = window_make(memory, space, RIGHT_READ);
	CHECK(INVOKE(window, WINDOW_MAP, AT, 0, 512, RIGHT_READ | MAP_LARGE) ==
	      (large ? ERR_NONE : ERR_ARGUMENT));
	if (!large)
		return;
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DERIVE, part, CPTR_NULL, memory, RIGHT_ALL, 0, 511) == ERR_NONE);
	small = window_make(part, space, RW);
	CHECK(INVOKE(small, WINDOW_PROTECT, AT, 512, RW) == ERR_NONE);
	CHECK(arch_pte_rights(leaf(space, AT, 1)) == RIGHT_READ);
	/* Taking the part away may take the large page, too: it is in the range that the Window was used for.
	 */
	CHECK(INVOKE(small, WINDOW_MAP, AT + LARGE_PAGE_SIZE, 0, 1, RW) == ERR_NONE);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_REVOKE, part) == ERR_NONE);
	CHECK(leaf(space, AT + LARGE_PAGE_SIZE, 0) == 0);
	CHECK(INVOKE(window, WINDOW_MAP, AT, 0, 512, RIGHT_READ | MAP_LARGE) == ERR_NONE);
	CHECK(arch_pte_present(leaf(space, AT, 1)));
	/* With its rights all of the large page is this Window's, also what lies before the range. */
	wide = window_make(memory, space, RW);
	CHECK(INVOKE(wide, WINDOW_PROTECT, AT + PAGE_SIZE, 1, RW) == ERR_NONE);
	CHECK(arch_pte_rights(leaf(space, AT, 1)) == RW);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, memory) == ERR_NONE);
	CHECK(!arch_pte_present(leaf(space, AT, 1)));
}

static bool typed(cptr_t space, uint64_t physical, unsigned type)
{
	return leaf(space, AT, 0) == arch_pte_make(physical, RW, 0, type);
}

static void test_types(void)
{
	cptr_t space, ram, device;
	uint64_t physical;

	world_boot();
	space = space_make(OBJECT_VSPACE);
	ram = make(OBJECT_MEMORY, PAGE_BITS);
	device = device_memory(PAGE_BITS + 2);
	physical = init_slot_at(ram)->object;
	ram = window_make(ram, space, RW);
	CHECK(INVOKE(ram, WINDOW_MAP, AT, 0, 1, RW) == ERR_NONE && typed(space, physical, 0));
	CHECK(INVOKE(ram, WINDOW_MAP, AT, 0, 1, RW | MAP_UNCACHED) == ERR_NONE);
	CHECK(typed(space, physical, MAP_UNCACHED));
	CHECK(INVOKE(ram, WINDOW_MAP, AT, 0, 1, RW | MAP_WRITE_COMBINING) == ERR_NONE);
	CHECK(typed(space, physical, MAP_WRITE_COMBINING));
	CHECK(INVOKE(ram, WINDOW_MAP, AT, 0, 1, RW | MAP_WRITE_COMBINING | MAP_UNCACHED) == ERR_ARGUMENT);
	physical = init_slot_at(device)->object;
	device = window_make(device, space, RW);
	CHECK(INVOKE(device, WINDOW_MAP, AT, 0, 1, RW) == ERR_NONE && typed(space, physical, MAP_UNCACHED));
	CHECK(INVOKE(device, WINDOW_MAP, AT, 0, 1, RIGHT_READ | MAP_WRITE_COMBINING) == ERR_NONE);
	CHECK(INVOKE(device, WINDOW_PROTECT, AT, 1, RW) == ERR_NONE);
	CHECK(typed(space, physical, MAP_WRITE_COMBINING));
}

/* How many of these pages are there, with these rights. */
static unsigned count_leaves(cptr_t space, uint64_t pages, unsigned rights)
{
	unsigned count = 0;

	for (uint64_t i = 0; i < pages; i++)
		count += arch_pte_rights(leaf(space, AT + i * PAGE_SIZE, 0)) == rights;
	return count;
}

/* 4096 pages, with an interrupt at every n-th look; devices read all the while (world.c checks what they
 * see). */
static void test_thousands(unsigned type, unsigned every)
{
	const uint64_t pages = 4096;
	cptr_t space, window;

	world_io_level = 3;
	world_boot();
	space = space_make(type);
	window = window_make(device_memory(24), space, RW);
	if (type == OBJECT_IO_SPACE)
		CHECK(INVOKE(space, IO_SPACE_ATTACH, INIT_SLOT_IO_SPACE_CONTROL, REQUESTER) == ERR_NONE);
	fake_interrupt_every = every;
	CHECK(INVOKE(window, WINDOW_MAP, AT, 0, pages, RIGHT_READ) == ERR_NONE && last.words[0] == pages);
	CHECK(count_leaves(space, pages, RIGHT_READ) == pages);
	for (uint64_t i = 0; i < 256 && type == OBJECT_IO_SPACE; i++)
		CHECK(fake_io_dma(REQUESTER, AT + i * 16 * PAGE_SIZE, false) != 0);
	CHECK(INVOKE(window, WINDOW_PROTECT, AT + PAGE_SIZE, pages - 2, RW) == ERR_NONE);
	CHECK(count_leaves(space, pages, RW) == pages - 2);
	CHECK(INVOKE(space, VSPACE_UNMAP, AT, pages / 2) == ERR_NONE && last.words[0] == pages / 2);
	CHECK(count_leaves(space, pages, 0) == pages / 2);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, window) == ERR_NONE);
	CHECK(count_leaves(space, pages, 0) == pages);
	CHECK(INVOKE(space, VSPACE_RECLAIM) == ERR_NONE && last.words[0] == 64);
}

/* How far an interrupted call had come is nothing to another one, which the thread makes in its stead. */
static void test_progress_is_of_one_call(void)
{
	cptr_t space;
	struct thread *self;

	world_boot();
	space = space_make(OBJECT_VSPACE);
	CHECK(INVOKE(window_make(make(OBJECT_MEMORY, PAGE_BITS + 2), space, RW), WINDOW_MAP, AT, 0, 4, RW) ==
	      ERR_NONE);
	self = running();
	self->flags |= THREAD_RESTARTED;
	self->progress = 1ul << 56 | 5;
	self->progress_with = OBJECT_VSPACE << 16 | VSPACE_RECLAIM;
	self->progress_of = (uint64_t)space_at(space);
	CHECK(INVOKE(space, VSPACE_UNMAP, AT, 4) == ERR_NONE && last.words[0] == 4);
}

static struct window *closing;
static unsigned tried, done;

/* Another CPU, which wants to keep the Window busy for ever. */
static void map_meanwhile(struct thread *thread)
{
	const struct map_request request = {.address = AT, .pages = 1, .flags = RIGHT_READ};

	(void)thread;
	if (!slot_empty(&closing->vspace) && tried < 100) {
		tried++;
		done += window_map_whole(closing, &request);
	}
}

/* Its Memory is revoked step by step: once that has begun nothing new is mapped, or it might never end. */
static void test_no_map_while_unbound(void)
{
	cptr_t space, memory;

	world_boot();
	space = space_make(OBJECT_VSPACE);
	memory = make(OBJECT_MEMORY, PAGE_BITS + 1);
	closing = slot_object(init_slot_at(window_make(memory, space, RW)));
	closing->hull_start = AT;
	closing->hull_end = AT + 8 * LARGE_PAGE_SIZE;
	tried = done = 0;
	map_meanwhile(NULL);
	CHECK(done == 1);
	fake_interrupt_every = 1;
	fake_after_invoke = map_meanwhile;
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_REVOKE, memory) == ERR_NONE);
	fake_after_invoke = NULL;
	fake_interrupt_every = 0;
	CHECK(tried > 4 && tried < 100 && done == 1);
	CHECK(!leaf(space, AT, 0) && slot_empty(&closing->memory) && slot_empty(&closing->vspace));
}

static void test_absent(void)
{
	world_io_level = 0;
	world_boot();
	CHECK(slot_empty(init_slot_at(INIT_SLOT_IO_SPACE_CONTROL)));
	CHECK(INVOKE(make(OBJECT_UNTYPED, 13), UNTYPED_RETYPE, OBJECT_IO_SPACE, 1, CPTR_NULL, new_slot()) ==
	      ERR_STATE);
}

/* A string from a port, which is interrupted on the way, goes on where it was. */
static void test_port_string(void)
{
	const uint8_t *data;
	unsigned looks, right = 0;

	world_boot();
	data = thread_buffer(running())->data;
	looks = fake_interrupt_looks;
	fake_interrupt_every = 2;
	CHECK(INVOKE(INIT_SLOT_IO_PORTS, IO_PORTS_IN_STRING, 0x3f8, 3071) == ERR_NONE);
	fake_interrupt_every = 0;
	for (unsigned i = 0; i < 3071; i++)
		right += data[i] == 0xf8;
	CHECK(right == 3071 && data[3071] == 0 && fake_interrupt_looks - looks >= 3071 / 64);
}

unsigned units_spaces(unsigned *passed)
{
	test_port_string();
	test_absent();
	test_types();
	for (unsigned level = 2; level <= 3; level++) {
		test_ends(level);
		test_large(OBJECT_IO_SPACE, level);
	}
	test_large(OBJECT_VSPACE, 0);
	for (unsigned every = 2; every < 5; every++) {
		test_thousands(OBJECT_VSPACE, every);
		test_thousands(OBJECT_IO_SPACE, every);
	}
	world_io_level = 0;
	test_progress_is_of_one_call();
	test_no_map_while_unbound();
	*passed += checks_passed;
	return checks_failed;
}
