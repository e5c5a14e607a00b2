/* SPDX-License-Identifier: MIT */
/*
 * Call and reply_recv between threads that are ready for each other: the CPU goes straight from one to the
 * other, past the run queues. A path first looks at everything that it needs; if anything is not as usual it
 * returns, having changed nothing, and the general code does the same work (and gives the errors). What it
 * does is exactly what endpoint_send(), endpoint_recv() and reply_answer() would do.
 */
#include <abi/syscall.h>

#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/fastpath.h>
#include <kernel/invariants.h>
#include <kernel/message.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/trace.h>
#include <kernel/vspace.h>

/* Words only: no capabilities, no reserved bits, a user's label. */
static inline bool info_is_plain(uint64_t info)
{
	return (uint32_t)info <= MESSAGE_WORDS && message_label(info) < LABEL_KERNEL;
}

/* In registers, or both have IPC buffers. */
static inline bool words_can_pass(const struct thread *from, const struct thread *to, uint64_t info)
{
	return message_words(info) <= MESSAGE_REGISTER_WORDS || (thread_buffer(from) && thread_buffer(to));
}

static void copy_long(struct thread *from, struct thread *to, unsigned words)
{
	const uint64_t *source = thread_buffer(from)->words;
	uint64_t *target = thread_buffer(to)->words;

	for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
		*context_word(&to->context, i) = *context_word(&from->context, i);
	for (unsigned i = MESSAGE_REGISTER_WORDS; i < words; i++)
		target[i] = source[i];
}

static inline void copy_words(struct thread *from, struct thread *to, uint64_t info)
{
	unsigned words = message_words(info);

	if (words > MESSAGE_REGISTER_WORDS) {
		copy_long(from, to, words);
		return;
	}
	for (unsigned i = 0; i < words; i++)
		*context_word(&to->context, i) = *context_word(&from->context, i);
}

static inline const struct slot *find(const struct thread *thread, uint64_t index, unsigned type,
                                      unsigned right)
{
	const struct slot *slot = cnode_slot(&thread->bindings[BIND_CSPACE], index);

	return slot && slot->type == type && (slot->rights & right) == right ? slot : NULL;
}

__attribute__((always_inline)) static inline _Noreturn void leave(struct cpu *cpu, struct thread *thread)
{
	invariants_check();
	cpu->vspace = thread_vspace(thread);
	arch_vspace_switch(&cpu->vspace->arch);
	arch_return_to_user(thread);
}

/* The only receiver that waits, if it has a Reply for a caller. */
static struct thread *only_receiver(const struct endpoint *endpoint)
{
	struct heap_node *node = endpoint->receivers.waiting.root;

	if (!node || node->left || endpoint->closed || !thread_of_wait(node)->reply)
		return NULL;
	return thread_of_wait(node);
}

/* A call, or a foreign system call, meets a receiver that waits. */
static inline void fast_send(struct thread *sender, const struct slot *slot, enum message_kind kind)
{
	struct endpoint *endpoint = slot_object(slot);
	struct thread *receiver = only_receiver(endpoint);
	struct reply *reply;

	if (!receiver)
		return;
	if (kind == MESSAGE_CALL && !words_can_pass(sender, receiver, *context_info(&sender->context)))
		return;
	/* The receiver goes on with the sender's claim to the CPU: nobody that is ready comes before it, and
	 * the same context pays. */
	sender->cpu->current = receiver;
	receiver->state = THREAD_STATE_RUNNING;
	receiver->sched = sender->sched;
	if (sender->priority > receiver->priority)
		receiver->priority = sender->priority;
	endpoint->receivers.waiting.root = NULL;
	receiver->wait.rank = 0;
	receiver->waits_on = NULL;
	if (deadline_armed(&receiver->deadline))
		deadline_disarm(&receiver->deadline);
	reply = receiver->reply;
	receiver->reply = NULL;
	receiver->active = reply;
	reply->state = REPLY_ACTIVE;
	reply->caller = sender;
	sender->state = THREAD_STATE_BLOCKED_REPLY;
	sender->message = (uint8_t)kind;
	sender->badge = slot->badge;
	sender->reply = reply;
	if (kind == MESSAGE_CALL) {
		copy_words(sender, receiver, *context_info(&sender->context));
		*context_info(&receiver->context) = *context_info(&sender->context);
	} else {
		message_transfer_kernel(sender, receiver);
	}
	*context_cap(&receiver->context) = slot->badge;
	*context_status(&receiver->context) = ERR_NONE;
	trace(TRACE_MESSAGE, kind, sender, (uint64_t)receiver, slot->badge, *context_info(&sender->context),
	      0);
	leave(sender->cpu, receiver);
}

