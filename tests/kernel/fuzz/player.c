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
	static const uint64_t words[] = {
#define HOSTILE(word) word,
#include "../../fuzz/operations.def"
	};

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

/* What each word is: see operations.def. */
static const struct invocation {
	uint8_t operation, type;
	char words[MESSAGE_REGISTER_WORDS + 1];
} invocations[] = {
#define INVOCATION(operation, type, words) {operation, type, words},
#include "../../fuzz/operations.def"
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
	case 'D':
		return some(player, OBJECT_IO_SPACE_CONTROL);
	case 'C':
		return draw(player, 4) ? CPTR_NULL : some(player, OBJECT_CNODE);
	case 's':
	case 'e':
		return any(player);
	case 'r':
		return retype_word(player);
	case 'c':
	case 'g':
	case 'q':
		return draw(player, 4);
	case 'p':
		return draw(player, 4) ? draw(player, 16) : draw(player, 2000);
	case 'a':
		return address(player);
	case 'b':
		return 12 + draw(player, 3);
	case 'F':
	case 'f':
		return draw(player, 2) ? draw(player, RIGHT_ALL + 1) : RIGHT_ALL;
	case 't':
		return (2 + draw(player, 2)) *
		       MILLISECOND; /* more than the debug kernel takes for its checks */
	case '1':
	case 'v':
		return draw(player, 2);
	case 'd':
		return draw(player, 256) << 24 | draw(player, 256);
	case 'i':
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
	const struct invocation *kind =
	        &invocations[draw(player, sizeof(invocations) / sizeof(invocations[0]))];

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
