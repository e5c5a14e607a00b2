/* SPDX-License-Identifier: MIT */
/*
 * serial-test: a client of uart that sends back every byte that it receives. Config: kill=N kills the driver
 * each time N bytes have passed (0: never).
 */
#include <string.h>
#include <pith/log.h>
#include <pith/startup.h>
#include <pith/syscall.h>
#include <proto/serial.h>
#include <proto/system.h>

static struct serial_channel *channel;
static cptr_t signal_driver;

static uint32_t ring_length(struct serial_ring *ring)
{
	return atomic_load(&ring->written) - atomic_load(&ring->read);
}

/* As much as there is and fits; returns how much. */
static uint32_t echo(void)
{
	struct serial_ring *in = &channel->input, *out = &channel->output;
	uint32_t count = ring_length(in), room = SERIAL_RING_SIZE - ring_length(out);
	if (count > room)
		count = room;
	if (!count)
		return 0;
	uint32_t from = atomic_load(&in->read), to = atomic_load(&out->written);
	for (uint32_t i = 0; i < count; i++)
		out->data[(to + i) % SERIAL_RING_SIZE] = in->data[(from + i) % SERIAL_RING_SIZE];
	atomic_store(&out->written, to + count);
	atomic_store(&in->read, from + count);
	bool wake = atomic_exchange(&out->reader_waits, 0);
	wake |= atomic_exchange(&in->writer_waits, 0) != 0;
	if (wake)
		notification_signal(signal_driver);
	return count;
}

static bool may_sleep(void)
{
	atomic_store(&channel->input.reader_waits, 1);
	if (ring_length(&channel->output) == SERIAL_RING_SIZE)
		atomic_store(&channel->output.writer_waits, 1);
	atomic_thread_fence(memory_order_seq_cst);
	return !ring_length(&channel->input) || ring_length(&channel->output) == SERIAL_RING_SIZE;
}

static void driver_kill(void)
{
	cptr_t system = startup_need("system", STARTUP_ENDPOINT, 0)->slot;
	struct message message = {.info = MESSAGE_INFO(SYSTEM_COMPONENT_KILL, 4)};
	memcpy(message.words, "uart", 4);
	enum error error = ipc_call(system, &message, DEADLINE_NEVER);
	if (error || message.words[0] != SYSTEM_OK)
		fatal("serial-test: kill: %s", error_text(error));
}

static void wait_for(bool ready)
{
	uint64_t bits;
	if (!ready)
		notification_wait(startup_need("events", STARTUP_NOTIFICATION, 0)->slot, &bits,
		                  DEADLINE_NEVER);
}

static void wake(_Atomic uint32_t *waits)
{
	if (atomic_exchange(waits, 0))
		notification_signal(signal_driver);
}

static void send(uint32_t count)
{
	struct serial_ring *out = &channel->output;
	uint32_t start = atomic_load(&out->written), sent = 0;
	uint64_t before = time_now();
	while (sent < count || ring_length(out)) {
		while (sent < count && ring_length(out) < SERIAL_RING_SIZE) {
			out->data[(start + sent) % SERIAL_RING_SIZE] = (uint8_t)sent;
			atomic_store(&out->written, start + ++sent);
		}
		wake(&out->reader_waits);
		atomic_store(&out->writer_waits, 1);
		wait_for(ring_length(out) < (sent < count ? SERIAL_RING_SIZE : 1));
	}
	log_info("serial-test: sent %u bytes in %lu us", count, (time_now() - before) / 1000);
}

static void receive(uint32_t count)
{
	struct serial_ring *in = &channel->input;
	uint32_t start = atomic_load(&in->read), got = 0;
	uint64_t before = 0;
	while (got < count) {
		atomic_store(&in->reader_waits, 1);
		wait_for(ring_length(in));
		before = before ? before : time_now();
		got += ring_length(in);
		atomic_store(&in->read, start + got);
		wake(&in->writer_waits);
	}
	log_info("serial-test: received %u bytes in %lu us", got, (time_now() - before) / 1000);
}

int main(void)
{
	const struct startup_entry *entry = startup_need("serial", STARTUP_CHANNEL, 0);
	cptr_t events = startup_need("events", STARTUP_NOTIFICATION, 0)->slot;
	uint64_t kill_after = (uint64_t)startup_config_number("kill", 0), passed = 0, bits;
	channel = (struct serial_channel *)(uintptr_t)entry->address;
	signal_driver = entry->slot;
	log_info("serial-test: ready");
	send((uint32_t)startup_config_number("send", 0));
	receive((uint32_t)startup_config_number("receive", 0));
	for (;;) {
		passed += echo();
		if (kill_after && passed >= kill_after) {
			driver_kill();
			passed = 0;
		}
		if (may_sleep())
			notification_wait(events, &bits, DEADLINE_NEVER);
	}
}
