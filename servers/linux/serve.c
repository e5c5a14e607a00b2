/* SPDX-License-Identifier: MIT */
/*
 * Serving one thread's message: a system call, a fault, an exception or the answer to a poke, on the fiber
 * that received it.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <pith/log.h>
#include <pith/slots.h>
#include <pith/startup.h>
#include <pith/syscall.h>
#include "balance.h"
#include "fault.h"
#include "fiber_context.h"
#include "oom.h"
#include "syscall_table.h"
#include "thread.h"

#define RT_SIGRETURN 15

/*
 * ---- Reply objects: one for each call in progress, and one for the next to come. Each kernel thread is made
 * together with one, so that a call never finds none. ----
 */

#define FREE_REPLIES 16384
static cptr_t free_replies[FREE_REPLIES];
static unsigned free_reply_count;

cptr_t reply_take(void)
{
	cptr_t reply = free_reply_count ? free_replies[--free_reply_count] : object_create(OBJECT_REPLY, 0);

	if (!reply)
		fatal("out of kernel memory for Reply objects");
	return reply;
}

void reply_give(cptr_t reply)
{
	if (free_reply_count < FREE_REPLIES)
		free_replies[free_reply_count++] = reply;
	else
		object_destroy(reply);
}

/* ---- signals on the way back ---- */

static void deliver(struct thread *thread, const struct linux_siginfo *info,
                    const struct signal_action *action)
{
	struct linux_siginfo failed = {.signal = SIGSEGV, .code = 0x80 /* SI_KERNEL */};

	/* A reply cannot carry an address that is none of user space. */
	if (action->handler < USER_END && sigframe_push(thread, info, action))
		return;
	if (info->signal == SIGSEGV)
		process_exit_group(thread->process, SIGSEGV);
	else
		signal_force(thread, &failed); /* its handler may have a stack of its own */
}

static void back_to_user(struct thread *thread)
{
	struct thread_private *own = thread->private;
	struct signal_action action;
	struct linux_siginfo info;

	/* No signal has ended the call: what only its mask let through waits again. */
	if (own->mask_saved) {
		own->mask_saved = false;
		signal_set_mask(thread, own->saved_mask);
	}
	while (own->attention) {
		if (signal_take(thread, &info, &action)) {
			if (own->label == LABEL_FOREIGN_SYSCALL && !own->registers_changed)
				thread_registers_change(thread)->rax = own->delivery->words[0];
			deliver(thread, &info, &action);
		} else if (own->exiting) {
			return;
		}
	}
}

/* ---- system calls ---- */

deadline_t syscall_deadline(struct thread *thread, uint64_t timeout)
{
	struct thread_private *own = thread->private;
	uint64_t now;

	if (!own->restart_deadline) {
		now = time_now();
		own->restart_deadline = timeout < DEADLINE_NEVER - now ? now + timeout : DEADLINE_NEVER;
	}
	return own->restart_deadline;
}

void syscall_deadline_done(struct thread *thread)
{
	thread->private->restart_deadline = 0;
}

/* A call was interrupted: a handler runs and the call ends or is repeated by the program itself. false: no
 * handler; call it again here. */
static bool interrupt_call(struct thread *thread, long result, uint64_t number)
{
	struct signal_action action;
	struct linux_siginfo info;
	struct thread_registers *registers;

	if (!signal_take(thread, &info, &action))
		return thread->private->exiting;
	registers = thread_registers_change(thread);
	if (result == -EINTR_ALWAYS || (result == -EINTR_RESTART && action.flags & SA_RESTART)) {
		registers->rip -= 2; /* the syscall instruction */
		registers->rax = number;
	} else {
		registers->rax = (uint64_t)-EINTR;
	}
	deliver(thread, &info, &action);
	return true;
}

static void serve_syscall(struct thread *thread)
{
	struct thread_private *own = thread->private;
	union delivery *delivery = own->delivery;
	uint64_t number = delivery->words[0];
	long result;

	/* More than what comes in registers, and only valid until the next long message. */
	delivery->words[MESSAGE_REGISTER_WORDS] = ipc_buffer()->words[MESSAGE_REGISTER_WORDS];
	own->restart_deadline = 0;
	for (;;) {
		if (own->exiting)
			return;
		result = syscall_dispatch(thread, number, &delivery->words[1]);
		if ((result != -EINTR_RESTART && result != -EINTR_ALWAYS && result != -EINTR_NOHAND) ||
		    number == RT_SIGRETURN)
			break;
		if (interrupt_call(thread, result, number))
			return;
	}
	delivery->words[0] = (uint64_t)result;
	delivery->info = MESSAGE_INFO(0, 1);
	if (own->registers_changed)
		thread->registers.rax = (uint64_t)result;
}

/* ---- faults and exceptions ---- */

static void fault_signal(struct thread *thread, int signal, int code, uint64_t address, unsigned trap,
                         uint64_t error)
{
	struct linux_siginfo info = {.signal = signal, .code = code, .address = address};

	thread->private->fault_address = address;
	thread->private->fault_trap = trap;
	thread->private->fault_code = (uint32_t)error;
	signal_force(thread, &info);
}

/* An answer that is to map the page of the fault. */
#define ANSWER_MAPS MESSAGE_INFO(REPLY_MAP, MESSAGE_REGISTER_WORDS)

