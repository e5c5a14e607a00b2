/* SPDX-License-Identifier: MIT */
/* What players do: any system call with arguments that are sensible, or not at all. */
#include "fuzz.h"

static uint64_t draw(struct player *player, uint64_t below)
{
	uint64_t state = player->state;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	player->state = state;
	return (state >> 11) % below;
}

static uint64_t player_now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)((__uint128_t)(((uint64_t)high << 32 | low) - clock_start) * clock_scale >> 32);
}

static uint64_t hostile(struct player *player)
{
	static const uint64_t words[] = {0,
	                                 1,
	                                 7,
	                                 63,
	                                 64,
	                                 65,
	                                 513,
	                                 PAGE_SIZE,
	                                 PAGE_SIZE + 1,
	                                 LARGE_PAGE_SIZE,
	                                 BOOT_INFO_ADDRESS,
	                                 USER_END - PAGE_SIZE,
	                                 USER_END,
	                                 0x0000800000000000,
	                                 0xffff7fffffffffff,
	                                 0xffff800000000000,
	                                 0xffffffff80100000,
	                                 UINT32_MAX,
	                                 1ul << 32,
	                                 1ul << 52,
	                                 INT64_MAX,
	                                 1ul << 63,
	                                 UINT64_MAX - PAGE_SIZE + 1,
	                                 UINT64_MAX};

	return words[draw(player, sizeof(words) / sizeof(words[0]))];
}

static uint64_t any(struct player *player)
{
	return 1 + draw(player, TABLE_SLOTS - 1);
}

/* A slot that had this type when the round began. */
static uint64_t some(struct player *player, unsigned type)
{
	const struct table_part *part = &table_parts[type];

	if (!part->count || draw(player, 8) == 0)
		return any(player);
	return part->first + draw(player, part->count);
}

static uint64_t address(struct player *player)
{
	return PLAYGROUND + draw(player, 512) * PAGE_SIZE;
}

static uint64_t deadline(struct player *player)
{
	switch (draw(player, 16)) {
	case 0:
		return DEADLINE_NEVER;
	case 1:
		return hostile(player);
	case 2:
	case 3:
	case 4:
	case 5:
		return DEADLINE_POLL;
	default:
		return player_now() + draw(player, 100) * MICROSECOND;
	}
}

static uint64_t info(struct player *player)
{
	unsigned caps = draw(player, 3) ? 0 : (unsigned)draw(player, 4);

	if (draw(player, 32) == 0)
		return hostile(player);
	return MESSAGE_INFO_CAPS(draw(player, 3) ? 0 : draw(player, 32),
	                         draw(player, 3) ? draw(player, 7) : draw(player, 64), caps,
	                         draw(player, 1u << caps));
}

struct operation_kind {
	uint8_t operation, type;
	char words[7]; /* of each argument: what it is */
};

/*
 * Arguments: . nothing; by type: U Untyped, C CNode, T Thread, S SchedContext, N Notification, V VSpace, M
 * Memory, P CpuTime; s any slot, n a CNode or none, r retype word, c small count, p pages, a address, b bits,
 * f rights, x anything, B binding with its capability in the next, 1 zero or one, d ports, w width.
 */
