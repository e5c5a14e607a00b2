/* SPDX-License-Identifier: MIT */
/* What the parts of init share. One thread, one loop (main.c); everything lives as long as the system. */
#pragma once

#include <abi/boot.h>
#include <abi/startup.h>
#include <proto/counters.h>
#include <proto/log.h>
#include <proto/system.h>
#include <pith/log.h>
#include <pith/object.h>
#include <pith/slots.h>
#include <pith/startup.h>

#include "archive.h"
#include "manifest/manifest.h"
#include "program.h"

/* ---- main.c: what ends the boot still ends the machine, since an emulator must not hang ---- */
_Noreturn void boot_fail(void);
#define boot_fatal(...)                 \
	do {                            \
		log_error(__VA_ARGS__); \
		boot_fail();            \
	} while (0)

/* ---- boot.c ---- */
extern const struct boot_info *boot_information;
bool boot_option(const char *key, char *out, size_t size); /* key=value of the kernel's command line */

/* ---- ram.c: RAM as Untypeds of exact power-of-two sizes, split by halves ---- */
void ram_init(void);
cptr_t ram_take(unsigned size_bits); /* an uncut Untyped; CPTR_NULL: no RAM left */
/* The largest free block, at least 2^minimum_bits; CPTR_NULL: none */
cptr_t ram_take_largest(unsigned minimum_bits, unsigned *size_bits);
uint64_t ram_free(void);

/* ---- space.c: init's own address space ---- */
void space_init(void);
/* Maps pages of a Memory for init, for good; NULL: impossible */
void *space_map(cptr_t memory, uint64_t first_page, size_t pages, unsigned rights);
/* The same at a place that the next call of space_scratch takes again; *window is deleted by
 * space_scratch_end. */
void *space_scratch(cptr_t memory, uint64_t first_page, size_t pages, unsigned rights, cptr_t *window);
void space_scratch_end(cptr_t window);

/* ---- component.c: what each component consists of ---- */
#define PARTS_MAX         8 /* Memories of one region */
#define BACKINGS_MAX      48
#define SMALL_OBJECTS     64
#define COMPONENT_POOLS   16
#define COMPONENT_HISTORY 16384 /* bytes of log kept */

/* A kernel object of a component, in an Untyped of its own: revoking that destroys the object; retyping makes
 * a new, clean one. */
struct backing {
	cptr_t untyped;
	cptr_t object;
	uint8_t type; /* enum object_type; OBJECT_UNTYPED: `untyped` is used as it is */
	uint8_t size_bits;
};

/* A range of virtual memory made of one or more Memories, sizes falling. */
struct region {
	uint64_t address, size;
	unsigned count;
	struct {
		cptr_t memory;
		uint8_t size_bits;
	} parts[PARTS_MAX];
};

struct component {
	const struct manifest_component *manifest;
	struct program program;
	unsigned index;
	unsigned cpu; /* where it runs */

	/* made once, outlive the component */
	cptr_t events, service; /* service: CPTR_NULL without one */
	cptr_t irqs[MANIFEST_IRQS], irq_signals[MANIFEST_IRQS];
	cptr_t fault_endpoint, log_signal;
	cptr_t info;             /* Memory: start-up information, log ring */
	struct startup *startup; /* in init's address space */
	struct log_ring *log_ring;
	const volatile struct counters *counters;
	uint32_t log_read;

	/* made anew at each start */
	struct backing backings[BACKINGS_MAX];
	unsigned backing_count;
	unsigned cnode, vspace, tables, thread, small, image, ipc; /* indices of backings */
	struct region stack, heap, dma;
	unsigned untyped_first, untyped_count; /* backings given to it */
	cptr_t small_slots[SMALL_OBJECTS];
	unsigned small_used;
	cptr_t next_slot;                /* in its CSpace, while it is filled */
	int entry_peer[STARTUP_ENTRIES]; /* component at the other end of each start-up entry, -1: none */
	unsigned event_bits;

	/* supervision (supervise.c) */
	enum component_state state;
	uint64_t generation, restarts, kills, started, cpu_time_before;
	uint64_t restart_at, backoff;
	uint64_t crash_times[MANIFEST_CRASHES];
	unsigned crash_next;
	uint64_t memory_bytes;
	char history[COMPONENT_HISTORY];
	uint64_t history_written;
	char log_line[256]; /* the line that is being collected for the debug line */
	size_t log_line_length;
	int64_t log_allowance; /* bytes that it may still put on the debug line, filled up with time */
	uint64_t log_allowed_at, log_lines_left_out;
};

