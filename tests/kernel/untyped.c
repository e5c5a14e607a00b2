/* SPDX-License-Identifier: MIT */
/* Untypeds and CNodes: every documented error, and what must hold of what they make. */
#include "test.h"

#define CNODE INIT_SLOT_CNODE
#define FAR   (1ul << INIT_CNODE_BITS) /* beyond the end of our CSpace */

TEST(untyped_retype_errors, "retype refuses what it should and changes nothing")
{
	cptr_t untyped = untyped_new(16), to = slot_new();
	uint64_t memory = OBJECT_MEMORY | 12 << 8;

	EXPECT(ERR_ARGUMENT, untyped, UNTYPED_RETYPE, OBJECT_NULL, 1, CPTR_NULL, to);
	EXPECT(ERR_ARGUMENT, untyped, UNTYPED_RETYPE, OBJECT_IRQ, 1, CPTR_NULL, to);
	EXPECT(ERR_ARGUMENT, untyped, UNTYPED_RETYPE, OBJECT_ENDPOINT | 7 << 8, 1, CPTR_NULL, to);
	EXPECT(ERR_ARGUMENT, untyped, UNTYPED_RETYPE, memory, 0, CPTR_NULL, to);
	EXPECT(ERR_ARGUMENT, untyped, UNTYPED_RETYPE, memory, 65, CPTR_NULL, to);
	EXPECT(ERR_ARGUMENT, untyped, UNTYPED_RETYPE, memory, 1, CPTR_NULL, to, 1);
	EXPECT(ERR_RANGE, untyped, UNTYPED_RETYPE, OBJECT_MEMORY | 11 << 8, 1, CPTR_NULL, to);
	EXPECT(ERR_RANGE, untyped, UNTYPED_RETYPE, OBJECT_MEMORY | 17 << 8, 1, CPTR_NULL, to);
	EXPECT(ERR_RANGE, untyped, UNTYPED_RETYPE, OBJECT_MEMORY | 64 << 8, 1, CPTR_NULL, to);
	EXPECT(ERR_RANGE, untyped, UNTYPED_RETYPE, OBJECT_ENDPOINT | 255 << 16, 1, CPTR_NULL, to);
	EXPECT(ERR_RANGE, untyped, UNTYPED_RETYPE, OBJECT_ENDPOINT | 256 << 16, 1, CPTR_NULL, to);
	EXPECT(ERR_RANGE, untyped, UNTYPED_RETYPE, memory, 1, CPTR_NULL, FAR);
	EXPECT(ERR_RANGE, untyped, UNTYPED_RETYPE, memory, 1, CPTR_NULL, 1ul << 32);
	EXPECT(ERR_OCCUPIED, untyped, UNTYPED_RETYPE, memory, 1, CPTR_NULL, untyped);
	EXPECT(ERR_NO_MEMORY, untyped, UNTYPED_RETYPE, memory, 17, CPTR_NULL, to + 100);
	EXPECT(ERR_NO_CAPABILITY, untyped, UNTYPED_RETYPE, memory, 1, to, to);
	EXPECT(ERR_WRONG_TYPE, untyped, UNTYPED_RETYPE, memory, 1, untyped, to);
	EXPECT(ERR_RIGHTS, untyped, UNTYPED_RETYPE, memory, 1, derive(CNODE, RIGHT_READ), to);
	EXPECT(ERR_NO_OPERATION, untyped, CNODE_MOVE);
	EXPECT(ERR_ARGUMENT, untyped, UNTYPED_INFO, 1);
	CHECK(MUST(untyped, UNTYPED_INFO, 0).words[2] == 0);
	to = slot_new();
	slot_new();
	EXPECT(ERR_NONE, untyped, UNTYPED_RETYPE, memory, 2, CPTR_NULL, to);
	CHECK(MUST(untyped, UNTYPED_INFO, 0).words[1] == 12);
	CHECK(MUST(untyped, UNTYPED_INFO, 0).words[2] == 3);
	/* It is cut into pages now. */
	EXPECT(ERR_RANGE, untyped, UNTYPED_RETYPE, OBJECT_MEMORY | 13 << 8, 1, CPTR_NULL, slot_new());
}

static volatile cptr_t revoked;
static volatile bool revoke_done;

static void revoker(void)
{
	invoke(CNODE, CNODE_REVOKE, revoked, 0, 0, 0, 0, 0);
	revoke_done = true;
	for (;;)
		;
}

