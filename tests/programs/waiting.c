/* SPDX-License-Identifier: MIT */
/* Descriptors that one waits on: pipes, FIFOs, socket pairs, eventfd, timerfd, epoll, and locks of files. */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

static int ends[2];

static void pipes(void)
{
	char data[8192];
	struct stat stat;
	memset(data, 'p', sizeof(data));
	SHOW(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
	SHOW(fcntl(ends[0], F_GETFD));
	SHOW(fstat(ends[0], &stat));
	TELL(S_ISFIFO(stat.st_mode));
	SHOW(read(ends[0], data, 1));
	long total = 0, count;
	while ((count = write(ends[1], data, sizeof(data))) > 0)
		total += count;
	printf("a pipe holds %ld, then %s\n", total, strerrorname(errno));
	SHOW(read(ends[0], data, 100));
	SHOW(write(ends[1], data, 4096));
	SHOW(lseek(ends[0], 0, SEEK_CUR));
	SHOW(fcntl(ends[1], F_GETPIPE_SZ));
	close(ends[1]);
	while ((count = read(ends[0], data, sizeof(data))) > 0)
		total -= count;
	printf("left over: %ld, then %ld\n", total - 100, count);
	close(ends[0]);
	struct iovec parts[3] = {{"one ", 4}, {"", 0}, {"two", 3}};
	SHOW(pipe(ends));
	SHOW(writev(ends[1], parts, 3));
	char first[3], second[10];
	struct iovec into[2] = {{first, 3}, {second, 10}};
	SHOW(readv(ends[0], into, 2));
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	SHOW(write(ends[1], "x", 1));
	close(ends[1]);
}

static void user_size(void)
{
	if (geteuid() == 0 && setuid(1) != 0)
		printf("no user\n");
	SHOW(fcntl(ends[0], F_SETPIPE_SZ, 1 << 20));
	SHOW(fcntl(ends[0], F_SETPIPE_SZ, 1 << 21));
}

/* One read takes one write's bytes, or as many as it asks for, and the rest of them is gone. */
static void packets(void)
{
	static char data[9000], got[9000];
	memset(data, 'd', sizeof(data));
	SHOW(pipe2(ends, O_DIRECT | O_NONBLOCK));
	SHOW(fcntl(ends[1], F_GETFL) & O_DIRECT);
	SHOW(write(ends[1], "ab", 2));
	SHOW(write(ends[1], "cd", 2));
	SHOW(write(ends[1], "efgh", 4));
	SHOW(read(ends[0], got, 9));
	SHOW(read(ends[0], got, 1));
	SHOW(read(ends[0], got, 9));
	printf("%.4s\n", got);
	SHOW(read(ends[0], got, 9));
	SHOW(write(ends[1], data, 9000));
	for (int i = 0; i < 4; i++)
		SHOW(read(ends[0], got, sizeof(got)));
	SHOW(write(ends[1], "packet", 6));
	SHOW(fcntl(ends[1], F_SETFL, O_NONBLOCK));
	SHOW(write(ends[1], "str", 3));
	SHOW(write(ends[1], "eam", 3));
	SHOW(read(ends[0], got, 100));
	SHOW(read(ends[0], got, 100));
	SHOW(fcntl(ends[1], F_SETFL, O_NONBLOCK | O_DIRECT));
	int count = 0;
	while (write(ends[1], "p", 1) == 1)
		count++;
	printf("%d packets, then %s\n", count, strerrorname(errno));
	SHOW(read(ends[0], got, 100));
	SHOW(write(ends[1], "p", 1));
	close(ends[0]);
	close(ends[1]);
}

static void pipe_sizes(void)
{
	static char data[1 << 20];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 % 251);
	SHOW(pipe2(ends, O_NONBLOCK));
	SHOW(fcntl(ends[0], F_SETPIPE_SZ, 5000));
	SHOW(fcntl(ends[1], F_GETPIPE_SZ));
	SHOW(write(ends[1], data, 100000));
	SHOW(fcntl(ends[0], F_SETPIPE_SZ, 100));
	SHOW(read(ends[0], data, 5000));
	SHOW(fcntl(ends[0], F_SETPIPE_SZ, 1 << 20));
	SHOW(fcntl(ends[0], F_SETPIPE_SZ, 0x80000001));
	long total = 0, count;
	while ((count = write(ends[1], data, 10000)) > 0)
		total += count;
	printf("%d more\n", total > 1000000);
	uint64_t hash = HASH_START;
	for (int i = 0; i < 100 && (count = read(ends[0], data, 777)) > 0; i++)
		hash = hash_bytes(hash, data, (size_t)count);
	printf("%016lx\n", (unsigned long)hash);
	SHOW(fcntl(ends[0], F_SETPIPE_SZ, 65536));
	while (read(ends[0], data, sizeof(data)) > 0)
		;
	SHOW(fcntl(ends[0], F_SETPIPE_SZ, 0));
	show_child("as a user", user_size);
	close(ends[0]);
	close(ends[1]);
}

