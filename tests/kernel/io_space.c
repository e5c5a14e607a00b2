/* SPDX-License-Identifier: MIT */
/*
 * IoSpaces, with QEMU's edu devices: each copies between 4 KiB of its own and any address. Without an IOMMU:
 * the errors that say so.
 */
#include "test.h"

#define CONTROL INIT_SLOT_IO_SPACE_CONTROL
#define RW      (RIGHT_READ | RIGHT_WRITE)
#define AT      0x30000000ul /* where the tests see their memory */
#define IOVA    0x8000000ul  /* where devices do */

/* ---- the device ---- */
#define EDU_ID     0x11e81234u
#define EDU_BUFFER 0x40000ul
#define EDU_BYTES  64

enum { EDU_FROM = 0x80 / 8, EDU_TO = 0x88 / 8, EDU_COUNT = 0x90 / 8, EDU_COMMAND = 0x98 / 8 };
enum { EDU_RUN = 1, EDU_WRITE = 2 };

struct edu {
	unsigned requester;
	volatile uint64_t *registers;
};

/* False: there is no IOMMU, and nothing to test. */
static bool present(void)
{
	return invoke(INIT_SLOT_CNODE, CNODE_DERIVE, slot_new(), CPTR_NULL, CONTROL, RIGHT_ALL, 0, 0)
	               .status == ERR_NONE;
}

static uint32_t config_read(unsigned requester, unsigned at)
{
	MUST(INIT_SLOT_IO_PORTS, IO_PORTS_OUT, 0xcf8, 4, 1u << 31 | requester << 8 | at);
	return (uint32_t)MUST(INIT_SLOT_IO_PORTS, IO_PORTS_IN, 0xcfc, 4).words[0];
}

static void config_write(unsigned requester, unsigned at, uint32_t value)
{
	MUST(INIT_SLOT_IO_PORTS, IO_PORTS_OUT, 0xcf8, 4, 1u << 31 | requester << 8 | at);
	MUST(INIT_SLOT_IO_PORTS, IO_PORTS_OUT, 0xcfc, 4, value);
}

/* The n-th edu of the machine, its registers mapped, bus mastering on. Those behind bridges come last. */
static struct edu edu_find(unsigned n)
{
	uint64_t at = AT + 0x1000000 + n * PAGE_SIZE;
	cptr_t window = object_new(OBJECT_WINDOW, 0);

	for (unsigned requester = 0, found = 0; requester < 8 * 256; requester += 8) {
		struct device_memory memory;
		uint64_t address;

		if (config_read(requester, 0) != EDU_ID || found++ < n)
			continue;
		address = config_read(requester, 0x10) & ~0xful;
		memory = device_memory(address);
		MUST(window, WINDOW_BIND, memory.cap, own_space.vspace, RW);
		MUST(window, WINDOW_MAP, at, (address - memory.address) >> PAGE_BITS, 1, RW);
		config_write(requester, 4, 6); /* memory, bus master */
		return (struct edu){requester, (volatile uint64_t *)at};
	}
	fail("no such device", n);
}

static void edu_run(const struct edu *edu, uint64_t address, unsigned direction)
{
	cptr_t never = object_new(OBJECT_NOTIFICATION, 0);

	edu->registers[EDU_FROM] = direction ? EDU_BUFFER : address;
	edu->registers[EDU_TO] = direction ? address : EDU_BUFFER;
	edu->registers[EDU_COUNT] = EDU_BYTES;
	edu->registers[EDU_COMMAND] = EDU_RUN | direction;
	while (edu->registers[EDU_COMMAND] & EDU_RUN)
		system_call(SYS_WAIT, &(struct registers){.cap = never, .deadline = now() + 10000000});
}

/* The device writes to this address what it reads from that one. */
static void edu_copy(const struct edu *edu, uint64_t from, uint64_t to)
{
	edu_run(edu, from, 0);
	edu_run(edu, to, EDU_WRITE);
}

/* ---- a space for it ---- */
struct io {
	struct edu edu;
	cptr_t space, memory, window, untyped; /* untyped: feeds its tables */
	volatile uint64_t *words;              /* the Memory, as we see it */
};

#define IO_PAGES 16
#define WORDS    (PAGE_SIZE / 8)

