/* SPDX-License-Identifier: MIT */
/* The operations on a Thread capability. */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/delete.h>
#include <kernel/inherit.h>
#include <kernel/mail.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>
#include <kernel/thread.h>
#include <kernel/trace.h>

/* Also what is on its way to another CPU. */
static bool thread_runs(const struct thread *thread)
{
	return thread->state == THREAD_STATE_READY || thread->state == THREAD_STATE_RUNNING ||
	       thread->state == THREAD_STATE_TRAVELLING;
}

/* What each binding takes. */
static const struct {
	uint8_t type, rights;
} binding_kinds[THREAD_BINDING_COUNT] = {
        [BIND_CSPACE] = {OBJECT_CNODE, RIGHT_MANAGE},
        [BIND_VSPACE] = {OBJECT_VSPACE, RIGHT_MANAGE},
        [BIND_FAULT] = {OBJECT_ENDPOINT, RIGHT_WRITE},
        [BIND_SYSCALL] = {OBJECT_ENDPOINT, RIGHT_WRITE},
        [BIND_IPC_BUFFER] = {OBJECT_MEMORY, RIGHT_READ | RIGHT_WRITE},
        [BIND_NOTIFICATION] = {OBJECT_NOTIFICATION, RIGHT_READ},
        [BIND_SCHED_CONTEXT] = {OBJECT_SCHED_CONTEXT, RIGHT_MANAGE},
};

static enum error thread_binding_check(struct thread *thread, unsigned binding, const struct slot *slot)
{
	if ((binding == BIND_NOTIFICATION || binding == BIND_SCHED_CONTEXT) &&
	    slot->home != thread->home->index)
		return ERR_REMOTE;
	switch (binding) {
	case BIND_IPC_BUFFER:
		if (slot->flags & SLOT_DEVICE || slot->pages > IPC_BUFFER_PAGES_MAX)
			return ERR_ARGUMENT;
		return ERR_NONE;
	case BIND_NOTIFICATION: {
		const struct notification *notification = slot_object(slot);

		return notification->bound && notification->bound != thread ? ERR_OCCUPIED : ERR_NONE;
	}
	case BIND_SCHED_CONTEXT: {
		const struct sched_context *context = slot_object(slot);

		return context->thread && context->thread != thread ? ERR_OCCUPIED : ERR_NONE;
	}
	default:
		return ERR_NONE;
	}
}

/* Replacing the CSpace or VSpace of a thread must not stop it: only the slot changes. */
static void thread_bind_slot(struct thread *thread, unsigned binding, struct slot *from)
{
	struct slot *slot = &thread->bindings[binding];

	if (!slot_empty(slot)) {
		if (binding == BIND_CSPACE || binding == BIND_VSPACE)
			slot_clear(slot);
		else
			slot_unbind(slot);
	}
	slot_derive(from, slot, from->rights);
	thread_binding_filled(thread, binding);
}

static enum error thread_bind(struct thread *caller, struct thread *thread)
{
	uint64_t binding = argument(caller, 0);
	struct slot *from;
	enum error error;

	if (!arguments_zero(caller, 2) || binding >= THREAD_BINDING_COUNT)
		return ERR_ARGUMENT;
	if (argument(caller, 1) == CPTR_NULL) {
		slot_unbind(&thread->bindings[binding]);
		return ERR_NONE;
	}
	error = cspace_find_source(caller, argument(caller, 1), binding_kinds[binding].type,
	                           binding_kinds[binding].rights, &from);
	if (!error)
		error = thread_binding_check(thread, (unsigned)binding, from);
	if (error)
		return error;
	thread_bind_slot(thread, (unsigned)binding, from);
	return ERR_NONE;
}

static enum error thread_set_priority(struct thread *caller, struct thread *thread)
{
	uint64_t priority = argument(caller, 1);
	struct slot *time;
	enum error error;

