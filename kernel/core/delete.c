/* SPDX-License-Identifier: MIT */
/*
 * Deleting and revoking, in small steps: after each an interrupt can be taken, and the work that is left is
 * in the objects, so whoever asked simply asks again. There is no recursion and no search: a step always
 * works on the first leaf that it finds, and what a step cannot finish at once goes to the list of the dying.
 *
 * Derived capabilities are cheap: children of a derived capability are handed up one by one until it has
 * none. An original without children takes its object with it. Two objects contain capabilities that may in
 * turn be originals:
 *
 * - A CNode. Its capability moves into its own slot 0, where nobody can name it, and it joins the list of the
 * dying. Its slots are then emptied from the last to the first, by whoever deletes next if the first deleter
 * is gone.
 * - An Untyped that lies in a dying CNode and has children. It stays where it is, is marked doomed (nothing
 * is cut from it, no chunk comes back to it) and joins the list too.
 *
 * A dying CNode whose slots hold nothing but doomed Untypeds waits for them, unless an ancestor of its own is
 * on the list and not self-held. Then its memory goes with that ancestor: it leaves the tree at once and
 * lends its slot 0 to the ancestor's capability, which is self-held from then on and waits in its place for
 * what lies in that memory; and so does a self-held Untyped. So circles come apart (a CNode that holds the
 * Untyped that it was made of, two that hold each other's).
 *
 * Why the list always empties: who has to wait goes to the list's end, so it is enough that never all have
 * to. Who waits for what lies in its slots has no ancestor on the list that is not self-held. An Untyped
 * waits only for a leaf below it that is on the list itself; were it not self-held, that leaf would have it
 * as ancestor and would not wait. So if all wait, all Untypeds are self-held; but then nothing lies in any
 * slot that could be waited for. Each step that is none of waiting removes a capability, passes empty slots,
 * hands a child up or makes one more Untyped doomed, so there are finitely many.
 */
#include <kernel/cpu.h>
#include <kernel/delete.h>
#include <kernel/endpoint.h>
#include <kernel/io_space.h>
#include <kernel/irq.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/thread.h>
#include <kernel/untyped.h>
#include <kernel/vspace.h>
#include <kernel/window.h>

#define EMPTY_SLOTS_A_STEP 64

/*
 * So many steps that only unlink a slot are taken in a row: two for each capability that another CPU can
 * derive when it is let in once, or who goes on deriving from what is being revoked could keep it from
 * ending.
 */
#define SHORT_STEPS (2 * CPU_MAX)

static unsigned steps; /* since the last look; with the lock */

static void step_is_long(void)
{
	steps = SHORT_STEPS;
}

/* An operation ends here and is repeated. */
static bool pause_wanted(void)
{
	if (++steps < SHORT_STEPS)
		return false;
	steps = 0;
	return must_go() || preempt_wanted();
}

/* ---- the list of the dying ---- */

struct slot slot_dying = {.dying = {&slot_dying, &slot_dying}};

static void dying_insert_before(struct slot *slot, struct slot *next)
{
	slot->dying.next = next;
	slot->dying.prev = next->dying.prev;
	slot->dying.prev->dying.next = slot;
	next->dying.prev = slot;
	slot->flags |= SLOT_DYING;
}

static void dying_remove(struct slot *slot)
{
	slot->dying.prev->dying.next = slot->dying.next;
	slot->dying.next->dying.prev = slot->dying.prev;
	slot->flags &= (uint8_t)~SLOT_DYING;
}

static bool dying_empty(void)
{
	return slot_dying.dying.next == &slot_dying;
}

/* ---- taking one childless capability away ---- */

static struct thread *slot_thread(struct slot *slot)
{
	struct slot *bindings = slot - (slot->place - PLACE_THREAD);

	return (struct thread *)((char *)bindings - offsetof(struct thread, bindings));
}

static struct vspace *slot_feed_vspace(struct slot *slot)
{
	struct slot *feeds = slot - (slot->place - PLACE_FEED);