static void fifos(void)
{
	char text[16] = "";
	int status;
	unlink("waiting.fifo");
	SHOW(mkfifo("waiting.fifo", 0600));
	SHOW(open("waiting.fifo", O_WRONLY | O_NONBLOCK));
	pid_t pid = fork();
	if (pid == 0) {
		int out = open("waiting.fifo", O_WRONLY);
		_exit(write(out, "through", 7) == 7 ? 0 : 1);
	}
	int in = open("waiting.fifo", O_RDONLY);
	SHOW(read(in, text, sizeof(text)));
	SHOW(read(in, text, sizeof(text)));
	waitpid(pid, &status, 0);
	printf("\"%s\", writer %d\n", text, status);
	close(in);
	/* of those who came and went before nobody hears */
	in = open("waiting.fifo", O_RDONLY | O_NONBLOCK);
	int later = open("waiting.fifo", O_RDONLY | O_NONBLOCK);
	struct pollfd set[2] = {{.fd = in, .events = POLLIN}, {.fd = later, .events = POLLIN}};
	SHOW(poll(set, 2, 0));
	int out = open("waiting.fifo", O_WRONLY);
	SHOW(write(out, "x", 1));
	close(out);
	close(later);
	set[1].fd = open("waiting.fifo", O_RDONLY | O_NONBLOCK);
	SHOW(poll(set, 2, 0));
	printf("%x %x\n", set[0].revents, set[1].revents);
	SHOW(read(in, text, sizeof(text)));
	SHOW(poll(set, 2, 0));
	printf("%x %x\n", set[0].revents, set[1].revents);
	close(in);
	close(set[1].fd);
	SHOW(unlink("waiting.fifo"));
}

static void polls(void)
{
	SHOW(pipe(ends));
	struct pollfd set[3] = {{.fd = ends[0], .events = POLLIN},
	                        {.fd = ends[1], .events = POLLOUT},
	                        {.fd = 999, .events = POLLIN}};
	SHOW(poll(set, 1, 0));
	SHOW(poll(set, 1, 30));
	SHOW(poll(set, 3, -1));
	printf("%x %x %x\n", set[0].revents, set[1].revents, set[2].revents);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(write(ends[1], "w", 1) == 1 ? 0 : 1);
	}
	SHOW(poll(set, 1, -1));
	fd_set readable, writable;
	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(ends[0], &readable);
	FD_SET(ends[1], &writable);
	SHOW(select(ends[1] + 1, &readable, &writable, NULL, NULL));
	TELL(FD_ISSET(ends[0], &readable) && FD_ISSET(ends[1], &writable));
	waitpid(pid, NULL, 0);
	close(ends[1]);
	char byte;
	SHOW(read(ends[0], &byte, 1));
	SHOW(poll(set, 1, -1));
	printf("%x\n", set[0].revents);
	close(ends[0]);
}

