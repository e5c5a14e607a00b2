/* SPDX-License-Identifier: MIT */
/*
 * The scheduler of a CPU: 256 priorities, first in first out within one; and scheduling contexts, which say
 * how much time a thread may use.
 *
 * A context with budget == period is a plain time slice: when it is used up it is refilled at once and the
 * thread goes behind its equals. Otherwise it is a sporadic server: what is used from time t on comes back at
 * the end of the fifth of a period in which t + period lies. So no window of one period sees more than the
 * budget, and at most REFILLS amounts are due at different times.
 */
#pragma once

#include <kernel/cpu.h>
#include <kernel/deadline.h>
#include <kernel/thread.h>

#define REFILLS 6

struct refill {
	uint64_t time, amount;
};

/* budget == left + the amounts of the refills that are to come. */
struct sched_context {
	struct thread *thread;   /* that is bound to it, or NULL */
	uint64_t budget, period; /* ns; 0: not configured, its thread does not run */
	int64_t left;            /* not above 0: its thread does not run. Below: an interrupt came late */
	uint64_t consumed;       /* ever, ns */
	uint32_t last, coming;   /* of refills: a ring, ordered by time; `coming` of them, up to the last */
	struct refill refills[REFILLS];
	struct deadline refill; /* armed: nothing is left, the next amount is waited for */
	struct slot time; /* the CpuTime that it was configured through; its share is what was promised */
};
_Static_assert(sizeof(struct sched_context) <= 1 << 8, "SchedContext object");

static inline struct sched_context *sched_context_of_deadline(struct deadline *deadline)
{
	return (struct sched_context *)((char *)deadline - offsetof(struct sched_context, refill));
}

static inline bool sched_context_usable(const struct sched_context *context)
{
	return context && context->left > 0;
}

/*
 * Contexts do not cross CPUs: visitors take turns on one that each CPU has for all of them, and pay with
 * their own when they come home.
 */
extern struct sched_context visit_contexts[CPU_MAX];

/* Whose time it is when the thread runs where it is. */
static inline struct sched_context *sched_payer(const struct thread *thread)
{
	return thread->away ? &visit_contexts[thread->cpu->index] : thread->sched;
}

#define SCHED_SLICE_MIN 10000ul /* ns: the shortest budget that can be configured */

void sched_context_init(struct sched_context *context);
void sched_context_destroy(struct sched_context *context);
/* The deadline: the next amount comes back. */
void sched_context_refill(struct sched_context *context);
/* Before it is unconfigured or destroyed: see slot_approach_parent. */
bool sched_context_approach_time(struct sched_context *context);
/* Its CpuTime is revoked: its thread does not run until it is configured again. */
void sched_context_unconfigure(struct sched_context *context);
/* When the next amount comes back; some is to come. */
uint64_t sched_context_next_refill(const struct sched_context *context);
/* Take back what is due, but for the last `keep` amounts. */
void sched_context_collect(struct sched_context *context, uint64_t now, unsigned keep);
/* `used` from `since` on comes back later. */
void sched_context_post(struct sched_context *context, uint64_t since, uint64_t used);
/*
 * The last of `used`, which left a debt, was beyond the budget (the timer came late, or it was used on a
 * visit): it comes back no faster than the share allows.
 */
void sched_context_overrun(struct sched_context *context, uint64_t used);
/* A new budget, full. */
void sched_context_setup(struct sched_context *context, uint64_t budget, uint64_t period);
/* It gets a thread, or loses the one that it has. */
void sched_context_bind(struct sched_context *context, struct thread *thread);
void sched_context_unbind(struct sched_context *context);
unsigned sched_context_invoke(struct thread *caller, struct slot *slot, unsigned operation);

