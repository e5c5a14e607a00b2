/* SPDX-License-Identifier: MIT */
/* The uart driver against a model of the 16550: bytes, order, backpressure, restarts, broken devices. */
#include "check.h"
#include "model.h"

#include "uart.h"

#include <stdlib.h>
#include <string.h>

static struct serial_channel channel;
static struct uart uart;
static unsigned seed = 1;

#define LOOK_AGAIN 1000001 /* a millisecond after the model's time */

static void driver_start(void)
{
	memset(&uart, 0, sizeof(uart));
	uart.base = 0x2f8;
	uart.channel = &channel;
	rings_attach(&uart);
	uart_start(&uart);
	uart_interrupt(&uart);
}

static void setup(bool instant)
{
	memset(&channel, 0, sizeof(channel));
	model_reset(instant);
	driver_start();
}

/* The driver's main loop until it sleeps; then it is woken by an edge or by the client's signal only. */
static void driver_run(bool client_signal)
{
	do {
		if (model.edge) {
			model.edge = false;
			uart_interrupt(&uart);
		} else if (!client_signal) {
			return;
		}
		client_signal = false;
		while (uart_work(&uart))
			;
	} while (model.edge);
}

/* The client's side of the rings. Each returns whether it had to signal the driver. */
static size_t client_write(const uint8_t *bytes, size_t count, bool *signal)
{
	uint32_t written = atomic_load(&channel.output.written);
	uint32_t room = SERIAL_RING_SIZE - (written - atomic_load(&channel.output.read));
	if (count > room)
		count = room;
	for (size_t i = 0; i < count; i++)
		channel.output.data[(written + i) % SERIAL_RING_SIZE] = bytes[i];
	atomic_store(&channel.output.written, written + (uint32_t)count);
	*signal = count && atomic_exchange(&channel.output.reader_waits, 0);
	return count;
}

static size_t client_read(uint8_t *bytes, size_t most, bool *signal)
{
	uint32_t read = atomic_load(&channel.input.read);
	uint32_t count = atomic_load(&channel.input.written) - read;
	if (count > most)
		count = (uint32_t)most;
	for (size_t i = 0; i < count; i++)
		bytes[i] = channel.input.data[(read + i) % SERIAL_RING_SIZE];
	atomic_store(&channel.input.read, read + count);
	*signal = count && atomic_exchange(&channel.input.writer_waits, 0);
	return count;
}

static uint8_t *noise(size_t size)
{
	uint8_t *bytes = malloc(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)rand_r(&seed);
	return bytes;
}

/* All bytes, in order, whatever the pace; without instant transmission the FIFO drains at random. */
static void test_output(bool instant, size_t size, bool restarts)
{
	setup(instant);
	driver_run(true);
	uint8_t *bytes = noise(size);
	size_t written = 0;
	while (model.sent_count < size) {
		bool signal = false;
		if (written < size)
			written += client_write(bytes + written, 1 + rand_r(&seed) % 3000 % (size - written),
			                        &signal);
		driver_run(signal);
		if (!instant)
			model_transmit(rand_r(&seed) % 17);
		driver_run(false);
		if (restarts && rand_r(&seed) % 10 == 0) {
			driver_start();
			driver_run(true);
		}
	}
	CHECK(model.sent_count == size && !memcmp(model.sent, bytes, size));
	CHECK(!model.lost);
	CHECK(atomic_load(&channel.output.read) == size);
	driver_run(true);
	CHECK(atomic_load(&channel.output.sent) == size);
	free(bytes);
}

