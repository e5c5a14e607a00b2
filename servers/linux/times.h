/* SPDX-License-Identifier: MIT */
/* Clocks of processes. All times are nanoseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <abi/types.h>

struct timespec;
struct thread;

/* false: negative, or nanoseconds out of range. Saturates. */
bool timespec_to_ns(const struct timespec *time, uint64_t *out);
struct timespec ns_to_timespec(uint64_t time);
/* ns since 1970, as set by the processes */
uint64_t wall_now(void);
void wall_changed(void); /* for the processes that read it without a system call */
/* The instant (ns since boot) at which a clock (CLOCK_REALTIME, else CLOCK_MONOTONIC) shows this time */
deadline_t clock_deadline(int clock, uint64_t time);
/* A clock's time now: 0, or -EINVAL. */
int clock_read(struct thread *thread, int clock, uint64_t *out);
