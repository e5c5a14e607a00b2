/* SPDX-License-Identifier: MIT */
/* Budgets, deadlines and the timer, on a clock that the test moves. */
#include "../check.h"
#include "fake.h"
#include "units.h"
#include "world.h"

#define MS 1000000ul

static void test_timer_for_deadline(void)
{
	struct thread *init;
	cptr_t notification;
	deadline_t deadline;

	world_boot();
	init = running();
	notification = make(OBJECT_NOTIFICATION, 0);
	make_thread(10);
	deadline = fake_now + 3 * MS;
	enter(SYS_WAIT, &(struct call){.cap = notification, .deadline = deadline});
	CHECK(running() && running() != init && fake_timer <= deadline);
	pass(2 * MS);
	CHECK(init->state == THREAD_STATE_BLOCKED_WAIT);
	/* The timer may fire early, and is set again. */
	CHECK(fake_timer <= deadline);
	pass(MS + 1);
	CHECK(running() == init && status_of(init) == ERR_TIMEOUT);
}

static void test_slice(void)
{
	struct thread *a, *b;
	cptr_t notification;

	world_boot();
	notification = make(OBJECT_NOTIFICATION, 0);
	a = thread_at(make_thread(10));
	b = thread_at(make_thread(10));
	budget_set(a->sched, 2 * MS, 2 * MS);
	budget_set(b->sched, 2 * MS, 2 * MS);
	enter(SYS_WAIT, &(struct call){.cap = notification, .deadline = DEADLINE_NEVER});
	CHECK(running() == a);
	pass(2 * MS + 100);
	CHECK(running() == b);
	pass(2 * MS + 100);
	CHECK(running() == a);
	/* A part of a slice, then a yield: the rest is for later. */
	pass(MS);
	enter(SYS_YIELD, &(struct call){0});
	CHECK(running() == b && a->sched->left < (int64_t)MS && a->sched->left > 0);
}

static void test_budget(void)
{
	struct thread *a, *b;
	cptr_t notification;
	uint64_t began;

	world_boot();
	notification = make(OBJECT_NOTIFICATION, 0);
	a = thread_at(make_thread(20));
	b = thread_at(make_thread(10));
	budget_set(a->sched, 2 * MS, 10 * MS);
	enter(SYS_WAIT, &(struct call){.cap = notification, .deadline = DEADLINE_NEVER});
	CHECK(running() == a);
	began = fake_now;
	pass(2 * MS + 100);
	CHECK(running() == b && a->sched->left <= 0 && deadline_armed(&a->sched->refill));
	pass(7 * MS);
	CHECK(running() == b);
	/* It comes back a period after it was used, at a fifth of a period. */
	pass(began + 12 * MS + 1000 - fake_now);
	CHECK(running() == a && a->sched->left > (int64_t)(2 * MS - 10));
	CHECK(a->sched->consumed >= 2 * MS && a->sched->consumed < 2 * MS + 1000);
}

/* The clock goes on by a little with each look. */
static bool is_about(int64_t value, int64_t expected)
{
	return value <= expected && value > expected - 1000;
}

/* Of 2 ms in 10, and beside it one of lower priority. */
static struct thread *run_on_budget(void)
{
	struct thread *thread;

	world_boot();
	thread = thread_at(make_thread(20));
	make_thread(10);
	budget_set(thread->sched, 2 * MS, 10 * MS);
	enter(SYS_WAIT, &(struct call){.cap = make(OBJECT_NOTIFICATION, 0), .deadline = DEADLINE_NEVER});
	return thread;
}

