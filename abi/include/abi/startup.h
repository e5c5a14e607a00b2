/* SPDX-License-Identifier: MIT */
/*
 * What a component finds when it starts: its authority, named. The supervisor (init) builds this page from the
 * manifest and maps it read-only at STARTUP_ADDRESS; the entry point gets that address in rdi.
 */
#pragma once

#include <abi/types.h>

#define STARTUP_MAGIC   0x5452415453485450ul /* "PTHSTART" */
#define STARTUP_ADDRESS 0x10000000ul
#define STARTUP_ENTRIES 96
#define STARTUP_NAME    32
#define STARTUP_CONFIG  2048

enum startup_kind {
	STARTUP_NONE,
	STARTUP_ENDPOINT,     /* slot: send right to a server (badged by init), `name` = the server's name in the manifest */
	STARTUP_SERVICE,      /* slot: the component's own Endpoint, receive right; name "service" */
	STARTUP_NOTIFICATION, /* slot: the component's own Notification, bound to its first thread; name "events" */
	STARTUP_CHANNEL,      /* shared memory at address/size; slot: Notification to signal the peer; bit: the peer's signals
	                       * set this bit of "events". `name` = the channel's name; index: 0,1,… for equal names */
	STARTUP_MEMORY,       /* slot: Memory, mapped at address (0: not mapped) of size bytes */
	STARTUP_UNTYPED,      /* slot, size = bytes */
	STARTUP_IO_PORTS,     /* slot, address = first port, size = count */
	STARTUP_IRQ,          /* slot: Irq; bound by init to "events" with bit */
	STARTUP_CAPABILITY,   /* slot: any other capability, by name: "irq-control", "cpu-time", "thread", "vspace", "cspace" */
};

struct startup_entry {
	char name[STARTUP_NAME];
	uint32_t kind; /* enum startup_kind */
	uint32_t index;
	cptr_t slot;
	uint32_t bit;
	uint64_t address;
	uint64_t size;
};

struct startup {
	uint64_t magic;
	char name[STARTUP_NAME];     /* of this instance, e.g. "virtio-blk.1" */
	uint64_t generation;         /* 0 at first start, +1 each restart */
	uint64_t ipc_buffer;         /* address; first thread's, 2 pages */
	uint64_t heap, heap_size;    /* mapped, zeroed, read/write */
	uint64_t tsc_hz, tsc_at_boot;
	uint64_t boot_epoch_ns;      /* wall-clock time at boot, ns since 1970 */
	cptr_t first_free_slot;      /* free slots of the CSpace: [first_free_slot, slot_count) */
	cptr_t slot_count;
	uint64_t log, log_size;      /* struct log_ring shared with the supervisor */
	uint64_t xsave_bytes, ram_bytes;
	char config[STARTUP_CONFIG]; /* the manifest's `config` text for this component: key=value lines */
	uint32_t entry_count;
	struct startup_entry entries[STARTUP_ENTRIES];
};
_Static_assert(sizeof(struct startup) <= 3 * PAGE_SIZE, "startup information fits three pages");