static const struct operation_kind kinds[] = {
        {UNTYPED_RETYPE, OBJECT_UNTYPED, "rcns.."},
        {UNTYPED_RETYPE, OBJECT_UNTYPED, "rcns.."},
        {UNTYPED_INFO, OBJECT_UNTYPED, "......"},
        {CNODE_DERIVE, OBJECT_CNODE, "snsfcc"},
        {CNODE_DERIVE, OBJECT_CNODE, "snsf.."},
        {CNODE_MOVE, OBJECT_CNODE, "sns..."},
        {CNODE_DELETE, OBJECT_CNODE, "s....."},
        {CNODE_REVOKE, OBJECT_CNODE, "s....."},
        {THREAD_BIND, OBJECT_THREAD, "Bs...."},
        {THREAD_SET_PRIORITY, OBJECT_THREAD, "Px...."},
        {THREAD_RESUME, OBJECT_THREAD, "......"},
        {THREAD_SUSPEND, OBJECT_THREAD, "......"},
        {THREAD_READ_REGISTERS, OBJECT_THREAD, "......"},
        {THREAD_WRITE_REGISTERS, OBJECT_THREAD, "......"},
        {THREAD_READ_VECTOR, OBJECT_THREAD, "......"},
        {THREAD_WRITE_VECTOR, OBJECT_THREAD, "1....."},
        {THREAD_POKE, OBJECT_THREAD, "......"},
        {THREAD_SET_FOREIGN, OBJECT_THREAD, "1....."},
        {THREAD_SET_TLS, OBJECT_THREAD, "a....."},
        {THREAD_INFO, OBJECT_THREAD, "......"},
        {CPU_TIME_CONFIGURE, OBJECT_CPU_TIME, "Stt..."},
        {SCHED_CONTEXT_INFO, OBJECT_SCHED_CONTEXT, "......"},
        {ENDPOINT_CLOSE, OBJECT_ENDPOINT, "......"},
        {ENDPOINT_OPEN, OBJECT_ENDPOINT, "......"},
        {VSPACE_FEED, OBJECT_VSPACE, "Ub...."},
        {VSPACE_UNMAP, OBJECT_VSPACE, "ap...."},
        {VSPACE_HARVEST, OBJECT_VSPACE, "ap...."},
        {VSPACE_RECLAIM, OBJECT_VSPACE, "......"},
        {VSPACE_INFO, OBJECT_VSPACE, "......"},
        {MEMORY_INFO, OBJECT_MEMORY, "......"},
        {WINDOW_BIND, OBJECT_WINDOW, "MVf..."},
        {WINDOW_MAP, OBJECT_WINDOW, "accf.."},
        {WINDOW_MAP, OBJECT_WINDOW, "accf.."},
        {WINDOW_MAP_SCATTER, OBJECT_WINDOW, "ap...."},
        {WINDOW_PROTECT, OBJECT_WINDOW, "apf..."},
        {IRQ_CONTROL_LINE, OBJECT_IRQ_CONTROL, "ccns.."},
        {IRQ_CONTROL_MESSAGE, OBJECT_IRQ_CONTROL, "..ns.."},
        {IRQ_BIND, OBJECT_IRQ, "N....."},
        {IRQ_ACKNOWLEDGE, OBJECT_IRQ, "......"},
        {IO_PORTS_IN, OBJECT_IO_PORTS, "dw...."},
        {IO_PORTS_OUT, OBJECT_IO_PORTS, "dwc..."},
        {IO_PORTS_IN_STRING, OBJECT_IO_PORTS, "dc...."},
        {IO_PORTS_OUT_STRING, OBJECT_IO_PORTS, "dc...."},
};

static uint64_t retype_word(struct player *player)
{
	static const uint8_t types[] = {
	        OBJECT_UNTYPED, OBJECT_CNODE,        OBJECT_THREAD, OBJECT_SCHED_CONTEXT, OBJECT_ENDPOINT,
	        OBJECT_REPLY,   OBJECT_NOTIFICATION, OBJECT_VSPACE, OBJECT_MEMORY,        OBJECT_WINDOW};
	static const uint8_t bits[OBJECT_TYPE_COUNT] = {
	        [OBJECT_UNTYPED] = 7, [OBJECT_CNODE] = 7, [OBJECT_MEMORY] = 12};
	unsigned type = types[draw(player, sizeof(types))];
	uint64_t word = type;

	if (bits[type])
		word |= (bits[type] + draw(player, 6)) << 8;
	if (draw(player, 2))
		word |= draw(player, 5) << 16; /* home */
	return word;
}

static uint64_t argument(struct player *player, char kind)
{
	if (kind != '.' && draw(player, 32) == 0)
		return hostile(player);
	switch (kind) {
	case 'U':
		return some(player, OBJECT_UNTYPED);
	case 'T':
		return some(player, OBJECT_THREAD);
	case 'S':
		return some(player, OBJECT_SCHED_CONTEXT);
	case 'N':
		return some(player, OBJECT_NOTIFICATION);
	case 'V':
		return some(player, OBJECT_VSPACE);
	case 'M':
		return some(player, OBJECT_MEMORY);
	case 'P':
		return some(player, OBJECT_CPU_TIME);
	case 's':
		return any(player);
	case 'n':
		return draw(player, 4) ? CPTR_NULL : some(player, OBJECT_CNODE);
	case 'r':
		return retype_word(player);
	case 'c':
		return draw(player, 4);
	case 'p':
		return draw(player, 4) ? draw(player, 16) : draw(player, 2000);
	case 'a':
		return address(player);
	case 'b':
		return 12 + draw(player, 3);
	case 'f':
		return draw(player, 2) ? draw(player, RIGHT_ALL + 1) : RIGHT_ALL;
	case 't':
		return (2 + draw(player, 2)) *
		       MILLISECOND; /* more than the debug kernel takes for its checks */
	case '1':
		return draw(player, 2);
	case 'd':
		return 0x80 + draw(player, 4);
	case 'w':
		return 1ul << draw(player, 3);
	case 'x':
		return draw(player, PRIORITY_PLAY + 2);
	default:
		return 0;
	}
}

