/* SPDX-License-Identifier: MIT */
/*
 * A benchmark of Linux system calls, for Pith and for Linux itself: `./pith bench linux` runs this same
 * binary on both.
 *
 * usage: lbench [-d DIR] [-s SCALE] [METRIC | GROUP]...     (without names: every metric)
 *
 * Each metric does a fixed number of operations in BATCHES equal batches and prints three lines, "NAME median
 * unit", "NAME.best best unit" and "NAME.operations number count" of all batches, which stand between two
 * no-ops that a plugin of the emulator's finds (tools/trace). It runs in a process of its own: one that
 * cannot run prints "missing NAME reason" and costs only itself. Times come from CLOCK_MONOTONIC, which under
 * `qemu -icount shift=0` counts guest instructions as nanoseconds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 40
#define MIB     (1024 * 1024)
#define PAGE    4096
#define CHUNK   (64 * 1024)

enum unit {
	NANOSECONDS, /* per operation */
	BANDWIDTH,   /* MB/s, `bytes` an operation */
	MILLISECONDS /* per operation; few batches */
};

struct metric {
	const char *name, *group;
	void (*prepare)(void);
	void (*run)(long operations);
	void (*finish)(void);
	long operations; /* a batch, at scale 1 */
	enum unit unit;
	double bytes;
};

static const char *directory = "/tmp";
static double scale = 1;
static const char *metric_name;
static char program[512];
static pid_t peer;
/* What data goes through, and as much again, so that there is something to fork. Not a power of two apart:
 * pages that are meet in the emulator's TLB. */
static struct {
	char data[MIB], padding[37 * PAGE], more[MIB];
} memory __attribute__((aligned(PAGE)));
#define buffer memory.data

/* The metric cannot go on: say why and end its process. */
static _Noreturn void give_up(const char *what)
{
	printf("missing %s %s: %s\n", metric_name, what, strerror(errno));
	fflush(stdout);
	if (peer > 0)
		kill(peer, SIGKILL);
	_exit(3);
}

static long check(long result, const char *what)
{
	if (result < 0)
		give_up(what);
	return result;
}
#define CHECK(call) check((long)(call), #call)

/* nopl 0x4c42MM(%rax): 1 begins what is measured, 2 ends it. */
#define MARK(number) \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, %c0, 0x42, 0x4c, 0x00" ::"i"(number) : "memory")

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static pid_t spawn(void (*body)(void))
{
	pid_t pid = (pid_t)CHECK(fork());
	if (pid == 0) {
		body();
		_exit(0);
	}
	return pid;
}

static void reap_peer(void)
{
	waitpid(peer, NULL, 0);
	peer = 0;
}

static void kill_peer(void)
{
	kill(peer, SIGKILL);
	reap_peer();
}

