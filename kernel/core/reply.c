/* SPDX-License-Identifier: MIT */
/*
 * Replies: answering a call, a fault, or a foreign system call.
 */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/inherit.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/message.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>
#include <kernel/trace.h>
#include <kernel/window.h>

#define REPLY_FLAGS_ALL (REPLY_STOP | REPLY_REGISTERS | REPLY_MAP | REPLY_CONSUME_POKE | REPLY_VSPACE)

void reply_take(struct reply *reply, struct thread *caller, struct thread *holder)
{
	kernel_assert(reply->state == REPLY_IDLE && !holder->active);
	reply->state = REPLY_ACTIVE;
	reply->caller = caller;
	reply->holder = holder;
	caller->reply = reply;
	holder->active = reply;
	thread_inherit(holder);
}

void reply_park(struct reply *reply)
{
	struct thread *holder = reply->holder;

	if (reply->state != REPLY_ACTIVE)
		return;
	holder->active = NULL;
	reply->holder = NULL;
	reply->state = REPLY_PARKED;
	thread_inherit(holder);
}

void reply_release(struct reply *reply)
{
	struct thread *worker = reply->state == REPLY_ACTIVE ? reply->holder : NULL;

	switch (reply->state) {
	case REPLY_EXPECTING:
		reply->holder->reply = NULL;
		break;
	case REPLY_ACTIVE:
		reply->holder->active = NULL;
		reply->caller->reply = NULL;
		break;
	case REPLY_PARKED:
		reply->caller->reply = NULL;
		break;
	default:
		break;
	}
	reply->state = REPLY_IDLE;
	reply->caller = reply->holder = NULL;
	if (worker)
		thread_inherit(worker);
}

void reply_fail(struct reply *reply)
{
	if (reply->caller)
		thread_cancel(reply->caller, ERR_PEER_DIED); /* releases this */
	else
		reply_release(reply);
}

/* ---- answering a native call ---- */

static void reply_to_call(struct thread *replier, struct thread *caller)
{
	message_transfer(replier, caller);
	*context_cap(&caller->context) = 0;
	*context_status(&caller->context) = ERR_NONE;
	thread_wake_first(caller);
}

/* ---- answering a message from the kernel ---- */

static struct slot *reply_vspace(const struct thread *replier)
{
	struct slot *slot;

	return cspace_find_source(replier, thread_buffer(replier)->caps[0], OBJECT_VSPACE, RIGHT_MANAGE,
	                          &slot)
	               ? NULL
	               : slot;
}

/* A large page is one entry, as a small one is. */
static inline bool map_is_bounded(uint64_t pages, uint64_t flags)
{
	return pages <= REPLY_MAP_PAGES || (flags & MAP_LARGE && pages <= REPLY_MAP_PAGES * LARGE_PAGES);
}

/* Everything but the mapping, which may fail: then the thread faults again. */
static enum error reply_check_kernel(struct thread *replier)
{
	uint64_t info = *context_info(&replier->context);
	uint32_t flags = message_label(info);

	if (flags & ~(uint32_t)REPLY_FLAGS_ALL)
		return ERR_ARGUMENT;
	if (flags & REPLY_REGISTERS && message_words(info) < REPLY_REGISTERS_WORDS)
		return ERR_ARGUMENT;
	if (flags & REPLY_MAP && !map_is_bounded(argument(replier, 4), argument(replier, 5)))
		return ERR_RANGE;
	if (flags & REPLY_VSPACE && !message_caps(info))
		return ERR_ARGUMENT;
	if (flags & REPLY_VSPACE && !reply_vspace(replier))
		return ERR_WRONG_TYPE;
	return ERR_NONE;
}

/* Read once: user space may change them at any time. */
static void reply_read_registers(const struct thread *replier, struct thread_registers *registers)
{
	__builtin_memcpy(registers, &thread_buffer(replier)->words[MESSAGE_REGISTER_WORDS],
	                 sizeof(*registers));
}

static bool registers_are_valid(const struct thread_registers *registers)
{
	struct arch_context scratch;

	arch_context_init(&scratch);
	return arch_context_write(&scratch, registers);
}

bool reply_registers(const struct thread *replier, struct thread *caller)
{
	struct thread_registers registers;

	reply_read_registers(replier, &registers);
	return thread_redirect(caller, &registers);
}

bool reply_map(struct thread *replier)
{
	const struct map_request request = {
	        .address = argument(replier, 2),
	        .page = argument(replier, 3),
	        .pages = argument(replier, 4),
	        .flags = argument(replier, 5),
	};

	if (!map_is_bounded(request.pages, request.flags))
		return false;
	/* It has made its tour: what this mapping replaced is in no TLB any more. */
	if (replier->flags & THREAD_RESTARTED) {
		replier->flags &= ~(uint32_t)THREAD_RESTARTED;
		return true;
	}
	lock_take(&tree_lock);
	window_map_for_reply(replier, argument(replier, 1), &request);
	lock_release(&tree_lock);
	if (!replier->tour)
		return true;
	replier->flags |= THREAD_RESTARTED;
	replier->progress = 0;
	return false;
}

