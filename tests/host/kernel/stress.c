/* SPDX-License-Identifier: MIT */
/*
 * Random operations with mostly sensible arguments, by several threads, interrupted at random; all invariants
 * are checked after each (kernel_syscall does it). At the end of each world everything is deleted and no
 * memory may be left in use.
 */
#include <stdlib.h>
#include <string.h>

#include <kernel/irq.h>

#include "../check.h"
#include "fake.h"
#include "units.h"
#include "world.h"

#define FIRST     1000 /* slots that the stress plays with */
#define SLOTS     400
#define PER_WORLD 4000

static uint64_t state;
static unsigned worlds_ended, worlds_lost, worlds_stuck;
static cptr_t root; /* the Untyped that all objects come from */

static uint64_t rnd(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (state >> 11) % below : 0;
}

/* Not the root itself: it must stay where end_world() looks for it. */
static cptr_t any(void)
{
	return FIRST + 1 + (cptr_t)rnd(SLOTS - 1);
}

/* A slot that holds this type, if there is one. */
static cptr_t some(unsigned type)
{
	cptr_t from = (cptr_t)rnd(SLOTS);

	for (cptr_t i = 0; i < SLOTS; i++) {
		cptr_t slot = FIRST + (from + i) % SLOTS;

		if (slot == root && type != OBJECT_UNTYPED)
			continue;
		if (init_slot_at(slot)->type == type && rnd(8))
			return slot;
	}
	return type == OBJECT_VSPACE && rnd(2) ? INIT_SLOT_VSPACE : any();
}

static cptr_t empty(void)
{
	return some(OBJECT_NULL);
}

/* Where a CNode is asked for: the thread's own, or one of the stress's. */
static cptr_t some_cnode(void)
{
	return rnd(3) ? CPTR_NULL : some(OBJECT_CNODE);
}

static uint64_t some_deadline(void)
{
	switch (rnd(3)) {
	case 0:
		return DEADLINE_POLL;
	case 1:
		return fake_now + rnd(5000);
	default:
		return DEADLINE_NEVER;
	}
}

static void op_retype(void)
{
	static const uint8_t types[] = {OBJECT_UNTYPED,  OBJECT_CNODE,    OBJECT_THREAD,
	                                OBJECT_THREAD,   OBJECT_ENDPOINT, OBJECT_NOTIFICATION,
	                                OBJECT_REPLY,    OBJECT_WINDOW,   OBJECT_SCHED_CONTEXT,
	                                OBJECT_ENDPOINT, OBJECT_REPLY,    OBJECT_NOTIFICATION,
	                                OBJECT_VSPACE,   OBJECT_MEMORY,   OBJECT_WINDOW};
	unsigned type = types[rnd(sizeof(types))];
	uint64_t bits = 0;
	bool inner = rnd(6);
	cptr_t untyped = some(OBJECT_UNTYPED);
	const struct slot *slot = init_slot_at(untyped);

	if (type == OBJECT_UNTYPED)
		bits = 7 + rnd(8);
	if (type == OBJECT_CNODE)
		bits = 7 + rnd(4);
	if (type == OBJECT_MEMORY)
		bits = 12 + rnd(3);
	if (bits && slot->chunks.used && rnd(8))
		bits = slot->untyped.chunk_bits;
	INVOKE(untyped, UNTYPED_RETYPE, type | bits << 8, 1 + rnd(3), inner ? CPTR_NULL : some_cnode(),
	       inner ? empty() : 1 + rnd(8));
}

static void op_derive(void)
{
	bool inside = rnd(4) == 0;

	INVOKE(inside ? some(OBJECT_CNODE) : INIT_SLOT_CNODE, CNODE_DERIVE, inside ? 1 + rnd(8) : empty(),
	       some_cnode(), rnd(3) ? any() : 1 + rnd(8), rnd(2) ? RIGHT_ALL : rnd(RIGHT_ALL + 1), rnd(3),
	       rnd(3));
}

