/* SPDX-License-Identifier: MIT */
/* The serial line's end of the rings, with a driver that runs whenever it is told to: it runs above the
 * server. */
#include "../check.h"
#include "tests.h"
#include "tty/tty.h"

#include <proto/serial.h>
#include <pith/startup.h>
#include <pith/syscall.h>

static struct serial_channel channel;
static unsigned told; /* how often the driver was signalled */
static bool takes_at_once;
static uint32_t still_there; /* of what the driver took, what has not left the line */

const struct startup_entry *startup_find(const char *name, uint32_t kind, unsigned index)
{
	static struct startup_entry entry;

	(void)name, (void)kind, (void)index;
	entry = (struct startup_entry){.address = (uint64_t)&channel, .size = sizeof(channel)};
	return &entry;
}

static void driver_takes(uint32_t bytes)
{
	channel.output.read += bytes;
	channel.output.sent = channel.output.read - still_there;
	if (channel.output.writer_waits)
		channel.output.writer_waits = 0; /* and a signal */
}

enum error notification_signal(cptr_t notification)
{
	(void)notification;
	told++;
	if (takes_at_once)
		driver_takes(channel.output.written - channel.output.read);
	return ERR_NONE;
}

extern bool fake_stirred;

static void begin(bool at_once)
{
	memset(&channel, 0, sizeof(channel));
	channel.output.reader_waits = 1;
	takes_at_once = at_once;
	told = 0;
	serial_attach();
	CHECK(told == 1); /* who was here before may have died with that to say */
	told = 0;
	serial_output_moved();
	fake_stirred = false;
	serial_write((const uint8_t *)"bytes", 5);
	CHECK(fake_stirred);
	CHECK(!serial_output_empty() && told == 0);
}

int serial_tests(void)
{
	/* The driver is slow: sleep, and it signals. */
	begin(false);
	CHECK(serial_prepare_sleep(true, true));
	CHECK(told == 1 && channel.output.written == 5 && channel.output.writer_waits == 1 &&
	      channel.input.reader_waits == 1);
	CHECK(!serial_output_moved());
	driver_takes(3);
	CHECK(serial_output_moved() && !serial_output_moved() && !serial_output_empty());
	driver_takes(2);
	CHECK(serial_output_moved() && serial_output_empty());

	/* It takes all while it is told: nobody signals any more, so whoever waits has to look first. */
	begin(true);
	CHECK(!serial_prepare_sleep(true, true));
	CHECK(serial_output_moved() && serial_output_empty());
	CHECK(serial_prepare_sleep(true, true));

	/* Between the look of whoever waits and the sleep. */
	begin(false);
	CHECK(serial_prepare_sleep(true, false));
	driver_takes(5);
	CHECK(!serial_prepare_sleep(true, true));
	CHECK(serial_output_moved());

	/* Taken is not sent, and whoever waits for the end is told of that, too. */
	still_there = 2;
	begin(false);
	CHECK(serial_prepare_sleep(true, true));
	driver_takes(5);
	CHECK(serial_room() == SERIAL_RING_SIZE && serial_output_moved() && !serial_output_empty());
	CHECK(serial_prepare_sleep(true, true));
	still_there = 0;
	driver_takes(0);
	CHECK(!serial_prepare_sleep(true, true) && serial_output_moved() && serial_output_empty());

	/* Nobody waits for room: that it moved is nobody's news. Input is, if it is wanted. */
	begin(true);
	CHECK(serial_prepare_sleep(true, false));
	channel.input.written = 1;
	CHECK(!serial_prepare_sleep(true, false) && serial_prepare_sleep(false, false));
	return checks_report();
}
