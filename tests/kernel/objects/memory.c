/* SPDX-License-Identifier: MIT */
/* Untyped, CNode, Memory, Window, VSpace, interrupts and ports. */
#include "test.h"

#define RETYPE(untyped, type, bits, count, slot) \
	op(untyped, UNTYPED_RETYPE, (type) | (uint64_t)(bits) << 8, count, CPTR_NULL, slot)

static void test_retype_errors(void)
{
	cptr_t untyped = object_new(OBJECT_UNTYPED, 14), slot = slot_new(), other = new_endpoint();

	slot_new();
	EXPECT(RETYPE(untyped, OBJECT_NULL, 0, 1, slot), ERR_ARGUMENT);
	EXPECT(RETYPE(untyped, OBJECT_IRQ, 0, 1, slot), ERR_ARGUMENT);
	EXPECT(RETYPE(untyped, 200, 0, 1, slot), ERR_ARGUMENT);
	EXPECT(RETYPE(untyped, OBJECT_THREAD, 11, 1, slot), ERR_ARGUMENT);
	EXPECT(RETYPE(untyped, OBJECT_ENDPOINT, 0, 1, slot), ERR_RANGE); /* more than 2^6 smaller */
	EXPECT(RETYPE(untyped, OBJECT_UNTYPED, 6, 1, slot), ERR_RANGE);
	EXPECT(RETYPE(untyped, OBJECT_UNTYPED, 15, 1, slot), ERR_RANGE);
	EXPECT(RETYPE(untyped, OBJECT_UNTYPED, 64, 1, slot), ERR_RANGE);
	EXPECT(RETYPE(untyped, OBJECT_UNTYPED, UINT32_MAX, 1, slot), ERR_RANGE);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 11, 1, slot), ERR_RANGE);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 0, slot), ERR_ARGUMENT);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 65, slot), ERR_ARGUMENT);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, UINT64_MAX, slot), ERR_ARGUMENT);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 1, 0), ERR_RANGE);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 1, 1u << INIT_CNODE_BITS), ERR_RANGE);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 2, (1u << INIT_CNODE_BITS) - 1), ERR_RANGE);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 1, UINT64_MAX), ERR_RANGE);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 1, other), ERR_OCCUPIED);
	EXPECT(op(untyped, UNTYPED_RETYPE, OBJECT_MEMORY | 12 << 8, 1, other, slot), ERR_WRONG_TYPE);
	EXPECT(op(untyped, UNTYPED_RETYPE, OBJECT_MEMORY | 12 << 8, 1, derived(INIT_SLOT_CNODE, 0, 0, 0),
	          slot),
	       ERR_RIGHTS);
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 5, slot_new()), ERR_NO_MEMORY);
	OK(op(untyped, UNTYPED_INFO));
	CHECK(last.words[2] == 0); /* nothing of all that had an effect */
	OK(RETYPE(untyped, OBJECT_MEMORY, 13, 1, slot));
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 1, slot_new()), ERR_RANGE); /* it is cut by 2^13 */
	OK(op(untyped, UNTYPED_INFO));
	CHECK(last.words[0] == 14 && last.words[1] == 13 && last.words[2] == 1 && last.words[3] == 0);
}

static void test_retype_again(void)
{
	cptr_t untyped = object_new(OBJECT_UNTYPED, 13), a = slot_new(), b = slot_new(), window;
	volatile uint64_t *page = (volatile uint64_t *)AREA;

	OK(RETYPE(untyped, OBJECT_MEMORY, 12, 2, a));
	EXPECT(RETYPE(untyped, OBJECT_MEMORY, 12, 1, slot_new()), ERR_NO_MEMORY);
	window = object_new(OBJECT_WINDOW, 0);
	OK(op(window, WINDOW_BIND, b, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE));
	OK(op(window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ | RIGHT_WRITE));
	page[7] = 0x1234;
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, b));
	OK(op(untyped, UNTYPED_INFO));
	CHECK(last.words[2] == 1);
	OK(RETYPE(untyped, OBJECT_MEMORY, 12, 1, b));
	OK(op(window, WINDOW_BIND, b, INIT_SLOT_VSPACE, RIGHT_READ)); /* deleting the Memory had unbound it */
	OK(op(window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ));
	CHECK(page[7] == 0);
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, untyped));
	OK(RETYPE(untyped, OBJECT_UNTYPED, 13, 1, a)); /* all free: cut anew by another size */
	CHECK(!present(b));
}

