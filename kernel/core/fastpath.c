/* SPDX-License-Identifier: MIT */
/*
 * The front of the kernel: system calls of native threads arrive here, and what is usual is done at once,
 * past run queues and general code. A path first looks at everything that it needs; if anything is not as
 * usual it returns, having changed nothing, and the general code (syscall.c, fault.c) does the same work and
 * gives the errors. What it does is exactly what endpoint_send(), endpoint_recv(), reply_answer(),
 * notification_signal(), syscall_wait() and sched_yield() would do.
 *
 * Compiled with all registers caller-saved (Makefile): functions with external linkage never return.
 */
#include <abi/syscall.h>

#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/fastpath.h>
#include <kernel/invariants.h>
#include <kernel/lock.h>
#include <kernel/message.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>
#include <kernel/trace.h>
#include <kernel/vspace.h>
#include <kernel/window.h>

#define INLINE   __attribute__((always_inline)) static inline
#define NOINLINE __attribute__((noinline)) static

/*
 * What the capability at index was at one moment, if it has this type, these rights and this home. Without
 * the lock. Of the types that are looked for here no capability ever lies in slot 0 (delete.c).
 */
INLINE bool find(const struct cpu *cpu, const struct thread *thread, uint64_t index, unsigned type,
                 unsigned rights, struct capability *out)
{
	const uint64_t wanted = (uint64_t)rights << SLOT_RIGHTS_SHIFT | type;
	const struct slot *cnode = &thread->bindings[BIND_CSPACE];
	const struct slot *slot = (const struct slot *)(cnode->object + (index << SLOT_BITS));
	uint64_t sequence;

	if (index >= cnode->slots)
		return false;
	sequence = tree_read_begin();
	out->header = __atomic_load_n((const uint64_t *)slot, __ATOMIC_RELAXED);
	out->object = (void *)__atomic_load_n(&slot->object, __ATOMIC_RELAXED);
	out->badge = __atomic_load_n(&slot->badge, __ATOMIC_RELAXED);
	if (tree_read_torn(sequence))
		return false;
	return (out->header & (~0ul << SLOT_HOME_SHIFT | wanted | SLOT_TYPE_MASK)) ==
	       (cpu->home_key | wanted);
}

/* ---- leaving ---- */

/* To the thread that came; nothing has changed that decides who runs. */
INLINE _Noreturn void leave_same(struct thread *thread, uint64_t status)
{
	*context_status(&thread->context) = status;
	invariants_check();
	debug_lock_release();
	arch_return_to_user(thread);
}

INLINE void load_vspace(struct cpu *cpu, const struct thread *thread)
{
	struct vspace *vspace = thread_vspace(thread);

	invariants_check();
	if (!vspace)
		__builtin_unreachable(); /* it may run, so it has one */
	vspace_load(cpu, vspace);
	debug_lock_release();
}

INLINE _Noreturn void leave(struct cpu *cpu, struct thread *thread)
{
	load_vspace(cpu, thread);
	arch_return_to_user(thread);
}

/* From a native thread to a native thread that waits in a system call. */
INLINE _Noreturn void leave_native(struct cpu *cpu, struct thread *thread)
{
	load_vspace(cpu, thread);
	arch_switch_native(thread);
}

/* A zero that the compiler keeps in one register. */
INLINE uint64_t zero(void)
{
	uint64_t value = 0;

	__asm__("" : "+r"(value));
	return value;
}

/* ---- queues ---- */

/* The only thread that waits in the queue, or NULL. */
INLINE struct thread *queue_only(const struct wait_queue *queue)
{
	struct heap_node *node = queue->waiting.root;

	return node && !node->left ? thread_of_wait(node) : NULL;
}

/* It leaves the queue in which it is alone. */
INLINE void queue_take_only(struct wait_queue *queue, struct thread *thread, uint64_t none)
{
	queue->waiting.root = (struct heap_node *)none;
	thread->wait.rank = none;
	thread->waits_on = (struct wait_queue *)none;
	if (deadline_armed(&thread->deadline))
		deadline_disarm(&thread->deadline);
}

INLINE void queue_enter(struct wait_queue *queue, struct thread *thread)
{
	thread->waits_on = queue;
	if (queue->waiting.root)
		queue_insert(queue, thread);
	else
		queue->waiting.root = &thread->wait;
}

/* ---- the next thread ---- */