static const char *path_in_directory(const char *name)
{
	static char path[600];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

/* ---- single system calls ---- */
static int fd_a;
static int pipes[10][2];

static void prepare_zero(void)
{
	fd_a = (int)CHECK(open("/dev/zero", O_RDONLY));
}

static void prepare_null(void)
{
	fd_a = (int)CHECK(open("/dev/null", O_WRONLY));
}

static void prepare_poll(void)
{
	for (int i = 0; i < 10; i++)
		CHECK(pipe(pipes[i]));
}

static void prepare_eventfd(void)
{
	fd_a = (int)CHECK(eventfd(0, 0));
}

static void run_getppid(long n)
{
	while (n--)
		syscall(SYS_getppid);
}

static void run_clock_libc(long n)
{
	struct timespec time;
	while (n--)
		clock_gettime(CLOCK_MONOTONIC, &time);
}

static void run_clock_syscall(long n)
{
	struct timespec time;
	while (n--)
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
}

static void run_read_one(long n)
{
	while (n--)
		CHECK(read(fd_a, buffer, 1));
}

static void run_write_one(long n)
{
	while (n--)
		CHECK(write(fd_a, buffer, 1));
}

static void run_stat(long n)
{
	struct stat status;
	while (n--)
		CHECK(stat(directory, &status));
}

static void run_fstat(long n)
{
	struct stat status;
	while (n--)
		CHECK(fstat(fd_a, &status));
}

static void run_open_close(long n)
{
	while (n--)
		close((int)CHECK(open("/dev/null", O_RDONLY)));
}

static void run_poll(long n)
{
	struct pollfd set[10];
	for (int i = 0; i < 10; i++)
		set[i] = (struct pollfd){.fd = pipes[i][0], .events = POLLIN};
	while (n--)
		CHECK(poll(set, 10, 0));
}

static void run_eventfd(long n)
{
	uint64_t value = 1;
	while (n--) {
		CHECK(write(fd_a, &value, sizeof value));
		CHECK(read(fd_a, &value, sizeof value));
	}
}

/* ---- round trips and streams between two processes ---- */
static int here_read, here_write, there_read, there_write;

static void body_echo(void)
{
	char byte;
	close(here_write);
	if (here_read != here_write)
		close(here_read);
	while (read(there_read, &byte, 1) == 1)
		if (write(there_write, &byte, 1) != 1)
			break;
}

/* Swallows batches: the first 8 bytes of each say how long it is; answers one byte at its end. */
static void body_sink(void)
{
	uint64_t wanted = 0, got = 0;
	ssize_t size;
	close(here_write);
	if (here_read != here_write)
		close(here_read);
	while ((size = read(there_read, buffer, CHUNK)) > 0) {
		if (got == 0)
			memcpy(&wanted, buffer, sizeof wanted);
		got += (uint64_t)size;
		if (got == wanted) {
			got = 0;
			if (write(there_write, "k", 1) != 1)
				break;
		}
	}
}

static void start_peer(void (*body)(void))
{
	peer = spawn(body);
	close(there_read);
	if (there_write != there_read)
		close(there_write);
}

static void make_pipes(void)
{
	int forth[2], back[2];
	CHECK(pipe(forth));
	CHECK(pipe(back));
	here_write = forth[1];
	there_read = forth[0];
	here_read = back[0];
	there_write = back[1];
}

static void make_socketpair(int type)
{
	int pair[2];
	CHECK(socketpair(AF_UNIX, type, 0, pair));
	here_read = here_write = pair[0];
	there_read = there_write = pair[1];
}

static struct sockaddr_in listen_address;

static int make_listener(void)
{
	socklen_t length = sizeof listen_address;
	listen_address =
	        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = (int)CHECK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK(bind(listener, (struct sockaddr *)&listen_address, length));
	CHECK(listen(listener, 8));
	CHECK(getsockname(listener, (struct sockaddr *)&listen_address, &length));
	return listener;
}

static void make_tcp(void)
{
	int one = 1, listener = make_listener();
	here_read = here_write = (int)CHECK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK(connect(here_read, (struct sockaddr *)&listen_address, sizeof listen_address));
	there_read = there_write = (int)CHECK(accept(listener, NULL, NULL));
	close(listener);
	setsockopt(here_read, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(there_read, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void prepare_pipe_echo(void)
{
	make_pipes();
	start_peer(body_echo);
}

static void prepare_stream_echo(void)
{
	make_socketpair(SOCK_STREAM);
	start_peer(body_echo);
}

static void prepare_datagram_echo(void)
{
	make_socketpair(SOCK_DGRAM);
	start_peer(body_echo);
}

static void prepare_tcp_echo(void)
{
	make_tcp();
	start_peer(body_echo);
}

static void prepare_pipe_sink(void)
{
	make_pipes();
	start_peer(body_sink);
}

static void prepare_stream_sink(void)
{
	make_socketpair(SOCK_STREAM);
	start_peer(body_sink);
}

static void prepare_tcp_sink(void)
{
	make_tcp();
	start_peer(body_sink);
}

static void run_round_trip(long n)
{
	char byte = 'x';
	while (n--) {
		CHECK(write(here_write, &byte, 1));
		CHECK(read(here_read, &byte, 1));
	}
}

static void run_stream(long n)
{
	uint64_t total = (uint64_t)n * CHUNK;
	char byte;
	memcpy(buffer, &total, sizeof total);
	for (uint64_t sent = 0; sent < total;) {
		size_t room = CHUNK - sent % CHUNK;
		sent += (uint64_t)CHECK(write(here_write, buffer + sent % CHUNK, room));
	}
	CHECK(read(here_read, &byte, 1));
}

static void prepare_connect(void)
{
	fd_a = make_listener();
}

static void run_connect(long n)
{
	struct linger reset = {.l_onoff = 1};
	while (n--) {
		int client = (int)CHECK(socket(AF_INET, SOCK_STREAM, 0));
		CHECK(connect(client, (struct sockaddr *)&listen_address, sizeof listen_address));
		int server = (int)CHECK(accept(fd_a, NULL, NULL));
		setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(client);
		close(server);
	}
}

/* ---- processes and threads ---- */
static void wait_success(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, 0));
	if (status != 0) {
		errno = ECHILD;
		give_up("child failed");
	}
}

static void run_fork(long n)
{
	while (n--) {
		pid_t pid = (pid_t)CHECK(fork());
		if (pid == 0)
			_exit(0);
		wait_success(pid);
	}
}

static void exec_self(void)
{
	execl(program, "lbench", "nop", (char *)NULL);
	_exit(9);
}

static void run_fork_exec(long n)
{
	while (n--) {
		pid_t pid = (pid_t)CHECK(fork());
		if (pid == 0)
			exec_self();
		wait_success(pid);
	}
}

static void run_vfork_exec(long n)
{
	while (n--) {
		pid_t pid = vfork();
		if (pid == 0)
			exec_self();
		CHECK(pid);
		wait_success(pid);
	}
}

static void *thread_nothing(void *argument)
{
	return argument;
}

static void make_thread(pthread_t *thread, void *(*body)(void *))
{
	int error = pthread_create(thread, NULL, body, NULL);
	if (error) {
		errno = error;
		give_up("pthread_create");
	}
}

static void run_thread(long n)
{
	while (n--) {
		pthread_t thread;
		make_thread(&thread, thread_nothing);
		pthread_join(thread, NULL);
	}
}

/* ---- futexes: one word, handed to and fro: 1 = the peer's turn, 0 = ours, 2 = end ---- */
static int *turn;
static pthread_t peer_thread;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static long futex(int operation, int value)
{
	return syscall(SYS_futex, turn, operation, value, NULL, NULL, 0);
}

static void turn_give(int value)
{
	__atomic_store_n(turn, value, __ATOMIC_RELEASE);
	futex(1 /* FUTEX_WAKE */, 1);
}

static int turn_await(int unwanted)
{
	int value;
	while ((value = __atomic_load_n(turn, __ATOMIC_ACQUIRE)) == unwanted)
		futex(0 /* FUTEX_WAIT */, unwanted);
	return value;
}

static void body_futex(void)
{
	while (turn_await(0) != 2)
		turn_give(0);
}

static void *thread_futex(void *argument)
{
	body_futex();
	return argument;
}

static void *thread_condition(void *argument)
{
	pthread_mutex_lock(&mutex);
	for (;;) {
		while (*turn == 0)
			pthread_cond_wait(&condition, &mutex);
		if (*turn == 2)
			break;
		*turn = 0;
		pthread_cond_signal(&condition);
	}
	pthread_mutex_unlock(&mutex);
	return argument;
}

static void prepare_turn(void)
{
	turn = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (turn == MAP_FAILED)
		give_up("mmap");
}

static void prepare_futex_process(void)
{
	prepare_turn();
	peer = spawn(body_futex);
}

static void prepare_futex_thread(void)
{
	prepare_turn();
	make_thread(&peer_thread, thread_futex);
}

static void prepare_condition(void)
{
	prepare_turn();
	make_thread(&peer_thread, thread_condition);
}

static void finish_futex_process(void)
{
	turn_give(2);
	reap_peer();
}

static void finish_futex_thread(void)
{
	turn_give(2);
	pthread_join(peer_thread, NULL);
}

static void finish_condition(void)
{
	pthread_mutex_lock(&mutex);
	*turn = 2;
	pthread_cond_signal(&condition);
	pthread_mutex_unlock(&mutex);
	pthread_join(peer_thread, NULL);
}

static void run_futex_wake(long n)
{
	while (n--)
		futex(1, 1);
}

static void run_futex(long n)
{
	while (n--) {
		turn_give(1);
		turn_await(1);
	}
}

static void run_condition(long n)
{
	pthread_mutex_lock(&mutex);
	while (n--) {
		*turn = 1;
		pthread_cond_signal(&condition);
		while (*turn == 1)
			pthread_cond_wait(&condition, &mutex);
	}
	pthread_mutex_unlock(&mutex);
}

static void run_mutex(long n)
{
	while (n--) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
}

/* ---- memory ---- */
static char *anonymous(size_t size, int protection)
{
	char *region = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED)
		give_up("mmap");
	return region;
}

/* Pages of 4 KiB, however many they are. */
static char *anonymous_small(size_t size)
{
	char *region = anonymous(size, PROT_READ | PROT_WRITE);
	madvise(region, size, MADV_NOHUGEPAGE);
	return region;
}

static void touch(char *region, long pages, char value)
{
	for (long i = 0; i < pages; i++)
		region[i * PAGE] = value;
}

static void run_map(long n)
{
	while (n--)
		munmap(anonymous(PAGE, PROT_READ | PROT_WRITE), PAGE);
}

static void run_map_touch(long n)
{
	while (n--) {
		char *region = anonymous(16 * PAGE, PROT_READ | PROT_WRITE);
		touch(region, 16, 1);
		munmap(region, 16 * PAGE);
	}
}

static void run_fault_anonymous(long n)
{
	char *region = anonymous_small((size_t)n * PAGE);
	touch(region, n, 1);
	munmap(region, (size_t)n * PAGE);
}

static void prepare_file(void)
{
	fd_a = (int)CHECK(open(path_in_directory("lbench.data"), O_CREAT | O_RDWR | O_TRUNC, 0600));
	CHECK(write(fd_a, buffer, MIB));
}

static void finish_file(void)
{
	close(fd_a);
	unlink(path_in_directory("lbench.data"));
}

static void run_fault_file(long n)
{
	while (n > 0) {
		long pages = n < 256 ? n : 256;
		volatile char *region = mmap(NULL, (size_t)pages * PAGE, PROT_READ, MAP_SHARED, fd_a, 0);
		if (region == MAP_FAILED)
			give_up("mmap");
		madvise((void *)region, (size_t)pages * PAGE, MADV_RANDOM);
		for (long i = 0; i < pages; i++)
			(void)region[i * PAGE];
		munmap((void *)region, (size_t)pages * PAGE);
		n -= pages;
	}
}

static void run_copy_on_write(long n)
{
	char *region = anonymous_small((size_t)n * PAGE);
	touch(region, n, 1);
	pid_t pid = (pid_t)CHECK(fork());
	if (pid == 0) {
		touch(region, n, 2);
		_exit(0);
	}
	wait_success(pid);
	munmap(region, (size_t)n * PAGE);
}

static char *protected_page;

static void prepare_protect(void)
{
	protected_page = anonymous(PAGE, PROT_READ | PROT_WRITE);
	*protected_page = 1;
}

static void run_protect(long n)
{
	while (n--) {
		CHECK(mprotect(protected_page, PAGE, PROT_READ));
		CHECK(mprotect(protected_page, PAGE, PROT_READ | PROT_WRITE));
	}
}

/* ---- files ---- */
static size_t transfer;

static void create_delete(long n, size_t size)
{
	char name[32];
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof name, "lbench.%ld", i);
		int fd = (int)CHECK(open(path_in_directory(name), O_CREAT | O_EXCL | O_WRONLY, 0600));
		if (size)
			CHECK(write(fd, buffer, size));
		close(fd);
	}
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof name, "lbench.%ld", i);
		CHECK(unlink(path_in_directory(name)));
	}
}