/* However often it is configured, or made anew, there is no more than the share of it. */
static void test_budget_renewed(void)
{
	struct thread *a = run_on_budget();
	struct sched_context *context = a->sched;

	pass(MS);
	sched_context_setup(context, 2 * MS, 10 * MS);
	CHECK(is_about(context->left, MS) && context->coming == 1);
	CHECK(sched_context_next_refill(context) >= fake_now + 9 * MS);
	/* It does not grow with the budget, and a debt is paid at the new pace. */
	sched_context_setup(context, 50 * MS, 250 * MS);
	CHECK(is_about(context->left, MS) && sched_context_next_refill(context) >= fake_now + 201 * MS);
	pass(4 * MS);
	CHECK(is_about(context->left, -3 * (int64_t)MS) && running() != a);
	sched_context_setup(context, MS, 10 * MS);
	CHECK(is_about(context->left, -3 * (int64_t)MS));
	CHECK(sched_context_next_refill(context) >= fake_now + 37 * MS);
	/* One that was never configured, or was a plain slice, begins empty. */
	sched_context_setup(context, 5 * MS, 5 * MS);
	CHECK(context->left == (int64_t)(5 * MS) && !context->coming);
	sched_context_setup(context, 2 * MS, 10 * MS);
	CHECK(context->left == 0 && deadline_armed(&context->refill));
	CHECK(sched_context_next_refill(context) >= fake_now + 8 * MS);
	CHECK(sched_context_next_refill(context) <= fake_now + 10 * MS);
}

/* The timer comes late, maybe by periods: so many budgets at once take so many periods to come back. */
static void test_overrun(uint64_t used)
{
	struct thread *a = run_on_budget();
	struct sched_context *context = a->sched;
	uint64_t began;

	CHECK(running() == a);
	began = fake_now;
	pass(used);
	CHECK(running() != a && is_about(context->left, 2 * (int64_t)MS - (int64_t)used));
	while (running() != a)
		pass(fake_timer - fake_now);
	CHECK(fake_now >= began + 5 * used && fake_now <= began + 5 * used + 2 * MS && context->left > 0);
}

/* Whatever the pattern of use: no window of one period sees more than the budget, and nothing is lost. */
static void test_budget_in_any_window(void)
{
	enum { STEP = 1000, STEPS = 200000, PERIOD = 5000 };
	static uint64_t used[STEPS];
	struct thread *a, *b;
	cptr_t notification;
	uint64_t random = 1, most = 0, all;

	world_boot();
	notification = make(OBJECT_NOTIFICATION, 0);
	a = thread_at(make_thread(20));
	b = thread_at(make_thread(10));
	budget_set(a->sched, MS, (uint64_t)PERIOD * STEP);
	enter(SYS_WAIT, &(struct call){.cap = notification, .deadline = DEADLINE_NEVER});
	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t until = fake_now + STEP;

		used[i] = sched_context_consumed(a->own);
		CHECK(running() == a || running() == b);
		random = random * 6364136223846793005ul + 1442695040888963407ul;
		/* In the first half it waits often, for moments; then it takes what it gets. */
		if (running() == a && i < STEPS / 2 && random >> 60 < 6)
			enter(SYS_WAIT, &(struct call){.cap = notification,
			                               .deadline = fake_now + (random >> 45) % 40000});
		if (fake_now < until)
			pass(until - fake_now);
	}
	for (unsigned i = PERIOD; i < STEPS; i++) {
		if (used[i] - used[i - PERIOD] > most)
			most = used[i] - used[i - PERIOD];
	}
	all = used[STEPS - 1] - used[STEPS / 2];
	/* An interrupt comes a step late at most, and that is taken off later. */
	CHECK(most <= MS + STEP);
	CHECK(all >= (STEPS / 2 / PERIOD - 2) * MS * 5 / 6);
}

