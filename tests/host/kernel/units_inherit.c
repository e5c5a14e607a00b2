/* SPDX-License-Identifier: MIT */
/* What callers lend to servers: context and priority, along chains, for as long as the job is the current
 * one. */
#include <string.h>

#include <kernel/endpoint.h>

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
	/* The client goes: nobody lends anything to s1 any more, so s2 pays for itself. */
	INVOKE(cap, THREAD_SUSPEND);
	CHECK(!s1.thread->sched && s1.thread->priority == 6 && client->state == THREAD_STATE_STOPPED);
	CHECK(running() == s2.thread && s2.thread->sched == s2.thread->own);
}

/*
 * A server of priority 5 that works for `client`; after it, `others` threads of priorities 30, 31 ... are
 * ready to run and nothing else.
 */
struct scene {
	struct server s;
	cptr_t client_cap, other_caps[4];
	struct thread *client, *others[4];
};

static struct scene serve(unsigned others)
{
	struct scene x;

	begin();
	x.s = new_server(90);
	x.client_cap = make_thread(80);
	x.client = thread_at(x.client_cap);
	for (unsigned i = 0; i < others; i++) {
		x.other_caps[i] = make_thread(1);
		x.others[i] = thread_at(x.other_caps[i]);
	}
	block_for_ever();
	receives(&x.s, x.s.reply);
	CHECK(running() == x.client);
	INVOKE(x.s.cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 5);
	INVOKE(x.client_cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 20);
	calls(x.s.endpoint);
	CHECK(running() == x.s.thread);
	for (unsigned i = others; i-- > 0;)
		INVOKE(x.other_caps[i], THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 30 + i);
	return x;
}

static void sends_until(cptr_t endpoint, deadline_t deadline)
{
	enter(SYS_CALL, &(struct call){.cap = endpoint, .deadline = deadline});
}

/* Who is queued lends its priority to the owner, until it leaves the queue: received, timed out, suspended,
 * gone. */
static void test_queued_caller_lends_priority(void)
{
	struct scene x = serve(3);

	CHECK(running() == x.others[2] && x.s.thread->priority == 20);
	sends_until(x.s.endpoint, fake_now + MS);
	CHECK(running() == x.s.thread && x.s.thread->priority == 32);
	CHECK(x.s.thread->sched == x.client->own && x.s.thread->depth == 1);
	pass(2 * MS);
	CHECK(running() == x.others[2] && status_of(x.others[2]) == ERR_TIMEOUT);
	CHECK(x.s.thread->priority == 20);
	calls(x.s.endpoint);
	CHECK(running() == x.s.thread);
	INVOKE(x.other_caps[2], THREAD_SUSPEND);
	CHECK(running() == x.others[1] && x.s.thread->priority == 20);
	calls(x.s.endpoint);
	CHECK(running() == x.s.thread && x.s.thread->priority == 31);
	INVOKE(x.other_caps[1], THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 40);
	CHECK(running() == x.s.thread && x.s.thread->priority == 40);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, x.other_caps[1]) == ERR_NONE);
	CHECK(running() == x.others[0] && x.s.thread->priority == 20);
	calls(x.s.endpoint);
	CHECK(running() == x.s.thread && x.s.thread->priority == 30);
	/* It answers; whom it receives next lends the same, and now the context too. */
	answers_and_receives(&x.s);
	CHECK(running() == x.s.thread && x.s.thread->priority == 30);
	CHECK(x.s.thread->sched == x.others[0]->own && x.client->state == THREAD_STATE_READY);
	answers_and_receives(&x.s);
	CHECK(running() == x.others[0] && x.s.thread->priority == 5 && !x.s.thread->depth);
}

