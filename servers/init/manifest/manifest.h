/* SPDX-License-Identifier: MIT */
/*
 * The manifest: which components a system has and what each may touch. One readable text, parsed by init at
 * boot and by tools/mkboot on the host when the boot image is packed; docs/manifest.md describes the
 * language. Everything is bounded; the parser allocates nothing and refuses what it does not know.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_NAME       32 /* with the NUL */
#define MANIFEST_COMPONENTS 40
#define MANIFEST_CHANNELS   32
#define MANIFEST_POOLS      16
#define MANIFEST_GRANTS     32 /* of one pool */
#define MANIFEST_SPECS      8  /* names in a pool's line */
#define MANIFEST_USES       8
#define MANIFEST_DEVICES    4
#define MANIFEST_PORTS      4
#define MANIFEST_IRQS       4
#define MANIFEST_CONFIG     2048 /* bytes of config text, with the NUL */
#define MANIFEST_ERROR      160
#define MANIFEST_CRASHES    64   /* at most this many in a restart limit */
#define MANIFEST_SYSTEM     (-1) /* as the target of `uses`: init itself */

struct manifest_use {
	char name[MANIFEST_NAME];
	unsigned line;
	int target;     /* component, or MANIFEST_SYSTEM */
	uint64_t badge; /* who calls: 1 and up; unique for the target */
};

struct manifest_device {
	unsigned line;
	char bus[MANIFEST_NAME];
	int target;
	uint16_t vendor, device;
	unsigned number; /* the n-th with these ids, from 0 */
	uint64_t badge;  /* 1 and up, unique for the bus */
};

struct manifest_ports {
	unsigned first, count;
};

struct manifest_irq {
	unsigned line; /* global interrupt number */
	bool level, active_low;
};

struct manifest_amount { /* of memory */
	uint64_t size;   /* bytes; or: */
	unsigned share;  /* 1/n of RAM, 0: none */
	uint64_t minimum, maximum;
};

struct manifest_component {
	char name[MANIFEST_NAME], program[MANIFEST_NAME];
	unsigned line;
	unsigned priority;
	unsigned cpu;            /* modulo the number that there are */
	uint64_t budget, period; /* ns */
	uint64_t stack, dma;     /* bytes */
	struct manifest_amount memory, untyped;
	uint64_t slots;
	unsigned restarts;       /* so many crashes in restart_window are too many; 0: never restarted */
	uint64_t restart_window; /* ns */
	bool service, devices_all, irq_control;
	bool wall_clock;   /* it sets the time */
	bool essential;    /* the machine is switched off when it has failed or ended */
	unsigned cpu_time; /* highest priority it may give, 0: it has no CpuTime */
	struct manifest_use uses[MANIFEST_USES];
	unsigned use_count;
	struct manifest_device devices[MANIFEST_DEVICES];
	unsigned device_count;
	struct manifest_ports ports[MANIFEST_PORTS];
	unsigned port_count;
	struct manifest_irq irqs[MANIFEST_IRQS];
	unsigned irq_count;
	char config[MANIFEST_CONFIG];
	size_t config_length;
	unsigned given; /* bits of the statements seen: none may come twice */
};

struct manifest_channel {
	char name[MANIFEST_NAME];
	unsigned line;
	uint64_t size;
	char server_name[MANIFEST_NAME], client_name[MANIFEST_NAME];
	int server, client;
};

struct manifest_grant {
	int component;
	bool mapped; /* in the component's address space; else it only has the capability */
	bool dma;
};

/* As written: resolved into grants after the last line. */
struct manifest_grant_spec {
	char name[MANIFEST_NAME];
	bool every; /* all components of this program */
	bool mapped, dma;
};

struct manifest_pool {
	unsigned line;
	bool rest;                     /* of RAM, as several Memories, numbered after all other pools */
	struct manifest_amount amount; /* its sizes are powers of two */
	struct manifest_grant_spec specs[MANIFEST_SPECS];
	unsigned spec_count;
	struct manifest_grant grants[MANIFEST_GRANTS];
	unsigned grant_count;
};

struct manifest {
	struct manifest_component components[MANIFEST_COMPONENTS];
	unsigned component_count;
	struct manifest_channel channels[MANIFEST_CHANNELS];
	unsigned channel_count;
	struct manifest_pool pools[MANIFEST_POOLS];
	unsigned pool_count;
	uint64_t system_clients; /* badges given out for init's own endpoint */
	/* the first error */
	unsigned error_line;
	char error[MANIFEST_ERROR];
};

/* false: manifest->error_line and manifest->error say what is wrong. The text need not end with a NUL. */
bool manifest_parse(struct manifest *manifest, const char *text, size_t length);
int manifest_component_find(const struct manifest *manifest, const char *name);

/* ---- between the files of the parser ---- */
#define MANIFEST_WORDS 64
struct manifest_line {
	unsigned number;
	unsigned word_count;
	char *words[MANIFEST_WORDS];
};
bool manifest_fail(struct manifest *manifest, unsigned line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Sizes: 4096, 16K, 2M, 1G. Times: 10us, 10ms, 60s. Numbers: decimal or 0x. All: false if malformed or too
 * large. */
bool manifest_size(const char *word, uint64_t *value);
bool manifest_time(const char *word, uint64_t *value);
bool manifest_number(const char *word, uint64_t limit, uint64_t *value);
bool manifest_name(const char *word);
static inline bool manifest_power_of_two(uint64_t value) /* or 0 */
{
	return (value & (value - 1)) == 0;
}
/* The line's words from the second on: SIZE (1 word), or 1/N MIN..MAX (2), a share of RAM; whole pages. */
bool manifest_amount(const struct manifest_line *line, unsigned words, uint64_t least, uint64_t most,
                     struct manifest_amount *amount);
bool manifest_component_statement(struct manifest *manifest, struct manifest_component *component,
                                  const struct manifest_line *line);
bool manifest_check(struct manifest *manifest);
