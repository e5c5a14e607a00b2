/* SPDX-License-Identifier: MIT */
/* System call entry. */
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/fastpath.h>
#include <kernel/fault.h>
#include <kernel/invariants.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>

/* The line is slow: it is waited for where interrupts are served. What is still to be written then moves to
 * the front. */
static unsigned syscall_debug_write(struct thread *thread)
{
	uint64_t words[MESSAGE_REGISTER_WORDS], count = *context_cap(&thread->context);
	char *text = (char *)words;

	if (count > sizeof(words))
		return ERR_ARGUMENT;
	for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
		words[i] = *context_word(&thread->context, i);
	for (; count; count--, text++) {
		while (kernel_log_send() || !arch_debug_ready()) {
			if (!preempt_wanted())
				continue;
			__builtin_memmove(words, text, count);
			for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
				*context_word(&thread->context, i) = words[i];
			*context_cap(&thread->context) = count;
			return STATUS_RESTART;
		}
		arch_debug_write(text, 1);
	}
	return ERR_NONE;
}

static unsigned syscall_dispatch(struct thread *thread)
{
	switch (*context_status(&thread->context)) {
	case SYS_CALL:
		return syscall_call(thread);
	case SYS_SEND:
		return syscall_send(thread);
	case SYS_RECV:
		return syscall_recv(thread);
	case SYS_REPLY_RECV:
		return syscall_reply_recv(thread);
	case SYS_REPLY:
		return syscall_reply(thread);
	case SYS_SIGNAL:
		return syscall_signal(thread);
	case SYS_WAIT:
		return syscall_wait(thread);
	case SYS_YIELD:
		sched_yield(thread);
		return ERR_NONE;
	case SYS_INVOKE:
		return invoke(thread);
	case SYS_DEBUG_WRITE:
		return syscall_debug_write(thread);
	default:
		return ERR_NO_SYSCALL;
	}
}

/*
 * On to where the call has to go on, or home; by way of the CPUs that have to flush their TLBs first. A
 * thread that stopped itself does what is left when it is resumed.
 */
static void syscall_end(struct thread *thread, unsigned status)
{
	struct cpu *to = status == STATUS_RESTART ? this_cpu()->go_to : NULL;
	bool stopped = thread->state == THREAD_STATE_STOPPED;

	if (to && to != thread->home && !thread->tour && !stopped) {
		thread_travel(thread, to, TRIP_CALL);
		return;
	}
	/* Preempted on a visit it goes on when its turn comes again. */
	if (status == STATUS_RESTART && thread->away && !to && !thread->tour)
		return;
	if (status == STATUS_RESTART) {
		context_restart(&thread->context);
	} else {
		*context_status(&thread->context) = status;
		thread->flags &= ~(uint32_t)THREAD_RESTARTED;
	}
	if (!stopped && (thread->tour || to || thread->away))
		thread_travel(thread, thread_next_stop(thread), TRIP_HOME);
}

void syscall_run(struct thread *thread)
{
	unsigned status;

	if (thread_is_foreign(thread)) {
		foreign_syscall(thread);
		return;
	}
	this_cpu()->go_to = NULL;
	status = syscall_dispatch(thread);
	/* A thread that waits may be anywhere by now. */
	if (status != STATUS_BLOCKED)
		syscall_end(thread, status);
}

/* Back to the thread that made it, if nothing speaks against that. */
static inline void return_early(struct thread *thread)
{
	struct cpu *cpu = this_cpu();

	if (cpu->current != thread || cpu->context != thread->sched || cpu->vspace != thread_vspace(thread) ||
	    ready_highest(cpu) > (int)thread->priority)
		return;
	sched_set_timer_for_budget(cpu);
	debug_lock_release();
	arch_return_to_user(thread);
}

void syscall_return(struct thread *thread, unsigned status)
{
	this_cpu()->go_to = NULL;
	syscall_end(thread, status);
	invariants_check();
	return_early(thread);
	schedule_and_return();
}

void syscall_slow(struct thread *thread)
{
	debug_lock_take();
	syscall_run(thread);
	invariants_check();
	return_early(thread);
	schedule_and_return();
}