static void test_untyped_depth(void)
{
	cptr_t untyped = object_new(OBJECT_UNTYPED, 12);
	unsigned depth;
	uint64_t status = 0;

	for (depth = 0; depth < 100; depth++) {
		cptr_t slot = slot_new();

		status = RETYPE(untyped, OBJECT_UNTYPED, 12, 1, slot);
		if (status)
			break;
		untyped = slot;
	}
	EXPECT(status, ERR_LIMIT);
	CHECK(depth > 40);
}

static void test_derive_errors(void)
{
	cptr_t endpoint = new_endpoint(), to = slot_new(), memory = object_new(OBJECT_MEMORY, 13), badged;
	cptr_t weak_cnode = derived(INIT_SLOT_CNODE, 0, 0, 0),
	       ports = derived(INIT_SLOT_IO_PORTS, FULL, 0x10, 16);

#define DERIVE(to, from, ...) op(INIT_SLOT_CNODE, CNODE_DERIVE, to, CPTR_NULL, from, __VA_ARGS__)
	EXPECT(DERIVE(0, endpoint, FULL), ERR_RANGE);
	EXPECT(DERIVE(to, 0, FULL), ERR_RANGE);
	EXPECT(DERIVE(1u << INIT_CNODE_BITS, endpoint, FULL), ERR_RANGE);
	EXPECT(DERIVE(to, UINT64_MAX, FULL), ERR_RANGE);
	EXPECT(DERIVE(to, slot_new(), FULL), ERR_NO_CAPABILITY);
	EXPECT(DERIVE(endpoint, endpoint, FULL), ERR_OCCUPIED);
	EXPECT(DERIVE(to, endpoint, RIGHT_ALL + 1), ERR_ARGUMENT);
	EXPECT(DERIVE(to, endpoint, FULL, 1, 1), ERR_ARGUMENT);
	EXPECT(DERIVE(to, memory, FULL, 0, 3), ERR_RANGE);
	EXPECT(DERIVE(to, memory, FULL, 2, 1), ERR_RANGE);
	EXPECT(DERIVE(to, memory, FULL, 1, UINT64_MAX), ERR_RANGE);
	EXPECT(DERIVE(to, memory, FULL, 1, 0), ERR_ARGUMENT);
	EXPECT(DERIVE(to, ports, FULL, 0x0f, 1), ERR_RANGE);
	EXPECT(DERIVE(to, ports, FULL, 0x1f, 2), ERR_RANGE);
	EXPECT(DERIVE(to, INIT_SLOT_CPU_TIME, FULL, 1001, 1), ERR_LIMIT);
	EXPECT(DERIVE(to, INIT_SLOT_CPU_TIME, FULL, 1, 256), ERR_LIMIT);
	EXPECT(DERIVE(to, object_new(OBJECT_UNTYPED, 12), FULL), ERR_WRONG_TYPE);
	EXPECT(DERIVE(to, new_reply(), FULL), ERR_WRONG_TYPE);
	EXPECT(DERIVE(to, object_new(OBJECT_VSPACE, 0), FULL, 1), ERR_ARGUMENT);
	EXPECT(op(INIT_SLOT_CNODE, CNODE_DERIVE, to, endpoint, 1, FULL), ERR_WRONG_TYPE);
	EXPECT(op(INIT_SLOT_CNODE, CNODE_DERIVE, to, weak_cnode, 1, FULL), ERR_RIGHTS);
	EXPECT(op(INIT_SLOT_CNODE, CNODE_MOVE, to, endpoint, 1), ERR_WRONG_TYPE);
	EXPECT(op(INIT_SLOT_CNODE, CNODE_MOVE, to, CPTR_NULL, slot_new()), ERR_NO_CAPABILITY);
	EXPECT(op(INIT_SLOT_CNODE, CNODE_MOVE, 0, CPTR_NULL, endpoint), ERR_RANGE);
	EXPECT(op(INIT_SLOT_CNODE, CNODE_MOVE, memory, CPTR_NULL, endpoint), ERR_OCCUPIED);
	EXPECT(op(INIT_SLOT_CNODE, CNODE_DELETE, 0), ERR_RANGE);
	EXPECT(op(INIT_SLOT_CNODE, CNODE_REVOKE, UINT64_MAX), ERR_RANGE);
	CHECK(!present(to));
	badged = derived(endpoint, FULL, 5, 0);
	EXPECT(DERIVE(to, badged, FULL, 6), ERR_ARGUMENT);
	OK(DERIVE(to, badged, FULL));
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, slot_new())); /* an empty slot is no error */
}