/* Pages 0 .. 7 of the Memory at IOVA, readable and writable; the rest is not mapped. */
static struct io io_new(unsigned n)
{
	struct io io = {
	        .edu = edu_find(n),
	        .space = object_new(OBJECT_IO_SPACE, 0),
	        .memory = object_new(OBJECT_MEMORY, PAGE_BITS + 4),
	        .window = object_new(OBJECT_WINDOW, 0),
	        .untyped = untyped_new(16),
	        .words = (volatile uint64_t *)(AT + n * 0x100000),
	};

	space_map(own_space, io.memory, (uint64_t)io.words, IO_PAGES, RW);
	EXPECT(ERR_NONE, io.space, VSPACE_FEED, io.untyped, 15);
	EXPECT(ERR_NONE, io.window, WINDOW_BIND, io.memory, io.space, RW);
	EXPECT(ERR_NONE, io.window, WINDOW_MAP, IOVA, 0, 8, RW);
	EXPECT(ERR_NONE, io.space, IO_SPACE_ATTACH, CONTROL, io.edu.requester);
	return io;
}

static uint64_t io_faults(const struct io *io)
{
	return EXPECT(ERR_NONE, io->space, IO_SPACE_INFO).words[2];
}

/* Whether what is in page `from` of the Memory gets to page `to` when the device copies between these
 * addresses. */
static bool io_copies(const struct io *io, unsigned from, uint64_t from_address, unsigned to,
                      uint64_t to_address)
{
	static uint64_t marks = 0x5eed000000000000;

	io->words[from * WORDS] = ++marks;
	io->words[to * WORDS] = 0;
	edu_copy(&io->edu, from_address, to_address);
	return io->words[to * WORDS] == marks;
}

/* Pages 0 and 1 through the addresses at which io_new() maps them. */
static bool io_works(const struct io *io)
{
	return io_copies(io, 0, IOVA, 1, IOVA + PAGE_SIZE);
}

static bool io_writes(const struct io *io)
{
	io->words[WORDS] = 0;
	edu_run(&io->edu, IOVA + PAGE_SIZE, EDU_WRITE);
	return io->words[WORDS] != 0;
}

/* ---- errors ---- */
TEST(io_space_absent, "without an IOMMU there are no IoSpaces")
{
	cptr_t untyped = untyped_new(13), to = slot_new();

	if (present())
		return;
	EXPECT(ERR_STATE, untyped, UNTYPED_RETYPE, OBJECT_IO_SPACE, 1, CPTR_NULL, to);
	EXPECT(ERR_NO_CAPABILITY, INIT_SLOT_CNODE, CNODE_DERIVE, to, CPTR_NULL, CONTROL, RIGHT_ALL);
	EXPECT(ERR_NO_CAPABILITY, object_new(OBJECT_WINDOW, 0), WINDOW_BIND, object_new(OBJECT_MEMORY, 12),
	       CONTROL, RW);
}

