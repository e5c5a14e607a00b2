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
	sched_context_setup(a->sched, 2 * MS, 2 * MS);
	sched_context_setup(b->sched, 2 * MS, 2 * MS);
	enter(SYS_WAIT, &(struct call){.cap = notification, .deadline = DEADLINE_NEVER});
	CHECK(running() == a);
	pass(2 * MS + 100);
	CHECK(running() == b);
	pass(2 * MS + 100);
	CHECK(running() == a);
	/* A part of a slice, then a yield: the rest is for later. */
	pass(MS);
	enter(SYS_YIELD, &(struct call){0});
	CHECK(running() == b && a->sched->left < MS && a->sched->left);
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
	sched_context_setup(a->sched, 2 * MS, 10 * MS);
	enter(SYS_WAIT, &(struct call){.cap = notification, .deadline = DEADLINE_NEVER});
	CHECK(running() == a);
	began = fake_now;
	pass(2 * MS + 100);
	CHECK(running() == b && !a->sched->left && deadline_armed(&a->sched->refill));
	pass(7 * MS);
	CHECK(running() == b);
	pass(began + 10 * MS + 1000 - fake_now);
	CHECK(running() == a && a->sched->left == 2 * MS);
	CHECK(a->sched->consumed >= 2 * MS && a->sched->consumed < 2 * MS + 1000);
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

unsigned units_time(unsigned *passed)
{
	test_timer_for_deadline();
	test_slice();
	test_budget();
	test_preempted_keeps_its_turn();
	*passed += checks_passed;
	return checks_failed;
}
