/* SPDX-License-Identifier: MIT */
/* Waiting on queues, deadlines and signals: the glue between fibers, threads and the event loop. */
#include <errno.h>
#include <stdlib.h>
#include <pith/log.h>
#include <pith/startup.h>
#include "fiber_context.h"
#include "pools.h"
#include "thread.h"

static struct fiber_context *current_context(void)
{
	return fiber_local();
}

static void context_timeout(struct deadline *deadline)
{
	struct fiber_context *context =
	        (struct fiber_context *)((char *)deadline - offsetof(struct fiber_context, deadline));

	context->timed_out = true;
	fiber_resume(context->fiber);
}

void fiber_context_begin(struct fiber_context *context, struct thread *thread)
{
	*context = (struct fiber_context){.thread = thread, .fiber = fiber_current()};
	context->deadline.fire = context_timeout;
	fiber_set_local(context);
}

void fiber_context_forget(void)
{
	current_context()->thread = NULL;
}

void fiber_context_interrupt(struct fiber *fiber)
{
	struct fiber_context *context = fiber_local_of(fiber);

	if (context && context->suspended && context->interruptible)
		fiber_resume(fiber);
}

struct thread *current_thread(void)
{
	struct fiber_context *context = current_context();

	return context ? context->thread : NULL;
}

/* ---- queues ---- */

void waitq_add(struct waitq *queue, struct waiter *waiter)
{
	waiter->fiber = fiber_current();
	waiter->woken = false;
	waiter->next = NULL;
	waiter->previous = queue->last;
	if (queue->last)
		queue->last->next = waiter;
	else
		queue->first = waiter;
	queue->last = waiter;
}

static void unlink_waiter(struct waitq *queue, struct waiter *waiter)
{
	if (waiter->previous)
		waiter->previous->next = waiter->next;
	else
		queue->first = waiter->next;
	if (waiter->next)
		waiter->next->previous = waiter->previous;
	else
		queue->last = waiter->previous;
	waiter->next = waiter->previous = NULL;
}

void waitq_remove(struct waitq *queue, struct waiter *waiter)
{
	if (!waiter->woken)
		unlink_waiter(queue, waiter);
}

static void wake_first(struct waitq *queue)
{
	struct waiter *waiter = queue->first;
	struct fiber_context *context;

	unlink_waiter(queue, waiter);
	waiter->woken = true;
	context = fiber_local_of(waiter->fiber);
	context->woken = true;
	if (context->suspended)
		fiber_resume(waiter->fiber);
}

void waitq_wake_one(struct waitq *queue)
{
	queue->wakes[WAKE_ANY]++;
	if (queue->first)
		wake_first(queue);
}

void waitq_wake_for(struct waitq *queue, enum wake wake)
{
	queue->wakes[wake]++;
	while (queue->first)
		wake_first(queue);
}

void waitq_wake_all(struct waitq *queue)
{
	waitq_wake_for(queue, WAKE_ANY);
}

bool waitq_empty(const struct waitq *queue)
{
	return !queue->first;
}

/* ---- suspending ---- */

static bool interrupted(const struct fiber_context *context)
{
	if (!context->interruptible || !context->thread)
		return false;
	return context->killable ? signal_fatal(context->thread) : signal_pending(context->thread);
}

int wait_suspend(bool interruptible, deadline_t deadline)
{
	struct fiber_context *context = current_context();
	int result = 0;

	if (!context)
		fatal("wait: not on a fiber");
	context->interruptible = interruptible;
	context->timed_out = false;
	if (deadline != DEADLINE_NEVER && !deadline_set(&context->deadline, deadline))
		return -ENOMEM;
	context->suspended = true;
	if (context->thread)
		context->thread->process->used.waits++;
	while (!context->woken && !context->timed_out && !interrupted(context))
		fiber_suspend();
	context->suspended = false;
	deadline_cancel(&context->deadline);
	if (context->woken)
		result = 0;
	else if (interrupted(context))
		result = -EINTR;
	else
		result = -ETIMEDOUT;
	context->woken = false;
	return result;
}

int waitq_wait(struct waitq *queue, bool interruptible, deadline_t deadline)
{
	struct waiter waiter;
	int result;

	waitq_add(queue, &waiter);
	result = wait_suspend(interruptible, deadline);
	waitq_remove(queue, &waiter);
	return result;
}

bool wait_yield(void)
{
	const struct thread *thread = current_thread();

	wait_suspend(false, time_now());
	return !thread || !thread->private->exiting;
}

int waitq_wait_killable(struct waitq *queue)
{
	struct fiber_context *context = current_context();
	int result;

	context->killable = true;
	result = waitq_wait(queue, true, DEADLINE_NEVER);
	context->killable = false;
	return result;
}

int wait_until(deadline_t deadline)
{
	int result;

	do
		result = wait_suspend(true, deadline);
	while (!result);
	return result == -ETIMEDOUT ? 0 : result;
}

/* ---- the server's own fibers ---- */

struct spawned {
	void (*function)(void *);
	void *argument;
};

static void spawned_run(void *argument)
{
	struct spawned spawned = *(struct spawned *)argument;
	struct fiber_context context;

	free(argument);
	fiber_context_begin(&context, NULL);
	spawned.function(spawned.argument);
}

/*
 * Fibers are made before they are needed: one for each thread, and some for the server itself (write-back,
 * the exec channel …). So a thread's call never lacks one; what fails with ENOMEM is the making of the
 * thread.
 */
#define FIBERS_OWN 16
static unsigned fiber_total;

bool fibers_reserve(unsigned threads)
{
	while (fiber_total < threads + FIBERS_OWN) {
		void *stack = pages_take_stack();

		if (!stack)
			stack = aligned_alloc(PAGE_SIZE, FIBER_STACK_SIZE);
		if (!stack || !fiber_pool_add_stack(stack, FIBER_STACK_SIZE))
			return false;
		fiber_total++;
	}
	return true;
}

struct fiber *fiber_begin(void (*function)(void *), void *argument)
{
	if (!fiber_pool_free() && !fibers_reserve(fiber_total + 1 - FIBERS_OWN))
		return NULL;
	return fiber_start(function, argument);
}

void fiber_spawn(void (*function)(void *), void *argument)
{
	struct spawned *spawned = malloc(sizeof(*spawned));

	if (spawned)
		*spawned = (struct spawned){function, argument};
	if (!spawned || !fiber_begin(spawned_run, spawned))
		fatal("fiber: out of memory");
}
