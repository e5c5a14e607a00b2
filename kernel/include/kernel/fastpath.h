/* SPDX-License-Identifier: MIT */
/*
 * The short ways through the kernel: see fastpath.c. Each returns, having changed nothing, if it cannot be
 * taken now.
 */
#pragma once

#include <abi/syscall.h>

#include <kernel/cpu.h>
#include <kernel/invariants.h>
#include <kernel/sched.h>
#include <kernel/thread.h>

void fast_call(struct thread *thread);
void fast_reply_recv(struct thread *thread);
void fast_foreign(struct thread *thread);
/* Its `fault` is filled in; slot is the handler's endpoint. */
void fast_fault(struct thread *thread, const struct slot *slot);

/* Before a system call is looked at more closely. */
static inline void fastpath(struct thread *thread)
{
	if (thread_is_foreign(thread))
		fast_foreign(thread);
	else if (*context_status(&thread->context) == SYS_CALL)
		fast_call(thread);
	else if (*context_status(&thread->context) == SYS_REPLY_RECV)
		fast_reply_recv(thread);
}

/* After it: back to the thread that made it, if nothing speaks against that. */
static inline void fast_return(struct thread *thread)
{
	struct cpu *cpu = this_cpu();

	if (cpu->current != thread || cpu->context != thread->sched || cpu->vspace != thread_vspace(thread) ||
	    thread_is_foreign(thread) || ready_highest(cpu) > (int)thread->priority)
		return;
	sched_set_timer_for_budget(cpu);
	arch_return_to_user(thread);
}
