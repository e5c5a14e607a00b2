/* SPDX-License-Identifier: MIT */
/* Registers of a 16550, by ports. */
#include "uart.h"

#include <pith/log.h>
#include <pith/object.h>

/* Offsets of the registers. The first two are the divisor while DLAB is set. */
#define DATA        0
#define ENABLE      1
#define CAUSE       2 /* read */
#define FIFO        2 /* write */
#define LINE        3
#define MODEM       4
#define STATUS      5
#define MODEM_STATE 6
#define SCRATCH     7

#define FIFO_ENABLE     0x01
#define FIFO_TRIGGER_14 0xc0
#define LINE_8N1        0x03
#define LINE_DLAB       0x80
#define DIVISOR         1 /* 115200 baud */
#define MODEM_DTR_RTS   0x03
#define MODEM_OUT2      0x08 /* on a PC, the gate between the UART and the interrupt controller */

/* A port that the capability covered at start fails only when the right was revoked: nothing to go on with.
 */
static void check(enum error error)
{
	if (error)
		fatal("serial ports: %s", error_text(error));
}

static uint8_t in(struct uart *uart, unsigned offset)
{
	uint32_t value = 0;
	check(io_ports_in(uart->ports, uart->base + offset, 1, &value));
	return (uint8_t)value;
}

static void out(struct uart *uart, unsigned offset, uint8_t value)
{
	check(io_ports_out(uart->ports, uart->base + offset, 1, value));
}

void uart_start(struct uart *uart)
{
	static const uint8_t patterns[] = {0x55, 0xaa};
	for (size_t i = 0; i < sizeof(patterns); i++) {
		out(uart, SCRATCH, patterns[i]);
		if (in(uart, SCRATCH) != patterns[i])
			fatal("no 16550 at port %x", uart->base);
	}
	out(uart, ENABLE, 0);
	out(uart, LINE, LINE_DLAB);
	out(uart, DATA, DIVISOR & 0xff);
	out(uart, ENABLE, DIVISOR >> 8);
	out(uart, LINE, LINE_8N1);
	/* Without the clear bits: what is in the FIFOs is the client's. */
	out(uart, FIFO, FIFO_ENABLE | FIFO_TRIGGER_14);
	out(uart, MODEM, MODEM_DTR_RTS | MODEM_OUT2);
	uart->enabled = 0;
	uart_interrupt_enable(uart, UART_INTERRUPT_RECEIVE, true);
}

uint8_t uart_status(struct uart *uart)
{
	uint8_t status = in(uart, STATUS);
	if (status & UART_STATUS_OVERRUN)
		uart->overruns++;
	return status;
}

uint8_t uart_interrupt_cause(struct uart *uart)
{
	return in(uart, CAUSE) & UART_CAUSE_MASK;
}

void uart_modem_status(struct uart *uart)
{
	(void)in(uart, MODEM_STATE);
}

void uart_receive(struct uart *uart, uint8_t *bytes, size_t count)
{
	if (count == 1)
		bytes[0] = in(uart, DATA);
	else
		check(io_ports_in_string(uart->ports, uart->base + DATA, bytes, count));
}

void uart_send(struct uart *uart, const uint8_t *bytes, size_t count)
{
	if (count == 1)
		out(uart, DATA, bytes[0]);
	else
		check(io_ports_out_string(uart->ports, uart->base + DATA, bytes, count));
}

void uart_interrupt_enable(struct uart *uart, uint8_t interrupt, bool on)
{
	uint8_t enabled = (uint8_t)(on ? uart->enabled | interrupt : uart->enabled & ~interrupt);
	if (enabled == uart->enabled)
		return;
	uart->enabled = enabled;
	out(uart, ENABLE, enabled);
}
