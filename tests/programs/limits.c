/* SPDX-License-Identifier: MIT */
/* Resources that run out, and timers of CPU time and of the wall clock. */
#include "check.h"
#include <sched.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t got, last_signal;

static void handler(int signal)
{
	got++;
	last_signal = signal;
}

static void set_handler(int signal, int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	sigaction(signal, &action, NULL);
}

static int limit(int which, rlim_t value)
{
	struct rlimit new = {value, value};

	return setrlimit(which, &new);
}

/* No limit is above what a table can hold. */
static void most_descriptors(void)
{
	unsigned long most = 0;
	FILE *file = fopen("/proc/sys/fs/nr_open", "r");

	TELL(file && fscanf(file, "%lu", &most) == 1 && most >= 65536);
	fclose(file);
	SHOW(limit(RLIMIT_NOFILE, most + 1));
}

static void descriptors(void)
{
	int count = 0, fd, ends[2];

	SHOW(limit(RLIMIT_NOFILE, 20));
	while ((fd = dup(1)) >= 0)
		count++;
	TELL(errno == EMFILE);
	SHOW(count);
	SHOW(pipe(ends));
	SHOW(open("/dev/null", O_RDONLY));
	SHOW(dup2(0, 20));
	close(19);
	SHOW(pipe(ends));
	SHOW(dup(0));
}

static void processes(void)
{
	pid_t pids[16];
	int count = 0, ended = 0;

	SHOW(limit(RLIMIT_NPROC, 10));
	SHOW(setuid(54321)); /* nobody else has processes of that user */
	while (count < 16 && (pids[count] = fork()) >= 0) {
		if (pids[count] == 0) {
			pause();
			_exit(1);
		}
		count++;
	}
	TELL(errno == EAGAIN);
	SHOW(count);
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < count; i++)
		ended += waitpid(pids[i], NULL, 0) == pids[i];
	SHOW(ended);
	pids[0] = fork();
	if (pids[0] == 0)
		_exit(0);
	TELL(pids[0] > 0);
	waitpid(pids[0], NULL, 0);
}

