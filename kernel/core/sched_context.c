/* SPDX-License-Identifier: MIT */
/* Scheduling contexts as objects, and CpuTime, the right to configure them. */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/cpu_time.h>
#include <kernel/delete.h>
#include <kernel/inherit.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>

#define PERIOD_MAX 3600000000000ul /* an hour */

void sched_context_init(struct sched_context *context)
{
	context->refill.kind = DEADLINE_REFILL;
	context->time.place = PLACE_CONTEXT_TIME;
}

void sched_context_destroy(struct sched_context *context)
{
	kernel_assert(!context->thread);
	slot_unbind(&context->time);
	deadline_disarm(&context->refill);
}

/* ---- the budget ---- */

static struct refill *first_refill(struct sched_context *context)
{
	return &context->refills[(context->last + REFILLS + 1 - context->coming) % REFILLS];
}

uint64_t sched_context_next_refill(const struct sched_context *context)
{
	return first_refill((struct sched_context *)context)->time;
}

void sched_context_collect(struct sched_context *context, uint64_t now, unsigned keep)
{
	while (context->coming > keep && first_refill(context)->time <= now) {
		context->left += (int64_t)first_refill(context)->amount;
		context->coming--;
	}
}

/* In thousandths, rounded up. A plain slice promises no share: it only takes turns. */
static uint64_t share_of(uint64_t budget, uint64_t period)
{
	return budget == period ? 0 : (budget * 1000 + period - 1) / period;
}

static uint64_t grain_of(const struct sched_context *context)
{
	return (context->period + REFILLS - 2) / (REFILLS - 1);
}

/*
 * Refills come at multiples of a grain of a fifth of a period (rounded up). Those that are not due at `since`
 * lie in the period and one grain behind it, which is at most 6 grains: there is always room for another.
 */
void sched_context_post(struct sched_context *context, uint64_t since, uint64_t used)
{
	uint64_t grain = grain_of(context);

	sched_context_collect(context, since, 0);
	kernel_assert(context->coming < REFILLS);
	context->last = (context->last + 1) % REFILLS;
	context->coming++;
	context->refills[context->last] = (struct refill){
	        .time = (since + context->period + grain - 1) / grain * grain,
	        .amount = used,
	};
}

/* In whole grains, so that there is room still; until it comes nothing is left that could be used. */
void sched_context_overrun(struct sched_context *context, uint64_t used)
{
	uint64_t grain = grain_of(context), debt = (uint64_t)-context->left;
	uint64_t over = used < debt ? used : debt, share = share_of(context->budget, context->period);

	context->refills[context->last].time += over * 1000 / share / grain * grain;
}

void sched_context_refill(struct sched_context *context)
{
	sched_context_collect(context, arch_time(), 0);
	if (context->left <= 0)
		deadline_arm(&context->refill, sched_context_next_refill(context));
	else if (context->thread)
		thread_inherit(context->thread);
}

/*
 * No more is left of the new budget than of the one before, and of one that is made anew nothing: the rest
 * comes a period later. So whoever configures and makes contexts again and again gets no more than the share.
 */
void sched_context_setup(struct sched_context *context, uint64_t budget, uint64_t period)
{
	uint64_t now = arch_time(), missing;
	int64_t left = 0;

	sched_context_consumed(context);
	if (context->budget < context->period) {
		sched_context_collect(context, now, 0);
		left = context->left < (int64_t)budget ? context->left : (int64_t)budget;
	}
	missing = budget - (uint64_t)left;
	deadline_disarm(&context->refill);
	context->budget = budget;
	context->period = period;
	context->left = budget < period ? left : (int64_t)budget;
	context->last = context->coming = 0;
	context->refills[0].time = 0;
	if (budget < period && missing) {
		sched_context_post(context, now - (left > 0 ? missing : budget), missing);
		if (left < 0)
			sched_context_overrun(context, missing);
		if (left <= 0) {
			deadline_arm(&context->refill, sched_context_next_refill(context));
			sched_set_timer(this_cpu()); /* who asked for it may go on at once */
		}
	}
	if (context->thread)
		thread_inherit(context->thread);
}

