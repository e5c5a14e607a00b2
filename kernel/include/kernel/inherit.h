/* SPDX-License-Identifier: MIT */
/*
 * What threads that wait lend to the thread that they wait for: the caller of its active Reply lends its
 * scheduling context, and with it its claim to the CPU, and its priority.
 *
 *   priority = max(base_priority, caller's priority)
 *   sched    = caller's sched, or without a caller of the same home its own
 *
 * So contexts and priorities go along whole chains of calls.
 */
#pragma once

#include <kernel/thread.h>

/*
 * Its base priority, its own context, the budget of a context or what waits for it has changed: make priority
 * and context, and its place in queues, right again; and those of the thread that it waits for, and so on.
 */
void thread_inherit(struct thread *thread);
/* Whose context it runs on while it works for somebody; NULL: its own. */
struct thread *thread_lender(const struct thread *thread);