void fast_call(struct thread *thread)
{
	const struct slot *slot = find(thread, *context_cap(&thread->context), OBJECT_ENDPOINT, RIGHT_WRITE);

	if (slot && info_is_plain(*context_info(&thread->context)))
		fast_send(thread, slot, MESSAGE_CALL);
}

void fast_foreign(struct thread *thread)
{
	const struct slot *slot = &thread->bindings[BIND_SYSCALL];

	if (!slot_empty(slot))
		fast_send(thread, slot, MESSAGE_FOREIGN);
}

void fast_fault(struct thread *thread, const struct slot *slot)
{
	fast_send(thread, slot, MESSAGE_FAULT);
}

/* The Reply that is the thread's current job and will hold its next caller; the caller is one to answer
 * simply. */
static inline struct reply *job_to_answer(const struct thread *thread)
{
	uint64_t pair = *context_reply((struct arch_context *)&thread->context);
	uint64_t info = *context_info((struct arch_context *)&thread->context);
	const struct slot *slot = find(thread, (cptr_t)pair, OBJECT_REPLY, 0);
	struct reply *reply;

	if (!slot || (pair >> 32 && pair >> 32 != (cptr_t)pair) || !info_is_plain(info))
		return NULL;
	reply = slot_object(slot);
	if (reply != thread->active)
		return NULL;
	if (reply->caller->message == MESSAGE_CALL)
		return words_can_pass(thread, reply->caller, info) ? reply : NULL;
	/* Of the answers to the kernel's messages, those that at most map pages or give a result. */
	return !(message_label(info) & ~(uint32_t)REPLY_MAP) ? reply : NULL;
}

static inline bool must_not_wait(const struct thread *thread, const struct endpoint *endpoint)
{
	const struct notification *notification = slot_object(&thread->bindings[BIND_NOTIFICATION]);
	deadline_t deadline = *context_deadline((struct arch_context *)&thread->context);

	if (endpoint->senders.waiting.root || (notification && notification->bits))
		return true;
	return deadline != DEADLINE_NEVER && (!deadline || deadline <= arch_time());
}

static inline void answer(struct thread *replier, struct thread *caller)
{
	uint64_t info = *context_info(&replier->context);

	trace(TRACE_REPLY, caller->message, replier, (uint64_t)caller, info, 0, 0);
	caller->reply = NULL;
	if (caller->message != MESSAGE_CALL) {
		if (caller->message == MESSAGE_FOREIGN)
			foreign_set_result(&caller->context, *context_word(&replier->context, 0));
		if (message_label(info) & REPLY_MAP)
			reply_map(replier);
		return;
	}
	copy_words(replier, caller, info);
	*context_info(&caller->context) = info;
	*context_cap(&caller->context) = 0;
	*context_status(&caller->context) = ERR_NONE;
}

static void fast_arm(struct thread *thread)
{
	deadline_arm(&thread->deadline, *context_deadline(&thread->context));
	sched_set_timer(thread->cpu);
}

/* The context that the thread runs on is the caller's, and with it the CPU, unless somebody is ready who
 * comes first.
 */
static inline bool gives_back(const struct thread *thread, const struct thread *caller)
{
	if (thread->sched != caller->sched || caller->flags & THREAD_POKED)
		return false;
	return thread->priority <= caller->priority || ready_highest(thread->cpu) <= (int)caller->priority;
}

void fast_reply_recv(struct thread *thread)
{
	const struct slot *slot = find(thread, *context_cap(&thread->context), OBJECT_ENDPOINT, RIGHT_READ);
	struct endpoint *endpoint;
	struct reply *reply;
	struct thread *caller;

	if (!slot)
		return;
	endpoint = slot_object(slot);
	reply = job_to_answer(thread);
	if (!reply || must_not_wait(thread, endpoint))
		return;
	caller = reply->caller;
	if (!gives_back(thread, caller))
		return;
	thread->cpu->current = caller;
	caller->state = THREAD_STATE_RUNNING;
	thread->sched = thread->own;
	thread->priority = thread->base_priority;
	reply->state = REPLY_EXPECTING;
	reply->caller = NULL;
	thread->active = NULL;
	thread->reply = reply;
	thread->state = THREAD_STATE_BLOCKED_RECV;
	thread->waits_on = &endpoint->receivers;
	queue_insert(&endpoint->receivers, thread);
	if (*context_deadline(&thread->context) != DEADLINE_NEVER)
		fast_arm(thread);
	answer(thread, caller);
	leave(thread->cpu, caller);
}
