/* SPDX-License-Identifier: MIT */
/*
 * ticks: processes with all kinds of timers of the shortest interval, two of each. Meanwhile the parent
 * sleeps for a moment, forty times. Prints what it took in the end, in tenths of a second; the rest goes on
 * as before.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAPS 40
#define NAP  50000000 /* ns */

static void nothing(int signal)
{
	(void)signal;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void posix_timer(clockid_t clock, int notify)
{
	struct sigevent event = {.sigev_notify = notify, .sigev_signo = SIGRTMIN};
	struct itimerspec often = {{0, 1}, {0, 1}};
	timer_t timer;

	if (timer_create(clock, &event, &timer) || timer_settime(timer, 0, &often, NULL))
		fail("timer_create");
}

static void interval_timer(int which)
{
	struct itimerval often = {{0, 1}, {0, 1}};

	if (setitimer(which, &often, NULL))
		fail("setitimer");
}

static void start(int kind)
{
	struct itimerspec often = {{0, 1}, {0, 1}};
	unsigned long count;
	int file;

	signal(SIGRTMIN, kind == 1 ? SIG_IGN : nothing);
	signal(SIGALRM, nothing);
	signal(SIGVTALRM, nothing);
	signal(SIGPROF, nothing);
	switch (kind) {
	case 0:
	case 1:
		posix_timer(CLOCK_REALTIME, SIGEV_SIGNAL);
		break;
	case 2:
		posix_timer(CLOCK_MONOTONIC, SIGEV_NONE);
		break;
	case 3:
		posix_timer(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL);
		break;
	case 4:
	case 5:
	case 6:
		interval_timer(kind - 4);
		break;
	default:
		file = timerfd_create(CLOCK_MONOTONIC, 0);
		if (file < 0 || timerfd_settime(file, 0, &often, NULL))
			fail("timerfd");
		while (read(file, &count, sizeof(count)) == sizeof(count))
			;
	}
}

#define KINDS 8

int main(void)
{
	struct timespec from, to, nap = {.tv_nsec = NAP};
	pid_t children[KINDS * 2];

	for (int i = 0; i < KINDS * 2; i++) {
		children[i] = fork();
		if (children[i] < 0)
			fail("fork");
		if (children[i] == 0) {
			start(i / 2);
			for (;;)
				i % 2 ? (void)pause() : (void)0; /* one runs, one waits */
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < NAPS; i++)
		nanosleep(&nap, NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	for (int i = 0; i < KINDS * 2; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	printf("%ld\n", (to.tv_sec - from.tv_sec) * 10 + (to.tv_nsec - from.tv_nsec) / 100000000);
	return 0;
}
