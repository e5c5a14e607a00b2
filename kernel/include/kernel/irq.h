/* SPDX-License-Identifier: MIT */
/* Interrupts as capabilities: a static table, one a vector. */
#pragma once

#include <kernel/slot.h>
#include <kernel/thread.h>

struct irq {
	struct slot notification;
	bool used;
	uint64_t line; /* IRQ_NO_LINE: messages */
};

#define IRQ_NO_LINE UINT64_MAX

extern struct irq irqs[];

/* The CPU that interrupts go to; Irqs are touched only there. */
#define IRQ_HOME 0

/* The notification is about to be cleared. */
void irq_unbind(struct irq *irq);
void irq_destroy(struct irq *irq);
unsigned irq_control_invoke(struct thread *caller, struct slot *slot, unsigned operation);
unsigned irq_invoke(struct thread *caller, struct slot *slot, unsigned operation);