/* False: the capability has gone meanwhile. */
static bool reply_change_vspace(struct thread *replier, struct thread *caller)
{
	struct slot *slot = &caller->bindings[BIND_VSPACE];
	struct slot *from;

	lock_take(&tree_lock);
	from = reply_vspace(replier);
	if (from) {
		if (!slot_empty(slot))
			slot_clear(slot);
		slot_derive(from, slot, from->rights);
	}
	lock_release(&tree_lock);
	return from;
}

/* A status of syscall.h. */
static unsigned reply_to_kernel(struct thread *replier, struct thread *caller)
{
	uint32_t flags = message_label(*context_info(&replier->context));
	enum error error = reply_check_kernel(replier);
	struct thread_registers registers;

	if (error)
		return error;
	if (flags & REPLY_REGISTERS) {
		reply_read_registers(replier, &registers);
		if (!registers_are_valid(&registers))
			return ERR_RANGE;
	}
	/* The fast path may have begun with it. */
	if (flags & REPLY_MAP && (replier->tour || !reply_map(replier)))
		return STATUS_RESTART;
	if (flags & REPLY_VSPACE && !reply_change_vspace(replier, caller))
		return ERR_WRONG_TYPE;
	if (flags & REPLY_REGISTERS)
		thread_redirect(caller, &registers);
	else if (caller->message == MESSAGE_FOREIGN)
		foreign_set_result(&caller->context, argument(replier, 0));
	if (flags & REPLY_CONSUME_POKE)
		caller->poked = false;
	reply_release(caller->reply);
	if (flags & REPLY_STOP || slot_empty(&caller->bindings[BIND_VSPACE]))
		thread_stop(caller);
	else
		thread_wake_first(caller);
	return ERR_NONE;
}

/* ---- system calls ---- */

/* A status of syscall.h. */
static unsigned reply_answer(struct thread *thread, struct reply *reply)
{
	struct thread *caller = reply->caller;
	enum error error;

	if (!caller)
		return ERR_STATE;
	error = message_check(thread, *context_info(&thread->context), true);
	if (error)
		return error;
	trace(TRACE_REPLY, caller->message, thread, (uint64_t)caller, *context_info(&thread->context), 0, 0);
	if (caller->message != MESSAGE_CALL)
		return reply_to_kernel(thread, caller);
	reply_release(reply);
	reply_to_call(thread, caller);
	return ERR_NONE;
}

unsigned syscall_reply(struct thread *thread)
{
	struct capability reply;
	enum error error =
	        cspace_read(thread, (cptr_t)*context_reply(&thread->context), OBJECT_REPLY, 0, &reply);

	if (error)
		return error;
	if (capability_home(&reply) != this_cpu())
		return go_to(capability_home(&reply));
	return reply_answer(thread, reply.object);
}

/*
 * Everything about the second half is checked before the first is done. An answer of CPTR_NULL means that
 * there is nothing to answer (also after a restart, when the answer has been given).
 */
unsigned syscall_reply_recv(struct thread *thread)
{
	cptr_t target = (cptr_t)*context_cap(&thread->context);
	cptr_t answer = (cptr_t)*context_reply(&thread->context);
	cptr_t receive = (cptr_t)(*context_reply(&thread->context) >> 32);
	cptr_t next = receive ? receive : answer;
	struct capability endpoint, answered = {0}, expected;
	unsigned status;
	enum error error = cspace_read_local(thread, *context_cap(&thread->context), OBJECT_ENDPOINT,
	                                     RIGHT_READ, &endpoint);

	if (!error && answer)
		error = cspace_read_local(thread, answer, OBJECT_REPLY, 0, &answered);
	if (!error)
		error = cspace_read_local(thread, next, OBJECT_REPLY, 0, &expected);
	if (error)
		return error;
	if (expected.object != answered.object && ((struct reply *)expected.object)->state != REPLY_IDLE)
		return ERR_STATE;
	if (answer) {
		status = reply_answer(thread, answered.object);
		if (status)
			return status;
		/* Capabilities that were moved with the answer may have been these, or have come to their
		 * place. */
		if (cspace_read_local(thread, target, OBJECT_ENDPOINT, RIGHT_READ, &endpoint) ||
		    cspace_read_local(thread, next, OBJECT_REPLY, 0, &expected))
			return ERR_NO_CAPABILITY;
	}
	status = endpoint_recv(endpoint.object, thread, expected.object);
	if (status == STATUS_RESTART)
		*context_reply(&thread->context) = REPLY_PAIR(0, next);
	return status;
}
