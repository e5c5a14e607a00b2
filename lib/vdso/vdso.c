/* SPDX-License-Identifier: MIT */
/*
 * The shared object that `linux` maps into every process: clocks without a system call, under the names and
 * the version that the C libraries look for. What it does not know it asks the server.
 */
#include <time.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "vdso_data.h"

#define SECOND 1000000000ul
#define EXPORT __attribute__((visibility("default")))

extern const volatile struct vdso_data vdso_data;

struct getcpu_cache;
int __vdso_clock_gettime(clockid_t clock, struct timespec *time);
int __vdso_clock_getres(clockid_t clock, struct timespec *resolution);
int __vdso_gettimeofday(struct timeval *time, struct timezone *zone);
time_t __vdso_time(time_t *time);
int __vdso_getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused);

static long system_call(long number, long a, const void *b)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return result;
}

/* Not before what the program did until now. */
static uint64_t monotonic(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)((unsigned __int128)(((uint64_t)high << 32 | low) - vdso_data.tsc_at_boot) *
	                          vdso_data.multiplier >>
	                  32);
}

static uint64_t wall(void)
{
	return monotonic() + (uint64_t)vdso_data.wall;
}

static uint32_t clock_bit(clockid_t clock)
{
	return (unsigned)clock < 32 ? 1u << clock : 0;
}

#define WALL_CLOCKS (1u << CLOCK_REALTIME | 1u << CLOCK_REALTIME_COARSE | 1u << CLOCK_TAI)
#define BOOT_CLOCKS                                                                         \
	(1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW | 1u << CLOCK_MONOTONIC_COARSE | \
	 1u << CLOCK_BOOTTIME)

EXPORT int __vdso_clock_gettime(clockid_t clock, struct timespec *time)
{
	uint32_t bit = clock_bit(clock);
	uint64_t now;

	if (bit & BOOT_CLOCKS)
		now = monotonic();
	else if (bit & WALL_CLOCKS)
		now = wall();
	else
		return (int)system_call(SYS_clock_gettime, clock, time);
	*time = (struct timespec){.tv_sec = (time_t)(now / SECOND), .tv_nsec = (long)(now % SECOND)};
	return 0;
}

EXPORT int __vdso_clock_getres(clockid_t clock, struct timespec *resolution)
{
	if (!(clock_bit(clock) & (BOOT_CLOCKS | WALL_CLOCKS)))
		return (int)system_call(SYS_clock_getres, clock, resolution);
	if (resolution)
		*resolution = (struct timespec){.tv_nsec = 1};
	return 0;
}

EXPORT int __vdso_gettimeofday(struct timeval *time, struct timezone *zone)
{
	uint64_t now = wall();

	if (time)
		*time = (struct timeval){.tv_sec = (time_t)(now / SECOND),
		                         .tv_usec = (suseconds_t)(now % SECOND / 1000)};
	if (zone)
		*zone = (struct timezone){0};
	return 0;
}

EXPORT time_t __vdso_time(time_t *time)
{
	time_t now = (time_t)(wall() / SECOND);

	if (time)
		*time = now;
	return now;
}

EXPORT int __vdso_getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused)
{
	uint32_t low, high, number;

	(void)unused;
	if (!vdso_data.has_aux)
		return (int)system_call(SYS_getcpu, (long)cpu, node);
	__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(number));
	if (cpu)
		*cpu = number;
	if (node)
		*node = 0;
	return 0;
}
