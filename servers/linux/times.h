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
void wall_changed(void); /* the system's was set: tells processes that read it without a system call, and those that wait */
/* The instant (ns since boot) at which a clock (CLOCK_REALTIME, else CLOCK_MONOTONIC) shows this time */
deadline_t clock_deadline(int clock, uint64_t time);
/* A clock's time now: 0, or -EINVAL. */
int clock_read(struct thread *thread, int clock, uint64_t *out);
/* The clocks of CPU time of a process and of a thread. */
int process_clock(int pid);
int thread_clock(int tid);
/* The one that the thread means by this clock id (CLOCK_PROCESS_CPUTIME_ID, or one that names nobody: its own); 0: none that it may see. */
int cpu_clock_of(struct thread *thread, int clock);
/* false: whose it was is gone. */
bool cpu_clock_read(int clock, uint64_t *out);
/* When it can show this time at the earliest. */
deadline_t cpu_clock_deadline(int clock, uint64_t time);

/* fs/eventfd.c: the wall clock was set. */
void timer_files_wall_set(void);