/* The CPU's time becomes the next thread's. False, and nothing has changed: that takes more. */
INLINE bool charge_and_switch(struct cpu *cpu, const struct thread *next)
{
	struct sched_context *context = cpu->context;
	uint64_t now, used;

	if (next->poked)
		return false;
	if (context == next->sched)
		return true;
	now = arch_time();
	used = now - cpu->since;
	if ((int64_t)used >= context->left)
		return false;
	sched_context_use(context, cpu->since, used);
	cpu->since = now;
	cpu->context = next->sched;
	if (now + (uint64_t)next->sched->left < cpu->timer)
		sched_set_timer(cpu);
	return true;
}

INLINE _Noreturn void run(struct cpu *cpu, struct thread *next)
{
	next->state = THREAD_STATE_RUNNING;
	cpu->current = next;
	leave(cpu, next);
}

/* The current thread has begun to wait; nobody came in its place. */
INLINE _Noreturn void run_first_ready(struct cpu *cpu)
{
	int highest = ready_highest(cpu);

	cpu->current = NULL;
	if (highest >= 0) {
		struct thread *next = cpu->ready[highest].first;

		if (charge_and_switch(cpu, next)) {
			ready_take_first(cpu, (unsigned)highest);
			run(cpu, next);
		}
	}
	invariants_check();
	schedule_and_return();
}

INLINE void fast_yield(struct thread *thread)
{
	struct cpu *cpu = this_cpu();
	struct thread *next = cpu->ready[thread->priority].first;

	/* Nobody that is ready comes before one that runs. */
	if (!next)
		leave_same(thread, ERR_NONE);
	if (!charge_and_switch(cpu, next))
		return;
	*context_status(&thread->context) = ERR_NONE;
	thread->state = THREAD_STATE_READY;
	ready_rotate(cpu, thread);
	run(cpu, next);
}

/* ---- notifications ---- */

INLINE void fast_signal(struct thread *thread)
{
	struct capability capability;
	struct notification *notification;
	struct thread *waiter;
	uint64_t bits;

	if (!find(this_cpu(), thread, *context_cap(&thread->context), OBJECT_NOTIFICATION, RIGHT_WRITE,
	          &capability))
		return;
	notification = capability.object;
	bits = notification->bits | capability.badge;
	if (!notification->waiters.waiting.root) {
		if (notification->bound && notification->bound->state == THREAD_STATE_BLOCKED_RECV)
			return;
		trace(TRACE_SIGNAL, 0, thread, (uint64_t)notification, capability.badge, 0, 0);
		notification->bits = bits;
		leave_same(thread, ERR_NONE);
	}
	waiter = queue_only(&notification->waiters);
	if (!waiter || !bits || waiter->priority > thread->priority || !sched_context_usable(waiter->sched))
		return;
	trace(TRACE_SIGNAL, 0, thread, (uint64_t)notification, capability.badge, (uint64_t)waiter, 0);
	queue_take_only(&notification->waiters, waiter, 0);
	*context_status(&waiter->context) = ERR_NONE;
	*context_cap(&waiter->context) = bits;
	*context_info(&waiter->context) = 0;
	waiter->state = THREAD_STATE_READY;
	ready_add_last(this_cpu(), waiter);
	leave_same(thread, ERR_NONE);
}

INLINE void fast_wait(struct thread *thread)
{
	struct capability capability;
	deadline_t deadline = *context_deadline(&thread->context);
	struct notification *notification;

	if (!find(this_cpu(), thread, *context_cap(&thread->context), OBJECT_NOTIFICATION, RIGHT_READ,
	          &capability))
		return;
	notification = capability.object;
	if (notification->bits) {
		*context_cap(&thread->context) = notification->bits;
		notification->bits = 0;
		leave_same(thread, ERR_NONE);
	}
	if (deadline == DEADLINE_POLL)
		leave_same(thread, ERR_TIMEOUT);
	if (deadline != DEADLINE_NEVER)
		return;
	thread->state = THREAD_STATE_BLOCKED_WAIT;
	queue_enter(&notification->waiters, thread);
	run_first_ready(this_cpu());
}

/* ---- messages ---- */

/*
 * Messages come in two sizes, and so do the paths, as constant `bulky`: words in registers only, no reserved
 * bits, a user's label; or also words in IPC buffers.
 */
INLINE bool info_is_slim(uint64_t info)
{
	/* Half of all labels are looked at more closely. */
	return (uint32_t)info <= MESSAGE_REGISTER_WORDS && (int64_t)info >= 0;
}
_Static_assert((int32_t)LABEL_KERNEL < 0, "labels of the kernel's");