static void test_tree(void)
{
	cptr_t a = new_endpoint(), b = derived(a, FULL, 0, 0), c = derived(b, FULL, 7, 0),
	       d = derived(c, FULL, 0, 0);
	cptr_t cnode = object_new(OBJECT_CNODE, 9), moved = slot_new();

	OK(op(cnode, CNODE_MOVE, 3, CPTR_NULL, c)); /* keeps its place */
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, b));   /* hands c to a */
	CHECK(present(d));
	OK(op(INIT_SLOT_CNODE, CNODE_MOVE, moved, CPTR_NULL, a));
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, moved));
	CHECK(!present(d) && present(moved));
	EXPECT(op(INIT_SLOT_CNODE, CNODE_MOVE, c, cnode, 3), ERR_NO_CAPABILITY);
	b = derived(moved, RIGHT_READ, 0, 0);
	EXPECT(send_(SYS_SEND, derived(b, FULL, 0, 0), 0, 0, DEADLINE_POLL),
	       ERR_RIGHTS); /* rights do not come back */
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, moved));
	CHECK(!present(b));
}

static void test_window_errors(void)
{
	cptr_t memory = object_new(OBJECT_MEMORY, 14), window = object_new(OBJECT_WINDOW, 0),
	       vspace = INIT_SLOT_VSPACE;
	cptr_t read_only = derived(memory, RIGHT_READ | RIGHT_MANAGE, 0, 0);

	EXPECT(op(window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ), ERR_STATE);
	EXPECT(op(window, WINDOW_MAP_SCATTER, AREA, 1), ERR_STATE);
	EXPECT(op(window, WINDOW_PROTECT, AREA, 1, RIGHT_READ), ERR_STATE);
	EXPECT(op(window, WINDOW_BIND, vspace, vspace, RIGHT_READ), ERR_WRONG_TYPE);
	EXPECT(op(window, WINDOW_BIND, memory, memory, RIGHT_READ), ERR_WRONG_TYPE);
	EXPECT(op(window, WINDOW_BIND, slot_new(), vspace, RIGHT_READ), ERR_NO_CAPABILITY);
	EXPECT(op(window, WINDOW_BIND, derived(memory, RIGHT_READ, 0, 0), vspace, RIGHT_READ), ERR_RIGHTS);
	EXPECT(op(window, WINDOW_BIND, read_only, vspace, RIGHT_READ | RIGHT_WRITE), ERR_RIGHTS);
	EXPECT(op(window, WINDOW_BIND, memory, vspace, RIGHT_MANAGE), ERR_ARGUMENT);
	OK(op(window, WINDOW_BIND, memory, vspace, RIGHT_READ | RIGHT_WRITE));
	EXPECT(op(window, WINDOW_BIND, memory, vspace, RIGHT_READ), ERR_OCCUPIED);
	EXPECT(op(window, WINDOW_MAP, AREA + 1, 0, 1, RIGHT_READ), ERR_ALIGNMENT);
	EXPECT(op(window, WINDOW_MAP, 0, 0, 1, RIGHT_READ), ERR_RANGE);
	EXPECT(op(window, WINDOW_MAP, USER_END, 0, 1, RIGHT_READ), ERR_RANGE);
	EXPECT(op(window, WINDOW_MAP, USER_END - PAGE_SIZE, 0, 2, RIGHT_READ), ERR_RANGE);
	EXPECT(op(window, WINDOW_MAP, 0xffff800000000000ul, 0, 1, RIGHT_READ), ERR_RANGE);
	EXPECT(op(window, WINDOW_MAP, AREA, 0, 1ul << 60, RIGHT_READ), ERR_RANGE);
	EXPECT(op(window, WINDOW_MAP, AREA, 4, 1, RIGHT_READ), ERR_RANGE);
	EXPECT(op(window, WINDOW_MAP, AREA, UINT64_MAX, 1, RIGHT_READ), ERR_RANGE);
	EXPECT(op(window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ | RIGHT_EXECUTE), ERR_RIGHTS);
	EXPECT(op(window, WINDOW_MAP, AREA, 0, 1, 1 << 20), ERR_ARGUMENT);
	EXPECT(op(window, WINDOW_MAP, AREA, 0, 4, RIGHT_READ | MAP_LARGE), ERR_ALIGNMENT);
	EXPECT(op(window, WINDOW_PROTECT, AREA, 1, RIGHT_EXECUTE), ERR_RIGHTS);
	EXPECT(op(window, WINDOW_PROTECT, AREA + 8, 1, RIGHT_READ), ERR_ALIGNMENT);
	EXPECT(op(window, WINDOW_PROTECT, 0, 1, RIGHT_READ), ERR_RANGE);
	EXPECT(op(window, WINDOW_MAP_SCATTER, AREA + 8, 1), ERR_ALIGNMENT);
	EXPECT(op(window, WINDOW_MAP_SCATTER, USER_END, 1), ERR_RANGE);
	EXPECT(op(window, WINDOW_MAP_SCATTER, AREA, 1 << 20), ERR_NO_BUFFER);
	own_buffer->scatter[0] = (struct scatter_entry){4, RIGHT_READ};
	EXPECT(op(window, WINDOW_MAP_SCATTER, AREA, 1), ERR_RANGE);
	own_buffer->scatter[0] = (struct scatter_entry){0, RIGHT_EXECUTE};
	EXPECT(op(window, WINDOW_MAP_SCATTER, AREA, 1), ERR_RIGHTS);
	own_buffer->scatter[0] = (struct scatter_entry){0, 8};
	EXPECT(op(window, WINDOW_MAP_SCATTER, AREA, 1), ERR_ARGUMENT);
	EXPECT(op(vspace, VSPACE_UNMAP, AREA + 1, 1), ERR_ALIGNMENT);
	EXPECT(op(vspace, VSPACE_UNMAP, USER_END, 1), ERR_RANGE);
	EXPECT(op(vspace, VSPACE_HARVEST, AREA + 1, 1), ERR_ALIGNMENT);
	EXPECT(op(vspace, VSPACE_HARVEST, AREA, 12289), ERR_RANGE);
	EXPECT(op(vspace, VSPACE_HARVEST, USER_END, 1), ERR_RANGE);
}

