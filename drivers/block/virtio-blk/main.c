/* SPDX-License-Identifier: MIT */
/* virtio-blk: the driver of a virtio 1.x disk on PCI. See README.md for what the manifest must give it. */
#include "loop.h"

#include <pith/log.h>
#include <pith/startup.h>
#include <pith/syscall.h>

static struct disk disk;

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
		enum error error = notification_wait(events, &bits, DEADLINE_NEVER);
		if (error && error != ERR_CANCELED)
			fatal("waiting for events: %s", error_text(error));
		disk_events(&disk, bits);
	}
}
