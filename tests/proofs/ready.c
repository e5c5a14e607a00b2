/* SPDX-License-Identifier: MIT */
/*
 * The ready queues of a CPU (kernel/core/sched.c, sched.h): each operation, on any queues of THREADS threads,
 * keeps links and bitmaps as docs/invariants.md 9 and 14 say, puts and takes at the right end, and leaves the
 * order of the others alone.
 *
 * What holds of all queues is assumed, before, of those that the operation can reach (the threads' own and
 * the highest) and of one more, and proved, afterwards, of that one: it may be any. So there can be many
 * priorities (PRIORITIES, the kernel's if it is not defined). Threads have those in PRIORITY_MASK: a few, in
 * different words of the bitmap.
 */
#include "proof.h"

#include "kernel/core/sched.c"

#include "kernel/core/invariants.c"

#ifndef THREADS
#define THREADS 3
#endif
#ifndef OP
#define OP any_below(7)
#endif
#ifndef PRIORITY_MASK
#define PRIORITY_MASK 0xff
#endif

static struct thread *threads[THREADS];
static struct sched_context contexts[THREADS];
static struct cpu cpu;
static int places[THREADS]; /* before the operation */

struct cpu *arch_this_cpu(void)
{
	return &cpu;
}

static struct thread *any_thread_or_null(void)
{
	unsigned i = any_below(THREADS + 1);

	return i < THREADS ? threads[i] : NULL;
}

static bool is_marked(unsigned priority)
{
	return cpu.ready_bits[priority / 64] >> priority % 64 & 1;
}

/* How many are before it in the queue of its priority; -1: it is not there. */
static int place(const struct thread *thread)
{
	const struct thread *at = cpu.ready[thread->priority].first;

	for (int i = 0; at && i < THREADS; i++, at = at->ready_next) {
		if (at == thread)
			return i;
	}
	return -1;
}

static void check_threads(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		check_thread_queued(threads[i]);
		check_ready_links(threads[i]);
		require(threads[i]->queued == (place(threads[i]) >= 0));
	}
	check_ready_words(&cpu);
}

static void make_any_queues(void)
{
	for (unsigned i = 0; i < PRIORITY_COUNT; i++) {
		cpu.ready[i].first = any_thread_or_null();
		cpu.ready[i].last = any_thread_or_null();
	}
	for (unsigned i = 0; i < PRIORITY_COUNT / 64; i++)
		cpu.ready_bits[i] = nondet_u64();
	cpu.ready_words = nondet_u64();
	assume(!(cpu.ready_words >> (PRIORITY_COUNT / 64)));
}

static void make_any_threads(void)
{
	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = malloc(sizeof(struct thread));
	for (unsigned i = 0; i < THREADS; i++) {
		struct thread *thread = threads[i];

		contexts[i].left = nondet_bool();
		thread->sched = nondet_bool() ? &contexts[i] : NULL;
		thread->state = (uint8_t)nondet_unsigned();
		thread->priority = (uint8_t)(nondet_unsigned() & PRIORITY_MASK);
		thread->queued = nondet_bool();
		thread->ready_next = any_thread_or_null();
		thread->ready_prev = any_thread_or_null();
		thread->home = thread->cpu = &cpu;
	}
}

/* The others of the same priority are where they were, or `moved` places further behind if they came after
 * `from`. */
static void prove_others(const struct thread *thread, int from, int moved)
{
	for (unsigned i = 0; i < THREADS; i++) {
		const struct thread *other = threads[i];
		int shift = other->priority == thread->priority && places[i] > from ? moved : 0;

		if (other != thread)
			prove(place(other) == (places[i] < 0 ? -1 : places[i] + shift));
	}
}

static bool is_last(const struct thread *thread)
{
	return cpu.ready[thread->priority].last == thread;
}

/* It leaves the state in which it was queued, or comes into it. */
static void change_state(struct thread *thread)
{
	thread->state = (uint8_t)nondet_unsigned();
	contexts[0].left = nondet_bool();
}