TEST(io_space_errors, "operations on an IoSpace refuse what they should")
{
	cptr_t space, other, weak, endpoint = object_new(OBJECT_ENDPOINT, 0), empty = slot_new(),
	                           few = slot_new(), window = object_new(OBJECT_WINDOW, 0),
	                           memory = object_new(OBJECT_MEMORY, LARGE_PAGE_BITS);
	struct result info;

	if (!present())
		return;
	space = object_new(OBJECT_IO_SPACE, 0);
	other = object_new(OBJECT_IO_SPACE, 0);
	weak = derive(space, RIGHT_READ);
	EXPECT(ERR_ARGUMENT, untyped_new(13), UNTYPED_RETYPE, OBJECT_IO_SPACE | 13 << 8, 1, CPTR_NULL, empty);
	EXPECT(ERR_ARGUMENT, untyped_new(13), UNTYPED_RETYPE, OBJECT_IO_SPACE_CONTROL, 1, CPTR_NULL, empty);
	EXPECT(ERR_NO_OPERATION, CONTROL, IO_SPACE_ATTACH);
	EXPECT(ERR_NO_OPERATION, space, IO_SPACE_INFO + 1);
	EXPECT(ERR_NO_OPERATION, weak, MEMORY_INFO); /* a number between a VSpace's and its own */
	EXPECT(ERR_NO_OPERATION, space, VSPACE_HARVEST, IOVA, 1);
	for (unsigned operation = IO_SPACE_ATTACH; operation <= IO_SPACE_INFO; operation++)
		EXPECT(ERR_RIGHTS, weak, operation);
	EXPECT(ERR_RIGHTS, weak, VSPACE_UNMAP);

	/* Requesters 0x1000 .. 0x100f. */
	EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DERIVE, few, CPTR_NULL, CONTROL, RIGHT_ALL, 0x1000, 0x10);
	EXPECT(ERR_RANGE, INIT_SLOT_CNODE, CNODE_DERIVE, empty, CPTR_NULL, few, RIGHT_ALL, 0x1000, 0x11);
	EXPECT(ERR_RANGE, INIT_SLOT_CNODE, CNODE_DERIVE, empty, CPTR_NULL, CONTROL, RIGHT_ALL, 1,
	       IO_REQUESTERS);
	EXPECT(ERR_ARGUMENT, space, IO_SPACE_ATTACH, few, 0x1000, 1);
	EXPECT(ERR_NO_CAPABILITY, space, IO_SPACE_ATTACH, empty, 0x1000);
	EXPECT(ERR_WRONG_TYPE, space, IO_SPACE_ATTACH, endpoint, 0x1000);
	EXPECT(ERR_RIGHTS, space, IO_SPACE_ATTACH, derive(few, RIGHT_READ), 0x1000);
	EXPECT(ERR_RANGE, space, IO_SPACE_ATTACH, few, 0xfff);
	EXPECT(ERR_RANGE, space, IO_SPACE_ATTACH, few, 0x1010);
	EXPECT(ERR_RANGE, space, IO_SPACE_ATTACH, CONTROL, IO_REQUESTERS);
	EXPECT(ERR_RANGE, space, IO_SPACE_ATTACH, CONTROL, UINT64_MAX);
	EXPECT(ERR_STATE, space, IO_SPACE_ATTACH, CONTROL,
	       0x1e << 3 | 7); /* firmware's, by the machine's ACPI table */
	EXPECT(ERR_STATE, space, IO_SPACE_DETACH);
	EXPECT(ERR_ARGUMENT, space, IO_SPACE_DETACH, 1);
	EXPECT(ERR_ARGUMENT, space, IO_SPACE_INFO, 1);
	CHECK(EXPECT(ERR_NONE, space, IO_SPACE_INFO).words[0] == 0);
	EXPECT(ERR_NONE, space, IO_SPACE_ATTACH, few, 0x1003);
	info = EXPECT(ERR_NONE, space, IO_SPACE_INFO);
	CHECK(info.words[0] == 1 && info.words[1] == 0x1003 && info.words[2] == 0);
	EXPECT(ERR_OCCUPIED, space, IO_SPACE_ATTACH, few, 0x1004);
	EXPECT(ERR_OCCUPIED, other, IO_SPACE_ATTACH, few, 0x1003);
	EXPECT(ERR_NONE, space, IO_SPACE_DETACH);
	EXPECT(ERR_STATE, space, IO_SPACE_DETACH);
	EXPECT(ERR_NONE, other, IO_SPACE_ATTACH, few, 0x1003);

	/* Its end is the IOMMU's. */
	EXPECT(ERR_RANGE, space, VSPACE_UNMAP, info.words[3], 1);
	EXPECT(ERR_NONE, space, VSPACE_UNMAP, info.words[3] - PAGE_SIZE, 1);
	EXPECT(ERR_NONE, window, WINDOW_BIND, memory, space, RW);
	EXPECT(ERR_OCCUPIED, window, WINDOW_BIND, memory, other, RW);
	EXPECT(ERR_RANGE, window, WINDOW_MAP, info.words[3] - PAGE_SIZE, 0, 2, RW);
	EXPECT(ERR_NO_MEMORY, window, WINDOW_MAP, info.words[3] - PAGE_SIZE, 0, 1, RW);
	own_buffer->scatter[0] = (struct scatter_entry){0, 1 << 4 | RIGHT_READ};
	EXPECT(ERR_RANGE, window, WINDOW_MAP_SCATTER, info.words[3] - PAGE_SIZE, 1);
	EXPECT(ERR_RIGHTS, object_new(OBJECT_WINDOW, 0), WINDOW_BIND, memory, weak, RW);
}

