/* SPDX-License-Identifier: MIT */
#pragma once

#include <setjmp.h>

#include <kernel/arch.h>

extern jmp_buf fake_user; /* where arch_return_to_user goes: 1; idle for ever: 2; an expected panic: 3 */
extern deadline_t fake_timer;
extern unsigned fake_interrupt_looks;
extern bool fake_irq_masked[ARCH_IRQ_COUNT];
extern bool fake_expect_panic;
/* All invariants are checked after every n-th kernel operation. */
extern unsigned fake_check_every;
void invariants_check_all(void);
extern unsigned fake_debug_slow; /* the debug line takes a byte at every n-th look; 0: always */