	return (struct vspace *)((char *)feeds - offsetof(struct vspace, feeds));
}

/* On this CPU? If not, the operation has to go on there. */
static bool is_here(struct cpu *cpu)
{
	if (cpu == this_cpu())
		return true;
	go_to(cpu);
	return false;
}

/* A thread's owner reads its slots without the lock, so only there they are cleared. */
static bool binding_remove(struct thread *thread, unsigned binding)
{
	if (binding == BIND_NOTIFICATION || binding == BIND_SCHED_CONTEXT) {
		if (!is_here(thread->home))
			return false;
	} else if (thread_owner(thread) != this_cpu()) {
		thread_go_after(thread, binding == BIND_CSPACE || binding == BIND_VSPACE);
		return false;
	}
	thread_binding_cleared(thread, binding);
	return true;
}

/* A derived capability without children. False: preempted, or it must go on elsewhere (go_to). */
static bool derived_remove(struct slot *slot)
{
	if (slot->place != PLACE_CNODE)
		step_is_long();
	if (slot->place >= PLACE_THREAD && slot->place < PLACE_WINDOW_MEMORY) {
		if (!binding_remove(slot_thread(slot), slot->place - PLACE_THREAD))
			return false;
	} else if (slot->place == PLACE_WINDOW_MEMORY) {
		return window_unbind((struct window *)((char *)slot - offsetof(struct window, memory)));
	} else if (slot->place == PLACE_WINDOW_VSPACE) {
		return window_unbind((struct window *)((char *)slot - offsetof(struct window, vspace)));
	} else if (slot->place == PLACE_IO_SPACE) {
		io_space_detached((struct io_space *)((char *)slot - offsetof(struct io_space, control)));
	} else if (slot->place == PLACE_CONTEXT_TIME) {
		struct sched_context *context =
		        (struct sched_context *)((char *)slot - offsetof(struct sched_context, time));

		if (!is_here(cpu_at((unsigned)slot->object)) || !sched_context_approach_time(context))
			return false;
		sched_context_unconfigure(context);
	} else if (slot->place == PLACE_IRQ) {
		if (!is_here(cpu_at(IRQ_HOME)))
			return false;
		irq_unbind((struct irq *)((char *)slot - offsetof(struct irq, notification)));
	}
	slot_clear(slot);
	return true;
}

void slot_unbind(struct slot *slot)
{
	if (!slot_empty(slot))
		derived_remove(slot);
}

/* Clear an original whose object is gone, and give its memory back. */
static void original_finish(struct slot *slot)
{
	bool by_physical =
	        slot->type == OBJECT_UNTYPED || slot->type == OBJECT_MEMORY || slot->type == CAP_TABLE_PAGES;
	struct slot *parent = slot_parent(slot);

	if (parent && parent->type == OBJECT_UNTYPED)
		untyped_give_back(parent, by_physical ? slot->object : virt_to_phys(slot_object(slot)));
	slot_clear(slot);
}

static bool vspace_release(struct vspace *vspace)
{
	if (vspace->io)
		slot_unbind(&io_space_of(vspace)->control);
	if (!vspace_destroy(vspace))
		return false;
	for (unsigned i = 0; i < VSPACE_FEEDS; i++) {
		if (!slot_empty(&vspace->feeds[i]))
			original_finish(&vspace->feeds[i]);
	}
	return true;
}

/*
 * A thread is stopped where it is and destroyed at home; who destroys himself goes there first. One that lies
 * in a mailbox must leave it first: we queue behind it.
 */
static bool thread_end(struct thread *thread)
{
	if (thread == this_cpu()->current && !is_here(thread->home))
		return false;
	if (thread_go_after(thread, true))
		return false;
	thread_suspend(thread);
	if (!is_here(thread->home))
		return false;
	/* Its node goes after it, so it comes here. */
	if (__atomic_load_n(&thread->boosted, __ATOMIC_ACQUIRE)) {
		go_to(this_cpu());
		return false;
	}
	thread_destroy(thread);
	return true;
}