INLINE bool message_can_pass(struct thread *from, const struct thread *to, bool bulky)
{
	uint64_t info = *context_info(&from->context);

	if (!bulky)
		return info_is_slim(info);
	return !message_caps(info) && !message_check(from, info, false) && thread_buffer(from) &&
	       thread_buffer(to);
}

INLINE void copy_registers(struct thread *from, struct thread *to, unsigned words)
{
	switch (words) {
	case 6:
		*context_word(&to->context, 5) = *context_word(&from->context, 5);
		__attribute__((fallthrough));
	case 5:
		*context_word(&to->context, 4) = *context_word(&from->context, 4);
		__attribute__((fallthrough));
	case 4:
		*context_word(&to->context, 3) = *context_word(&from->context, 3);
		__attribute__((fallthrough));
	case 3:
		*context_word(&to->context, 2) = *context_word(&from->context, 2);
		__attribute__((fallthrough));
	case 2:
		*context_word(&to->context, 1) = *context_word(&from->context, 1);
		__attribute__((fallthrough));
	case 1:
		*context_word(&to->context, 0) = *context_word(&from->context, 0);
		__attribute__((fallthrough));
	case 0:
		break;
	default:
		__builtin_unreachable();
	}
}

INLINE void copy_message(struct thread *from, struct thread *to, bool bulky)
{
	uint64_t info = *context_info(&from->context);

	*context_status(&to->context) = ERR_NONE;
	if (bulky) {
		message_transfer(from, to);
		return;
	}
	*context_info(&to->context) = info;
	copy_registers(from, to, (uint32_t)info);
}

/* ---- calls, foreign system calls and faults ---- */

/*
 * The only receiver that waits, if it has a Reply for a caller and the chain behind the sender is not too
 * long. Without inheritance (a kernel for tests) the receiver might not come next.
 */
INLINE struct thread *only_receiver(const struct thread *sender, const struct endpoint *endpoint)
{
	struct thread *receiver = queue_only(&endpoint->receivers);

	if (!receiver || endpoint->closed || !receiver->reply || sender->depth >= CHAIN_MAX ||
	    (!INHERIT && receiver->priority < sender->priority))
		return NULL;
	return receiver;
}

/*
 * The receiver goes on with the sender's claim to the CPU: nobody that is ready comes before it, and the same
 * context pays.
 */
INLINE void lend(struct cpu *cpu, struct thread *sender, struct thread *receiver, struct wait_queue *queue,
                 enum message_kind kind)
{
	struct reply *reply = receiver->reply;
	uint64_t none = zero();

	cpu->current = receiver;
	queue_take_only(queue, receiver, none);
	receiver->reply = (struct reply *)none;
	receiver->active = reply;
	receiver->state = THREAD_STATE_RUNNING;
	receiver->depth = (uint8_t)(sender->depth + 1);
	receiver->sched = sender->sched;
	if (INHERIT && sender->priority > receiver->priority)
		receiver->priority = sender->priority;
	reply->state = REPLY_ACTIVE;
	reply->caller = sender;
	sender->message = (uint8_t)kind;
	sender->state = THREAD_STATE_BLOCKED_REPLY;
	sender->reply = reply;
}

INLINE void fast_call(struct thread *thread, bool bulky)
{
	struct cpu *cpu = this_cpu();
	struct capability capability;
	struct endpoint *endpoint;
	struct thread *receiver;
	badge_t badge;

	if (!find(cpu, thread, *context_cap(&thread->context), OBJECT_ENDPOINT, RIGHT_WRITE, &capability))
		return;
	badge = capability.badge;
	endpoint = capability.object;
	receiver = only_receiver(thread, endpoint);
	if (!receiver || !message_can_pass(thread, receiver, bulky))
		return;
	trace(TRACE_MESSAGE, MESSAGE_CALL, thread, (uint64_t)receiver, badge, *context_info(&thread->context),
	      0);
	lend(cpu, thread, receiver, &endpoint->receivers, MESSAGE_CALL);
	copy_message(thread, receiver, bulky);
	*context_cap(&receiver->context) = badge;
	leave_native(cpu, receiver);
}