static void run_create_empty(long n)
{
	create_delete(n, 0);
}

static void run_create_4k(long n)
{
	create_delete(n, 4096);
}

static void prepare_file_4k(void)
{
	prepare_file();
	transfer = 4096;
}

static void prepare_file_1m(void)
{
	prepare_file();
	transfer = MIB;
}

static void reopen(int flags)
{
	close(fd_a);
	fd_a = (int)CHECK(open(path_in_directory("lbench.data"), flags));
}

static void prepare_sync_4k(void)
{
	prepare_file_4k();
	reopen(O_RDWR | O_SYNC);
}

static void prepare_sync_1m(void)
{
	prepare_file_1m();
	reopen(O_RDWR | O_SYNC);
}

static void prepare_direct_4k(void)
{
	prepare_file_4k();
	reopen(O_RDWR | O_DIRECT);
}

static void prepare_direct_1m(void)
{
	prepare_file_1m();
	reopen(O_RDWR | O_DIRECT);
}

static void run_file_read(long n)
{
	while (n--)
		CHECK(pread(fd_a, buffer, transfer, 0));
}

static void run_file_write(long n)
{
	while (n--)
		CHECK(pwrite(fd_a, buffer, transfer, 0));
}

static void run_write_fsync(long n)
{
	while (n--) {
		CHECK(pwrite(fd_a, buffer, transfer, 0));
		CHECK(fsync(fd_a));
	}
}

