/* SPDX-License-Identifier: MIT */
/* Threads and their mail between two CPUs, one entry into the kernel at a time. */
#include <string.h>

#include <kernel/endpoint.h>
#include <kernel/lock.h>

#include "../check.h"
#include "fake.h"
#include "units.h"
#include "world.h"

static struct thread *init, *near, *far;
static cptr_t near_cap, far_cap, server, reply;

/* init, `near` and an endpoint are on CPU 0, `far` on CPU 1; all run. */
static void begin_with(unsigned cpus)
{
	world_cpus = cpus;
	world_waits = true;
	world_boot();
	init = running();
	server = make(OBJECT_ENDPOINT, 0);
	reply = make(OBJECT_REPLY, 0);
	near_cap = make_thread(PRIORITY_MAX);
	far_cap = make_thread_at(10, 1);
	near = thread_at(near_cap);
	far = thread_at(far_cap);
	settle();
	act(1);
	interrupt();
	CHECK(running() == far);
	act(0);
}

static void begin(void)
{
	begin_with(2);
}

static void end(void)
{
	world_waits = true;
	world_cpus = 1;
	act(0);
}

/* `far` visits CPU 0, where all come before it, and is let in. */
static void far_has_its_turn(void)
{
	act(0);
	run(init);
	CHECK(far->state == THREAD_STATE_READY && far->cpu == cpu_at(0));
	CHECK(INVOKE(far_cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME + 1, PRIORITY_MAX) == ERR_NONE);
	CHECK(far->state == THREAD_STATE_READY && running() == init);
	enter(SYS_YIELD, &(struct call){0});
	run(init);
	CHECK(far->state != THREAD_STATE_READY || far->cpu != cpu_at(0));
	settle();
	act(far->cpu->index);
	far->base_priority = 10;
	thread_inherit(far);
	act(0);
}

static void far_calls(void)
{
	act(1);
	enter(SYS_CALL,
	      &(struct call){
	              .cap = server, .info = MESSAGE_INFO(1, 1), .words = {7}, .deadline = DEADLINE_NEVER});
	CHECK(running() != far);
	settle();
	far_has_its_turn();
}

static void test_call(void)
{
	begin();
	far_calls();
	CHECK(far->cpu == cpu_at(0) && far->state == THREAD_STATE_BLOCKED_SEND);
	run(init);
	enter(SYS_RECV, &(struct call){.cap = server, .reply = reply, .deadline = DEADLINE_NEVER});
	CHECK(status_of(init) == ERR_NONE && word_of(init, 0) == 7 &&
	      far->state == THREAD_STATE_BLOCKED_REPLY);
	enter(SYS_REPLY, &(struct call){.info = MESSAGE_INFO(2, 1), .words = {8}, .reply = reply});
	settle();
	CHECK(far->cpu == cpu_at(1) && status_of(far) == ERR_NONE && word_of(far, 0) == 8);
	act(1);
	CHECK(running() == far);
	end();
}

/* Who asked for it was stopped on the way: it has not been suspended, and when resumed it stays so. */
static void test_resume_forgets_suspend(void)
{
	begin();
	CHECK(INVOKE(far_cap, THREAD_SUSPEND) == ERR_NONE && far->state == THREAD_STATE_STOPPED);
	run(near);
	world_waits = false;
	INVOKE(far_cap, THREAD_SUSPEND); /* by `near`, which now lies in CPU 1's mailbox */
	world_waits = true;
	CHECK(near->state == THREAD_STATE_TRAVELLING && running() == init);
	CHECK(INVOKE(near_cap, THREAD_SUSPEND) == ERR_NONE && near->state == THREAD_STATE_STOPPED);
	CHECK(INVOKE(far_cap, THREAD_RESUME) == ERR_NONE);
	far_calls();
	CHECK(far->state == THREAD_STATE_BLOCKED_SEND);
	end();
}

