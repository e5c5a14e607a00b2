/* SPDX-License-Identifier: MIT */
/*
 * Does the checker find what it is there for? Each case makes a kernel with something of everything in it,
 * breaks one field, and expects the checker's panic. The numbers are those of docs/invariants.md; none is
 * left out.
 */
#include <string.h>

#include <kernel/delete.h>
#include <kernel/endpoint.h>
#include <kernel/notification.h>

#include "../check.h"
#include "fake.h"
#include "units.h"
#include "world.h"

#define AREA  0x50000000ul
#define NEVER .deadline = DEADLINE_NEVER

/* Everything is made by init, which runs. */
static struct {
	struct thread *init, *server, *sender, *behind, *parked, *answered, *ready, *waiter, *stopped;
	struct reply *idle, *expecting, *active;
	struct reply *of_parked;
	struct endpoint *served, *queued;
	struct notification *bell, *bound, *quiet;
	struct slot *derived_memory, *badged, *memory, *empty, *reply, *cnode, *untyped;
	struct window *window;
	struct vspace *vspace;
	pte_t *leaf;
} w;

static void *object_at(cptr_t cap)
{
	return slot_object(init_slot_at(cap));
}

static cptr_t derive(cptr_t from, unsigned rights, uint64_t a, uint64_t b)
{
	cptr_t to = new_slot();

	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DERIVE, to, 0, from, rights, a, b) == ERR_NONE);
	return to;
}

static struct thread *calls(cptr_t endpoint)
{
	struct thread *thread = thread_at(make_thread(PRIORITY_MAX));

	run(thread);
	enter(SYS_CALL, &(struct call){.cap = endpoint, NEVER});
	run(w.init);
	return thread;
}

static void make_ipc(void)
{
	cptr_t served = make(OBJECT_ENDPOINT, 0), queued = make(OBJECT_ENDPOINT, 0);
	cptr_t own = make(OBJECT_ENDPOINT, 0), crowded = make(OBJECT_ENDPOINT, 0),
	       expecting = make(OBJECT_REPLY, 0);
	cptr_t first = make(OBJECT_REPLY, 0), second = make(OBJECT_REPLY, 0), idle = make(OBJECT_REPLY, 0);
	cptr_t bell = make(OBJECT_NOTIFICATION, 0), bound = make(OBJECT_NOTIFICATION, 0);
	cptr_t quiet = make(OBJECT_NOTIFICATION, 0), server = make_thread(PRIORITY_MAX);

	w.server = thread_at(server);
	CHECK(INVOKE(server, THREAD_BIND, BIND_NOTIFICATION, bound) == ERR_NONE);
	run(w.server);
	enter(SYS_RECV, &(struct call){.cap = served, .reply = expecting, NEVER});
	run(w.init);
	w.sender = calls(queued);
	calls(crowded);
	w.behind = calls(crowded);
	w.parked = calls(own);
	w.answered = calls(own);
	enter(SYS_RECV, &(struct call){.cap = own, .reply = first, NEVER});
	enter(SYS_RECV, &(struct call){.cap = own, .reply = second, NEVER});
	w.waiter = thread_at(make_thread(PRIORITY_MAX));
	run(w.waiter);
	enter(SYS_WAIT, &(struct call){.cap = bell, .deadline = fake_now + 1000000000});
	run(w.init);
	w.served = object_at(served);
	w.queued = object_at(queued);
	w.idle = object_at(idle);
	w.expecting = object_at(expecting);
	w.active = object_at(second);
	w.of_parked = object_at(first);
	w.bell = object_at(bell);
	w.bound = object_at(bound);
	w.quiet = object_at(quiet);
	w.badged = init_slot_at(derive(derive(served, RIGHT_WRITE, 7, 0), RIGHT_WRITE, 0, 0));
	w.reply = init_slot_at(idle);
}

