/* SPDX-License-Identifier: MIT */
/* virtio-blk: the driver of a virtio 1.x disk on PCI. See README.md for what the manifest must give it. */
#include "loop.h"

#include <pith/counters.h>
#include <pith/log.h>
#include <pith/startup.h>
#include <pith/syscall.h>

/* How long the device may be busy without a word before it is looked at. */
#define WATCHDOG_NS 2000000000ul

static struct disk disk;

/* While requests are at the device the wait has an end: an interrupt may be lost, and if the bus component
 * died, it took our registers and interrupt with it. Looking at the device tells: then we fault, and our
 * successor opens it anew. */
static deadline_t deadline(void)
{
	return disk_busy(&disk) ? time_now() + WATCHDOG_NS : DEADLINE_NEVER;
}

int main(void)
{
	cptr_t events = startup_need("events", STARTUP_NOTIFICATION, 0)->slot;
	disk_pools_attach(&disk);
	const char *problem = disk_start(&disk);
	if (problem)
		fatal("no disk: %s", problem);
	for (;;) {
		uint64_t bits = 0;
		if (disk_work(&disk))
			continue;
		enum error error = notification_wait(events, &bits, deadline());
		counters->events += !error;
		if (error == ERR_TIMEOUT)
			disk_check(&disk);
		else if (error && error != ERR_CANCELED)
			fatal("waiting for events: %s", error_text(error));
		else
			disk_events(&disk, error ? 0 : bits);
	}
}
