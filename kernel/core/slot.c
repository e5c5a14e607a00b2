/* SPDX-License-Identifier: MIT */
/* The derivation tree: linking, deriving, moving. Every function but slot_parent is a constant number of
 * steps; slot_approach_parent() makes that one short. */
#include <kernel/arch.h>
#include <kernel/lock.h>
#include <kernel/slot.h>

static bool slot_is_first_child(const struct slot *slot)
{
	return slot->prev && slot->prev->child == slot;
}

static void slot_insert_child(struct slot *slot, struct slot *parent)
{
	slot->prev = parent;
	slot->next = parent->child;
	if (slot->next)
		slot->next->prev = slot;
	parent->child = slot;
}

static void slot_insert_after(struct slot *slot, struct slot *sibling)
{
	slot->prev = sibling;
	slot->next = sibling->next;
	if (slot->next)
		slot->next->prev = slot;
	sibling->next = slot;
}

static void slot_unlink(struct slot *slot)
{
	if (slot_is_first_child(slot))
		slot->prev->child = slot->next;
	else if (slot->prev)
		slot->prev->next = slot->next;
	if (slot->next)
		slot->next->prev = slot->prev;
	slot->next = slot->prev = NULL;
}

struct slot *slot_parent(const struct slot *slot)
{
	while (slot->prev && !slot_is_first_child(slot))
		slot = slot->prev;
	return slot->prev;
}

bool slot_approach_parent(struct slot *slot)
{
	struct slot *ahead = slot;

	for (unsigned i = 0; ahead->prev && !slot_is_first_child(ahead); i++) {
		if (i == SLOT_NEAR) {
			slot_unlink(slot);
			slot_insert_after(slot, ahead->prev);
			return false;
		}
		ahead = ahead->prev;
	}
	return true;
}

struct slot slot_forest;

void slot_set_root(struct slot *slot, unsigned type, unsigned rights, uint64_t object)
{
	slot_set_child(slot, &slot_forest, type, rights, object);
}

void slot_set_child(struct slot *slot, struct slot *parent, unsigned type, unsigned rights, uint64_t object)
{
	kernel_assert(slot_empty(slot));
	tree_write_begin();
	slot->type = (uint8_t)type;
	slot->rights = (uint8_t)rights;
	slot->flags = 0;
	slot->slots = 0;
	slot->object = object;
	slot->data[0] = slot->data[1] = 0;
	slot->child = slot->holder = NULL;
	tree_write_end();
	slot_insert_child(slot, parent);
}

static void slot_copy_capability(const struct slot *from, struct slot *to)
{
	to->type = from->type;
	to->rights = from->rights;
	to->flags = from->flags;
	to->slots = from->slots;
	to->object = from->object;
	to->data[0] = from->data[0];
	to->data[1] = from->data[1];
	to->holder = from->holder;
}

static void slot_make_empty(struct slot *slot)
{
	slot->type = OBJECT_NULL;
	slot->rights = slot->flags = 0;
	slot->slots = 0;
	slot->object = slot->data[0] = slot->data[1] = 0;
	slot->child = slot->next = slot->prev = slot->holder = NULL;
}

void slot_derive(struct slot *from, struct slot *to, unsigned rights)
{
	kernel_assert(!slot_empty(from) && slot_empty(to));
	tree_write_begin();
	slot_copy_capability(from, to);
	to->rights &= (uint8_t)rights;
	to->flags &= (uint8_t)~SLOT_ORIGINAL;
	if (to->type == OBJECT_CPU_TIME)
		to->time.promised = 0;
	tree_write_end();
	to->child = NULL;
	slot_insert_child(to, from);
}

void slot_move(struct slot *from, struct slot *to)
{
	kernel_assert(!slot_empty(from) && slot_empty(to));
	tree_write_begin();
	slot_copy_capability(from, to);
	to->child = from->child;
	to->next = from->next;
	to->prev = from->prev;
	if (slot_is_first_child(from))
		from->prev->child = to;
	else if (from->prev)
		from->prev->next = to;
	if (to->next)
		to->next->prev = to;
	if (to->child)
		to->child->prev = to;
	if (to->flags & SLOT_DYING) {
		to->dying.prev->dying.next = to;
		to->dying.next->dying.prev = to;
	}
	slot_make_empty(from);
	tree_write_end();
}

void slot_hand_up_child(struct slot *slot)
{
	struct slot *child = slot->child;

	/* What a CpuTime has promised is already in its parent's sum. */
	if (slot->type == OBJECT_CPU_TIME)
		slot->time.promised -= child->place == PLACE_CONTEXT_TIME ? (uint32_t)child->time.share
		                                                          : child->time.promised;
	slot_unlink(child);
	slot_insert_after(child, slot);
}

void slot_clear(struct slot *slot)
{
	kernel_assert(!slot_empty(slot) && !slot->child && !(slot->flags & SLOT_DYING));
	slot_unlink(slot);
	tree_write_begin();
	slot_make_empty(slot);
	tree_write_end();
}

struct slot *slot_next_below(const struct slot *slot, const struct slot *top)
{
	if (slot->child)
		return slot->child;
	while (slot != top && !slot->next)
		slot = slot_parent(slot);
	return slot == top ? NULL : slot->next;
}
