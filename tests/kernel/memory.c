/* SPDX-License-Identifier: MIT */
/* VSpaces, Windows and Memories: every documented error, and what mapping means. */
#include "test.h"

#define RW (RIGHT_READ | RIGHT_WRITE)
#define AT 0x30000000ul

TEST(vspace_errors, "operations on a VSpace refuse what they should")
{
	struct space space = space_new();
	cptr_t vspace = space.vspace, weak = derive(vspace, RIGHT_READ), untyped = untyped_new(12),
	       empty = slot_new();
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), many;

	for (unsigned operation = VSPACE_FEED; operation <= VSPACE_INFO; operation++)
		EXPECT(ERR_RIGHTS, weak, operation);
	EXPECT(ERR_NO_OPERATION, vspace, VSPACE_INFO + 1);
	EXPECT(ERR_ARGUMENT, vspace, VSPACE_FEED, untyped, 12, 1);
	EXPECT(ERR_NO_CAPABILITY, vspace, VSPACE_FEED, empty, 12);
	EXPECT(ERR_WRONG_TYPE, vspace, VSPACE_FEED, endpoint, 12);
	EXPECT(ERR_RANGE, vspace, VSPACE_FEED, untyped, 11);
	EXPECT(ERR_RANGE, vspace, VSPACE_FEED, untyped, 64);
	EXPECT(ERR_NONE, vspace, VSPACE_FEED, untyped, 12);
	EXPECT(ERR_NO_MEMORY, vspace, VSPACE_FEED, untyped, 12);
	many = untyped_new(18);
	for (unsigned i = 0; i < VSPACE_FEEDS - 2; i++)
		EXPECT(ERR_NONE, vspace, VSPACE_FEED, many, 12);
	EXPECT(ERR_LIMIT, vspace, VSPACE_FEED, many, 12);

	EXPECT(ERR_ARGUMENT, vspace, VSPACE_UNMAP, AT, 1, 1);
	EXPECT(ERR_ALIGNMENT, vspace, VSPACE_UNMAP, AT + 1, 1);
	EXPECT(ERR_RANGE, vspace, VSPACE_UNMAP, 0, 1);
	EXPECT(ERR_RANGE, vspace, VSPACE_UNMAP, USER_END, 1);
	EXPECT(ERR_RANGE, vspace, VSPACE_UNMAP, AT, UINT64_MAX);
	EXPECT(ERR_RANGE, vspace, VSPACE_UNMAP, 0xffff800000000000, 1);
	EXPECT(ERR_ARGUMENT, vspace, VSPACE_HARVEST, AT, 1, 1);
	EXPECT(ERR_ALIGNMENT, vspace, VSPACE_HARVEST, AT + 8, 1);
	EXPECT(ERR_RANGE, vspace, VSPACE_HARVEST, AT, 12289);
	EXPECT(ERR_ARGUMENT, vspace, VSPACE_RECLAIM, 1);
	EXPECT(ERR_ARGUMENT, vspace, VSPACE_INFO, 1);
}