/* The bitmap alone, whatever it says of which queues. */
static void prove_bits(void)
{
	unsigned witness = any_below(PRIORITY_COUNT), priority = any_below(PRIORITY_COUNT);
	bool was_marked = is_marked(witness);
	int highest;

	proof_assuming = true;
	check_ready_words(&cpu);
	proof_assuming = false;
	highest = ready_highest(&cpu);
	prove(!was_marked || (int)witness <= highest);
	prove(highest < 0 || is_marked((unsigned)highest));
	if (nondet_bool()) {
		ready_mark(&cpu, priority);
		prove(is_marked(witness) == (was_marked || witness == priority));
	} else {
		ready_unmark(&cpu, priority);
		prove(is_marked(witness) == (was_marked && witness != priority));
	}
	check_ready_words(&cpu);
}

int main(void)
{
	unsigned witness = any_below(PRIORITY_COUNT);
	bool may_queue, was_queued;
	struct thread *thread, *first;
	int highest;

	make_any_threads();
	if (OP == 6) { /* the first state: all is zero (thread_init, cpu_init) */
		for (unsigned i = 0; i < THREADS; i++)
			assume(threads[i]->state == THREAD_STATE_STOPPED && !threads[i]->queued);
		check_threads();
		check_ready_queue(&cpu, witness);
		return 0;
	}
	make_any_queues();
	if (OP == 5) {
		prove_bits();
		return 0;
	}
	proof_assuming = true;
	check_threads();
	check_ready_queue(&cpu, witness);
	for (unsigned i = 0; i < THREADS; i++)
		check_ready_queue(&cpu, threads[i]->priority);
	highest = ready_highest(&cpu);
	if (highest >= 0)
		check_ready_queue(&cpu, (unsigned)highest);
	proof_assuming = false;

	thread = threads[0]; /* they are alike */
	for (unsigned i = 0; i < THREADS; i++)
		places[i] = place(threads[i]);
	was_queued = thread->queued;
	switch (OP) {
	case 0:
		if (!was_queued)
			change_state(thread);
		may_queue = sched_may_queue(thread);
		sched_enqueue(thread);
		prove(thread->queued == may_queue);
		prove(was_queued ? place(thread) == places[0] : !may_queue || is_last(thread));
		prove_others(thread, THREADS, 0);
		break;
	case 1:
		if (!was_queued)
			change_state(thread);
		may_queue = sched_may_queue(thread);
		sched_enqueue_first(thread);
		prove(thread->queued == may_queue);
		prove(was_queued || !may_queue || place(thread) == 0);
		prove_others(thread, -1, !was_queued && may_queue);
		break;
	case 2:
		sched_dequeue(thread);
		prove(!thread->queued && place(thread) < 0);
		prove_others(thread, was_queued ? places[0] : THREADS, -1);
		thread->state = THREAD_STATE_RUNNING;
		break;
	case 3: /* the fast path's: the highest runs */
		assume(highest >= 0);
		thread = cpu.ready[highest].first;
		ready_take_first(&cpu, (unsigned)highest);
		prove(!thread->queued && place(thread) < 0);
		prove_others(thread, 0, -1);
		thread->state = THREAD_STATE_RUNNING;
		break;
	default: /* the fast path's: the current thread yields to an equal */
		assume(!was_queued && cpu.ready[thread->priority].first);
		first = cpu.ready[thread->priority].first;
		ready_rotate(&cpu, thread);
		thread->state = THREAD_STATE_READY;
		contexts[0].left = 1;
		thread->sched = &contexts[0];
		first->state = THREAD_STATE_RUNNING;
		prove(is_last(thread) && !first->queued && place(first) < 0);
		for (unsigned i = 1; i < THREADS; i++)
			prove(threads[i] == first ||
			      place(threads[i]) == places[i] - (threads[i]->priority == thread->priority &&
			                                        places[i] > 0));
		break;
	}
	check_threads();
	check_ready_queue(&cpu, witness);
	return 0;
}
