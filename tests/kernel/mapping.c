/* SPDX-License-Identifier: MIT */
/* What large pages may do, and mappings of thousands of pages in one call, of VSpaces and IoSpaces. */
#include "test.h"

#define RW (RIGHT_READ | RIGHT_WRITE)
#define AT 0x30000000ul

/* ---- rights, as a thread finds them ---- */
static volatile cptr_t told; /* whom a thread tells that it could write */

static void toucher(uint64_t address)
{
	*(volatile uint64_t *)address = 1;
	system_call(SYS_SEND, &(struct registers){.cap = told, .deadline = DEADLINE_NEVER});
	system_call(SYS_WAIT, &(struct registers){.deadline = DEADLINE_NEVER});
}

/* Can a thread of ours write there? */
static bool writable(uint64_t address)
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), reply = object_new(OBJECT_REPLY, 0);
	struct worker worker = worker_new(own_space, (void (*)(void))toucher, PRIORITY_MAX - 1);
	struct registers r = {.cap = endpoint, .reply = reply, .deadline = soon()};
	bool faulted;

	told = endpoint;
	worker_argument(&worker, address);
	MUST(worker.thread, THREAD_BIND, BIND_FAULT, endpoint);
	worker_start(&worker);
	CHECK(system_call(SYS_RECV, &r) == ERR_NONE);
	faulted = message_label(r.info) == LABEL_PAGE_FAULT;
	if (faulted)
		CHECK(r.words[0] == address && r.words[1] & FAULT_WRITE);
	MUST(worker.thread, THREAD_SUSPEND, 0);
	return !faulted;
}

TEST(large_part, "a Window to a part of a large page does not change the rights of all of it")
{
	cptr_t memory = object_new(OBJECT_MEMORY, LARGE_PAGE_BITS), part = slot_new(),
	       all = object_new(OBJECT_WINDOW, 0), some = object_new(OBJECT_WINDOW, 0);

	EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DERIVE, part, CPTR_NULL, memory, RIGHT_ALL, 0, 3);
	EXPECT(ERR_NONE, all, WINDOW_BIND, memory, own_space.vspace, RIGHT_READ);
	EXPECT(ERR_NONE, some, WINDOW_BIND, part, own_space.vspace, RW);
	EXPECT(ERR_NONE, all, WINDOW_MAP, AT, 0, 512, RIGHT_READ | MAP_LARGE);
	EXPECT(ERR_NONE, some, WINDOW_PROTECT, AT, 512, RW);
	CHECK(!writable(AT) && !writable(AT + 100 * PAGE_SIZE));
	/* It goes when either goes. */
	EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DELETE, all);
	CHECK(EXPECT(ERR_NONE, own_space.vspace, VSPACE_UNMAP, AT, 512).words[0] == 0);
}

TEST(large_protect, "a large page changes its rights as a whole")
{
	cptr_t memory = object_new(OBJECT_MEMORY, LARGE_PAGE_BITS), first = object_new(OBJECT_WINDOW, 0),
	       second = object_new(OBJECT_WINDOW, 0);

	EXPECT(ERR_NONE, first, WINDOW_BIND, memory, own_space.vspace, RIGHT_READ);
	EXPECT(ERR_NONE, second, WINDOW_BIND, memory, own_space.vspace, RW);
	EXPECT(ERR_NONE, first, WINDOW_MAP, AT, 0, 512, RIGHT_READ | MAP_LARGE);
	CHECK(!writable(AT));
	EXPECT(ERR_NONE, second, WINDOW_PROTECT, AT + 5 * PAGE_SIZE, 1, RW);
	CHECK(writable(AT) && writable(AT + 511 * PAGE_SIZE));
	EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DELETE, second);
	CHECK(EXPECT(ERR_NONE, own_space.vspace, VSPACE_UNMAP, AT, 512).words[0] == 0);
}

/* ---- thousands of pages ---- */

/*
 * Device memory, of which there is much: 64 MiB that no test touches. The call is made by a thread of lower
 * priority, while we keep waking up: it must let us.
 */
#define DEVICE      0xc0000000ul
#define DEVICE_BITS 26
#define HPET        0xfed00000ul
#define FIRMWARE    0xfffff000ul /* its last page: where CPUs begin */
#define FIRST       (0xff0 / 4)
/* Fewer where all of them are looked at after every step. */
#define PAGES     (slow() ? 1024ul : 1ul << (DEVICE_BITS - PAGE_BITS))
#define FAR       0x4000000000ul
#define TURNS_MIN (slow() ? 0u : 5u)

bool slow(void)
{
	return command_line_says("slow");
}

static struct order {
	cptr_t cap;
	enum operation operation;
	uint64_t words[4];
	struct result result;
} order;
static volatile unsigned ordered, done;

static void carrier(void)
{
	for (;;) {
		while (done == ordered)
			system_call(SYS_YIELD, &(struct registers){0});
		order.result = invoke(order.cap, order.operation, order.words[0], order.words[1],
		                      order.words[2], order.words[3], 0, 0);
		done = done + 1;
	}
}

/* The operation, by the worker; returns how often we ran meanwhile. */
static unsigned carry(cptr_t cap, enum operation operation, uint64_t w0, uint64_t w1, uint64_t w2,
                      uint64_t w3)
{
	cptr_t never = object_new(OBJECT_NOTIFICATION, 0);
	unsigned turns = 0;

	order = (struct order){cap, operation, {w0, w1, w2, w3}, {0}};
	ordered = ordered + 1;
	while (done != ordered) {
		system_call(SYS_WAIT,
		            &(struct registers){.cap = never, .deadline = now() + (slow() ? 2000000 : 5000)});
		turns++;
	}
	return turns;
}