static void make_spaces(void)
{
	cptr_t memory = make(OBJECT_MEMORY, PAGE_BITS + 2), window = make(OBJECT_WINDOW, 0);
	cptr_t cnode = make(OBJECT_CNODE, 10);
	unsigned missing;

	CHECK(INVOKE(window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ) == ERR_NONE);
	CHECK(INVOKE(window, WINDOW_MAP, AREA, 1, 1, RIGHT_READ) == ERR_NONE);
	CHECK(INVOKE(window, WINDOW_MAP, AREA + (1ul << 31), 0, 1, RIGHT_READ) == ERR_NONE);
	CHECK(INVOKE(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA + (1ul << 31), 1) == ERR_NONE);
	CHECK(INVOKE(INIT_SLOT_VSPACE, VSPACE_RECLAIM) == ERR_NONE);
	w.memory = init_slot_at(memory);
	w.derived_memory = init_slot_at(derive(memory, RIGHT_READ, 1, 1));
	w.window = object_at(window);
	w.vspace = object_at(INIT_SLOT_VSPACE);
	w.leaf = arch_pte_find(&w.vspace->arch, AREA, 0, &missing);
	w.cnode = init_slot_at(cnode);
	w.empty = (struct slot *)object_at(cnode) + 5;
	w.untyped = slot_parent(w.memory);
	CHECK(w.leaf && w.vspace->free && w.untyped->type == OBJECT_UNTYPED);
}

static void world_make(void)
{
	world_boot_small();
	w.init = running();
	make_ipc();
	make_spaces();
	w.ready = thread_at(make_thread(10));
	w.stopped = object_at(make(OBJECT_THREAD, 0));
	CHECK(w.server->state == THREAD_STATE_BLOCKED_RECV && w.expecting->state == REPLY_EXPECTING);
	CHECK(w.sender->state == THREAD_STATE_BLOCKED_SEND && w.active->state == REPLY_ACTIVE);
	CHECK(w.of_parked->state == REPLY_PARKED && w.ready->state == THREAD_STATE_READY);
}

/* A deletion that was interrupted: of a CNode with an Untyped in it that has been cut. */
static void delete_begun(void)
{
	cptr_t cnode = make(OBJECT_CNODE, 10), untyped = make(OBJECT_UNTYPED, 12), part = new_slot();

	CHECK(INVOKE(untyped, UNTYPED_RETYPE, OBJECT_ENDPOINT, 1, 0, part) == ERR_NONE);
	CHECK(INVOKE(cnode, CNODE_MOVE, 3, 0, untyped) == ERR_NONE);
	fake_interrupt_every = 1;
	for (unsigned i = 0; i < 100 && slot_dying.dying.next->type != OBJECT_UNTYPED; i++)
		slot_delete(init_slot_at(cnode));
	fake_interrupt_every = 0;
	CHECK(slot_dying.dying.next->type == OBJECT_UNTYPED);
	CHECK(slot_dying.dying.prev->type == OBJECT_CNODE);
}

static void arm_stopped(void)
{
	deadline_arm(&w.stopped->deadline, fake_now + 1000);
}

static void empty_gets_link(void)
{
	w.empty->next = w.memory;
}

static void clear_window_slot(void)
{
	slot_clear(&w.window->vspace);
}

static void arm_refill(void)
{
	deadline_arm(&w.ready->own->refill, fake_now + 1000);
}

static void dirty_clean_chunk(void)
{
	cptr_t untyped = make(OBJECT_UNTYPED, 13);
	struct slot *slot = init_slot_at(untyped);

	slot->untyped.chunk_bits = 12;
	slot->chunks.clean = 2;
	memset(phys_to_virt(slot->object + 4096), 0xee, 4096);
}

static void both_queues(void)
{
	struct heap_node *node = w.sender->wait.left;

	CHECK(!node);
	w.served->senders.waiting.root = &w.sender->wait;
	w.sender->waits_on = &w.served->senders;
	w.queued->senders.waiting.root = NULL;
	w.served->depths[w.sender->depth]++;
	w.queued->depths[w.sender->depth]--;
}

static void dying_loses_mark(void)
{
	delete_begun();
	slot_dying.dying.prev->flags &= (uint8_t)~SLOT_DYING;
}

static void doomed_loses_mark(void)
{
	delete_begun();
	slot_dying.dying.next->flags &= (uint8_t)~SLOT_DOOMED;
}

