/* SPDX-License-Identifier: MIT */
/* System calls beside the usual ones: openat2, sched_setattr, pidfds of clone, several messages at once, the
 * old getdents, the flags of preadv2 and pwritev2. */
#include "check.h"
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define ADDRESS(value) ((void *)(uintptr_t)(value))

static void touch(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		exit(1);
	close(fd);
}

/* ---- openat2 ---- */

enum { NO_XDEV = 1, NO_MAGICLINKS = 2, NO_SYMLINKS = 4, BENEATH = 8, IN_ROOT = 16, CACHED = 32 };

struct how {
	uint64_t flags, mode, resolve, more[2];
};

static long open_at(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct how how = {.flags = flags, .mode = mode, .resolve = resolve};
	long fd = syscall(SYS_openat2, directory, path, &how, 24);
	if (fd < 0)
		return fd;
	char text[8] = "";
	if (read((int)fd, text, 7) > 0)
		printf("%s: ", text);
	close((int)fd);
	return 0;
}

static void openat2_flags(void)
{
	struct how how = {.flags = O_RDONLY};
	SHOW(syscall(SYS_openat2, AT_FDCWD, "calls.d", &how, 0));
	SHOW(syscall(SYS_openat2, AT_FDCWD, "calls.d", &how, 23));
	SHOW_OK(syscall(SYS_openat2, AT_FDCWD, "calls.d", &how, 24));
	SHOW_OK(syscall(SYS_openat2, AT_FDCWD, "calls.d", &how, sizeof how));
	SHOW(syscall(SYS_openat2, AT_FDCWD, "calls.d", &how, 4097));
	how.more[1] = 1ul << 56;
	SHOW(syscall(SYS_openat2, AT_FDCWD, "calls.d", &how, sizeof how));
	SHOW(syscall(SYS_openat2, AT_FDCWD, "calls.d", ADDRESS(8), 24));
	SHOW(syscall(SYS_openat2, AT_FDCWD, ADDRESS(8), &how, 24));
	SHOW(open_at(AT_FDCWD, "calls.d/f", O_RDONLY, 0600, 0));
	SHOW(open_at(AT_FDCWD, "calls.d/new", O_RDWR | O_CREAT, 0600, 0));
	SHOW(open_at(AT_FDCWD, "calls.d/new", O_RDWR | O_CREAT, 010600, 0));
	SHOW(open_at(AT_FDCWD, "calls.d/f", 1ul << 40, 0, 0));
	SHOW(open_at(AT_FDCWD, "calls.d/f", 1u << 30, 0, 0));
	SHOW(open_at(AT_FDCWD, "calls.d/f", O_PATH | O_RDWR, 0, 0));
	SHOW(open_at(AT_FDCWD, "calls.d/f", O_PATH | O_CLOEXEC | O_NOFOLLOW, 0, 0));
	SHOW(open_at(AT_FDCWD, "calls.d/f", O_RDONLY, 0, 64));
	SHOW(open_at(AT_FDCWD, "calls.d/f", O_RDONLY, 0, BENEATH | IN_ROOT));
	SHOW(open_at(AT_FDCWD, "calls.d/f", O_RDONLY | O_TRUNC, 0, CACHED));
	SHOW(open_at(AT_FDCWD, "calls.d/f", O_RDONLY | O_CREAT, 0600, CACHED));
	SHOW(open_at(AT_FDCWD, "", O_RDONLY, 0, 0));
	SHOW(open_at(999, "f", O_RDONLY, 0, 0));
	SHOW(open_at(999, "/", O_RDONLY, 0, 0));
	SHOW(open_at(999, "/", O_RDONLY, 0, IN_ROOT));
	SHOW(open_at(AT_FDCWD, "calls.d/none", O_RDONLY, 0, 0));
	unlink("calls.d/new");
}

