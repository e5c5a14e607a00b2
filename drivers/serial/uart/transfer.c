/* SPDX-License-Identifier: MIT */
/*
 * Bytes between the UART and the rings. A kernel entry is what costs, so whole FIFOs move at a time: output
 * is one look at the line status and one string write for 16 bytes; bulk input one look at the cause and one
 * string read for 14.
 *
 * When the input ring is full the receive interrupt is off and the FIFO is left alone: the line's other end
 * is held back and nothing is lost. The transmit interrupt is on only while output waits for the FIFO to
 * drain (with QEMU that is rare).
 */
#include "uart.h"

#include <pith/log.h>
#include <pith/object.h>
#include <pith/startup.h>

/* A cause that this many looks did not take away is a broken device. */
#define FRUITLESS_MAX 64
#define STATUS_GONE   0xff

#define LOOK_AGAIN_NS 1000000
#define OVERDUE_NS    100000000 /* much longer than a FIFO takes */

static bool input_open(const struct uart *uart)
{
	return uart->enabled & UART_INTERRUPT_RECEIVE;
}

static void input_block(struct uart *uart, bool blocked)
{
	uart_interrupt_enable(uart, UART_INTERRUPT_RECEIVE, !blocked);
}

/* Moves up to `most` bytes that are known to be in the FIFO; returns how many. Blocks the input if the ring
 * is full. */
static uint32_t input_move(struct uart *uart, uint32_t most)
{
	uint8_t bytes[UART_FIFO];
	uint32_t room = input_room(uart);
	uint32_t count = room < most ? room : most;
	if (count) {
		uart_receive(uart, bytes, count);
		input_put(uart, bytes, count);
	}
	if (count == room)
		input_block(uart, true);
	return count;
}

/* Byte by byte, for as long as the status says that there is one. */
static void input_drain(struct uart *uart)
{
	while (input_open(uart) && (uart_status(uart) & UART_STATUS_DATA))
		input_move(uart, 1);
}

/* Sends until the output ring is empty or the FIFO full; input that comes meanwhile is taken along. A client
 * may switch the machine off as soon as it reads that all has left the line. */
static void output_send(struct uart *uart)
{
	uint8_t bytes[UART_FIFO];
	uint32_t count;
	while ((count = output_peek(uart, bytes, UART_FIFO))) {
		uint8_t status = uart_status(uart);
		if (status == STATUS_GONE)
			fatal("the serial port is gone");
		if (status & UART_STATUS_DATA && input_open(uart))
			input_move(uart, 1);
		if (!(status & UART_STATUS_EMPTY)) {
			uart_interrupt_enable(uart, UART_INTERRUPT_TRANSMIT, true);
			return;
		}
		uart_send(uart, bytes, count);
		output_take(uart, count);
	}
	if (output_finished(uart)) {
		uart_interrupt_enable(uart, UART_INTERRUPT_TRANSMIT, false);
		return;
	}
	uint8_t status = uart_status(uart);
	if (status & UART_STATUS_IDLE)
		output_finish(uart);
	uart_interrupt_enable(uart, UART_INTERRUPT_TRANSMIT, !(status & UART_STATUS_EMPTY));
}

/* One cause; true if that moved something. */
static bool cause_serve(struct uart *uart, uint8_t cause)
{
	uint32_t before = uart->input_written;
	switch (cause) {
	case UART_CAUSE_RECEIVE:
		input_move(uart, UART_TRIGGER);
		break;
	case UART_CAUSE_TIMEOUT:
		input_drain(uart);
		break;
	case UART_CAUSE_STATUS:
		(void)uart_status(uart);
		break;
	case UART_CAUSE_MODEM:
		uart_modem_status(uart);
		break;
	default: /* reading UART_CAUSE_TRANSMIT took it away; output_send follows */
		break;
	}
	return uart->input_written != before;
}

void uart_interrupt(struct uart *uart)
{
	unsigned fruitless = 0;
	uint8_t cause;
	/* First: the line is edge-triggered, an edge that comes while we look must be able to wake us again.
	 */
	enum error error = irq_acknowledge(uart->irq);
	if (error)
		fatal("acknowledging the interrupt: %s", error_text(error));
	while (!((cause = uart_interrupt_cause(uart)) & UART_CAUSE_NONE)) {
		fruitless = cause_serve(uart, cause) ? 0 : fruitless + 1;
		if (fruitless > FRUITLESS_MAX)
			fatal("the serial port's interrupt does not go away (cause %x)", cause);
	}
}

bool uart_work(struct uart *uart)
{
	if (!input_open(uart) && input_room(uart)) {
		input_block(uart, false);
		input_drain(uart);
	}
	output_send(uart);
	rings_signal(uart);
	bool sending = uart->enabled & UART_INTERRUPT_TRANSMIT;
	bool more = !sending && !output_prepare_sleep(uart);
	return more || (!input_open(uart) && !input_prepare_sleep(uart));
}

deadline_t uart_deadline(const struct uart *uart)
{
	if (uart->enabled & UART_INTERRUPT_TRANSMIT)
		return time_now() + OVERDUE_NS;
	return output_finished(uart) ? DEADLINE_NEVER : time_now() + LOOK_AGAIN_NS;
}

void uart_overdue(struct uart *uart)
{
	if (!(uart->enabled & UART_INTERRUPT_TRANSMIT))
		return;
	bool empty = uart_status(uart) & UART_STATUS_EMPTY;
	if (uart->overdue[empty]++)
		return;
	if (empty)
		log_warning("a transmit interrupt was lost: the FIFO is empty");
	else
		log_info("the other end of the line does not take what is sent");
}
