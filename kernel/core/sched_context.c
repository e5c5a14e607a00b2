/* SPDX-License-Identifier: MIT */
/* Scheduling contexts as objects, and CpuTime, the right to configure them. */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/cpu_time.h>
#include <kernel/inherit.h>
#include <kernel/mail.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>

#define PERIOD_MAX 3600000000000ul /* an hour */

void sched_context_init(struct sched_context *context)
{
	context->refill.kind = DEADLINE_REFILL;
}

void sched_context_destroy(struct sched_context *context)
{
	kernel_assert(!context->thread);
	deadline_disarm(&context->refill);
}

void sched_context_refill(struct sched_context *context)
{
	context->left = context->budget;
	context->refill_at = 0;
	if (context->thread)
		thread_inherit(context->thread);
}

void sched_context_setup(struct sched_context *context, uint64_t budget, uint64_t period)
{
	sched_context_consumed(context);
	deadline_disarm(&context->refill);
	context->budget = budget;
	context->period = period;
	sched_context_refill(context);
}

unsigned sched_context_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	struct sched_context *context = slot_object(slot);

	if (operation != SCHED_CONTEXT_INFO)
		return ERR_NO_OPERATION;
	if (!(slot->rights & RIGHT_MANAGE))
		return ERR_RIGHTS;
	if (!arguments_zero(caller, 0))
		return ERR_ARGUMENT;
	if (go_home(slot))
		return STATUS_RESTART;
	result(caller, 0, sched_context_consumed(context));
	result(caller, 1, context->budget);
	result(caller, 2, context->period);
	return ERR_NONE;
}

/* A status of syscall.h. */
static unsigned cpu_time_configure(struct thread *caller, struct slot *slot)
{
	uint64_t budget = argument(caller, 1), period = argument(caller, 2);
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
	/* A plain slice promises no share: it only takes turns. */
	if (budget != period && budget * 1000 > period * slot->time.share)
		return ERR_LIMIT;
	if (go_home(target))
		return STATUS_RESTART;
	sched_context_setup(slot_object(target), budget, period);
	return ERR_NONE;
}

unsigned cpu_time_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	if (operation != CPU_TIME_CONFIGURE)
		return ERR_NO_OPERATION;
	if (!(slot->rights & RIGHT_MANAGE))
		return ERR_RIGHTS;
	return cpu_time_configure(caller, slot);
}
