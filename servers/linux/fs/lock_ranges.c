/* SPDX-License-Identifier: MIT */
#include "fs/lock_ranges.h"
#include "kept.h"
#include <errno.h>
#include <stdlib.h>

static bool overlap(const struct file_lock *a, const struct file_lock *b)
{
	return a->first <= b->last && b->first <= a->last;
}

static bool same_owner(const struct file_lock *a, const struct file_lock *b)
{
	return a->owner == b->owner && a->whole_file == b->whole_file;
}

struct file_lock *lock_conflict(struct file_lock *list, const struct file_lock *wanted)
{
	for (struct file_lock *lock = list; lock != NULL; lock = lock->next) {
		if (lock->whole_file == wanted->whole_file && lock->owner != wanted->owner &&
		    overlap(lock, wanted) && (lock->exclusive || wanted->exclusive))
			return lock;
	}
	return NULL;
}

static void insert(struct file_lock **list, struct file_lock *lock)
{
	while (*list != NULL && (*list)->first < lock->first)
		list = &(*list)->next;
	lock->next = *list;
	*list = lock;
}

/* Takes [first, last] out of the owner's locks. *spare is used when one lock becomes two. */
static void cut(struct file_lock **list, const struct file_lock *range, struct file_lock **spare)
{
	for (struct file_lock **link = list; *link != NULL;) {
		struct file_lock *lock = *link;
		if (!same_owner(lock, range) || !overlap(lock, range)) {
			link = &lock->next;
			continue;
		}
		bool left = lock->first<range->first, right = lock->last> range->last;
		if (left && right) {
			struct file_lock *rest = *spare;
			*spare = NULL;
			*rest = *lock;
			rest->first = range->last + 1;
			lock->last = range->first - 1;
			insert(list, rest);
			return; /* no other lock of the owner can overlap */
		}
		if (left) {
			lock->last = range->first - 1;
			link = &lock->next;
		} else if (right) {
			*link = lock->next;
			lock->first = range->last + 1;
			insert(list, lock);
			link = list; /* its place may have changed */
		} else {
			*link = lock->next;
			free(lock);
		}
	}
}

/* The new lock swallows neighbours of the same owner and type. */
static void merge(struct file_lock **list, struct file_lock *lock)
{
	for (struct file_lock **link = list; *link != NULL;) {
		struct file_lock *other = *link;
		bool touches = (lock->last != LOCK_END && other->first == lock->last + 1) ||
		               (other->last != LOCK_END && lock->first == other->last + 1);
		if (other == lock || !same_owner(other, lock) || other->exclusive != lock->exclusive ||
		    !touches) {
			link = &other->next;
			continue;
		}
		if (other->first < lock->first)
			lock->first = other->first;
		if (other->last > lock->last)
			lock->last = other->last;
		*link = other->next;
		free(other);
	}
}

/* One lock of the owner becomes two. */
static bool splits(const struct file_lock *list, const struct file_lock *range)
{
	for (const struct file_lock *lock = list; lock != NULL && lock->first < range->first;
	     lock = lock->next)
		if (same_owner(lock, range) && lock->last > range->last)
			return true;
	return false;
}

int lock_set(struct file_lock **list, const struct file_lock *wanted, bool unlock)
{
	bool two = splits(*list, wanted);
	struct file_lock *spare = two ? kept_alloc(sizeof(*spare)) : NULL,
	                 *lock = unlock ? NULL : kept_alloc(sizeof(*lock));
	if ((two && spare == NULL) || (!unlock && lock == NULL)) {
		free(spare);
		free(lock);
		return -ENOMEM;
	}
	cut(list, wanted, &spare);
	free(spare);
	if (unlock)
		return 0;
	*lock = *wanted;
	merge(list, lock);
	insert(list, lock);
	return 0;
}

bool lock_drop_owner(struct file_lock **list, const void *owner)
{
	bool any = false;
	for (struct file_lock **link = list; *link != NULL;) {
		struct file_lock *lock = *link;
		if (lock->owner != owner) {
			link = &lock->next;
			continue;
		}
		*link = lock->next;
		free(lock);
		any = true;
	}
	return any;
}
