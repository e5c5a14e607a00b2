/* SPDX-License-Identifier: MIT */
/* What callers lend to servers: context and priority, along chains, for as long as the job is the current
 * one. */
#include <string.h>

#include "../check.h"
#include "fake.h"
#include "units.h"
#include "world.h"

#define MS 1000000ul

/* A thread with an endpoint that it serves and two Replies. */
struct server {
	cptr_t cap, endpoint, reply, other;
	struct thread *thread;
};

static cptr_t rest;

static void block_for_ever(void)
{
	enter(SYS_WAIT, &(struct call){.cap = rest, .deadline = DEADLINE_NEVER});
}

/* The running thread. */
static void calls(cptr_t endpoint)
{
	enter(SYS_CALL, &(struct call){.cap = endpoint, .deadline = DEADLINE_NEVER});
}

static void receives(const struct server *server, cptr_t reply)
{
	enter(SYS_RECV, &(struct call){.cap = server->endpoint, .reply = reply, .deadline = DEADLINE_NEVER});
}

static void answers_and_receives(const struct server *server)
{
	enter(SYS_REPLY_RECV, &(struct call){.cap = server->endpoint,
	                                     .reply = REPLY_PAIR(server->reply, 0),
	                                     .deadline = DEADLINE_NEVER});
}

static struct server new_server(unsigned priority)
{
	struct server server = {.endpoint = make(OBJECT_ENDPOINT, 0),
	                        .reply = make(OBJECT_REPLY, 0),
	                        .other = make(OBJECT_REPLY, 0),
	                        .cap = make_thread(priority)};

	server.thread = thread_at(server.cap);
	return server;
}

/* init makes way; what is made afterwards is made by whoever runs. */
static void begin(void)
{
	world_boot();
	rest = make(OBJECT_NOTIFICATION, 0);
}

static void make_passive(const struct server *server)
{
	CHECK(INVOKE(server->cap, THREAD_BIND, BIND_SCHED_CONTEXT, CPTR_NULL) == ERR_NONE);
}

static void test_call_lends_context(void)
{
	struct server s;
	struct thread *client;

	begin();
	s = new_server(10);
	client = thread_at(make_thread(20));
	INVOKE(s.cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 30);
	block_for_ever();
	CHECK(running() == s.thread);
	INVOKE(s.cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 21);
	receives(&s, s.reply);
	CHECK(running() == client);
	INVOKE(s.cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 10);
	calls(s.endpoint);
	CHECK(running() == s.thread && s.thread->sched == client->own && s.thread->priority == 20);
	pass(MS);
	CHECK(running() == s.thread);
	answers_and_receives(&s);
	CHECK(running() == client && s.thread->sched == s.thread->own && s.thread->priority == 10);
	INVOKE(s.cap, THREAD_INFO);
	CHECK(last.words[0] < MS / 2 && last.words[2] == 10 && last.words[4] == 10);
	CHECK(sched_context_consumed(client->own) >= MS);
}

static void test_passive_server(void)
{
	struct server s;
	struct thread *client;

	begin();
	s = new_server(30);
	client = thread_at(make_thread(20));
	block_for_ever();
	receives(&s, s.reply);
	CHECK(running() == client);
	make_passive(&s);
	calls(s.endpoint);
	CHECK(running() == s.thread && s.thread->sched == client->own);
	answers_and_receives(&s);
	CHECK(running() == client && !s.thread->sched);
	/* A job that is answered without asking for the next leaves it without time. */
	calls(s.endpoint);
	CHECK(running() == s.thread);
	enter(SYS_REPLY, &(struct call){.reply = s.reply});
	CHECK(running() == client && s.thread->state == THREAD_STATE_READY && !s.thread->queued);
	INVOKE(s.cap, THREAD_INFO);
	CHECK(last.words[0] == 0 && last.words[1] == THREAD_STATE_READY);
}

static void test_parking_gives_back(void)
{
	struct server s;
	struct thread *client, *low;

	begin();
	s = new_server(30);
	client = thread_at(make_thread(20));
	low = thread_at(make_thread(10));
	block_for_ever();
	receives(&s, s.reply);
	CHECK(running() == client);
	INVOKE(s.cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 5);
	calls(s.endpoint);
	CHECK(running() == s.thread && s.thread->priority == 20 && s.thread->sched == client->own);
	receives(&s, s.other);
	CHECK(client->state == THREAD_STATE_BLOCKED_REPLY && running() == low);
	CHECK(s.thread->sched == s.thread->own && s.thread->priority == 5);
	calls(s.endpoint);
	CHECK(running() == s.thread && s.thread->sched == low->own && s.thread->priority == 10);
}

/* low calls s1, which calls s2: all run on low's context, and a change of its priority reaches s2. */
static void test_chain(void)
{
	struct server s1, s2;
	cptr_t cap;
	struct thread *client;

	begin();
	s1 = new_server(31);
	s2 = new_server(30);
	cap = make_thread(20);
	client = thread_at(cap);
	block_for_ever();
	receives(&s1, s1.reply);
	receives(&s2, s2.reply);
	CHECK(running() == client);
	INVOKE(s1.cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 6);
	INVOKE(s2.cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 5);
	make_passive(&s1);
	calls(s1.endpoint);
	CHECK(running() == s1.thread);
	calls(s2.endpoint);
	CHECK(running() == s2.thread && s2.thread->sched == client->own && s2.thread->priority == 20);
	INVOKE(cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 25);
	CHECK(s1.thread->priority == 25 && s2.thread->priority == 25 && running() == s2.thread);
	INVOKE(cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 3);
	CHECK(s1.thread->priority == 6 && s2.thread->priority == 6 && running() == s2.thread);
	/* The client goes: nobody lends anything to s1 any more. */
	INVOKE(cap, THREAD_SUSPEND);
	CHECK(!s1.thread->sched && s1.thread->priority == 6 && client->state == THREAD_STATE_STOPPED);
}

unsigned units_inherit(unsigned *passed)
{
	test_call_lends_context();
	test_passive_server();
	test_parking_gives_back();
	test_chain();
	*passed += checks_passed;
	return checks_failed;
}