/* What CpuTimes promise adds up, through all that were derived from them. */
static void test_promises(void)
{
	cptr_t first, half, part, contexts[3];

	world_boot();
	for (unsigned i = 0; i < 3; i++)
		contexts[i] = make(OBJECT_SCHED_CONTEXT, 0);
	half = new_slot();
	part = new_slot();
	first = INIT_SLOT_CPU_TIME;
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DERIVE, half, 0, first, RIGHT_ALL, 500, 255) == ERR_NONE);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DERIVE, part, 0, half, RIGHT_ALL, 400, 255) == ERR_NONE);
	CHECK(INVOKE(part, CPU_TIME_CONFIGURE, contexts[0], 3 * MS, 10 * MS) == ERR_NONE);
	CHECK(INVOKE(part, CPU_TIME_CONFIGURE, contexts[1], 2 * MS, 10 * MS) == ERR_LIMIT);
	CHECK(INVOKE(half, CPU_TIME_CONFIGURE, contexts[1], 2 * MS, 10 * MS) == ERR_NONE);
	CHECK(INVOKE(part, CPU_TIME_CONFIGURE, contexts[2], 1 * MS, 10 * MS) == ERR_LIMIT);
	CHECK(INVOKE(first, CPU_TIME_CONFIGURE, contexts[2], 6 * MS, 10 * MS) == ERR_LIMIT);
	CHECK(INVOKE(first, CPU_TIME_CONFIGURE, contexts[2], 5 * MS, 10 * MS) == ERR_NONE);
	/* Less, then as much as before; plain slices promise nothing. */
	CHECK(INVOKE(part, CPU_TIME_CONFIGURE, contexts[0], 4 * MS, 10 * MS) == ERR_LIMIT);
	CHECK(INVOKE(part, CPU_TIME_CONFIGURE, contexts[0], 2 * MS, 10 * MS) == ERR_NONE);
	CHECK(INVOKE(half, CPU_TIME_CONFIGURE, contexts[1], 10 * MS, 10 * MS) == ERR_NONE);
	CHECK(INVOKE(part, CPU_TIME_CONFIGURE, contexts[0], 4 * MS, 10 * MS) == ERR_NONE);
	CHECK(init_slot_at(first)->time.promised == 900 && init_slot_at(half)->time.promised == 400);
	/* Deleted, its children go to its parent; revoked, contexts are configured no more. */
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, part) == ERR_NONE);
	CHECK(init_slot_at(half)->time.promised == 400);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_REVOKE, half) == ERR_NONE);
	CHECK(init_slot_at(first)->time.promised == 500 && init_slot_at(half)->time.promised == 0);
	for (unsigned i = 0; i < 3; i++) {
		INVOKE(contexts[i], SCHED_CONTEXT_INFO);
		CHECK(last.words[1] == (i == 2 ? 5 * MS : 0));
	}
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, contexts[2]) == ERR_NONE);
	CHECK(init_slot_at(first)->time.promised == 0);
}

/* A thread that waits in recv is bound to a Notification that has bits already. */
static void test_bound_with_bits(void)
{
	struct thread *a;
	cptr_t notification, badged, endpoint, a_cap;

	world_boot();
	notification = make(OBJECT_NOTIFICATION, 0);
	endpoint = make(OBJECT_ENDPOINT, 0);
	badged = new_slot();
	a_cap = make_thread(255);
	a = thread_at(a_cap);
	INVOKE(INIT_SLOT_CNODE, CNODE_DERIVE, badged, 0, notification, RIGHT_ALL, 4);
	run(a);
	enter(SYS_RECV, &(struct call){.cap = endpoint, .deadline = DEADLINE_NEVER});
	enter(SYS_SIGNAL, &(struct call){.cap = badged});
	CHECK(a->state == THREAD_STATE_BLOCKED_RECV);
	CHECK(INVOKE(a_cap, THREAD_BIND, BIND_NOTIFICATION, notification) == ERR_NONE);
	CHECK(a->state == THREAD_STATE_READY && status_of(a) == RECV_NOTIFICATION && badge_of(a) == 4);
}

static void test_preempted_keeps_its_turn(void)
{
	struct thread *init, *a, *b;
	cptr_t notification;

	world_boot();
	init = running();
	notification = make(OBJECT_NOTIFICATION, 0);
	a = thread_at(make_thread(10));
	b = thread_at(make_thread(10));
	enter(SYS_WAIT, &(struct call){.cap = notification, .deadline = fake_now + MS});
	CHECK(running() == a);
	pass(2 * MS);
	CHECK(running() == init);
	enter(SYS_WAIT, &(struct call){.cap = notification, .deadline = DEADLINE_NEVER});
	CHECK(running() == a && b->queued);
}

