/* SPDX-License-Identifier: MIT */
/* System call entry. */
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/fastpath.h>
#include <kernel/fault.h>
#include <kernel/invariants.h>
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
		while (!arch_debug_ready()) {
			if (!arch_interrupt_pending())
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

void syscall_run(struct thread *thread)
{
	unsigned status;

	if (thread_is_foreign(thread)) {
		foreign_syscall(thread);
		return;
	}
	status = syscall_dispatch(thread);
	/* A thread that destroyed itself has no registers left to tell. */
	if (thread->state == THREAD_STATE_DEAD)
		return;
	if (status == STATUS_RESTART)
		context_restart(&thread->context);
	else if (status != STATUS_BLOCKED)
		*context_status(&thread->context) = status;
}

/* Back to the thread that made it, if nothing speaks against that. */
static inline void return_early(struct thread *thread)
{
	struct cpu *cpu = this_cpu();

	if (cpu->current != thread || cpu->context != thread->sched || cpu->vspace != thread_vspace(thread) ||
	    ready_highest(cpu) > (int)thread->priority)
		return;
	sched_set_timer_for_budget(cpu);
	arch_return_to_user(thread);
}

void syscall_slow(struct thread *thread)
{
	syscall_run(thread);
	invariants_check();
	return_early(thread);
	schedule_and_return();
}