/* It is on its way when it is suspended: the call is made when it is resumed. */
static void test_suspend_traveller(void)
{
	begin();
	CHECK(INVOKE(near_cap, THREAD_SUSPEND) == ERR_NONE);
	act(1);
	enter(SYS_CALL, &(struct call){.cap = server, .deadline = DEADLINE_NEVER});
	act(0);
	CHECK(far->state == THREAD_STATE_TRAVELLING);
	CHECK(INVOKE(far_cap, THREAD_SUSPEND) == ERR_NONE);
	CHECK(far->state == THREAD_STATE_STOPPED && far->cpu == cpu_at(1) && restarts(far));
	CHECK(INVOKE(far_cap, THREAD_RESUME) == ERR_NONE);
	act(1);
	CHECK(running() == far);
	call_again();
	settle();
	far_has_its_turn();
	CHECK(far->state == THREAD_STATE_BLOCKED_SEND);
	end();
}

/* Where it has landed it is stopped at once, before its turn. */
static void test_suspend_visitor(void)
{
	begin();
	act(1);
	enter(SYS_CALL, &(struct call){.cap = server, .deadline = DEADLINE_NEVER});
	settle();
	act(0);
	CHECK(far->state == THREAD_STATE_READY && far->cpu == cpu_at(0) && far->queued);
	CHECK(INVOKE(far_cap, THREAD_READ_REGISTERS) == ERR_STATE);
	CHECK(INVOKE(far_cap, THREAD_SUSPEND) == ERR_NONE && !mail_waits());
	CHECK(far->state == THREAD_STATE_STOPPED && far->cpu == cpu_at(1) && restarts(far) && !far->queued);
	CHECK(INVOKE(far_cap, THREAD_RESUME) == ERR_NONE);
	act(1);
	CHECK(running() == far);
	call_again();
	settle();
	act(0);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, far_cap) == ERR_NONE);
	end();
}

/* It was told to stop by somebody who never came: when its turn comes it does not do what it came for. */
static void test_canceled_visitor(void)
{
	begin();
	act(1);
	enter(SYS_CALL, &(struct call){.cap = server, .deadline = DEADLINE_NEVER});
	settle();
	far->canceled = true;
	act(0);
	far_has_its_turn();
	CHECK(far->state == THREAD_STATE_STOPPED && far->cpu == cpu_at(1) && restarts(far) && !far->canceled);
	end();
}

/* Time that it uses elsewhere is its own context's, from when it is home again. */
static void test_visits_are_paid(void)
{
	uint64_t before;

	begin();
	act(1);
	INVOKE(INIT_SLOT_THREAD, THREAD_POKE); /* the clock counts what `far` has used at home */
	interrupt();
	before = far->own->consumed;
	far->visited = 1000000;
	far_calls();
	CHECK(far->visited > 1000000 && far->own->consumed < before + 1000000);
	CHECK(INVOKE(far_cap, THREAD_SUSPEND) == ERR_NONE && INVOKE(far_cap, THREAD_RESUME) == ERR_NONE);
	world_waits = false;
	act(1);
	enter(SYS_SEND, &(struct call){.cap = server, .deadline = DEADLINE_POLL});
	settle();
	far_has_its_turn();
	CHECK(!far->visited && far->own->consumed > before + 1000000);
	end();
}

/* Visits use up a budget on which the CPU still counts, and before it looks again something is due to come
 * back.
 */
static void test_visits_meet_refill(void)
{
	struct sched_context *context;

	begin();
	act(1);
	context = far->own;
	budget_set(context, 1000000, 10000000);
	interrupt();
	CHECK(running() == far);
	far->visited = 1000000;
	sched_charge_visits(far);
	CHECK(context->left <= 0 && deadline_armed(&context->refill) && !far->queued);
	fake_now = sched_context_next_refill(context) - 1;
	cpu_at(1)->since = fake_now;
	interrupt();
	CHECK(running() == far && context->left > 0 && !deadline_armed(&context->refill));
	end();
}

/* ---- priorities ---- */

static struct endpoint *there;
static struct thread *client;