/* ---- what a device reaches ---- */
TEST(io_dma, "a device reaches what is mapped, with the rights that it is mapped with, and nothing else")
{
	struct io io;
	uint64_t faults;

	if (!present())
		return;
	io = io_new(0);
	CHECK(io_works(&io));
	CHECK(io_copies(&io, 2, IOVA + 2 * PAGE_SIZE, 7, IOVA + 7 * PAGE_SIZE));
	CHECK(io_faults(&io) == 0);
	/* Not mapped; nothing there of what is mapped beside it. */
	CHECK(!io_copies(&io, 7, IOVA + 8 * PAGE_SIZE, 0, IOVA));
	CHECK(io_faults(&io) == 1);
	CHECK(!io_copies(&io, 0, IOVA, 8, IOVA + 8 * PAGE_SIZE));
	faults = io_faults(&io);
	CHECK(faults == 2);
	/* Page 3 for reading only, page 4 for nothing. */
	EXPECT(ERR_NONE, io.window, WINDOW_PROTECT, IOVA + 3 * PAGE_SIZE, 1, RIGHT_READ);
	EXPECT(ERR_NONE, io.window, WINDOW_PROTECT, IOVA + 4 * PAGE_SIZE, 1, 0);
	/* QEMU records no fault of what its TLB knows to be read-only: the write comes first. */
	CHECK(!io_copies(&io, 0, IOVA, 3, IOVA + 3 * PAGE_SIZE));
	CHECK(io_faults(&io) == faults + 1);
	CHECK(io_copies(&io, 3, IOVA + 3 * PAGE_SIZE, 0, IOVA));
	CHECK(io_faults(&io) == faults + 1);
	CHECK(!io_copies(&io, 4, IOVA + 4 * PAGE_SIZE, 0, IOVA));
	CHECK(!io_copies(&io, 0, IOVA, 4, IOVA + 4 * PAGE_SIZE));
	CHECK(io_faults(&io) == faults + 3);
	/* And back. */
	EXPECT(ERR_NONE, io.window, WINDOW_PROTECT, IOVA + 3 * PAGE_SIZE, 1, RW);
	CHECK(io_copies(&io, 0, IOVA, 3, IOVA + 3 * PAGE_SIZE));
	/* Physical addresses mean nothing to it. */
	faults = MUST(io.memory, MEMORY_INFO, 0).words[2];
	CHECK(faults && !io_copies(&io, 0, IOVA, 9, faults + 9 * PAGE_SIZE));
}

TEST(io_scatter, "scattered pages are mapped for a device in one call, also where others were")
{
	struct io io;

	if (!present())
		return;
	io = io_new(0);
	CHECK(io_works(&io)); /* the IOMMU knows the old ones */
	for (unsigned i = 0; i < 8; i++)
		own_buffer->scatter[i] = (struct scatter_entry){IO_PAGES - 1 - i, i << 4 | RW};
	own_buffer->scatter[8] = (struct scatter_entry){3, 0x1000 << 4 | RIGHT_READ}; /* another table */
	EXPECT(ERR_NONE, io.window, WINDOW_MAP_SCATTER, IOVA, 9);
	CHECK(io_copies(&io, IO_PAGES - 1, IOVA, IO_PAGES - 8, IOVA + 7 * PAGE_SIZE));
	CHECK(io_copies(&io, 3, IOVA + 0x1000 * PAGE_SIZE, IO_PAGES - 1, IOVA));
	CHECK(!io_copies(&io, 0, IOVA, 3, IOVA + 0x1000 * PAGE_SIZE));
	CHECK(!io_works(&io));
}