static void run_read_scattered(long n)
{
	static uint32_t position = 12345;
	while (n--) {
		position = position * 1664525 + 1013904223;
		CHECK(pread(fd_a, buffer, transfer, (off_t)(position >> 24) * PAGE));
	}
}

/* ---- signals ---- */
static volatile int signals_seen;
static sigjmp_buf after_fault;

static void on_signal(int number)
{
	signals_seen += number;
}

static void on_fault(int number)
{
	(void)number;
	siglongjmp(after_fault, 1);
}

static void install(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};
	CHECK(sigaction(number, &action, NULL));
}

static void prepare_signal(void)
{
	install(SIGUSR1, on_signal);
}

static void run_sigaction(long n)
{
	while (n--)
		install(SIGUSR1, on_signal);
}

static void run_kill_self(long n)
{
	pid_t self = getpid();
	while (n--)
		CHECK(kill(self, SIGUSR1));
}

static void prepare_fault(void)
{
	install(SIGSEGV, on_fault);
	protected_page = anonymous(PAGE, PROT_NONE);
}

static void run_fault_jump(long n)
{
	while (n--)
		if (sigsetjmp(after_fault, 1) == 0)
			*(volatile char *)protected_page = 1;
}

static sigset_t pingpong_set;
static pid_t pingpong_parent;

