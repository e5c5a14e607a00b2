/* SPDX-License-Identifier: MIT */
/* Groups, sessions, stopping and continuing, orphans, vfork, programs that cannot be executed. */
#include "check.h"
#include <sys/prctl.h>
#include <sys/resource.h>

static volatile sig_atomic_t got;

static void handler(int signal)
{
	got |= 1 << signal;
}

static void report(const char *what, pid_t pid, int options)
{
	int status = 0;
	pid_t result = waitpid(pid, &status, options);

	if (result != pid)
		printf("%s: %s\n", what, result ? strerrorname(errno) : "nothing");
	else if (WIFSTOPPED(status))
		printf("%s: stopped by %d\n", what, WSTOPSIG(status));
	else if (WIFCONTINUED(status))
		printf("%s: continued\n", what);
	else if (WIFSIGNALED(status))
		printf("%s: signal %d\n", what, WTERMSIG(status));
	else
		printf("%s: exit %d\n", what, WEXITSTATUS(status));
}

static void test_stop(void)
{
	siginfo_t info;
	pid_t pid;
	int ready[2];
	char byte;

	SHOW(pipe(ready));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		signal(SIGTERM, handler);
		signal(SIGUSR1, handler);
		if (write(ready[1], "", 1) != 1)
			_exit(11);
		/* In whichever order the handlers run. */
		while (got != (1 << SIGTERM | 1 << SIGUSR1))
			usleep(1000);
		_exit(10);
	}
	TELL(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	report("running", pid, WNOHANG | WUNTRACED | WCONTINUED);
	SHOW(kill(pid, SIGSTOP));
	SHOW(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT));
	TELL(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP);
	report("stop", pid, WUNTRACED);
	report("again", pid, WNOHANG | WUNTRACED);
	/* A stopped process does not see signals but SIGKILL and SIGCONT. */
	SHOW(kill(pid, SIGTERM));
	usleep(10000);
	report("stopped still", pid, WNOHANG);
	SHOW(kill(pid, SIGCONT));
	report("continue", pid, WCONTINUED);
	SHOW(kill(pid, SIGUSR1));
	report("end", pid, 0);
	fflush(stdout);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	kill(pid, SIGSTOP);
	report("stop", pid, WUNTRACED);
	kill(pid, SIGKILL);
	report("killed while stopped", pid, 0);
}

/* A child that ends does not hang up its own group because another member is stopped. */
static void test_stopped_sibling(void)
{
	pid_t stopped, ends;

	fflush(stdout);
	stopped = fork();
	if (!stopped)
		for (;;)
			pause();
	kill(stopped, SIGSTOP);
	report("one is stopped", stopped, WUNTRACED);
	fflush(stdout);
	ends = fork();
	if (!ends)
		_exit(6);
	report("one ends", ends, 0);
	report("stopped still", stopped, WNOHANG | WCONTINUED);
	kill(stopped, SIGKILL);
	report("killed", stopped, 0);
}

static void test_groups(void)
{
	int ends[2];
	pid_t pid;
	char byte;

	SHOW(pipe(ends));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		for (int i = 0; i < 3; i++)
			if (!fork())
				for (;;)
					pause();
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	TELL(read(ends[0], &byte, 1) == 1);
	TELL(getpgid(pid) == pid);
	TELL(getsid(pid) == getsid(0));
	SHOW(kill(-pid, 0));
	SHOW(kill(-pid, SIGKILL));
	report("leader", pid, 0);
	SHOW(setpgid(pid, 0));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		if (setsid() != -1 || errno != EPERM)
			_exit(1);
		pid = fork();
		if (!pid)
			_exit(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid() ? 5 : 1);
		report("new session", pid, 0);
		fflush(stdout);
		_exit(0);
	}
	report("group leader", pid, 0);
}

/* A child that was executed cannot be moved to another group. */
static void test_exec_fixes_group(void)
{
	int ends[2];
	char byte;
	pid_t pid;

	pipe2(ends, O_CLOEXEC);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", "sleep 100", (char *)NULL);
		_exit(1);
	}
	close(ends[1]);
	TELL(read(ends[0], &byte, 1) == 0);
	SHOW(setpgid(pid, pid));
	kill(pid, SIGKILL);
	report("executed", pid, 0);
	close(ends[0]);
}