static void openat2_resolve(int directory)
{
	SHOW(open_at(directory, "link", O_RDONLY, 0, 0));
	SHOW(open_at(directory, "link", O_RDONLY, 0, NO_SYMLINKS));
	SHOW(open_at(directory, "link", O_PATH | O_NOFOLLOW, 0, NO_SYMLINKS));
	SHOW(open_at(directory, "back/f", O_RDONLY, 0, NO_SYMLINKS));
	SHOW(open_at(directory, "e/../f", O_RDONLY, 0, NO_SYMLINKS));
	SHOW(open_at(directory, "/proc/self/cwd", O_RDONLY, 0, NO_MAGICLINKS));
	SHOW(open_at(directory, "/proc/self/status", O_PATH, 0, NO_MAGICLINKS));
	SHOW(open_at(directory, "/proc/self/status", O_PATH, 0, NO_SYMLINKS));
	SHOW(open_at(directory, "link", O_RDONLY, 0, NO_MAGICLINKS));
	SHOW(open_at(directory, "f", O_RDONLY, 0, BENEATH));
	SHOW(open_at(directory, "e/../f", O_RDONLY, 0, BENEATH));
	SHOW(open_at(directory, "e/../link", O_RDONLY, 0, BENEATH));
	SHOW(open_at(directory, "e/back/f", O_RDONLY, 0, BENEATH));
	SHOW(open_at(directory, "..", O_RDONLY, 0, BENEATH));
	SHOW(open_at(directory, "e/../../calls.d/f", O_RDONLY, 0, BENEATH));
	SHOW(open_at(directory, "/", O_RDONLY, 0, BENEATH));
	SHOW(open_at(directory, "out", O_RDONLY, 0, BENEATH));
	SHOW(open_at(directory, "absolute", O_RDONLY, 0, BENEATH));
	SHOW(open_at(directory, "e/new", O_RDWR | O_CREAT, 0600, BENEATH));
	SHOW(open_at(directory, "out", O_RDWR | O_CREAT, 0600, BENEATH));
	SHOW(open_at(directory, "..", O_PATH, 0, IN_ROOT));
	SHOW(open_at(directory, "../../f", O_RDONLY, 0, IN_ROOT));
	SHOW(open_at(directory, "/f", O_RDONLY, 0, IN_ROOT));
	SHOW(open_at(directory, "out", O_RDONLY, 0, IN_ROOT));
	SHOW(open_at(directory, "absolute", O_RDONLY, 0, IN_ROOT));
	SHOW(open_at(directory, "e/back/f", O_RDONLY, 0, IN_ROOT));
	SHOW(open_at(directory, "f/x", O_RDONLY, 0, IN_ROOT));
	SHOW(open_at(directory, "loop", O_RDONLY, 0, IN_ROOT));
	SHOW(open_at(directory, "/proc/version", O_PATH, 0, NO_XDEV));
	SHOW(open_at(directory, "f", O_RDONLY, 0, NO_XDEV));
	int root = open("/", O_PATH);
	SHOW(open_at(root, "proc", O_PATH, 0, NO_XDEV));
	SHOW(open_at(root, "proc/version", O_PATH, 0, NO_XDEV));
	SHOW(open_at(root, "../../proc/../etc", O_PATH, 0, 0));
	int proc = open("/proc", O_PATH);
	SHOW(open_at(proc, "..", O_PATH, 0, NO_XDEV));
	SHOW(open_at(proc, "self/../version", O_PATH, 0, NO_XDEV));
	SHOW(open_at(proc, "self/root", O_PATH, 0, NO_XDEV));
	SHOW(open_at(proc, "self/root", O_PATH, 0, BENEATH));
	SHOW(open_at(proc, "self/status", O_PATH, 0, BENEATH));
	SHOW(open_at(directory, "f", O_RDONLY, 0, CACHED)); /* it was opened just now */
	SHOW(open_at(directory, "e/../e/new", O_PATH, 0, CACHED));
	close(root);
	close(proc);
}

static void openat2_calls(void)
{
	mkdir("calls.d", 0755);
	mkdir("calls.d/e", 0755);
	touch("calls.d/f", "inside");
	touch("calls.out", "outside");
	symlink("f", "calls.d/link");
	symlink("../calls.out", "calls.d/out");
	symlink("/f", "calls.d/absolute");
	symlink("loop", "calls.d/loop");
	symlink(".", "calls.d/back");
	symlink("..", "calls.d/e/back");
	openat2_flags();
	int directory = open("calls.d", O_PATH | O_DIRECTORY);
	openat2_resolve(directory);
	close(directory);
	static const char *const names[] = {"e/new",    "e/back", "link", "out",
	                                    "absolute", "loop",   "back", "f"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char path[64];
		snprintf(path, sizeof path, "calls.d/%s", names[i]);
		unlink(path);
	}
	unlink("calls.out");
	rmdir("calls.d/e");
	SHOW(rmdir("calls.d"));
}

