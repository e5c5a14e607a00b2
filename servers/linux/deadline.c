/* SPDX-License-Identifier: MIT */
/* The heap of deadlines: items[1] is the earliest; a child is never earlier than its parent. */
#include "deadline.h"
#include <stdlib.h>

static struct {
	struct deadline **items; /* [1, count] */
	size_t count, capacity;
} heap;

static void place(struct deadline *deadline, size_t position)
{
	heap.items[position] = deadline;
	deadline->position = position;
}

static void sift_up(struct deadline *deadline, size_t position)
{
	while (position > 1 && heap.items[position / 2]->when > deadline->when) {
		place(heap.items[position / 2], position);
		position /= 2;
	}
	place(deadline, position);
}

static void sift_down(struct deadline *deadline, size_t position)
{
	for (;;) {
		size_t child = position * 2;

		if (child > heap.count)
			break;
		if (child < heap.count && heap.items[child + 1]->when < heap.items[child]->when)
			child++;
		if (heap.items[child]->when >= deadline->when)
			break;
		place(heap.items[child], position);
		position = child;
	}
	place(deadline, position);
}

static bool heap_grow(void)
{
	size_t capacity = heap.capacity ? heap.capacity * 2 : 64;
	struct deadline **items = realloc(heap.items, (capacity + 1) * sizeof(*items));

	if (!items)
		return false;
	heap.items = items;
	heap.capacity = capacity;
	return true;
}

bool deadline_set(struct deadline *deadline, deadline_t when)
{
	deadline_cancel(deadline);
	if (heap.count == heap.capacity && !heap_grow())
		return false;
	deadline->when = when;
	heap.count++;
	sift_up(deadline, heap.count);
	return true;
}

void deadline_cancel(struct deadline *deadline)
{
	size_t position = deadline->position;
	struct deadline *last;

	if (!position)
		return;
	deadline->position = 0;
	last = heap.items[heap.count--];
	if (last == deadline)
		return;
	if (position > 1 && heap.items[position / 2]->when > last->when)
		sift_up(last, position);
	else
		sift_down(last, position);
}

deadline_t deadline_next(void)
{
	return heap.count ? heap.items[1]->when : DEADLINE_NEVER;
}

void deadline_run(deadline_t now)
{
	while (heap.count && heap.items[1]->when <= now) {
		struct deadline *first = heap.items[1];

		deadline_cancel(first);
		first->fire(first);
	}
}
