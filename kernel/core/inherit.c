/* SPDX-License-Identifier: MIT */
/* Every loop along a chain ends after CHAIN_MAX hops: chain_extend() and endpoint_check_call() let none grow
 * longer. */
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/inherit.h>
#include <kernel/mail.h>
#include <kernel/reply.h>
#include <kernel/sched.h>

/* ---- chains ---- */

static bool thread_sends(const struct thread *thread)
{
	return thread->state == THREAD_STATE_BLOCKED_SEND && thread->waits_on;
}

/* The thread that it waits for; NULL: none, or one that nobody knows yet. */
static struct thread *thread_waits_for(const struct thread *thread)
{
	if (thread_sends(thread))
		return endpoint_of_senders(thread->waits_on)->owner;
	return thread->state == THREAD_STATE_BLOCKED_REPLY && thread->reply ? thread->reply->holder : NULL;
}

bool chain_extend(struct endpoint *endpoint, struct thread *sender)
{
	const struct thread *thread = endpoint->owner;
	unsigned hops = sender->depth + 1;

	while (thread && thread != sender && hops <= CHAIN_MAX) {
		/* Also who waits for nobody yet will wait for somebody. */
		hops += thread->cpu != this_cpu() || thread_sends(thread) || thread_waits_for(thread);
		/* What it waits for on another CPU is that one's business. */
		thread = thread->cpu == this_cpu() ? thread_waits_for(thread) : NULL;
	}
	/* Nobody at whom CHAIN_MAX hops end may queue, whoever owns the endpoint. */
	if (thread == sender && sender->depth < CHAIN_MAX) {
		endpoint_set_owner(endpoint, NULL);
		return true;
	}
	return hops <= CHAIN_MAX;
}

/* ---- what is lent ---- */

static const struct thread *thread_caller(const struct thread *thread)
{
	return thread->active ? thread->active->caller : NULL;
}

unsigned thread_lent(const struct thread *thread)
{
	const struct thread *caller = thread_caller(thread);
	const struct thread *first = thread->owns ? queue_first(&thread->owns->senders) : NULL;
	unsigned priority = INHERIT && caller ? caller->priority : 0;

	return INHERIT && first && first->priority > priority ? first->priority : priority;
}

/* Who waits for it only its home knows. */
static unsigned inherited_priority(const struct thread *thread)
{
	unsigned lent = thread->home == this_cpu() ? thread_lent(thread)
	                                           : __atomic_load_n(&thread->lent, __ATOMIC_RELAXED);

	return lent > thread->base_priority ? lent : thread->base_priority;
}

static unsigned inherited_depth(const struct thread *thread)
{
	const struct thread *caller = thread_caller(thread);
	unsigned depth = caller ? caller->depth + 1 : 0;
	unsigned queued = thread->owns && !queue_empty(&thread->owns->senders) ? CHAIN_MAX : 0;

	while (queued > depth && !thread->owns->depths[queued - 1])
		queued--;
	return queued > depth ? queued : depth;
}

/* A queued sender that can pay for the thread, the most urgent one. Contexts do not cross CPUs. */
static struct sched_context *helping_context(const struct thread *thread)
{
	const struct heap_node *best = NULL, *node = thread->owns ? thread->owns->senders.waiting.root : NULL;

	for (unsigned i = 0; node && i < CHAIN_HELPERS; i++, node = heap_next(node)) {
		const struct thread *sender = thread_of_wait((struct heap_node *)node);

		if (sender->home == thread->home && sched_context_usable(sender->sched) &&
		    (!best || node->key < best->key))
			best = node;
	}
	return best ? thread_of_wait((struct heap_node *)best)->sched : NULL;
}

static struct sched_context *inherited_context(const struct thread *thread)
{
	const struct thread *caller = thread_caller(thread);
	bool lent = caller && caller->home == thread->home;
	struct sched_context *usual = lent ? caller->sched : thread->own, *helping;

	if (sched_context_usable(usual))
		return usual;
	helping = helping_context(thread);
	if (helping)
		return helping;
	return lent && sched_context_usable(thread->own) ? thread->own : usual;
}

/* ---- making it so ---- */

static void thread_change_priority(struct thread *thread, unsigned priority)
{
	if (priority == thread->priority)
		return;
	sched_dequeue(thread);
	thread->priority = (uint8_t)priority;
	if (thread->waits_on)
		queue_rekey(thread->waits_on, thread);
}

static void thread_change_depth(struct thread *thread, unsigned depth)
{
	if (depth != thread->depth && thread_sends(thread)) {
		struct endpoint *endpoint = endpoint_of_senders(thread->waits_on);

		endpoint->depths[thread->depth]--;
		endpoint->depths[depth]++;
	}
	thread->depth = (uint8_t)depth;
}

/* Its context or priority has changed: may it run, and where is its place? */
static void thread_place(struct thread *thread)
{
	bool usable = sched_context_usable(sched_payer(thread));

	if (thread->state == THREAD_STATE_RUNNING && !usable) {
		thread->state = THREAD_STATE_READY;
		sched_leave(thread);
	}
	if (thread->state != THREAD_STATE_READY)
		return;
	if (usable)
		sched_enqueue(thread);
	else
		sched_dequeue(thread);
}

void thread_inherit(struct thread *thread)
{
	for (; thread; thread = thread_waits_for(thread)) {
		bool at_home = thread->home == this_cpu();

		if (at_home)
			thread->sched = inherited_context(thread);
		/* Where it is it learns of a higher priority; of all else when it comes home. */
		if (thread_owner(thread) != this_cpu()) {
			if (at_home)
				thread_boost(thread, thread_lent(thread));
			break;
		}
		thread_change_priority(thread, inherited_priority(thread));
		if (at_home)
			thread_change_depth(thread, inherited_depth(thread));
		thread_place(thread);
	}
}

/* ---- endpoints and their owners ---- */

void endpoint_set_owner(struct endpoint *endpoint, struct thread *owner)
{
	struct thread *before = endpoint->owner;

	if (before == owner)
		return;
	if (before)
		before->owns = NULL;
	if (owner && owner->owns)
		owner->owns->owner = NULL;
	endpoint->owner = owner;
	if (before)
		thread_inherit(before);
	if (owner) {
		owner->owns = endpoint;
		thread_inherit(owner);
	}
}

void endpoint_sender_came(struct endpoint *endpoint, struct thread *sender)
{
	endpoint->depths[sender->depth]++;
	thread_inherit(endpoint->owner);
}

void endpoint_sender_left(struct endpoint *endpoint, struct thread *sender)
{
	endpoint->depths[sender->depth]--;
	thread_inherit(endpoint->owner);
}