static void epolls(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1}, got[4];
	int set = epoll_create1(EPOLL_CLOEXEC), counter = eventfd(0, EFD_NONBLOCK),
	    file = open("waiting.lock", O_RDWR | O_CREAT, 0600);
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &event));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &event));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, file, &event));
	SHOW(epoll_ctl(set, EPOLL_CTL_DEL, file, &event));
	SHOW(epoll_wait(set, got, 4, 0));
	uint64_t value = 5;
	SHOW(write(counter, &value, 8));
	SHOW(epoll_wait(set, got, 4, -1));
	printf("%x %d\n", got[0].events, (int)got[0].data.u64);
	SHOW(read(counter, &value, 8));
	printf("counter %d\n", (int)value);
	SHOW(read(counter, &value, 8));
	event.events = EPOLLIN | EPOLLET;
	SHOW(epoll_ctl(set, EPOLL_CTL_MOD, counter, &event));
	SHOW(write(counter, &value, 8));
	SHOW(epoll_wait(set, got, 4, 100));
	SHOW(epoll_wait(set, got, 4, 0)); /* the edge was reported */
	struct itimerspec time = {.it_value.tv_nsec = 10000000, .it_interval.tv_nsec = 0};
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	event = (struct epoll_event){.events = EPOLLIN, .data.u64 = 2};
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, timer, &event));
	SHOW(timerfd_settime(timer, 0, &time, NULL));
	SHOW(epoll_wait(set, got, 4, -1));
	SHOW(read(timer, &value, 8));
	printf("expired %d\n", (int)value);
	close(timer);
	close(counter);
	SHOW(epoll_wait(set, got, 4, 0));
	close(set);
	close(file);
}

/* What one epoll_wait that does not wait reports. */
static void edge(const char *what, int set)
{
	struct epoll_event got[4];
	int count = epoll_wait(set, got, 4, 0);
	printf("%s: %d", what, count);
	for (int i = 0; i < count; i++)
		printf(" %x", got[i].events);
	printf("\n");
}

/* Each arrival is an edge, whatever is unread; reading is none. */
static void edges(void)
{
	char byte;
	uint64_t one = 1;
	int set = epoll_create1(0);
	struct epoll_event in = {.events = EPOLLIN | EPOLLET},
	                   both = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	SHOW(pipe2(ends, O_NONBLOCK));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &in));
	edge("empty pipe", set);
	SHOW(write(ends[1], "abc", 3));
	edge("first write", set);
	edge("nothing new", set);
	SHOW(write(ends[1], "d", 1));
	edge("second write", set);
	SHOW(read(ends[0], &byte, 1));
	edge("a read", set);
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, ends[1], &both));
	edge("the other end", set);
	SHOW(read(ends[0], &byte, 1));
	edge("a read of a pipe with room", set);
	close(ends[1]);
	edge("no writer", set);
	close(ends[0]);
	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &in));
	SHOW(write(ends[1], "ab", 2));
	edge("socket", set);
	SHOW(write(ends[0], "x", 1));
	SHOW(read(ends[0], &byte, 1));
	edge("its own write and read", set);
	SHOW(write(ends[1], "c", 1));
	edge("more", set);
	SHOW(shutdown(ends[1], SHUT_WR));
	edge("the end", set);
	close(ends[0]);
	close(ends[1]);
	int counter = eventfd(0, EFD_NONBLOCK);
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &in));
	SHOW(write(counter, &one, 8));
	edge("counter", set);
	SHOW(write(counter, &one, 8));
	edge("again", set);
	SHOW(epoll_ctl(set, EPOLL_CTL_MOD, counter, &in));
	edge("changed", set);
	edge("once", set);
	int again = dup(counter);
	in.events |= EPOLLONESHOT;
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, again, &in));
	edge("by another descriptor", set);
	SHOW(write(counter, &one, 8));
	edge("one shot", set);
	in.events = EPOLLIN | EPOLLEXCLUSIVE;
	SHOW(epoll_ctl(set, EPOLL_CTL_MOD, counter, &in));
	SHOW(epoll_ctl(set, EPOLL_CTL_DEL, counter, NULL));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &in));
	in.events = EPOLLIN;
	SHOW(epoll_ctl(set, EPOLL_CTL_MOD, counter, &in));
	in.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &in));
	close(again);
	close(counter);
	close(set);
}

#define WORD(fd) [(fd) / 64]
#define BIT(fd)  (1ul << (fd) % 64)