/*
 * `near`, who serves `server`, waits at `there` for `far`, who has nothing better to do than to run. Both
 * have the priority 10 when a client of priority PRIORITY_MAX waits for `near`; CPU 1 does not know of it
 * yet.
 */
static void lend(void)
{
	cptr_t endpoint, client_cap;

	begin();
	endpoint = make_at(OBJECT_ENDPOINT, 1);
	there = slot_object(init_slot_at(endpoint));
	client_cap = make_thread(PRIORITY_MAX);
	client = thread_at(client_cap);
	act(1);
	enter(SYS_RECV, &(struct call){.cap = endpoint, .deadline = DEADLINE_POLL});
	act(0);
	run(near);
	enter(SYS_RECV, &(struct call){.cap = server, .reply = reply, .deadline = DEADLINE_POLL});
	enter(SYS_CALL, &(struct call){.cap = endpoint, .deadline = DEADLINE_NEVER});
	settle();
	CHECK(near->state == THREAD_STATE_BLOCKED_SEND && near->cpu == cpu_at(1) && there->owner == far);
	CHECK(far->priority == PRIORITY_MAX);
	act(1);
	near->base_priority = 10;
	thread_inherit(near);
	CHECK(far->priority == 10);
	act(0);
	run(client);
	enter(SYS_CALL, &(struct call){.cap = server, .deadline = DEADLINE_NEVER});
	CHECK(running() == init && near->lent == PRIORITY_MAX && near->boosted && mail_waits());
	CHECK(near->priority == 10 && far->priority == 10);
}

/* What a server that is away is lent reaches it and those that it waits for. */
static void test_lent_to_traveller(void)
{
	lend();
	settle();
	CHECK(near->priority == PRIORITY_MAX && far->priority == PRIORITY_MAX && !near->boosted);
	/* It is not taken back before it is home. */
	act(0);
	thread_cancel(client, ERR_CLOSED);
	CHECK(near->lent == PRIORITY_MAX && !mail_waits());
	act(1);
	thread_cancel(near, ERR_CLOSED);
	CHECK(far->priority == 10);
	settle();
	CHECK(near->priority == 10 && near->cpu == cpu_at(0));
	end();
}

/* It goes on while the news is on its way: that comes after it, and until then the thread is not destroyed.
 */
static void test_lent_to_one_who_goes_on(void)
{
	lend();
	act(1);
	thread_cancel(near, ERR_CLOSED);
	act(0);
	deliver();
	CHECK(near->cpu == cpu_at(0) && near->priority == PRIORITY_MAX && near->boosted);
	run(init);
	world_waits = false;
	INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, near_cap);
	deliver();
	CHECK(!slot_empty(init_slot_at(near_cap)) && near->state == THREAD_STATE_STOPPED);
	act(1);
	deliver();
	CHECK(near->boosted && fake_ipi[0]);
	act(0);
	for (unsigned i = 0; i < 3; i++) {
		deliver();
		if (running() == init && restarts(init))
			call_again();
	}
	CHECK(slot_empty(init_slot_at(near_cap)) && client->state == THREAD_STATE_BLOCKED_SEND);
	end();
}

/* How urgent a CPU's threads may be is said by its own CpuTime. */
static void test_priority_of_far_thread(void)
{
	begin();
	CHECK(INVOKE(far_cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 11) == ERR_REMOTE);
	CHECK(far->base_priority == 10);
	CHECK(INVOKE(far_cap, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME + 1, 11) == ERR_NONE);
	CHECK(far->base_priority == 11);
	end();
}

/* Two threads that travel after each other meet in the mailbox of a third CPU: neither waits for the other to
 * land. */
