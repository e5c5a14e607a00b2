/* SPDX-License-Identifier: MIT */
/*
 * A user who has the system keep as much as it can get of one kind: packets that nobody reads, connections
 * that nobody accepts, items of epoll, locks, texts of /proc, open files. Says of each that it was refused in
 * the end, and that others can work then.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each takes what it can get, and ends with errno as it was when it was refused. */

static void packets(void)
{
	int pair[2];
	while (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0) {
		while (send(pair[0], "", 0, MSG_DONTWAIT) == 0)
			;
		if (errno != EAGAIN)
			return;
	}
}

static void connections(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	for (int i = 0; i < 100; i++) {
		int listener = socket(AF_UNIX, SOCK_STREAM, 0), client;
		snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "hoard.%d", i);
		if (listener < 0 || bind(listener, (struct sockaddr *)&name, sizeof(name)) != 0 ||
		    listen(listener, 4096) != 0)
			return;
		for (;;) {
			client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
			if (client < 0)
				return;
			if (connect(client, (struct sockaddr *)&name, sizeof(name)) != 0)
				break;
			close(client);
		}
		if (errno != EAGAIN)
			return;
		close(client);
	}
}

static void watches(void)
{
	int event = eventfd(0, 0), copies[500];
	for (int i = 0; i < 500; i++)
		copies[i] = dup(event);
	for (;;) {
		int set = epoll_create1(0);
		if (set < 0)
			return;
		for (int i = 0; i < 500; i++)
			if (epoll_ctl(set, EPOLL_CTL_ADD, copies[i],
			              &(struct epoll_event){.events = EPOLLIN}) != 0)
				return;
	}
}

static void locks(void)
{
	for (;;) {
		char name[] = "/tmp/hoardXXXXXX";
		int file = mkstemp(name);
		if (file < 0 || unlink(name) != 0)
			return;
		for (int i = 0; i < 150; i++) {
			struct flock lock = {.l_type = F_WRLCK, .l_start = 2 * i, .l_len = 1};
			if (fcntl(file, F_SETLK, &lock) != 0)
				return;
		}
	}
}

static void texts(void)
{
	char byte, *memory = mmap(NULL, 8000 * 4096l, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < 8000; i += 2)
		if (mprotect(memory + i * 4096, 4096, PROT_NONE) != 0)
			return;
	for (;;) {
		int file = open("/proc/self/maps", O_RDONLY);
		if (file < 0 || read(file, &byte, 1) != 1)
			return;
	}
}

static void files(void)
{
	for (int left = 200; left > 0; left--) {
		int first = eventfd(0, 0);
		pid_t child;
		while (eventfd(0, 0) >= 0)
			;
		if (errno != EMFILE || first < 0)
			return;
		child = fork();
		if (child < 0)
			return;
		if (child > 0)
			for (;;)
				pause();
		for (int fd = first; fd < 1024; fd++)
			close(fd);
	}
}

static const struct {
	const char *name;
	void (*take)(void);
} kinds[] = {
        {"packets", packets}, {"connections", connections},
        {"watches", watches}, {"locks", locks},
        {"texts", texts},     {"files", files},
};

static bool others_work(void)
{
	char text[100];
	int file = open("/proc/self/status", O_RDONLY), pair[2];
	pid_t child = fork();
	if (child == 0)
		execl("/bin/busybox", "true", (char *)NULL);
	bool works = child > 0 && wait(NULL) == child && read(file, text, sizeof(text)) > 0 &&
	             socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && write(pair[0], text, sizeof(text)) > 0;
	close(file);
	close(pair[0]);
	close(pair[1]);
	return works;
}

static void hoard(unsigned kind)
{
	int pipe_ends[2], why = 0;
	pid_t child;
	if (pipe(pipe_ends) != 0)
		return;
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		if (setuid(65534) != 0)
			_exit(1);
		kinds[kind].take();
		why = errno;
		write(pipe_ends[1], &why, sizeof(why));
		for (;;)
			pause();
	}
	close(pipe_ends[1]);
	if (child < 0 || read(pipe_ends[0], &why, sizeof(why)) != sizeof(why))
		perror("hoard");
	printf("%s: %s, others %s\n", kinds[kind].name,
	       why == ENOMEM || why == ENOBUFS || why == ENOSPC || why == ENOLCK || why == ENFILE
	               ? "refused"
	               : strerror(why),
	       others_work() ? "work" : "are refused too");
	kill(-child, SIGKILL);
	wait(NULL);
	close(pipe_ends[0]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		hoard(i);
	return 0;
}