static void body_pingpong(void)
{
	int number;
	for (;;) {
		sigwait(&pingpong_set, &number);
		kill(pingpong_parent, SIGUSR2);
	}
}

static void prepare_pingpong(void)
{
	sigemptyset(&pingpong_set);
	sigaddset(&pingpong_set, SIGUSR2);
	CHECK(sigprocmask(SIG_BLOCK, &pingpong_set, NULL));
	pingpong_parent = getpid();
	peer = spawn(body_pingpong);
}

static void run_pingpong(long n)
{
	int number;
	while (n--) {
		CHECK(kill(peer, SIGUSR2));
		sigwait(&pingpong_set, &number);
	}
}

/* ---- whole commands, by the machine's busybox ---- */
static void shell(const char *command)
{
	int status;
	pid_t pid = (pid_t)CHECK(fork());
	if (pid == 0) {
		CHECK(chdir(directory));
		execl("/bin/busybox", "sh", "-c", command, (char *)NULL);
		_exit(9);
	}
	CHECK(waitpid(pid, &status, 0));
	if (status != 0) {
		errno = ECHILD;
		give_up(command);
	}
}

static void run_50_execs(long n)
{
	while (n--)
		shell("i=0; while [ $i -lt 50 ]; do /bin/busybox true; i=$((i+1)); done");
}

static void write_4m(void)
{
	shell("/bin/busybox dd if=/dev/zero of=lbench.4m bs=64k count=64 2>/dev/null");
}

static void delete_4m(void)
{
	unlink(path_in_directory("lbench.4m"));
}

static void run_dd_sha256(long n)
{
	while (n--)
		shell("/bin/busybox dd if=/dev/zero of=lbench.4m bs=64k count=64 2>/dev/null && "
		      "/bin/busybox sha256sum lbench.4m >/dev/null");
}