	if (!arguments_zero(caller, 2))
		return ERR_ARGUMENT;
	error = cspace_find(caller, argument(caller, 0), OBJECT_CPU_TIME, RIGHT_MANAGE, &time);
	if (error)
		return error;
	if (priority > PRIORITY_MAX)
		return ERR_ARGUMENT;
	if (time->object != thread->home->index)
		return ERR_REMOTE;
	if (priority > time->time.priority)
		return ERR_LIMIT;
	thread->base_priority = (uint8_t)priority;
	thread_inherit(thread);
	return ERR_NONE;
}

static enum error thread_resume(struct thread *thread)
{
	if (slot_empty(&thread->bindings[BIND_VSPACE]))
		return ERR_STATE;
	if (thread->state == THREAD_STATE_STOPPED) {
		thread_inherit(thread); /* it may have been stopped far from home */
		thread_wake(thread);
	}
	return ERR_NONE;
}

static enum error thread_read_registers(struct thread *caller, struct thread *thread)
{
	struct ipc_buffer *buffer = thread_buffer(caller);
	struct thread_registers registers;

	if (!buffer)
		return ERR_NO_BUFFER;
	if (thread_runs(thread))
		return ERR_STATE;
	arch_context_read(&thread->context, &registers);
	__builtin_memcpy(buffer->words, &registers, sizeof(registers));
	return ERR_NONE;
}

/* A thread that gets new registers begins anew: nobody will hear from the job that it was at. */
static enum error thread_write_registers(struct thread *caller, struct thread *thread)
{
	struct ipc_buffer *buffer = thread_buffer(caller);
	struct thread_registers registers;

	if (!buffer)
		return ERR_NO_BUFFER;
	if (thread->state != THREAD_STATE_STOPPED)
		return ERR_STATE;
	__builtin_memcpy(&registers, buffer->words, sizeof(registers));
	if (!thread_redirect(thread, &registers))
		return ERR_RANGE;
	if (thread->active)
		reply_fail(thread->active);
	return ERR_NONE;
}

static enum error thread_read_vector(struct thread *caller, struct thread *thread)
{
	struct ipc_buffer *buffer = thread_buffer(caller);

	if (!buffer)
		return ERR_NO_BUFFER;
	if (thread_runs(thread))
		return ERR_STATE;
	result(caller, 0, arch_vector_read(thread, buffer->data, sizeof(buffer->data)));
	return ERR_NONE;
}

static enum error thread_write_vector(struct thread *caller, struct thread *thread)
{
	struct ipc_buffer *buffer = thread_buffer(caller);
	uint64_t size = argument(caller, 0);

	if (!arguments_zero(caller, 1))
		return ERR_ARGUMENT;
	if (!buffer)
		return ERR_NO_BUFFER;
	if (size > sizeof(buffer->data))
		return ERR_RANGE;
	if (thread_runs(thread))
		return ERR_STATE;
	return arch_vector_write(thread, buffer->data, size) ? ERR_NONE : ERR_ARGUMENT;
}

static enum error thread_write_debug(struct thread *caller, struct thread *thread)
{
	if (!arguments_zero(caller, ARCH_DEBUG_WORDS))
		return ERR_ARGUMENT;
	if (thread_runs(thread))
		return ERR_STATE;
	return arch_breakpoints_write(thread, context_word(&caller->context, 0));
}

/* From any CPU. User mode runs it at home, and only there it must be interrupted. */
static enum error thread_poke(struct thread *thread)
{
	if (!thread_is_foreign(thread))
		return ERR_STATE;
	__atomic_exchange_n(&thread->poked, true, __ATOMIC_SEQ_CST);
	if (thread->home != this_cpu())
		arch_ipi(thread->home->index);
	return ERR_NONE;
}

static enum error thread_set_foreign(struct thread *caller, struct thread *thread)
{
	uint64_t foreign = argument(caller, 0);

