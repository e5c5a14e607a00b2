/* SPDX-License-Identifier: MIT */
/*
 * Random system calls: anycalls SEED ROUNDS THREADS. Each round is a process whose threads make any call with
 * any arguments, half of them as another user than root; it may die as it likes. Meanwhile another process
 * counts, and is asked at the end whether it got on. What would only end the test is left out: taking the
 * root apart, the clock, switching off, signals to others.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS       470 /* numbers from here on are unknown to everybody */
#define ROUND_MS    400
#define PATIENCE_MS 10000 /* the emulator's host may be busy */
#define THREADS_MAX 16

static uint8_t *scratch, *read_only, *guarded; /* guarded: its last byte is the last before nothing */

struct generator {
	uint64_t state;
};

static uint64_t draw(struct generator *generator)
{
	generator->state ^= generator->state << 13;
	generator->state ^= generator->state >> 7;
	generator->state ^= generator->state << 17;
	return generator->state;
}

static uint64_t below(struct generator *generator, uint64_t count)
{
	return (draw(generator) >> 16) % count;
}

static uint64_t number(struct generator *generator)
{
	static const uint64_t edges[] = {0,       1,          2,          3,          4096,
	                                 4095,    0x7fffffff, 0x80000000, 0xffffffff, 65536,
	                                 1 << 20, INT64_MAX,  UINT64_MAX};

	switch (below(generator, 4)) {
	case 0:
		return edges[below(generator, sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return 1ul << below(generator, 64);
	case 2:
		return draw(generator);
	default:
		return below(generator, 64);
	}
}

static uint64_t path(struct generator *generator)
{
	static const char *const paths[] = {
	        "a",        "b",         "d",    "d/e",           "d/../a",    ".",
	        "..",       "",          "link", "/dev/null",     "/dev/zero", "/proc/self/maps",
	        "/dev/tty", "/dev/ptmx", "fifo", "/proc/self/fd", "/dev/full", "/nonexistent/x"};

	return (uint64_t)(uintptr_t)paths[below(generator, sizeof(paths) / sizeof(paths[0]))];
}

static uint64_t pointer(struct generator *generator)
{
	uint8_t *at = scratch + below(generator, 1 << 16);

	switch (below(generator, 8)) {
	case 0:
		return 0;
	case 1:
		return (uint64_t)(uintptr_t)guarded - below(generator, 64);
	case 2:
		return (uint64_t)(uintptr_t)read_only;
	case 3:
		return 0xffffffff80000000ul + below(generator, 1 << 20);
	case 4:
		return 0x7ffffffff000ul - below(generator, 8192);
	case 5: /* pointers in what is pointed to */
		for (int i = 0; i < 8; i++)
			((uint64_t *)(void *)(scratch + ((uint64_t)(at - scratch) & ~7ul)))[i] =
			        i & 1 ? number(generator)
			              : (uint64_t)(uintptr_t)scratch + below(generator, 4096);
		return (uint64_t)(uintptr_t)at & ~7ul;
	default:
		for (int i = 0; i < 64; i++)
			at[i] = below(generator, 3) ? 0 : (uint8_t)draw(generator);
		return (uint64_t)(uintptr_t)at;
	}
}

static uint64_t argument(struct generator *generator)
{
	switch (below(generator, 5)) {
	case 0:
		return path(generator);
	case 1:
	case 2:
		return pointer(generator);
	default:
		return number(generator);
	}
}

static int allowed(long call)
{
	switch (call) {
	case SYS_reboot:
	case SYS_mount:
	case SYS_umount2:
	case SYS_chroot:
	case SYS_pivot_root:
	case SYS_settimeofday:
	case SYS_clock_settime:
	case SYS_kill:
	case SYS_tkill:
	case SYS_tgkill:
	case SYS_rt_sigqueueinfo:
	case SYS_rt_tgsigqueueinfo:
	case SYS_sched_setscheduler: /* one that computes would leave nothing to the others, as asked */
	case SYS_sched_setparam:
	case SYS_sched_setattr:
	case SYS_setpriority:
	case SYS_vhangup:
	case SYS_ptrace: /* root may do these to whom it likes: the one that counts, too */
	case SYS_process_vm_writev:
	case SYS_pidfd_send_signal:
		return 0;
	default:
		return 1;
	}
}

static void *caller(void *state)
{
	struct generator *generator = state;

	for (;;) {
		long call = (long)below(generator, CALLS);
		uint64_t a[6];

		for (int i = 0; i < 6; i++)
			a[i] = argument(generator);
		if (below(generator, 3) == 0)
			a[0] = below(generator, 24); /* a descriptor, mostly */
		if (call == SYS_fork || call == SYS_vfork || call == SYS_clone || call == SYS_clone3) {
			/* A copy would go on as we do. */
			if (below(generator, 8) == 0 && fork() == 0)
				_exit(0);
			continue;
		}
		if ((call == SYS_exit_group || call == SYS_exit) && below(generator, 64))
			continue;
		if (call == SYS_prlimit64) /* a limit of CPU time would end the one that counts */
			a[0] = 0;
		if (allowed(call))
			syscall(call, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	return NULL;
}

static void nothing(int signal)
{
	(void)signal;
}

static void play(uint64_t seed, int threads)
{
	static struct generator generators[THREADS_MAX];
	struct sigaction action = {.sa_handler = nothing};
	struct itimerval often = {{0, 20000}, {0, 20000}};
	pthread_t thread;

	setsid();
	mkdir("/tmp/anycalls", 0777);
	chmod("/tmp/anycalls", 0777);
	if (chdir("/tmp/anycalls"))
		_exit(1);
	scratch = mmap(NULL, 1 << 17, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	guarded = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(guarded + 4096, 4096);
	guarded += 4096;
	for (int fd = 3; fd < 16; fd += 2) {
		int ends[2];

		if (fd & 2 ? pipe(ends) : open("/dev/zero", O_RDWR) < 0)
			continue;
	}
	dup2(open("/dev/null", O_RDWR), 0);
	dup2(0, 1);
	dup2(0, 2);
	mkdir("d", 0700);
	mkfifo("fifo", 0600);
	if (symlink("a", "link") && errno != EEXIST)
		_exit(1);
	if (seed & 1 && setuid(1000))
		_exit(1);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < threads; i++)
		generators[i].state = (seed * 0x9e3779b97f4a7c15ul + (uint64_t)i * 0xbf58476d1ce4e5b9ul) | 1;
	for (int i = 1; i < threads; i++)
		pthread_create(&thread, NULL, caller, &generators[i]);
	caller(&generators[0]);
}

/* Ends the round after its time, with all that it has started; but first the one that counts has to get on,
 * beside the round if that has not ended by itself. false: it does not. */
static int end_round(pid_t pid, const volatile uint64_t *counter)
{
	uint64_t before = *counter;
	int ended = 0, got_on = 0;

	for (int waited = 0; got_on ? !ended && waited < ROUND_MS : waited < PATIENCE_MS; waited += 10) {
		usleep(10000);
		ended = ended || waitpid(pid, NULL, WNOHANG) == pid;
		got_on = *counter != before;
	}
	if (!ended) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return got_on;
}

static void count(volatile uint64_t *counter)
{
	for (;;) {
		usleep(1000);
		++*counter;
	}
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	int rounds = argc > 2 ? atoi(argv[2]) : 10, threads = argc > 3 ? atoi(argv[3]) : 2;
	volatile uint64_t *counter =
	        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t counting = fork();

	if (threads < 1 || threads > THREADS_MAX)
		return 2;
	if (counting == 0)
		count(counter);
	for (int round = 0; round < rounds; round++) {
		pid_t pid = fork();

		if (pid == 0)
			play(seed + (uint64_t)round, threads);
		if (pid < 0) {
			perror("anycalls: fork");
			return 1;
		}
		if (!end_round(pid, counter)) {
			fprintf(stderr, "anycalls: seed %lu: nothing else got on\n", seed + (uint64_t)round);
			return 1;
		}
	}
	kill(counting, SIGKILL);
	waitpid(counting, NULL, 0);
	printf("%d rounds\n", rounds);
	return 0;
}
