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

/* Lets the compiler leave out checks of what cannot be NULL. */
#define known(pointer)                           \
	({                                       \
		__auto_type known_ = (pointer);  \
		if (!known_)                     \
			__builtin_unreachable(); \
		known_;                          \
	})

/*
 * What the capability at index is, if it has this type, these rights and this home: without the lock, so all
 * that is read between tree_read_begin() and tree_read_torn() counts only if that says so. Of the types that
 * are looked for here no capability ever lies in slot 0 (delete.c).
 */
INLINE const struct slot *find_unsure(const struct cpu *cpu, const struct thread *thread, uint64_t index,
                                      unsigned type, unsigned rights)
{
	const uint64_t wanted = (uint64_t)rights << SLOT_RIGHTS_SHIFT | type;
	const struct slot *cnode = &thread->bindings[BIND_CSPACE];
	const struct slot *slot = (const struct slot *)(cnode->object + (index << SLOT_BITS));
	uint64_t header;

	if (index >= cnode->slots)
		return NULL;
	header = __atomic_load_n((const uint64_t *)slot, __ATOMIC_RELAXED) ^ cpu->home_key;
	if ((header & (~0ul << SLOT_HOME_SHIFT | wanted | SLOT_TYPE_MASK)) != wanted)
		return NULL;
	return known(slot);
}

/* Its object and badge, or NULL. */
INLINE void *find(const struct cpu *cpu, const struct thread *thread, uint64_t index, unsigned type,
                  unsigned rights, badge_t *badge)
{
	uint64_t sequence = tree_read_begin();
	const struct slot *slot = find_unsure(cpu, thread, index, type, rights);
	void *object;

	if (!slot)
		return NULL;
	object = (void *)__atomic_load_n(&slot->object, __ATOMIC_RELAXED);
	*badge = __atomic_load_n(&slot->badge, __ATOMIC_RELAXED);
	return tree_read_torn(sequence) ? NULL : known(object);
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
	if (cpu->vspace != vspace)
		vspace_load_other(cpu, vspace);
	debug_lock_release();
}

INLINE _Noreturn void leave(struct cpu *cpu, struct thread *thread)
{
	load_vspace(cpu, thread);
	arch_return_to_user(thread);
}

/* From a foreign thread to the native one that handles its call or fault. */
INLINE _Noreturn void leave_to_handler(struct cpu *cpu, struct thread *thread)
{
	load_vspace(cpu, thread);
	arch_switch_to_handler(thread);
}

/* From a native thread to one that waits in a system call. */
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

/* It leaves the queue in which it is alone; its deadline stays armed (thread_expire()). */
INLINE void queue_take_only(struct wait_queue *queue, struct thread *thread, uint64_t none)
{
	queue->waiting.root = (struct heap_node *)none;
	thread->wait.rank = none;
	thread->waits_on = (struct wait_queue *)none;
}

INLINE void queue_enter(struct wait_queue *queue, struct thread *thread)
{
	thread->waits_on = queue;
	if (__builtin_expect(!queue->waiting.root, true))
		queue->waiting.root = &thread->wait;
	else
		queue_insert(queue, thread);
}

/* ---- the next thread ---- */

/* The CPU's time becomes the next thread's. False, and nothing has changed: that takes more. */
INLINE bool charge_and_switch(struct cpu *cpu, const struct thread *next)
{
	struct sched_context *context = cpu->context;
	uint64_t now, used;

	if (next->detained)
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
	badge_t badge;
	struct notification *notification = find(this_cpu(), thread, *context_cap(&thread->context),
	                                         OBJECT_NOTIFICATION, RIGHT_WRITE, &badge);
	struct thread *waiter;
	uint64_t bits, none = zero();

	if (!notification)
		return;
	bits = notification->bits | badge;
	if (!notification->waiters.waiting.root) {
		if (notification->bound && notification->bound->state == THREAD_STATE_BLOCKED_RECV)
			return; /* also if it waits elsewhere */
		trace(TRACE_SIGNAL, 0, thread, (uint64_t)notification, badge, 0, 0);
		notification->bits = bits;
		leave_same(thread, ERR_NONE);
	}
	waiter = queue_only(&notification->waiters);
	if (!waiter || !bits || waiter->priority > thread->priority || !sched_context_usable(waiter->sched))
		return;
	trace(TRACE_SIGNAL, 0, thread, (uint64_t)notification, badge, (uint64_t)waiter, 0);
	queue_take_only(&notification->waiters, waiter, none);
	*context_status(&waiter->context) = none;
	*context_cap(&waiter->context) = bits;
	*context_info(&waiter->context) = none;
	waiter->state = THREAD_STATE_READY;
	ready_add_last(this_cpu(), waiter);
	leave_same(thread, none);
}