static void test_map(void)
{
	cptr_t window, memory = memory_at(AREA, 14, &window);
	volatile uint64_t *words = (volatile uint64_t *)AREA;

	for (unsigned i = 0; i < 4; i++)
		words[i * 512] = 100 + i;
	/* Scattered, in another order, elsewhere. */
	for (unsigned i = 0; i < 4; i++)
		own_buffer->scatter[i] = (struct scatter_entry){3 - i, (i * 2) << 4 | RIGHT_READ};
	OK(op(window, WINDOW_MAP_SCATTER, AREA + 0x100000, 4));
	CHECK(last.words[0] == 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK(words[0x100000 / 8 + i * 1024] == 103 - i);
	OK(op(INIT_SLOT_VSPACE, VSPACE_HARVEST, AREA, 4));
	CHECK(own_buffer->data[0] == 0xff);
	words[512] = 1;
	(void)words[1024];
	OK(op(INIT_SLOT_VSPACE, VSPACE_HARVEST, AREA, 4));
	CHECK(own_buffer->data[0] == (3 << 2 | 1 << 4));
	words[0] = 5;
	OK(op(window, WINDOW_PROTECT, AREA, 4, RIGHT_READ)); /* keeps accessed and dirty */
	OK(op(INIT_SLOT_VSPACE, VSPACE_HARVEST, AREA, 1));
	CHECK((own_buffer->data[0] & 3) == 3);
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 512));
	CHECK(last.words[0] == 8); /* both mappings */
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 512));
	CHECK(last.words[0] == 0);
	OK(op(memory, MEMORY_INFO));
	CHECK(last.words[0] == 4 && last.words[1] == 0 && last.words[2] != 0);
	OK(op(derived(memory, RIGHT_READ, 1, 2), MEMORY_INFO));
	CHECK(last.words[0] == 2 && last.words[2] == 0);
}