static void bind_arguments(struct player *player, struct registers *r)
{
	static const uint8_t types[] = {OBJECT_CNODE,        OBJECT_VSPACE, OBJECT_ENDPOINT,
	                                OBJECT_ENDPOINT,     OBJECT_MEMORY, OBJECT_NOTIFICATION,
	                                OBJECT_SCHED_CONTEXT};

	r->words[0] = draw(player, THREAD_BINDING_COUNT);
	r->words[1] = draw(player, 16) ? some(player, types[r->words[0]]) : CPTR_NULL;
}

static void invocation(struct player *player, struct registers *r)
{
	const struct operation_kind *kind = &kinds[draw(player, sizeof(kinds) / sizeof(kinds[0]))];

	r->cap = draw(player, 32) ? some(player, kind->type) : hostile(player);
	r->info = draw(player, 32) ? kind->operation : draw(player, 256);
	for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
		r->words[i] = argument(player, kind->words[i]);
	if (kind->operation == THREAD_BIND)
		bind_arguments(player, r);
	/* A thread of its own CPU's, mostly: what travels is the exception also in life. */
	r->reply = r->deadline = 0;
}

static unsigned message(struct player *player, struct registers *r)
{
	static const uint8_t numbers[] = {SYS_CALL,  SYS_SEND,   SYS_RECV, SYS_RECV, SYS_REPLY_RECV,
	                                  SYS_REPLY, SYS_SIGNAL, SYS_WAIT, SYS_YIELD};
	unsigned number = numbers[draw(player, sizeof(numbers))];

	*r = (struct registers){
	        .cap = some(player, number >= SYS_SIGNAL ? OBJECT_NOTIFICATION : OBJECT_ENDPOINT),
	        .info = info(player),
	        .reply = REPLY_PAIR(some(player, OBJECT_REPLY),
	                            draw(player, 2) ? some(player, OBJECT_REPLY) : 0),
	        .deadline = deadline(player)};
	r->words[1] = some(player, OBJECT_WINDOW);
	r->words[2] = address(player);
	r->words[4] = draw(player, 4);
	r->words[5] = draw(player, 8);
	return number;
}

/* The IPC buffer is memory of its own, mapped at a fixed distance below the stack. */
static void fill_buffer(struct player *player)
{
	struct ipc_buffer *buffer = (struct ipc_buffer *)(player->stack_top & ~0xfffful);

	for (unsigned i = 0; i < MESSAGE_CAPS; i++) {
		buffer->caps[i] = (cptr_t)any(player);
		buffer->receive_slots[i] = (cptr_t)any(player);
	}
	buffer->words[draw(player, 32)] = hostile(player);
	buffer->scatter[draw(player, 16)] = (struct scatter_entry){
	        (uint32_t)draw(player, 5), (uint32_t)(draw(player, 600) << 4 | draw(player, 8))};
}

_Noreturn void player_main(struct player *player)
{
	for (;;) {
		struct registers r = {0};
		uint64_t number = SYS_INVOKE;

		if (draw(player, 8) == 0)
			fill_buffer(player);
		if (draw(player, 2))
			invocation(player, &r);
		else
			number = message(player, &r);
		if (draw(player, 64) == 0)
			number = draw(player, 2) ? hostile(player) : draw(player, SYS_DEBUG_WRITE);
		/* Memory that it may have mapped, and that anybody may take away. */
		if (draw(player, 64) == 0)
			*(volatile uint64_t *)address(player) = player->calls;
		player->calls++;
		if (system_call(number, &r) != ERR_NONE)
			player->refused++;
	}
}