TEST(io_large, "2 MiB pages serve devices, and are split like those of a VSpace")
{
	cptr_t memory, window;
	struct io io;
	volatile uint64_t *words = (volatile uint64_t *)(AT + 0x400000);

	if (!present())
		return;
	io = io_new(0);
	memory = object_new(OBJECT_MEMORY, LARGE_PAGE_BITS);
	window = object_new(OBJECT_WINDOW, 0);
	space_map(own_space, memory, (uint64_t)words, 512, RW);
	EXPECT(ERR_NONE, window, WINDOW_BIND, memory, io.space, RW);
	if (!EXPECT(ERR_NONE, io.space, IO_SPACE_INFO).words[4])
		return;
	EXPECT(ERR_NONE, window, WINDOW_MAP, IOVA + LARGE_PAGE_SIZE, 0, 512, RW | MAP_LARGE);
	words[511 * WORDS] = 77;
	edu_copy(&io.edu, IOVA + LARGE_PAGE_SIZE + 511 * PAGE_SIZE, IOVA + LARGE_PAGE_SIZE + 5 * PAGE_SIZE);
	CHECK(words[5 * WORDS] == 77 && io_faults(&io) == 0);
	/* A small page in it: the large one goes. */
	EXPECT(ERR_NONE, io.window, WINDOW_MAP, IOVA + LARGE_PAGE_SIZE + 5 * PAGE_SIZE, 0, 1, RW);
	io.words[0] = 78;
	edu_copy(&io.edu, IOVA + LARGE_PAGE_SIZE + 5 * PAGE_SIZE, IOVA + PAGE_SIZE);
	CHECK(io.words[WORDS] == 78 && io_faults(&io) == 0);
	words[0] = 0;
	edu_run(&io.edu, IOVA + LARGE_PAGE_SIZE, EDU_WRITE);
	CHECK(words[0] == 0 && io_faults(&io) == 1);
	EXPECT(ERR_NONE, io.space, VSPACE_UNMAP, IOVA + LARGE_PAGE_SIZE, 512);
	CHECK(EXPECT(ERR_NONE, io.space, VSPACE_RECLAIM).words[0] > 0);
	CHECK(io_works(&io));
}

/* ---- the end of it ---- */
static void check_gone(const struct io *io, bool here)
{
	CHECK(!io_writes(io));
	if (here)
		CHECK(io_faults(io) > 0);
}

TEST(io_unmap, "whatever takes a mapping away, the device's next access does not arrive")
{
	bool any = present();

	for (unsigned way = 0; any && way < 7; way++) {
		struct io io = io_new(0);
		bool here = true;

		CHECK(io_works(&io));
		switch (way) {
		case 0:
			CHECK(EXPECT(ERR_NONE, io.space, VSPACE_UNMAP, IOVA, 8).words[0] == 8);
			break;
		case 1:
			EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DELETE, io.window);
			break;
		case 2:
			EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_REVOKE, io.memory);
			/* Only that it is not mapped for us any more either. */
			space_map(own_space, io.memory, (uint64_t)io.words, IO_PAGES, RW);
			break;
		case 3: /* the tables' memory goes */
			EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_REVOKE, io.untyped);
			break;
		case 4:
			EXPECT(ERR_NONE, io.space, IO_SPACE_DETACH);
			here = false;
			break;
		case 5:
			EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DELETE, io.space);
			here = false;
			break;
		default:
			EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_REVOKE, io.space); /* takes its Windows */
			break;
		}
		check_gone(&io, here);
		EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DELETE, io.space);
		EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DELETE, io.memory);
	}
}

TEST(io_control, "revoking an IoSpaceControl detaches what was attached by it, and blocks the device")
{
	cptr_t mine = slot_new(), part = slot_new();
	struct io io;

	if (!present())
		return;
	io = io_new(0);
	CHECK(io_works(&io));
	EXPECT(ERR_NONE, io.space, IO_SPACE_DETACH);
	EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DERIVE, mine, CPTR_NULL, CONTROL, RIGHT_ALL, 0, 256);
	EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DERIVE, part, CPTR_NULL, mine, RIGHT_ALL, io.edu.requester,
	       1);
	EXPECT(ERR_NONE, io.space, IO_SPACE_ATTACH, part, io.edu.requester);
	CHECK(io_works(&io));
	EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_REVOKE, mine);
	CHECK(EXPECT(ERR_NONE, io.space, IO_SPACE_INFO).words[0] == 0);
	CHECK(!io_writes(&io));
	/* What was mapped still is. */
	EXPECT(ERR_NONE, io.space, IO_SPACE_ATTACH, mine, io.edu.requester);
	CHECK(io_works(&io) && io_faults(&io) == 0);
}