/* ---- directories, the old way ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void old_getdents(void)
{
	char buffer[200], *names[64];
	size_t count = 0;
	mkdir("calls.d", 0755);
	for (int i = 0; i < 20; i++) {
		snprintf(buffer, sizeof buffer, "calls.d/%.*s%d", i, "a long name for a file", i);
		touch(buffer, "");
	}
	symlink("nowhere", "calls.d/link");
	mkdir("calls.d/below", 0755);
	int fd = open("calls.d", O_RDONLY | O_DIRECTORY);
	long size;
	while ((size = syscall(SYS_getdents, fd, buffer, sizeof buffer)) > 0)
		for (long at = 0; at < size;) {
			unsigned short length;
			char line[80];
			memcpy(&length, buffer + at + 16, sizeof length);
			snprintf(line, sizeof line, "%s, type %d, aligned %d", buffer + at + 18,
			         buffer[at + length - 1], length % 8 == 0);
			names[count++] = strdup(line);
			at += length;
		}
	SHOW(size);
	qsort(names, count, sizeof names[0], by_name);
	for (size_t i = 0; i < count; i++)
		printf("%s\n", names[i]);
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(syscall(SYS_getdents, fd, buffer, 5));
	SHOW(syscall(SYS_getdents, fd, ADDRESS(8), 200));
	SHOW(syscall(SYS_getdents, 999, buffer, 200));
	close(fd);
	fd = open("calls.d/0", O_RDONLY);
	SHOW(syscall(SYS_getdents, fd, buffer, 200));
	close(fd);
	if (system("rm -r calls.d") != 0)
		exit(1);
}

/* ---- sched_setattr, sched_getattr ---- */

struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t least, most, more[2];
};

static void show_attributes(void)
{
	struct attributes a = {0};
	SHOW(syscall(SYS_sched_getattr, 0, &a, 48, 0));
	printf("size %u policy %u flags %lu nice %d priority %u\n", a.size, a.policy, a.flags, a.nice,
	       a.priority);
}

static long set_attributes(uint32_t policy, uint64_t flags, int nice, uint32_t priority)
{
	struct attributes a = {
	        .size = 48, .policy = policy, .flags = flags, .nice = nice, .priority = priority};
	return syscall(SYS_sched_setattr, 0, &a, 0);
}

static void scheduling(void)
{
	struct attributes a = {.size = 48};
	show_attributes();
	SHOW(syscall(SYS_sched_getattr, 0, &a, 47, 0));
	SHOW(syscall(SYS_sched_getattr, 0, &a, 4097, 0));
	SHOW(syscall(SYS_sched_getattr, 0, NULL, 48, 0));
	SHOW(syscall(SYS_sched_getattr, 0, &a, 48, 1));
	SHOW(syscall(SYS_sched_getattr, -1, &a, 48, 0));
	SHOW(syscall(SYS_sched_getattr, 999999, &a, 48, 0));
	SHOW(syscall(SYS_sched_getattr, 0, ADDRESS(8), 48, 0));
	SHOW(syscall(SYS_sched_getattr, 0, &a, 64, 0));
	SHOW(a.size);
	SHOW(set_attributes(SCHED_OTHER, 0, 5, 0));
	show_attributes();
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(set_attributes(SCHED_BATCH, 1, 50, 0));
	show_attributes();
	SHOW(set_attributes(SCHED_FIFO, 0, 0, 0));
	SHOW(set_attributes(SCHED_FIFO, 0, 0, 100));
	SHOW(set_attributes(SCHED_OTHER, 0, 0, 1));
	SHOW(set_attributes(SCHED_OTHER, 0x80, 0, 0));
	SHOW(set_attributes(4, 0, 0, 0));
	SHOW(set_attributes(77, 0, 0, 0));
	SHOW(set_attributes(-1u, 0, 0, 0));
	SHOW(set_attributes(SCHED_RR, 0, 0, 7));
	show_attributes();
	SHOW(sched_getscheduler(0) == SCHED_RR);
	SHOW(set_attributes(SCHED_OTHER, 8, 0, 9)); /* the policy stays */
	show_attributes();
	SHOW(set_attributes(SCHED_FIFO, 16, 0, 1)); /* the parameters stay */
	show_attributes();
	SHOW(set_attributes(SCHED_OTHER, 1, -3, 0));
	show_attributes();
	SHOW(syscall(SYS_sched_setattr, 0, NULL, 0));
	SHOW(syscall(SYS_sched_setattr, 0, &a, 1));
	SHOW(syscall(SYS_sched_setattr, 999999, &a, 0));
	SHOW(syscall(SYS_sched_setattr, 0, ADDRESS(8), 0));
	a = (struct attributes){.size = 20};
	SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
	SHOW(a.size >= 48);
	a = (struct attributes){.size = 64};
	SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
	a.more[1] = 1;
	SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
	a = (struct attributes){.size = 0};
	SHOW(syscall(SYS_sched_setattr, 0, &a, 0));
	if (setresuid(1000, 1000, 1000) < 0)
		return;
	SHOW(set_attributes(SCHED_OTHER, 0, 2, 0));
	SHOW(set_attributes(SCHED_OTHER, 0, 1, 0));
	SHOW(set_attributes(SCHED_RR, 0, 0, 1));
	SHOW(set_attributes(SCHED_IDLE, 0, 2, 0));
}