/* A server that is found waiting keeps its deadline armed, and waits for a later one next time. */
static void test_deadline_stays_armed(void)
{
	struct thread *client, *server;
	cptr_t endpoint, reply;
	deadline_t first;

	world_boot();
	client = running();
	endpoint = make(OBJECT_ENDPOINT, 0);
	reply = make(OBJECT_REPLY, 0);
	server = thread_at(make_thread(PRIORITY_MAX));
	first = fake_now + 10 * MS;
	run(server);
	enter(SYS_RECV, &(struct call){.cap = endpoint, .reply = reply, .deadline = first});
	CHECK(running() == client);
	enter(SYS_CALL, &(struct call){.cap = endpoint, .deadline = DEADLINE_NEVER});
	CHECK(running() == server && deadline_armed(&server->deadline));
	enter(SYS_REPLY_RECV, &(struct call){.cap = endpoint,
	                                     .reply = (uint64_t)reply << 32 | reply,
	                                     .deadline = first + 10 * MS});
	CHECK(running() == client && server->deadline.node.key == first);
	pass(11 * MS);
	CHECK(running() == client && server->state == THREAD_STATE_BLOCKED_RECV);
	CHECK(server->deadline.node.key == first + 10 * MS);
	/* It runs when the time comes: that is no timeout. */
	enter(SYS_CALL, &(struct call){.cap = endpoint, .deadline = DEADLINE_NEVER});
	CHECK(running() == server);
	pass(11 * MS);
	CHECK(running() == server && status_of(server) == ERR_NONE && !deadline_armed(&server->deadline));
	/* Over already: the answer goes out, and the wait ends at once. */
	enter(SYS_REPLY_RECV, &(struct call){.cap = endpoint,
	                                     .reply = (uint64_t)reply << 32 | reply,
	                                     .deadline = first + 10 * MS});
	CHECK(status_of(server) == ERR_TIMEOUT && status_of(client) == ERR_NONE);
	/* An earlier one is armed, and a thread that stops has none. */
	enter(SYS_RECV, &(struct call){.cap = endpoint, .reply = reply, .deadline = fake_now + 20 * MS});
	enter(SYS_CALL, &(struct call){.cap = endpoint, .deadline = DEADLINE_NEVER});
	first = fake_now + MS;
	enter(SYS_REPLY_RECV,
	      &(struct call){.cap = endpoint, .reply = (uint64_t)reply << 32 | reply, .deadline = first});
	CHECK(running() == client && server->deadline.node.key == first);
	enter(SYS_CALL, &(struct call){.cap = endpoint, .deadline = DEADLINE_NEVER});
	CHECK(running() == server && deadline_armed(&server->deadline));
	thread_suspend(server);
	CHECK(!deadline_armed(&server->deadline));
}

/* Many waits end at the same time: they are ended a few at a time, and between them others run. */
static void test_many_deadlines(void)
{
	cptr_t notification;
	deadline_t deadline;
	struct thread *init, *waiters[100];
	unsigned most = 0, turns = 0, left = 100;

	world_boot();
	init = running();
	notification = make(OBJECT_NOTIFICATION, 0);
	for (unsigned i = 0; i < 100; i++)
		waiters[i] = thread_at(make_thread(PRIORITY_MAX));
	deadline = fake_now + MS;
	for (unsigned i = 0; i < 100; i++) {
		run(waiters[i]);
		enter(SYS_WAIT, &(struct call){.cap = notification, .deadline = deadline});
	}
	CHECK(running() == init && fake_now < deadline);
	pass(2 * MS);
	while (left) {
		unsigned waiting = 0;

		for (unsigned i = 0; i < 100; i++)
			waiting += waiters[i]->state == THREAD_STATE_BLOCKED_WAIT;
		most = left - waiting > most ? left - waiting : most;
		left = waiting;
		CHECK(fake_timer > fake_now);
		pass(fake_timer - fake_now);
		turns++;
	}
	CHECK(most <= 16 && turns < 20);
}

unsigned units_time(unsigned *passed)
{
	test_timer_for_deadline();
	test_slice();
	test_budget();
	test_budget_renewed();
	test_overrun(8 * MS);
	test_overrun(12 * MS);
	test_overrun(45 * MS);
	test_budget_in_any_window();
	test_promises();
	test_bound_with_bits();
	test_preempted_keeps_its_turn();
	test_deadline_stays_armed();
	test_many_deadlines();
	*passed += checks_passed;
	return checks_failed;
}