static void test_look_for_each_other(void)
{
	cptr_t third;

	begin_with(3);
	third = make_at(OBJECT_ENDPOINT, 2);
	world_waits = false;
	act(1);
	enter(SYS_SEND, &(struct call){.cap = third, .deadline = DEADLINE_POLL});
	act(0);
	run(near);
	INVOKE(far_cap, THREAD_INFO);
	CHECK(far->cpu == cpu_at(2) && near->cpu == cpu_at(2));
	act(2);
	fake_interrupt_every = 1; /* takes one piece of mail */
	deliver();
	act(1);
	deliver();
	CHECK(running() == far && status_of(far) == ERR_TIMEOUT);
	INVOKE(near_cap, THREAD_INFO);
	CHECK(far->cpu == cpu_at(2) && near->cpu == cpu_at(2));
	fake_interrupt_every = 0;
	settle();
	CHECK(status_of(near) == ERR_NONE && word_of(near, 1) == THREAD_STATE_READY);
	far_has_its_turn();
	CHECK(status_of(far) == ERR_NONE && far->cpu == cpu_at(1));
	end();
}

/* A slot that is being written, or was written between two looks, is not believed. */
static void test_torn_reads(void)
{
	uint64_t before = tree_read_begin();

	CHECK(!tree_read_torn(before));
	tree_write_begin();
	CHECK(tree_read_torn(before) && tree_read_torn(tree_read_begin()));
	tree_write_begin();
	tree_write_end();
	CHECK(tree_read_torn(tree_read_begin()));
	tree_write_end();
	CHECK(tree_read_torn(before) && !tree_read_torn(tree_read_begin()));
}

/* While slots are written a reader takes the lock, so it waits no longer than for those before it. */
static void test_read_meets_writer(void)
{
	uint32_t turns;
	struct capability capability;

	begin();
	tree_write_begin();
	turns = tree_lock.next;
	CHECK(cspace_read(init, server, OBJECT_ENDPOINT, RIGHT_WRITE, &capability) == ERR_NONE);
	CHECK(tree_lock.next == turns + 1 && tree_lock.serving == tree_lock.next);
	CHECK(capability.object == slot_object(init_slot_at(server)));
	tree_write_end();
	CHECK(cspace_read(init, server, OBJECT_ENDPOINT, RIGHT_WRITE, &capability) == ERR_NONE);
	CHECK(tree_lock.next == turns + 1);
	end();
}

/* Tables of the address space that all share are changed; the change is told to the other CPU. */
static void change_tables(void)
{
	INVOKE(INIT_SLOT_VSPACE, VSPACE_HARVEST, USER_BASE, 1);
}

/* The kernel for tests lets only one CPU in at a time; others do not. */
static void change_tables_meanwhile(void)
{
	jmp_buf user;

	memcpy(user, fake_user, sizeof(user));
	debug_lock_release();
	act(0);
	CHECK(running() == near);
	change_tables();
	CHECK(near->state == THREAD_STATE_TRAVELLING);
	act(1);
	debug_lock_take();
	memcpy(fake_user, user, sizeof(user));
}

/* Mail that arrives while a CPU flushes its TLB tells of a change that this flush did not know of. */
static void test_mail_during_flush(void)
{
	begin();
	run(init);
	world_waits = false;
	change_tables();
	CHECK(init->state == THREAD_STATE_TRAVELLING && running() == near);
	fake_flush_meanwhile = change_tables_meanwhile;
	settle();
	CHECK(!fake_flush_meanwhile && status_of(near) == ERR_NONE);
	CHECK(cpu_at(1)->flushed >= thread_vspace(near)->edited);
	end();
}

#define AT 0x40000000ul

/* A Window of two pages, the first of which the other CPU knows. */
static cptr_t map_for_both(void)
{
	cptr_t memory = make(OBJECT_MEMORY, PAGE_BITS + 1), window = make(OBJECT_WINDOW, 0);

	run(init);
	CHECK(INVOKE(window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE) == ERR_NONE);
	CHECK(INVOKE(window, WINDOW_MAP, AT, 0, 1, RIGHT_READ | RIGHT_WRITE) == ERR_NONE);
	settle();
	tlb_touch(1, AT, true);
	return window;
}

/* Somebody unmaps a page, and before the other CPU knows of it, the Window goes: nothing is left to remove,
 * but it stays until that CPU knows. */