/* Through a server that itself waits: for its reply, then in a queue. */
static void test_chain_of_queues(void)
{
	struct scene x = serve(2);
	struct server t;

	t = new_server(90);
	interrupt();
	CHECK(running() == t.thread);
	receives(&t, t.reply);
	INVOKE(t.cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 4);
	CHECK(running() == x.others[1]);
	enter(SYS_WAIT, &(struct call){.cap = rest, .deadline = fake_now + MS});
	CHECK(running() == x.others[0]);
	calls(t.endpoint);
	CHECK(running() == t.thread && t.thread->priority == 30);
	/* s is to be queued at t: it may run while t waits. */
	enter(SYS_WAIT, &(struct call){.cap = rest, .deadline = fake_now + MS / 2});
	CHECK(running() == x.s.thread);
	calls(t.endpoint);
	/* Nobody was ready: the clock went on to t's deadline. */
	CHECK(running() == t.thread && t.thread->priority == 30 && t.thread->depth == 2);
	pass(MS);
	CHECK(running() == x.others[1]);
	/* The last one waits in s's queue: s in t's queue, t in others[0]'s job. */
	calls(x.s.endpoint);
	CHECK(running() == t.thread && t.thread->priority == 31 && x.s.thread->priority == 31);
	INVOKE(x.other_caps[1], THREAD_SUSPEND);
	CHECK(t.thread->priority == 30 && x.s.thread->priority == 20);
}

/* Budgets: the caller's, then those of queued threads by priority, then the server's own. */
static void test_helping(void)
{
	struct scene x = serve(2);

	CHECK(running() == x.others[1]);
	budget_set(x.client->own, MS, 100 * MS);
	budget_set(x.others[0]->own, MS, 100 * MS);
	budget_set(x.others[1]->own, 2 * MS, 100 * MS);
	budget_set(x.s.thread->own, MS, 200 * MS);
	interrupt();
	calls(x.s.endpoint);
	CHECK(running() == x.s.thread && x.s.thread->priority == 31 && x.s.thread->sched == x.client->own);
	pass(MS + 1000);
	CHECK(running() == x.s.thread && x.s.thread->sched == x.others[1]->own);
	pass(2 * MS + 1000);
	CHECK(running() == x.s.thread && x.s.thread->sched == x.s.thread->own);
	/* A helper that comes later comes before the server's own. */
	INVOKE(x.other_caps[0], THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 35);
	interrupt();
	CHECK(running() == x.others[0]);
	calls(x.s.endpoint);
	CHECK(running() == x.s.thread && x.s.thread->sched == x.others[0]->own);
	pass(MS + 1000);
	CHECK(running() == x.s.thread && x.s.thread->sched == x.s.thread->own);
	pass(MS + 1000);
	/* Nobody has any left: the first of them that is refilled finds the server. */
	CHECK(fake_now >= 100 * MS && fake_now < 121 * MS);
	CHECK(running() == x.s.thread && x.s.thread->sched == x.client->own);
	answers_and_receives(&x.s);
	CHECK(x.s.thread->active);
}

/* A chain of servers that call each other as long as that is allowed. */
static void test_chain_limit(void)
{
	struct server servers[CHAIN_MAX + 2];
	struct thread *client;
	unsigned i;

	begin();
	for (i = 0; i < CHAIN_MAX + 2; i++)
		servers[i] = new_server(100);
	client = thread_at(make_thread(50));
	block_for_ever();
	for (i = 0; i < CHAIN_MAX + 2; i++)
		receives(&servers[i], servers[i].reply);
	CHECK(running() == client);
	for (i = 0; i < CHAIN_MAX; i++) {
		calls(servers[i].endpoint);
		CHECK(running() == servers[i].thread && servers[i].thread->depth == i + 1);
		CHECK(servers[i].thread->sched == client->own);
	}
	calls(servers[i].endpoint);
	CHECK(running() == servers[i - 1].thread && status_of(running()) == ERR_LIMIT);
	/* Nor in a queue, where nobody waits to receive it. */
	INVOKE(servers[i].cap, THREAD_SUSPEND);
	calls(servers[i].endpoint);
	CHECK(running() == servers[i - 1].thread && status_of(running()) == ERR_LIMIT);
	/* Nor at its own endpoint, though there it would wait for nobody. */
	calls(servers[i - 1].endpoint);
	CHECK(running() == servers[i - 1].thread && status_of(running()) == ERR_LIMIT);
	CHECK(running()->owns);
	/* A send that is received at once waits for nobody. */
	enter(SYS_SEND, &(struct call){.cap = servers[i + 1].endpoint, .deadline = DEADLINE_NEVER});
	CHECK(servers[i - 1].thread->state == THREAD_STATE_READY || running() == servers[i - 1].thread);
}