static void op_move(void)
{
	bool inside = rnd(2) == 0, from_inside = rnd(4) == 0;

	INVOKE(inside ? some(OBJECT_CNODE) : INIT_SLOT_CNODE, CNODE_MOVE, inside ? 1 + rnd(8) : empty(),
	       from_inside ? some(OBJECT_CNODE) : 0, from_inside ? 1 + rnd(8) : any());
}

static void op_delete(void)
{
	bool inside = rnd(4) == 0;
	cptr_t slot = inside ? 1 + (cptr_t)rnd(8) : any();

	if (slot == root || (!inside && init_slot_at(slot)->type == OBJECT_UNTYPED && rnd(8)))
		return;
	INVOKE(inside ? some(OBJECT_CNODE) : INIT_SLOT_CNODE, rnd(3) ? CNODE_DELETE : CNODE_REVOKE, slot);
}

static void op_bind(void)
{
	static const uint8_t types[] = {OBJECT_CNODE,        OBJECT_VSPACE, OBJECT_ENDPOINT,
	                                OBJECT_ENDPOINT,     OBJECT_MEMORY, OBJECT_NOTIFICATION,
	                                OBJECT_SCHED_CONTEXT};
	unsigned binding = (unsigned)rnd(THREAD_BINDING_COUNT);
	cptr_t cap = some(types[binding]);

	if (binding == BIND_CSPACE && rnd(4))
		cap = INIT_SLOT_CNODE;
	if (rnd(12) == 0)
		cap = CPTR_NULL;
	INVOKE(some(OBJECT_THREAD), THREAD_BIND, binding, cap);
}

static void op_thread(void)
{
	cptr_t thread = some(OBJECT_THREAD);

	switch (rnd(9)) {
	case 0:
		INVOKE(thread, THREAD_SUSPEND);
		break;
	case 1:
		INVOKE(thread, THREAD_SET_FOREIGN, rnd(2));
		break;
	case 2:
		INVOKE(thread, THREAD_POKE);
		break;
	case 3:
		INVOKE(thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, PRIORITY_MAX - rnd(2));
		break;
	case 4:
		INVOKE(thread, THREAD_WRITE_REGISTERS);
		break;
	case 5:
		INVOKE(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, some(OBJECT_SCHED_CONTEXT),
		       10000 + rnd(3) * 10000, 30000);
		break;
	default:
		INVOKE(thread, THREAD_RESUME);
		break;
	}
}

/* A whole thread at once, or the others are hardly ever complete. */
static void op_make_thread(void)
{
	cptr_t thread = some(OBJECT_THREAD);

	INVOKE(thread, THREAD_BIND, BIND_CSPACE, INIT_SLOT_CNODE);
	INVOKE(thread, THREAD_BIND, BIND_VSPACE, some(OBJECT_VSPACE));
	INVOKE(thread, THREAD_BIND, BIND_IPC_BUFFER, some(OBJECT_MEMORY));
	INVOKE(thread, THREAD_BIND, BIND_SYSCALL, some(OBJECT_ENDPOINT));
	INVOKE(thread, THREAD_BIND, BIND_SCHED_CONTEXT, some(OBJECT_SCHED_CONTEXT));
	INVOKE(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, some(OBJECT_SCHED_CONTEXT), 20000, 20000);
	INVOKE(thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, PRIORITY_MAX);
	INVOKE(thread, THREAD_RESUME);
}

static void fill_buffer(void)
{
	struct ipc_buffer *buffer = running() ? thread_buffer(running()) : NULL;

	if (!buffer)
		return;
	for (unsigned i = 0; i < MESSAGE_CAPS; i++) {
		buffer->caps[i] = any();
		buffer->receive_slots[i] = empty();
	}
	for (unsigned i = 6; i < 26; i++)
		buffer->words[i] = rnd(4) ? 0x1000 : UINT64_MAX;
}

static uint64_t some_info(bool kernel)
{
	unsigned caps = rnd(3) ? 0 : (unsigned)rnd(3);

	return MESSAGE_INFO_CAPS(kernel && rnd(2) ? rnd(32) : 0, rnd(3) ? rnd(8) : rnd(40), caps,
	                         rnd(1u << caps));
}

