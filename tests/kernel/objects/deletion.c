/* SPDX-License-Identifier: MIT */
/* Deleting: in any order, at any depth, in circles. clean_up() of each test checks that no memory is left in
 * use. */
#include "test.h"

static void test_nested_cnodes(void)
{
	cptr_t outer = object_new(OBJECT_CNODE, 8), inner = object_new(OBJECT_CNODE, 8),
	       endpoint = new_endpoint(), copy = derived(endpoint, FULL, 0, 0);

	OK(op(inner, CNODE_MOVE, 1, CPTR_NULL, endpoint));
	OK(op(outer, CNODE_MOVE, 2, CPTR_NULL, inner));
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, outer));
	CHECK(!present(copy)); /* its original died with the CNode in the CNode */
}

static void test_cnode_in_itself(void)
{
	cptr_t cnode = object_new(OBJECT_CNODE, 8), handle = derived(cnode, FULL, 0, 0),
	       endpoint = new_endpoint();

	OK(op(handle, CNODE_MOVE, 2, CPTR_NULL, endpoint));
	OK(op(handle, CNODE_MOVE, 1, CPTR_NULL, cnode));
	OK(op(handle, CNODE_DELETE, 1));
	CHECK(!present(handle));
}

enum { CHAIN = 3 };

/* A CNode at the end of a chain of Untypeds; places[i] is where it holds the i-th of these, 0: nowhere. */
static void own_untypeds(const unsigned places[CHAIN], bool revoke)
{
	cptr_t outer = object_new(OBJECT_UNTYPED, 14), chain[CHAIN], cnode = slot_new(), above = outer;

	for (unsigned i = 0; i < CHAIN; i++) {
		chain[i] = slot_new();
		OK(op(above, UNTYPED_RETYPE, OBJECT_UNTYPED | (uint64_t)(13 - i) << 8, 1, CPTR_NULL,
		      chain[i]));
		above = chain[i];
	}
	OK(op(above, UNTYPED_RETYPE, OBJECT_CNODE | 9 << 8, 1, CPTR_NULL, cnode));
	for (unsigned i = 0; i < CHAIN; i++)
		if (places[i])
			OK(op(cnode, CNODE_MOVE, places[i], CPTR_NULL, chain[i]));
	if (revoke) {
		OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, outer));
	} else {
		OK(op(INIT_SLOT_CNODE, CNODE_DELETE, cnode));
		for (unsigned i = 0; i < CHAIN; i++)
			OK(op(INIT_SLOT_CNODE, CNODE_DELETE, chain[i]));
	}
	OK(op(outer, UNTYPED_INFO));
	CHECK(last.words[2] == 0);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, outer));
}

/* A CNode that holds some of the Untypeds that it was made of, in any order. */
static void test_own_untypeds(void)
{
	unsigned places[CHAIN];

	for (unsigned n = 0; n < 4 * 4 * 4 * 2; n++) {
		bool twice = false;

		for (unsigned i = 0; i < CHAIN; i++) {
			places[i] = n >> (2 * i + 1) & 3;
			for (unsigned j = 0; j < i; j++)
				twice = twice || (places[i] && places[i] == places[j]);
		}
		if (!twice)
			own_untypeds(places, n & 1);
	}
}

/* Two CNodes, each of which holds the Untyped of the other. */
static void test_circle(void)
{
	for (unsigned way = 0; way < 3; way++) {
		cptr_t outer = object_new(OBJECT_UNTYPED, 14), a = slot_new(), b = slot_new(),
		       in_a = slot_new(), in_b = slot_new(), extra = slot_new();

		OK(op(outer, UNTYPED_RETYPE, OBJECT_UNTYPED | 13 << 8, 1, CPTR_NULL, a));
		OK(op(outer, UNTYPED_RETYPE, OBJECT_UNTYPED | 13 << 8, 1, CPTR_NULL, b));
		OK(op(a, UNTYPED_RETYPE, OBJECT_CNODE | 9 << 8, 1, CPTR_NULL, in_a));
		OK(op(b, UNTYPED_RETYPE, OBJECT_CNODE | 9 << 8, 1, CPTR_NULL, in_b));
		OK(op(a, UNTYPED_RETYPE, OBJECT_UNTYPED | 9 << 8, 1, CPTR_NULL, extra));
		OK(op(in_a, CNODE_MOVE, 1, CPTR_NULL, b));
		OK(op(in_b, CNODE_MOVE, 1, CPTR_NULL, a));
		OK(op(in_b, CNODE_MOVE, 2, CPTR_NULL, extra));
		if (way == 2)
			OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, outer));
		else
			OK(op(INIT_SLOT_CNODE, CNODE_DELETE, way ? in_a : in_b));
		OK(op(outer, UNTYPED_INFO));
		CHECK(last.words[2] == 0);
		CHECK(!present(in_a) && !present(in_b));
	}
}