TEST(window_errors, "operations on a Window refuse what they should")
{
	cptr_t window = object_new(OBJECT_WINDOW, 0), memory = object_new(OBJECT_MEMORY, 16),
	       empty = slot_new();
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), weak = derive(window, RIGHT_READ);
	cptr_t readable = derive(memory, RIGHT_READ | RIGHT_MANAGE);
	cptr_t starved = object_new(OBJECT_VSPACE, 0), other = object_new(OBJECT_WINDOW, 0);

	for (unsigned operation = WINDOW_BIND; operation <= WINDOW_PROTECT; operation++)
		EXPECT(ERR_RIGHTS, weak, operation);
	EXPECT(ERR_NO_OPERATION, window, WINDOW_PROTECT + 1);
	EXPECT(ERR_ARGUMENT, window, WINDOW_BIND, memory, own_space.vspace, RIGHT_ALL);
	EXPECT(ERR_ARGUMENT, window, WINDOW_BIND, memory, own_space.vspace, RW, 1);
	EXPECT(ERR_NO_CAPABILITY, window, WINDOW_BIND, empty, own_space.vspace, RW);
	EXPECT(ERR_WRONG_TYPE, window, WINDOW_BIND, endpoint, own_space.vspace, RW);
	EXPECT(ERR_RIGHTS, window, WINDOW_BIND, readable, own_space.vspace, RW);
	EXPECT(ERR_STATE, window, WINDOW_MAP, AT, 0, 1, RW);
	EXPECT(ERR_STATE, window, WINDOW_MAP_SCATTER, AT, 1);
	EXPECT(ERR_STATE, window, WINDOW_PROTECT, AT, 1, RW);
	EXPECT(ERR_NONE, window, WINDOW_BIND, readable, own_space.vspace, RIGHT_READ);
	EXPECT(ERR_OCCUPIED, window, WINDOW_BIND, memory, own_space.vspace, RW);
	EXPECT(ERR_RIGHTS, window, WINDOW_MAP, AT, 0, 1, RW);
	EXPECT(ERR_ARGUMENT, window, WINDOW_MAP, AT, 0, 1, 1ul << 20);
	EXPECT(ERR_ARGUMENT, window, WINDOW_MAP, AT, 0, 1, RIGHT_READ, 1);
	EXPECT(ERR_ALIGNMENT, window, WINDOW_MAP, AT + 1, 0, 1, RIGHT_READ);
	EXPECT(ERR_ALIGNMENT, window, WINDOW_MAP, AT, 0, 1, RIGHT_READ | MAP_LARGE);
	EXPECT(ERR_RANGE, window, WINDOW_MAP, AT, 16, 1, RIGHT_READ);
	EXPECT(ERR_RANGE, window, WINDOW_MAP, AT, 0, 17, RIGHT_READ);
	EXPECT(ERR_RANGE, window, WINDOW_MAP, AT, UINT64_MAX, 2, RIGHT_READ);
	EXPECT(ERR_RANGE, window, WINDOW_MAP, 0, 0, 1, RIGHT_READ);
	EXPECT(ERR_RANGE, window, WINDOW_MAP, USER_END - PAGE_SIZE, 0, 2, RIGHT_READ);
	EXPECT(ERR_RANGE, window, WINDOW_MAP, 0xffff800000000000, 0, 1, RIGHT_READ);
	own_buffer->scatter[0] = (struct scatter_entry){0, RIGHT_WRITE};
	EXPECT(ERR_RIGHTS, window, WINDOW_MAP_SCATTER, AT, 1);
	own_buffer->scatter[0] = (struct scatter_entry){16, RIGHT_READ};
	EXPECT(ERR_RANGE, window, WINDOW_MAP_SCATTER, AT, 1);
	own_buffer->scatter[0] = (struct scatter_entry){0, RIGHT_READ | 8};
	EXPECT(ERR_ARGUMENT, window, WINDOW_MAP_SCATTER, AT, 1);
	EXPECT(ERR_ARGUMENT, window, WINDOW_MAP_SCATTER, AT, 1, 1);
	EXPECT(ERR_ALIGNMENT, window, WINDOW_MAP_SCATTER, AT + 1, 1);
	EXPECT(ERR_NO_BUFFER, window, WINDOW_MAP_SCATTER, AT, 513); /* two pages hold 512 entries */
	EXPECT(ERR_ARGUMENT, window, WINDOW_PROTECT, AT, 1, 64);
	EXPECT(ERR_RIGHTS, window, WINDOW_PROTECT, AT, 1, RW);
	EXPECT(ERR_ALIGNMENT, window, WINDOW_PROTECT, AT + 1, 1, RIGHT_READ);
	EXPECT(ERR_RANGE, window, WINDOW_PROTECT, 0, 1, RIGHT_READ);
	EXPECT(ERR_NONE, other, WINDOW_BIND, memory, starved, RW);
	EXPECT(ERR_NO_MEMORY, other, WINDOW_MAP, AT, 0, 1, RW);
	own_buffer->scatter[0] = (struct scatter_entry){0, RIGHT_READ};
	EXPECT(ERR_NO_MEMORY, other, WINDOW_MAP_SCATTER, AT, 1);
	EXPECT(ERR_ARGUMENT, memory, MEMORY_INFO, 1);
	EXPECT(ERR_NO_OPERATION, memory, WINDOW_MAP);
}

