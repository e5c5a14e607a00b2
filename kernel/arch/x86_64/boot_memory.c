/* SPDX-License-Identifier: MIT */
/* Lists of physical ranges at boot: sorted, disjoint, not touching. Plain C, tested on the host too. */
#include "local.h"

static void range_delete(struct range_list *list, unsigned at)
{
	for (unsigned i = at + 1; i < list->count; i++)
		list->ranges[i - 1] = list->ranges[i];
	list->count--;
}

static void range_insert(struct range_list *list, unsigned at, uint64_t start, uint64_t end)
{
	if (list->count == BOOT_RANGES) {
		list->overflow = true;
		return;
	}
	for (unsigned i = list->count; i > at; i--)
		list->ranges[i] = list->ranges[i - 1];
	list->ranges[at] = (struct memory_range){start, end};
	list->count++;
}

void range_add(struct range_list *list, uint64_t start, uint64_t end)
{
	unsigned i = 0;

	if (start >= end)
		return;
	while (i < list->count && list->ranges[i].end < start)
		i++;
	/* Swallow all that it touches. */
	while (i < list->count && list->ranges[i].start <= end) {
		if (list->ranges[i].start < start)
			start = list->ranges[i].start;
		if (list->ranges[i].end > end)
			end = list->ranges[i].end;
		range_delete(list, i);
	}
	range_insert(list, i, start, end);
}

void range_remove(struct range_list *list, uint64_t start, uint64_t end)
{
	if (start >= end)
		return;
	for (unsigned i = 0; i < list->count;) {
		struct memory_range r = list->ranges[i];

		if (r.end <= start || r.start >= end) {
			i++;
			continue;
		}
		range_delete(list, i);
		if (r.start < start)
			range_insert(list, i++, r.start, start);
		if (r.end > end)
			range_insert(list, i++, end, r.end);
	}
}

bool range_contains(const struct range_list *list, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->ranges[i].start <= start && end <= list->ranges[i].end)
			return true;
	return false;
}

uint64_t range_take(struct range_list *list, uint64_t size, uint64_t above, uint64_t limit)
{
	for (unsigned i = 0; i < list->count; i++) {
		uint64_t start = list->ranges[i].start > above ? list->ranges[i].start : above;

		if (start >= list->ranges[i].end || list->ranges[i].end - start < size ||
		    start > limit - size)
			continue;
		range_remove(list, start, start + size);
		return start;
	}
	return 0;
}