/* Sets of descriptors are as large as the table. */
static void large_sets(void)
{
	enum { READS = 3000, WRITES = 3001 };
	unsigned long reads[48] = {WORD(READS) = BIT(READS)}, writes[48] = {WORD(WRITES) = BIT(WRITES)};
	struct timespec none = {0, 0};
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	(void)!pipe(ends);
	SHOW(dup2(ends[0], READS));
	SHOW(dup2(ends[1], WRITES));
	SHOW(syscall(SYS_pselect6, WRITES + 1, reads, writes, NULL, &none, NULL));
	printf("%d %d\n", reads WORD(READS) == BIT(READS), writes WORD(WRITES) == BIT(WRITES));
	reads WORD(READS) = BIT(READS);
	SHOW(write(ends[1], "w", 1));
	SHOW(syscall(SYS_pselect6, WRITES + 1, reads, writes, NULL, NULL, NULL));
	printf("%d %d\n", reads WORD(READS) == BIT(READS), writes WORD(WRITES) == BIT(WRITES));
	SHOW(syscall(SYS_pselect6, WRITES, reads, writes, NULL, NULL, NULL));
	printf("%d %d\n", reads WORD(READS) == BIT(READS), writes WORD(WRITES) == BIT(WRITES));
	close(READS);
	SHOW(syscall(SYS_pselect6, WRITES, reads, NULL, NULL, NULL, NULL));
	close(WRITES);
	close(ends[0]);
	close(ends[1]);
}

/* More that is ready than a wait has room for comes by turns; there is room for as much as one likes. */
static void many(void)
{
	enum { MANY = 1500 };
	static struct epoll_event got[MANY];
	struct epoll_event event = {.events = EPOLLIN};
	struct rlimit limit;
	int set = epoll_create1(0), counter = eventfd(1, 0), fds[MANY];
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < MANY; i++) {
		if (i == 5)
			for (int turn = 0; turn < 6; turn++) {
				int count = epoll_wait(set, got, 2, 0);
				for (int j = 0; j < count; j++)
					printf("%d ", got[j].data.fd);
				printf("in turn %d\n", turn);
			}
		fds[i] = dup(counter);
		event.data.fd = i;
		if (epoll_ctl(set, EPOLL_CTL_ADD, fds[i], &event) < 0)
			printf("%d: %s\n", i, strerrorname(errno));
	}
	SHOW(epoll_wait(set, got, MANY, 0));
	SHOW(epoll_wait(set, got, MANY - 1, 0));
	SHOW(syscall(SYS_epoll_wait, set, got, INT32_MAX / 12, 0));
	SHOW(syscall(SYS_epoll_wait, set, got, INT32_MAX / 12 + 1, 0));
	SHOW(epoll_wait(set, got, 0, 0));
	for (int i = 0; i < MANY; i += 2)
		close(fds[i]);
	SHOW(epoll_wait(set, got, MANY, 0));
	for (int i = 1; i < MANY; i += 2)
		close(fds[i]);
	SHOW(epoll_wait(set, got, MANY, 0));
	event.data.fd = 7;
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, counter, &event));
	SHOW(epoll_wait(set, got, MANY, 0));
	close(counter);
	close(set);
}