/* The thread's handler, if it waits for this message of the kernel. */
INLINE struct thread *handler(const struct cpu *cpu, const struct thread *thread, unsigned binding)
{
	const struct slot *slot = &thread->bindings[binding];

	return slot_empty(slot) || slot->home != cpu->index ? NULL : only_receiver(thread, slot_object(slot));
}

INLINE _Noreturn void deliver_kernel(struct cpu *cpu, struct thread *thread, struct thread *receiver,
                                     unsigned binding)
{
	badge_t badge = thread->bindings[binding].badge;

	trace(TRACE_MESSAGE, thread->message, thread, (uint64_t)receiver, badge,
	      *context_info(&receiver->context), 0);
	*context_cap(&receiver->context) = badge;
	*context_status(&receiver->context) = ERR_NONE;
	leave(cpu, receiver);
}

_Noreturn void kernel_foreign_syscall(struct thread *thread)
{
	struct cpu *cpu = this_cpu();
	struct thread *receiver = handler(cpu, thread, BIND_SYSCALL);

	debug_lock_take();
	if (!receiver)
		foreign_syscall_slow(thread);
	lend(cpu, thread, receiver, receiver->waits_on, MESSAGE_FOREIGN);
	message_transfer_foreign(thread, receiver);
	deliver_kernel(cpu, thread, receiver, BIND_SYSCALL);
}

_Noreturn void kernel_page_fault(struct thread *thread, uint64_t address, unsigned access)
{
	unsigned binding = thread_is_foreign(thread) ? BIND_SYSCALL : BIND_FAULT;
	struct cpu *cpu = this_cpu();
	struct thread *receiver = handler(cpu, thread, binding);

	debug_lock_take();
	if (!receiver)
		page_fault_slow(thread, address, access);
	lend(cpu, thread, receiver, receiver->waits_on, MESSAGE_FAULT);
	*context_word(&receiver->context, 0) = address;
	*context_word(&receiver->context, 1) = access;
	*context_word(&receiver->context, 2) = context_ip(&thread->context);
	*context_word(&receiver->context, 3) = context_sp(&thread->context);
	*context_info(&receiver->context) = MESSAGE_INFO(LABEL_PAGE_FAULT, 4);
	deliver_kernel(cpu, thread, receiver, binding);
}

/* ---- answers ---- */

/* Is the Reply the thread's current job, which will hold its next caller? */
INLINE bool is_job(const struct cpu *cpu, const struct thread *thread, uint64_t pair, bool bulky)
{
	struct capability capability;

	if (bulky && pair >> 32 == (cptr_t)pair)
		pair = (cptr_t)pair;
	return find(cpu, thread, pair, OBJECT_REPLY, 0, &capability) && capability.object == thread->active;
}

/*
 * Of the answers to the kernel's messages, those that at most give a result or map pages. The mapping is done
 * here; if other CPUs have to hear of it first, the rest is the slow path's.
 */
INLINE bool answer_begin(struct thread *thread, const struct thread *caller, bool bulky)
{
	uint64_t info = *context_info(&thread->context);

	if (caller->message == MESSAGE_CALL)
		return message_can_pass(thread, caller, bulky);
	if (!info_is_slim(info) || message_label(info) & ~(uint32_t)REPLY_MAP)
		return false;
	return !message_label(info) || (!thread->tour && reply_map(thread));
}

INLINE bool must_not_wait(const struct thread *thread, const struct endpoint *endpoint)
{
	const struct notification *notification = slot_object(&thread->bindings[BIND_NOTIFICATION]);

	return endpoint->owner != thread || endpoint->senders.waiting.root ||
	       (notification && notification->bits);
}

/* The context that the thread runs on is the caller's, and with it the CPU, unless somebody is ready who
 * comes first. */
INLINE bool gives_back(const struct cpu *cpu, const struct thread *thread, const struct thread *caller)
{
	if (thread->sched != caller->sched || caller->poked)
		return false;
	return thread->priority <= caller->priority || ready_highest(cpu) <= (int)caller->priority;
}

INLINE _Noreturn void answer(struct cpu *cpu, struct thread *replier, struct thread *caller, bool bulky)
{
	uint64_t info = *context_info(&replier->context);

	trace(TRACE_REPLY, caller->message, replier, (uint64_t)caller, info, 0, 0);
	if (caller->message == MESSAGE_CALL) {
		copy_message(replier, caller, bulky);
		*context_cap(&caller->context) = 0;
		leave_native(cpu, caller);
	}
	if (caller->message == MESSAGE_FOREIGN)
		foreign_set_result(&caller->context, *context_word(&replier->context, 0));
	leave(cpu, caller);
}

