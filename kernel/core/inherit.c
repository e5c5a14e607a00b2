/* SPDX-License-Identifier: MIT */
#include <kernel/cpu.h>
#include <kernel/inherit.h>
#include <kernel/reply.h>
#include <kernel/sched.h>

static struct thread *thread_caller(const struct thread *thread)
{
	return thread->active ? thread->active->caller : NULL;
}

/* Who lends it a context: its caller, if that lives on the same CPU. Priority crosses CPUs, contexts do not.
 */
struct thread *thread_lender(const struct thread *thread)
{
	struct thread *caller = thread_caller(thread);

	return caller && caller->home == thread->home ? caller : NULL;
}

/* The thread that it waits for; NULL: none, or one that nobody knows yet. */
static struct thread *thread_waits_for(const struct thread *thread)
{
	return thread->state == THREAD_STATE_BLOCKED_REPLY && thread->reply ? thread->reply->holder : NULL;
}

static void thread_change_priority(struct thread *thread, unsigned priority)
{
	sched_dequeue(thread);
	if (thread->waits_on)
		queue_remove(thread->waits_on, thread);
	thread->priority = (uint8_t)priority;
	if (thread->waits_on)
		queue_insert(thread->waits_on, thread);
}

/* Its state says that it may run: does the scheduler agree? */
static void thread_place(struct thread *thread)
{
	if (thread->state == THREAD_STATE_RUNNING && !sched_context_usable(thread->sched)) {
		thread->state = THREAD_STATE_READY;
		sched_leave(thread);
	}
	if (thread->state != THREAD_STATE_READY)
		return;
	if (sched_context_usable(thread->sched))
		sched_enqueue(thread);
	else
		sched_dequeue(thread);
}

void thread_inherit(struct thread *thread)
{
	for (; thread; thread = thread_waits_for(thread)) {
		const struct thread *caller = thread_caller(thread);
		unsigned priority = thread->base_priority;

		if (caller && caller->priority > priority)
			priority = caller->priority;
		if (thread->priority != priority)
			thread_change_priority(thread, priority);
		thread->sched = thread_lender(thread) ? caller->sched : thread->own;
		thread_place(thread);
	}
}