unsigned sched_context_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	struct sched_context *context = slot_object(slot);

	(void)operation;
	if (!arguments_zero(caller, 0))
		return ERR_ARGUMENT;
	if (go_home(slot))
		return STATUS_RESTART;
	result(caller, 0, sched_context_consumed(context));
	result(caller, 1, context->budget);
	result(caller, 2, context->period);
	return ERR_NONE;
}

/* ---- what is promised ---- */

/* The sum is kept in every CpuTime above: at most TIME_DEPTH, each of which is to be near the next
 * (time_approach_above). */
static struct slot *time_above(const struct slot *time)
{
	return time->flags & SLOT_ORIGINAL ? NULL : slot_parent(time);
}

bool time_approach_above(struct slot *time)
{
	for (; time && !(time->flags & SLOT_ORIGINAL); time = slot_parent(time))
		if (!slot_approach_parent(time))
			return false;
	return true;
}

unsigned time_depth(const struct slot *time)
{
	unsigned depth = 0;

	for (; time; time = time_above(time))
		depth++;
	return depth;
}

bool sched_context_approach_time(struct sched_context *context)
{
	return slot_empty(&context->time) || time_approach_above(&context->time);
}

static void promise(struct slot *time, uint64_t share)
{
	for (; share && time; time = time_above(time))
		time->time.promised += (uint32_t)share;
}

static void promise_end(struct slot *time, uint64_t share)
{
	for (; share && time; time = time_above(time))
		time->time.promised -= (uint32_t)share;
}

static bool can_promise(const struct slot *time, uint64_t share)
{
	for (; share && time; time = time_above(time)) {
		if (time->time.promised + share > time->time.share)
			return false;
	}
	return true;
}

static void sched_context_give_up_share(struct sched_context *context)
{
	if (context->time.time.share)
		promise_end(slot_parent(&context->time), context->time.time.share);
	context->time.time.share = 0;
}

void sched_context_unconfigure(struct sched_context *context)
{
	sched_context_give_up_share(context);
	sched_context_setup(context, 0, 0);
}

/* Its share, whoever promised it before, is now the business of this CpuTime. False: it cannot promise so
 * much. */
static bool sched_context_promise(struct sched_context *context, struct slot *time, uint64_t share)
{
	uint64_t before = context->time.time.share;
	struct slot *from = before ? slot_parent(&context->time) : NULL;

	sched_context_give_up_share(context);
	if (!can_promise(time, share)) {
		if (from)
			promise(from, before);
		context->time.time.share = before;
		return false;
	}
	if (!slot_empty(&context->time))
		slot_clear(&context->time);
	slot_derive(time, &context->time, time->rights);
	context->time.time.share = share;
	promise(time, share);
	return true;
}

/* A status of syscall.h. */
static unsigned cpu_time_configure(struct thread *caller, struct slot *slot)
{
	uint64_t budget = argument(caller, 1), period = argument(caller, 2), share;
	struct slot *target;
	enum error error;

	if (!arguments_zero(caller, 3))
		return ERR_ARGUMENT;
	error = cspace_find(caller, argument(caller, 0), OBJECT_SCHED_CONTEXT, RIGHT_MANAGE, &target);
	if (error)
		return error;
	if (target->home != slot->object)
		return ERR_REMOTE;
	if (budget < SCHED_SLICE_MIN || budget > period || period > PERIOD_MAX)
		return ERR_ARGUMENT;
	if (go_home(target))
		return STATUS_RESTART;
	while (!time_approach_above(slot) || !sched_context_approach_time(slot_object(target)))
		if (preempt_wanted())
			return STATUS_RESTART;
	share = share_of(budget, period);
	if (!sched_context_promise(slot_object(target), slot, share))
		return ERR_LIMIT;
	sched_context_setup(slot_object(target), budget, period);
	return ERR_NONE;
}

unsigned cpu_time_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	(void)operation;
	return cpu_time_configure(caller, slot);
}