/* Wait no longer than this. False, and nothing has changed: it is over already. */
INLINE bool deadline_is_ahead(deadline_t deadline)
{
	return deadline == DEADLINE_NEVER || (deadline && deadline > arch_time());
}

NOINLINE void arm(struct thread *thread, deadline_t deadline)
{
	deadline_arm(&thread->deadline, deadline);
	sched_set_timer(thread->cpu);
}

INLINE void fast_reply_recv(struct thread *thread, bool bulky)
{
	struct cpu *cpu = this_cpu();
	struct capability capability;
	deadline_t deadline = *context_deadline(&thread->context);
	struct reply *reply = thread->active;
	struct endpoint *endpoint;
	struct thread *caller;
	uint64_t none;

	if (!find(cpu, thread, *context_cap(&thread->context), OBJECT_ENDPOINT, RIGHT_READ, &capability) ||
	    !is_job(cpu, thread, *context_reply(&thread->context), bulky) || !deadline_is_ahead(deadline))
		return;
	endpoint = capability.object;
	caller = reply->caller;
	if (must_not_wait(thread, endpoint) || !gives_back(cpu, thread, caller) ||
	    !answer_begin(thread, caller, bulky))
		return;
	none = zero();
	cpu->current = caller;
	caller->state = THREAD_STATE_RUNNING;
	caller->reply = (struct reply *)none;
	thread->sched = thread->own;
	thread->priority = thread->base_priority;
	thread->active = (struct reply *)none;
	thread->reply = reply;
	thread->state = THREAD_STATE_BLOCKED_RECV;
	thread->depth = 0;
	reply->state = REPLY_EXPECTING;
	reply->caller = (struct thread *)none;
	queue_enter(&endpoint->receivers, thread);
	if (deadline != DEADLINE_NEVER)
		arm(thread, deadline);
	answer(cpu, thread, caller, bulky);
}

/* ---- invocations ---- */

/* Its object may be at home anywhere, or nowhere. */
INLINE void *invoked(const struct thread *thread, unsigned type)
{
	const struct slot *cnode = &thread->bindings[BIND_CSPACE];
	uint64_t index = *context_cap((struct arch_context *)&thread->context);
	const struct slot *slot = (const struct slot *)(cnode->object + (index << SLOT_BITS));

	return index < cnode->slots && slot_allows(slot, type, RIGHT_MANAGE) ? slot_object(slot) : NULL;
}

INLINE bool invoke_fast(struct thread *thread, uint64_t operation)
{
	void *object = invoked(thread, operation == WINDOW_MAP ? OBJECT_WINDOW : OBJECT_VSPACE);

	if (!object)
		return false;
	return operation == WINDOW_MAP ? window_map_fast(thread, object) : vspace_unmap_fast(thread, object);
}

/* Mapping and unmapping a few pages. */
INLINE void fast_invoke(struct thread *thread)
{
	uint64_t operation = *context_info(&thread->context);
	bool done;

	if ((operation != WINDOW_MAP && operation != VSPACE_UNMAP) || thread->flags & THREAD_RESTARTED)
		return;
	lock_take(&tree_lock);
	done = invoke_fast(thread, operation);
	lock_release(&tree_lock);
	if (!done)
		return;
	if (thread->tour)
		syscall_return(thread, ERR_NONE);
	leave_same(thread, ERR_NONE);
}

/* ---- the entry ---- */

NOINLINE void bulky_call(struct thread *thread)
{
	fast_call(thread, true);
}

NOINLINE void bulky_reply_recv(struct thread *thread)
{
	fast_reply_recv(thread, true);
}

_Noreturn void kernel_syscall(struct thread *thread)
{
	uint64_t number = *context_status(&thread->context);

	debug_lock_take();
	if (number == SYS_CALL) {
		fast_call(thread, false);
		bulky_call(thread);
	} else if (number == SYS_REPLY_RECV) {
		fast_reply_recv(thread, false);
		bulky_reply_recv(thread);
	} else if (number == SYS_SIGNAL) {
		fast_signal(thread);
	} else if (number == SYS_WAIT) {
		fast_wait(thread);
	} else if (number == SYS_YIELD) {
		fast_yield(thread);
	} else if (number == SYS_INVOKE) {
		fast_invoke(thread);
	}
	syscall_slow(thread);
}