static void holder_forgets(void)
{
	delete_begun();
	slot_dying.dying.next->holder->doomed = 0;
}

#define BREAK(name, statement)         \
	static void break_##name(void) \
	{                              \
		statement;             \
	}
BREAK(key, w.behind->wait.key += 1ul << ARRIVAL_BITS)
BREAK(child, slot_parent(w.memory)->child->prev = w.empty)
BREAK(next, slot_forest.child->next->prev = w.empty)
BREAK(original, w.reply->object += 1ul << 40)
BREAK(rights, w.badged->rights = RIGHT_ALL)
BREAK(range, w.derived_memory->pages = 100)
BREAK(type, w.derived_memory->type = OBJECT_ENDPOINT)
BREAK(badge, w.badged->badge = 8)
BREAK(copied_reply, w.reply->flags &= (uint8_t)~SLOT_ORIGINAL)
BREAK(place, w.ready->bindings[BIND_FAULT].place = PLACE_CNODE)
BREAK(cnode_place, w.empty->place = PLACE_IRQ)
BREAK(unused, w.untyped->chunks.used &= w.untyped->chunks.used - 1)
BREAK(overused, w.untyped->chunks.used |= 1ul << 63)
BREAK(used_is_clean, w.untyped->chunks.clean |= w.untyped->chunks.used)
BREAK(not_queued, w.ready->queued = false)
BREAK(queued, w.stopped->queued = true)
BREAK(no_budget, w.ready->own->left = 0)
BREAK(wrong_queue, cpu_at(0)->ready[10].first = NULL)
BREAK(two_running, w.stopped->state = THREAD_STATE_RUNNING)
BREAK(running_state, w.init->state = THREAD_STATE_READY)
BREAK(away, w.ready->away = true)
BREAK(visit, (w.ready->cpu = cpu_at(1), w.ready->away = true))
BREAK(waits_on, w.server->waits_on = NULL)
BREAK(waits_elsewhere, w.sender->waits_on = &w.bell->waiters)
BREAK(no_vspace, w.stopped->state = THREAD_STATE_READY)
BREAK(own, w.ready->own->thread = w.init)
BREAK(bound, w.bound->bound = w.init)
BREAK(priority, w.ready->base_priority = 11)
BREAK(boost, (w.ready->boost.next = NULL, cpu_at(0)->inbox = &w.ready->boost))
BREAK(lent, w.init->sched = w.ready->own)
BREAK(ready_bits, cpu_at(0)->ready_bits[0] = 0)
BREAK(ready_words, cpu_at(0)->ready_words |= 2)
BREAK(left, w.ready->own->left = w.ready->own->budget + 1)
BREAK(budget, w.ready->own->period = 1)
BREAK(idle, w.idle->caller = w.init)
BREAK(expecting, w.expecting->holder = w.waiter)
BREAK(active, w.active->holder = w.server)
BREAK(parked, w.of_parked->holder = w.init)
BREAK(no_reply, w.answered->reply = NULL)
BREAK(blocked, w.parked->state = THREAD_STATE_STOPPED)
BREAK(bits, w.bell->bits = 1)
BREAK(bound_bits, w.bound->bits = 1)
BREAK(more_rights, *w.leaf = arch_pte_make(arch_pte_physical(*w.leaf), RIGHT_READ | RIGHT_WRITE, 0, false))
BREAK(elsewhere, *w.leaf = arch_pte_make(PAGE_SIZE, RIGHT_READ, 0, false))
BREAK(hull, w.window->hull_start = AREA + PAGE_SIZE)
BREAK(free_pages, w.vspace->free_pages++)
BREAK(dirty_table, ((uint64_t *)w.vspace->free)[511] = 1)

