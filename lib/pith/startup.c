/* SPDX-License-Identifier: MIT */
/* Lookups in the start-up information, and time from the TSC. */
#pragma GCC optimize("no-stack-protector")

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <pith/log.h>

#include "runtime.h"

const struct startup *startup(void)
{
	return runtime.startup;
}

const struct startup_entry *startup_find(const char *name, enum startup_kind kind, unsigned index)
{
	const struct startup *start = runtime.startup;
	for (uint32_t i = 0; i < start->entry_count && i < STARTUP_ENTRIES; i++) {
		const struct startup_entry *entry = &start->entries[i];
		if (entry->kind == kind && strncmp(entry->name, name, STARTUP_NAME) == 0 && index-- == 0)
			return entry;
	}
	return NULL;
}

const struct startup_entry *startup_need(const char *name, enum startup_kind kind, unsigned index)
{
	static const char *const kinds[] = {"nothing", "endpoint", "service", "notification", "channel",
	                                    "memory",  "untyped",  "ports",   "irq",          "capability"};
	const struct startup_entry *entry = startup_find(name, kind, index);
	if (!entry)
		fatal("the manifest gives no %s \"%s\" number %u", kinds[kind], name, index);
	return entry;
}

bool startup_config(const char *key, char *out, size_t size)
{
	const char *line = runtime.startup->config;
	size_t key_length = strlen(key);
	while (*line) {
		size_t length = strcspn(line, "\n");
		if (length > key_length && line[key_length] == '=' && memcmp(line, key, key_length) == 0) {
			size_t value = length - key_length - 1;
			if (size) {
				size_t copy = value < size - 1 ? value : size - 1;
				memcpy(out, line + key_length + 1, copy);
				out[copy] = 0;
			}
			return true;
		}
		line += length;
		line += *line == '\n';
	}
	return false;
}

long startup_config_number(const char *key, long default_value)
{
	char text[32], *end;
	if (!startup_config(key, text, sizeof(text)))
		return default_value;
	long value = strtol(text, &end, 0);
	if (end == text || *end)
		fatal("config %s=%s is not a number", key, text);
	return value;
}

uint64_t time_now(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	uint64_t ticks = ((uint64_t)high << 32 | low) - runtime.startup->tsc_at_boot;
	return (uint64_t)((unsigned __int128)ticks * runtime.tsc_multiplier >> 32);
}

uint64_t time_multiplier(void)
{
	return runtime.tsc_multiplier;
}

uint64_t time_wall_at_boot(void)
{
	const struct wall_clock *wall = (const struct wall_clock *)runtime.startup->wall;
	return wall ? atomic_load_explicit(&wall->at_boot, memory_order_relaxed) : 0;
}

uint64_t time_wall(void)
{
	return time_now() + time_wall_at_boot();
}
