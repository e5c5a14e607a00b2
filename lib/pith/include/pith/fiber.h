/* SPDX-License-Identifier: MIT */
/*
 * Fibers: small stackful coroutines for servers that work on many requests at once in one thread. A fiber
 * runs until it suspends itself (for a disk, a lock, another process); the server's loop then goes on with
 * others. Nothing here enters the kernel, and nothing is preemptive: between two suspensions a fiber has the
 * whole component to itself. One thread of a component only.
 *
 * The loop: handle events (which resume fibers), fiber_run_all(), sleep.
 */
#pragma once

#include <abi/types.h>

typedef void fiber_function(void *argument);

struct fiber;

/* Once, before anything else: `count` fibers with stacks of stack_size bytes (a multiple of 4 KiB). false: no
 * memory. May be called again to add more. */
bool fiber_pool_add(unsigned count, size_t stack_size);
/* One fiber on memory of the caller's own, which it never gets back. */
bool fiber_pool_add_stack(void *stack, size_t stack_size);
unsigned fiber_pool_free(void);

/* A suspended fiber that will run function(argument); NULL: the pool is exhausted. It goes back to the pool
 * when the function returns. */
struct fiber *fiber_create(fiber_function *function, void *argument);
/* fiber_create and fiber_resume in one. */
struct fiber *fiber_start(fiber_function *function, void *argument);
/* The running fiber; NULL in the loop. */
struct fiber *fiber_current(void);
/* Fiber only: back to the loop, until somebody resumes this fiber. Callers wait for a condition in a loop: a
 * resume says no reason. */
void fiber_suspend(void);
/* Fiber only: let all others that are runnable go first. */
void fiber_yield(void);
/* From the loop or another fiber: make it runnable, behind those that are. No effect unless it is suspended.
 */
void fiber_resume(struct fiber *fiber);
/* Loop only: run fibers until none is runnable. */
void fiber_run_all(void);
bool fiber_any_runnable(void);
/* A pointer of the fiber's own, NULL at creation (in the loop: one of the loop's). */
void *fiber_local(void);
void fiber_set_local(void *value);
/* The fiber's, from outside. */
void *fiber_local_of(struct fiber *fiber);

/*
 * Wait queues: FIFO. An entry is usually on the waiting fiber's stack; with several entries a fiber waits for
 * several queues (poll). Waking removes the entry from its queue first, then runs its callback, so that a
 * callback may free or queue it again.
 */
struct wait_queue {
	struct wait_entry *first, *last;
};

struct wait_entry;
typedef void wait_callback(struct wait_entry *entry);

struct wait_entry {
	struct wait_entry *next, *previous;
	struct wait_queue *queue; /* NULL: not queued */
	struct fiber *fiber;      /* resumed, if there is no callback */
	wait_callback *callback;
	void *data; /* the owner's */
	int result; /* given by the waker */
	bool woken;
};

#define WAIT_QUEUE_INIT    \
	{                  \
		NULL, NULL \
	}

static inline bool wait_queue_empty(const struct wait_queue *queue)
{
	return queue->first == NULL;
}

/* Fiber only: waits at the end of the queue; returns what the waker gave (0, or an error of the caller's own
 * kind). */
int wait_queue_wait(struct wait_queue *queue);
/* false: nobody waited */
bool wait_queue_wake_one(struct wait_queue *queue, int result);
unsigned wait_queue_wake_all(struct wait_queue *queue, int result);
/* Takes the fiber out of the wait_queue_wait that it is in, which returns `result` (signals, timeouts).
 * false: it is in none. */
bool fiber_cancel_wait(struct fiber *fiber, int result);

/* The parts, for waiting on several queues: initialise for the current fiber, add each, fiber_suspend until
 * one is woken, remove all. */
void wait_entry_init(struct wait_entry *entry);
void wait_queue_add(struct wait_queue *queue, struct wait_entry *entry);
void wait_entry_remove(struct wait_entry *entry); /* not queued: no effect */
void wait_entry_wake(struct wait_entry *entry, int result);

/* Locks are handed over to the first waiter, so they are fair and nobody starves. Not recursive. Zeroed
 * memory is an unlocked lock. */
struct fiber_mutex {
	struct fiber *owner;
	struct wait_queue waiters;
};
void fiber_mutex_lock(struct fiber_mutex *mutex);
bool fiber_mutex_try_lock(struct fiber_mutex *mutex);
void fiber_mutex_unlock(struct fiber_mutex *mutex);

struct fiber_rwlock {
	unsigned readers;
	struct fiber *writer;
	struct wait_queue waiters; /* entry.data: NULL for a reader, not NULL for a writer */
};
void fiber_rwlock_read(struct fiber_rwlock *lock);
void fiber_rwlock_write(struct fiber_rwlock *lock);
void fiber_rwlock_downgrade(struct fiber_rwlock *lock); /* the writer becomes a reader, nobody in between */
void fiber_rwlock_unlock_read(struct fiber_rwlock *lock);
void fiber_rwlock_unlock_write(struct fiber_rwlock *lock);