/* We are woken in the middle of a revocation, by and by later in it. */
TEST(untyped_dying, "nothing is cut from an Untyped that is being deleted")
{
	cptr_t bell = object_new(OBJECT_NOTIFICATION, 0), vspace = object_new(OBJECT_VSPACE, 0);
	bool seen = false;

	for (uint64_t wait = 8000; !seen && wait < 1000000; wait += wait / 8) {
		struct worker worker = worker_new(own_space, revoker, 100);
		cptr_t outer = untyped_new(14), inner = slot_new(), first = slot_new();

		for (unsigned i = 1; i < 64; i++)
			slot_new();
		MUST(outer, UNTYPED_RETYPE, OBJECT_UNTYPED | 13 << 8, 1, CPTR_NULL, inner);
		MUST(inner, UNTYPED_RETYPE, OBJECT_ENDPOINT, 64, CPTR_NULL, first);
		revoked = outer;
		revoke_done = false;
		worker_start(&worker);
		EXPECT_CALL(ERR_TIMEOUT, SYS_WAIT,
		            ((struct registers){.cap = bell, .deadline = now() + wait}));
		seen = !revoke_done &&
		       invoke(inner, UNTYPED_RETYPE, OBJECT_ENDPOINT, 1, CPTR_NULL, slot_new(), 0, 0)
		                       .status == ERR_STATE;
		if (seen) {
			EXPECT(ERR_STATE, inner, UNTYPED_RETYPE, OBJECT_ENDPOINT, 1, CPTR_NULL, slot_new());
			EXPECT(ERR_STATE, vspace, VSPACE_FEED, inner, 12);
		}
		MUST(CNODE, CNODE_REVOKE, outer);
		MUST(CNODE, CNODE_DELETE, worker.thread);
	}
	CHECK(seen || slow());
}

TEST(untyped_depth, "Untypeds nest to a limit")
{
	cptr_t untyped = untyped_new(12);
	struct result r = {0};

	for (unsigned depth = 0; r.status == ERR_NONE && depth < 100; depth++) {
		cptr_t slot = slot_new();

		r = invoke(untyped, UNTYPED_RETYPE, OBJECT_UNTYPED | 12 << 8, 1, CPTR_NULL, slot, 0, 0);
		untyped = r.status == ERR_NONE ? slot : untyped;
	}
	EXPECT(ERR_LIMIT, untyped, UNTYPED_RETYPE, OBJECT_UNTYPED | 12 << 8, 1, CPTR_NULL, slot_new());
	EXPECT(ERR_NONE, untyped, UNTYPED_RETYPE, OBJECT_ENDPOINT, 1, CPTR_NULL, slot_new());
}

TEST(untyped_rights, "an Untyped is moved, never copied, and its rights do not come back")
{
	cptr_t untyped = untyped_new(12), to = slot_new();

	EXPECT(ERR_WRONG_TYPE, CNODE, CNODE_DERIVE, to, CPTR_NULL, untyped, RIGHT_ALL);
	EXPECT(ERR_NONE, CNODE, CNODE_MOVE, to, CPTR_NULL, untyped);
	EXPECT(ERR_NO_CAPABILITY, untyped, UNTYPED_INFO);
	EXPECT(ERR_NONE, to, UNTYPED_INFO);
}

TEST(untyped_chunks, "objects are freed one by one and their chunks used again, cleared")
{
	cptr_t untyped = untyped_new(14), first = slot_new();
	uint64_t at = 0x30000000;
	volatile uint64_t *words = (volatile uint64_t *)at;

	for (unsigned i = 0; i < 3; i++)
		slot_new();
	EXPECT(ERR_NONE, untyped, UNTYPED_RETYPE, OBJECT_MEMORY | 12 << 8, 4, CPTR_NULL, first);
	EXPECT(ERR_NO_MEMORY, untyped, UNTYPED_RETYPE, OBJECT_MEMORY | 12 << 8, 1, CPTR_NULL, slot_new());
	space_map(own_space, first + 2, at, 1, RIGHT_READ | RIGHT_WRITE);
	words[511] = 42;
	EXPECT(ERR_NONE, CNODE, CNODE_DELETE, first + 2);
	CHECK(MUST(untyped, UNTYPED_INFO, 0).words[2] == 0xb);
	EXPECT(ERR_NONE, untyped, UNTYPED_RETYPE, OBJECT_MEMORY | 12 << 8, 1, CPTR_NULL, first + 2);
	space_map(own_space, first + 2, at, 1, RIGHT_READ | RIGHT_WRITE);
	CHECK(words[511] == 0);
	EXPECT(ERR_NONE, CNODE, CNODE_REVOKE, untyped);
	CHECK(MUST(untyped, UNTYPED_INFO, 0).words[2] == 0);
	EXPECT(ERR_NO_CAPABILITY, first, MEMORY_INFO);
}

