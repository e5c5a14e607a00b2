/* SPDX-License-Identifier: MIT */
/* A 16550 behind the port operations of lib/pith: FIFOs of 16, trigger levels, interrupt causes, an
 * edge-triggered line. */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model {
	bool present;
	bool instant; /* bytes leave as soon as they are written, as in QEMU; else when model_transmit says so
	               */
	bool stuck_cause; /* the interrupt never goes away */
	bool always_data; /* the status always says that there is input */
	uint8_t registers[8], divisor[2];
	uint8_t receive[16], transmit[16];
	unsigned received, transmitting; /* bytes in the FIFOs */
	bool shifting;                   /* and one that has left the transmit FIFO, but not the line */
	uint8_t shift;
	bool timeout;                    /* a few bytes wait and no more come */
	bool transmit_pending;
	bool line; /* level of the interrupt output */
	bool edge; /* the kernel has an event for the driver */
	unsigned lost, entries, clears;
	/* what came out */
	uint8_t *sent;
	size_t sent_count, sent_capacity;
	unsigned signals;
};

extern struct model model;
extern char fatal_text[256];
extern jmp_buf fatal_jump;
extern bool fatal_expected;

void model_reset(bool instant);
/* The other end of the line: gives up to count bytes, as many as the FIFO's trigger level allows (QEMU does
 * so); returns how many. */
size_t model_feed(const uint8_t *bytes, size_t count);
/* Nothing came for four character times. */
void model_pause(void);
/* Up to count bytes leave the line. */
void model_transmit(unsigned count);
