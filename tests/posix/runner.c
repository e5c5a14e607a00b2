/* SPDX-License-Identifier: MIT */
/*
 * Runs tests of posixtestsuite (build.py), each in a process and session of its own, several at a time, and
 * prints a line each: its name and verdict, sorted as they end. posix list                       all names
 *   posix NAME                       runs that test in this very process
 *   posix run JOBS SECONDS [NAME]... without names all; what takes longer than SECONDS is killed ("timeout")
 * With -v the output of tests that do not pass is shown too.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST(name, function, alone) int function(int argc, char **argv);
#include "table.h"
#undef TEST

static const struct test {
	const char *name;
	int (*main)(int argc, char **argv);
	bool alone;
} tests[] = {
#define TEST(name, function, alone) {name, function, alone},
#include "table.h"
#undef TEST
};

#define TEST_COUNT (sizeof tests / sizeof tests[0])
#define JOBS_MAX   64

static struct job {
	const struct test *test;
	pid_t pid;
	int output;
	double started;
	bool killed;
} jobs[JOBS_MAX];

static bool verbose;

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static const struct test *find(const char *name)
{
	for (size_t i = 0; i < TEST_COUNT; i++)
		if (strcmp(tests[i].name, name) == 0)
			return &tests[i];
	fprintf(stderr, "posix: no test %s\n", name);
	exit(1);
}

/* As a shell would start it: only what is inherited is undone, then the program is executed anew. */
static void start(struct job *job, const struct test *test)
{
	char path[] = "/tmp/posix-XXXXXX";
	job->output = mkstemp(path);
	if (job->output < 0) {
		perror("posix: /tmp");
		exit(1);
	}
	unlink(path);
	job->test = test;
	job->killed = false;
	job->started = now();
	job->pid = fork();
	if (job->pid < 0) {
		perror("posix: fork");
		exit(1);
	}
	if (job->pid > 0)
		return;
	setsid();
	dup2(open("/dev/null", O_RDWR), 0);
	dup2(job->output, 1);
	dup2(job->output, 2);
	for (int fd = 3; fd < 64; fd++)
		close(fd);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execl("/proc/self/exe", "posix", test->name, (char *)NULL);
	_exit(127);
}

static void finish(struct job *job, int status)
{
	static const char *const verdicts[] = {"PASS", "FAIL", "UNRESOLVED", "?", "UNSUPPORTED", "UNTESTED"};
	char text[32];
	if (job->killed)
		snprintf(text, sizeof text, "timeout");
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) < 6)
		snprintf(text, sizeof text, "%s", verdicts[WEXITSTATUS(status)]);
	else
		snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
	printf("%s %s\n", job->test->name, text);
	if (verbose && strcmp(text, "PASS") != 0) {
		char buffer[2000];
		ssize_t length = pread(job->output, buffer, sizeof buffer, 0);
		printf("  (%.1f s) %.*s\n", now() - job->started, length > 0 ? (int)length : 0, buffer);
	}
	fflush(stdout);
	kill(-job->pid, SIGKILL);
	close(job->output);
	job->test = NULL;
}

/* Takes ended tests until one of the first `count` places is free (all: until every one is). */
static void collect(size_t count, double limit, bool all)
{
	static const struct timespec tick = {.tv_nsec = 100000000};
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		size_t busy = 0;
		for (size_t i = 0; i < count; i++) {
			struct job *job = &jobs[i];
			int status;
			if (!job->test)
				continue;
			if (waitpid(job->pid, &status, WNOHANG) == job->pid) {
				finish(job, status);
				continue;
			}
			busy++;
			if (!job->killed && now() - job->started > limit) {
				job->killed = true;
				kill(job->pid, SIGKILL);
			}
		}
		if (busy == 0 || (!all && busy < count))
			return;
		sigtimedwait(&child, NULL, &tick);
	}
}

static int run(int argc, char **argv)
{
	size_t count = (size_t)atoi(argv[0]);
	double limit = atof(argv[1]);
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	if (count == 0 || count > JOBS_MAX || limit <= 0)
		return 2;
	size_t names = argc > 2 ? (size_t)argc - 2 : TEST_COUNT;
	for (size_t i = 0; i < names; i++) {
		const struct test *test = argc > 2 ? find(argv[i + 2]) : &tests[i];
		collect(count, limit, test->alone);
		size_t place = 0;
		while (jobs[place].test)
			place++;
		start(&jobs[place], test);
		if (test->alone)
			collect(count, limit, true);
	}
	collect(count, limit, true);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "-v") == 0) {
		verbose = true;
		argv++;
		argc--;
	}
	if (argc == 2 && strcmp(argv[1], "list") == 0) {
		for (size_t i = 0; i < TEST_COUNT; i++)
			puts(tests[i].name);
		return 0;
	}
	if (argc > 3 && strcmp(argv[1], "run") == 0)
		return run(argc - 2, argv + 2);
	if (argc == 2)
		return find(argv[1])->main(1, argv + 1);
	fprintf(stderr, "usage: posix [-v] list | NAME | run JOBS SECONDS [NAME]...\n");
	return 2;
}