TEST(cnode_errors, "derive, move, delete and revoke refuse what they should")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), memory = object_new(OBJECT_MEMORY, 14),
	       to = slot_new();
	cptr_t badged = derive_badged(endpoint, RIGHT_ALL, 7), weak = derive(CNODE, RIGHT_READ);
	cptr_t thread = object_new(OBJECT_THREAD, 0), empty = slot_new();

	EXPECT(ERR_RIGHTS, weak, CNODE_DERIVE, to, CPTR_NULL, endpoint, RIGHT_ALL);
	EXPECT(ERR_RIGHTS, weak, CNODE_MOVE, to, CPTR_NULL, endpoint);
	EXPECT(ERR_RIGHTS, weak, CNODE_DELETE, to);
	EXPECT(ERR_RIGHTS, weak, CNODE_REVOKE, to);
	EXPECT(ERR_NO_OPERATION, CNODE, UNTYPED_INFO);
	EXPECT(ERR_ARGUMENT, CNODE, CNODE_DERIVE, to, CPTR_NULL, badged, RIGHT_ALL, 8);
	EXPECT(ERR_ARGUMENT, CNODE, CNODE_DERIVE, to, CPTR_NULL, endpoint, RIGHT_ALL, 8, 1);
	EXPECT(ERR_ARGUMENT, CNODE, CNODE_DERIVE, to, CPTR_NULL, endpoint, RIGHT_ALL + 1);
	EXPECT(ERR_ARGUMENT, CNODE, CNODE_DERIVE, to, CPTR_NULL, thread, RIGHT_ALL, 1);
	EXPECT(ERR_ARGUMENT, CNODE, CNODE_DERIVE, to, CPTR_NULL, memory, RIGHT_ALL, 1, 0);
	EXPECT(ERR_RANGE, CNODE, CNODE_DERIVE, to, CPTR_NULL, memory, RIGHT_ALL, 3, 2);
	EXPECT(ERR_RANGE, CNODE, CNODE_DERIVE, to, CPTR_NULL, memory, RIGHT_ALL, 1, UINT64_MAX);
	EXPECT(ERR_RANGE, CNODE, CNODE_DERIVE, to, CPTR_NULL, INIT_SLOT_IO_PORTS, RIGHT_ALL, 65535, 2);
	EXPECT(ERR_LIMIT, CNODE, CNODE_DERIVE, to, CPTR_NULL, INIT_SLOT_CPU_TIME, RIGHT_ALL, 1001, 10);
	EXPECT(ERR_RANGE, CNODE, CNODE_DERIVE, FAR, CPTR_NULL, endpoint, RIGHT_ALL);
	EXPECT(ERR_RANGE, CNODE, CNODE_DERIVE, to, CPTR_NULL, FAR, RIGHT_ALL);
	EXPECT(ERR_OCCUPIED, CNODE, CNODE_DERIVE, memory, CPTR_NULL, endpoint, RIGHT_ALL);
	EXPECT(ERR_NO_CAPABILITY, CNODE, CNODE_DERIVE, to, CPTR_NULL, empty, RIGHT_ALL);
	EXPECT(ERR_NO_CAPABILITY, CNODE, CNODE_DERIVE, to, empty, endpoint, RIGHT_ALL);
	EXPECT(ERR_WRONG_TYPE, CNODE, CNODE_DERIVE, to, memory, endpoint, RIGHT_ALL);
	EXPECT(ERR_WRONG_TYPE, CNODE, CNODE_MOVE, to, memory, endpoint);
	EXPECT(ERR_WRONG_TYPE, CNODE, CNODE_DERIVE, to, CPTR_NULL, object_new(OBJECT_REPLY, 0), RIGHT_ALL);
	EXPECT(ERR_RANGE, CNODE, CNODE_MOVE, FAR, CPTR_NULL, endpoint);
	EXPECT(ERR_OCCUPIED, CNODE, CNODE_MOVE, memory, CPTR_NULL, endpoint);
	EXPECT(ERR_NO_CAPABILITY, CNODE, CNODE_MOVE, to, CPTR_NULL, empty);
	EXPECT(ERR_ARGUMENT, CNODE, CNODE_MOVE, to, CPTR_NULL, endpoint, 1);
	EXPECT(ERR_RANGE, CNODE, CNODE_DELETE, FAR);
	EXPECT(ERR_ARGUMENT, CNODE, CNODE_DELETE, to, 1);
	EXPECT(ERR_RANGE, CNODE, CNODE_REVOKE, FAR);
	EXPECT(ERR_ARGUMENT, CNODE, CNODE_REVOKE, to, 1);
	EXPECT(ERR_NONE, CNODE, CNODE_DELETE, to);
	EXPECT(ERR_NO_CAPABILITY, empty, CNODE_DELETE, to);
	EXPECT(ERR_NO_CAPABILITY, FAR, CNODE_DELETE, to);
}

