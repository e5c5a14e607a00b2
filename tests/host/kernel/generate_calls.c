/* SPDX-License-Identifier: MIT */
/* System calls of players: mostly sensible arguments, or nothing would ever work; sometimes any. */
#include <stdlib.h>
#include <string.h>

#include <kernel/irq.h>

#include "fake.h"
#include "fake_io.h"
#include "generate.h"

static cptr_t any(void)
{
	return draw_one_in(16) ? (cptr_t)draw(TABLE_SLOTS)
	                       : TABLE_FREE + (cptr_t)draw(TABLE_SLOTS - TABLE_FREE);
}

/* A slot of the players' own that holds something. */
static cptr_t full(void)
{
	cptr_t from = any();

	if (draw_one_in(16))
		return from;
	for (cptr_t slot = from; slot < TABLE_SLOTS; slot++)
		if (!slot_empty(table_slot(slot)))
			return slot;
	return from;
}

/* A slot that holds this type, if there is one. */
static cptr_t some(unsigned type)
{
	cptr_t from = (cptr_t)draw(TABLE_SLOTS);

	if (draw_one_in(32))
		return any();
	for (cptr_t i = 0; i < TABLE_SLOTS; i++) {
		cptr_t slot = (from + i) % TABLE_SLOTS;

		if (slot && table_slot(slot)->type == type)
			return slot;
	}
	return any();
}

static cptr_t empty(void)
{
	return some(OBJECT_NULL);
}

/* Where a CNode is asked for: the thread's own, or another. */
static cptr_t some_cnode(void)
{
	return draw(3) ? CPTR_NULL : some(OBJECT_CNODE);
}

static cptr_t some_space(void)
{
	return some(draw(2) ? OBJECT_VSPACE : OBJECT_IO_SPACE);
}

static cptr_t some_control(void)
{
	return draw(2) ? TABLE_IO_SPACE_CONTROL : some(OBJECT_IO_SPACE_CONTROL);
}

static cptr_t some_cpu_time(void)
{
	return draw(8) ? TABLE_CPU_TIME + (cptr_t)draw(world_cpus) : some(OBJECT_CPU_TIME);
}

static uint64_t some_deadline(void)
{
	switch (draw(4)) {
	case 0:
		return DEADLINE_POLL;
	case 1:
		return DEADLINE_NEVER;
	default:
		return fake_now + draw(5000);
	}
}

static uint64_t some_address(void)
{
	return draw(8) ? playground() : draw(USER_END >> PAGE_BITS) << PAGE_BITS;
}

/* ---- capabilities ---- */

static uint64_t some_retype(void)
{
	static const uint8_t types[] = {
	        OBJECT_UNTYPED,       OBJECT_CNODE,        OBJECT_THREAD, OBJECT_THREAD,
	        OBJECT_ENDPOINT,      OBJECT_NOTIFICATION, OBJECT_REPLY,  OBJECT_WINDOW,
	        OBJECT_SCHED_CONTEXT, OBJECT_ENDPOINT,     OBJECT_REPLY,  OBJECT_NOTIFICATION,
	        OBJECT_VSPACE,        OBJECT_MEMORY,       OBJECT_WINDOW, OBJECT_IO_SPACE};
	unsigned type = types[draw(sizeof(types))];

	switch (type) {
	case OBJECT_UNTYPED:
		return type | (7 + draw(8)) << 8;
	case OBJECT_CNODE:
		return type | (7 + draw(4)) << 8;
	case OBJECT_MEMORY:
		return type | (12 + draw(3)) << 8;
	default:
		return type | (type_has_home(type) ? draw(world_cpus) << 16 : 0);
	}
}