static void test_large_pages(void)
{
	cptr_t memory = object_new(OBJECT_MEMORY, LARGE_PAGE_BITS), window = object_new(OBJECT_WINDOW, 0),
	       small;
	volatile uint64_t *words = (volatile uint64_t *)AREA;

	OK(op(window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE));
	EXPECT(op(window, WINDOW_MAP, AREA + PAGE_SIZE, 0, 512, RIGHT_READ | MAP_LARGE), ERR_ALIGNMENT);
	OK(op(window, WINDOW_MAP, AREA, 0, 512, RIGHT_READ | RIGHT_WRITE | MAP_LARGE));
	words[0] = 1;
	words[511 * 512] = 2;
	/* A small page in its place takes the large one away; a large one takes small ones away. */
	memory_at(AREA + PAGE_SIZE, 12, &small);
	words[512] = 3;
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 512));
	CHECK(last.words[0] == 1);
	OK(op(small, WINDOW_MAP, AREA, 0, 1, RIGHT_READ));
	OK(op(window, WINDOW_MAP, AREA, 0, 512, RIGHT_READ | MAP_LARGE));
	CHECK(words[0] == 1 && words[511 * 512] == 2);
	OK(op(window, WINDOW_PROTECT, AREA, 512, RIGHT_READ | RIGHT_WRITE));
	words[0] = 4;
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 1));
	CHECK(last.words[0] == 512);
}

/* A small page takes a large one away only if there is a page for the table that it needs. */
static void test_large_page_stays(void)
{
	cptr_t vspace = object_new(OBJECT_VSPACE, 0), large = object_new(OBJECT_WINDOW, 0),
	       small = object_new(OBJECT_WINDOW, 0), untyped = object_new(OBJECT_UNTYPED, 14);

	OK(op(large, WINDOW_BIND, object_new(OBJECT_MEMORY, LARGE_PAGE_BITS), vspace, RIGHT_READ));
	OK(op(small, WINDOW_BIND, object_new(OBJECT_MEMORY, 12), vspace, RIGHT_READ));
	OK(op(vspace, VSPACE_FEED, untyped, 13));
	OK(op(large, WINDOW_MAP, AREA, 0, 512, RIGHT_READ | MAP_LARGE));
	EXPECT(op(small, WINDOW_MAP, AREA, 0, 1, RIGHT_READ), ERR_NO_MEMORY);
	CHECK(last.words[0] == 0);
	OK(op(vspace, VSPACE_UNMAP, AREA, 512));
	CHECK(last.words[0] == 512);
	OK(op(large, WINDOW_MAP, AREA, 0, 512, RIGHT_READ | MAP_LARGE));
	OK(op(vspace, VSPACE_FEED, untyped, 13));
	OK(op(small, WINDOW_MAP, AREA, 0, 1, RIGHT_READ));
	OK(op(vspace, VSPACE_UNMAP, AREA, 512));
	CHECK(last.words[0] == 1);
}

