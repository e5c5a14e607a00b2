/* SPDX-License-Identifier: MIT */
/*
 * What threads that wait lend to the thread that they wait for: to the holder of the active Reply that their
 * call is in, or to the owner of the endpoint in whose queue they are. Priority and context go along whole
 * chains.
 *
 *   priority  the highest of: its base priority, its caller's, that of the first sender in its endpoint's
 * queue sched     its caller's, or without a caller of the same home its own; if that has no budget left, the
 * first of these that has: the queued senders' by priority, its own depth     hops of the longest chain that
 * ends at it
 *
 * The owner of an endpoint is the thread that last asked to receive from it. There are no cycles: who waits,
 * through however many others, for an endpoint of its own ceases to be its owner. No chain is longer than
 * CHAIN_MAX hops.
 */
#pragma once

#include <kernel/thread.h>

#define CHAIN_MAX 16
/* So many queued senders are looked at for one that has budget left. */
#define CHAIN_HELPERS 16

/* A kernel for tests, that shows what happens without. */
#ifdef PITH_NO_INHERITANCE
#define INHERIT false
#else
#define INHERIT true
#endif

struct endpoint;

/* The priority of the most urgent thread that waits for this one, whose home this CPU is; 0: nobody does. */
unsigned thread_lent(const struct thread *thread);
/*
 * Its base priority, its own context, the budget of a context or what waits for it has changed: make
 * priority, context and depth, and its place in queues, right again; and those of the thread that it waits
 * for, and so on.
 */
void thread_inherit(struct thread *thread);

/* owner NULL: nobody. */
void endpoint_set_owner(struct endpoint *endpoint, struct thread *owner);
/* The thread has come into the queue of senders, or has left it. */
void endpoint_sender_came(struct endpoint *endpoint, struct thread *sender);
void endpoint_sender_left(struct endpoint *endpoint, struct thread *sender);
/* The running thread is about to wait in the queue of senders. False, and nothing changed: the chain would be
 * too long. */
bool chain_extend(struct endpoint *endpoint, struct thread *sender);