static void run_gzip(long n)
{
	while (n--)
		shell("/bin/busybox gzip -1 -c lbench.4m >lbench.gz && rm -f lbench.gz");
}

static void run_pipeline(long n)
{
	while (n--)
		shell("/bin/busybox cat lbench.4m | /bin/busybox tr '\\0' a | /bin/busybox wc -c >/dev/null");
}

static void run_tree(long n)
{
	while (n--)
		shell("mkdir -p lbench.t && i=0; while [ $i -lt 100 ]; do echo $i >lbench.t/$i; i=$((i+1)); "
		      "done; "
		      "/bin/busybox tar cf lbench.tar lbench.t && rm -rf lbench.t && /bin/busybox tar xf "
		      "lbench.tar && "
		      "rm -rf lbench.t lbench.tar");
}

static const struct metric metrics[] = {
        {"sys_null", "sys", NULL, run_getppid, NULL, 10000, NANOSECONDS, 0},
        {"sys_clock_vdso", "sys", NULL, run_clock_libc, NULL, 5000, NANOSECONDS, 0},
        {"sys_clock_syscall", "sys", NULL, run_clock_syscall, NULL, 5000, NANOSECONDS, 0},
        {"sys_read1_zero", "sys", prepare_zero, run_read_one, NULL, 5000, NANOSECONDS, 0},
        {"sys_write1_null", "sys", prepare_null, run_write_one, NULL, 5000, NANOSECONDS, 0},
        {"sys_stat", "sys", NULL, run_stat, NULL, 2000, NANOSECONDS, 0},
        {"sys_fstat", "sys", prepare_zero, run_fstat, NULL, 2000, NANOSECONDS, 0},
        {"sys_open_close", "sys", NULL, run_open_close, NULL, 1000, NANOSECONDS, 0},
        {"sys_poll10", "sys", prepare_poll, run_poll, NULL, 2000, NANOSECONDS, 0},
        {"sys_eventfd_wr", "sys", prepare_eventfd, run_eventfd, NULL, 2000, NANOSECONDS, 0},
        {"ipc_pipe_rt", "ipc", prepare_pipe_echo, run_round_trip, kill_peer, 500, NANOSECONDS, 0},
        {"ipc_unix_stream_rt", "ipc", prepare_stream_echo, run_round_trip, kill_peer, 300, NANOSECONDS, 0},
        {"ipc_unix_dgram_rt", "ipc", prepare_datagram_echo, run_round_trip, kill_peer, 300, NANOSECONDS, 0},
        {"ipc_pipe_bw", "ipc", prepare_pipe_sink, run_stream, kill_peer, 20, BANDWIDTH, CHUNK},
        {"ipc_unix_bw", "ipc", prepare_stream_sink, run_stream, kill_peer, 20, BANDWIDTH, CHUNK},
        {"tcp_lo_rt", "sock", prepare_tcp_echo, run_round_trip, kill_peer, 150, NANOSECONDS, 0},
        {"tcp_lo_bw", "sock", prepare_tcp_sink, run_stream, kill_peer, 10, BANDWIDTH, CHUNK},
        {"tcp_lo_connect", "sock", prepare_connect, run_connect, NULL, 50, NANOSECONDS, 0},
        {"proc_fork_exit", "proc", NULL, run_fork, NULL, 6, NANOSECONDS, 0},
        {"proc_fork_exec", "proc", NULL, run_fork_exec, NULL, 4, NANOSECONDS, 0},
        {"proc_vfork_exec", "proc", NULL, run_vfork_exec, NULL, 4, NANOSECONDS, 0},
        {"thread_create_join", "proc", NULL, run_thread, NULL, 40, NANOSECONDS, 0},
        {"futex_wake_none", "ctx", prepare_turn, run_futex_wake, NULL, 3000, NANOSECONDS, 0},
        {"futex_rt_2proc", "ctx", prepare_futex_process, run_futex, finish_futex_process, 300, NANOSECONDS,
         0},
        {"futex_rt_2thr", "ctx", prepare_futex_thread, run_futex, finish_futex_thread, 300, NANOSECONDS, 0},
        {"cond_rt_2thr", "ctx", prepare_condition, run_condition, finish_condition, 300, NANOSECONDS, 0},
        {"mutex_uncontended", "ctx", NULL, run_mutex, NULL, 50000, NANOSECONDS, 0},
        {"mm_map_unmap_4K", "mm", NULL, run_map, NULL, 500, NANOSECONDS, 0},
        {"mm_map_touch16_unmap", "mm", NULL, run_map_touch, NULL, 50, NANOSECONDS, 0},
        {"mm_fault_anon", "mm", NULL, run_fault_anonymous, NULL, 512, NANOSECONDS, 0},
        {"mm_fault_file", "mm", prepare_file, run_fault_file, finish_file, 204, NANOSECONDS, 0},
        {"mm_cow_cycle_page", "mm", NULL, run_copy_on_write, NULL, 256, NANOSECONDS, 0},
        {"mm_mprotect_pair", "mm", prepare_protect, run_protect, NULL, 300, NANOSECONDS, 0},
        {"file_create_delete_0", "file", NULL, run_create_empty, NULL, 20, NANOSECONDS, 0},
        {"file_create_delete_4K", "file", NULL, run_create_4k, NULL, 20, NANOSECONDS, 0},
        {"file_read_4K", "file", prepare_file_4k, run_file_read, finish_file, 500, NANOSECONDS, 0},
        {"file_write_4K", "file", prepare_file_4k, run_file_write, finish_file, 300, NANOSECONDS, 0},
        {"file_read_1M", "file", prepare_file_1m, run_file_read, finish_file, 2, BANDWIDTH, MIB},
        {"file_write_1M", "file", prepare_file_1m, run_file_write, finish_file, 1, BANDWIDTH, MIB},
        {"file_osync_4K", "sync", prepare_sync_4k, run_file_write, finish_file, 10, NANOSECONDS, 0},
        {"file_osync_1M", "sync", prepare_sync_1m, run_file_write, finish_file, 1, BANDWIDTH, MIB},
        {"file_write_fsync_4K", "sync", prepare_file_4k, run_write_fsync, finish_file, 10, NANOSECONDS, 0},
        {"file_odirect_read_4K", "sync", prepare_direct_4k, run_read_scattered, finish_file, 20, NANOSECONDS,
         0},
        {"file_odirect_read_1M", "sync", prepare_direct_1m, run_file_read, finish_file, 1, BANDWIDTH, MIB},
        {"sig_install", "sig", NULL, run_sigaction, NULL, 2000, NANOSECONDS, 0},
        {"sig_self_kill", "sig", prepare_signal, run_kill_self, NULL, 500, NANOSECONDS, 0},
        {"sig_segv_longjmp", "sig", prepare_fault, run_fault_jump, NULL, 200, NANOSECONDS, 0},
        {"sig_pingpong_2proc", "sig", prepare_pingpong, run_pingpong, kill_peer, 200, NANOSECONDS, 0},
        {"macro_sh_50_execs", "macro", NULL, run_50_execs, NULL, 1, MILLISECONDS, 0},
        {"macro_dd_sha256_4M", "macro", NULL, run_dd_sha256, delete_4m, 1, MILLISECONDS, 0},
        {"macro_gzip_4M", "macro", write_4m, run_gzip, delete_4m, 1, MILLISECONDS, 0},
        {"macro_pipeline", "macro", write_4m, run_pipeline, delete_4m, 1, MILLISECONDS, 0},
        {"macro_tree_100", "macro", NULL, run_tree, NULL, 1, MILLISECONDS, 0},
};
#define METRIC_COUNT (sizeof metrics / sizeof metrics[0])

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print(const char *name, const char *suffix, double value, const char *unit)
{
	printf("%s%s %.6g %s\n", name, suffix, value, unit);
	fflush(stdout);
}

