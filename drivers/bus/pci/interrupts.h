/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a function: MSI-X, else MSI, else the INTx line. Tables and message registers are written
 * here only, so that no driver can make its device send messages (which are memory writes) anywhere else.
 */
#pragma once

#include "functions.h"
#include <abi/types.h>

/* The IrqControl entry "irq-control"; fatal if it is missing. */
void interrupts_attach(void);

/* What a function's interrupts need, once. */
struct interrupts {
	volatile uint8_t *table; /* MSI-X table, mapped here; NULL: not used */
	unsigned table_size;     /* entries */
	unsigned table_bar;
};

/* Finds and maps the MSI-X table; without one that can be used, MSI or INTx serve. Memory decoding must be
 * on. */
void interrupts_prepare(struct interrupts *interrupts, const struct function *function);
/* The BAR that holds the MSI-X table, or BARS: none. */
unsigned interrupts_table_bar(const struct function *function);
/* No interrupt any more, of any kind. */
void interrupts_mask(const struct interrupts *interrupts, const struct function *function);
/* A new Irq in `slot` for a vector, programmed and unmasked. *message: MSI-X or MSI. */
bool interrupts_open(const struct interrupts *interrupts, const struct function *function, unsigned vector,
                     cptr_t slot, bool *message);