/* ---- pidfds ---- */

static void wait_for(int pidfd)
{
	siginfo_t info = {0};
	SHOW(waitid(3 /* P_PIDFD */, (id_t)pidfd, &info, WEXITED));
	printf("signal %d code %d status %d\n", info.si_signo, info.si_code, info.si_status);
}

static void pidfds(void)
{
	int pidfd = -1;
	fflush(stdout);
	long pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);
	if (pid == 0)
		_exit(7);
	SHOW(pid > 0);
	SHOW(fcntl(pidfd, F_GETFD));
	SHOW(fcntl(pidfd, F_GETFL) & O_ACCMODE);
	wait_for(pidfd);
	SHOW(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
	SHOW(waitid(3, (id_t)pidfd, NULL, WEXITED));
	close(pidfd);

	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} request = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD};
	pid = syscall(SYS_clone3, &request, sizeof request);
	if (pid == 0)
		for (;;)
			pause();
	SHOW(pid > 0);
	SHOW(waitid(3, (id_t)pidfd, NULL, WEXITED | WNOHANG));
	SHOW(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0));
	wait_for(pidfd);
	close(pidfd);

	SHOW(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &pidfd, 0, 0));
	SHOW(syscall(SYS_clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, 0, &pidfd, 0, 0));
	int before = dup(0);
	SHOW(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, ADDRESS(8), 0, 0));
	request.pidfd = 8;
	SHOW(syscall(SYS_clone3, &request, sizeof request));
	SHOW(syscall(SYS_clone3, &request, 60));
	SHOW(syscall(SYS_clone3, &request, 4097));
	static const struct {
		uint64_t flags, signal, stack, size, tls;
	} wrong[] = {
	        {CLONE_PARENT, SIGCHLD, 0, 0, 0},
	        {CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, SIGCHLD, 0, 0, 0},
	        {CLONE_VM | CLONE_SIGHAND | 0x100000000, 0, 0, 0, 0}, /* CLONE_CLEAR_SIGHAND */
	        {CLONE_DETACHED, SIGCHLD, 0, 0, 0},
	        {SIGCHLD, 0, 0, 0, 0},
	        {1ul << 40, SIGCHLD, 0, 0, 0},
	        {0, 65, 0, 0, 0},
	        {0, 1ul << 32, 0, 0, 0},
	        {0, SIGCHLD, 4096, 0, 0},
	        {0, SIGCHLD, 0, 4096, 0},
	        {0, SIGCHLD, 1ul << 47, 4096, 0},
	        {0, SIGCHLD, 4096, -1ul, 0},
	        {CLONE_SETTLS, SIGCHLD, 0, 0, 1ul << 47},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		request.flags = wrong[i].flags;
		request.exit_signal = wrong[i].signal;
		request.stack = wrong[i].stack;
		request.stack_size = wrong[i].size;
		request.tls = wrong[i].tls;
		SHOW(syscall(SYS_clone3, &request, sizeof request));
	}
	SHOW(syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, 0, NULL, 0, 1ul << 47));
	close(before);
	SHOW(dup(0) == before); /* nothing is left of what failed */
	SHOW(waitpid(-1, NULL, 0));
}

/* ---- several messages ---- */

struct messages {
	struct msghdr message;
	unsigned size;
};