static void test_deep_chain(void)
{
	cptr_t notification = new_notification(), at = notification;

	for (unsigned i = 0; i < 300; i++)
		at = derived(at, FULL, 0, 0);
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, notification));
	CHECK(!present(at));
	for (unsigned i = 0; i < 300; i++)
		derived(notification, FULL, 0, 0);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, notification));
}

static void spin(void)
{
	for (;;)
		;
}

/* Each object goes while a thread uses it. */
static void test_under_a_thread(void)
{
	for (unsigned way = 0; way < 4; way++) {
		struct worker w = worker_new(0, way == 3 ? worker_rest : spin, 100);
		cptr_t cnode = object_new(OBJECT_CNODE, 8), vspace = object_new(OBJECT_VSPACE, 0);

		switch (way) {
		case 0:
			OK(op(w.thread, THREAD_BIND, BIND_CSPACE, cnode));
			worker_start(&w);
			settle();
			OK(op(INIT_SLOT_CNODE, CNODE_DELETE, cnode));
			break;
		case 1:
			OK(op(w.thread, THREAD_BIND, BIND_VSPACE, vspace));
			worker_start(&w);
			OK(op(INIT_SLOT_CNODE, CNODE_DELETE, vspace));
			break;
		case 2:
			worker_start(&w);
			settle();
			OK(op(INIT_SLOT_CNODE, CNODE_DELETE, w.context));
			continue;
		default:
			worker_start(&w);
			settle();
			OK(op(INIT_SLOT_CNODE, CNODE_DELETE, w.thread));
			CHECK(!present(w.thread));
			continue;
		}
		OK(op(w.thread, THREAD_INFO));
		CHECK(last.words[1] == THREAD_STATE_STOPPED);
		OK(op(INIT_SLOT_CNODE, CNODE_DELETE, w.thread));
	}
}

static volatile cptr_t own_thread;
static void suicide(void)
{
	struct registers r = {.cap = INIT_SLOT_CNODE, .info = CNODE_DELETE, .words = {own_thread}};

	system_call(SYS_INVOKE, &r);
	own_thread = 0; /* never */
	worker_rest();
}

static void test_suicide(void)
{
	struct worker w = worker_new(0, suicide, 100);

	own_thread = w.thread;
	worker_start(&w);
	settle();
	CHECK(!present(w.thread) && own_thread == w.thread);
}

static void test_window_of_revoked(void)
{
	cptr_t window, memory = memory_at(AREA, 16, &window), part = derived(memory, FULL, 2, 3), second;

	second = object_new(OBJECT_WINDOW, 0);
	OK(op(second, WINDOW_BIND, part, INIT_SLOT_VSPACE, RIGHT_READ));
	OK(op(second, WINDOW_MAP, AREA + 0x200000, 0, 3, RIGHT_READ));
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, part)); /* takes its Window's leaves */
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA + 0x200000, 3));
	CHECK(last.words[0] == 0);
	EXPECT(op(second, WINDOW_MAP, AREA, 0, 1, RIGHT_READ), ERR_STATE);
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, memory));
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 16));
	CHECK(last.words[0] == 0);
	OK(op(window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ));
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, window));
	OK(op(memory, MEMORY_INFO));
}

const struct test tests_deletion[] = {
        {"delete.nested", "a CNode takes what is in it, CNodes too", test_nested_cnodes},
        {"delete.itself", "a CNode that holds its own capability", test_cnode_in_itself},
        {"delete.own-untypeds", "a CNode that holds Untypeds that it was made of", test_own_untypeds},
        {"delete.circle", "CNodes that hold each other's Untypeds", test_circle},
        {"delete.deep", "long chains and long lists of derived capabilities", test_deep_chain},
        {"delete.used", "CSpace, VSpace, budget or thread go while the thread runs", test_under_a_thread},
        {"delete.self", "a thread deletes itself", test_suicide},
        {"delete.window", "revoking a Memory removes its pages everywhere", test_window_of_revoked},
        {0},
};
