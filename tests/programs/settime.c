/* SPDX-License-Identifier: MIT */
/* Setting clocks: what is refused, and to whom. Nothing here changes the time of the machine that it runs on.
 */
#include "check.h"

#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

static long set(clockid_t clock, time_t seconds, long nanoseconds)
{
	struct timespec time = {seconds, nanoseconds};
	return syscall(SYS_clock_settime, clock, &time);
}

static void test_set(void)
{
	SHOW(set(CLOCK_MONOTONIC, 1, 0));
	SHOW(set(CLOCK_BOOTTIME, 1, 0));
	SHOW(set(CLOCK_PROCESS_CPUTIME_ID, 1, 0));
	SHOW(set(12345, 1, 0));
	SHOW(set(CLOCK_REALTIME, -1, 0));
	SHOW(set(CLOCK_REALTIME, 1, -1));
	SHOW(set(CLOCK_REALTIME, 1, 1000000000));
	SHOW(set(CLOCK_REALTIME, INT64_MAX, 0));
	SHOW(set(CLOCK_REALTIME, 0, 0)); /* before the boot */
	SHOW(syscall(SYS_clock_settime, CLOCK_REALTIME, (void *)8));
	struct timeval time = {1, 1000000};
	SHOW(syscall(SYS_settimeofday, &time, NULL));
	time = (struct timeval){-1, 0};
	SHOW(syscall(SYS_settimeofday, &time, NULL));
	SHOW(syscall(SYS_settimeofday, (void *)8, NULL));
}

static long shift(int modes, time_t seconds, long parts)
{
	struct timex state = {.modes = modes, .time = {seconds, parts}};
	return syscall(SYS_clock_adjtime, CLOCK_REALTIME, &state);
}

static void test_adjust(void)
{
	struct timex state = {0};
	TELL(syscall(SYS_adjtimex, &state) >= 0);
	TELL(state.tick > 9000 && state.tick < 11000);
	TELL(llabs((long long)state.time.tv_sec - (long long)time(NULL)) <= 1);
	SHOW(syscall(SYS_adjtimex, (void *)8));
	SHOW(syscall(SYS_clock_adjtime, CLOCK_MONOTONIC, &state));
	SHOW(shift(ADJ_SETOFFSET, 0, -1));
	SHOW(shift(ADJ_SETOFFSET, 0, 1000000));
	SHOW(shift(ADJ_SETOFFSET | ADJ_NANO, 0, 1000000000));
}

static void by_nobody(void)
{
	if (setuid(65534) != 0)
		_exit(9);
	long now = (long)time(NULL);
	SHOW(set(CLOCK_REALTIME, now, 0));
	struct timeval time = {now, 0};
	SHOW(syscall(SYS_settimeofday, &time, NULL));
	SHOW(shift(ADJ_SETOFFSET, 0, 0));
	SHOW(shift(ADJ_STATUS, 0, 0));
	TELL(shift(0, 0, 0) >= 0);
	SHOW(set(CLOCK_REALTIME, now, -1));
}

int main(void)
{
	test_set();
	test_adjust();
	show_child("nobody", by_nobody);
	return 0;
}