static void test_feed(void)
{
	cptr_t vspace = object_new(OBJECT_VSPACE, 0), memory = object_new(OBJECT_MEMORY, 12), window, untyped,
	       feed;

	window = object_new(OBJECT_WINDOW, 0);
	OK(op(window, WINDOW_BIND, memory, vspace, RIGHT_READ));
	EXPECT(op(window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ), ERR_NO_MEMORY);
	CHECK(last.words[0] == 0);
	own_buffer->scatter[0] = (struct scatter_entry){0, RIGHT_READ};
	EXPECT(op(window, WINDOW_MAP_SCATTER, AREA, 1), ERR_NO_MEMORY);
	EXPECT(op(vspace, VSPACE_FEED, memory, 12), ERR_WRONG_TYPE);
	untyped = object_new(OBJECT_UNTYPED, 14);
	EXPECT(op(vspace, VSPACE_FEED, untyped, 11), ERR_RANGE);
	EXPECT(op(vspace, VSPACE_FEED, untyped, 15), ERR_RANGE);
	OK(op(vspace, VSPACE_FEED, untyped, 14));
	EXPECT(op(vspace, VSPACE_FEED, untyped, 14), ERR_NO_MEMORY);
	OK(op(window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ));
	OK(op(vspace, VSPACE_INFO));
	CHECK(last.words[0] == 1 && last.words[1] == 3);
	OK(op(vspace, VSPACE_RECLAIM));
	CHECK(last.words[0] == 1);
	OK(op(vspace, VSPACE_UNMAP, AREA, 1));
	CHECK(last.words[0] == 1);
	OK(op(vspace, VSPACE_RECLAIM));
	CHECK(last.words[0] == 4);
	OK(op(window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ));
	/* Losing the feed empties the address space. */
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, untyped));
	OK(op(vspace, VSPACE_INFO));
	CHECK(last.words[0] == 0 && last.words[1] == 0);
	OK(op(untyped, UNTYPED_INFO));
	CHECK(last.words[2] == 0);
	feed = object_new(OBJECT_UNTYPED, 16);
	for (unsigned i = 0; i < VSPACE_FEEDS; i++) {
		if (i % 16 == 0)
			feed = object_new(OBJECT_UNTYPED, 16);
		OK(op(vspace, VSPACE_FEED, feed, 12));
	}
	EXPECT(op(vspace, VSPACE_FEED, object_new(OBJECT_UNTYPED, 12), 12), ERR_LIMIT);
}

/* The last table of the root covers less than the others: addresses end a page below the half. */
static void test_feed_at_the_end(void)
{
	cptr_t vspace = object_new(OBJECT_VSPACE, 0), window = object_new(OBJECT_WINDOW, 0),
	       untyped = object_new(OBJECT_UNTYPED, 14);

	OK(op(window, WINDOW_BIND, object_new(OBJECT_MEMORY, 12), vspace, RIGHT_READ));
	OK(op(vspace, VSPACE_FEED, untyped, 14));
	OK(op(window, WINDOW_MAP, USER_END - PAGE_SIZE, 0, 1, RIGHT_READ));
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, untyped));
	OK(op(vspace, VSPACE_UNMAP, USER_END - PAGE_SIZE, 1));
	CHECK(last.words[0] == 0);
	EXPECT(op(window, WINDOW_MAP, USER_END - PAGE_SIZE, 0, 1, RIGHT_READ), ERR_NO_MEMORY);
}

