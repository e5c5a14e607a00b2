/* SPDX-License-Identifier: MIT */
/* The component's own start-up information (<abi/startup.h>). Valid from before main(). */
#pragma once

#include <abi/startup.h>

const struct startup *startup(void);
/* NULL if there is none. index counts entries of equal name and kind. */
const struct startup_entry *startup_find(const char *name, enum startup_kind kind, unsigned index);
/* The same, but a missing entry is fatal: logs which and exits. */
const struct startup_entry *startup_need(const char *name, enum startup_kind kind, unsigned index);
/* Value of "key=value" in the config text, copied to out (NUL-terminated, cut at size); false if absent. */
bool startup_config(const char *key, char *out, size_t size);
long startup_config_number(const char *key, long default_value);

/* Nanoseconds since boot; wall-clock nanoseconds since 1970. Read from the TSC, no kernel entry. */
uint64_t time_now(void);
/* time_now() is (TSC - tsc_at_boot) * time_multiplier() >> 32 */
uint64_t time_multiplier(void);
uint64_t time_wall(void);
uint64_t time_wall_at_boot(void); /* 0: nobody has set the wall clock yet */