static double batch(const struct metric *metric, long operations)
{
	double start = now();
	metric->run(operations);
	double elapsed = now() - start;
	switch (metric->unit) {
	case BANDWIDTH:
		return (double)operations * metric->bytes / elapsed * 1e3;
	case MILLISECONDS:
		return elapsed / 1e6 / (double)operations;
	default:
		return elapsed / (double)operations;
	}
}

static void measure(const struct metric *metric)
{
	static const char *const units[] = {"ns", "MB/s", "ms"};
	double values[BATCHES];
	int batches = metric->unit == MILLISECONDS ? 5 : BATCHES;
	long operations = (long)((double)metric->operations * scale);
	if (operations < 1)
		operations = 1;
	if (metric->prepare)
		metric->prepare();
	if (metric->unit != MILLISECONDS)
		metric->run(operations / 2 + 1); /* warm caches, and learn early if it works at all */
	MARK(1);
	for (int i = 0; i < batches; i++)
		values[i] = batch(metric, operations);
	MARK(2);
	qsort(values, (size_t)batches, sizeof values[0], compare);
	print(metric->name, "", values[batches / 2], units[metric->unit]);
	print(metric->name, ".best", metric->unit == BANDWIDTH ? values[batches - 1] : values[0],
	      units[metric->unit]);
	print(metric->name, ".operations", (double)(batches * operations), "count");
	if (metric->finish)
		metric->finish();
}

