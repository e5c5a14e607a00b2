/* SPDX-License-Identifier: MIT */
#pragma once

#include <setjmp.h>

#include <kernel/arch.h>
#include <kernel/cpu.h>

extern jmp_buf fake_user; /* where arch_return_to_user goes: 1; idle for ever: 2; an expected panic: 3 */
/* Which CPU acts; each has a timer, and may have been sent an interrupt for its mail. */
extern unsigned fake_cpu;
extern deadline_t fake_timers[CPU_MAX];
#define fake_timer fake_timers[fake_cpu]
extern bool fake_ipi[CPU_MAX];
void fake_reset(void);
/* Another CPU writes into IPC buffers while a message's words are copied. */
extern void (*fake_while_copying)(void);
/* Or act when a thread's invocation has released the lock, and it has not been told of its outcome. */
extern void (*fake_after_invoke)(struct thread *thread);

/* TLBs (fake_tlb.c): this CPU's user mode touches an address. */
void tlb_touch(uint64_t address);
void tlb_switch(struct arch_vspace *vspace);
/* No TLB knows a translation that no Window stands for any more. */
void tlb_check(void);
extern unsigned fake_interrupt_looks;
extern bool fake_irq_masked[ARCH_IRQ_COUNT];
extern bool fake_expect_panic;
/* All invariants are checked after every n-th kernel operation. */
extern unsigned fake_check_every;
void invariants_check_all(void);
extern unsigned fake_debug_slow; /* the debug line takes a byte at every n-th look; 0: always */