/* A chain that grows at its end by a queued client. */
static void test_chain_limit_behind(void)
{
	struct server servers[CHAIN_MAX];
	struct thread *client, *late;
	cptr_t late_cap;
	unsigned i;

	begin();
	for (i = 0; i < CHAIN_MAX; i++)
		servers[i] = new_server(100);
	client = thread_at(make_thread(50));
	late_cap = make_thread(60);
	late = thread_at(late_cap);
	block_for_ever();
	for (i = 0; i < CHAIN_MAX; i++)
		receives(&servers[i], servers[i].reply);
	CHECK(running() == late);
	enter(SYS_WAIT, &(struct call){.cap = rest, .deadline = fake_now + MS});
	CHECK(running() == client);
	for (i = 0; i < CHAIN_MAX; i++)
		calls(servers[i].endpoint);
	CHECK(running() == servers[CHAIN_MAX - 1].thread);
	pass(2 * MS);
	INVOKE(late_cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 120);
	CHECK(running() == late);
	calls(servers[1].endpoint);
	CHECK(late->state == THREAD_STATE_BLOCKED_SEND && servers[1].thread->priority == 120);
	CHECK(running() == servers[CHAIN_MAX - 1].thread && running()->priority == 120);
	CHECK(running()->depth == CHAIN_MAX);
}

/* Two servers that call each other: neither owns an endpoint for the other's sake any more, and a timeout
 * ends it. */
static void test_cycle(void)
{
	struct server a, b;
	struct thread *hog;

	begin();
	a = new_server(101);
	b = new_server(100);
	hog = thread_at(make_thread(10));
	block_for_ever();
	enter(SYS_RECV, &(struct call){.cap = a.endpoint, .reply = a.reply, .deadline = DEADLINE_POLL});
	CHECK(running() == a.thread && a.thread->owns);
	sends_until(b.endpoint, fake_now + MS);
	CHECK(running() == b.thread && b.thread->depth == 0);
	enter(SYS_RECV, &(struct call){.cap = b.endpoint, .reply = b.reply, .deadline = DEADLINE_POLL});
	CHECK(running() == b.thread && b.thread->active && b.thread->priority == 101);
	sends_until(a.endpoint, fake_now + 2 * MS);
	CHECK(running() == hog && a.thread->state == THREAD_STATE_BLOCKED_REPLY);
	CHECK(!a.thread->owns && a.thread->depth == 0 && b.thread->depth == 1);
	pass(3 * MS);
	CHECK(running() == b.thread && status_of(b.thread) == ERR_TIMEOUT);
	answers_and_receives(&b);
	CHECK(running() == a.thread && b.thread->priority == 100);
}

/* Owner or endpoint die: who is queued stays queued, or is told; nothing is inherited from it any more. */
static void test_owner_dies(void)
{
	struct scene x = serve(2);
	struct endpoint *endpoint = slot_object(init_slot_at(x.s.endpoint));
	struct server heir;

	CHECK(running() == x.others[1]);
	calls(x.s.endpoint);
	CHECK(running() == x.s.thread && endpoint->owner == x.s.thread);
	heir = new_server(33);
	interrupt();
	CHECK(running() == heir.thread);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, x.s.cap) == ERR_NONE);
	CHECK(!endpoint->owner && status_of(x.client) == ERR_PEER_DIED);
	CHECK(x.others[1]->state == THREAD_STATE_BLOCKED_SEND);
	INVOKE(heir.cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 7);
	CHECK(running() == x.others[0]);
	INVOKE(x.other_caps[0], THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 6);
	INVOKE(x.client_cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 3);
	CHECK(running() == heir.thread);
	enter(SYS_RECV, &(struct call){.cap = x.s.endpoint, .deadline = DEADLINE_POLL});
	/* Without a Reply the call is refused. */
	CHECK(status_of(x.others[1]) == ERR_STATE && running() == x.others[1]);
	calls(x.s.endpoint);
	CHECK(running() == heir.thread && heir.thread->priority == 31 && endpoint->owner == heir.thread);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, x.s.endpoint) == ERR_NONE);
	CHECK(running() == x.others[1] && status_of(running()) == ERR_CLOSED);
	CHECK(!heir.thread->owns && heir.thread->priority == 7);
}