static void op_ipc(void)
{
	struct call call = {
	        .cap = some(OBJECT_ENDPOINT), .info = some_info(false), .deadline = some_deadline()};

	fill_buffer();
	switch (rnd(6)) {
	case 0:
		enter(SYS_CALL, &call);
		break;
	case 1:
		enter(SYS_SEND, &call);
		break;
	case 2:
		call.reply = rnd(4) ? some(OBJECT_REPLY) : 0;
		enter(SYS_RECV, &call);
		break;
	case 3:
		call.reply = REPLY_PAIR(some(OBJECT_REPLY), rnd(2) ? some(OBJECT_REPLY) : 0);
		call.info = some_info(true);
		enter(SYS_REPLY_RECV, &call);
		break;
	case 4:
		call.reply = some(OBJECT_REPLY);
		call.info = some_info(true);
		call.words[1] = some(OBJECT_WINDOW);
		call.words[2] = 0x40000000 + rnd(64) * PAGE_SIZE;
		call.words[4] = rnd(4);
		call.words[5] = rnd(8);
		enter(SYS_REPLY, &call);
		break;
	default:
		INVOKE(some(OBJECT_ENDPOINT), rnd(3) ? ENDPOINT_OPEN : ENDPOINT_CLOSE);
		break;
	}
}

static void op_notify(void)
{
	struct call call = {.cap = some(OBJECT_NOTIFICATION), .deadline = some_deadline()};

	enter(rnd(2) ? SYS_SIGNAL : SYS_WAIT, &call);
}

static uint64_t some_address(void)
{
	return rnd(2) ? 0x40000000 + rnd(1024) * PAGE_SIZE : rnd(USER_END >> PAGE_BITS) << PAGE_BITS;
}

static void op_memory(void)
{
	struct ipc_buffer *buffer = running() ? thread_buffer(running()) : NULL;
	cptr_t window = some(OBJECT_WINDOW), vspace = some(OBJECT_VSPACE);

	switch (rnd(10)) {
	case 0:
		INVOKE(window, WINDOW_BIND, some(OBJECT_MEMORY), vspace, rnd(8));
		break;
	case 1:
		INVOKE(vspace, VSPACE_FEED, some(OBJECT_UNTYPED), 12 + rnd(3));
		break;
	case 2:
		INVOKE(vspace, VSPACE_RECLAIM);
		break;
	case 3:
		INVOKE(vspace, VSPACE_UNMAP, some_address(), rnd(3000));
		break;
	case 4:
		INVOKE(vspace, VSPACE_HARVEST, some_address(), rnd(3000));
		break;
	case 5:
		INVOKE(window, WINDOW_PROTECT, some_address(), rnd(3000), rnd(8));
		break;
	case 6:
		if (buffer && thread_buffer_bytes(running()) > PAGE_SIZE) {
			for (unsigned i = 0; i < 100; i++)
				buffer->scatter[i] = (struct scatter_entry){
				        (uint32_t)rnd(8), (uint32_t)(rnd(5000) << 4 | rnd(8))};
			INVOKE(window, WINDOW_MAP_SCATTER, some_address(), rnd(100));
		}
		break;
	default:
		INVOKE(window, WINDOW_MAP, some_address(), rnd(3), rnd(6), rnd(8));
		break;
	}
}

static void op_irq(void)
{
	switch (rnd(4)) {
	case 0:
		INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_LINE, rnd(30), rnd(4), CPTR_NULL, empty());
		break;
	case 1:
		INVOKE(some(OBJECT_IRQ), IRQ_BIND, some(OBJECT_NOTIFICATION));
		break;
	case 2:
		kernel_irq((unsigned)rnd(8));
		interrupt();
		break;
	default:
		INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, empty());
		break;
	}
}

static void step(void)
{
	static void (*const operations[])(void) = {op_retype,      op_retype, op_retype, op_derive, op_derive,
	                                           op_move,        op_move,   op_delete, op_bind,   op_thread,
	                                           op_make_thread, op_ipc,    op_ipc,    op_ipc,    op_ipc,
	                                           op_notify,      op_memory, op_memory, op_irq};

	fake_interrupt_every = rnd(3) ? 0 : 1 + (unsigned)rnd(4);
	if (running() && rnd(40) == 0)
		fault(rnd(2) ? 0 : some_address(), FAULT_WRITE);
	else if (rnd(10) == 0)
		pass(rnd(20000));
	else
		operations[rnd(sizeof(operations) / sizeof(operations[0]))]();
}