/* How late a sleep of 1 ms wakes up: a distribution, not a cost. */
static void measure_timer(void)
{
	enum { SAMPLES = 400 };
	static double late[SAMPLES];
	double sum = 0;
	for (int i = 0; i < SAMPLES; i++) {
		struct timespec millisecond = {.tv_nsec = 1000000};
		double start = now();
		CHECK(nanosleep(&millisecond, NULL));
		late[i] = now() - start - 1e6;
		sum += late[i];
	}
	qsort(late, SAMPLES, sizeof late[0], compare);
	print("timer_1ms_late", "_mean", sum / SAMPLES, "ns");
	print("timer_1ms_late", "_p50", late[SAMPLES / 2], "ns");
	print("timer_1ms_late", "_p99", late[SAMPLES * 99 / 100], "ns");
	print("timer_1ms_late", "_max", late[SAMPLES - 1], "ns");
}

static void run_in_child(const char *name, const struct metric *metric)
{
	int status;
	fflush(stdout);
	metric_name = name;
	pid_t pid = fork();
	if (pid < 0) {
		printf("missing %s fork: %s\n", name, strerror(errno));
		return;
	}
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		if (metric)
			measure(metric);
		else
			measure_timer();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("missing %s killed by signal %d\n", name, WTERMSIG(status));
	fflush(stdout);
}

static int wanted(const char *name, const char *group, int count, char **names)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0 || strcmp(names[i], group) == 0)
			return 1;
	return count == 0;
}

/* Of names that are given, the first that means nothing; NULL: none. */
static const char *unknown_name(int count, char **names)
{
	for (int i = 0; i < count; i++) {
		int known = wanted("timer_1ms_late", "timer", 1, names + i);
		for (size_t m = 0; m < METRIC_COUNT; m++)
			known |= wanted(metrics[m].name, metrics[m].group, 1, names + i);
		if (!known)
			return names[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int option, check_only = 0;
	if (argc == 2 && strcmp(argv[1], "nop") == 0)
		return 0;
	while ((option = getopt(argc, argv, "cd:s:")) != -1) {
		if (option == 'c') /* only says whether the names are known */
			check_only = 1;
		else if (option == 'd')
			directory = optarg;
		else if (option == 's')
			scale = atof(optarg);
		else
			return 2;
	}
	const char *unknown = unknown_name(argc - optind, argv + optind);
	if (unknown != NULL)
		fprintf(stderr, "no metric and no group of metrics is called %s\n", unknown);
	if (unknown != NULL || check_only)
		return unknown != NULL ? 2 : 0;
	ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
	if (length <= 0)
		snprintf(program, sizeof program, "%s", argv[0]);
	memset(memory.data, 1, sizeof memory.data);
	memset(memory.more, 1, sizeof memory.more);
	for (size_t i = 0; i < METRIC_COUNT; i++)
		if (wanted(metrics[i].name, metrics[i].group, argc - optind, argv + optind))
			run_in_child(metrics[i].name, &metrics[i]);
	if (wanted("timer_1ms_late", "timer", argc - optind, argv + optind))
		run_in_child("timer_1ms_late", NULL);
	return 0;
}
