/* SPDX-License-Identifier: MIT */
/* What nobody in his right mind does, and what it must not lead to. */
#include <string.h>

#include <kernel/message.h>

#include "../check.h"
#include "fake.h"
#include "units.h"
#include "world.h"

static struct thread *server;
static cptr_t endpoint;

static void begin(void)
{
	world_boot();
	server = running();
	endpoint = make(OBJECT_ENDPOINT, 0);
}

/* A thread whose call the server has received with this Reply. */
static struct thread *caller_in(cptr_t reply)
{
	struct thread *caller = thread_at(make_thread(PRIORITY_MAX));

	run(caller);
	enter(SYS_CALL, &(struct call){.cap = endpoint, .deadline = DEADLINE_NEVER});
	run(server);
	enter(SYS_RECV, &(struct call){.cap = endpoint, .reply = reply, .deadline = DEADLINE_NEVER});
	CHECK(running() == server && caller->state == THREAD_STATE_BLOCKED_REPLY);
	return caller;
}

/* An answer moves the Reply that was to be waited with away, and another one that is busy to its place: the
 * two threads share a CSpace. */
static void test_reply_replaced_by_busy_one(void)
{
	cptr_t busy, answered, next;
	struct thread *parked, *caller;

	begin();
	busy = make(OBJECT_REPLY, 0);
	answered = make(OBJECT_REPLY, 0);
	next = make(OBJECT_REPLY, 0);
	parked = caller_in(busy);
	caller = caller_in(answered);
	thread_buffer(server)->caps[0] = next;
	thread_buffer(server)->caps[1] = busy;
	thread_buffer(caller)->receive_slots[0] = new_slot();
	thread_buffer(caller)->receive_slots[1] = next;
	enter(SYS_REPLY_RECV, &(struct call){.cap = endpoint,
	                                     .info = MESSAGE_INFO_CAPS(0, 0, 2, 3),
	                                     .reply = REPLY_PAIR(answered, next),
	                                     .deadline = DEADLINE_NEVER});
	CHECK(status_of(server) == ERR_STATE && server->state == THREAD_STATE_RUNNING);
	CHECK(status_of(caller) == ERR_NONE && message_caps(info_of(caller)) == 2);
	enter(SYS_REPLY, &(struct call){.reply = next});
	CHECK(status_of(server) == ERR_NONE && status_of(parked) == ERR_NONE);
}

static struct ipc_buffer *changing;
static cptr_t changed_to;

static void change_capability(void)
{
	changing->caps[0] = changed_to;
}

/*
 * When the caller's message has been looked at, its capability becomes the Reply that the server holds the
 * caller in: to hand over a job changes who pays, and the server runs already.
 */
static void test_capability_changes_meanwhile(void)
{
	cptr_t reply, harmless, to;
	struct thread *caller;

	begin();
	reply = make(OBJECT_REPLY, 0);
	harmless = make(OBJECT_NOTIFICATION, 0);
	to = new_slot();
	caller = thread_at(make_thread(PRIORITY_MAX));
	enter(SYS_RECV, &(struct call){.cap = endpoint, .reply = reply, .deadline = DEADLINE_NEVER});
	CHECK(running() == caller);
	INVOKE(INIT_SLOT_THREAD, THREAD_BIND, BIND_SCHED_CONTEXT, CPTR_NULL);
	changing = thread_buffer(caller);
	changing->caps[0] = harmless;
	changed_to = reply;
	thread_buffer(server)->receive_slots[0] = to;
	fake_while_copying = change_capability;
	enter(SYS_CALL, &(struct call){.cap = endpoint,
	                               .info = MESSAGE_INFO_CAPS(0, 7, 1, 1),
	                               .deadline = DEADLINE_NEVER});
	fake_while_copying = NULL;
	CHECK(running() == server && server->state == THREAD_STATE_RUNNING && server->sched == caller->own);
	enter(SYS_REPLY, &(struct call){.reply = reply});
	CHECK(status_of(caller) == ERR_NONE);
}

