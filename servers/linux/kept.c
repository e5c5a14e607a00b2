/* SPDX-License-Identifier: MIT */
#include "kept.h"
#include <stdlib.h>
#include <pith/heap.h>
#include "capability.h"

#define RESERVE 8 /* one part of so many of the heap */
#define BUCKETS 64

struct user {
	struct user *next; /* of its bucket */
	uint32_t uid;
	size_t counts[USER_COUNTS], sum;
};

static struct user *buckets[BUCKETS];

bool heap_is_low(void)
{
	return heap_pages_free() < heap_pages_total() / RESERVE;
}

bool kept_refused(void)
{
	return heap_is_low() && current_thread() && !capable(current_thread(), CAP_SYS_RESOURCE);
}

void *kept_alloc(size_t size)
{
	return kept_refused() ? NULL : calloc(1, size);
}

void *kept_malloc(size_t size)
{
	return kept_refused() ? NULL : malloc(size);
}

size_t heap_part(unsigned parts)
{
	return heap_pages_total() * PAGE_SIZE / parts;
}

/* In the place of those of its bucket who have nothing. */
static struct user *user_create(uint32_t uid)
{
	struct user **link = &buckets[uid % BUCKETS], *user;

	while ((user = *link))
		if (user->sum) {
			link = &user->next;
		} else {
			*link = user->next;
			free(user);
		}
	*link = user = calloc(1, sizeof(*user));
	if (user)
		user->uid = uid;
	return user;
}

struct user *user_charge(uint32_t uid, enum user_count which, size_t amount, size_t limit)
{
	struct user *user = buckets[uid % BUCKETS];

	while (user && user->uid != uid)
		user = user->next;
	if (!user)
		user = user_create(uid);
	if (!user || amount > limit || user->counts[which] > limit - amount)
		return NULL;
	user->counts[which] += amount;
	user->sum += amount;
	return user;
}

void user_discharge(struct user *user, enum user_count which, size_t amount)
{
	user->counts[which] -= amount;
	user->sum -= amount;
}