static void serve_fault(struct thread *thread)
{
	struct thread_private *own = thread->private;
	uint64_t address = own->delivery->words[0], access = own->delivery->words[1];
	/* What is there beyond the user's addresses is not told. */
	uint64_t error_code = (access & FAULT_PRESENT || address >= USER_END ? 1 : 0) |
	                      (access & FAULT_WRITE ? 2 : 0) | 4 | (access & FAULT_EXECUTE ? 16 : 0);
	struct usage *used = &thread->process->used;
	uint64_t waits = used->waits; /* nobody else adds to them unless this fault waits */
	enum fault_result result;
	bool map;

	while ((result = fault_handle(thread->process->mm, address, (unsigned)access, &map)) ==
	       FAULT_NO_MEMORY) {
		oom_kill();
		if (own->exiting)
			return;
	}
	*(used->waits == waits ? &used->minor_faults : &used->major_faults) += 1;
	if (result == FAULT_OK && map) {
		own->delivery->info = ANSWER_MAPS; /* the address stays where it is */
	} else if (result == FAULT_NO_REGION) {
		fault_signal(thread, SIGSEGV, SEGV_MAPERR, address, 14, error_code);
	} else if (result == FAULT_NO_RIGHT) {
		fault_signal(thread, SIGSEGV, SEGV_ACCERR, address, 14, error_code);
	} else if (result == FAULT_BUS) {
		fault_signal(thread, SIGBUS, BUS_ADRERR, address, 14, error_code);
	}
}

static void serve_exception(struct thread *thread)
{
	const uint64_t *words = thread->private->delivery->words;
	uint64_t vector = words[0], code = words[1], rip = words[2];
	unsigned trap = (unsigned)vector;
	int float_code;

	switch (vector) {
	case 0:
		fault_signal(thread, SIGFPE, FPE_INTDIV, rip, trap, 0);
		break;
	case 1:
		fault_signal(thread, SIGTRAP, TRAP_TRACE, rip, trap, 0);
		break;
	case 3:
		fault_signal(thread, SIGTRAP, 0x80, 0, trap, 0);
		break;
	case 6:
		fault_signal(thread, SIGILL, ILL_ILLOPN, rip, trap, 0);
		break;
	case 12:
		fault_signal(thread, SIGBUS, 0x80, 0, trap, code);
		break;
	case 16:
	case 19:
		float_code = float_error_code(thread, vector == 19);
		if (float_code) /* else it was spurious */
			fault_signal(thread, SIGFPE, float_code, rip, trap, 0);
		break;
	case 17:
		fault_signal(thread, SIGBUS, BUS_ADRALN, 0, trap, code);
		break;
	default:
		fault_signal(thread, SIGSEGV, 0x80, 0, trap, code);
		break;
	}
}

/* ---- from a message to its answer ---- */

static void serve(struct thread *thread)
{
	struct thread_private *own = thread->private;

	own->delivery->info = MESSAGE_INFO(0, 0);
	switch (own->label) {
	case LABEL_FOREIGN_SYSCALL:
		serve_syscall(thread);
		break;
	case LABEL_PAGE_FAULT:
		serve_fault(thread);
		break;
	case LABEL_EXCEPTION:
		serve_exception(thread);
		break;
	case LABEL_INTERRUPTED:
		own->poked = false;
		own->attention = true;
		break;
	default:
		log_error("thread %d: message %x", thread->tid, own->label);
		break;
	}
}

/*
 * All that is to be done before the thread goes on, other fibers included: they may have something for it.
 * false: it ends.
 */
static bool settle(struct thread *thread)
{
	struct thread_private *own = thread->private;

	do {
		back_to_user(thread);
		if (own->exiting)
			return false;
		run_others();
	} while (own->attention || own->exiting);
	return true;
}

/* Decided only now: others ran since the fault was served, and may have taken the page away, or made it
 * read-only because it is being written back. */
static void put_mapping(struct thread *thread)
{
	union delivery *delivery = thread->private->delivery;
	struct fault_mapping mapping;

	if (fault_mapping(thread->process->mm, delivery->words[0], &mapping))
		delivery->message = (struct message){
		        ANSWER_MAPS,
		        {0, mapping.window, mapping.address, mapping.memory_page, 1, mapping.rights}};
	else
		delivery->info = MESSAGE_INFO(0, 0);
}

/* From here on to others it is in user mode: a poke of theirs is not the one that this answer takes back. */
static void seal(struct thread *thread)
{
	struct thread_private *own = thread->private;
	uint64_t flags = own->poked ? REPLY_CONSUME_POKE : 0;

	own->reply = CPTR_NULL;
	if (own->delivery->info == ANSWER_MAPS && !own->registers_changed)
		put_mapping(thread);
	if (!own->unusual)
		return;
	own->poked = false;
	if (own->registers_changed)
		own->delivery->info =
		        MESSAGE_INFO(REPLY_REGISTERS | flags, MESSAGE_REGISTER_WORDS + THREAD_REGISTER_WORDS);
	else
		own->delivery->info |= MESSAGE_INFO(flags, 0);
}

bool thread_serve(struct thread *thread, cptr_t reply, union delivery *delivery)
{
	struct thread_private *own = thread->private;

	own->delivery = delivery;
	own->reply = reply;
	own->label = message_label(delivery->info);
	own->registers_changed = false;
	own->balance.calls++;
	thread->registers_valid = false;
	thread->fiber = fiber_current();
	serve(thread);
	if ((own->unusual || others_wait()) && !settle(thread)) {
		thread_exit(thread);
		return false;
	}
	thread->fiber = NULL;
	if (balance_return(thread))
		return false;
	seal(thread);
	return true;
}

void thread_load_registers(const struct thread *thread)
{
	if (thread->private->registers_changed)
		memcpy(&ipc_buffer()->words[MESSAGE_REGISTER_WORDS], &thread->registers,
		       sizeof(thread->registers));
}
