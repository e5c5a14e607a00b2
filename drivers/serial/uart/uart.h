/* SPDX-License-Identifier: MIT */
/* The UART and the byte rings to its client. One instance a component. */
#pragma once

#include <abi/types.h>
#include <proto/serial.h>

#define UART_FIFO 16 /* bytes, each way */

struct uart {
	cptr_t ports, irq;
	unsigned base;
	unsigned irq_bit; /* of "events" */
	uint8_t enabled;  /* interrupts, as in the IER register */

	struct serial_channel *channel;
	cptr_t signal;          /* Notification of the client */
	uint32_t input_written; /* our positions: what the channel says of them is not read back */
	uint32_t output_read, output_sent;
	bool input_moved, output_moved; /* and the client was not signalled yet */
	uint64_t overruns;              /* times that the line was faster than us */
	/* Waits for the transmit interrupt that ended without it: the FIFO was full, or empty. */
	uint64_t overdue[2];
};

/* hardware.c */
/* Fatal if there is no UART at the ports. Bytes in its FIFOs stay, if a predecessor had it running. */
void uart_start(struct uart *uart);
/* Line status register, its error bits counted. */
uint8_t uart_status(struct uart *uart);
uint8_t uart_interrupt_cause(struct uart *uart);
void uart_receive(struct uart *uart, uint8_t *bytes, size_t count);
void uart_send(struct uart *uart, const uint8_t *bytes, size_t count);
/* Turns one interrupt (UART_INTERRUPT_…) on or off. */
void uart_interrupt_enable(struct uart *uart, uint8_t interrupt, bool on);
void uart_modem_status(struct uart *uart);

#define UART_STATUS_DATA    0x01
#define UART_STATUS_OVERRUN 0x02
#define UART_STATUS_EMPTY   0x20 /* the transmit FIFO takes UART_FIFO bytes */
#define UART_STATUS_IDLE    0x40 /* and the shift register has none */

#define UART_INTERRUPT_RECEIVE  0x01
#define UART_INTERRUPT_TRANSMIT 0x02

/* Causes, from the interrupt identification register */
#define UART_CAUSE_NONE     0x01
#define UART_CAUSE_MODEM    0x00
#define UART_CAUSE_TRANSMIT 0x02
#define UART_CAUSE_RECEIVE  0x04 /* at least UART_TRIGGER bytes are in the FIFO */
#define UART_CAUSE_STATUS   0x06
#define UART_CAUSE_TIMEOUT  0x0c /* fewer, and no more came for a while */
#define UART_CAUSE_MASK     0x0f
#define UART_TRIGGER        14

/* rings.c: the driver's ends. The client is not trusted: a length that it claims is cut to what can be. */
/* Attaches to where a predecessor stopped. */
void rings_attach(struct uart *uart);
uint32_t input_room(struct uart *uart);
/* Appends; count is at most input_room. */
void input_put(struct uart *uart, const uint8_t *bytes, uint32_t count);
/* The next bytes to send, at most `most`: copied, not taken. */
uint32_t output_peek(struct uart *uart, uint8_t *bytes, uint32_t most);
void output_take(struct uart *uart, uint32_t count);
/* All that was taken has left the line. */
void output_finish(struct uart *uart);
bool output_finished(const struct uart *uart);
/* Tell the client what changed since the last time, if it sleeps on it. */
void rings_signal(struct uart *uart);
/* Before sleeping until the client has written, or (for input) has made room: true if it will signal, false
 * if it did already. */
bool output_prepare_sleep(struct uart *uart);
bool input_prepare_sleep(struct uart *uart);

/* transfer.c */
/* The interrupt came: serves the UART until it has no cause for one left. */
void uart_interrupt(struct uart *uart);
/* Moves what can be moved both ways, tells the client. false: wait for events, until uart_deadline; true:
 * there is more work already. */
bool uart_work(struct uart *uart);
/* When to look again if no event comes: no interrupt tells that the last byte has left, and the transmit
 * interrupt may be lost. */
deadline_t uart_deadline(const struct uart *uart);
/* No event came until then: says which it was, once each. uart_work looks. */
void uart_overdue(struct uart *uart);
