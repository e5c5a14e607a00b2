/* SPDX-License-Identifier: MIT */
/*
 * Messages about a thread that it does not send itself: faults and exceptions, and for foreign threads system
 * calls and pokes. Without a handler the thread stops.
 */
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/fastpath.h>
#include <kernel/fault.h>
#include <kernel/invariants.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/sched.h>

static void fault_log(const struct thread *thread, enum error error)
{
	const struct thread_fault *fault = &thread->fault;

	if (thread->message == MESSAGE_FOREIGN)
		kernel_log_later("thread %p stopped: foreign system call %lu at %#lx, no handler (%u)\n",
		                 (const void *)thread, foreign_number(&thread->context),
		                 context_ip(&thread->context), error);
	else
		kernel_log_later("thread %p stopped: message %#x (%#lx, %#lx) at %#lx, no handler (%u)\n",
		                 (const void *)thread, fault->label, fault->word[0], fault->word[1],
		                 context_ip(&thread->context), error);
}

static struct slot *thread_handler(struct thread *thread)
{
	return &thread->bindings[thread_is_foreign(thread) ? BIND_SYSCALL : BIND_FAULT];
}

/* Also at the end of a journey to the handler's CPU: it may have another one meanwhile. */
void thread_send_again(struct thread *thread)
{
	struct slot *slot = thread_handler(thread);
	enum error error = ERR_NO_CAPABILITY;

	if (!slot_empty(slot) && slot->home != this_cpu()->index) {
		thread_travel(thread, cpu_at(slot->home), TRIP_MESSAGE);
		return;
	}
	thread->badge = slot->badge;
	if (!slot_empty(slot))
		error = endpoint_send(slot_object(slot), thread, DEADLINE_NEVER);
	if (!error)
		return;
	fault_log(thread, error);
	thread_unanswered(thread);
	thread_stop(thread);
}

static void thread_send_message(struct thread *thread, enum message_kind kind)
{
	thread->message = (uint8_t)kind;
	thread_send_again(thread);
}

static void thread_send_fault(struct thread *thread, uint32_t label, const uint64_t *words, unsigned count)
{
	thread->fault.label = label;
	thread->fault.words = count;
	for (unsigned i = 0; i < count; i++)
		thread->fault.word[i] = words[i];
	thread_send_message(thread, MESSAGE_FAULT);
}

void foreign_syscall(struct thread *thread)
{
	thread_send_message(thread, MESSAGE_FOREIGN);
}

void foreign_syscall_slow(struct thread *thread)
{
	foreign_syscall(thread);
	invariants_check();
	schedule_and_return();
}

void thread_say_again(struct thread *thread)
{
	thread->unsaid = false;
	thread_send_again(thread);
}

void thread_send_interrupted(struct thread *thread)
{
	const uint64_t words[] = {context_ip(&thread->context), context_sp(&thread->context)};

	thread->poked = false;
	thread_send_fault(thread, LABEL_INTERRUPTED, words, 2);
}

void page_fault_slow(struct thread *thread, uint64_t address, unsigned access)
{
	const uint64_t words[] = {address, access, context_ip(&thread->context),
	                          context_sp(&thread->context)};

	thread_send_fault(thread, LABEL_PAGE_FAULT, words, 4);
	invariants_check();
	schedule_and_return();
}

void kernel_exception(struct thread *thread, unsigned vector, uint64_t code)
{
	const uint64_t words[] = {vector, code, context_ip(&thread->context), context_sp(&thread->context)};

	debug_lock_take();
	thread_send_fault(thread, LABEL_EXCEPTION, words, 4);
	invariants_check();
	schedule_and_return();
}
