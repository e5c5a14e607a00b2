/* SPDX-License-Identifier: MIT */
/* Descriptors of what is no file: memfd with seals, signalfd, pidfd; and memory policies of the one node. */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

#define ADDRESS(value) ((void *)(uintptr_t)(value))
enum {
	ADD_SEALS = 1033,
	GET_SEALS = 1034,
	SEAL = 1,
	SHRINK = 2,
	GROW = 4,
	WRITE = 8,
	FUTURE_WRITE = 16,
	PIDFD = 3,
	EPOLL_PWAIT2 = 441
};

/* What /proc says where a descriptor leads. */
static void show_target(int fd)
{
	char link[40], target[300];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = 0;
	printf("target %s\n", target);
	close(fd);
}

static void names_of_the_nameless(void)
{
	char name[300] = "", line[1024];
	show_target((int)syscall(SYS_memfd_create, "some name", 0));
	memset(name, 'n', 249);
	show_target((int)syscall(SYS_memfd_create, name, 0));
	show_target((int)syscall(SYS_memfd_create, "", 0));
	show_target((int)syscall(SYS_eventfd2, 0, 0));
	show_target((int)syscall(SYS_epoll_create1, 0));
	show_target((int)syscall(SYS_timerfd_create, 1, 0));
	show_target((int)syscall(SYS_inotify_init1, 0));
	show_target((int)syscall(SYS_signalfd4, -1, &(uint64_t){1}, 8, 0));
	show_target((int)syscall(SYS_pidfd_open, getpid(), 0));
	int fd = (int)syscall(SYS_memfd_create, "mapped", 0);
	ftruncate(fd, 4096);
	char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		if (strtoul(line, NULL, 16) == (unsigned long)map)
			printf("maps %s", strchr(line, '/') != NULL ? strchr(line, '/') : "nothing\n");
	if (maps != NULL)
		fclose(maps);
	munmap(map, 4096);
}

static void files_in_memory(void)
{
	char name[300] = "";
	struct stat status;
	memset(name, 'n', 250);
	SHOW(syscall(SYS_memfd_create, name, 0));
	SHOW(syscall(SYS_memfd_create, ADDRESS(8), 0));
	SHOW(syscall(SYS_memfd_create, "name", 0x100));
	int plain = (int)syscall(SYS_memfd_create, "plain", 0);
	SHOW(fcntl(plain, F_GETFD));
	SHOW(fcntl(plain, GET_SEALS));
	SHOW(fcntl(plain, ADD_SEALS, GROW));
	SHOW(fcntl(0, GET_SEALS) < 0);
	int fd = (int)syscall(SYS_memfd_create, "sealed", 3);
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, GET_SEALS));
	SHOW(fstat(fd, &status));
	SHOW(status.st_mode);
	SHOW(status.st_nlink);
	SHOW(ftruncate(fd, 10000));
	SHOW(pwrite(fd, "text", 4, 8000));
	SHOW(lseek(fd, 0, SEEK_DATA));
	SHOW(lseek(fd, 5000, SEEK_HOLE));
	SHOW(lseek(fd, 4097, SEEK_HOLE));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, 9000, SEEK_DATA) >= 0);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	SHOW(map[8000]);
	strcpy(map, "mapped");
	SHOW(read(fd, name, 6));
	SHOW(pread(fd, name, 6, 0));
	printf("%.6s\n", name);
	SHOW(fcntl(fd, ADD_SEALS, 0x100));
	SHOW(fcntl(fd, ADD_SEALS, WRITE));
	SHOW(fcntl(fd, ADD_SEALS, SHRINK | GROW));
	SHOW(fcntl(fd, GET_SEALS));
	SHOW(ftruncate(fd, 9999));
	SHOW(ftruncate(fd, 10001));
	SHOW(ftruncate(fd, 10000));
	SHOW(pwrite(fd, "text", 4, 9998));
	SHOW(pwrite(fd, "text", 4, 9996));
	SHOW(munmap(map, 8192));
	SHOW(fcntl(fd, ADD_SEALS, WRITE));
	SHOW(pwrite(fd, "text", 4, 0));
	SHOW(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	TELL(!strcmp(map, "mapped"));
	SHOW(mprotect(map, 4096, PROT_READ | PROT_WRITE));
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	map[0] = 'M';
	SHOW(fcntl(fd, ADD_SEALS, SEAL));
	SHOW(fcntl(fd, ADD_SEALS, SEAL));
	SHOW(fcntl(fd, GET_SEALS));
	fd = (int)syscall(SYS_memfd_create, "future", 2);
	ftruncate(fd, 4096);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	SHOW(fcntl(fd, ADD_SEALS, FUTURE_WRITE));
	map[0] = 'f';
	SHOW(pwrite(fd, "text", 4, 0));
	SHOW(pread(fd, name, 1, 0));
	printf("%c\n", name[0]);
}