TEST(cnode_derive_narrows, "derived capabilities have at most the rights and the range of their origin")
{
	cptr_t memory = object_new(OBJECT_MEMORY, 14), part = slot_new(), weak = derive(memory, RIGHT_READ),
	       again;
	cptr_t ports = slot_new();

	EXPECT(ERR_NONE, CNODE, CNODE_DERIVE, part, CPTR_NULL, memory, RIGHT_ALL, 1, 2);
	CHECK(MUST(part, MEMORY_INFO, 0).words[0] == 2);
	CHECK(MUST(part, MEMORY_INFO, 0).words[2] == MUST(memory, MEMORY_INFO, 0).words[2] + PAGE_SIZE);
	again = derive(weak, RIGHT_ALL);
	CHECK(MUST(again, MEMORY_INFO, 0).words[2] == 0); /* no DMA right came back */
	EXPECT(ERR_NONE, CNODE, CNODE_DERIVE, ports, CPTR_NULL, INIT_SLOT_IO_PORTS, RIGHT_READ, 0x80, 4);
	EXPECT(ERR_RANGE, ports, IO_PORTS_IN, 0x7f, 1);
	EXPECT(ERR_RANGE, ports, IO_PORTS_IN, 0x81, 4);
	EXPECT(ERR_RIGHTS, ports, IO_PORTS_OUT, 0x80, 1, 0);
	EXPECT(ERR_NONE, ports, IO_PORTS_IN, 0x80, 4);
}

TEST(cnode_revoke_tree, "revoking takes everything derived and leaves the origin")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), a = derive(endpoint, RIGHT_ALL),
	       b = derive(a, RIGHT_ALL), c = derive(b, RIGHT_ALL);

	/* A deleted link hands its children to its own origin. */
	EXPECT(ERR_NONE, CNODE, CNODE_DELETE, b);
	EXPECT(ERR_NONE, c, ENDPOINT_OPEN);
	EXPECT(ERR_NONE, CNODE, CNODE_REVOKE, a);
	EXPECT(ERR_NO_CAPABILITY, c, ENDPOINT_OPEN);
	EXPECT(ERR_NONE, a, ENDPOINT_OPEN);
	EXPECT(ERR_NONE, CNODE, CNODE_DELETE, endpoint);
	EXPECT(ERR_NO_CAPABILITY, a, ENDPOINT_OPEN);
}

TEST(cnode_holds_itself, "a CNode that holds the Untyped it was made of can be revoked")
{
	cptr_t untyped = untyped_new(14), cnode = slot_new();

	EXPECT(ERR_NONE, untyped, UNTYPED_RETYPE, OBJECT_CNODE | 10 << 8, 1, CPTR_NULL, cnode);
	EXPECT(ERR_NONE, cnode, CNODE_MOVE, 3, CPTR_NULL, untyped);
	EXPECT(ERR_NONE, CNODE, CNODE_DELETE, cnode);
	EXPECT(ERR_NO_CAPABILITY, cnode, CNODE_DELETE, 0);
}

