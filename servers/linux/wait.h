/* SPDX-License-Identifier: MIT */
/*
 * Waiting. Every system call, fault and kernel-like activity of this server runs on a fiber
 * (lib/pith/fiber.h): code reads as if it blocked, the server never does. Fibers switch only inside the
 * functions below (and what calls them), so between two waits a fiber has the whole server to itself: no
 * locks are needed for what does not span a wait.
 */
#pragma once

#include <pith/fiber.h>
#include <abi/types.h>

struct thread;

struct waiter {
	struct waiter *next, *previous; /* in its queue; NULL when not queued */
	struct fiber *fiber;
	bool woken;
};

/* What a queue was woken for: poll's readers and writers sleep in one, and those who wait for an edge want to
 * know. */
enum wake { WAKE_ANY, WAKE_IN, WAKE_OUT, WAKE_QUIET /* no edge */, WAKE_KINDS };

/* Zero-initialised is empty. */
struct waitq {
	struct waiter *first, *last;
	uint32_t wakes[WAKE_KINDS]; /* how often, whoever slept: fs/poll.c */
};

void waitq_add(struct waitq *queue, struct waiter *waiter); /* for the current fiber */
void waitq_remove(struct waitq *queue,
                  struct waiter *waiter); /* also when it was woken and unlinked already */
void waitq_wake_one(struct waitq *queue);
void waitq_wake_all(struct waitq *queue);                 /* WAKE_ANY */
void waitq_wake_for(struct waitq *queue, enum wake wake); /* all of them too */
bool waitq_empty(const struct waitq *queue);

/*
 * Suspend the current fiber until a queue it was added to wakes it, a signal is deliverable to its thread
 * (interruptible) or the deadline passes. 0, -EINTR, -ETIMEDOUT, or at once -ENOMEM, if there is no room for
 * the deadline. A caller re-checks its condition: wakes may be spurious.
 */
int wait_suspend(bool interruptible, deadline_t deadline);
/* waitq_add, wait_suspend, waitq_remove: the usual case of one queue. */
int waitq_wait(struct waitq *queue, bool interruptible, deadline_t deadline);
/* In the middle of long work that waits for nothing: whoever is ready, new calls too, goes first. false: the thread is to end, and the
 * work for it. */
bool wait_yield(void);
/* Only what ends the thread interrupts it. */
int waitq_wait_killable(struct waitq *queue);
/* Sleep until the deadline (interruptible): 0, -EINTR or -ENOMEM */
int wait_until(deadline_t deadline);
/* The thread whose system call or fault this fiber serves; NULL for the server's own fibers. */
struct thread *current_thread(void);
/* Start a fiber of the server's own (write-back, exec channel reader …). */
void fiber_spawn(void (*function)(void *), void *argument);
