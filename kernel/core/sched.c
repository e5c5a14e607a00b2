/* SPDX-License-Identifier: MIT */
/*
 * Which thread runs. The running thread is in no queue; a thread that is preempted goes back to the front of
 * its queue, one that has used up its slice or yields goes to the end. Everything is a constant number of
 * steps.
 */
#include <kernel/cpu.h>
#include <kernel/fault.h>
#include <kernel/inherit.h>
#include <kernel/invariants.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/sched.h>
#include <kernel/vspace.h>

#define VISIT_SLICE 5000000ul /* ns */

struct sched_context visit_contexts[CPU_MAX] = {
        [0 ... CPU_MAX - 1] = {.budget = VISIT_SLICE, .period = VISIT_SLICE, .left = VISIT_SLICE},
};

static bool sched_may_queue(const struct thread *thread)
{
	return thread->state == THREAD_STATE_READY && sched_context_usable(sched_payer(thread));
}

void sched_enqueue(struct thread *thread)
{
	if (sched_may_queue(thread) && !thread->queued)
		ready_add_last(thread->cpu, thread);
}

void sched_enqueue_first(struct thread *thread)
{
	if (sched_may_queue(thread) && !thread->queued)
		ready_add_first(thread->cpu, thread);
}

void sched_dequeue(struct thread *thread)
{
	struct ready_queue *queue = &thread->cpu->ready[thread->priority];

	if (!thread->queued)
		return;
	thread->queued = false;
	if (thread->ready_prev)
		thread->ready_prev->ready_next = thread->ready_next;
	else
		queue->first = thread->ready_next;
	if (thread->ready_next)
		thread->ready_next->ready_prev = thread->ready_prev;
	else
		queue->last = thread->ready_prev;
	if (!queue->first)
		ready_unmark(thread->cpu, thread->priority);
}

/* The current thread gives up the CPU but stays ready. */
static void sched_requeue(struct cpu *cpu, struct thread *thread, bool first)
{
	cpu->current = NULL;
	thread->state = THREAD_STATE_READY;
	if (first)
		sched_enqueue_first(thread);
	else
		sched_enqueue(thread);
}

/*
 * A plain slice is used up: whoever runs on it goes behind its equals. So does a foreign thread whose call is
 * being worked on with it, once it is answered: programs that live on system calls would keep their turn for
 * as long as they make some. The path of native calls does not look for that.
 */
static void slice_ends(struct cpu *cpu, struct sched_context *context)
{
	struct thread *thread = cpu->current;

	context->left = (int64_t)context->budget;
	if (thread && sched_payer(thread) == context && thread->state == THREAD_STATE_RUNNING)
		sched_requeue(cpu, thread, false);
	if (context->thread && context->thread != thread && thread_is_foreign(context->thread))
		context->thread->late = true;
}

/* Nothing is left, or was before what is due by now came back. What has just been used may be due itself, when
 * the timer was later than a period: it does not pay for itself. */
static void budget_ends(struct sched_context *context, uint64_t used, uint64_t now)
{
	sched_context_collect(context, now, 1);
	if (context->left < 0)
		sched_context_overrun(context, used);
	sched_context_collect(context, now, 0);
	if (context->left > 0)
		deadline_disarm(&context->refill);
	else if (!deadline_armed(&context->refill))
		deadline_arm(&context->refill, sched_context_next_refill(context));
	thread_inherit(context->thread);
}

static void context_charge(struct sched_context *context, uint64_t since, uint64_t used, uint64_t now)
{
	sched_context_use(context, since, used);
	if (context->left > 0 && !deadline_armed(&context->refill))
		return;
	if (context->budget == context->period)
		slice_ends(this_cpu(), context);
	else
		budget_ends(context, used, now);
}

void sched_charge(struct cpu *cpu)
{
	uint64_t now = arch_time();
	uint64_t used = now - cpu->since;

	cpu->since = now;
	if (!cpu->context)
		return;
	if (cpu->current && cpu->current->away)
		cpu->current->visited += used;
	context_charge(cpu->context, now - used, used, now);
}

void sched_charge_visits(struct thread *thread)
{
	if (thread->visited && thread->sched) {
		uint64_t now = arch_time();

		context_charge(thread->sched, now, thread->visited, now);
	}
	thread->visited = 0;
}

