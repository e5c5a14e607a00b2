/* SPDX-License-Identifier: MIT */
/*
 * Which CPU a thread runs on. Threads begin on the server's own CPU, where a system call costs least: whoever
 * calls often stays there. One that computes without calling is taken to the CPU with the fewest of its kind,
 * and brought back when it begins to call often: from another CPU a call takes two interrupts.
 *
 * A kernel thread cannot change its home, so moving means another kernel thread with the same registers. That
 * is possible while the server holds the thread's call; a thread that makes none is poked and comes in with
 * INTERRUPTED.
 *
 * Threads of SCHED_FIFO and SCHED_RR are to run at once, not after a while: from the first they are spread
 * over the CPUs, however often they call.
 *
 * While anybody is in user mode the server looks at all threads every TICK. With one CPU nothing of this
 * happens.
 */
#include <pith/log.h>
#include <pith/object.h>
#include <pith/startup.h>
#include "address_space.h"
#include "balance.h"

#define TICK      10000000ul /* ns */
#define QUIET     2          /* ticks without a call: it computes */
#define TALKATIVE 20         /* calls in a tick: it had better be here */
#define SETTLED   50         /* ticks that it stays after it was brought back */

static struct {
	struct deadline tick;
	unsigned cpus, own;
	unsigned computing[BALANCE_CPUS]; /* at the last tick, by CPU */
} balance;

unsigned thread_cpu(const struct thread *thread)
{
	return thread->private->kernel->cpu;
}

static bool in_user_mode(const struct thread *thread)
{
	return !thread->private->reply && !thread->fiber && !thread->private->exiting;
}

bool anybody_in_user_mode(void)
{
	for (struct process *process = process_first(); process; process = process_next(process))
		for (struct thread *thread = process->threads; thread; thread = thread->next_in_process)
			if (in_user_mode(thread))
				return true;
	return false;
}

static bool allowed(const struct thread *thread, unsigned cpu)
{
	return thread->private->affinity >> cpu & 1;
}

static bool computes(const struct thread *thread)
{
	return in_user_mode(thread) && thread->private->balance.quiet >= QUIET;
}

static unsigned least_loaded(const struct thread *thread)
{
	unsigned best = thread_cpu(thread);

	for (unsigned cpu = 0; cpu < balance.cpus; cpu++)
		if (allowed(thread, cpu) &&
		    (!allowed(thread, best) || balance.computing[cpu] < balance.computing[best]))
			best = cpu;
	return best;
}

/* Where the fewest others of these policies are, or are going. */
static unsigned choose_realtime(const struct thread *thread)
{
	unsigned others[BALANCE_CPUS] = {0}, best = thread->private->balance.target;

	for (struct process *process = process_first(); process; process = process_next(process))
		for (struct thread *other = process->threads; other; other = other->next_in_process)
			if (other != thread && other->private->priority && !other->private->exiting)
				others[other->private->balance.target]++;
	for (unsigned cpu = 0; cpu < balance.cpus; cpu++)
		if (allowed(thread, cpu) && (!allowed(thread, best) || others[cpu] < others[best]))
			best = cpu;
	return best;
}

void balance_realtime(struct thread *thread)
{
	if (balance.cpus > 1 && thread->private->priority)
		thread->private->balance.target = (uint8_t)choose_realtime(thread);
}

/* Where it should be. Two on one CPU and none on another: worth a move; one that shares only with the server:
 * too. */
static unsigned choose(const struct thread *thread)
{
	const struct thread_balance *state = &thread->private->balance;
	unsigned cpu = thread_cpu(thread), best;

	if (thread->private->priority)
		return choose_realtime(thread);
	best = least_loaded(thread);
	if (!allowed(thread, cpu))
		return best;
	if (cpu != balance.own && state->calls >= TALKATIVE && allowed(thread, balance.own))
		return balance.own;
	if (!computes(thread) || state->settled || best == cpu)
		return cpu;
	return balance.computing[best] + (cpu != balance.own) < balance.computing[cpu] ? best : cpu;
}

