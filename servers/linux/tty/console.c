/* SPDX-License-Identifier: MIT */
/* The console: the terminal on the serial line (run mode). */
#include "tty/telnet.h"
#include "tty/tty.h"
#include <pith/startup.h>

static struct tty console;
static struct telnet telnet;
static bool active, speaks_telnet;

static size_t console_room(struct tty *tty)
{
	(void)tty;
	return serial_room();
}

static void console_put(struct tty *tty, uint8_t byte)
{
	(void)tty;
	serial_write(&byte, 1);
}

static bool console_drained(struct tty *tty)
{
	(void)tty;
	return serial_output_empty();
}

static void console_discard(struct tty *tty)
{
	(void)tty;
	serial_discard_output();
}

static void console_input_taken(struct tty *tty)
{
	(void)tty;
	vfs_stir();
	console_events(); /* what the full queue had left in the ring */
}

static const struct tty_driver driver = {
        .room = console_room,
        .put = console_put,
        .drained = console_drained,
        .discard_output = console_discard,
        .input_taken = console_input_taken,
};

struct tty *console_tty(void)
{
	return active ? &console : NULL;
}

void console_init(void)
{
	tty_setup(&console, &driver, linux_device(4, 65));
	console.size.rows = (uint16_t)startup_config_number("rows", 24);
	console.size.columns = (uint16_t)startup_config_number("columns", 80);
	console.line.termios.input |= LINE_IUTF8;
	speaks_telnet = startup_config_number("telnet", 0);
	active = true;
}

static void console_input(uint8_t byte)
{
	switch (speaks_telnet ? telnet_input(&telnet, byte) : TELNET_BYTE) {
	case TELNET_BYTE:
		tty_input(&console, byte);
		break;
	case TELNET_SIZE:
		tty_set_size(&console, &(struct window_size){telnet.rows, telnet.columns, 0, 0});
		break;
	case TELNET_NOTHING:
		break;
	}
}

void console_events(void)
{
	uint8_t byte;
	bool any = false;
	while (active && tty_wants_input(&console) && serial_read(&byte, 1) == 1) {
		console_input(byte);
		any = true;
	}
	if (any)
		tty_input_done(&console);
	if (serial_output_moved())
		waitq_wake_for(&console.output_wait, WAKE_OUT);
}

bool console_prepare_sleep(void)
{
	if (!active)
		return true;
	return serial_prepare_sleep(tty_wants_input(&console), !waitq_empty(&console.output_wait));
}