/* Put a READY thread where it belongs, if it may run: behind its equals, or before them. */
void sched_enqueue(struct thread *thread);
void sched_enqueue_first(struct thread *thread);
void sched_dequeue(struct thread *thread);
/* The current thread ceases to run (it blocked, stopped or is gone). */
void sched_leave(struct thread *thread);
/* Make sure that the timer fires for the earliest deadline and for the end of the budget. */
void sched_set_timer(struct cpu *cpu);
/* Charge the CPU's context up to now. */
void sched_charge(struct cpu *cpu);
/* It has come home, and pays for its visits. */
void sched_charge_visits(struct thread *thread);
/* What a context has consumed, up to now. */
uint64_t sched_context_consumed(struct sched_context *context);
void sched_yield(struct thread *thread);

/* The context has had the CPU since then, for `used`. */
__attribute__((always_inline)) static inline void sched_context_use(struct sched_context *context,
                                                                    uint64_t since, uint64_t used)
{
	struct refill *last = &context->refills[context->last];

	context->consumed += used;
	context->left -= (int64_t)used;
	if (context->budget == context->period)
		return;
	if (since + context->period <= last->time)
		last->amount += used;
	else
		sched_context_post(context, since, used);
}

/* ---- ready queues ---- */

__attribute__((always_inline)) static inline void ready_mark(struct cpu *cpu, unsigned priority)
{
	cpu->ready_bits[priority / 64] |= 1ul << priority % 64;
	cpu->ready_words |= 1ul << priority / 64;
}

__attribute__((always_inline)) static inline void ready_unmark(struct cpu *cpu, unsigned priority)
{
	cpu->ready_bits[priority / 64] &= ~(1ul << priority % 64);
	if (!cpu->ready_bits[priority / 64])
		cpu->ready_words &= ~(1ul << priority / 64);
}

/* A READY thread that is in no queue. */
static inline void ready_add_last(struct cpu *cpu, struct thread *thread)
{
	struct ready_queue *queue = &cpu->ready[thread->priority];

	thread->queued = true;
	thread->ready_next = NULL;
	thread->ready_prev = queue->last;
	if (queue->last)
		queue->last->ready_next = thread;
	else
		queue->first = thread;
	queue->last = thread;
	ready_mark(cpu, thread->priority);
}

/* The same before its equals. */
static inline void ready_add_first(struct cpu *cpu, struct thread *thread)
{
	struct ready_queue *queue = &cpu->ready[thread->priority];

	thread->queued = true;
	thread->ready_prev = NULL;
	thread->ready_next = queue->first;
	if (queue->first)
		queue->first->ready_prev = thread;
	else
		queue->last = thread;
	queue->first = thread;
	ready_mark(cpu, thread->priority);
}

/* The first of the queue, which is not empty, leaves it. */
__attribute__((always_inline)) static inline void ready_take_first(struct cpu *cpu, unsigned priority)
{
	struct ready_queue *queue = &cpu->ready[priority];
	struct thread *first = queue->first;

	first->queued = false;
	queue->first = first->ready_next;
	if (queue->first) {
		queue->first->ready_prev = NULL;
	} else {
		queue->last = NULL;
		ready_unmark(cpu, priority);
	}
}

/* `last` goes behind its equals, of whom there is one; the first of them leaves the queue. */
static inline void ready_rotate(struct cpu *cpu, struct thread *last)
{
	struct ready_queue *queue = &cpu->ready[last->priority];
	struct thread *first = queue->first;

	last->queued = true;
	last->ready_next = NULL;
	last->ready_prev = queue->last;
	queue->last->ready_next = last;
	queue->last = last;
	first->queued = false;
	queue->first = first->ready_next;
	queue->first->ready_prev = NULL;
}

/* The highest priority that is ready, or -1. */
__attribute__((always_inline)) static inline int ready_highest(const struct cpu *cpu)
{
	unsigned word;

	if (!cpu->ready_words)
		return -1;
	word = 63 ^ (unsigned)__builtin_clzl(cpu->ready_words);
	return (int)(word * 64 + (63 ^ (unsigned)__builtin_clzl(cpu->ready_bits[word])));
}

/* The same as sched_set_timer() when no deadline was armed since the timer was last right. */
static inline void sched_set_timer_for_budget(struct cpu *cpu)
{
	if (cpu->since + (uint64_t)cpu->context->left < cpu->timer)
		sched_set_timer(cpu);
}
