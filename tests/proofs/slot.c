/* SPDX-License-Identifier: MIT */
/*
 * The derivation tree (kernel/core/slot.c): each operation, on any forest of SLOTS slots, keeps links and
 * rights as docs/invariants.md 1 and 3 say, and changes no other capability.
 */
#include "proof.h"

/* So that the forest has slots that are not near. */
#define SLOT_NEAR 2

#include "kernel/core/slot.c"

#include "kernel/core/invariants.c"

#ifndef SLOTS
#define SLOTS 5
#endif

#ifndef RIGHTS
#define RIGHTS 0
#endif
#ifndef OP
#define OP any_below(7)
#endif

struct slot nondet_slot(void);

static unsigned writing; /* readers without the lock are told */

void tree_write_begin(void)
{
	writing++;
}

void tree_write_end(void)
{
	writing--;
}

/* Objects of their own, so that a pointer is one of a few and not an offset: that is what the prover is quick
 * at. */
static struct slot *slots[SLOTS];

static struct slot *any_link(void)
{
	unsigned i = any_below(SLOTS + 2);

	return i < SLOTS ? slots[i] : i == SLOTS ? &slot_forest : NULL;
}

/* From each slot the way back ends at the forest: there is no ring. */
static bool slot_is_rooted(const struct slot *slot)
{
	for (unsigned i = 0; i <= SLOTS && slot != &slot_forest; i++) {
		if (!slot)
			return false;
		slot = slot->prev;
	}
	return slot == &slot_forest;
}

static void check_one(const struct slot *slot)
{
	if (slot_empty(slot)) {
		require(!slot->child && !slot->next && !slot->prev);
		return;
	}
	check_links(slot);
	require(slot_is_rooted(slot));
}

static void check_all(void)
{
	require(slot_empty(&slot_forest) && !slot_forest.prev && !slot_forest.next);
	require(!slot_forest.child || slot_forest.child->prev == &slot_forest);
	for (unsigned i = 0; i < SLOTS; i++)
		check_one(slots[i]);
	for (unsigned i = 0; RIGHTS && i < SLOTS; i++) {
		if (!slot_empty(slots[i]) && !(slots[i]->flags & SLOT_ORIGINAL))
			check_derived(slots[i], slot_parent(slots[i]));
	}
}

/* Ranges of capabilities do not wrap: retype and derive see to it. */
static bool range_is_sane(const struct slot *slot)
{
	if (slot->type == OBJECT_MEMORY)
		return slot->pages <= 1ul << 40 && slot->object <= 1ul << 52;
	return slot->ports <= 1ul << 32 && slot->object <= 1ul << 52;
}

static void make_any_forest(void)
{
	for (unsigned i = 0; i < SLOTS; i++)
		slots[i] = malloc(sizeof(struct slot));
	for (unsigned i = 0; i < SLOTS; i++) {
		*slots[i] = nondet_slot();
		slots[i]->child = any_link();
		slots[i]->next = any_link();
		slots[i]->prev = any_link();
		assume(!(slots[i]->flags & SLOT_DYING));
		assume(range_is_sane(slots[i]));
	}
	slot_forest.child = any_link();
	proof_assuming = true;
	check_all();
	proof_assuming = false;
}

static bool same_capability(const struct slot *a, const struct slot *b)
{
	return a->type == b->type && a->rights == b->rights && a->flags == b->flags &&
	       a->object == b->object && a->data[0] == b->data[0] && a->data[1] == b->data[1] &&
	       a->slots == b->slots;
}

static unsigned steps_to_parent(const struct slot *slot)
{
	unsigned steps = 0;

	while (slot->prev && slot->prev->child != slot && steps <= SLOTS) {
		slot = slot->prev;
		steps++;
	}
	return steps;
}

int main(void)
{
	unsigned steps;
	struct slot before, witnessed;
	unsigned from = any_below(SLOTS), to = any_below(SLOTS), witness = any_below(SLOTS);
	struct slot *slot, *other, *child, *parent;

	make_any_forest();
	slot = slots[from];
	other = slots[to];
	before = *slot;
	witnessed = *slots[witness];
	switch (OP) {
	case 0:
		assume(slot_empty(slot));
		slot_set_root(slot, OBJECT_ENDPOINT, RIGHT_ALL, 4096);
		slot->flags = SLOT_ORIGINAL;
		prove(slot_parent(slot) == &slot_forest);
		to = from;
		break;
	case 1:
		assume(slot_empty(slot) && !slot_empty(other));
		slot_set_child(slot, other, OBJECT_ENDPOINT, RIGHT_ALL, 4096);
		slot->flags = SLOT_ORIGINAL;
		prove(slot_parent(slot) == other);
		break;
	case 2:
		assume(!slot_empty(slot) && slot_empty(other));
		slot_derive(slot, other, nondet_unsigned());
		prove(slot_parent(other) == slot && !(other->flags & SLOT_ORIGINAL));
		prove(!(other->rights & ~slot->rights));
		break;
	case 3:
		assume(!slot_empty(slot) && slot_empty(other));
		parent = slot_parent(slot);
		slot_move(slot, other);
		prove(slot_empty(slot) && same_capability(other, &before));
		prove(slot_parent(other) == parent);
		break;
	case 4:
		assume(!slot_empty(slot) && slot->child && !(slot->flags & SLOT_ORIGINAL));
		child = slot->child;
		parent = slot_parent(slot);
		slot_hand_up_child(slot);
		prove(slot_parent(child) == parent && slot->next == child);
		to = from;
		break;
	case 6:
		assume(!slot_empty(slot));
		parent = slot_parent(slot);
		child = slot->child;
		steps = steps_to_parent(slot);
		if (slot_approach_parent(slot))
			prove(steps_to_parent(slot) <= SLOT_NEAR);
		else
			prove(steps_to_parent(slot) < steps);
		prove(same_capability(slot, &before) && slot->child == child);
		prove(slot_parent(slot) == parent);
		to = from;
		break;
	default:
		assume(!slot_empty(slot) && !slot->child);
		slot_clear(slot);
		prove(slot_empty(slot));
		to = from;
		break;
	}
	check_all();
	prove(!writing);
	/* No other capability has changed. */
	if (witness != from && witness != to)
		prove(same_capability(slots[witness], &witnessed));
	prove(slots[witness]->place == witnessed.place);
	return 0;
}