static void propose(struct thread *thread, unsigned cpu)
{
	struct thread_balance *state = &thread->private->balance;

	state->target = (uint8_t)cpu;
	if (cpu == thread_cpu(thread))
		return;
	if (computes(thread)) {
		balance.computing[thread_cpu(thread)]--;
		balance.computing[cpu]++;
	}
	if (cpu == balance.own)
		state->settled = SETTLED;
	thread_poke_in(thread);
}

static bool count(void)
{
	bool any = false;

	for (unsigned cpu = 0; cpu < balance.cpus; cpu++)
		balance.computing[cpu] = 0;
	for (struct process *process = process_first(); process; process = process_next(process))
		for (struct thread *thread = process->threads; thread; thread = thread->next_in_process) {
			struct thread_balance *state = &thread->private->balance;

			state->quiet = state->calls || !in_user_mode(thread) ? 0 : state->quiet + 1;
			state->settled -= state->settled > 0;
			balance.computing[thread_cpu(thread)] += computes(thread);
			any |= in_user_mode(thread);
		}
	return any;
}

static void tick(struct deadline *deadline)
{
	bool any = count();

	for (struct process *process = process_first(); process; process = process_next(process))
		for (struct thread *thread = process->threads; thread; thread = thread->next_in_process) {
			propose(thread, choose(thread));
			thread->private->balance.calls = 0;
		}
	if (any)
		deadline_set(deadline, time_now() + TICK);
}

void balance_init(void)
{
	balance.cpus = startup()->cpu_count < BALANCE_CPUS ? startup()->cpu_count : BALANCE_CPUS;
	balance.own = startup()->cpu;
	balance.tick.fire = tick;
}

void balance_note_user(void)
{
	if (balance.cpus > 1 && !balance.tick.position)
		deadline_set(&balance.tick, time_now() + TICK);
}

uint64_t cpus_online(void)
{
	return (1ul << balance.cpus) - 1;
}

void thread_set_affinity(struct thread *thread, uint64_t mask)
{
	thread->private->affinity = mask;
	if (!allowed(thread, thread_cpu(thread)))
		thread->private->balance.target = (uint8_t)least_loaded(thread);
	balance_note_user();
}

/* Registers, vector registers, address space: all that a kernel thread has. */
static bool hand_over(struct thread *thread, struct kernel_thread *from, struct kernel_thread *to)
{
	uint8_t vector[3072];
	size_t size = sizeof(vector);

	if (!kernel_thread_bind(to, thread->process->mm->space) ||
	    thread_read_vector(from->object, vector, &size) != ERR_NONE ||
	    (size && thread_write_vector(to->object, vector, size) != ERR_NONE) ||
	    thread_write_registers(to->object, thread_registers(thread)) != ERR_NONE)
		return false;
	/* The time that the thread has used stays its own. */
	to->time_base -= kernel_thread_time(from);
	return true;
}

static bool balance_move(struct thread *thread)
{
	struct thread_private *private = thread->private;
	struct kernel_thread *from = private->kernel, *to;
	enum error error;

	if (private->balance.target == from->cpu || private->label == LABEL_PAGE_FAULT)
		return false; /* the answer to a fault maps a page, and only answers can do that */
	to = kernel_thread_take(thread, private->balance.target);
	if (!to)
		return false;
	if (private->label == LABEL_FOREIGN_SYSCALL && !private->registers_changed)
		thread_registers(thread)->rax = private->delivery->words[0];
	if (!hand_over(thread, from, to)) {
		kernel_thread_release(to);
		return false;
	}
	thread_stop_call(thread);
	private->poked = false;
	private->kernel = to;
	kernel_thread_schedule(thread);
	thread_tell_name(thread);
	private->balance.quiet = 0;
	kernel_thread_release(from);
	error = thread_resume(to->object);
	if (error != ERR_NONE)
		log_error("thread %d cannot go on: %s", thread->tid, error_text(error));
	return true;
}

bool balance_return(struct thread *thread)
{
	if (balance.cpus == 1)
		return false;
	balance_note_user();
	return balance_move(thread);
}