TEST(map_pages, "pages appear where they are mapped and go when the Window goes")
{
	cptr_t memory = object_new(OBJECT_MEMORY, 14), window = space_map(own_space, memory, AT, 4, RW);
	volatile uint64_t *words = (volatile uint64_t *)AT;

	for (unsigned i = 0; i < 4; i++)
		words[i * 512] = i + 1;
	EXPECT(ERR_NONE, window, WINDOW_MAP, AT + 0x10000, 2, 1, RIGHT_READ);
	CHECK(words[0x10000 / 8] == 3);
	/* Pages 3, 1 of the Memory at pages 0, 2 behind AT + 0x20000. */
	own_buffer->scatter[0] = (struct scatter_entry){3, 0 << 4 | RIGHT_READ};
	own_buffer->scatter[1] = (struct scatter_entry){1, 2 << 4 | RIGHT_READ};
	EXPECT(ERR_NONE, window, WINDOW_MAP_SCATTER, AT + 0x20000, 2);
	CHECK(words[0x20000 / 8] == 4 && words[0x22000 / 8] == 2);
	CHECK(EXPECT(ERR_NONE, own_space.vspace, VSPACE_UNMAP, AT, 0x30).words[0] == 7);
	CHECK(EXPECT(ERR_NONE, own_space.vspace, VSPACE_UNMAP, AT, 0x30).words[0] == 0);
	EXPECT(ERR_NONE, window, WINDOW_MAP, AT, 0, 4, RW);
	EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DELETE, window);
	CHECK(EXPECT(ERR_NONE, own_space.vspace, VSPACE_UNMAP, AT, 4).words[0] == 0);
}

TEST(harvest, "accessed and dirty bits are told once")
{
	cptr_t memory = object_new(OBJECT_MEMORY, 14);
	volatile uint64_t *words = (volatile uint64_t *)AT;

	space_map(own_space, memory, AT, 4, RW);
	(void)words[0];
	words[512] = 1;
	EXPECT(ERR_NONE, own_space.vspace, VSPACE_HARVEST, AT, 4);
	CHECK(own_buffer->data[0] == (1 | 3 << 2));
	EXPECT(ERR_NONE, own_space.vspace, VSPACE_HARVEST, AT, 4);
	CHECK(own_buffer->data[0] == 0);
	words[1024] = 1;
	EXPECT(ERR_NONE, own_space.vspace, VSPACE_HARVEST, AT, 4);
	CHECK(own_buffer->data[0] == 3 << 4);
}

TEST(large_pages, "2 MiB pages map like small ones")
{
	cptr_t memory = object_new(OBJECT_MEMORY, LARGE_PAGE_BITS), window = object_new(OBJECT_WINDOW, 0);
	volatile uint64_t *words = (volatile uint64_t *)AT;

	MUST(window, WINDOW_BIND, memory, own_space.vspace, RW);
	EXPECT(ERR_NONE, window, WINDOW_MAP, AT, 0, 512, RW | MAP_LARGE);
	words[0] = 1;
	words[LARGE_PAGE_SIZE / 8 - 1] = 2;
	EXPECT(ERR_NONE, window, WINDOW_MAP, AT + LARGE_PAGE_SIZE, 511, 1, RW);
	CHECK(words[LARGE_PAGE_SIZE / 8 + 511] == 2);
	CHECK(words[0x5000 / 8] == 0); /* the TLB knows it */
	EXPECT(ERR_NONE, window, WINDOW_MAP, AT + 0x5000, 0, 1, RW); /* in the middle: the large leaf goes */
	CHECK(words[0x5000 / 8] == 1);
	EXPECT(ERR_NONE, INIT_SLOT_CNODE, CNODE_DELETE, memory);
	CHECK(EXPECT(ERR_NONE, own_space.vspace, VSPACE_UNMAP, AT, 1024).words[0] == 0);
	EXPECT(ERR_NONE, own_space.vspace, VSPACE_RECLAIM);
}
