/* SPDX-License-Identifier: MIT */
/*
 * Futexes that lend priority: the word holds its owner's thread number, so the owner runs at least with the
 * priority of whoever waits for it. Locks that nobody else wants are taken and left in user mode; then the
 * word has no FUTEX_WAITERS, and this file knows nothing of it.
 */
#include <errno.h>
#include <stdatomic.h>
#include "futex.h"
#include "futex_values.h"
#include "address_space.h"
#include "syscall.h"
#include "thread.h"

#define CHAIN_MAX 64 /* owners that wait for owners: so many are lent a priority */

struct pi_waiter {
	struct pi_waiter *next;
	struct futex_key key;
	struct thread *thread, *owner;
	uint64_t address; /* of the word, for its thread */
	bool granted;     /* it is the owner now, and no longer in the list */
	struct waitq queue;
};

static struct pi_waiter *waiters; /* of all futexes, in the order of their coming */

/* Of those that wait for the futex: the first of the highest priority. */
static struct pi_waiter *best_waiter(const struct futex_key *key)
{
	struct pi_waiter *best = NULL;

	for (struct pi_waiter *waiter = waiters; waiter; waiter = waiter->next)
		if (futex_key_equal(&waiter->key, key) &&
		    (!best || thread_priority(waiter->thread) > thread_priority(best->thread)))
			best = waiter;
	return best;
}

static void waiter_add(struct pi_waiter *waiter)
{
	struct pi_waiter **end = &waiters;

	while (*end)
		end = &(*end)->next;
	*end = waiter;
	waiter->thread->private->pi_wait = waiter;
}

static void waiter_remove(struct pi_waiter *waiter)
{
	struct pi_waiter **link = &waiters;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
	waiter->thread->private->pi_wait = NULL;
}

/* Who waits for the thread, or with what priority, has changed. */
static void lend(struct thread *owner)
{
	for (unsigned hops = 0; owner && hops < CHAIN_MAX; hops++) {
		struct thread_private *private = owner->private;
		unsigned lent = 0;

		for (struct pi_waiter *waiter = waiters; waiter; waiter = waiter->next)
			if (waiter->owner == owner && thread_priority(waiter->thread) > lent)
				lent = thread_priority(waiter->thread);
		if (lent == private->lent)
			return;
		private->lent = lent;
		kernel_thread_schedule(owner);
		owner = private->pi_wait ? private->pi_wait->owner : NULL;
	}
}

static bool waits_for(const struct thread *thread, const struct thread *other)
{
	for (unsigned hops = 0; thread->private->pi_wait && hops < CHAIN_MAX; hops++) {
		thread = thread->private->pi_wait->owner;
		if (thread == other)
			return true;
	}
	return false;
}

/* The waiter becomes the owner, and the word says so. */
static void grant(struct pi_waiter *next, _Atomic uint32_t *word, uint32_t flags)
{
	struct thread *before = next->owner;

	waiter_remove(next);
	next->granted = true;
	for (struct pi_waiter *waiter = waiters; waiter; waiter = waiter->next)
		if (futex_key_equal(&waiter->key, &next->key)) {
			waiter->owner = next->thread;
			flags |= FUTEX_WAITERS;
		}
	if (word)
		*word = (uint32_t)next->thread->tid | flags;
	lend(before);
	lend(next->thread);
	waitq_wake_all(&next->queue);
}

/* Takes the word, or marks it as waited for. 1: *owner has it; 0: it is the caller's; else -errno. */
static int acquire(struct thread *thread, const struct futex_key *key, _Atomic uint32_t *word, bool wait,
                   struct thread **owner)
{
	const struct pi_waiter *others = best_waiter(key);
	uint32_t old = *word, tid;

	for (;;) {
		tid = old & FUTEX_TID_MASK;
		if (tid == (uint32_t)thread->tid)
			return -EDEADLK;
		if (!tid) {
			uint32_t new = (uint32_t)thread->tid | (old & FUTEX_OWNER_DIED) |
			               (others ? FUTEX_WAITERS : 0);

			if (atomic_compare_exchange_strong(word, &old, new))
				return 0;
			continue;
		}
		if (!wait)
			return -EAGAIN;
		*owner = thread_find((int)tid);
		if (!*owner || (*owner)->private->left_futexes)
			return -ESRCH;
		if (others && others->owner != *owner)
			return -EINVAL;
		if (waits_for(*owner, thread))
			return -EDEADLK;
		if (old & FUTEX_WAITERS || atomic_compare_exchange_strong(word, &old, old | FUTEX_WAITERS))
			return 1;
	}
}

long futex_lock_pi(struct thread *thread, uint64_t address, bool private, bool wait, deadline_t deadline)
{
	struct pi_waiter waiter = {.thread = thread, .address = address};
	_Atomic uint32_t *word;
	int result = futex_key_of(thread, address, private, &waiter.key);

	if (result)
		return result;
	word = futex_word(thread->process->mm, address);
	if (!word)
		return -EFAULT;
	result = acquire(thread, &waiter.key, word, wait, &waiter.owner);
	if (result <= 0)
		return result;
	waiter_add(&waiter);
	lend(waiter.owner);
	result = 0;
	while (!waiter.granted && !result)
		result = waitq_wait(&waiter.queue, true, deadline);
	if (waiter.granted)
		return 0;
	waiter_remove(&waiter);
	lend(waiter.owner);
	return result == -EINTR ? -EINTR_ALWAYS : result;
}

long futex_unlock_pi(struct thread *thread, uint64_t address, bool private)
{
	struct futex_key key;
	struct pi_waiter *next;
	_Atomic uint32_t *word;
	uint32_t old;
	int error = futex_key_of(thread, address, private, &key);

	if (error)
		return error;
	word = futex_word(thread->process->mm, address);
	if (!word)
		return -EFAULT;
	old = *word;
	if ((old & FUTEX_TID_MASK) != (uint32_t)thread->tid)
		return -EPERM;
	next = best_waiter(&key);
	if (next && next->owner != thread)
		return -EINVAL;
	if (next)
		grant(next, word, 0);
	else
		*word = 0;
	return 0;
}

void futex_pi_exit(struct thread *thread)
{
	thread->private->left_futexes = thread->private->exiting; /* not if it executes a program */
	for (;;) {
		struct pi_waiter *waiter = waiters;
		struct futex_key key;
		_Atomic uint32_t *word;
		struct mm *mm;

		while (waiter && waiter->owner != thread)
			waiter = waiter->next;
		if (!waiter)
			return;
		/* Reaching the word may wait, and this waiter be gone then. */
		key = waiter->key;
		mm = mm_get(waiter->thread->process->mm);
		word = futex_word(mm, waiter->address);
		waiter = best_waiter(&key);
		if (waiter && waiter->owner == thread)
			grant(waiter, word, FUTEX_OWNER_DIED);
		mm_put(mm);
	}
}
