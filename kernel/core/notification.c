/* SPDX-License-Identifier: MIT */
/* Notifications: signals never wait; a waiter takes all bits at once. */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>
#include <kernel/trace.h>

static void notification_give(struct thread *thread, enum error status, uint64_t bits)
{
	*context_status(&thread->context) = status;
	*context_cap(&thread->context) = bits;
	*context_info(&thread->context) = 0;
	thread_wake(thread);
}

void notification_signal(struct notification *notification, uint64_t bits)
{
	struct thread *waiter = queue_first(&notification->waiters);
	struct thread *bound = notification->bound;

	trace(TRACE_SIGNAL, 0, this_cpu()->current, (uint64_t)notification, bits,
	      (uint64_t)(waiter ? waiter : bound), 0);
	notification->bits |= bits;
	if (!notification->bits)
		return;
	if (waiter) {
		bits = notification->bits;
		notification->bits = 0;
		thread_unqueue(waiter);
		notification_give(waiter, ERR_NONE, bits);
	} else if (bound && thread_owner(bound) == this_cpu() && bound->state == THREAD_STATE_BLOCKED_RECV) {
		bits = notification->bits;
		notification->bits = 0;
		thread_unqueue(bound);
		if (bound->reply)
			reply_release(bound->reply);
		notification_give(bound, (enum error)RECV_NOTIFICATION, bits);
	}
}

bool notification_take_bound(struct thread *thread)
{
	struct notification *notification = slot_object(&thread->bindings[BIND_NOTIFICATION]);

	if (!notification || !notification->bits)
		return false;
	*context_cap(&thread->context) = notification->bits;
	*context_info(&thread->context) = 0;
	notification->bits = 0;
	return true;
}

bool notification_fail_one(struct notification *notification)
{
	struct thread *thread = queue_first(&notification->waiters);

	if (!thread)
		return false;
	thread_cancel(thread, ERR_CLOSED);
	return true;
}

/* The object is alive only as long as the capability is there. */
static enum error signal_remote(struct thread *thread)
{
	struct slot *slot;
	enum error error;

	lock_take(&tree_lock);
	error = cspace_find(thread, *context_cap(&thread->context), OBJECT_NOTIFICATION, RIGHT_WRITE, &slot);
	if (!error)
		notification_signal_remote(slot_object(slot), cpu_at(slot->home), slot->badge);
	lock_release(&tree_lock);
	return error;
}

unsigned syscall_signal(struct thread *thread)
{
	struct capability capability;
	enum error error = cspace_read_local(thread, *context_cap(&thread->context), OBJECT_NOTIFICATION,
	                                     RIGHT_WRITE, &capability);

	if (error == ERR_REMOTE)
		return signal_remote(thread);
	if (!error)
		notification_signal(capability.object, capability.badge);
	return error;
}

unsigned syscall_wait(struct thread *thread)
{
	deadline_t deadline = *context_deadline(&thread->context);
	struct notification *notification;
	struct capability capability;
	enum error error = cspace_read_local(thread, *context_cap(&thread->context), OBJECT_NOTIFICATION,
	                                     RIGHT_READ, &capability);

	if (error)
		return error;
	notification = capability.object;
	if (notification->bits) {
		*context_cap(&thread->context) = notification->bits;
		notification->bits = 0;
		return ERR_NONE;
	}
	if (deadline != DEADLINE_NEVER && (!deadline || deadline <= arch_time()))
		return ERR_TIMEOUT;
	thread_block(thread, THREAD_STATE_BLOCKED_WAIT, &notification->waiters, deadline);
	return STATUS_BLOCKED;
}
