/* SPDX-License-Identifier: MIT */
/*
 * Synchronous IPC: a message passes when a sender and a receiver are both there. Who comes first waits, by
 * priority. A caller that was received waits on in the Reply (reply.c).
 */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/message.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>
#include <kernel/trace.h>

static bool message_is_native(const struct thread *sender)
{
	return sender->message == MESSAGE_CALL || sender->message == MESSAGE_SEND;
}

/*
 * The message passes. Neither is in a queue; the receiver's registers are set. The sender of a call comes to
 * wait in `reply`, any other goes on.
 */
static void endpoint_deliver(struct thread *sender, struct thread *receiver, struct reply *reply)
{
	trace(TRACE_MESSAGE, sender->message, sender, (uint64_t)receiver, sender->badge,
	      *context_info(&sender->context), 0);
	if (message_is_native(sender))
		message_transfer(sender, receiver);
	else
		message_transfer_kernel(sender, receiver);
	*context_cap(&receiver->context) = sender->badge;
	*context_status(&receiver->context) = ERR_NONE;
	if (sender->message != MESSAGE_SEND) {
		sender->state = THREAD_STATE_BLOCKED_REPLY;
		reply_take(reply, sender, receiver);
	}
}

/* Can this call be received, with this Reply? */
static enum error endpoint_check_call(const struct thread *sender, const struct thread *receiver,
                                      const struct reply *reply)
{
	if (!reply)
		return ERR_STATE;
	/* No context crosses CPUs, and the receiver has none of its own. */
	if (sender->home != receiver->home && !receiver->own)
		return ERR_REMOTE;
	return sender->depth < CHAIN_MAX ? ERR_NONE : ERR_LIMIT;
}

static bool sender_wants_reply(const struct thread *sender)
{
	return sender->message != MESSAGE_SEND;
}

/* The receiver that waits in front: it leaves the queue, and its expected Reply is handed out. */
static struct thread *endpoint_take_receiver(struct thread *receiver, struct reply **reply)
{
	thread_unqueue(receiver);
	*reply = receiver->reply;
	receiver->reply = NULL;
	if (*reply) {
		(*reply)->state = REPLY_IDLE;
		(*reply)->holder = NULL;
	}
	return receiver;
}

/* ---- sending ---- */

enum error endpoint_send(struct endpoint *endpoint, struct thread *sender, deadline_t deadline)
{
	struct thread *receiver = queue_first(&endpoint->receivers);
	struct reply *reply;

	if (endpoint->closed)
		return ERR_CLOSED;
	if (!receiver) {
		if (deadline != DEADLINE_NEVER && deadline <= arch_time())
			return ERR_TIMEOUT;
		if (!chain_extend(endpoint, sender))
			return ERR_LIMIT;
		thread_block(sender, THREAD_STATE_BLOCKED_SEND, &endpoint->senders, deadline);
		return ERR_NONE;
	}
	if (sender_wants_reply(sender)) {
		enum error error = endpoint_check_call(sender, receiver, receiver->reply);

		if (error)
			return error;
	}
	endpoint_take_receiver(receiver, &reply);
	if (!sender_wants_reply(sender)) {
		endpoint_deliver(sender, receiver, reply);
		thread_wake(receiver);
		return ERR_NONE;
	}
	sender->state = THREAD_STATE_BLOCKED_REPLY;
	sched_leave(sender);
	endpoint_deliver(sender, receiver, reply);
	thread_wake_first(receiver);
	return ERR_NONE;
}

/* A status of syscall.h: of the message up to here. */
static unsigned syscall_send_kind(struct thread *thread, enum message_kind kind)
{
	struct capability capability;
	enum error error = cspace_read(thread, *context_cap(&thread->context), OBJECT_ENDPOINT, RIGHT_WRITE,
	                               &capability);

	if (!error && capability_home(&capability) != this_cpu())
		return go_to(capability_home(&capability));
	if (!error)
		error = message_check(thread, *context_info(&thread->context),
		                      capability_rights(&capability) & RIGHT_GRANT);
	if (error)
		return error;
	thread->message = (uint8_t)kind;
	thread->badge = capability.badge;
	return endpoint_send(capability.object, thread, *context_deadline(&thread->context));
}