/* The client is told when all has left the line, not before; nothing but the time tells the driver of the last byte. */
static void test_output_end(void)
{
	bool signal;

	setup(false);
	driver_run(true);
	CHECK(uart_deadline(&uart) == DEADLINE_NEVER);
	CHECK(client_write((const uint8_t *)"abcd", 4, &signal) == 4);
	driver_run(signal);
	CHECK(atomic_load(&channel.output.read) == 4 && atomic_load(&channel.output.sent) == 0);
	CHECK(uart_deadline(&uart) > LOOK_AGAIN); /* the FIFO will tell, or not */
	atomic_store(&channel.output.writer_waits, 1);
	model_transmit(3);
	driver_run(false);
	CHECK(model.sent_count == 3 && model.shifting && atomic_load(&channel.output.sent) == 0);
	CHECK(uart_deadline(&uart) <= LOOK_AGAIN);
	model_transmit(1);
	CHECK(!model.edge && atomic_load(&channel.output.writer_waits));
	driver_run(true);
	CHECK(atomic_load(&channel.output.sent) == 4 && !atomic_load(&channel.output.writer_waits));
	CHECK(uart_deadline(&uart) == DEADLINE_NEVER);

	/* A successor knows no more than the status tells it. */
	CHECK(client_write((const uint8_t *)"e", 1, &signal) == 1);
	driver_run(signal);
	model_transmit(0);
	driver_start();
	driver_run(true);
	CHECK(model.shifting && atomic_load(&channel.output.sent) == 4);
	model_transmit(1);
	driver_run(true);
	CHECK(atomic_load(&channel.output.sent) == 5);
}

/* The other end takes nothing for a while; then an interrupt is lost. The driver wakes by itself. */
static void test_overdue(void)
{
	bool signal;
	uint8_t *bytes = noise(40);

	setup(false);
	driver_run(true);
	CHECK(client_write(bytes, 40, &signal) == 40);
	driver_run(signal);
	CHECK(uart_deadline(&uart) != DEADLINE_NEVER);
	uart_overdue(&uart);
	driver_run(true);
	CHECK(uart.overdue[false] == 1 && uart.overdue[true] == 0);
	while (model.sent_count < 40) {
		model_transmit(17);
		model.edge = false;
		if (uart_deadline(&uart) == DEADLINE_NEVER)
			break;
		uart_overdue(&uart);
		driver_run(true);
	}
	CHECK(model.sent_count == 40 && !memcmp(model.sent, bytes, 40));
	CHECK(uart.overdue[false] == 1 && uart.overdue[true] == 3);
	CHECK(uart_deadline(&uart) == DEADLINE_NEVER);
	free(bytes);
}

static void test_input(size_t size, bool restarts)
{
	setup(true);
	driver_run(true);
	uint8_t *bytes = noise(size), *got = malloc(size);
	size_t fed = 0, read = 0;
	while (read < size) {
		bool signal;
		for (unsigned i = rand_r(&seed) % 50; i > 0 && fed < size; i--) {
			fed += model_feed(bytes + fed, 1 + rand_r(&seed) % 20 % (size - fed));
			if (rand_r(&seed) % 3)
				driver_run(false);
		}
		if (rand_r(&seed) % 2 || fed == size)
			model_pause();
		driver_run(false);
		if (restarts && rand_r(&seed) % 10 == 0) {
			driver_start();
			driver_run(true);
		}
		if (rand_r(&seed) % 2) {
			read += client_read(got + read, size - read, &signal);
			driver_run(signal);
		}
	}
	CHECK(fed == size && !memcmp(got, bytes, size));
	free(bytes);
	free(got);
}

/* Nobody reads: the ring fills, then the FIFO, then the line is held; when the reader comes nothing is
 * missing. */
static void test_backpressure(void)
{
	size_t size = 3 * SERIAL_RING_SIZE, fed = 0, read = 0;
	uint8_t *bytes = noise(size), *got = malloc(size);
	setup(true);
	driver_run(true);
	for (;;) {
		size_t count = model_feed(bytes + fed, size - fed);
		fed += count;
		model_pause();
		driver_run(false);
		if (!count)
			break;
	}
	CHECK(fed >= SERIAL_RING_SIZE && fed <= SERIAL_RING_SIZE + 16);
	CHECK(atomic_load(&channel.input.written) == SERIAL_RING_SIZE);
	while (read < size) {
		bool signal;
		read += client_read(got + read, 1000 % (size - read) + 1, &signal);
		driver_run(signal);
		for (unsigned i = 0; i < 100; i++) {
			fed += model_feed(bytes + fed, size - fed);
			driver_run(false);
		}
		model_pause();
		driver_run(false);
	}
	CHECK(!memcmp(got, bytes, size));
	free(bytes);
	free(got);
}