struct channel {
	const struct manifest_channel *manifest;
	struct region region;
	/* by side, 0: server, 1: client */
	unsigned bit[2];   /* of that side's events */
	cptr_t signal[2];  /* signals that side */
	unsigned index[2]; /* among its channels of that name */
};

struct pool {
	unsigned statement; /* in manifest->pools */
	cptr_t memory;
	unsigned size_bits;
};
#define POOLS_MAX (MANIFEST_POOLS + COMPONENT_POOLS)

struct system {
	struct manifest manifest;
	struct archive archive;
	struct component components[MANIFEST_COMPONENTS];
	struct channel channels[MANIFEST_CHANNELS];
	struct pool pools[POOLS_MAX];
	unsigned pool_count;
	cptr_t endpoint, events; /* init's own */
	cptr_t devices[BOOT_INFO_UNTYPEDS];
	cptr_t wall; /* Memory: struct wall_clock */
};
extern struct system init;

#define BADGE_FAULT 0x10000ul /* + component: faults; smaller badges are clients of "system" */
#define EVENT_LOG   1ul

/* Allocates everything that lives as long as the system. Failures are fatal: the manifest asks for too much.
 */
void components_prepare(void);
bool region_allocate(struct region *region, uint64_t size, struct component *owner);
unsigned size_bits_of(uint64_t size); /* smallest power of two that holds it */

/* ---- grants.c: capabilities and start-up information ---- */
void grants_prepare(void);
bool grants_fill(struct component *component);
/* ---- layout.c: the address space ---- */
bool layout_map(struct component *component);
bool layout_map_memory(struct component *component, cptr_t memory, unsigned size_bits, uint64_t address,
                       unsigned rights);
uint64_t layout_table_pages(const struct component *component);
uint64_t layout_channel_address(const struct component *component, unsigned channel);
uint64_t layout_pool_address(const struct component *component, unsigned pool);
cptr_t component_small(struct component *component, enum object_type type);
bool channel_side(const struct channel *channel, const struct component *component, unsigned *side);
bool pool_grant(const struct pool *pool, const struct component *component, struct manifest_grant *grant);

/* Start-up page, log ring and so on at fixed places in every component. */
#define LAYOUT_IPC_BUFFER  (STARTUP_ADDRESS + 0x10000)
#define LAYOUT_COUNTERS    (STARTUP_ADDRESS + 0x20000)
#define LAYOUT_WALL        (STARTUP_ADDRESS + 0x30000)
#define LAYOUT_STACK_TOP   0x18000000ul
#define LAYOUT_HEAP        0x20000000ul
#define LAYOUT_CHANNELS    0x40000000ul
#define LAYOUT_POOLS       0x100000000ul
#define INFO_STARTUP_PAGES 3
#define INFO_COUNTERS_PAGE 3 /* the log ring follows */
#define INFO_LOG_PAGE      4
#define INFO_BITS          16 /* of the info Memory: 16 pages */

/* ---- start.c ---- */
bool component_start(struct component *component);
void component_stop(struct component *component);

/* ---- supervise.c ---- */
void supervise_fault(struct component *component, const struct message *message);
/* false: it has failed or ended, and does not come back */
bool supervise_kill(struct component *component);
deadline_t supervise_timers(void); /* starts what is due; returns when to call again */
void supervise_start_all(void);

/* ---- crash.c ---- */
void crash_report(struct component *component, const struct message *message,
                  const struct thread_registers *registers);

/* ---- journal.c ---- */
void journal_drain(void);
void journal_drain_one(struct component *component);
/* A line about the component: init's own, and in the component's history, where it is marked as such. */
void journal_note(struct component *component, enum log_level level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Its last lines before this position of its history, on the debug line. */
void journal_tail(struct component *component, uint64_t end, unsigned lines);

/* ---- service.c: proto/system.h ---- */
/* true: answer with *message */
bool service_call(badge_t badge, struct message *message);

/* ---- power.c, wall.c, devices.c ---- */
void devices_init(void);
/* Copies physical memory that is not RAM; false: not there */
bool devices_read(uint64_t physical, void *out, size_t size);
void power_init(void);
_Noreturn void power_off(void);
_Noreturn void power_reboot(void);
void wall_init(void);