static void signals(void)
{
	sigset_t set;
	struct signalfd_siginfo info[3];
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGKILL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	SHOW(syscall(SYS_signalfd4, -1, &set, 7, 0));
	SHOW(syscall(SYS_signalfd4, -1, &set, 8, 1));
	SHOW(syscall(SYS_signalfd4, 0, &set, 8, 0));
	SHOW(syscall(SYS_signalfd4, 999, &set, 8, 0));
	SHOW(syscall(SYS_signalfd4, -1, ADDRESS(8), 8, 0));
	int fd = (int)syscall(SYS_signalfd4, -1, &set, 8, O_NONBLOCK | O_CLOEXEC);
	struct pollfd poll_one = {fd, POLLIN, 0};
	SHOW(read(fd, info, sizeof info));
	SHOW(read(fd, info, 100));
	SHOW(write(fd, info, 128));
	SHOW(poll(&poll_one, 1, 0));
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 77});
	SHOW(poll(&poll_one, 1, 0));
	SHOW(read(fd, info, sizeof info) / sizeof info[0] >= 2);
	SHOW(info[0].ssi_signo);
	SHOW(info[0].ssi_code);
	TELL(info[0].ssi_pid == (uint32_t)getpid());
	while (read(fd, &info[2], sizeof info[2]) > 0)
		info[1] = info[2];
	SHOW(info[1].ssi_int);
	SHOW(info[1].ssi_code);
	/* a child that ends wakes who reads */
	fcntl(fd, F_SETFL, 0);
	pid_t child = fork();
	if (child == 0) {
		usleep(30000);
		_exit(7);
	}
	SHOW(read(fd, info, sizeof info));
	SHOW(info[0].ssi_signo == SIGCHLD);
	SHOW(info[0].ssi_status);
	TELL(info[0].ssi_pid == (uint32_t)child);
	waitpid(child, NULL, 0);
	/* and who polls, also through epoll */
	int sets = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN}, out;
	epoll_ctl(sets, EPOLL_CTL_ADD, fd, &event);
	child = fork();
	if (child == 0) {
		usleep(30000);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	struct timespec time = {5, 0};
	SHOW(syscall(EPOLL_PWAIT2, sets, &out, 1, &time, NULL, 8));
	sigdelset(&set, SIGUSR1);
	SHOW(syscall(SYS_signalfd4, fd, &set, 8, 0) == fd);
	waitpid(child, NULL, 0);
	SHOW(poll(&poll_one, 1, 0));
	SHOW(read(fd, info, sizeof info));
	SHOW(info[0].ssi_signo == SIGCHLD);
	SHOW(poll(&poll_one, 1, 0));
	time.tv_sec = -1;
	SHOW(syscall(EPOLL_PWAIT2, sets, &out, 1, &time, NULL, 8));
	time = (struct timespec){0, 1000000};
	SHOW(syscall(EPOLL_PWAIT2, sets, &out, 1, &time, NULL, 8));
}

static void processes(void)
{
	siginfo_t info;
	SHOW(syscall(SYS_pidfd_open, 0, 0));
	SHOW(syscall(SYS_pidfd_open, -1, 0));
	SHOW(syscall(SYS_pidfd_open, 999999, 0));
	SHOW(syscall(SYS_pidfd_open, getpid(), 1));
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	int fd = (int)syscall(SYS_pidfd_open, child, 0),
	    waiting = (int)syscall(SYS_pidfd_open, child, O_NONBLOCK);
	SHOW(fcntl(fd, F_GETFD));
	struct pollfd poll_one = {fd, POLLIN, 0};
	SHOW(poll(&poll_one, 1, 0));
	SHOW(syscall(SYS_waitid, PIDFD, waiting, &info, WEXITED, NULL));
	SHOW(syscall(SYS_waitid, PIDFD, waiting, &info, WEXITED | WNOHANG, NULL));
	SHOW(syscall(SYS_waitid, PIDFD, 0, &info, WEXITED, NULL));
	SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	SHOW(syscall(SYS_pidfd_send_signal, fd, 99, NULL, 0));
	SHOW(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0x100));
	SHOW(syscall(SYS_pidfd_send_signal, 0, SIGTERM, NULL, 0));
	memset(&info, 0, sizeof info);
	info.si_signo = SIGTERM;
	info.si_code = SI_USER;
	SHOW(syscall(SYS_pidfd_send_signal, fd, SIGTERM, &info, 0));
	info.si_code = SI_QUEUE;
	SHOW(syscall(SYS_pidfd_send_signal, fd, SIGINT, &info, 0));
	SHOW(syscall(SYS_pidfd_send_signal, fd, SIGTERM, &info, 0));
	SHOW(poll(&poll_one, 1, 5000));
	SHOW(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0)); /* a zombie can be signalled */
	SHOW(syscall(SYS_waitid, PIDFD, fd, &info, WEXITED, NULL));
	SHOW(info.si_status);
	TELL(info.si_pid == child);
	SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	SHOW(syscall(SYS_waitid, PIDFD, fd, &info, WEXITED, NULL));
	SHOW(poll(&poll_one, 1, 0));
	SHOW(read(fd, &info, 8));
	close(fd);
	close(waiting);
}