static void test_harvest_big(void)
{
	cptr_t window, memory = memory_at(AREA, 20, &window);
	volatile uint8_t *bytes = (volatile uint8_t *)AREA;

	(void)memory;
	for (unsigned i = 0; i < 256; i++)
		bytes[i * PAGE_SIZE] = (uint8_t)i;
	OK(op(INIT_SLOT_VSPACE, VSPACE_HARVEST, AREA, 12288));
	for (unsigned i = 0; i < 64; i++)
		CHECK(own_buffer->data[i] == 0xff);
	CHECK(own_buffer->data[64] == 0);
	OK(op(window, WINDOW_MAP, AREA, 0, 256, RIGHT_READ));
	CHECK(last.words[0] == 256 && bytes[200 * PAGE_SIZE] == 200);
}

static void test_irq(void)
{
	cptr_t a = slot_new(), b = slot_new(), notification = new_notification(), first, count = 0;

	EXPECT(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_LINE, 5, 4, CPTR_NULL, a), ERR_ARGUMENT);
	EXPECT(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_LINE, 100000, 0, CPTR_NULL, a), ERR_RANGE);
	EXPECT(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_LINE, 5, 0, CPTR_NULL, 0), ERR_RANGE);
	EXPECT(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_LINE, 5, 0, CPTR_NULL, notification), ERR_OCCUPIED);
	EXPECT(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, 0), ERR_RANGE);
	EXPECT(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, notification), ERR_OCCUPIED);
	EXPECT(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 1, 0, CPTR_NULL, a), ERR_ARGUMENT);
	OK(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_LINE, 5, IRQ_LEVEL, CPTR_NULL, a));
	OK(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, b));
	CHECK(last.words[0] >> 20 == 0xfee && last.words[1] != 0);
	EXPECT(op(a, IRQ_ACKNOWLEDGE), ERR_STATE);
	EXPECT(op(a, IRQ_BIND, b), ERR_WRONG_TYPE);
	EXPECT(op(a, IRQ_BIND, derived(notification, RIGHT_READ, 0, 0)), ERR_RIGHTS);
	OK(op(a, IRQ_BIND, derived(notification, RIGHT_WRITE, 4, 0)));
	OK(op(a, IRQ_ACKNOWLEDGE));
	OK(op(a, IRQ_BIND, CPTR_NULL));
	EXPECT(op(a, IRQ_ACKNOWLEDGE), ERR_STATE);
	/* Every vector, and all of them back. */
	first = slot_new();
	while (op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, first + count) == ERR_NONE) {
		slot_new();
		count++;
	}
	EXPECT(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, first + count), ERR_LIMIT);
	CHECK(count > 100);
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, INIT_SLOT_IRQ_CONTROL));
	CHECK(!present(a) && !present(first));
	OK(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, a));
}

/* The serial line's scratch register. */
#define SCRATCH 0x3ff
static void test_ports(void)
{
	cptr_t ports = derived(INIT_SLOT_IO_PORTS, FULL, 0x3f8, 8);

	EXPECT(op(ports, IO_PORTS_IN, 0x3f7, 1), ERR_RANGE);
	EXPECT(op(ports, IO_PORTS_IN, 0x400, 1), ERR_RANGE);
	EXPECT(op(ports, IO_PORTS_IN, SCRATCH, 2), ERR_RANGE);
	EXPECT(op(ports, IO_PORTS_IN, SCRATCH, 3), ERR_ARGUMENT);
	EXPECT(op(ports, IO_PORTS_OUT, SCRATCH, 1, 256), ERR_ARGUMENT);
	EXPECT(op(ports, IO_PORTS_OUT, 0x10000 + SCRATCH, 1, 1), ERR_RANGE);
	EXPECT(op(ports, IO_PORTS_IN_STRING, SCRATCH, 3073), ERR_RANGE);
	EXPECT(op(ports, IO_PORTS_OUT_STRING, 0x3f7, 1), ERR_RANGE);
	OK(op(ports, IO_PORTS_OUT, SCRATCH, 1, 0x5a));
	OK(op(ports, IO_PORTS_IN, SCRATCH, 1));
	CHECK(last.words[0] == 0x5a);
	own_buffer->data[0] = 1;
	own_buffer->data[1] = 2;
	OK(op(ports, IO_PORTS_OUT_STRING, SCRATCH, 2));
	OK(op(ports, IO_PORTS_IN_STRING, SCRATCH, 3));
	CHECK(own_buffer->data[0] == 2 && own_buffer->data[2] == 2);
}