TEST(io_others, "each device has its own space; one that has none reaches memory by physical addresses")
{
	struct io a, b;
	struct edu free;
	uint64_t physical;

	if (!present())
		return;
	a = io_new(0);
	b = io_new(1);
	free = edu_find(2); /* no test attaches it */
	CHECK(io_works(&a) && io_works(&b));
	CHECK(a.words[0] != b.words[0] && a.words[WORDS] != b.words[WORDS]);
	EXPECT(ERR_NONE, a.space, VSPACE_UNMAP, IOVA, 8);
	CHECK(!io_writes(&a) && io_works(&b) && io_faults(&b) == 0);
	physical = MUST(b.memory, MEMORY_INFO, 0).words[2];
	b.words[0] = 99;
	edu_copy(&free, physical, physical + 2 * PAGE_SIZE);
	CHECK(b.words[2 * WORDS] == 99);
}

TEST(io_move, "a device is detached from one space and attached to another")
{
	struct io io;
	cptr_t other, window;

	if (!present())
		return;
	io = io_new(0);
	other = object_new(OBJECT_IO_SPACE, 0);
	window = object_new(OBJECT_WINDOW, 0);
	EXPECT(ERR_NONE, other, VSPACE_FEED, untyped_new(16), 15);
	EXPECT(ERR_NONE, window, WINDOW_BIND, io.memory, other, RW);
	EXPECT(ERR_NONE, window, WINDOW_MAP, IOVA, 4, 2, RW); /* pages 4, 5 where the first space has 0, 1 */
	CHECK(io_works(&io));
	EXPECT(ERR_OCCUPIED, other, IO_SPACE_ATTACH, CONTROL, io.edu.requester);
	EXPECT(ERR_NONE, io.space, IO_SPACE_DETACH);
	EXPECT(ERR_NONE, other, IO_SPACE_ATTACH, CONTROL, io.edu.requester);
	CHECK(io_copies(&io, 4, IOVA, 5, IOVA + PAGE_SIZE));
	CHECK(!io_works(&io));
}

TEST(io_bridge, "a device behind a bridge is found by its own bus number")
{
	struct io io;

	if (!present())
		return;
	io = io_new(3);
	CHECK(io.edu.requester >= 256);
	CHECK(io_works(&io));
	EXPECT(ERR_NONE, io.space, IO_SPACE_DETACH);
	CHECK(!io_writes(&io));
}

TEST(io_wild, "a device that goes wild is silenced, and heard again after it is attached anew")
{
	struct io io;

	if (!present())
		return;
	io = io_new(0);
	for (unsigned i = 0; i < IO_SPACE_FAULTS + 3; i++)
		edu_run(&io.edu, IOVA + 0x100000 + i * PAGE_SIZE, EDU_WRITE);
	CHECK(io_faults(&io) == IO_SPACE_FAULTS);
	CHECK(io_works(&io));
	EXPECT(ERR_NONE, io.space, IO_SPACE_DETACH);
	EXPECT(ERR_NONE, io.space, IO_SPACE_ATTACH, CONTROL, io.edu.requester);
	CHECK(io_faults(&io) == 0);
	edu_run(&io.edu, IOVA + 0x100000, EDU_WRITE);
	CHECK(io_faults(&io) == 1);
}