/* Whoever gets another priority while it waits gets the place of it. */
static void test_waiter_changes_priority(void)
{
	struct thread *init, *first, *second;
	cptr_t bell, first_cap, second_cap;

	begin();
	init = running();
	bell = make(OBJECT_NOTIFICATION, 0);
	first_cap = make_thread(PRIORITY_MAX);
	first = thread_at(first_cap);
	second_cap = make_thread(PRIORITY_MAX);
	second = thread_at(second_cap);
	run(first);
	enter(SYS_WAIT, &(struct call){.cap = bell, .deadline = DEADLINE_NEVER});
	run(second);
	enter(SYS_WAIT, &(struct call){.cap = bell, .deadline = DEADLINE_NEVER});
	CHECK(running() == init);
	CHECK(queue_first(first->waits_on) == first && second->waits_on == first->waits_on);
	INVOKE(first_cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 20);
	CHECK(queue_first(first->waits_on) == second);
	INVOKE(second_cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 15);
	CHECK(queue_first(first->waits_on) == first);
	INVOKE(second_cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 30);
	CHECK(queue_first(first->waits_on) == second);
}

/* The Reply that was to hold a caller is free again when bits come instead. */
static void test_bound_bits_free_the_reply(void)
{
	const struct reply *reply;
	struct thread *init;
	struct server s;
	cptr_t bell, badged;

	begin();
	init = running();
	s = new_server(PRIORITY_MAX);
	reply = slot_object(init_slot_at(s.reply));
	bell = make(OBJECT_NOTIFICATION, 0);
	CHECK(INVOKE(s.cap, THREAD_BIND, BIND_NOTIFICATION, bell) == ERR_NONE);
	badged = new_slot();
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DERIVE, badged, CPTR_NULL, bell, RIGHT_WRITE, 4) == ERR_NONE);
	run(s.thread);
	receives(&s, s.reply);
	CHECK(running() == init);
	CHECK(s.thread->state == THREAD_STATE_BLOCKED_RECV && reply->state == REPLY_EXPECTING);
	enter(SYS_SIGNAL, &(struct call){.cap = badged});
	CHECK(status_of(s.thread) == RECV_NOTIFICATION && *context_cap(&s.thread->context) == 4);
	CHECK(!s.thread->reply && reply->state == REPLY_IDLE);
}

static struct reply *reply_at(cptr_t cap)
{
	return slot_object(init_slot_at(cap));
}

static struct thread *make_program(unsigned priority, const struct server *server)
{
	cptr_t cap = make_thread(priority);

	CHECK(INVOKE(cap, THREAD_SUSPEND) == ERR_NONE);
	CHECK(INVOKE(cap, THREAD_BIND, BIND_SYSCALL, server->endpoint) == ERR_NONE);
	CHECK(INVOKE(cap, THREAD_SET_FOREIGN, 1) == ERR_NONE && INVOKE(cap, THREAD_RESUME) == ERR_NONE);
	return thread_at(cap);
}

/* Programs that live on calls have turns like others, and whole ones. */
static void test_slice_ends_in_a_foreign_call(void)
{
	struct thread *program, *other;
	struct server s;

	begin();
	s = new_server(40);
	other = thread_at(make_thread(10));
	program = make_program(10, &s);
	budget_set(program->sched, 2 * MS, 2 * MS);
	budget_set(other->sched, 2 * MS, 2 * MS);
	block_for_ever();
	receives(&s, s.reply);
	run(program);
	enter(77, &(struct call){0});
	pass(2 * MS + 100);
	CHECK(running() == s.thread);
	answers_and_receives(&s);
	CHECK(running() == other);
	pass(2 * MS + 100);
	CHECK(running() == program && !program->late);
	enter(77, &(struct call){0});
	pass(MS);
	answers_and_receives(&s);
	CHECK(running() == program);
	/* Nor later because it had to wait for its answer then. */
	enter(77, &(struct call){0});
	pass(2 * MS);
	receives(&s, s.other);
	CHECK(running() == other && program->late);
	pass(2 * MS + 100);
	CHECK(running() == other);
}

