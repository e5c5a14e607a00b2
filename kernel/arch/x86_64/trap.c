/* SPDX-License-Identifier: MIT */
/* Interrupts and exceptions, after entry.S has saved the registers: who gets them. */
#include "local.h"

#include <kernel/trace.h>

enum {
	EXCEPTION_DEBUG = 1,
	EXCEPTION_NMI = 2,
	EXCEPTION_BREAKPOINT = 3,
	EXCEPTION_NO_VECTOR = 7,
	EXCEPTION_DOUBLE_FAULT = 8,
	EXCEPTION_PAGE_FAULT = 14,
	EXCEPTIONS = 32
};

#define FLAG_INTERRUPTS (1ul << 9)
#define FLAG_RESUME     (1ul << 16)

enum { PF_PRESENT = 1 << 0, PF_WRITE = 1 << 1, PF_EXECUTE = 1 << 4 };

bool arch_exception_is_trap(uint64_t vector)
{
	return vector == EXCEPTION_DEBUG || vector == EXCEPTION_BREAKPOINT;
}

_Noreturn void trap_from_user(struct arch_context *context);
void trap_from_kernel(struct arch_context *frame);
_Noreturn void trap_fatal(struct arch_context *frame);

static void interrupt(unsigned vector)
{
	if (vector == VECTOR_TIMER)
		apic_timer_interrupt();
	else if (vector >= VECTOR_IRQ && vector < VECTOR_IRQ + ARCH_IRQ_COUNT)
		irq_interrupt(vector - VECTOR_IRQ);
	else if (vector == VECTOR_ERROR)
		apic_error_interrupt();
	else if (vector == VECTOR_IOMMU)
		iommu_interrupt();
	else if (vector == VECTOR_WAKE)
		apic_eoi();
	else if (vector == VECTOR_MAIL) {
		apic_eoi();
		kernel_mail();
	}
	/* else spurious, from the local APIC or an 8259: there is nothing to acknowledge */
}

static unsigned fault_access(uint64_t error)
{
	unsigned access = error & PF_EXECUTE ? FAULT_EXECUTE : error & PF_WRITE ? FAULT_WRITE : FAULT_READ;

	return access | (error & PF_PRESENT ? FAULT_PRESENT : 0);
}

/* Read and cleared. Who stopped before an instruction executes it when it goes on. */
static uint64_t debug_status(struct arch_thread *thread)
{
	bool before;
	uint64_t status = breakpoints_status(thread->vector.debug, dr6_read(), &before);

	dr6_write(DR6_CLEAR);
	if (before)
		thread->context.rflags |= FLAG_RESUME;
	return status;
}

_Noreturn void trap_from_user(struct arch_context *context)
{
	struct thread *thread = (struct thread *)context;
	unsigned vector = (unsigned)context->vector;

	if (vector >= EXCEPTIONS) {
		interrupt(vector);
		kernel_interrupt_done(thread);
	}
	switch (vector) {
	case EXCEPTION_PAGE_FAULT:
		kernel_page_fault(thread, cr2_read(), fault_access(context->error));
	case EXCEPTION_NO_VECTOR:
		vector_first_use((struct arch_thread *)context);
		arch_return_to_user(thread);
	case EXCEPTION_DEBUG:
		kernel_exception(thread, vector, debug_status((struct arch_thread *)context));
	default:
		kernel_exception(thread, vector, context->error);
	}
}

static _Noreturn void report(const struct arch_context *frame)
{
	static const char *const names[EXCEPTIONS] = {
	        [EXCEPTION_NMI] = " (NMI)",     [EXCEPTION_DOUBLE_FAULT] = " (double fault)",
	        [13] = " (general protection)", [EXCEPTION_PAGE_FAULT] = " (page fault)",
	        [18] = " (machine check)",
	};
	const char *name = names[frame->vector];

	backtrace_begin_at(frame);
	panic("exception %lu%s in the kernel, error %#lx", frame->vector, name ? name : "", frame->error);
}

/*
 * An interrupt in arch_idle(), or a bug. It ends arch_idle() at once: others that wait would come before the
 * thread that it woke, as many as there are.
 */
void trap_from_kernel(struct arch_context *frame)
{
	if (frame->vector < EXCEPTIONS)
		report(frame);
	trace(TRACE_ENTER, frame->vector, NULL, 0, 0, 0, frame->rip);
	interrupt((unsigned)frame->vector);
	frame->rflags &= ~FLAG_INTERRUPTS;
}

/* Double fault, NMI, machine check. */
_Noreturn void trap_fatal(struct arch_context *frame)
{
	if (frame->vector == EXCEPTION_NMI && cpus_stopping())
		arch_halt();
	report(frame);
}
