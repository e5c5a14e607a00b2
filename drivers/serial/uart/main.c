/* SPDX-License-Identifier: MIT */
/* uart: the driver of a 16550 serial line. See README.md for what the manifest must give it. */
#include "uart.h"

#include <pith/counters.h>
#include <pith/log.h>
#include <pith/startup.h>
#include <pith/syscall.h>

static struct uart uart;

static void uart_attach(void)
{
	const struct startup_entry *ports = startup_need("ports", STARTUP_IO_PORTS, 0);
	const struct startup_entry *irq = startup_need("irq", STARTUP_IRQ, 0);
	const struct startup_entry *channel = startup_need("serial", STARTUP_CHANNEL, 0);
	if (ports->size < 8)
		fatal("the manifest gives %lu ports, a 16550 has 8", ports->size);
	if (channel->size < sizeof(struct serial_channel))
		fatal("the channel \"serial\" is too small");
	uart.ports = ports->slot;
	uart.base = (unsigned)ports->address;
	uart.irq = irq->slot;
	uart.irq_bit = irq->bit;
	uart.channel = (struct serial_channel *)(uintptr_t)channel->address;
	uart.signal = channel->slot;
}

int main(void)
{
	cptr_t events = startup_need("events", STARTUP_NOTIFICATION, 0)->slot;
	uart_attach();
	rings_attach(&uart);
	uart_start(&uart);
	/* A predecessor may have left the interrupt raised, and an edge comes only once. */
	uart_interrupt(&uart);
	for (;;) {
		uint64_t bits = 0;
		if (uart_work(&uart))
			continue;
		enum error error = notification_wait(events, &bits, uart_deadline(&uart));
		counters->events += !error;
		if (error && error != ERR_CANCELED && error != ERR_TIMEOUT)
			fatal("waiting for events: %s", error_text(error));
		if (error == ERR_TIMEOUT)
			uart_overdue(&uart);
		if (bits & 1ull << uart.irq_bit)
			uart_interrupt(&uart);
	}
}
