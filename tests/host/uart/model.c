/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <pith/log.h>
#include <pith/object.h>
#include <pith/startup.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE    0x2f8
#define TRIGGER 14

struct model model;
char fatal_text[256];
jmp_buf fatal_jump;
bool fatal_expected;

static uint8_t cause(void)
{
	uint8_t enabled = model.registers[1];
	if (model.stuck_cause)
		return 0;
	if ((enabled & 1) && model.timeout)
		return 0x0c;
	if ((enabled & 1) && model.received >= TRIGGER)
		return 0x04;
	if ((enabled & 2) && model.transmit_pending)
		return 0x02;
	return 0x01;
}

/* Only a rising edge reaches the driver, and only with OUT2. */
static void line_update(void)
{
	bool level = cause() != 1 && (model.registers[4] & 8);
	if (level && !model.line)
		model.edge = true;
	model.line = level;
}

void model_reset(bool instant)
{
	free(model.sent);
	memset(&model, 0, sizeof(model));
	model.present = true;
	model.instant = instant;
}

size_t model_feed(const uint8_t *bytes, size_t count)
{
	size_t room = model.received < TRIGGER ? TRIGGER - model.received : model.received < 16 ? 1 : 0;
	if (count > room)
		count = room;
	memcpy(model.receive + model.received, bytes, count);
	model.received += (unsigned)count;
	if (count)
		model.timeout = false;
	line_update();
	return count;
}

void model_pause(void)
{
	if (model.received)
		model.timeout = true;
	line_update();
}

static void line_takes(uint8_t byte)
{
	if (model.sent_count == model.sent_capacity) {
		model.sent_capacity = (model.sent_capacity + 1) * 2;
		model.sent = realloc(model.sent, model.sent_capacity);
	}
	model.sent[model.sent_count++] = byte;
}

/* The next byte of the FIFO goes to the shift register. */
static void shift_load(void)
{
	model.shifting = model.transmitting;
	if (!model.transmitting)
		return;
	model.shift = model.transmit[0];
	memmove(model.transmit, model.transmit + 1, --model.transmitting);
	if (!model.transmitting)
		model.transmit_pending = true;
}

void model_transmit(unsigned count)
{
	if (!model.shifting)
		shift_load();
	while (count-- && model.shifting) {
		line_takes(model.shift);
		shift_load();
	}
	line_update();
}

static uint8_t data_read(void)
{
	if (!model.received)
		return 0xee;
	uint8_t byte = model.receive[0];
	memmove(model.receive, model.receive + 1, --model.received);
	model.timeout = false;
	return byte;
}

static void data_write(uint8_t byte)
{
	if (model.transmitting == 16) {
		model.lost++;
		return;
	}
	model.transmit[model.transmitting++] = byte;
	model.transmit_pending = false;
	if (model.instant)
		model_transmit(1);
}

static uint8_t register_read(unsigned offset)
{
	uint8_t value;
	bool divisor = model.registers[3] & 0x80;
	if (!model.present)
		return 0xff;
	switch (offset) {
	case 0:
		return divisor ? model.divisor[0] : data_read();
	case 1:
		return divisor ? model.divisor[1] : model.registers[1];
	case 2:
		value = cause();
		if (value == 0x02)
			model.transmit_pending = false;
		return value | 0xc0;
	case 5:
		return (uint8_t)((model.received || model.always_data ? 0x01 : 0) |
		                 (model.transmitting ? 0 : model.shifting ? 0x20 : 0x60));
	case 6:
		return 0xb0;
	default:
		return model.registers[offset];
	}
}

static void register_write(unsigned offset, uint8_t value)
{
	bool divisor = model.registers[3] & 0x80;
	switch (offset) {
	case 0:
		if (divisor)
			model.divisor[0] = value;
		else
			data_write(value);
		break;
	case 1:
		if (divisor) {
			model.divisor[1] = value;
			break;
		}
		if ((value & 2) && !(model.registers[1] & 2) && !model.transmitting)
			model.transmit_pending = true;
		model.registers[1] = value;
		break;
	case 2:
		/* Switching the FIFOs on or off clears them, and so do the clear bits. */
		if ((value & 6) || ((value ^ model.registers[2]) & 1)) {
			model.clears++;
			model.received = model.transmitting = 0;
		}
		model.registers[2] = value;
		break;
	default:
		model.registers[offset] = value;
		break;
	}
}

static unsigned checked_port(unsigned port, size_t count)
{
	if (port < BASE || port >= BASE + 8 || count > 3072)
		abort();
	model.entries++;
	return port - BASE;
}

enum error io_ports_in(cptr_t ports, unsigned port, unsigned width, uint32_t *value)
{
	(void)ports;
	if (width != 1)
		abort();
	*value = register_read(checked_port(port, 0));
	line_update();
	return ERR_NONE;
}

enum error io_ports_out(cptr_t ports, unsigned port, unsigned width, uint32_t value)
{
	(void)ports;
	if (width != 1)
		abort();
	register_write(checked_port(port, 0), (uint8_t)value);
	line_update();
	return ERR_NONE;
}

enum error io_ports_in_string(cptr_t ports, unsigned port, uint8_t *out, size_t count)
{
	(void)ports;
	unsigned offset = checked_port(port, count);
	for (size_t i = 0; i < count; i++)
		out[i] = register_read(offset);
	line_update();
	return ERR_NONE;
}

enum error io_ports_out_string(cptr_t ports, unsigned port, const uint8_t *in, size_t count)
{
	(void)ports;
	unsigned offset = checked_port(port, count);
	for (size_t i = 0; i < count; i++)
		register_write(offset, in[i]);
	line_update();
	return ERR_NONE;
}

enum error irq_acknowledge(cptr_t irq)
{
	(void)irq;
	return ERR_NONE;
}

enum error notification_signal(cptr_t notification)
{
	(void)notification;
	model.signals++;
	return ERR_NONE;
}

uint64_t time_now(void)
{
	return 1;
}

const char *error_text(enum error error)
{
	return error ? "an error" : "success";
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)level, (void)format;
}

void fatal(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fatal_text, sizeof(fatal_text), format, arguments);
	va_end(arguments);
	if (fatal_expected)
		longjmp(fatal_jump, 1);
	printf("fatal: %s\n", fatal_text);
	abort();
}
