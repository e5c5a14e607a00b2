/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: IrqControl hands out Irqs, an Irq signals a Notification. A level-triggered line stays masked
 * from the interrupt to IRQ_ACKNOWLEDGE.
 */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/delete.h>
#include <kernel/irq.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/notification.h>
#include <kernel/syscall.h>

struct irq irqs[ARCH_IRQ_COUNT];

static unsigned irq_index(const struct irq *irq)
{
	return (unsigned)(irq - irqs);
}

void irq_unbind(struct irq *irq)
{
	arch_irq_mask(irq_index(irq));
}

void irq_destroy(struct irq *irq)
{
	arch_irq_mask(irq_index(irq));
	slot_unbind(&irq->notification);
	irq->used = false;
}

void kernel_irq(unsigned index)
{
	const struct slot *slot = &irqs[index].notification;

	debug_lock_take();
	if (slot_empty(slot))
		return;
	if (slot->home == this_cpu()->index)
		notification_signal(slot_object(slot), slot->badge);
	else
		notification_signal_remote(slot_object(slot), cpu_at(slot->home), slot->badge);
}

/* ---- IrqControl ---- */

static struct irq *irq_find_free(void)
{
	for (unsigned i = 0; i < ARCH_IRQ_COUNT; i++) {
		if (!irqs[i].used)
			return &irqs[i];
	}
	return NULL;
}

static enum error irq_control_destination(struct thread *caller, struct slot **to)
{
	struct slot *cnode;
	enum error error = cspace_find_cnode(caller, argument(caller, 2), &cnode);

	if (error)
		return error;
	*to = cnode_slot(cnode, argument(caller, 3));
	if (!*to)
		return ERR_RANGE;
	return slot_empty(*to) ? ERR_NONE : ERR_OCCUPIED;
}

/* One Irq a line: another would take its interrupts away. */
static bool line_is_used(uint64_t line)
{
	for (unsigned i = 0; i < ARCH_IRQ_COUNT; i++) {
		if (irqs[i].used && irqs[i].line == line)
			return true;
	}
	return false;
}

static void irq_make(struct slot *control, struct slot *to, struct irq *irq, uint64_t line)
{
	irq->used = true;
	irq->line = line;
	irq->notification.place = PLACE_IRQ;
	slot_set_child(to, control, OBJECT_IRQ, RIGHT_ALL, (uint64_t)irq);
	to->flags = SLOT_ORIGINAL;
}

static enum error irq_control_line(struct thread *caller, struct slot *control, struct slot *to,
                                   struct irq *irq)
{
	uint64_t line = argument(caller, 0), flags = argument(caller, 1);

	if (flags & ~(uint64_t)(IRQ_LEVEL | IRQ_ACTIVE_LOW))
		return ERR_ARGUMENT;
	if (line <= UINT32_MAX && line_is_used(line))
		return ERR_OCCUPIED;
	if (line > UINT32_MAX || !arch_irq_route_line(irq_index(irq), (unsigned)line, (unsigned)flags))
		return ERR_RANGE;
	irq_make(control, to, irq, line);
	return ERR_NONE;
}

static enum error irq_control_message(struct thread *caller, struct slot *control, struct slot *to,
                                      struct irq *irq)
{
	uint64_t address, data;

	if (argument(caller, 0) || argument(caller, 1))
		return ERR_ARGUMENT;
	irq_make(control, to, irq, IRQ_NO_LINE);
	arch_irq_message(irq_index(irq), &address, &data);
	result(caller, 0, address);
	result(caller, 1, data);
	return ERR_NONE;
}

unsigned irq_control_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	struct irq *irq = irq_find_free();
	struct slot *to;
	enum error error;

	if (this_cpu()->index != IRQ_HOME)
		return go_to(cpu_at(IRQ_HOME));
	if (!arguments_zero(caller, 4))
		return ERR_ARGUMENT;
	error = irq_control_destination(caller, &to);
	if (error)
		return error;
	if (!irq)
		return ERR_LIMIT;
	if (operation == IRQ_CONTROL_LINE)
		return irq_control_line(caller, slot, to, irq);
	return irq_control_message(caller, slot, to, irq);
}

/* ---- Irq ---- */

static enum error irq_bind(struct thread *caller, struct irq *irq)
{
	struct slot *from = NULL;

	if (!arguments_zero(caller, 1))
		return ERR_ARGUMENT;
	if (argument(caller, 0) != CPTR_NULL) {
		enum error error = cspace_find_source(caller, argument(caller, 0), OBJECT_NOTIFICATION,
		                                      RIGHT_WRITE, &from);

		if (error)
			return error;
	}
	slot_unbind(&irq->notification);
	if (from) {
		slot_derive(from, &irq->notification, from->rights);
		arch_irq_unmask(irq_index(irq));
	}
	return ERR_NONE;
}

static enum error irq_acknowledge(struct thread *caller, struct irq *irq)
{
	if (!arguments_zero(caller, 0))
		return ERR_ARGUMENT;
	if (slot_empty(&irq->notification))
		return ERR_STATE;
	arch_irq_unmask(irq_index(irq));
	return ERR_NONE;
}

unsigned irq_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	struct irq *irq = slot_object(slot);

	if (this_cpu()->index != IRQ_HOME)
		return go_to(cpu_at(IRQ_HOME));
	return operation == IRQ_BIND ? irq_bind(caller, irq) : irq_acknowledge(caller, irq);
}
