/* SPDX-License-Identifier: MIT */
/* The serial line: this server's end of the byte rings that it shares with the uart driver (proto/serial.h).
 */
#include "tty/tty.h"
#include <proto/serial.h>
#include <pith/startup.h>
#include <pith/syscall.h>

static struct serial_channel *channel;
static cptr_t driver_signal;

bool serial_attach(void)
{
	const struct startup_entry *entry = startup_find("serial", STARTUP_CHANNEL, 0);
	if (entry == NULL || entry->address == 0 || entry->size < sizeof(*channel))
		return false;
	channel = (struct serial_channel *)entry->address;
	driver_signal = entry->slot;
	return true;
}

/* The driver's indexes are not trusted: never more than the ring's size. */
static uint32_t filled(const struct serial_ring *ring)
{
	uint32_t count = atomic_load_explicit(&ring->written, memory_order_acquire) -
	                 atomic_load_explicit(&ring->read, memory_order_acquire);
	return count <= SERIAL_RING_SIZE ? count : SERIAL_RING_SIZE;
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
	uint32_t count = filled(ring), position = atomic_load_explicit(&ring->read, memory_order_relaxed);
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
	return channel == NULL ? SERIAL_RING_SIZE : SERIAL_RING_SIZE - filled(&channel->output);
}

void serial_write(const uint8_t *bytes, size_t size)
{
	if (channel == NULL)
		return;
	struct serial_ring *ring = &channel->output;
	uint32_t position = atomic_load_explicit(&ring->written, memory_order_relaxed);
	for (size_t i = 0; i < size; i++)
		ring->data[(position + i) % SERIAL_RING_SIZE] = bytes[i];
	atomic_store_explicit(&ring->written, position + (uint32_t)size, memory_order_seq_cst);
	wake(&ring->reader_waits);
}

bool serial_output_empty(void)
{
	return channel == NULL || filled(&channel->output) == 0;
}

void serial_discard_output(void)
{
	/* the ring is the driver's to read: what is in it will be sent */
}

bool serial_prepare_sleep(bool input_wanted, bool room_wanted)
{
	if (channel == NULL)
		return true;
	if (room_wanted) {
		uint32_t before = filled(&channel->output);
		atomic_store_explicit(&channel->output.writer_waits, 1, memory_order_seq_cst);
		if (filled(&channel->output) < before)
			return false;
	}
	if (!input_wanted)
		return true;
	atomic_store_explicit(&channel->input.reader_waits, 1, memory_order_seq_cst);
	return filled(&channel->input) == 0;
}