/* Whose memory it was, and what another CPU has made of it. */
static struct thread *former;
static unsigned char remade[sizeof(struct thread)];

static void remake(struct thread *thread)
{
	former = thread;
	memset(thread, 0x5a, sizeof(*thread));
	thread->state = THREAD_STATE_STOPPED;
	memcpy(remade, thread, sizeof(remade));
}

/* A thread destroys itself: its memory may be something else as soon as the lock is released. */
static void test_memory_of_suicide(void)
{
	cptr_t cap;

	begin();
	cap = make_thread(PRIORITY_MAX);
	run(thread_at(cap));
	fake_after_invoke = remake;
	INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, cap);
	fake_after_invoke = NULL;
	CHECK(former != server && running() == server && !memcmp(former, remade, sizeof(remade)));
}

static struct slot *derived_from;
static unsigned derived;

/* Another CPU derives one more as often as it gets the lock. */
static void derive_more(struct thread *thread)
{
	struct slot *to = init_slot_at(new_slot());

	(void)thread;
	if (slot_empty(derived_from) || derived == 1000)
		return;
	derived++;
	slot_derive(derived_from, to, RIGHT_ALL);
}

static void test_revoke_while_others_derive(void)
{
	cptr_t derive;

	begin();
	derive = new_slot();
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DERIVE, derive, CPTR_NULL, endpoint, RIGHT_ALL) == ERR_NONE);
	derived_from = init_slot_at(derive);
	derived = 0;
	for (unsigned i = 0; i < 100; i++)
		derive_more(server);
	fake_after_invoke = derive_more;
	fake_interrupt_every = 1;
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_REVOKE, endpoint) == ERR_NONE);
	fake_interrupt_every = 0;
	fake_after_invoke = NULL;
	CHECK(derived < 200 && !init_slot_at(endpoint)->child);
}

static struct thread *first, *second;
static unsigned sent, arrived;

/* Another CPU sends a copy of the capability as often as it gets the lock. */
static void send_more(struct thread *thread)
{
	uint64_t info = MESSAGE_INFO_CAPS(0, 0, 1, 0);

	(void)thread;
	if (!(derived_from->flags & SLOT_DOOMED) || sent == 1000)
		return;
	sent++;
	thread_buffer(second)->receive_slots[0] = new_slot();
	arrived += message_caps(message_transfer_caps(first, second, info));
}

/* An original goes with its Untyped: while what was derived from it is taken away there is nothing more of it
 * to be had. */
static void test_revoke_while_others_send(void)
{
	cptr_t untyped, original;

	begin();
	first = thread_at(make_thread(1));
	second = thread_at(make_thread(1));
	untyped = make(OBJECT_UNTYPED, 12);
	original = new_slot();
	CHECK(INVOKE(untyped, UNTYPED_RETYPE, OBJECT_ENDPOINT, 1, CPTR_NULL, original) == ERR_NONE);
	derived_from = init_slot_at(original);
	for (unsigned i = 0; i < 100; i++)
		slot_derive(derived_from, init_slot_at(new_slot()), RIGHT_ALL);
	thread_buffer(first)->caps[0] = original;
	sent = arrived = 0;
	fake_after_invoke = send_more;
	fake_interrupt_every = 1;
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_REVOKE, untyped) == ERR_NONE);
	fake_interrupt_every = 0;
	fake_after_invoke = NULL;
	CHECK(sent > 0 && sent < 1000 && arrived == 0);
	CHECK(slot_empty(init_slot_at(original)));
}

unsigned units_hostile(unsigned *passed)
{
	test_revoke_while_others_send();
	test_reply_replaced_by_busy_one();
	test_capability_changes_meanwhile();
	test_memory_of_suicide();
	test_revoke_while_others_derive();
	*passed += checks_passed;
	return checks_failed;
}
