/* SPDX-License-Identifier: MIT */
/* The two halves of /proc: the system's files (procfs.c) and a process's (procfs_process.c). */
#pragma once

#include "fs/pseudo.h"

#define CLOCK_TICKS 100 /* USER_HZ: the unit of times in /proc, a second's hundredth */

static inline uint64_t ticks(uint64_t nanoseconds)
{
	return nanoseconds / (1000000000 / CLOCK_TICKS);
}

extern const struct pseudo_node process_node; /* /proc/PID */
/* Of a descriptor of /proc/PID: 0 or -EBADF; *out NULL: it is gone. */
int procfs_process(const struct file *file, struct process **out);
bool process_next_number(const struct pseudo *directory, unsigned *number, char name[PSEUDO_NAME]);
int process_find_number(const struct pseudo *directory, const char *name, struct pseudo *member);