static const struct violation {
	unsigned number;
	const char *name;
	void (*make)(void);
} violations[] = {
        {1, "a child's way back", break_child},
        {1, "a sibling's way back", break_next},
        {1, "an empty slot with a link", empty_gets_link},
        {2, "an original outside its Untyped", break_original},
        {3, "more rights", break_rights},
        {3, "a larger range", break_range},
        {3, "another type", break_type},
        {3, "another badge", break_badge},
        {4, "a derived Reply", break_copied_reply},
        {5, "a binding's place", break_place},
        {5, "a slot's place", break_cnode_place},
        {6, "a chunk that is used and not marked", break_unused},
        {6, "a chunk that is marked and not used", break_overused},
        {7, "a used chunk that is clean", break_used_is_clean},
        {7, "a clean chunk that is not zero", dirty_clean_chunk},
        {9, "ready and not queued", break_not_queued},
        {9, "queued and stopped", break_queued},
        {9, "queued without budget", break_no_budget},
        {9, "in no queue", break_wrong_queue},
        {10, "two threads run", break_two_running},
        {10, "the current thread does not run", break_running_state},
        {12, "at home, and away", break_away},
        {12, "on a visit, and came for nothing", break_visit},
        {11, "waits for nothing", break_waits_on},
        {11, "waits elsewhere", break_waits_elsewhere},
        {11, "a deadline without a wait", arm_stopped},
        {11, "a place by another priority", break_key},
        {12, "ready without a VSpace", break_no_vspace},
        {13, "a context of somebody else", break_own},
        {13, "a notification of somebody else", break_bound},
        {13, "a priority that nobody lends", break_priority},
        {13, "a context that nobody lends", break_lent},
        {13, "news of a priority that nobody sent", break_boost},
        {14, "a queue without its bit", break_ready_bits},
        {14, "a word without bits", break_ready_words},
        {15, "more left than the budget", break_left},
        {15, "a budget longer than the period", break_budget},
        {15, "a refill while something is left", arm_refill},
        {16, "senders and receivers", both_queues},
        {17, "an idle Reply with a caller", break_idle},
        {17, "an expecting Reply of another", break_expecting},
        {17, "an active Reply of another", break_active},
        {17, "a parked Reply with a holder", break_parked},
        {18, "no Reply holds who waits for one", break_no_reply},
        {18, "a Reply holds who waits for none", break_blocked},
        {19, "bits and a waiter", break_bits},
        {19, "bits and a bound thread that waits", break_bound_bits},
        {20, "a leaf with more rights", break_more_rights},
        {20, "a leaf of other memory", break_elsewhere},
        {20, "a leaf outside the hull", break_hull},
        {21, "half a Window", clear_window_slot},
        {22, "a page too many", break_free_pages},
        {22, "a free page that is not zero", break_dirty_table},
        {23, "a dying CNode that is not marked", dying_loses_mark},
        {23, "a holder that holds nothing", holder_forgets},
        {24, "a dying Untyped that can be cut", doomed_loses_mark},
};

/* Often enough for what is looked at in parts. */
static void check_often(void)
{
	for (unsigned i = 0; i < 32; i++)
		invariants_check_all();
}

static void check_violation(const struct violation *violation)
{
	unsigned check_every = fake_check_every;

	fake_check_every = UINT32_MAX;
	world_make();
	invariants_check_all();
	violation->make();
	fake_log[0] = '\0';
	if (world_panics(check_often) && strstr(fake_log, "invariant broken")) {
		checks_passed++;
	} else {
		checks_failed++;
		printf("invariant %u: %s: not found: %s\n", violation->number, violation->name, fake_log);
	}
	fake_check_every = check_every;
}

/* 14 too, but it holds on the way to user mode, where the fake CPU looks. */
static void timer_forgotten(void)
{
	fake_timer = DEADLINE_NEVER;
	interrupt();
}

static void test_timer(void)
{
	world_make();
	interrupt();
	fake_expect_panic = true;
	timer_forgotten();
	fake_expect_panic = false;
	CHECK(strstr(fake_log, "panic: tests/host/kernel/fake.c") && strstr(fake_log, "fake_timer"));
}

unsigned units_invariants(unsigned *passed)
{
	for (unsigned i = 0; i < sizeof(violations) / sizeof(violations[0]); i++)
		check_violation(&violations[i]);
	test_timer();
	*passed += checks_passed;
	return checks_failed;
}