static void address_space(void)
{
	char *at;

	SHOW(limit(RLIMIT_AS, 64 << 20));
	SHOW_OK(mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW(mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW(limit(RLIMIT_DATA, 1 << 20));
	at = sbrk(0);
	TELL(sbrk(4 << 20) == (void *)-1);
	TELL(sbrk(0) == at);
}

static void file_size(void)
{
	int fd = open("limits.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char block[8192];

	memset(block, 'x', sizeof(block));
	unlink("limits.tmp");
	set_handler(SIGXFSZ, 0);
	SHOW(limit(RLIMIT_FSIZE, 10000));
	SHOW(write(fd, block, sizeof(block)));
	SHOW(write(fd, block, sizeof(block)));
	SHOW(write(fd, block, sizeof(block)));
	SHOW(ftruncate(fd, 20000));
	SHOW(got);
	got = 0;
	SHOW(limit(RLIMIT_FSIZE, 1000));
	SHOW(ftruncate(fd, 5000)); /* it shrinks */
	SHOW(ftruncate(fd, 5000));
	SHOW(got);
	SHOW(ftruncate(fd, 5001));
	SHOW(ftruncate(fd, -1));
	SHOW(ftruncate(-1, 5001));
	SHOW(truncate("/nothing", 5001));
	SHOW(got);
}

static int deep(volatile char *above)
{
	volatile char here[4096];

	here[0] = above[0];
	return above[0] ? deep(here) + here[0] : 0;
}

static void overflow(void)
{
	char start[1] = {1};

	limit(RLIMIT_STACK, 1 << 20);
	SHOW(deep(start));
}

static void memory_locked(void)
{
	char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	SHOW(mlock(at, 8192));
	SHOW(msync(at, 4096, MS_INVALIDATE));
	SHOW(munlock(at, 4096));
	SHOW(msync(at, 4096, MS_INVALIDATE));
	SHOW(msync(at + 4096, 4096, MS_INVALIDATE));
	SHOW(munlockall());
	SHOW(msync(at + 4096, 4096, MS_INVALIDATE));
	SHOW(mlock(at + (1 << 20), 1 << 20));
	SHOW(mlockall(0));
	SHOW(mlockall(8));
}

static void memory_locked_by_a_user(void)
{
	char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	SHOW(limit(RLIMIT_MEMLOCK, 64 << 10));
	SHOW(setuid(1000));
	SHOW(mlock(at, 32 << 10));
	SHOW(mlock(at, 128 << 10));
	SHOW(munlockall());
	SHOW(mlock(at, 4096));
	SHOW(mlockall(MCL_CURRENT));
	SHOW(limit(RLIMIT_MEMLOCK, 0));
	SHOW(mlock(at, 4096));
}

static void cpu_seconds(void)
{
	set_handler(SIGXCPU, 0);
	struct rlimit new = {1, 2};

	SHOW(setrlimit(RLIMIT_CPU, &new));
	while (!got)
		;
	SHOW(last_signal == SIGXCPU);
	for (;;)
		;
}

/* ---- timers ---- */

static double seconds_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void use_up(int which, int signal)
{
	struct itimerval half = {.it_value = {0, 300000}}, left, none = {0};
	double start = seconds_of(CLOCK_PROCESS_CPUTIME_ID);

	got = 0;
	set_handler(signal, 0);
	SHOW(setitimer(which, &half, NULL));
	SHOW(getitimer(which, &left));
	TELL(left.it_value.tv_sec == 0 && left.it_value.tv_usec > 200000 && left.it_value.tv_usec <= 310000);
	while (!got)
		;
	TELL(last_signal == signal);
	/* Half of it: a busy Linux counts whole ticks for these timers, and the clock parts of them. */
	TELL(seconds_of(CLOCK_PROCESS_CPUTIME_ID) - start >= 0.15);
	SHOW(getitimer(which, &left));
	TELL(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
	/* What sleeps does not use it up. */
	got = 0;
	SHOW(setitimer(which, &half, NULL));
	usleep(500000);
	SHOW(got);
	SHOW(setitimer(which, &none, NULL));
	SHOW(setitimer(3, &half, NULL));
}

static void posix_timer(clockid_t clock)
{
	struct sigevent event = {
	        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77};
	struct itimerspec soon = {.it_value = {0, 50000000}, .it_interval = {0, 10000000}}, none = {0};
	struct timespec moment = {5, 0};
	siginfo_t info;
	timer_t timer;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	SHOW(timer_create(clock, &event, &timer));
	SHOW(timer_settime(timer, 0, &soon, NULL));
	for (double start = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	     seconds_of(CLOCK_PROCESS_CPUTIME_ID) < start + 0.3;)
		;
	TELL(sigtimedwait(&set, &info, &moment) == SIGRTMIN);
	TELL(info.si_code == SI_TIMER && info.si_value.sival_int == 77);
	TELL(info.si_overrun >= 5); /* one signal for all that came while it was blocked */
	SHOW(timer_settime(timer, 0, &none, NULL));
	SHOW(timer_delete(timer));
	SHOW(timer_delete(timer));
}

static void timer_errors(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	timer_t timer;

	SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
	event.sigev_signo = 10;
	event.sigev_notify = 4; /* SIGEV_THREAD_ID: of none of its threads */
	SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
	SHOW(syscall(SYS_timer_create, 55, NULL, &timer));
	SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, NULL));
}

static void sleep_of_cpu_time(void)
{
	struct timespec little = {0, 1000000};
	double start = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			;
	clockid_t clock;
	SHOW(clock_getcpuclockid(pid, &clock));
	little.tv_nsec = 100000000;
	SHOW(-clock_nanosleep(clock, 0, &little, NULL));
	TELL(seconds_of(CLOCK_PROCESS_CPUTIME_ID) - start < 0.1);
	TELL(seconds_of(clock) >= 0.1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	SHOW(-clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &little, NULL));
}

static void queue_is_full(void)
{
	sigset_t set;
	union sigval value = {0};
	int count = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	SHOW(limit(RLIMIT_SIGPENDING, 5));
	while (count < 20 && sigqueue(getpid(), SIGRTMIN, value) == 0)
		count++;
	TELL(errno == EAGAIN);
	TELL(count <= 5);
	/* what counts is the user's, whichever process has it */
	pid_t child = fork();
	if (child == 0)
		_exit(sigqueue(getpid(), SIGRTMIN, value) == 0 ? 0 : errno);
	int status;
	waitpid(child, &status, 0);
	TELL(WEXITSTATUS(status) == EAGAIN);
	SHOW(kill(getpid(), SIGRTMIN));
}

int main(void)
{
	show_child("most descriptors", most_descriptors);
	show_child("descriptors", descriptors);
	show_child("processes", processes);
	show_child("address space", address_space);
	show_child("file size", file_size);
	show_child("stack", overflow);
	show_child("locked memory", memory_locked);
	show_child("locked by a user", memory_locked_by_a_user);
	show_child("CPU time", cpu_seconds);
	show_child("signals", queue_is_full);
	use_up(ITIMER_VIRTUAL, SIGVTALRM);
	use_up(ITIMER_PROF, SIGPROF);
	posix_timer(CLOCK_MONOTONIC);
	posix_timer(CLOCK_PROCESS_CPUTIME_ID);
	posix_timer(CLOCK_THREAD_CPUTIME_ID);
	timer_errors();
	sleep_of_cpu_time();
	return 0;
}