/* A foreign thread's calls: parked while the server takes another one, answered by themselves, and answered
 * with registers. */
static void test_foreign_calls(void)
{
	struct thread *program, *other;
	struct thread_registers registers = {.rip = 0x5000, .rbx = 3, .r15 = 15};
	struct server s;

	begin();
	s = new_server(40);
	other = thread_at(make_thread(10));
	program = make_program(10, &s);
	block_for_ever();
	CHECK(running() == s.thread);
	receives(&s, s.reply);
	run(other);
	enter(SYS_YIELD, &(struct call){0});
	CHECK(running() == program);
	enter(77, &(struct call){0});
	CHECK(running() == s.thread && s.thread->sched == program->own);
	/* It waits for another call: this one is parked. */
	receives(&s, s.other);
	CHECK(reply_at(s.reply)->state == REPLY_PARKED && !reply_at(s.reply)->holder);
	CHECK(running() == other && s.thread->sched == s.thread->own && s.thread->priority == 40);
	calls(s.endpoint);
	CHECK(running() == s.thread);
	/* The parked one is answered first, by itself; who answers goes on. */
	enter(SYS_REPLY, &(struct call){.reply = s.reply, .info = MESSAGE_INFO(0, 1), .words = {42}});
	CHECK(running() == s.thread && status_of(s.thread) == ERR_NONE);
	CHECK(program->state == THREAD_STATE_READY && program->context.rax == 42 && !program->reply);
	CHECK(reply_at(s.reply)->state == REPLY_IDLE && !reply_at(s.reply)->caller);
	enter(SYS_REPLY_RECV,
	      &(struct call){.cap = s.endpoint, .reply = REPLY_PAIR(s.other, 0), .deadline = DEADLINE_NEVER});
	CHECK(running() == other);
	enter(SYS_YIELD, &(struct call){0});
	CHECK(running() == program);
	enter(78, &(struct call){0});
	CHECK(running() == s.thread);
	/* Registers that no thread can have are refused, and it still has its job. */
	registers.rip = USER_END;
	memcpy(&thread_buffer(s.thread)->words[MESSAGE_REGISTER_WORDS], &registers, sizeof(registers));
	enter(SYS_REPLY_RECV, &(struct call){.cap = s.endpoint,
	                                     .info = MESSAGE_INFO(REPLY_REGISTERS, REPLY_REGISTERS_WORDS),
	                                     .reply = REPLY_PAIR(s.other, 0),
	                                     .deadline = DEADLINE_NEVER});
	CHECK(running() == s.thread && status_of(s.thread) == ERR_RANGE);
	CHECK(reply_at(s.other)->state == REPLY_ACTIVE && program->context.r15 != 15);
	registers.rip = 0x5000;
	memcpy(&thread_buffer(s.thread)->words[MESSAGE_REGISTER_WORDS], &registers, sizeof(registers));
	enter(SYS_REPLY_RECV, &(struct call){.cap = s.endpoint,
	                                     .info = MESSAGE_INFO(REPLY_REGISTERS, REPLY_REGISTERS_WORDS),
	                                     .reply = REPLY_PAIR(s.other, 0),
	                                     .deadline = DEADLINE_NEVER});
	CHECK(running() == program && s.thread->state == THREAD_STATE_BLOCKED_RECV);
	CHECK(program->context.rip == 0x5000 && program->context.rbx == 3 && program->context.r15 == 15);
}

unsigned units_inherit(unsigned *passed)
{
	test_call_lends_context();
	test_passive_server();
	test_parking_gives_back();
	test_chain();
	test_queued_caller_lends_priority();
	test_chain_of_queues();
	test_helping();
	test_chain_limit();
	test_chain_limit_behind();
	test_cycle();
	test_owner_dies();
	test_waiter_changes_priority();
	test_bound_bits_free_the_reply();
	test_foreign_calls();
	test_slice_ends_in_a_foreign_call();
	*passed += checks_passed;
	return checks_failed;
}