static void sets_of_sets(void)
{
	enum { DEEP = 9 };
	int sets[DEEP];
	uint64_t one = 1;
	struct epoll_event in = {.events = EPOLLIN}, at_edge = {.events = EPOLLIN | EPOLLET};
	int inner = epoll_create1(0), outer = epoll_create1(0), counter = eventfd(0, EFD_NONBLOCK);
	SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, inner, &in));
	SHOW(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &at_edge));
	SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &in));
	edge("empty", outer);
	SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, counter, &in));
	edge("not yet", outer);
	SHOW(write(counter, &one, 8));
	edge("inner ready", outer);
	edge("no edge", outer);
	SHOW(write(counter, &one, 8));
	edge("an edge", outer);
	struct pollfd polled = {.fd = outer, .events = POLLIN};
	SHOW(epoll_ctl(outer, EPOLL_CTL_MOD, inner, &in));
	SHOW(poll(&polled, 1, 0));
	SHOW(read(counter, &one, 8));
	SHOW(poll(&polled, 1, 0));
	edge("read", outer);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(20000);
		one = 1;
		_exit(write(counter, &one, 8) == 8 ? 0 : 1);
	}
	struct epoll_event got;
	SHOW(epoll_wait(outer, &got, 1, -1));
	waitpid(pid, NULL, 0);
	close(counter);
	edge("closed", outer);
	close(inner);
	edge("inner closed", outer);
	close(outer);
	for (int i = 0; i < DEEP; i++) {
		sets[i] = epoll_create1(0);
		if (i > 0)
			SHOW(epoll_ctl(sets[i], EPOLL_CTL_ADD, sets[i - 1], &in));
	}
	SHOW(epoll_ctl(sets[0], EPOLL_CTL_ADD, sets[3], &in));
	for (int i = 0; i < DEEP; i++)
		close(sets[i]);
}

static void sockets(void)
{
	char data[8];
	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	SHOW(write(ends[0], "ping", 4));
	SHOW(recv(ends[1], data, sizeof(data), 0));
	SHOW(recv(ends[1], data, sizeof(data), MSG_DONTWAIT));
	SHOW(send(ends[1], "pong!", 5, MSG_NOSIGNAL));
	SHOW(shutdown(ends[1], SHUT_WR));
	SHOW(read(ends[0], data, sizeof(data)));
	SHOW(read(ends[0], data, sizeof(data)));
	close(ends[1]);
	SHOW(send(ends[0], "x", 1, MSG_NOSIGNAL));
	close(ends[0]);
	SHOW(shutdown(0, SHUT_RD));
	SHOW(socketpair(AF_INET, SOCK_STREAM, 0, ends) < 0 ? 0 : 1);
}

static short other_locks(int file, short type, off_t start, off_t length)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(fcntl(file, F_SETLK, &lock) == 0 ? 0 : errno);
	waitpid(pid, &status, 0);
	return (short)WEXITSTATUS(status);
}

static void locks(void)
{
	int file = open("waiting.lock", O_RDWR | O_CREAT, 0600), again = open("waiting.lock", O_RDWR);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
	SHOW(fcntl(file, F_SETLK, &lock));
	printf("in it %s, beside it %d\n", strerrorname(other_locks(file, F_RDLCK, 15, 1)),
	       other_locks(file, F_WRLCK, 20, 0));
	lock.l_type = F_RDLCK;
	SHOW(fcntl(file, F_SETLK, &lock));
	printf("read %d, write %s\n", other_locks(file, F_RDLCK, 0, 0),
	       strerrorname(other_locks(file, F_WRLCK, 19, 1)));
	pid_t pid = fork();
	if (pid == 0) {
		lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
		fcntl(file, F_GETLK, &lock);
		printf("held: type %d start %d length %d by the parent %d\n", lock.l_type, (int)lock.l_start,
		       (int)lock.l_len, lock.l_pid == getppid());
		fflush(stdout);
		lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
		_exit(fcntl(file, F_SETLKW, &lock) == 0 ? 0 : 1); /* until the parent's go */
	}
	usleep(20000);
	close(again); /* any descriptor of the file */
	int status;
	waitpid(pid, &status, 0);
	printf("waited: %d\n", status);
	again = open("waiting.lock", O_RDWR);
	SHOW(flock(file, LOCK_EX));
	SHOW(flock(again, LOCK_SH | LOCK_NB));
	SHOW(flock(file, LOCK_SH));
	SHOW(flock(again, LOCK_SH | LOCK_NB));
	/* who wants another kind gives the one it has */
	SHOW(flock(file, LOCK_EX | LOCK_NB));
	SHOW(flock(again, LOCK_EX | LOCK_NB));
	close(file);
	close(again);
	SHOW(unlink("waiting.lock"));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	pipes();
	packets();
	pipe_sizes();
	fifos();
	polls();
	epolls();
	edges();
	large_sets();
	many();
	sets_of_sets();
	sockets();
	locks();
	return 0;
}