static volatile uint64_t protect_steps;

/* Its CPU knows all the pages as writable when they are protected. */
static void protected_writer(void)
{
	volatile uint64_t *pages = (volatile uint64_t *)AREA;

	for (unsigned i = 0; i < 4; i++)
		pages[i * (PAGE_SIZE / 8)] = 1;
	protect_steps = 1;
	while (protect_steps == 1) {
		struct registers r = {0};

		system_call(SYS_YIELD, &r);
	}
	pages[3 * (PAGE_SIZE / 8)] = 2;
	protect_steps = 3;
	worker_rest();
}

static void test_protect_several(void)
{
	cptr_t window, endpoint = new_endpoint(), reply = new_reply();
	struct worker worker = worker_new(0, protected_writer, 100);

	memory_at(AREA, PAGE_BITS + 2, &window);
	for (unsigned i = 0; i < 4; i++)
		*(volatile uint64_t *)(AREA + i * PAGE_SIZE) = 1;
	OK(op(worker.thread, THREAD_BIND, BIND_FAULT, endpoint));
	protect_steps = 0;
	worker_start(&worker);
	WAIT_FOR(protect_steps == 1);
	OK(op(window, WINDOW_PROTECT, AREA, 4, RIGHT_READ));
	protect_steps = 2;
	OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
	CHECK(last.words[0] == AREA + 3 * PAGE_SIZE && protect_steps == 2);
}

/* What a Window gave rights to goes with it, whoever mapped it. */
static void test_protect_of_another(void)
{
	cptr_t memory = object_new(OBJECT_MEMORY, PAGE_BITS), narrow = object_new(OBJECT_WINDOW, 0),
	       wide = object_new(OBJECT_WINDOW, 0);

	OK(op(narrow, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ));
	OK(op(wide, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE));
	OK(op(narrow, WINDOW_MAP, AREA, 0, 1, RIGHT_READ));
	OK(op(wide, WINDOW_PROTECT, AREA, 1, RIGHT_READ | RIGHT_WRITE));
	*(volatile uint64_t *)AREA = 5;
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, wide));
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 1));
	CHECK(last.words[0] == 0);
}

const struct test tests_memory[] = {
        {"untyped.errors", "impossible retypes are refused and change nothing", test_retype_errors},
        {"untyped.again", "a chunk that is free again is cut again, and is zero", test_retype_again},
        {"untyped.depth", "Untypeds nest up to a limit", test_untyped_depth},
        {"cnode.errors", "impossible derivations and moves are refused", test_derive_errors},
        {"cnode.tree", "revoking takes what was derived, wherever it went; deleting hands it up", test_tree},
        {"window.errors", "impossible mappings are refused", test_window_errors},
        {"window.map", "mapping, scattering, protecting, harvesting and unmapping", test_map},
        {"window.protect-several", "all of several pages are protected, also those that the TLB knows",
         test_protect_several},
        {"window.large", "large and small pages replace each other", test_large_pages},
        {"window.large_stays", "a large page stays while there is no page for the table of a small one",
         test_large_page_stays},
        {"vspace.feed", "page tables come from the feeds and go back with them", test_feed},
        {"vspace.feed_at_the_end", "a feed takes along what is mapped at the last addresses",
         test_feed_at_the_end},
        {"vspace.harvest", "harvesting as many pages as the buffer has room for", test_harvest_big},
        {"irq", "interrupts are handed out, bound and taken back", test_irq},
        {"ports", "port accesses stay in their range", test_ports},
        {"window.protect-of-another", "a page that a Window made writable goes with it",
         test_protect_of_another},
        {0},
};