INLINE void fast_wait(struct thread *thread)
{
	deadline_t deadline = *context_deadline(&thread->context);
	badge_t badge;
	struct notification *notification = find(this_cpu(), thread, *context_cap(&thread->context),
	                                         OBJECT_NOTIFICATION, RIGHT_READ, &badge);

	if (!notification)
		return;
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
 * bits, a plain label; or also words in IPC buffers, capabilities, new deadlines.
 */
INLINE bool info_is_slim(uint64_t info)
{
	/* Half of all labels are looked at more closely. */
	return (uint32_t)info <= MESSAGE_REGISTER_WORDS && (int64_t)info >= 0;
}
_Static_assert((int32_t)LABEL_KERNEL < 0, "labels of the kernel's");

/* No job or Untyped is handed over, and not the capability that this very call needs. */
INLINE bool caps_are_plain(const struct thread *from, uint64_t info)
{
	const struct ipc_buffer *buffer = thread_buffer(from);

	for (unsigned i = 0; i < message_caps(info); i++) {
		uint64_t index = *(const volatile cptr_t *)&buffer->caps[i];
		const struct slot *slot = cspace_lookup(from, index);

		if (!slot || !cap_can_be_copied(slot) ||
		    index == *context_cap((struct arch_context *)&from->context))
			return false;
	}
	return true;
}

INLINE bool bulk_can_pass(const struct thread *from, const struct thread *to, uint64_t info)
{
	if (!thread_buffer(from) || !thread_buffer(to))
		return false;
	if ((uint32_t)info <= MESSAGE_WORDS)
		return message_label(info) < LABEL_KERNEL;
	return message_info_is_valid(info) && caps_are_plain(from, info);
}

INLINE void copy_registers(struct thread *from, struct thread *to, unsigned words)
{
	__asm__("" : "+r"(words)); /* or the table's bounds would be checked again */
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

INLINE void copy_message(struct thread *from, struct thread *to, uint64_t info, uint64_t none, bool bulky)
{
	unsigned words = bulky ? message_words(info) : (uint32_t)info;

	*context_status(&to->context) = none;
	if (bulky && words > MESSAGE_REGISTER_WORDS) {
		arch_copy_words(thread_buffer(to)->words + MESSAGE_REGISTER_WORDS,
		                thread_buffer(from)->words + MESSAGE_REGISTER_WORDS,
		                words - MESSAGE_REGISTER_WORDS);
		words = MESSAGE_REGISTER_WORDS;
	}
	*context_info(&to->context) =
	        bulky && message_caps(info) ? message_transfer_caps(from, to, info) : info;
	copy_registers(from, to, words);
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
                 enum message_kind kind, uint64_t none)
{
	struct reply *reply = receiver->reply;

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

INLINE void fast_call(struct thread *thread, uint64_t info, bool bulky)
{
	struct cpu *cpu = this_cpu();
	unsigned rights = RIGHT_WRITE | (bulky && message_caps(info) ? RIGHT_GRANT : 0);
	badge_t badge;
	struct endpoint *endpoint =
	        find(cpu, thread, *context_cap(&thread->context), OBJECT_ENDPOINT, rights, &badge);
	struct thread *receiver;
	uint64_t none = zero();

	if (!endpoint)
		return;
	receiver = only_receiver(thread, endpoint);
	if (!receiver || (bulky && !bulk_can_pass(thread, receiver, info)))
		return;
	trace(TRACE_MESSAGE, MESSAGE_CALL, thread, (uint64_t)receiver, badge, info, 0);
	lend(cpu, thread, receiver, &endpoint->receivers, MESSAGE_CALL, none);
	copy_message(thread, receiver, info, none, bulky);
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
	if (binding == BIND_SYSCALL)
		leave_to_handler(cpu, receiver);
	leave(cpu, receiver);
}

_Noreturn void kernel_foreign_syscall(struct thread *thread)
{
	struct cpu *cpu = this_cpu();
	struct thread *receiver = handler(cpu, thread, BIND_SYSCALL);

	debug_lock_take();
	if (!receiver)
		foreign_syscall_slow(thread);
	lend(cpu, thread, receiver, receiver->waits_on, MESSAGE_FOREIGN, zero());
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
	thread->fault.label = LABEL_PAGE_FAULT; /* for thread_unanswered() */
	lend(cpu, thread, receiver, receiver->waits_on, MESSAGE_FAULT, zero());
	*context_word(&receiver->context, 0) = address;
	*context_word(&receiver->context, 1) = access;
	*context_word(&receiver->context, 2) = context_ip(&thread->context);
	*context_word(&receiver->context, 3) = context_sp(&thread->context);
	*context_info(&receiver->context) = MESSAGE_INFO(LABEL_PAGE_FAULT, 4);
	deliver_kernel(cpu, thread, receiver, binding);
}

/* ---- answers ---- */

/* The endpoint to receive from, if the thread's current job is what it answers and what will hold its next
 * caller. */
INLINE struct endpoint *endpoint_after_job(const struct cpu *cpu, struct thread *thread, bool bulky)
{
	uint64_t pair = *context_reply(&thread->context), sequence = tree_read_begin();
	const struct slot *slot, *reply;
	struct endpoint *endpoint;

	if (bulky && pair >> 32 == (cptr_t)pair)
		pair = (cptr_t)pair;
	slot = find_unsure(cpu, thread, *context_cap(&thread->context), OBJECT_ENDPOINT, RIGHT_READ);
	if (!slot)
		return NULL;
	reply = find_unsure(cpu, thread, pair, OBJECT_REPLY, 0);
	if (!reply)
		return NULL;
	endpoint = (struct endpoint *)__atomic_load_n(&slot->object, __ATOMIC_RELAXED);
	if ((struct reply *)__atomic_load_n(&reply->object, __ATOMIC_RELAXED) != thread->active ||
	    tree_read_torn(sequence))
		return NULL;
	return known(endpoint);
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
	if (thread->sched != caller->sched)
		return false;
	return thread->priority <= caller->priority || ready_highest(cpu) <= (int)caller->priority;
}

/* The caller has the CPU again, the thread waits for the next. */
INLINE void give_back(struct cpu *cpu, struct thread *thread, struct thread *caller,
                      struct endpoint *endpoint, uint64_t none)
{
	struct reply *reply = thread->active;

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
}

/* Wait no longer than this. False: it is over already. */
static bool deadline_is_ahead(const struct thread *thread, deadline_t deadline)
{
	return thread_is_armed_for(thread, deadline) || (deadline && deadline > arch_time());
}

INLINE void arm(struct thread *thread)
{
	deadline_t deadline = *context_deadline(&thread->context);

	if (thread_is_armed_for(thread, deadline))
		return;
	thread_arm(thread, deadline);
	sched_set_timer(this_cpu());
}

/* An answer to a call. */
INLINE void answer_call(struct cpu *cpu, struct thread *thread, struct thread *caller,
                        struct endpoint *endpoint, uint64_t info, bool bulky)
{
	uint64_t none = zero();

	if (bulky && !bulk_can_pass(thread, caller, info))
		return;
	trace(TRACE_REPLY, MESSAGE_CALL, thread, (uint64_t)caller, info, 0, 0);
	give_back(cpu, thread, caller, endpoint, none);
	if (bulky)
		arm(thread);
	copy_message(thread, caller, info, none, bulky);
	*context_cap(&caller->context) = none;
	leave_native(cpu, caller);
}

/*
 * Of the answers to the kernel's messages, those that at most give a result, registers, or map pages. If
 * other CPUs have to hear of the mapping first, all but that is the slow path's.
 */
INLINE void answer_kernel(struct cpu *cpu, struct thread *thread, struct thread *caller,
                          struct endpoint *endpoint, uint64_t info, bool bulky)
{
	if (caller->detained)
		return;
	if (bulky && info == MESSAGE_INFO(REPLY_REGISTERS, REPLY_REGISTERS_WORDS)) {
		if (!thread_buffer(thread) || !reply_registers(thread, caller))
			return;
		trace(TRACE_REPLY, caller->message, thread, (uint64_t)caller, info, 0, 0);
		give_back(cpu, thread, caller, endpoint, zero());
		arm(thread);
		leave(cpu, caller);
	}
	if ((bulky && !info_is_slim(info)) || message_label(info) & ~(uint32_t)REPLY_MAP)
		return;
	if (message_label(info) && (thread->tour || !reply_map(thread)))
		return;
	trace(TRACE_REPLY, caller->message, thread, (uint64_t)caller, info, 0, 0);
	give_back(cpu, thread, caller, endpoint, zero());
	if (bulky)
		arm(thread);
	if (caller->message == MESSAGE_FOREIGN) {
		foreign_set_result(&caller->context, *context_word(&thread->context, 0));
		leave_native(cpu, caller);
	}
	leave(cpu, caller);
}

INLINE void fast_reply_recv(struct thread *thread, uint64_t info, bool bulky)
{
	struct cpu *cpu = this_cpu();
	struct endpoint *endpoint = endpoint_after_job(cpu, thread, bulky);
	deadline_t deadline = *context_deadline(&thread->context);
	struct thread *caller;

	if (!endpoint ||
	    !(bulky ? deadline_is_ahead(thread, deadline) : thread_is_armed_for(thread, deadline)))
		return;
	caller = thread->active->caller;
	if (must_not_wait(thread, endpoint) || !gives_back(cpu, thread, caller))
		return;
	if (caller->message == MESSAGE_CALL)
		answer_call(cpu, thread, caller, endpoint, info, bulky);
	else
		answer_kernel(cpu, thread, caller, endpoint, info, bulky);
}

/* An answer to a foreign call that was parked; who gives it goes on. */
NOINLINE void fast_reply(struct thread *thread)
{
	struct cpu *cpu = this_cpu();
	badge_t badge;
	struct reply *reply =
	        find(cpu, thread, (cptr_t)*context_reply(&thread->context), OBJECT_REPLY, 0, &badge);
	struct thread *caller;
	uint64_t none = zero();

	if (!reply || reply->state != REPLY_PARKED ||
	    *context_info(&thread->context) > MESSAGE_REGISTER_WORDS)
		return;
	caller = known(reply->caller);
	if (caller->message != MESSAGE_FOREIGN || caller->home != cpu ||
	    caller->priority > thread->priority || !sched_context_usable(caller->sched))
		return;
	trace(TRACE_REPLY, MESSAGE_FOREIGN, thread, (uint64_t)caller, *context_info(&thread->context), 0, 0);
	foreign_set_result(&caller->context, *context_word(&thread->context, 0));
	reply->state = REPLY_IDLE;
	reply->caller = (struct thread *)none;
	caller->reply = (struct reply *)none;
	caller->state = THREAD_STATE_READY;
	ready_add_first(cpu, caller);
	leave_same(thread, none);
}

/* Waits for the next call; the current job is parked. */
NOINLINE void fast_recv(struct thread *thread)
{
	struct cpu *cpu = this_cpu();
	badge_t badge;
	struct endpoint *endpoint =
	        find(cpu, thread, *context_cap(&thread->context), OBJECT_ENDPOINT, RIGHT_READ, &badge);
	struct reply *job = thread->active, *reply;

	if (!endpoint)
		return;
	reply = find(cpu, thread, (cptr_t)*context_reply(&thread->context), OBJECT_REPLY, 0, &badge);
	if (!reply || reply->state != REPLY_IDLE || must_not_wait(thread, endpoint) ||
	    !thread_is_armed_for(thread, *context_deadline(&thread->context)))
		return;
	if (job) {
		job->state = REPLY_PARKED;
		job->holder = NULL;
		thread->active = NULL;
	}
	thread->sched = thread->own;
	thread->priority = thread->base_priority;
	thread->depth = 0;
	thread->reply = reply;
	reply->state = REPLY_EXPECTING;
	reply->holder = thread;
	thread->state = THREAD_STATE_BLOCKED_RECV;
	queue_enter(&endpoint->receivers, thread);
	run_first_ready(cpu);
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

INLINE bool fast_map(struct thread *thread)
{
	struct window *window = invoked(thread, OBJECT_WINDOW);
	const struct map_request request = {
	        .address = argument(thread, 0),
	        .page = argument(thread, 1),
	        .pages = argument(thread, 2),
	        .flags = argument(thread, 3),
	};

	if (!window || !arguments_zero(thread, 4) || map_check(window, &request) ||
	    !window_map_few(window, &request))
		return false;
	vspace_tour(thread, window_vspace(window));
	result(thread, 0, request.pages);
	return true;
}

INLINE bool fast_unmap(struct thread *thread)
{
	struct vspace *vspace = invoked(thread, OBJECT_VSPACE);
	uint64_t address = argument(thread, 0), pages = argument(thread, 1), removed;

	if (!vspace || !arguments_zero(thread, 2) || vspace_range_check(vspace, address, pages) ||
	    !vspace_unmap_few(vspace, address, pages, &removed))
		return false;
	vspace_tour(thread, vspace);
	result(thread, 0, removed);
	return true;
}

/* Mapping and unmapping a few pages. */
INLINE void fast_invoke(struct thread *thread)
{
	uint64_t operation = *context_info(&thread->context);
	bool done;

	if ((operation != WINDOW_MAP && operation != VSPACE_UNMAP) || thread->flags & THREAD_RESTARTED)
		return;
	lock_take(&tree_lock);
	done = operation == WINDOW_MAP ? fast_map(thread) : fast_unmap(thread);
	lock_release(&tree_lock);
	if (!done)
		return;
	if (thread->tour)
		syscall_return(thread, ERR_NONE);
	leave_same(thread, ERR_NONE);
}

/* ---- the entry ---- */

NOINLINE void bulky_call(struct thread *thread, uint64_t info)
{
	fast_call(thread, info, true);
}

NOINLINE void bulky_reply_recv(struct thread *thread, uint64_t info)
{
	fast_reply_recv(thread, info, true);
}

/* A comparison of its own for the next number, most frequent first, instead of a table. */
#define NEXT_COMPARISON(number) __asm__("" : "+r"(number))

_Noreturn void kernel_syscall(struct thread *thread)
{
	uint64_t number = *context_status(&thread->context);

	debug_lock_take();
	if (number == SYS_CALL) {
		uint64_t info = *context_info(&thread->context);

		if (info_is_slim(info))
			fast_call(thread, info, false);
		bulky_call(thread, info);
		syscall_slow(thread);
	}
	NEXT_COMPARISON(number);
	if (number == SYS_REPLY_RECV) {
		uint64_t info = *context_info(&thread->context);

		if (info_is_slim(info))
			fast_reply_recv(thread, info, false);
		bulky_reply_recv(thread, info);
		syscall_slow(thread);
	}
	NEXT_COMPARISON(number);
	if (number == SYS_SIGNAL)
		fast_signal(thread);
	NEXT_COMPARISON(number);
	if (number == SYS_WAIT)
		fast_wait(thread);
	NEXT_COMPARISON(number);
	if (number == SYS_YIELD)
		fast_yield(thread);
	NEXT_COMPARISON(number);
	if (number == SYS_INVOKE)
		fast_invoke(thread);
	NEXT_COMPARISON(number);
	if (number == SYS_RECV)
		fast_recv(thread);
	NEXT_COMPARISON(number);
	if (number == SYS_REPLY)
		fast_reply(thread);
	syscall_slow(thread);
}
