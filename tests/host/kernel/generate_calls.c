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

static uint64_t some_rights(void)
{
	return draw(2) ? RIGHT_ALL : draw(RIGHT_ALL + 1);
}

/* ---- capabilities ---- */

static void op_retype(void)
{
	static const uint8_t types[] = {
	        OBJECT_UNTYPED,       OBJECT_CNODE,        OBJECT_THREAD, OBJECT_THREAD,
	        OBJECT_ENDPOINT,      OBJECT_NOTIFICATION, OBJECT_REPLY,  OBJECT_WINDOW,
	        OBJECT_SCHED_CONTEXT, OBJECT_ENDPOINT,     OBJECT_REPLY,  OBJECT_NOTIFICATION,
	        OBJECT_VSPACE,        OBJECT_MEMORY,       OBJECT_WINDOW, OBJECT_IO_SPACE};
	unsigned type = types[draw(sizeof(types))];
	uint64_t bits = 0;
	bool inner = draw(6);
	cptr_t untyped = some(OBJECT_UNTYPED);
	const struct slot *slot = table_slot(untyped);

	if (type == OBJECT_UNTYPED)
		bits = 7 + draw(8);
	if (type == OBJECT_CNODE)
		bits = 7 + draw(4);
	if (type == OBJECT_MEMORY)
		bits = 12 + draw(3);
	if (bits && slot->type == OBJECT_UNTYPED && slot->chunks.used && draw(8))
		bits = slot->untyped.chunk_bits;
	if (type_has_home(type))
		bits = draw(world_cpus) << 8;
	INVOKE(untyped, UNTYPED_RETYPE, type | bits << 8, 1 + draw(3), inner ? CPTR_NULL : some_cnode(),
	       inner ? empty() : 1 + draw(8));
}

