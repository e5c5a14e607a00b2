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

static unsigned (*const invocations[OBJECT_TYPE_COUNT])(struct thread *caller, struct slot *slot,
                                                        unsigned operation) = {
        [OBJECT_UNTYPED] = untyped_invoke,         [OBJECT_CNODE] = cnode_invoke,
        [OBJECT_THREAD] = thread_invoke,           [OBJECT_SCHED_CONTEXT] = sched_context_invoke,
        [OBJECT_ENDPOINT] = endpoint_invoke,       [OBJECT_VSPACE] = vspace_invoke,
        [OBJECT_MEMORY] = memory_invoke,           [OBJECT_WINDOW] = window_invoke,
        [OBJECT_IRQ_CONTROL] = irq_control_invoke, [OBJECT_IRQ] = irq_invoke,
        [OBJECT_IO_PORTS] = io_ports_invoke,       [OBJECT_IO_SPACE] = io_space_invoke,
        [OBJECT_CPU_TIME] = cpu_time_invoke,
};

static unsigned invoke_locked(struct thread *thread)
{
	struct slot *slot = cspace_lookup(thread, *context_cap(&thread->context));
	uint64_t operation = *context_info(&thread->context);
	unsigned status;

	if (!slot)
		return ERR_NO_CAPABILITY;
	if (!invocations[slot->type] || operation > UINT32_MAX)
		return ERR_NO_OPERATION;
	if (!(thread->flags & THREAD_RESTARTED))
		thread->progress = 0;
	thread->flags &= ~(uint32_t)THREAD_RESTARTED;
	status = invocations[slot->type](thread, slot, (unsigned)operation);
	if (status == STATUS_RESTART)
		thread->flags |= THREAD_RESTARTED;
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
