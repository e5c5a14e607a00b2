/* SPDX-License-Identifier: MIT */
/* What wait.c knows of each fiber: lies on the fiber's own stack, reached by fiber_local(). */
#pragma once

#include "deadline.h"
#include "wait.h"

struct fiber_context {
	struct thread *thread; /* NULL: a fiber of the server's own */
	struct fiber *fiber;
	struct deadline deadline;
	bool suspended; /* inside wait_suspend */
	bool interruptible;
	bool killable; /* interruptible, but only by what ends the thread */
	bool woken; /* by a queue, since the last wait_suspend returned */
	bool timed_out;
};

/* First thing on a new fiber. */
void fiber_context_begin(struct fiber_context *context, struct thread *thread);
/* The fiber's thread is gone. */
void fiber_context_forget(void);
/* A signal is deliverable or the thread is to end: leave an interruptible wait. */
void fiber_context_interrupt(struct fiber *fiber);
/* Fibers for this many threads; false: no memory. */
bool fibers_reserve(unsigned threads);
/* fiber_start with a pool that grows; NULL: no memory. */
struct fiber *fiber_begin(void (*function)(void *), void *argument);