static void op_derive(void)
{
	bool inside = draw_one_in(4);
	cptr_t from = draw(3) ? full() : some(OBJECT_CNODE + (unsigned)draw(OBJECT_CPU_TIME - 1));

	INVOKE(inside ? some(OBJECT_CNODE) : TABLE_CNODE, CNODE_DERIVE, inside ? 1 + draw(8) : empty(),
	       some_cnode(), draw(4) ? from : 1 + draw(8), some_rights(), draw(3), draw(3));
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

static void op_configure(void)
{
	uint64_t period = 20000 + draw(2) * 10000;

	INVOKE(some_cpu_time(), CPU_TIME_CONFIGURE, some(OBJECT_SCHED_CONTEXT), 10000 + draw(2) * 10000,
	       period);
}

static void fill_registers(void)
{
	struct ipc_buffer *buffer = thread_buffer(running());

	if (!buffer)
		return;
	for (unsigned i = 0; i < THREAD_REGISTER_WORDS; i++)
		buffer->words[i] = draw(4) ? 0x1000 : UINT64_MAX;
}

static void op_thread(void)
{
	static const uint8_t plain[] = {THREAD_SUSPEND,     THREAD_POKE,  THREAD_READ_REGISTERS,
	                                THREAD_READ_VECTOR, THREAD_INFO,  THREAD_POKE,
	                                THREAD_RESUME,      THREAD_RESUME};
	cptr_t thread = some(OBJECT_THREAD);

	switch (draw(6)) {
	case 0:
		INVOKE(thread, THREAD_SET_FOREIGN, draw(2));
		break;
	case 1:
		INVOKE(thread, THREAD_SET_PRIORITY, some_cpu_time(), 98 + draw(4));
		break;
	case 2:
		fill_registers();
		INVOKE(thread, THREAD_WRITE_REGISTERS);
		break;
	case 3:
		INVOKE(thread, THREAD_WRITE_VECTOR, draw(2) ? ARCH_VECTOR_BYTES : draw(2));
		break;
	case 4:
		INVOKE(thread, THREAD_SET_TLS, some_address());
		break;
	default:
		INVOKE(thread, plain[draw(sizeof(plain))]);
		break;
	}
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
	for (unsigned i = 6; i < 26; i++)
		buffer->words[i] = draw(4) ? 0x1000 : UINT64_MAX;
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

/* ---- memory ---- */

static void op_scatter(cptr_t window)
{
	struct ipc_buffer *buffer = thread_buffer(running());
	unsigned count = (unsigned)draw(20);

	if (buffer && thread_buffer_bytes(running()) > PAGE_SIZE) {
		for (unsigned i = 0; i < count; i++)
			buffer->scatter[i] = (struct scatter_entry){(uint32_t)draw(8),
			                                            (uint32_t)(draw(5000) << 4 | draw(8))};
	}
	INVOKE(window, WINDOW_MAP_SCATTER, some_address(), count);
}

static void op_window(void)
{
	cptr_t window = some(OBJECT_WINDOW);

	switch (draw(6)) {
	case 0:
		INVOKE(window, WINDOW_BIND, some(OBJECT_MEMORY), some_space(), draw(8));
		break;
	case 1:
		INVOKE(window, WINDOW_PROTECT, some_address(), draw(3000), draw(8));
		break;
	case 2:
		op_scatter(window);
		break;
	case 3:
		INVOKE(window, WINDOW_MAP, PLAYGROUND + draw(3) * LARGE_PAGE_SIZE, draw(2) * 512,
		       draw(3) * 512, draw(8) | MAP_LARGE | draw(4) * MAP_UNCACHED);
		break;
	default:
		INVOKE(window, WINDOW_MAP, some_address(), draw(3), draw(6), draw(8));
		break;
	}
}

static void op_vspace(void)
{
	cptr_t vspace = some_space();

	switch (draw(5)) {
	case 0:
		INVOKE(vspace, VSPACE_FEED, some(OBJECT_UNTYPED), 12 + draw(3));
		break;
	case 1:
		INVOKE(vspace, VSPACE_RECLAIM);
		break;
	case 2:
		INVOKE(vspace, VSPACE_UNMAP, some_address(), draw(3000));
		break;
	case 3:
		INVOKE(vspace, VSPACE_HARVEST, some_address(), draw(3000));
		break;
	default:
		INVOKE(vspace, VSPACE_INFO);
		break;
	}
}

/* ---- devices, and anything ---- */

static void op_io_space(void)
{
	cptr_t space = some(OBJECT_IO_SPACE);

	switch (draw(6)) {
	case 0:
		INVOKE(TABLE_CNODE, CNODE_DERIVE, empty(), CPTR_NULL, some_control(), RIGHT_ALL, draw(8),
		       draw(8));
		break;
	case 1:
		INVOKE(TABLE_CNODE, CNODE_REVOKE, some_control());
		break;
	case 2:
		INVOKE(space, IO_SPACE_DETACH);
		break;
	case 3:
		INVOKE(space, IO_SPACE_INFO);
		break;
	default:
		INVOKE(space, IO_SPACE_ATTACH, some_control(), draw(FAKE_REQUESTERS));
		break;
	}
}

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

static void op_irq(void)
{
	switch (draw(5)) {
	case 0:
		INVOKE(TABLE_IRQ_CONTROL, IRQ_CONTROL_LINE, draw(30), draw(4), CPTR_NULL, empty());
		break;
	case 1:
		INVOKE(TABLE_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, empty());
		break;
	case 2:
		INVOKE(some(OBJECT_IRQ), IRQ_BIND, some(OBJECT_NOTIFICATION));
		break;
	case 3:
		INVOKE(some(OBJECT_IRQ), IRQ_ACKNOWLEDGE);
		break;
	default:
		irq_fires((unsigned)draw(8));
		break;
	}
}

static uint64_t hostile_word(void)
{
	static const uint64_t words[] = {0,
	                                 1,
	                                 2,
	                                 3,
	                                 8,
	                                 63,
	                                 64,
	                                 65,
	                                 PAGE_SIZE,
	                                 PAGE_SIZE + 1,
	                                 LARGE_PAGE_SIZE,
	                                 USER_END - PAGE_SIZE,
	                                 USER_END,
	                                 0x0000800000000000,
	                                 0xffff7fffffffffff,
	                                 0xffff800000000000,
	                                 0xffffffff80000000,
	                                 UINT32_MAX,
	                                 1ul << 32,
	                                 1ul << 52,
	                                 INT64_MAX,
	                                 1ul << 63,
	                                 UINT64_MAX - PAGE_SIZE + 1,
	                                 UINT64_MAX};

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
	        op_retype,  op_retype,  op_derive,    op_derive,   op_move,      op_delete,
	        op_delete,  op_bind,    op_thread,    op_thread,   op_configure, op_make_thread,
	        op_ipc,     op_ipc,     op_ipc,       op_ipc,      op_ipc,       op_ipc,
	        op_notify,  op_notify,  op_window,    op_window,   op_vspace,    op_irq,
	        op_hostile, op_hostile, op_exception, op_io_space, op_make_space};

	calls[draw(sizeof(calls) / sizeof(calls[0]))]();
}