static void several_messages(int type)
{
	int fds[2];
	char texts[4][8] = {"one", "two", "three", "four"}, got[4][8] = {""};
	struct iovec out[4], in[4];
	struct messages send[4] = {0}, receive[4] = {0};
	struct timespec time = {0, 1000000};
	SHOW(socketpair(AF_UNIX, type, 0, fds));
	for (int i = 0; i < 4; i++) {
		out[i] = (struct iovec){texts[i], strlen(texts[i])};
		in[i] = (struct iovec){got[i], 4};
		send[i].message = (struct msghdr){.msg_iov = &out[i], .msg_iovlen = 1};
		receive[i].message = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1};
	}
	SHOW(syscall(SYS_sendmmsg, fds[0], send, 0, 0));
	SHOW(syscall(SYS_sendmmsg, fds[0], send, 4, 0));
	for (int i = 0; i < 4; i++)
		printf("sent %u\n", send[i].size);
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 2, 0, NULL));
	for (int i = 0; i < 2; i++)
		printf("%u %.4s %x\n", receive[i].size, got[i], receive[i].message.msg_flags);
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, 0x10000 /* MSG_WAITFORONE */, NULL));
	for (int i = 0; i < 2; i++)
		printf("%u %.4s %x\n", receive[i].size, got[i], receive[i].message.msg_flags);
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, MSG_DONTWAIT, NULL));
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 0, 0, NULL));
	SHOW(syscall(SYS_sendmmsg, fds[0], send, 1, 0));
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, MSG_DONTWAIT, &time));
	SHOW(time.tv_sec == 0 && time.tv_nsec < 1000000);
	SHOW(syscall(SYS_sendmmsg, fds[0], send, 2, 0));
	time = (struct timespec){0, 0};
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, 0, &time)); /* one, then the time is over */
	time.tv_nsec = -1;
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, 0, &time));
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, 0, ADDRESS(8)));
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, MSG_DONTWAIT, NULL));
	SHOW(syscall(SYS_sendmmsg, 999, send, 1, 0));
	SHOW(syscall(SYS_recvmmsg, 999, receive, 1, 0, NULL));
	SHOW(syscall(SYS_sendmmsg, 0, send, 1, 0));
	SHOW(syscall(SYS_sendmmsg, fds[0], ADDRESS(8), 1, 0));
	/* what was sent before a bad one counts */
	send[2].message.msg_iov = ADDRESS(8);
	SHOW(syscall(SYS_sendmmsg, fds[0], send, 4, 0));
	SHOW(syscall(SYS_sendmmsg, fds[0], send + 2, 2, 0));
	receive[1].message.msg_iov = ADDRESS(8);
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, 0, NULL));
	receive[1].message.msg_iov = &in[1];
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, MSG_DONTWAIT, NULL)); /* the error that was left */
	SHOW(syscall(SYS_recvmmsg, fds[1], receive, 4, MSG_DONTWAIT, NULL));
	close(fds[1]);
	send[2].message.msg_iov = &out[2];
	SHOW(syscall(SYS_sendmmsg, fds[0], send, 4, MSG_NOSIGNAL));
	close(fds[0]);
}

/* ---- flags of one call ---- */

static void flags_of_calls(void)
{
	char text[16] = "";
	struct iovec part = {text, 4};
	int ends[2];
	touch("calls.tmp", "0123456789");
	int fd = open("calls.tmp", O_RDWR);
	SHOW(syscall(SYS_preadv2, fd, &part, 1, 2, 0, 0));
	SHOW(syscall(SYS_preadv2, fd, &part, 1, 2, 0, 8)); /* RWF_NOWAIT: in the cache since */
	printf("%s\n", text);
	SHOW(syscall(SYS_preadv2, fd, &part, 1, 10, 0, 8));
	SHOW(syscall(SYS_preadv2, fd, &part, 1, -1, -1, 8));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(syscall(SYS_preadv2, fd, &part, 1, -2, -1, 0));
	SHOW(syscall(SYS_pwritev2, fd, &part, 1, 0, 0, 16 | 4)); /* RWF_APPEND, RWF_SYNC */
	SHOW(fcntl(fd, F_GETFL) & (O_APPEND | O_SYNC));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(syscall(SYS_pwritev2, fd, &part, 1, 0, 0, 2));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(syscall(SYS_pwritev2, fd, &part, 1, -1, -1, 16));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(syscall(SYS_pwritev2, fd, &part, 1, 0, 0, 1 << 20));
	SHOW(syscall(SYS_pwritev2, fd, ADDRESS(8), 1, 0, 0, 0));
	SHOW(syscall(SYS_pwritev2, 999, &part, 1, 0, 0, 0));
	SHOW(pipe(ends));
	SHOW(syscall(SYS_pwritev2, ends[1], &part, 1, -1, -1, 4));
	SHOW(syscall(SYS_preadv2, ends[0], &part, 1, 0, 0, 0));
	SHOW(syscall(SYS_preadv2, ends[0], &part, 1, -1, -1, 1));
	close(ends[0]);
	close(ends[1]);
	close(fd);
	unlink("calls.tmp");
}

int main(void)
{
	openat2_calls();
	old_getdents();
	show_child("scheduling", scheduling);
	pidfds();
	several_messages(SOCK_DGRAM);
	several_messages(SOCK_SEQPACKET);
	flags_of_calls();
	return 0;
}
