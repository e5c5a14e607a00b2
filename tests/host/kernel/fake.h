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

#define PTE_ACCESSED 32ul
#define PTE_DIRTY    64ul

/* TLBs (fake_tlb.c): a CPU touches an address, if it may. */
void tlb_touch(unsigned cpu, uint64_t address, bool write);
void tlb_switch(struct arch_vspace *vspace);
/* Called, once, in the middle of the next flush: what another CPU does meanwhile. */
extern void (*fake_flush_meanwhile)(void);
void tlb_reset(void);
/* What this CPU's TLB says of it: a physical address, or 0. */
uint64_t tlb_find(uint64_t address);
/* This page becomes a table: no CPU may still walk it as what it was. */
void tlb_table_linked(uint64_t physical);
/* No TLB remembers what it must not any more. */
void tlb_check(void);
extern unsigned fake_interrupt_looks;
/* Called at preemption points, if not NULL: what others do meanwhile. Not in a call that memory is compared
 * behind. */
extern void (*fake_meanwhile)(void);
extern bool fake_irq_masked[ARCH_IRQ_COUNT];
extern bool fake_expect_panic;
/* All invariants are checked after every n-th kernel operation. */
extern unsigned fake_check_every;
void invariants_check_all(void);
extern unsigned fake_debug_slow; /* the debug line takes a byte at every n-th look; 0: always */
