/* SPDX-License-Identifier: MIT */
/* Threads: their states and bindings. The operations on their capability are in thread_invoke.c. */
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/delete.h>
#include <kernel/trace.h>

void thread_init(struct thread *thread, struct cpu *home)
{
	arch_context_init(&thread->context);
	arch_vector_init(&thread->vector);
	thread->state = THREAD_STATE_STOPPED;
	thread->home = thread->cpu = home;
	thread->deadline.kind = DEADLINE_THREAD;
	trace_name(thread, NULL);
	for (unsigned i = 0; i < THREAD_BINDING_COUNT; i++)
		thread->bindings[i].place = (uint8_t)(PLACE_THREAD + i);
}

/* ---- waiting ---- */

void thread_block(struct thread *thread, unsigned state, struct wait_queue *queue, deadline_t deadline)
{
	thread->state = (uint8_t)state;
	sched_leave(thread);
	if (queue) {
		thread->waits_on = queue;
		queue_insert(queue, thread);
		if (state == THREAD_STATE_BLOCKED_SEND)
			endpoint_sender_came(endpoint_of_senders(queue), thread);
	}
	if (deadline != DEADLINE_NEVER)
		deadline_arm(&thread->deadline, deadline);
}

void thread_unqueue(struct thread *thread)
{
	struct wait_queue *queue = thread->waits_on;

	if (queue) {
		queue_remove(queue, thread);
		thread->waits_on = NULL;
		if (thread->state == THREAD_STATE_BLOCKED_SEND)
			endpoint_sender_left(endpoint_of_senders(queue), thread);
	}
	deadline_disarm(&thread->deadline);
}

void thread_wake(struct thread *thread)
{
	thread->state = THREAD_STATE_READY;
	sched_enqueue(thread);
}

void thread_wake_first(struct thread *thread)
{
	thread->state = THREAD_STATE_READY;
	sched_enqueue_first(thread);
}

static bool thread_waits(const struct thread *thread)
{
	return thread->state >= THREAD_STATE_BLOCKED_SEND && thread->state <= THREAD_STATE_BLOCKED_WAIT;
}

/* In a call or send, or in a message that the kernel sent for it. */
static bool thread_sends_for_kernel(const struct thread *thread)
{
	return (thread->state == THREAD_STATE_BLOCKED_SEND || thread->state == THREAD_STATE_BLOCKED_REPLY) &&
	       (thread->message == MESSAGE_FAULT || thread->message == MESSAGE_FOREIGN);
}

void thread_cancel(struct thread *thread, enum error status)
{
	bool for_kernel = thread_sends_for_kernel(thread);

	if (!thread_waits(thread))
		return;
	thread_unqueue(thread);
	if (thread->reply)
		reply_release(thread->reply);
	if (!for_kernel) {
		*context_status(&thread->context) = status;
		thread_wake(thread);
		return;
	}
	/* It did not ask for anything that could return a status: it stays stopped, and would do the same
	 * again. */
	if (thread->message == MESSAGE_FOREIGN)
		context_restart(&thread->context);
	thread->state = THREAD_STATE_STOPPED;
}

void thread_stop(struct thread *thread)
{
	kernel_assert(!thread_waits(thread));
	sched_dequeue(thread);
	thread->state = THREAD_STATE_STOPPED;
	sched_leave(thread);
}

void thread_suspend(struct thread *thread)
{
	thread_cancel(thread, ERR_CANCELED);
	thread_stop(thread);
}

/* ---- bindings ---- */

void thread_binding_filled(struct thread *thread, unsigned binding)
{
	void *object = slot_object(&thread->bindings[binding]);

	switch (binding) {
	case BIND_NOTIFICATION:
		((struct notification *)object)->bound = thread;
		break;
	case BIND_SCHED_CONTEXT:
		sched_context_bind(object, thread);
		break;
	default:
		break;
	}
}

void thread_binding_cleared(struct thread *thread, unsigned binding)
{
	switch (binding) {
	case BIND_CSPACE:
	case BIND_VSPACE:
		if (thread->state != THREAD_STATE_DEAD)
			thread_suspend(thread);
		break;
	case BIND_NOTIFICATION:
		((struct notification *)slot_object(&thread->bindings[binding]))->bound = NULL;
		break;
	case BIND_SCHED_CONTEXT:
		sched_context_unbind(thread->own);
		break;
	default:
		break;
	}
}

void thread_destroy(struct thread *thread)
{
	thread_suspend(thread);
	if (thread->active)
		reply_fail(thread->active);
	if (thread->owns)
		endpoint_set_owner(thread->owns, NULL);
	arch_vector_drop(thread);
	thread->state = THREAD_STATE_DEAD;
	for (unsigned i = 0; i < THREAD_BINDING_COUNT; i++)
		slot_unbind(&thread->bindings[i]);
}
