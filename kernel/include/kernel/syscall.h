/* SPDX-License-Identifier: MIT */
/* The system call layer. */
#pragma once

#include <abi/syscall.h>
#include <kernel/thread.h>

/* Internal outcomes of a system call beside enum error. */
enum {
	STATUS_RESTART = 0x200, /* do the same again: somebody waits (preempt_wanted), or elsewhere (go_to) */
	STATUS_BLOCKED,         /* the registers are, or will be, set by who ends the wait; or it is dead */
};

/* One system call of the running thread, up to but without the choice of who runs next. */
void syscall_run(struct thread *thread);
unsigned invoke(struct thread *thread);

/* Operations whose arguments must be zero from word `first` on. */
static inline bool arguments_zero(struct thread *thread, unsigned first)
{
	uint64_t any = 0;

	for (unsigned i = first; i < MESSAGE_REGISTER_WORDS; i++)
		any |= *context_word(&thread->context, i);
	return !any;
}

static inline uint64_t argument(struct thread *thread, unsigned i)
{
	return *context_word(&thread->context, i);
}

static inline void result(struct thread *thread, unsigned i, uint64_t value)
{
	*context_word(&thread->context, i) = value;
}
