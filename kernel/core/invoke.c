/* SPDX-License-Identifier: MIT */
/* SYS_INVOKE: from the capability's type to its operations. */
#include <kernel/cnode.h>
#include <kernel/cpu_time.h>
#include <kernel/endpoint.h>
#include <kernel/io_ports.h>
#include <kernel/io_space.h>
#include <kernel/irq.h>
#include <kernel/lock.h>
#include <kernel/memory.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>
#include <kernel/untyped.h>
#include <kernel/vspace.h>
#include <kernel/window.h>

/* What can be asked of each type, and the rights that all of it needs. */
static const struct {
	unsigned (*invoke)(struct thread *caller, struct slot *slot, unsigned operation);
	unsigned first, last, rights;
} invocations[OBJECT_TYPE_COUNT] = {
        [OBJECT_UNTYPED] = {untyped_invoke, UNTYPED_RETYPE, UNTYPED_INFO, RIGHT_MANAGE},
        [OBJECT_CNODE] = {cnode_invoke, CNODE_DERIVE, CNODE_REVOKE, RIGHT_MANAGE},
        [OBJECT_THREAD] = {thread_invoke, THREAD_BIND, THREAD_NAME, RIGHT_MANAGE},
        [OBJECT_SCHED_CONTEXT] = {sched_context_invoke, SCHED_CONTEXT_INFO, SCHED_CONTEXT_INFO, RIGHT_MANAGE},
        [OBJECT_ENDPOINT] = {endpoint_invoke, ENDPOINT_CLOSE, ENDPOINT_OPEN, RIGHT_MANAGE},
        [OBJECT_VSPACE] = {vspace_invoke, VSPACE_FEED, VSPACE_INFO, RIGHT_MANAGE},
        [OBJECT_MEMORY] = {memory_invoke, MEMORY_INFO, MEMORY_INFO, 0},
        [OBJECT_WINDOW] = {window_invoke, WINDOW_BIND, WINDOW_PROTECT, RIGHT_MANAGE},
        [OBJECT_IRQ_CONTROL] = {irq_control_invoke, IRQ_CONTROL_LINE, IRQ_CONTROL_MESSAGE, RIGHT_MANAGE},
        [OBJECT_IRQ] = {irq_invoke, IRQ_BIND, IRQ_ACKNOWLEDGE, RIGHT_MANAGE},
        [OBJECT_IO_PORTS] = {io_ports_invoke, IO_PORTS_IN, IO_PORTS_OUT_STRING, 0},
        [OBJECT_IO_SPACE] = {io_space_invoke, VSPACE_FEED, VSPACE_INFO, RIGHT_MANAGE},
        [OBJECT_CPU_TIME] = {cpu_time_invoke, CPU_TIME_CONFIGURE, CPU_TIME_CONFIGURE, RIGHT_MANAGE},
};

static bool has_operation(unsigned type, uint64_t operation)
{
	/* What it has besides a VSpace's. */
	if (type == OBJECT_IO_SPACE && operation >= IO_SPACE_ATTACH && operation <= IO_SPACE_INFO)
		return true;
	return invocations[type].invoke && operation >= invocations[type].first &&
	       operation <= invocations[type].last;
}

static unsigned invoke_locked(struct thread *thread)
{
	struct slot *slot = cspace_lookup(thread, *context_cap(&thread->context));
	uint64_t operation = *context_info(&thread->context), with, object;
	unsigned status;

	if (!slot)
		return ERR_NO_CAPABILITY;
	if (!has_operation(slot->type, operation))
		return ERR_NO_OPERATION;
	if (invocations[slot->type].rights & ~slot->rights)
		return ERR_RIGHTS;
	/* It comes back by way of user mode, where code and capabilities may have been changed. */
	with = (uint64_t)slot->type << 16 | operation;
	object = slot->object;
	if (!(thread->flags & THREAD_RESTARTED) || thread->progress_with != with ||
	    thread->progress_of != object)
		thread->progress = 0;
	thread->flags &= ~(uint32_t)THREAD_RESTARTED;
	status = invocations[slot->type].invoke(thread, slot, (unsigned)operation);
	if (status == STATUS_RESTART) {
		thread->flags |= THREAD_RESTARTED;
		thread->progress_with = with;
		thread->progress_of = object;
	}
	return status;
}

unsigned invoke(struct thread *thread)
{
	unsigned status;

	lock_take(&tree_lock);
	status = invoke_locked(thread);
	/* Memory of a thread that destroyed itself is anybody's once the lock is released. */
	if (thread->state == THREAD_STATE_DEAD)
		status = STATUS_BLOCKED;
	lock_release(&tree_lock);
	return status;
}