/* On buses that nothing is on. */
TEST(io_limits, "only so many devices at once, and on so many buses")
{
	cptr_t first, last;
	unsigned bus = 0x11;
	uint64_t status = ERR_NONE;

	if (!present())
		return;
	first = last = object_new(OBJECT_IO_SPACE, 0);
	for (unsigned i = 0; i < 256 && status == ERR_NONE; i++) {
		last = i ? object_new(OBJECT_IO_SPACE, 0) : first;
		status = invoke(last, IO_SPACE_ATTACH, CONTROL, 0x1000 + i, 0, 0, 0, 0).status;
	}
	EXPECT(ERR_LIMIT, last, IO_SPACE_ATTACH, CONTROL, 0x10ff);
	EXPECT(ERR_NONE, first, IO_SPACE_DETACH);
	EXPECT(ERR_NONE, last, IO_SPACE_ATTACH, CONTROL, 0x10ff);
	EXPECT(ERR_NONE, last, IO_SPACE_DETACH);
	/* Other tests need these. */
	for (unsigned used = 0; used < 4; used++) {
		EXPECT(ERR_NONE, first, IO_SPACE_ATTACH, CONTROL, used << 8 | 0xff);
		EXPECT(ERR_NONE, first, IO_SPACE_DETACH);
	}
	do {
		status = invoke(first, IO_SPACE_ATTACH, CONTROL, bus++ << 8, 0, 0, 0, 0).status;
		if (status == ERR_NONE)
			MUST(first, IO_SPACE_DETACH, 0);
	} while (status == ERR_NONE && bus < 256);
	EXPECT(ERR_LIMIT, first, IO_SPACE_ATTACH, CONTROL, bus << 8);
	EXPECT(ERR_NONE, first, IO_SPACE_ATTACH, CONTROL, 0x1000);
}

/* ---- its interrupt as a message ---- */
enum { CONFIG_CAPABILITIES = 0x34, CAPABILITY_MSI = 5 };
enum { EDU_RAISE = 0x60 / 4, EDU_LOWER = 0x64 / 4 };

/* Where the capability is in the device's configuration. */
static unsigned messages_find(const struct edu *edu)
{
	unsigned at = config_read(edu->requester, CONFIG_CAPABILITIES) & 0xfc;

	while (at && (config_read(edu->requester, at) & 0xff) != CAPABILITY_MSI)
		at = config_read(edu->requester, at) >> 8 & 0xfc;
	CHECK(at);
	return at;
}

static void messages_enable(const struct edu *edu, uint64_t address, uint64_t data)
{
	unsigned at = messages_find(edu);
	uint32_t head = config_read(edu->requester, at);

	CHECK(head >> 16 & 0x80); /* 64-bit addresses */
	config_write(edu->requester, at + 4, (uint32_t)address);
	config_write(edu->requester, at + 8, address >> 32);
	config_write(edu->requester, at + 12, (uint32_t)data);
	config_write(edu->requester, at, head | 1u << 16);
}

static void messages_disable(const struct edu *edu)
{
	unsigned at = messages_find(edu);

	config_write(edu->requester, at, config_read(edu->requester, at) & ~(1u << 16));
}

static void message_send(const struct edu *edu)
{
	volatile uint32_t *registers = (volatile uint32_t *)edu->registers;

	registers[EDU_RAISE] = 1;
	registers[EDU_LOWER] = 1;
}

TEST(irq_message, "a message that comes while its Irq is not bound arrives when it is")
{
	cptr_t irq = slot_new(), notification = object_new(OBJECT_NOTIFICATION, 0);
	cptr_t signal = derive_badged(notification, RIGHT_WRITE, 0x40);
	struct result message;
	struct edu edu;

	if (!present())
		return;
	edu = edu_find(2);
	message = EXPECT(ERR_NONE, INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, irq);
	messages_enable(&edu, message.words[0], message.words[1]);
	for (unsigned i = 0; i < 3; i++) {
		struct registers wait = {.cap = notification, .deadline = DEADLINE_POLL};

		message_send(&edu);
		EXPECT_CALL(ERR_TIMEOUT, SYS_WAIT, wait);
		EXPECT(ERR_NONE, irq, IRQ_BIND, signal);
		wait.deadline = soon();
		CHECK(EXPECT_CALL(ERR_NONE, SYS_WAIT, wait).cap == 0x40);
		/* Once. */
		EXPECT(ERR_NONE, irq, IRQ_BIND, CPTR_NULL);
		EXPECT(ERR_NONE, irq, IRQ_BIND, signal);
		wait.deadline = DEADLINE_POLL;
		EXPECT_CALL(ERR_TIMEOUT, SYS_WAIT, wait);
		message_send(&edu);
		wait.deadline = soon();
		CHECK(EXPECT_CALL(ERR_NONE, SYS_WAIT, wait).cap == 0x40);
		EXPECT(ERR_NONE, irq, IRQ_BIND, CPTR_NULL);
	}
	messages_disable(&edu);
}