/* killall's way. */
static void folders_of_processes(void)
{
	char path[32];
	int status;
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d", child);
	int folder = open(path, O_DIRECTORY | O_CLOEXEC), place = open(path, O_PATH),
	    proc = open("/proc", O_DIRECTORY);
	SHOW(syscall(SYS_pidfd_send_signal, place, 0, NULL, 0));
	SHOW(syscall(SYS_pidfd_send_signal, proc, 0, NULL, 0));
	SHOW(syscall(SYS_pidfd_send_signal, folder, 0, NULL, 0));
	SHOW(syscall(SYS_pidfd_send_signal, folder, SIGTERM, NULL, 0));
	SHOW(waitpid(child, &status, 0) == child);
	SHOW(status);
	SHOW(syscall(SYS_pidfd_send_signal, folder, 0, NULL, 0));
	close(folder);
	close(place);
	close(proc);
}

static int again(int fd)
{
	char name[32];
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return open(name, O_RDWR | O_NONBLOCK);
}

static void opened_again(void)
{
	sigset_t set;
	char bytes[8];
	sigemptyset(&set);
	SHOW(again(eventfd(0, 0)));
	SHOW(again(epoll_create1(0)));
	SHOW(again(timerfd_create(CLOCK_MONOTONIC, 0)));
	SHOW(again(signalfd(-1, &set, 0)));
	SHOW(again(inotify_init()));
	/* Of these it depends on the kernel's version, or how it was built. */
	int queue = (int)syscall(SYS_mq_open, "again", O_RDWR | O_CREAT, 0600, NULL);
	syscall(SYS_mq_unlink, "again");
	struct pollfd polls[] = {{again((int)syscall(SYS_pidfd_open, getpid(), 0)), POLLIN, 0},
	                         {again(queue), POLLIN, 0}};
	for (int i = 0; i < 2; i++) {
		(void)!read(polls[i].fd, bytes, sizeof(bytes));
		lseek(polls[i].fd, 0, SEEK_SET);
	}
	SHOW(poll(polls, 2, 0) >= 0);
}

static void policies(void)
{
	unsigned long nodes[2] = {~0ul, ~0ul};
	int mode = -1;
	SHOW(syscall(SYS_get_mempolicy, &mode, nodes, 64, NULL, 0));
	SHOW(mode);
	SHOW(nodes[0]);
	SHOW(syscall(SYS_get_mempolicy, NULL, nodes, 64, NULL, 4));
	SHOW(nodes[0]);
	SHOW(syscall(SYS_get_mempolicy, &mode, NULL, 0, &mode, 3));
	SHOW(mode);
	SHOW(syscall(SYS_get_mempolicy, &mode, NULL, 0, &mode, 0));
	SHOW(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 1));
	SHOW(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 99));
	nodes[0] = 1;
	SHOW(syscall(SYS_set_mempolicy, 2, nodes, 64));
	SHOW(syscall(SYS_get_mempolicy, &mode, nodes, 64, NULL, 0));
	SHOW(mode);
	SHOW(nodes[0]);
	SHOW(syscall(SYS_set_mempolicy, 0, nodes, 64));
	SHOW(syscall(SYS_set_mempolicy, 3, NULL, 0));
	SHOW(syscall(SYS_set_mempolicy, 77, NULL, 0));
	SHOW(syscall(SYS_set_mempolicy, 2, ADDRESS(8), 64));
	SHOW(syscall(SYS_set_mempolicy, 1, NULL, 0));
	SHOW(syscall(SYS_get_mempolicy, &mode, nodes, 64, NULL, 0));
	SHOW(mode == 1 || mode == 4);
	SHOW(syscall(SYS_set_mempolicy, 0, NULL, 0));
}

int main(void)
{
	names_of_the_nameless();
	files_in_memory();
	signals();
	processes();
	folders_of_processes();
	opened_again();
	policies();
	return 0;
}