static void test_unbind_what_is_unmapped(void)
{
	struct window *object;
	cptr_t window;

	begin();
	window = map_for_both();
	object = slot_object(init_slot_at(window));
	world_waits = false;
	INVOKE(INIT_SLOT_VSPACE, VSPACE_UNMAP, AT, 1);
	CHECK(init->state == THREAD_STATE_TRAVELLING && running() == near);
	INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, window);
	CHECK(near->state == THREAD_STATE_TRAVELLING && !slot_empty(&object->vspace));
	settle();
	CHECK(status_of(near) == ERR_NONE && slot_empty(init_slot_at(window)));
	end();
}

/* All free table pages may still be walked by the other CPU: the call that needs one goes there first. */
static void test_tables_walked_elsewhere(void)
{
	cptr_t window;

	begin();
	window = map_for_both();
	CHECK(INVOKE(window, WINDOW_MAP, AT + (1ul << 31), 0, 1, RIGHT_READ) == ERR_NONE);
	CHECK(INVOKE(INIT_SLOT_VSPACE, VSPACE_UNMAP, AT + (1ul << 31), 1) == ERR_NONE);
	settle();
	run(init);
	world_waits = false;
	INVOKE(INIT_SLOT_VSPACE, VSPACE_RECLAIM);
	CHECK(init->state == THREAD_STATE_TRAVELLING && running() == near);
	INVOKE(window, WINDOW_MAP, AT + (1ul << 31), 0, 1, RIGHT_READ);
	CHECK(near->state == THREAD_STATE_TRAVELLING);
	settle();
	run(near);
	call_again();
	CHECK(status_of(near) == ERR_NONE && word_of(near, 0) == 1);
	end();
}

/* An answer replaces a page: the thread that waits for it goes on when all CPUs know. */
static void test_reply_replaces(uint64_t number)
{
	struct call answer = {.info = MESSAGE_INFO(REPLY_MAP, 6),
	                      .words = {0, 0, AT, 1, 1, RIGHT_READ},
	                      .deadline = DEADLINE_NEVER};
	struct thread *faulter;
	cptr_t faulter_cap;

	begin();
	faulter_cap = make_thread(PRIORITY_MAX);
	faulter = thread_at(faulter_cap);
	answer.cap = server;
	answer.reply = reply;
	answer.words[1] = map_for_both();
	CHECK(INVOKE(faulter_cap, THREAD_BIND, BIND_FAULT, server) == ERR_NONE);
	run(near);
	enter(SYS_RECV, &(struct call){.cap = server, .reply = reply, .deadline = DEADLINE_NEVER});
	run(faulter);
	fault(AT, FAULT_WRITE);
	CHECK(running() == near && faulter->state == THREAD_STATE_BLOCKED_REPLY);
	world_waits = false;
	enter(number, &answer);
	CHECK(near->state == THREAD_STATE_TRAVELLING && faulter->state == THREAD_STATE_BLOCKED_REPLY);
	CHECK(cpu_at(1)->flushed < thread_vspace(near)->edited);
	settle();
	CHECK(cpu_at(1)->flushed >= thread_vspace(near)->edited);
	run(near);
	call_again();
	CHECK(near->state != THREAD_STATE_TRAVELLING && faulter->state != THREAD_STATE_BLOCKED_REPLY);
	end();
}

unsigned units_cpus(unsigned *passed)
{
	test_unbind_what_is_unmapped();
	test_tables_walked_elsewhere();
	test_reply_replaces(SYS_REPLY);
	test_reply_replaces(SYS_REPLY_RECV);
	test_call();
	test_resume_forgets_suspend();
	test_suspend_traveller();
	test_suspend_visitor();
	test_canceled_visitor();
	test_visits_are_paid();
	test_visits_meet_refill();
	test_lent_to_traveller();
	test_lent_to_one_who_goes_on();
	test_priority_of_far_thread();
	test_look_for_each_other();
	test_torn_reads();
	test_read_meets_writer();
	test_mail_during_flush();
	*passed += checks_passed;
	return checks_failed;
}