static bool notification_end(struct notification *notification)
{
	if (notification_fail_one(notification))
		return false;
	/* Its node lies in our mailbox: queue behind it. */
	if (__atomic_load_n(&notification->in_mail, __ATOMIC_ACQUIRE)) {
		go_to(this_cpu());
		return false;
	}
	return true;
}

/* End the object of an original without children. False: there is more to do, here or elsewhere. */
static bool object_destroy(struct slot *slot)
{
	void *object = slot_object(slot);

	if (type_has_home(slot->type) && slot->type != OBJECT_THREAD && !is_here(cpu_at(slot->home)))
		return false;
	switch (slot->type) {
	case OBJECT_THREAD:
		return thread_end(object);
	case OBJECT_SCHED_CONTEXT:
		if (!sched_context_approach_time(object))
			return false;
		sched_context_destroy(object);
		return true;
	case OBJECT_ENDPOINT:
		return endpoint_destroy(object);
	case OBJECT_NOTIFICATION:
		return notification_end(object);
	case OBJECT_REPLY:
		reply_fail(object);
		return true;
	case OBJECT_VSPACE:
	case OBJECT_IO_SPACE:
		return vspace_release(object);
	case OBJECT_WINDOW:
		return window_unbind(object);
	case OBJECT_IRQ:
		if (!is_here(cpu_at(IRQ_HOME)))
			return false;
		irq_destroy(object);
		return true;
	case CAP_TABLE_PAGES:
		return vspace_feed_lost(slot_feed_vspace(slot), slot);
	default:
		return true;
	}
}

static void cnode_begin_dying(struct slot *slot)
{
	struct slot *self = slot_object(slot);

	slot_move(slot, self);
	self->doomed = 0;
	dying_insert_before(self, slot_dying.dying.next);
}

/* One step of deleting an original without children. What is already dying goes by itself. */
static void original_remove(struct slot *slot)
{
	step_is_long();
	/* What finishing it looks for is near before anything is lost. */
	if (slot->flags & SLOT_DYING || !slot_approach_parent(slot))
		return;
	if (slot->type == OBJECT_CNODE)
		cnode_begin_dying(slot);
	else if (object_destroy(slot))
		original_finish(slot);
}

/* One step of deleting what is below `top`, which has a child. False: there is nothing to do but wait for one
 * that is dying. */
static bool below_remove(struct slot *top)
{
	struct slot *slot = top->child;

	/* Untypeds are at most UNTYPED_DEPTH below each other, and other originals below them at most 2. */
	while (slot->child && slot->flags & SLOT_ORIGINAL) {
		slot->flags |= SLOT_DOOMED;
		slot = slot->child;
	}
	if (slot->flags & SLOT_DYING)
		return false;
	/* It goes before what was derived from it, or its holder could go on binding it for ever. */
	if (slot->child)
		slot_hand_up_child(slot);
	else if (slot->flags & SLOT_ORIGINAL)
		original_remove(slot);
	else
		derived_remove(slot);
	return true;
}

/* One step towards an empty slot. */
static void slot_remove(struct slot *slot)
{
	bool original = slot->flags & SLOT_ORIGINAL;

	if (slot->child && original)
		below_remove(slot);
	else if (slot->child)
		slot_hand_up_child(slot);
	else if (original)
		original_remove(slot);
	else
		derived_remove(slot);
}

/* ---- the dying ---- */

static void untyped_doom(struct slot *slot, struct slot *holder)
{
	slot->flags |= SLOT_DOOMED;
	slot->holder = holder;
	holder->doomed++;
	dying_insert_before(slot, slot_dying.dying.next);
}

/* The nearest ancestor that is on the list and not self-held, or NULL. */
static struct slot *doomed_ancestor(const struct slot *slot)
{
	struct slot *ancestor = slot_parent(slot);

	while (ancestor && (ancestor->flags & (SLOT_DYING | SLOT_SELF_HELD)) != SLOT_DYING)
		ancestor = slot_parent(ancestor);
	return ancestor;
}

