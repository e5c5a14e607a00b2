/* SPDX-License-Identifier: MIT */
/*
 * The serial line: this server's end of the byte rings that it shares with the uart driver (proto/serial.h).
 * Output is handed over when the server is about to sleep or to answer: the driver, which runs above us,
 * would take each byte by itself.
 */
#include "tty/tty.h"
#include <proto/serial.h>
#include <pith/startup.h>
#include <pith/syscall.h>

static struct serial_channel *channel;
static cptr_t driver_signal;
static uint32_t read_seen;  /* the output ring's marks when serial_output_moved() last looked */
static uint32_t sent_seen;
static uint32_t output_end; /* of what was written; the ring's own mark is behind until it is handed over */

bool serial_attach(void)
{
	const struct startup_entry *entry = startup_find("serial", STARTUP_CHANNEL, 0);
	if (entry == NULL || entry->address == 0 || entry->size < sizeof(*channel))
		return false;
	channel = (struct serial_channel *)entry->address;
	driver_signal = entry->slot;
	output_end = atomic_load(&channel->output.written);
	/* A predecessor may have died between taking the driver's flag and signalling for it. */
	notification_signal(driver_signal);
	return true;
}

/* The driver's indexes are not trusted: never more than the ring's size. */
static uint32_t bounded(uint32_t count)
{
	return count <= SERIAL_RING_SIZE ? count : SERIAL_RING_SIZE;
}

static uint32_t input_filled(void)
{
	const struct serial_ring *ring = &channel->input;
	return bounded(atomic_load_explicit(&ring->written, memory_order_acquire) -
	               atomic_load_explicit(&ring->read, memory_order_relaxed));
}

static uint32_t output_read(void)
{
	return atomic_load_explicit(&channel->output.read, memory_order_acquire);
}

static uint32_t output_sent(void)
{
	return atomic_load_explicit(&channel->output.sent, memory_order_acquire);
}

static uint32_t output_filled(void)
{
	return bounded(output_end - output_read());
}

static void wake(_Atomic uint32_t *waits)
{
	if (atomic_load_explicit(waits, memory_order_seq_cst) != 0 && atomic_exchange(waits, 0) != 0)
		notification_signal(driver_signal);
}

size_t serial_read(uint8_t *out, size_t size)
{
	if (channel == NULL)
		return 0;
	struct serial_ring *ring = &channel->input;
	uint32_t count = input_filled(), position = atomic_load_explicit(&ring->read, memory_order_relaxed);
	if (count > size)
		count = (uint32_t)size;
	for (uint32_t i = 0; i < count; i++)
		out[i] = ring->data[(position + i) % SERIAL_RING_SIZE];
	if (count > 0) {
		atomic_store_explicit(&ring->read, position + count, memory_order_seq_cst);
		wake(&ring->writer_waits);
	}
	return count;
}

size_t serial_room(void)
{
	return channel == NULL ? SERIAL_RING_SIZE : SERIAL_RING_SIZE - output_filled();
}

void serial_write(const uint8_t *bytes, size_t size)
{
	if (channel == NULL)
		return;
	vfs_stir();
	for (size_t i = 0; i < size; i++)
		channel->output.data[output_end++ % SERIAL_RING_SIZE] = bytes[i];
}

static void output_hand_over(void)
{
	struct serial_ring *ring = &channel->output;
	if (atomic_load_explicit(&ring->written, memory_order_relaxed) == output_end)
		return;
	atomic_store_explicit(&ring->written, output_end, memory_order_seq_cst);
	wake(&ring->reader_waits);
}

bool serial_output_empty(void)
{
	return channel == NULL || output_sent() == output_end;
}

static bool output_moved(void)
{
	return output_read() != read_seen || output_sent() != sent_seen;
}

bool serial_output_moved(void)
{
	if (channel == NULL || !output_moved())
		return false;
	read_seen = output_read();
	sent_seen = output_sent();
	return true;
}

void serial_discard_output(void)
{
	/* the ring is the driver's to read: what is in it will be sent */
}

bool serial_prepare_sleep(bool input_wanted, bool room_wanted)
{
	if (channel == NULL)
		return true;
	output_hand_over();
	if (room_wanted) {
		atomic_store_explicit(&channel->output.writer_waits, 1, memory_order_seq_cst);
		/* Nobody signals for what the driver took before it saw that, so as it was handed over. */
		if (output_moved())
			return false;
	}
	if (!input_wanted)
		return true;
	atomic_store_explicit(&channel->input.reader_waits, 1, memory_order_seq_cst);
	return input_filled() == 0;
}
