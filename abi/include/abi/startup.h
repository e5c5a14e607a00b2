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
	STARTUP_NOTIFICATION, /* slot: a Notification. "events": the component's own, bound to its first thread (READ); "log": signals
	                       * the supervisor that there are log lines (WRITE) */
	STARTUP_CHANNEL,      /* shared memory at address/size; slot: Notification to signal the peer; bit: the peer's signals
	                       * set this bit of "events". `name` = the channel's name; index: 0,1,… for equal names */
	STARTUP_MEMORY,       /* slot: Memory, mapped at address (0: not mapped) of size bytes */
	STARTUP_UNTYPED,      /* slot, size = bytes */
	STARTUP_IO_PORTS,     /* slot, address = first port, size = count */
	STARTUP_IRQ,          /* slot: Irq; bound by init to "events" with bit */
	STARTUP_CAPABILITY,   /* slot: any other capability, by name: "thread" (everybody), "irq-control", "cpu-time", "vspace", "cspace" */
};

struct startup_entry {
	char name[STARTUP_NAME];
	uint32_t kind; /* enum startup_kind */
	uint32_t index;
	cptr_t slot;
	uint32_t bit;
	uint64_t address;
	uint64_t size;
	/* CHANNEL, ENDPOINT: written by the supervisor while the component runs: 1 once the peer is marked failed (it crashed too
	 * often and stays away); for a channel, its bit of "events" is signalled then. */
	uint32_t peer_failed;
	uint32_t reserved;
};

/* A page that all components share. Whose manifest line says `wall-clock` writes it, the others read. */
struct wall_clock {
	_Atomic uint64_t at_boot; /* wall-clock time at boot, ns since 1970; 0: not known yet */
};

struct startup {
	uint64_t magic;
	char name[STARTUP_NAME];     /* of this instance, e.g. "virtio-blk.1" */
	uint64_t generation;         /* 0 at first start, +1 each restart */
	uint64_t ipc_buffer;         /* address; first thread's, 2 pages */
	uint64_t heap, heap_size;    /* mapped, zeroed, read/write */
	uint64_t tsc_hz, tsc_at_boot;
	uint64_t wall;               /* struct wall_clock; read-only for most */
	cptr_t first_free_slot;      /* free slots of the CSpace: [first_free_slot, slot_count) */
	cptr_t slot_count;
	uint64_t log, log_size;      /* struct log_ring (proto/log.h) shared with the supervisor */
	uint64_t counters;           /* struct counters (proto/counters.h), likewise */
	uint64_t xsave_bytes, ram_bytes;
	uint32_t cpu, cpu_count;     /* where its threads and what they wait for live; how many there are */
	char config[STARTUP_CONFIG]; /* the manifest's `config` text for this component: key=value lines */
	uint32_t entry_count;
	struct startup_entry entries[STARTUP_ENTRIES];
};

/*
 * How a component ends by its own will: the instruction ud2 with this in rax and its exit status in rdi. The supervisor,
 * which gets the exception, tells it from a crash.
 */
#define STARTUP_EXIT 0x5449584548544950ul /* "PITHEXIT" */

_Static_assert(sizeof(struct startup) <= 3 * PAGE_SIZE, "startup information fits three pages");
