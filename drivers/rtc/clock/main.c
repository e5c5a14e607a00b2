/* SPDX-License-Identifier: MIT */
/* clock: the wall clock and the CMOS clock. See README.md. */
#include "cmos.h"

#include <stdatomic.h>
#include <pith/log.h>
#include <pith/server.h>
#include <pith/startup.h>

#define SECOND   1000000000ul
#define PATIENCE 50000000ul   /* ns; it counts for 2 ms at most */
#define FALLBACK 1704067200ul /* 2024-01-01: nobody runs this before */

static cptr_t ports;
static struct wall_clock *wall;

static enum clock_status read_patiently(uint64_t *seconds)
{
	deadline_t end = time_now() + PATIENCE;
	enum clock_status status;
	do
		status = cmos_read(ports, seconds);
	while (status == CLOCK_BUSY && time_now() < end);
	return status;
}

/* Once a boot: the wall clock goes on while we are restarted. */
static void wall_begin(void)
{
	uint64_t seconds = 0;
	if (atomic_load(&wall->at_boot))
		return;
	if (read_patiently(&seconds) != CLOCK_OK) {
		log_error("the CMOS clock cannot be read: the time is taken to be 2024-01-01");
		seconds = FALLBACK;
	}
	/* That second began up to one ago, and QEMU's clock is up to one late: with one more we are wrong by
	 * one at most. */
	uint64_t time = (seconds + 1) * SECOND, now = time_now();
	atomic_store(&wall->at_boot, time > now ? time - now : 1);
}

static enum clock_status wall_set(uint64_t time)
{
	uint64_t now = time_now();
	if (time <= now || time > INT64_MAX)
		return CLOCK_RANGE;
	log_info("the wall clock is set from %lu to %lu", time_wall() / SECOND, time / SECOND);
	atomic_store(&wall->at_boot, time - now);
	return CLOCK_OK;
}

static enum clock_status serve(struct message *message)
{
	bool argument = message_words(message->info) >= 1;
	switch (message_label(message->info)) {
	case CLOCK_SET_WALL:
		return argument ? wall_set(message->words[0]) : CLOCK_BAD_REQUEST;
	case CLOCK_READ_CMOS:
		return cmos_read(ports, &message->words[1]);
	case CLOCK_SET_CMOS:
		return argument ? cmos_write(ports, message->words[0]) : CLOCK_BAD_REQUEST;
	default:
		return CLOCK_BAD_REQUEST;
	}
}

static void on_call(struct server *server, badge_t badge, struct message *message)
{
	(void)server, (void)badge;
	bool read = message_label(message->info) == CLOCK_READ_CMOS;
	message->words[0] = serve(message);
	message->info = MESSAGE_INFO(0, read && message->words[0] == CLOCK_OK ? 2 : 1);
}

int main(void)
{
	static struct server server = {.on_call = on_call};
	const struct startup_entry *entry = startup_need("ports", STARTUP_IO_PORTS, 0);
	if (entry->address != 0x70 || entry->size < 2)
		fatal("the manifest must give ports 0x70 and 0x71");
	ports = entry->slot;
	wall = (struct wall_clock *)startup()->wall;
	if (cmos_resume(ports))
		log_warning("the CMOS clock stood still, as it does while it is set: it goes again");
	wall_begin();
	server_run(&server);
}