/* What is cut already is cut into chunks of the same size. */
static void op_retype(void)
{
	uint64_t word = some_retype(), bits = word >> 8 & 0xff;
	bool inner = draw(6);
	cptr_t untyped = some(OBJECT_UNTYPED);
	const struct slot *slot = table_slot(untyped);

	if (bits && slot->type == OBJECT_UNTYPED && slot->chunks.used && draw(8))
		word = (word & 0xff) | (uint64_t)slot->untyped.chunk_bits << 8;
	INVOKE(untyped, UNTYPED_RETYPE, word, 1 + draw(3), inner ? CPTR_NULL : some_cnode(),
	       inner ? empty() : 1 + draw(8));
}

static void op_derive(void)
{
	bool inside = draw_one_in(4);
	cptr_t from = draw(3) ? full() : some(OBJECT_CNODE + (unsigned)draw(OBJECT_CPU_TIME - 1));

	INVOKE(inside ? some(OBJECT_CNODE) : TABLE_CNODE, CNODE_DERIVE, inside ? 1 + draw(8) : empty(),
	       some_cnode(), draw(4) ? from : 1 + draw(8), (draw(2) ? RIGHT_ALL : draw(RIGHT_ALL + 1)),
	       draw(3), draw(3));
}

static void op_move(void)
{
	bool inside = draw_one_in(2), from_inside = draw_one_in(4);

	INVOKE(inside ? some(OBJECT_CNODE) : TABLE_CNODE, CNODE_MOVE, inside ? 1 + draw(8) : empty(),
	       from_inside ? some(OBJECT_CNODE) : CPTR_NULL, from_inside ? 1 + draw(8) : full());
}

static void op_delete(void)
{
	bool inside = draw_one_in(4);
	cptr_t slot = inside ? 1 + (cptr_t)draw(8) : full();

	if (!inside && table_slot(slot)->type == OBJECT_UNTYPED && draw(8))
		return;
	INVOKE(inside ? some(OBJECT_CNODE) : TABLE_CNODE, draw(3) ? CNODE_DELETE : CNODE_REVOKE, slot);
}

/* ---- threads ---- */

static void op_bind(void)
{
	static const uint8_t types[] = {OBJECT_CNODE,        OBJECT_VSPACE, OBJECT_ENDPOINT,
	                                OBJECT_ENDPOINT,     OBJECT_MEMORY, OBJECT_NOTIFICATION,
	                                OBJECT_SCHED_CONTEXT};
	unsigned binding = (unsigned)draw(THREAD_BINDING_COUNT);
	cptr_t cap = some(types[binding]);

	if (binding == BIND_CSPACE && draw(8))
		cap = TABLE_CNODE;
	if (draw_one_in(12))
		cap = CPTR_NULL;
	INVOKE(some(OBJECT_THREAD), THREAD_BIND, binding, cap);
}

/* A whole thread at once, or the others are hardly ever complete; one time in four it is a foreign one. */
static void op_make_thread(void)
{
	cptr_t thread = some(OBJECT_THREAD), context = some(OBJECT_SCHED_CONTEXT);
	bool foreign = draw_one_in(4);

	INVOKE(some_cpu_time(), CPU_TIME_CONFIGURE, context, 20000, 20000);
	INVOKE(thread, THREAD_BIND, BIND_CSPACE, foreign ? CPTR_NULL : TABLE_CNODE);
	INVOKE(thread, THREAD_BIND, BIND_VSPACE, draw(2) ? TABLE_VSPACE : some(OBJECT_VSPACE));
	INVOKE(thread, THREAD_BIND, BIND_IPC_BUFFER, some(OBJECT_MEMORY));
	INVOKE(thread, THREAD_BIND, foreign ? BIND_SYSCALL : BIND_FAULT, some(OBJECT_ENDPOINT));
	INVOKE(thread, THREAD_BIND, BIND_SCHED_CONTEXT, context);
	INVOKE(thread, THREAD_SET_PRIORITY, some_cpu_time(), 100);
	INVOKE(thread, THREAD_SET_FOREIGN, foreign);
	INVOKE(thread, THREAD_RESUME);
}

/* ---- messages ---- */