/* The CPU goes on with another context, or none. */
static void sched_charge_last(struct cpu *cpu)
{
	sched_charge(cpu);
	cpu->context = NULL;
}

void sched_context_bind(struct sched_context *context, struct thread *thread)
{
	context->thread = thread;
	thread->own = context;
	thread_inherit(thread);
}

void sched_context_unbind(struct sched_context *context)
{
	struct thread *thread = context->thread;

	if (thread->home->context == context)
		sched_charge_last(thread->home);
	context->thread = NULL;
	thread->own = NULL;
	thread_inherit(thread);
}

uint64_t sched_context_consumed(struct sched_context *context)
{
	if (this_cpu()->context == context)
		sched_charge(this_cpu());
	return context->consumed;
}

void sched_leave(struct thread *thread)
{
	if (thread->cpu->current != thread)
		return;
	if (thread->away)
		sched_charge(thread->cpu); /* while it is known whose time it was */
	thread->cpu->current = NULL;
}

void sched_yield(struct thread *thread)
{
	sched_requeue(thread->cpu, thread, false);
}

/* Who comes first: the current thread, or the first of a ready queue (and still in it), or NULL. */
static struct thread *sched_first(struct cpu *cpu)
{
	struct thread *current = cpu->current;
	int highest = ready_highest(cpu);

	if (current) {
		if (highest <= (int)current->priority)
			return current;
		sched_charge_last(cpu); /* its slice may be over */
		if (cpu->current)
			sched_requeue(cpu, current, true);
		highest = ready_highest(cpu);
	}
	return highest < 0 ? NULL : cpu->ready[highest].first;
}

/* Who runs next; becomes current, and pays from here on. NULL: nobody. */
static struct thread *sched_pick(struct cpu *cpu)
{
	struct thread *next = sched_first(cpu);

	while (cpu->context && (!next || sched_payer(next) != cpu->context)) {
		sched_charge_last(cpu);
		next = sched_first(cpu);
	}
	if (!next)
		return NULL;
	if (next != cpu->current) {
		sched_dequeue(next);
		next->state = THREAD_STATE_RUNNING;
		cpu->current = next;
	}
	cpu->context = sched_payer(next);
	return next;
}

/* The timer is only moved forward: when it fires for something that is no longer so, it is set again. */
void sched_set_timer(struct cpu *cpu)
{
	deadline_t when = deadline_earliest();

	if (when < cpu->expire_from)
		when = cpu->expire_from;
	if (cpu->context && cpu->since + (uint64_t)cpu->context->left < when)
		when = cpu->since + (uint64_t)cpu->context->left;
	if (when >= cpu->timer)
		return;
	cpu->timer = when;
	arch_timer_set(when);
}

/* Interrupts are served where no user mode is returned to: by an idle CPU, and after each part of a visit. */
static void sched_rest(bool idle)
{
	debug_lock_release();
	/* What is to be said still is said, and not slept over. */
	if ((idle && !kernel_log_send()) || arch_interrupt_pending())
		arch_idle();
	debug_lock_take();
}

/* What it does before it goes on in user mode. False: nothing. */
static bool thread_has_business(struct thread *thread)
{
	if (thread->away)
		thread_visit(thread);
	else if (thread->unsaid)
		thread_say_again(thread);
	else if (thread->poked && thread_is_foreign(thread))
		thread_send_interrupted(thread);
	else
		return false;
	return true;
}

void schedule_and_return(void)
{
	struct cpu *cpu = this_cpu();

	for (;;) {
		struct thread *next = sched_pick(cpu);

		sched_set_timer(cpu);
		if (!next) {
			sched_rest(true);
			cpu->since = arch_time();
			continue;
		}
		if (next->detained && thread_has_business(next)) {
			invariants_check();
			sched_rest(false);
			continue;
		}
		vspace_load(cpu, thread_vspace(next));
		debug_lock_release();
		arch_return_to_user(next);
	}
}

void kernel_timer(void)
{
	struct cpu *cpu = this_cpu();

	debug_lock_take();
	cpu->timer = DEADLINE_NEVER;
	sched_charge(cpu);
	deadline_expire(cpu->since);
}

void kernel_interrupt_done(struct thread *thread)
{
	(void)thread;
	debug_lock_take();
	invariants_check();
	schedule_and_return();
}