static void begin_world(void)
{
	world_boot();
	root = FIRST;
	for (cptr_t i = INIT_SLOT_UNTYPED; slot_empty(init_slot_at(root)); i++) {
		const struct slot *slot = init_slot_at(i);

		if (!(slot->flags & SLOT_DEVICE) && slot->untyped.size_bits == 20)
			INVOKE(INIT_SLOT_CNODE, CNODE_MOVE, root, 0, i);
	}
	INVOKE(root, UNTYPED_RETYPE, OBJECT_UNTYPED | 14 << 8, 30, CPTR_NULL, FIRST + 1);
	for (cptr_t i = 1; i < 10; i++)
		INVOKE(FIRST + i, UNTYPED_RETYPE, OBJECT_UNTYPED | 13 << 8, 1, CPTR_NULL, FIRST + 30 + i);
	for (unsigned i = 0; i < 400; i++)
		op_retype();
	fake_interrupt_every = 0;
}

static bool in_root(const struct slot *slot)
{
	uint64_t address = slot->type == OBJECT_MEMORY || slot->type == OBJECT_UNTYPED
	                           ? slot->object
	                           : virt_to_phys((void *)slot->object);

	return address - init_slot_at(root)->object < 1ul << 20;
}

/* init must be able to clean up, whatever it waits for. */
static bool recover_init(void)
{
	struct thread *init = thread_at(INIT_SLOT_THREAD);

	/* It may have lost what it needs: the operations reach its own slots too. */
	if (!init || init_slot_at(INIT_SLOT_THREAD)->type != OBJECT_THREAD ||
	    slot_empty(&init->bindings[BIND_CSPACE]) || slot_empty(&init->bindings[BIND_VSPACE]) ||
	    !init->sched || thread_is_foreign(init) ||
	    slot_object(&init->bindings[BIND_CSPACE]) != slot_object(init_slot_at(1)))
		return false;
	thread_cancel(init, ERR_CANCELED);
	if (init->state == THREAD_STATE_STOPPED)
		thread_wake(init);
	interrupt();
	for (unsigned i = 0; i < 1000 && running() != init; i++) {
		if (running())
			enter(SYS_YIELD, &(struct call){0});
		else
			pass(30000);
	}
	return running() == init;
}

/* Everything goes; the kernel keeps nothing. */
static void end_world(void)
{
	fake_interrupt_every = 0;
	if (!recover_init()) {
		worlds_lost++;
		return;
	}
	worlds_ended++;
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_REVOKE, root) == ERR_NONE);
	CHECK(init_slot_at(root)->chunks.used == 0);
	for (cptr_t i = FIRST; i < FIRST + SLOTS; i++)
		CHECK(i == root || slot_empty(init_slot_at(i)) || !in_root(init_slot_at(i)));
}

unsigned units_stress(unsigned *passed, unsigned long operations, unsigned seed)
{
	state = seed * 0x9e3779b97f4a7c15ul | 1;
	for (unsigned long i = 0; i < operations; i++) {
		if (i % PER_WORLD == 0) {
			if (i)
				end_world();
			begin_world();
		}
		for (unsigned tries = 0; !running() && tries < 5; tries++)
			pass(30000);
		if (!running() && !recover_init()) {
			/* All wait for each other: a new world. */
			worlds_stuck++;
			begin_world();
			continue;
		}
		step();
	}
	end_world();
	printf("worlds: %u cleaned up, %u where init was lost, %u where all waited\n", worlds_ended,
	       worlds_lost, worlds_stuck);
	for (unsigned i = 0; i < 256; i++)
		if (stress_statistics[i][0] || stress_statistics[i][1])
			printf("operation %#x: %u done, %u refused\n", i, stress_statistics[i][0],
			       stress_statistics[i][1]);
	CHECK(worlds_ended > 0);
	*passed += checks_passed;
	return checks_failed;
}