static void thousands(cptr_t space, bool io)
{
	cptr_t memory = device_memory(DEVICE).cap, window = object_new(OBJECT_WINDOW, 0);
	struct worker worker = worker_new(own_space, carrier, PRIORITY_MAX - 1);
	/* Tables above those of small pages, the root not counted: some IOMMUs have a level less. */
	uint64_t upper = io && MUST(space, IO_SPACE_INFO, 0).words[3] <= 1ul << 39 ? 1 : 2, tables;

	ordered = done = 0;
	MUST(space, VSPACE_FEED, untyped_new(18), 18);
	tables = MUST(space, VSPACE_INFO, 0).words[0];
	MUST(window, WINDOW_BIND, memory, space, RW);
	worker_start(&worker);
	CHECK(carry(window, WINDOW_MAP, FAR, 0, PAGES, RIGHT_READ) > TURNS_MIN);
	CHECK(order.result.status == ERR_NONE && order.result.words[0] == PAGES);
	CHECK(MUST(space, VSPACE_INFO, 0).words[1] == PAGES / 512 + upper);
	CHECK(carry(window, WINDOW_PROTECT, FAR, PAGES, RW, 0) > TURNS_MIN);
	CHECK(order.result.status == ERR_NONE);
	if (!io) {
		CHECK(carry(space, VSPACE_HARVEST, FAR, PAGES < 12288 ? PAGES : 12288, 0, 0) > TURNS_MIN);
		CHECK(order.result.status == ERR_NONE);
	}
	/* The rest of the space costs nothing. */
	carry(window, WINDOW_PROTECT, USER_BASE, (FAR - USER_BASE) >> PAGE_BITS, RW, 0);
	CHECK(order.result.status == ERR_NONE);
	carry(space, VSPACE_UNMAP, FAR + PAGES / 2 * PAGE_SIZE, PAGES * 100, 0, 0);
	CHECK(order.result.status == ERR_NONE && order.result.words[0] == PAGES / 2);
	carry(INIT_SLOT_CNODE, CNODE_DELETE, window, 0, 0, 0);
	CHECK(order.result.status == ERR_NONE);
	carry(space, VSPACE_UNMAP, FAR, PAGES, 0, 0);
	CHECK(order.result.words[0] == 0);
	carry(space, VSPACE_RECLAIM, 0, 0, 0, 0);
	CHECK(order.result.words[0] == tables);
	/* Large pages, over what small ones were. */
	window = object_new(OBJECT_WINDOW, 0);
	MUST(window, WINDOW_BIND, memory, space, RW);
	carry(window, WINDOW_MAP, FAR, 0, PAGES, RW);
	carry(window, WINDOW_MAP, FAR, 0, PAGES, RW | MAP_LARGE);
	CHECK(order.result.status == ERR_NONE && order.result.words[0] == PAGES);
	CHECK(MUST(space, VSPACE_INFO, 0).words[1] == upper);
	carry(INIT_SLOT_CNODE, CNODE_REVOKE, memory, 0, 0, 0);
	carry(space, VSPACE_UNMAP, FAR, PAGES, 0, 0);
	CHECK(order.result.words[0] == 0);
}

TEST(thousands_of_pages,
     "thousands of pages are mapped, protected, harvested and unmapped in one call that lets others run")
{
	thousands(object_new(OBJECT_VSPACE, 0), false);
}

TEST(thousands_for_devices, "the same in an IoSpace")
{
	cptr_t space = slot_new();

	if (invoke(untyped_new(13), UNTYPED_RETYPE, OBJECT_IO_SPACE, 1, CPTR_NULL, space, 0, 0).status ==
	    ERR_NONE)
		thousands(space, true);
}

/* What the firmware's first instruction is when it is read, whatever the type of the mapping. */
TEST(memory_types, "device memory is mapped uncached, or write-combining where that is asked for")
{
	struct device_memory memory = device_memory(FIRMWARE);
	cptr_t window = object_new(OBJECT_WINDOW, 0);
	uint64_t page = (FIRMWARE - memory.address) >> PAGE_BITS;
	const volatile uint32_t *uncached = (const volatile uint32_t *)AT,
	                        *combining = (const volatile uint32_t *)(AT + PAGE_SIZE);

	MUST(window, WINDOW_BIND, memory.cap, own_space.vspace, RW);
	EXPECT(ERR_ARGUMENT, window, WINDOW_MAP, AT, page, 1, RW | MAP_UNCACHED | MAP_WRITE_COMBINING);
	EXPECT(ERR_NONE, window, WINDOW_MAP, AT, page, 1, RW);
	EXPECT(ERR_NONE, window, WINDOW_MAP, AT + PAGE_SIZE, page, 1, RW | MAP_WRITE_COMBINING);
	CHECK(uncached[FIRST] && uncached[FIRST] == combining[FIRST]);
	/* Rights change, the type does not. */
	EXPECT(ERR_NONE, window, WINDOW_PROTECT, AT, 2, RIGHT_READ);
	CHECK(uncached[FIRST] == combining[FIRST]);
}

/* Who could write there would be master of the machine. */
TEST(kernel_devices, "registers of interrupt controllers and IOMMUs are in no Untyped")
{
	static const uint64_t addresses[] = {0xfec00000, 0xfee00000, 0xfee01000, 0xfeeff000};

	for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		CHECK(device_untyped(addresses[i]) < 0);
	CHECK(device_untyped(HPET) >= 0 && device_untyped(DEVICE) >= 0);
}