static bool thread_is_blocked(const struct thread *thread)
{
	return thread->state >= THREAD_STATE_BLOCKED_SEND && thread->state <= THREAD_STATE_BLOCKED_WAIT;
}

unsigned syscall_call(struct thread *thread)
{
	unsigned status = syscall_send_kind(thread, MESSAGE_CALL);

	return status ? status : STATUS_BLOCKED;
}

unsigned syscall_send(struct thread *thread)
{
	unsigned status = syscall_send_kind(thread, MESSAGE_SEND);

	return !status && thread_is_blocked(thread) ? STATUS_BLOCKED : status;
}

/* ---- receiving ---- */

/* Take one queued message. False: it had to be refused. */
static bool endpoint_accept(struct thread *sender, struct thread *receiver, struct reply *reply)
{
	enum error error =
	        sender_wants_reply(sender) ? endpoint_check_call(sender, receiver, reply) : ERR_NONE;

	if (error) {
		thread_cancel(sender, error);
		return false;
	}
	thread_unqueue(sender);
	endpoint_deliver(sender, receiver, reply);
	if (!sender_wants_reply(sender)) {
		*context_status(&sender->context) = ERR_NONE;
		thread_wake(sender);
	}
	return true;
}

unsigned endpoint_recv(struct endpoint *endpoint, struct thread *receiver, struct reply *reply)
{
	deadline_t deadline = *context_deadline(&receiver->context);
	struct thread *sender;

	if (reply && reply->state != REPLY_IDLE)
		return ERR_STATE;
	if (receiver->active)
		reply_park(receiver->active);
	endpoint_set_owner(endpoint, receiver);
	if (notification_take_bound(receiver))
		return RECV_NOTIFICATION;
	while ((sender = queue_first(&endpoint->senders))) {
		if (endpoint_accept(sender, receiver, reply))
			return ERR_NONE;
		if (preempt_wanted())
			return STATUS_RESTART;
	}
	if (deadline != DEADLINE_NEVER && (!deadline || deadline <= arch_time()))
		return ERR_TIMEOUT;
	if (reply) {
		reply->state = REPLY_EXPECTING;
		reply->holder = receiver;
	}
	receiver->reply = reply;
	thread_block(receiver, THREAD_STATE_BLOCKED_RECV, &endpoint->receivers, deadline);
	return STATUS_BLOCKED;
}

unsigned syscall_recv(struct thread *thread)
{
	cptr_t index = (cptr_t)*context_reply(&thread->context);
	struct capability endpoint, reply = {0};
	enum error error = cspace_read_local(thread, *context_cap(&thread->context), OBJECT_ENDPOINT,
	                                     RIGHT_READ, &endpoint);

	if (!error && index)
		error = cspace_read_local(thread, index, OBJECT_REPLY, 0, &reply);
	return error ? error : endpoint_recv(endpoint.object, thread, reply.object);
}

/* ---- closing ---- */

bool endpoint_fail_one(struct endpoint *endpoint, bool receivers_too)
{
	struct thread *thread = queue_first(&endpoint->senders);

	if (!thread && receivers_too)
		thread = queue_first(&endpoint->receivers);
	if (!thread)
		return false;
	thread_cancel(thread, ERR_CLOSED);
	return true;
}

bool endpoint_destroy(struct endpoint *endpoint)
{
	if (endpoint_fail_one(endpoint, true))
		return false;
	endpoint_set_owner(endpoint, NULL);
	return true;
}

static unsigned endpoint_close(struct endpoint *endpoint)
{
	endpoint->closed = true;
	while (endpoint_fail_one(endpoint, false)) {
		if (preempt_wanted())
			return STATUS_RESTART;
	}
	return ERR_NONE;
}

unsigned endpoint_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	struct endpoint *endpoint = slot_object(slot);

	if (!arguments_zero(caller, 0))
		return ERR_ARGUMENT;
	if (go_home(slot))
		return STATUS_RESTART;
	if (operation == ENDPOINT_CLOSE)
		return endpoint_close(endpoint);
	endpoint->closed = false;
	return ERR_NONE;
}