static void fill_buffer(void)
{
	struct ipc_buffer *buffer = thread_buffer(running());

	if (!buffer || draw(2))
		return;
	for (unsigned i = 0; i < MESSAGE_CAPS; i++) {
		buffer->caps[i] = full();
		buffer->receive_slots[i] = empty();
	}
	for (unsigned i = 0; i < 26; i++)
		buffer->words[i] = draw(4) ? 0x1000 : UINT64_MAX;
	for (unsigned i = 0; thread_buffer_bytes(running()) > PAGE_SIZE && i < 20; i++)
		buffer->scatter[i] =
		        (struct scatter_entry){(uint32_t)draw(8), (uint32_t)(draw(1000) << 4 | draw(8))};
}

static uint64_t some_info(bool kernel)
{
	unsigned caps = draw(3) ? 0 : (unsigned)draw(3);

	return MESSAGE_INFO_CAPS(kernel && draw(2) ? draw(32) : 0, draw(3) ? draw(8) : draw(40), caps,
	                         draw(1u << caps));
}

static void op_ipc(void)
{
	struct call call = {
	        .cap = some(OBJECT_ENDPOINT), .info = some_info(false), .deadline = some_deadline()};

	fill_buffer();
	switch (draw(6)) {
	case 0:
		enter(SYS_CALL, &call);
		break;
	case 1:
		enter(SYS_SEND, &call);
		break;
	case 2:
		call.reply = draw(4) ? some(OBJECT_REPLY) : 0;
		enter(SYS_RECV, &call);
		break;
	case 3:
		call.reply = REPLY_PAIR(some(OBJECT_REPLY), draw(2) ? some(OBJECT_REPLY) : 0);
		call.info = some_info(true);
		enter(SYS_REPLY_RECV, &call);
		break;
	case 4:
		call.reply = some(OBJECT_REPLY);
		call.info = some_info(true);
		call.words[1] = some(OBJECT_WINDOW);
		call.words[2] = playground();
		call.words[4] = draw(4);
		call.words[5] = draw(8);
		enter(SYS_REPLY, &call);
		break;
	default:
		INVOKE(some(OBJECT_ENDPOINT), draw(3) ? ENDPOINT_OPEN : ENDPOINT_CLOSE);
		break;
	}
}

static void op_notify(void)
{
	struct call call = {.cap = some(OBJECT_NOTIFICATION), .deadline = some_deadline()};

	enter(draw(2) ? SYS_SIGNAL : SYS_WAIT, &call);
}

/* ---- everything ---- */

/* A whole space at once, or hardly anything is ever mapped. */
static void op_make_space(void)
{
	cptr_t space = some_space(), window = some(OBJECT_WINDOW);

	for (unsigned i = 0; i < 3; i++)
		INVOKE(space, VSPACE_FEED, some(OBJECT_UNTYPED), 12 + draw(2));
	INVOKE(window, WINDOW_BIND, some(OBJECT_MEMORY), space, RIGHT_READ | RIGHT_WRITE);
	INVOKE(window, WINDOW_MAP, playground(), 0, 1 + draw(3), 1 + draw(3));
	INVOKE(space, IO_SPACE_ATTACH, TABLE_IO_SPACE_CONTROL, draw(FAKE_REQUESTERS));
}

/* What each word is: see operations.def. */
static const struct invocation {
	uint8_t operation, type;
	char words[MESSAGE_REGISTER_WORDS + 1];
} invocations[] = {
#define INVOCATION(operation, type, words) {operation, type, words},
#include "../../fuzz/operations.def"
};

static cptr_t some_of(unsigned type)
{
	switch (type) {
	case OBJECT_VSPACE:
		return some_space();
	case OBJECT_CPU_TIME:
		return some_cpu_time();
	default:
		return some(type);
	}
}

static uint64_t some_flags(void)
{
	return draw(RIGHT_ALL + 1) | (draw(3) ? 0 : MAP_LARGE) | (draw(3) ? 0 : draw(4) * MAP_UNCACHED);
}