/* Both ways at once. */
static void test_echo(void)
{
	size_t size = 100000, fed = 0, echoed = 0;
	uint8_t *bytes = noise(size), buffer[500];
	bool signal;
	setup(false);
	driver_run(true);
	while (model.sent_count < size) {
		fed += model_feed(bytes + fed, size - fed);
		if (rand_r(&seed) % 5 == 0 || fed == size)
			model_pause();
		driver_run(false);
		size_t count = client_read(buffer, sizeof(buffer), &signal);
		driver_run(signal);
		CHECK(client_write(buffer, count, &signal) == count);
		echoed += count;
		driver_run(signal);
		model_transmit(rand_r(&seed) % 17);
		driver_run(false);
	}
	CHECK(echoed == size && !memcmp(model.sent, bytes, size) && !model.lost);
	free(bytes);
}

/* What the throughput hangs on. */
static void test_kernel_entries(void)
{
	bool signal;
	uint8_t *bytes = noise(16000);
	setup(true);
	driver_run(true);
	model.entries = 0;
	CHECK(client_write(bytes, 16000, &signal) == 16000);
	driver_run(signal);
	CHECK(model.sent_count == 16000);
	CHECK(model.entries <= 2 * 1000 + 5);
	model.entries = 0;
	for (unsigned i = 0; i < 1000; i++) {
		CHECK(model_feed(bytes + 14 * i, 14) == 14);
		driver_run(false);
	}
	CHECK(model.entries <= 3 * 1000 + 5);
	free(bytes);
}

/* A client that says impossible things about its positions gets nothing for it. */
static void test_hostile_client(void)
{
	setup(true);
	for (unsigned i = 0; i < 20000; i++) {
		atomic_store(&channel.output.written, (uint32_t)rand_r(&seed));
		atomic_store(&channel.input.read, (uint32_t)rand_r(&seed));
		atomic_store(&channel.output.read, (uint32_t)rand_r(&seed));
		atomic_store(&channel.input.written, (uint32_t)rand_r(&seed));
		uint8_t byte = 1;
		model_feed(&byte, 1);
		model_pause();
		driver_run(true);
	}
	CHECK(true);
}

static bool dies(void (*act)(void))
{
	volatile bool died = true;
	fatal_expected = true;
	if (!setjmp(fatal_jump)) {
		act();
		died = false;
	}
	fatal_expected = false;
	return died;
}

static void take_interrupt(void)
{
	uart_interrupt(&uart);
}

static void test_broken_devices(void)
{
	setup(true);
	model_reset(true);
	model.present = false;
	CHECK(dies(driver_start) && strstr(fatal_text, "no 16550"));

	setup(true);
	model.stuck_cause = true;
	CHECK(dies(take_interrupt) && strstr(fatal_text, "does not go away"));

	/* Input without end stops at a full ring. */
	setup(true);
	model.always_data = true;
	model.timeout = true;
	uart_interrupt(&uart);
	CHECK(atomic_load(&channel.input.written) == SERIAL_RING_SIZE);
}

static void test_restart_keeps_fifos(void)
{
	bool signal;
	uint8_t byte = 0;
	setup(true);
	CHECK(model.clears == 1);
	CHECK(model_feed((const uint8_t *)"abc", 3) == 3);
	driver_start();
	CHECK(model.clears == 1);
	model_pause();
	driver_run(false);
	CHECK(client_read(&byte, 1, &signal) == 1 && byte == 'a');
}

/* Whoever sleeps is signalled, were its flag taken already by a predecessor that did not come to it. */
static void test_restart_signals(void)
{
	unsigned signals;
	setup(true);
	signals = model.signals;
	driver_start();
	CHECK(model.signals == signals + 1);
}

int main(void)
{
	test_output(true, 300000, false);
	test_output(false, 300000, false);
	test_output(false, 100000, true);
	test_output_end();
	test_overdue();
	test_input(300000, false);
	test_input(100000, true);
	test_backpressure();
	test_echo();
	test_kernel_entries();
	test_hostile_client();
	test_broken_devices();
	test_restart_keeps_fifos();
	test_restart_signals();
	model_reset(true);
	return checks_report();
}