	if (!arguments_zero(caller, 1) || foreign > 1)
		return ERR_ARGUMENT;
	if (thread->state != THREAD_STATE_STOPPED)
		return ERR_STATE;
	thread->flags &= ~(uint32_t)(THREAD_FOREIGN | THREAD_RESTARTED);
	thread->poked = thread->unsaid = false;
	if (foreign)
		thread->flags |= THREAD_FOREIGN;
	return ERR_NONE;
}

static enum error thread_set_tls(struct thread *caller, struct thread *thread)
{
	uint64_t base = argument(caller, 0);

	if (!arguments_zero(caller, 1))
		return ERR_ARGUMENT;
	if (base >= USER_END)
		return ERR_RANGE;
	arch_context_set_tls(&thread->context, base);
	return ERR_NONE;
}

static enum error thread_info(struct thread *caller, struct thread *thread)
{
	result(caller, 0, thread->own ? sched_context_consumed(thread->own) : 0);
	result(caller, 1, thread->state == THREAD_STATE_TRAVELLING ? THREAD_STATE_READY : thread->state);
	result(caller, 2, thread->base_priority);
	result(caller, 3, thread->cpu->index);
	result(caller, 4, thread->priority);
	return ERR_NONE;
}

/* What the scheduler and recv look at, vector registers and breakpoints stay at home when the thread is away.
 */
static bool operation_is_at_home(struct thread *caller, unsigned operation)
{
	uint64_t binding = argument(caller, 0);

	if (operation == THREAD_BIND)
		return binding == BIND_NOTIFICATION || binding == BIND_SCHED_CONTEXT;
	return operation == THREAD_READ_VECTOR || operation == THREAD_WRITE_VECTOR ||
	       operation == THREAD_READ_DEBUG || operation == THREAD_WRITE_DEBUG;
}

/* To where the operation can be done: STATUS_RESTART; 0: here. */
static unsigned thread_go(struct thread *caller, struct thread *thread, unsigned operation)
{
	if (operation == THREAD_POKE || operation == THREAD_NAME)
		return 0;
	if (operation_is_at_home(caller, operation) || thread == caller)
		return thread->home == this_cpu() ? 0 : go_to(thread->home);
	return thread_go_after(thread, operation == THREAD_SUSPEND);
}

unsigned thread_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	struct thread *thread = slot_object(slot);

	if (operation == THREAD_NAME && !trace_is_built)
		return ERR_NO_OPERATION;
	if (thread_go(caller, thread, operation))
		return STATUS_RESTART;
	switch (operation) {
	case THREAD_BIND:
		return thread_bind(caller, thread);
	case THREAD_SET_PRIORITY:
		return thread_set_priority(caller, thread);
	case THREAD_WRITE_VECTOR:
		return thread_write_vector(caller, thread);
	case THREAD_WRITE_DEBUG:
		return thread_write_debug(caller, thread);
	case THREAD_SET_FOREIGN:
		return thread_set_foreign(caller, thread);
	case THREAD_SET_TLS:
		return thread_set_tls(caller, thread);
	case THREAD_NAME:
		trace_name(thread, context_word(&caller->context, 0));
		return ERR_NONE;
	default:
		break;
	}
	if (!arguments_zero(caller, 0))
		return ERR_ARGUMENT;
	switch (operation) {
	case THREAD_RESUME:
		return thread_resume(thread);
	case THREAD_SUSPEND:
		thread_suspend(thread);
		return ERR_NONE;
	case THREAD_READ_REGISTERS:
		return thread_read_registers(caller, thread);
	case THREAD_WRITE_REGISTERS:
		return thread_write_registers(caller, thread);
	case THREAD_READ_VECTOR:
		return thread_read_vector(caller, thread);
	case THREAD_READ_DEBUG:
		arch_breakpoints_read(thread, context_word(&caller->context, 0));
		return ERR_NONE;
	case THREAD_POKE:
		return thread_poke(thread);
	default:
		return thread_info(caller, thread);
	}
}
