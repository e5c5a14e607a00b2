/* SPDX-License-Identifier: MIT */
#include "uart.h"

#include <pith/syscall.h>
#include <string.h>

void rings_attach(struct uart *uart)
{
	/* The driver's own positions outlive it in the channel; after this they are only written. */
	uart->input_written = atomic_load_explicit(&uart->channel->input.written, memory_order_relaxed);
	uart->output_read = atomic_load_explicit(&uart->channel->output.read, memory_order_relaxed);
	uart->output_sent = atomic_load_explicit(&uart->channel->output.sent, memory_order_relaxed);
	/* A predecessor may have died between moving bytes and saying so, or between taking a flag and
	 * signalling for it. */
	uart->input_moved = uart->output_moved = true;
	notification_signal(uart->signal);
}

uint32_t input_room(struct uart *uart)
{
	uint32_t read = atomic_load_explicit(&uart->channel->input.read, memory_order_acquire);
	uint32_t used = uart->input_written - read;
	return used > SERIAL_RING_SIZE ? 0 : SERIAL_RING_SIZE - used;
}

void input_put(struct uart *uart, const uint8_t *bytes, uint32_t count)
{
	struct serial_ring *ring = &uart->channel->input;
	uint32_t at = uart->input_written % SERIAL_RING_SIZE;
	uint32_t first = count < SERIAL_RING_SIZE - at ? count : SERIAL_RING_SIZE - at;
	memcpy(ring->data + at, bytes, first);
	memcpy(ring->data, bytes + first, count - first);
	uart->input_written += count;
	uart->input_moved = true;
	atomic_store_explicit(&ring->written, uart->input_written, memory_order_release);
}

static uint32_t output_length(struct uart *uart)
{
	uint32_t written = atomic_load_explicit(&uart->channel->output.written, memory_order_acquire);
	uint32_t length = written - uart->output_read;
	return length > SERIAL_RING_SIZE ? 0 : length;
}

uint32_t output_peek(struct uart *uart, uint8_t *bytes, uint32_t most)
{
	uint32_t length = output_length(uart);
	uint32_t count = length < most ? length : most;
	uint32_t at = uart->output_read % SERIAL_RING_SIZE;
	uint32_t first = count < SERIAL_RING_SIZE - at ? count : SERIAL_RING_SIZE - at;
	memcpy(bytes, uart->channel->output.data + at, first);
	memcpy(bytes + first, uart->channel->output.data, count - first);
	return count;
}

void output_take(struct uart *uart, uint32_t count)
{
	uart->output_read += count;
	uart->output_moved = true;
	atomic_store_explicit(&uart->channel->output.read, uart->output_read, memory_order_release);
}

void output_finish(struct uart *uart)
{
	uart->output_sent = uart->output_read;
	uart->output_moved = true;
	atomic_store_explicit(&uart->channel->output.sent, uart->output_sent, memory_order_release);
}

bool output_finished(const struct uart *uart)
{
	return uart->output_sent == uart->output_read;
}

/* The flag is read after the position was published, in an order that the peer's set-then-look-again can rely
 * on. */
static bool flag_take(_Atomic uint32_t *waits)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(waits, memory_order_relaxed) && atomic_exchange(waits, 0);
}

void rings_signal(struct uart *uart)
{
	bool signal = false;
	if (uart->input_moved)
		signal |= flag_take(&uart->channel->input.reader_waits);
	if (uart->output_moved)
		signal |= flag_take(&uart->channel->output.writer_waits);
	uart->input_moved = uart->output_moved = false;
	if (signal)
		notification_signal(uart->signal);
}

bool output_prepare_sleep(struct uart *uart)
{
	atomic_store(&uart->channel->output.reader_waits, 1);
	atomic_thread_fence(memory_order_seq_cst);
	return !output_length(uart);
}

bool input_prepare_sleep(struct uart *uart)
{
	atomic_store(&uart->channel->input.writer_waits, 1);
	atomic_thread_fence(memory_order_seq_cst);
	return !input_room(uart);
}
