/* SPDX-License-Identifier: MIT */
/*
 * Clocks as the C library reads them, by the shared object that the system maps, against the system calls.
 * With an argument: sets the clock, and sees that a process that ran before sees it at once.
 */
#include "check.h"
#include <elf.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <time.h>

#define SECOND 1000000000l
#define ROUNDS 2000

static const struct {
	const char *name;
	clockid_t id;
} clocks[] = {
        {"realtime", CLOCK_REALTIME},
        {"monotonic", CLOCK_MONOTONIC},
        {"process", CLOCK_PROCESS_CPUTIME_ID},
        {"thread", CLOCK_THREAD_CPUTIME_ID},
        {"monotonic raw", CLOCK_MONOTONIC_RAW},
        {"realtime coarse", CLOCK_REALTIME_COARSE},
        {"monotonic coarse", CLOCK_MONOTONIC_COARSE},
        {"boot time", CLOCK_BOOTTIME},
        {"tai", CLOCK_TAI},
        {"none", 15},
        {"none", 1000},
};

static long nanoseconds(const struct timespec *time)
{
	return time->tv_sec * SECOND + time->tv_nsec;
}

static long by_call(clockid_t clock)
{
	struct timespec time;
	return syscall(SYS_clock_gettime, clock, &time) == 0 ? nanoseconds(&time) : -errno;
}

static long by_library(clockid_t clock)
{
	struct timespec time;
	return clock_gettime(clock, &time) == 0 ? nanoseconds(&time) : -errno;
}

/* Each time no earlier than the one that was read before it, whichever way. */
static void in_order(void)
{
	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		long last = by_call(clocks[i].id), backwards = 0;
		struct timespec resolution = {0};
		int result = clock_getres(clocks[i].id, &resolution);
		for (int round = 0; round < ROUNDS; round++) {
			long now = round & 1 ? by_call(clocks[i].id) : by_library(clocks[i].id);
			backwards += now < last;
			last = now;
		}
		printf("%s: %s, %ld times backwards, %s\n", clocks[i].name,
		       last < 0 ? strerrorname((int)-last) : "runs", backwards,
		       result                         ? "no resolution"
		       : nanoseconds(&resolution) > 0 ? "a resolution"
		                                      : "0");
	}
}

static void older_calls(void)
{
	struct timeval low, high;
	struct timespec between;
	gettimeofday(&low, NULL);
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &between);
	gettimeofday(&high, NULL);
	long middle = nanoseconds(&between) / 1000;
	TELL(low.tv_sec * 1000000 + low.tv_usec <= middle && middle <= high.tv_sec * 1000000 + high.tv_usec);
	time_t before = (time_t)syscall(SYS_time, NULL), same, seconds = time(&same);
	TELL(seconds == same && seconds >= before && seconds <= before + 60);
	TELL(sched_getcpu() >= 0 && sched_getcpu() < sysconf(_SC_NPROCESSORS_CONF));
}

static void shared_object(void)
{
	const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
	TELL(image != NULL && memcmp(image, ELFMAG, SELFMAG) == 0);
}

/* The region of this name in the process's map; NULL: there is none. */
static void *region(const char *name, size_t *size)
{
	char line[256];
	unsigned long start, end, found = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && !found && fgets(line, sizeof(line), maps))
		if (strstr(line, name) && sscanf(line, "%lx-%lx", &start, &end) == 2)
			found = start;
	*size = found ? end - start : 0;
	if (maps)
		fclose(maps);
	return (void *)found;
}

/* No process may change what all see, nor make it grow. */
static void nobodys_own(void)
{
	size_t size;
	void *data = region("[vvar]", &size);
	TELL(data != NULL);
	SHOW(mprotect(data, size, PROT_READ | PROT_WRITE));
	TELL(mremap(data, size, size * 2, MREMAP_MAYMOVE) == MAP_FAILED);
	TELL(by_library(CLOCK_MONOTONIC) > 0);
	void *image = region("[vdso]", &size);
	TELL(image == (void *)getauxval(AT_SYSINFO_EHDR));
	TELL(mremap(image, size, size * 2, MREMAP_MAYMOVE) == MAP_FAILED);
}

static int setting(void)
{
	const struct timespec far = {.tv_sec = 2000000000, .tv_nsec = 5};
	int ready[2], go[2], status = -1;
	char byte;
	if (pipe(ready) || pipe(go))
		return 1;
	pid_t pid = fork();
	if (pid == 0) {
		bool before = by_library(CLOCK_REALTIME) < far.tv_sec * SECOND;
		if (write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(2);
		long now = by_library(CLOCK_REALTIME), call = by_call(CLOCK_REALTIME);
		long coarse = by_library(CLOCK_REALTIME_COARSE);
		_exit(before && now >= nanoseconds(&far) && now <= call && call <= coarse &&
		                      coarse - now < 60 * SECOND
		              ? 0
		              : 3);
	}
	long monotonic = by_library(CLOCK_MONOTONIC);
	if (read(ready[0], &byte, 1) != 1 || clock_settime(CLOCK_REALTIME, &far) ||
	    write(go[1], "g", 1) != 1 || waitpid(pid, &status, 0) != pid)
		return 1;
	if (by_library(CLOCK_MONOTONIC) - monotonic > 60 * SECOND)
		return 4; /* only the wall clock was set */
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return setting();
	in_order();
	older_calls();
	shared_object();
	nobodys_own();
	return 0;
}