static void test_orphans(void)
{
	int ends[2], got_pid = 0;
	pid_t pid;

	SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
	SHOW(pipe(ends));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		pid_t grandchild = fork();

		if (!grandchild) {
			usleep(20000);
			_exit(9);
		}
		if (write(ends[1], &grandchild, sizeof(grandchild)) < 0)
			_exit(1);
		_exit(8);
	}
	report("child", pid, 0);
	TELL(read(ends[0], &got_pid, sizeof(got_pid)) == sizeof(got_pid));
	report("grandchild", got_pid, 0);
	SHOW(prctl(PR_SET_CHILD_SUBREAPER, 0));
	/* Ignored children leave nothing to wait for. */
	signal(SIGCHLD, SIG_IGN);
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(3);
	report("ignored", pid, 0);
	signal(SIGCHLD, SIG_DFL);
}

static void test_vfork(void)
{
	volatile int shared = 0;
	pid_t pid = vfork();

	if (!pid) {
		shared = 17;
		_exit(4);
	}
	TELL(shared == 17);
	report("vfork", pid, 0);
	pid = vfork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", "kill -9 $$", (char *)NULL);
		_exit(1);
	}
	report("vfork and exec", pid, 0);
}

/* The parent of a vfork can be killed while it waits, and the child goes on in its memory. */
static void test_vfork_killed(void)
{
	int began[2], go[2];
	char byte = 0;
	pid_t pid;

	if (pipe(began) || pipe(go))
		return;
	pid = fork();
	if (!pid) {
		close(go[1]);
		if (!vfork()) {
			(void)!write(began[1], "b", 1);
			(void)!read(go[0], &byte, 1);
			(void)!write(began[1], "g", 1);
			_exit(0);
		}
		_exit(1);
	}
	SHOW(read(began[0], &byte, 1));
	SHOW(kill(pid, SIGTERM));
	alarm(30);
	report("killed in a vfork", pid, 0);
	alarm(0);
	close(go[1]);
	SHOW(read(began[0], &byte, 1));
	close(began[0]);
	close(began[1]);
	close(go[0]);
}

static void put(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (write(fd, data, size) != (ssize_t)size)
		printf("cannot write %s\n", path);
	close(fd);
}

static void run_script(const char *name, const char *text)
{
	pid_t pid;

	put(name, text, strlen(text));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		char path[64];

		snprintf(path, sizeof(path), "./%s", name);
		execl(path, "first", "second", (char *)NULL);
		_exit(errno);
	}
	report(name, pid, 0);
	unlink(name);
}

static void test_exec_errors(void)
{
	static char big[200000], *many[40000];
	char *const empty[] = {NULL};
	void *volatile nowhere = (void *)16;

	SHOW(execl("./nothing", "x", (char *)NULL));
	SHOW(execl("/", "x", (char *)NULL));
	SHOW(execl("", "x", (char *)NULL));
	put("text", "\0\1\2 no program", 15);
	SHOW(execl("./text", "x", (char *)NULL));
	put("cut", "\177ELF\2\1\1", 7);
	SHOW(execl("./cut", "x", (char *)NULL));
	chmod("text", 0644);
	SHOW(execl("./text", "x", (char *)NULL));
	memset(big, 'x', sizeof(big) - 1);
	SHOW(execl("/bin/sh", "sh", "-c", "exit 0", big, (char *)NULL));
	for (int i = 0; i < 39999; i++)
		many[i] = big + sizeof(big) - 100;
	SHOW(execve("/bin/sh", many, empty));
	SHOW(execve("/bin/sh", (char **)nowhere, empty));
	SHOW(execve((char *)nowhere, empty, empty));
	unlink("text");
	unlink("cut");
	run_script("plain", "#!/bin/sh\nexit 11\n");
	run_script("arguments", "#!/bin/sh -e\n[ $# = 1 ] && [ \"$1\" = second ] && exit 12\n");
	run_script("spaces", "#!  /bin/sh  \nexit 13\n");
	run_script("missing", "#!/no/such/interpreter\n");
	run_script("nameless", "#!\n");
}

int main(void)
{
	test_stop();
	test_stopped_sibling();
	test_groups();
	test_exec_fixes_group();
	test_orphans();
	test_vfork();
	test_vfork_killed();
	test_exec_errors();
	return 0;
}