/* All that one call can make; what takes the kernel longest is seen by kernel/irqs-off. */
TEST(untyped_sixty_four, "one call makes 64 objects of any kind")
{
	static const struct {
		enum object_type type;
		unsigned bits;
	} kinds[] = {{OBJECT_VSPACE, 13}, {OBJECT_THREAD, 11}, {OBJECT_SCHED_CONTEXT, 8}, {OBJECT_WINDOW, 8}};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		cptr_t untyped = untyped_new(kinds[i].bits + 6), first = slot_new();

		for (unsigned j = 1; j < 64; j++)
			slot_new();
		EXPECT(ERR_NONE, untyped, UNTYPED_RETYPE, kinds[i].type, 64, CPTR_NULL, first);
		MUST(CNODE, CNODE_REVOKE, untyped);
	}
}

/* kernel/irqs-off sees how long each of these takes; 18 instructions a sibling would be too many. */
TEST(cpu_time_siblings,
     "a CpuTime among thousands of siblings promises, is derived and deleted in short steps")
{
	/* The kernel that checks its invariants looks at each of them, after each operation. */
	const uint64_t siblings = command_line_says("slow") ? 40 : 2000;
	cptr_t cnode = object_new(OBJECT_CNODE, 19), top = slot_new(), first = slot_new(), copy = slot_new();
	cptr_t context = object_new(OBJECT_SCHED_CONTEXT, 0), thread = object_new(OBJECT_THREAD, 0);

	MUST(CNODE, CNODE_DERIVE, top, CPTR_NULL, INIT_SLOT_CPU_TIME, RIGHT_ALL, 100, 100);
	MUST(CNODE, CNODE_DERIVE, first, CPTR_NULL, top, RIGHT_ALL, 50, 100);
	MUST(first, CPU_TIME_CONFIGURE, context, 1000000, 50000000);
	for (uint64_t i = 1; i <= siblings; i++)
		MUST(cnode, CNODE_DERIVE, i, CPTR_NULL, top, RIGHT_ALL);
	MUST(first, CPU_TIME_CONFIGURE, context, 2000000, 50000000);
	/* Of the 100 in a thousand of `top`, 40 are promised. */
	for (uint64_t i = siblings + 1; i <= 2 * siblings; i++)
		MUST(cnode, CNODE_DERIVE, i, CPTR_NULL, top, RIGHT_ALL);
	MUST(CNODE, CNODE_DERIVE, copy, CPTR_NULL, first, RIGHT_ALL);
	EXPECT(ERR_LIMIT, top, CPU_TIME_CONFIGURE, context, 6000000, 50000000);
	MUST(copy, CPU_TIME_CONFIGURE, context, 2500000, 50000000);
	MUST(thread, THREAD_BIND, BIND_SCHED_CONTEXT, context);
	MUST(CNODE, CNODE_DELETE, context);
	/* Nothing is promised any more. */
	context = object_new(OBJECT_SCHED_CONTEXT, 0);
	MUST(top, CPU_TIME_CONFIGURE, context, 5000000, 50000000);
	MUST(CNODE, CNODE_REVOKE, top);
	EXPECT(ERR_NO_CAPABILITY, first, CPU_TIME_CONFIGURE, context, 1000000, 50000000);
}

TEST(cpu_time_depth, "CpuTimes are derived from each other sixteen times, and not copied by messages")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), last = INIT_SLOT_CPU_TIME, next;

	for (unsigned i = 1; i < 16; i++, last = next) {
		next = slot_new();
		MUST(CNODE, CNODE_DERIVE, next, CPTR_NULL, last, RIGHT_ALL);
	}
	EXPECT(ERR_LIMIT, CNODE, CNODE_DERIVE, slot_new(), CPTR_NULL, last, RIGHT_ALL);
	MUST(last, CPU_TIME_CONFIGURE, object_new(OBJECT_SCHED_CONTEXT, 0), 50000, 50000000);
	own_buffer->caps[0] = last;
	EXPECT_CALL(ERR_WRONG_TYPE, SYS_SEND,
	            ((struct registers){.cap = endpoint,
	                                .info = MESSAGE_INFO_CAPS(0, 0, 1, 0),
	                                .deadline = DEADLINE_POLL}));
	EXPECT_CALL(ERR_TIMEOUT, SYS_SEND,
	            ((struct registers){.cap = endpoint,
	                                .info = MESSAGE_INFO_CAPS(0, 0, 1, 1),
	                                .deadline = DEADLINE_POLL}));
}