static uint64_t argument_of(char kind)
{
	switch (kind) {
	case 'U':
		return some(OBJECT_UNTYPED);
	case 'C':
		return some_cnode();
	case 'T':
		return some(OBJECT_THREAD);
	case 'S':
		return some(OBJECT_SCHED_CONTEXT);
	case 'N':
		return some(OBJECT_NOTIFICATION);
	case 'V':
		return some_space();
	case 'M':
		return some(OBJECT_MEMORY);
	case 'P':
		return some_cpu_time();
	case 'D':
		return some_control();
	case 'e':
		return empty();
	case 's':
		return full();
	case 'r':
		return some_retype();
	case 'c':
		return draw(6);
	case 'g':
		return draw(3) ? draw(3) : draw(3) * 512;
	case 'p':
		return draw(3) ? draw(20) : draw(3) ? draw(3) * 512 : draw(3000);
	case 'a':
		return draw(4) ? some_address() : PLAYGROUND + draw(3) * LARGE_PAGE_SIZE;
	case 'b':
		return 12 + draw(3);
	case 'f':
		return draw(2) ? RIGHT_ALL : draw(RIGHT_ALL + 1);
	case 'F':
		return some_flags();
	case 't':
		return 10000 + draw(3) * 10000;
	case 'x':
		return 98 + draw(4);
	case 'v':
		return draw(2) ? ARCH_VECTOR_BYTES : draw(2);
	case 'd':
		return draw(256) << 24 | draw(256);
	case '1':
		return draw(2);
	case 'i':
		return 0x80 + draw(4);
	case 'w':
		return 1ul << draw(3);
	case 'q':
		return draw(FAKE_REQUESTERS);
	default:
		return 0;
	}
}

static void op_invocation(void)
{
	const struct invocation *kind = &invocations[draw(sizeof(invocations) / sizeof(invocations[0]))];
	uint64_t words[MESSAGE_REGISTER_WORDS];

	if (kind->operation == THREAD_BIND) {
		op_bind();
		return;
	}
	fill_buffer();
	for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
		words[i] = argument_of(kind->words[i]);
	INVOKE(some_of(kind->type), kind->operation, words[0], words[1], words[2], words[3], words[4],
	       words[5]);
}

static void op_irq_fires(void)
{
	irq_fires((unsigned)draw(8));
}

static uint64_t hostile_word(void)
{
	static const uint64_t words[] = {
#define HOSTILE(word) word,
#include "../../fuzz/operations.def"
	};

	return draw(2) ? words[draw(sizeof(words) / sizeof(words[0]))] : any();
}

static void op_hostile(void)
{
	static const uint8_t operations[] = {
#define OPERATION(name, number) number,
	        OPERATIONS
#undef OPERATION
	};
	struct call call = {.cap = draw(4) ? any() : hostile_word(),
	                    .info = operations[draw(sizeof(operations))],
	                    .reply = hostile_word(),
	                    .deadline = draw(4) ? some_deadline() : hostile_word()};
	unsigned words = (unsigned)draw(MESSAGE_REGISTER_WORDS + 1);
	uint64_t number = draw(3) ? SYS_INVOKE : draw(12);

	for (unsigned i = 0; i < words; i++)
		call.words[i] = hostile_word();
	if (number != SYS_INVOKE)
		call.info = draw(2) ? some_info(true) : hostile_word();
	enter(number, &call);
}

static void op_exception(void)
{
	exception((unsigned)draw(32));
}

void generate_call(void)
{
	static void (*const calls[])(void) = {
	        op_retype,     op_retype,     op_derive,      op_derive,     op_move,       op_delete,
	        op_delete,     op_bind,       op_make_thread, op_make_space, op_ipc,        op_ipc,
	        op_ipc,        op_ipc,        op_ipc,         op_ipc,        op_notify,     op_notify,
	        op_invocation, op_invocation, op_invocation,  op_invocation, op_invocation, op_invocation,
	        op_invocation, op_invocation, op_hostile,     op_hostile,    op_exception,  op_irq_fires};

	calls[draw(sizeof(calls) / sizeof(calls[0]))]();
}