/* No chunk below an ancestor may be used again while the ancestor's own slot lies in it. */
static void doom_up_to(struct slot *slot, const struct slot *ancestor)
{
	for (struct slot *s = slot_parent(slot); s != ancestor; s = slot_parent(s))
		s->flags |= SLOT_DOOMED;
}

static void doomed_leave_holder(struct slot *slot)
{
	slot->holder->doomed--;
	slot->holder = NULL;
}

/* Leave the tree and lend slot 0 to the ancestor; what lies in this memory keeps slot 0 as its holder. */
static void lend_slot(struct slot *self, struct slot *ancestor)
{
	uint64_t doomed;

	doom_up_to(self, ancestor);
	doomed_leave_holder(ancestor);
	doomed = self->doomed;
	dying_remove(self);
	slot_clear(self);
	slot_move(ancestor, self);
	self->flags |= SLOT_SELF_HELD;
	self->doomed = doomed;
}

static void dying_wait(struct slot *slot)
{
	dying_remove(slot);
	dying_insert_before(slot, &slot_dying);
}

/* In a slot 0, without children; nothing is left in the CNode there but doomed Untypeds. */
static void self_held_finish(struct slot *self)
{
	struct slot *ancestor;

	if (!self->doomed) {
		dying_remove(self);
		original_finish(self);
		return;
	}
	ancestor = doomed_ancestor(self);
	if (ancestor)
		lend_slot(self, ancestor);
	else
		dying_wait(self);
}

static void cnode_dying_step(struct slot *self)
{
	for (unsigned i = 0; self->slots > 1 && i < EMPTY_SLOTS_A_STEP; i++) {
		struct slot *slot = self + self->slots - 1;

		if (slot_empty(slot)) {
			self->slots--;
		} else if (slot->type == OBJECT_UNTYPED && slot->child) {
			untyped_doom(slot, self);
			self->slots--;
			return;
		} else {
			slot_remove(slot);
			return;
		}
	}
	step_is_long(); /* so many slots were passed */
	if (self->slots <= 1)
		self_held_finish(self);
}

static void untyped_dying_step(struct slot *slot)
{
	if (slot->child) {
		if (!below_remove(slot))
			dying_wait(slot);
		return;
	}
	if (slot->flags & SLOT_SELF_HELD) {
		self_held_finish(slot);
		return;
	}
	doomed_leave_holder(slot);
	dying_remove(slot);
	original_finish(slot);
}

static bool dying_drain(void)
{
	while (!dying_empty()) {
		struct slot *slot = slot_dying.dying.next;

		if (slot->type == OBJECT_CNODE)
			cnode_dying_step(slot);
		else
			untyped_dying_step(slot);
		if (pause_wanted())
			return false;
	}
	return true;
}

/* ---- the two operations ---- */

/*
 * The slot itself may lie in what is deleted: it is emptied before its memory could be used for anything
 * else, so looking at it again after a step is safe.
 */
bool slot_delete(struct slot *slot)
{
	bool drain = slot_empty(slot) || slot->flags & SLOT_ORIGINAL;

	steps = 0;
	/* An original VSpace or IoSpace goes as a whole: no need to look for the leaves of each of its
	 * Windows. */
	if (slot->flags & SLOT_ORIGINAL && (slot->type == OBJECT_VSPACE || slot->type == OBJECT_IO_SPACE))
		vspace_reset(slot_object(slot));
	while (!slot_empty(slot)) {
		if (drain && !dying_drain())
			return false;
		if (slot_empty(slot))
			break;
		slot_remove(slot);
		if (pause_wanted() && !slot_empty(slot))
			return false;
	}
	return !drain || dying_drain();
}

bool slot_revoke(struct slot *slot)
{
	steps = 0;
	while (dying_drain()) {
		if (!slot->child)
			return true;
		below_remove(slot);
		if (pause_wanted())
			return false;
	}
	return false;
}
