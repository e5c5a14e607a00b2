/* SPDX-License-Identifier: MIT */
/* What nobody in his right mind does, and what it must not lead to. */
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

unsigned units_hostile(unsigned *passed)
{
	test_reply_replaced_by_busy_one();
	*passed += checks_passed;
	return checks_failed;
}
