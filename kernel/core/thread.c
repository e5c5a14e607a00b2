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
	thread->state = THREAD_STATE_STOPPED;
	thread->home = thread->cpu = home;
	thread->mail.kind = MAIL_THREAD;
	thread->boost.kind = MAIL_BOOST;
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
	if (!thread_is_armed_for(thread, deadline))
		thread_arm(thread, deadline);
}

void thread_arm(struct thread *thread, deadline_t deadline)
{
	deadline_disarm(&thread->deadline);
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

/* A visitor goes home first. */
static bool thread_goes_home(struct thread *thread)
{
	if (thread->home == this_cpu())
		return false;
	thread_travel(thread, thread_next_stop(thread), TRIP_HOME);
	return true;
}

void thread_wake(struct thread *thread)
{
	if (thread_goes_home(thread))
		return;
	thread->state = THREAD_STATE_READY;
	thread->late = false;
	sched_enqueue(thread);
}

void thread_wake_first(struct thread *thread)
{
	if (thread->late) {
		thread_wake(thread);
		return;
	}
	if (thread_goes_home(thread))
		return;
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

void thread_unanswered(struct thread *thread)
{
	const struct thread_fault *fault = &thread->fault;

	if (thread->message == MESSAGE_FOREIGN)
		context_restart(&thread->context);
	else if (fault->label == LABEL_INTERRUPTED)
		thread->poked = true;
	else if (fault->label == LABEL_EXCEPTION)
		thread->unsaid = arch_exception_is_trap(fault->word[0]);
}

/* It waits no more. True: it asked for something that can return this status. */
static bool thread_end_wait(struct thread *thread, enum error status)
{
	bool for_kernel = thread_sends_for_kernel(thread);

	thread_unqueue(thread);
	if (thread->reply)
		reply_release(thread->reply);
	if (!for_kernel) {
		*context_status(&thread->context) = status;
		return true;
	}
	thread_unanswered(thread);
	return false;
}

void thread_cancel(struct thread *thread, enum error status)
{
	if (!thread_waits(thread))
		return;
	if (thread_end_wait(thread, status))
		thread_wake(thread);
	else
		thread_stop(thread);
}

deadline_t thread_deadline(const struct thread *thread)
{
	if (!thread->waits_on || thread_sends_for_kernel(thread))
		return DEADLINE_NEVER;
	return *context_deadline((struct arch_context *)&thread->context);
}

void thread_expire(struct thread *thread, uint64_t now)
{
	deadline_t deadline = thread_deadline(thread);

	if (deadline <= now)
		thread_cancel(thread, ERR_TIMEOUT);
	else if (deadline != DEADLINE_NEVER)
		deadline_arm(&thread->deadline, deadline);
}

/* Last, and visible last, the owner changes. */
void thread_stop(struct thread *thread)
{
	deadline_disarm(&thread->deadline);
	sched_dequeue(thread);
	thread->state = THREAD_STATE_STOPPED;
	thread->canceled = false;
	sched_leave(thread);
	thread->away = false;
	__atomic_store_n(&thread->cpu, thread->home, __ATOMIC_RELEASE);
}

void thread_suspend(struct thread *thread)
{
	bool under_way = thread->away || thread->state == THREAD_STATE_TRAVELLING;

	if (thread_waits(thread))
		thread_end_wait(thread, ERR_CANCELED);
	else if (under_way && thread->trip == TRIP_CALL)
		context_restart(&thread->context); /* resumed it makes it */
	else if (under_way && thread->trip == TRIP_MESSAGE)
		thread_unanswered(thread);
	thread_stop(thread);
}

/* ---- bindings ---- */

void thread_binding_filled(struct thread *thread, unsigned binding)
{
	void *object = slot_object(&thread->bindings[binding]);

	switch (binding) {
	case BIND_NOTIFICATION:
		((struct notification *)object)->bound = thread;
		notification_signal(object, 0); /* it may have bits, and the thread wait in recv */
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
		/* Itself on a visit it has to go home first. */
		if (thread->state == THREAD_STATE_TRAVELLING ||
		    (thread->away && thread->state == THREAD_STATE_RUNNING))
			thread->canceled = true;
		else if (thread->state != THREAD_STATE_DEAD)
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
