/* SPDX-License-Identifier: MIT */
/* Threads: handing a turn round, ending in every state, exec from among them, futexes between processes,
 * cancellation, timers. */
#include "check.h"
#include <pthread.h>
#include <sys/time.h>
#include <time.h>

#define TURNS 4

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn, total;
static volatile int stop;
static volatile sig_atomic_t got;

static void handler(int signal)
{
	(void)signal;
	got++;
}

static void *take_turns(void *argument)
{
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != (int)(long)argument)
			pthread_cond_wait(&changed, &mutex);
		turn = (turn + 1) % TURNS;
		total++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&mutex);
	}
	return argument;
}

static void *spin(void *argument)
{
	while (!stop)
		;
	return argument;
}

static void *sleeper(void *argument)
{
	for (;;)
		pause();
	return argument;
}

static void test_turns(void)
{
	pthread_t threads[TURNS];
	long sum = 0;

	for (long i = 0; i < TURNS; i++)
		pthread_create(&threads[i], NULL, take_turns, (void *)i);
	for (int i = 0; i < TURNS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		sum += (long)result;
	}
	TELL(total == 500 * TURNS);
	TELL(sum == 0 + 1 + 2 + 3);
}

/* One that computes does not keep another from stopping it. */
static void test_spinning(void)
{
	struct timespec moment = {0, 20000000};
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, spin, (void *)7);
	nanosleep(&moment, NULL);
	stop = 1;
	pthread_join(thread, &result);
	TELL((long)result == 7);
	stop = 0;
}

static void crowd(void)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, spin, NULL);
		pthread_create(&thread, NULL, sleeper, NULL);
	}
}

static void test_group_exit(void)
{
	int wrong = 0, status;

	fflush(stdout);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			crowd();
			if (i & 1)
				usleep(3000);
			_exit(i);
		}
		waitpid(pid, &status, 0);
		wrong += !WIFEXITED(status) || WEXITSTATUS(status) != i;
	}
	TELL(wrong == 0);
}

static void *execute(void *argument)
{
	execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL);
	return argument;
}

/* A thread that is not the first one executes a program: the process keeps its number. */
static void test_exec(void)
{
	pthread_t thread;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		crowd();
		pthread_create(&thread, NULL, execute, NULL);
		for (;;)
			pause();
	}
	TELL(waitpid(pid, &status, 0) == pid);
	TELL(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void test_between_processes(void)
{
	struct shared {
		pthread_mutex_t mutex;
		pthread_cond_t condition;
		int turn, count;
	} *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t mutex_attributes;
	pthread_condattr_t condition_attributes;
	int status;
	pid_t pid;

	pthread_mutexattr_init(&mutex_attributes);
	pthread_mutexattr_setpshared(&mutex_attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->mutex, &mutex_attributes);
	pthread_condattr_init(&condition_attributes);
	pthread_condattr_setpshared(&condition_attributes, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->condition, &condition_attributes);
	pid = fork();
	for (int i = 0; i < 300; i++) {
		pthread_mutex_lock(&shared->mutex);
		while (shared->turn != (pid == 0))
			pthread_cond_wait(&shared->condition, &shared->mutex);
		shared->turn = !shared->turn;
		shared->count++;
		pthread_cond_signal(&shared->condition);
		pthread_mutex_unlock(&shared->mutex);
	}
	if (!pid)
		_exit(0);
	waitpid(pid, &status, 0);
	TELL(shared->count == 600);
}

/* The owner of a robust mutex dies with it. */
static void test_robust(void)
{
	pthread_mutex_t *robust = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attributes;
	int status, result;
	pid_t pid;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(robust, &attributes);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		pthread_mutex_lock(robust);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	result = pthread_mutex_lock(robust);
	TELL(result == EOWNERDEAD);
	TELL(pthread_mutex_consistent(robust) == 0);
	TELL(pthread_mutex_unlock(robust) == 0);
}

static void test_timeouts(void)
{
	struct timespec until;
	struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	volatile double work = 1;
	int result;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 5000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&mutex);
	result = pthread_cond_timedwait(&changed, &mutex, &until);
	pthread_mutex_unlock(&mutex);
	TELL(result == ETIMEDOUT);
	/* A timer's signal reaches one that computes. */
	sigaction(SIGALRM, &action, NULL);
	SHOW(setitimer(ITIMER_REAL, &often, NULL));
	while (got < 20)
		work = work * 1.0000001 + 0.5;
	SHOW(setitimer(ITIMER_REAL, &never, NULL));
	TELL(got >= 20);
}

static void *cancelled(void *argument)
{
	sleep(1000);
	return argument;
}

static void test_cancel(void)
{
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, cancelled, NULL);
	TELL(pthread_cancel(thread) == 0);
	pthread_join(thread, &result);
	TELL(result == PTHREAD_CANCELED);
}

/* ---- several futexes at once ---- */

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct waitv {
	uint64_t value, address;
	uint32_t flags, reserved;
};
enum { WORD = 2, PRIVATE = 128, WORDS = 3, WAITV_MAX = 128 };

static uint32_t words[WORDS];

static long wait_for(struct waitv *waits, unsigned count, unsigned flags, const struct timespec *time,
                     int clock)
{
	return syscall(SYS_futex_waitv, waits, count, flags, time, clock);
}

static void *wake_third(void *argument)
{
	while (syscall(SYS_futex, &words[2], 1 | PRIVATE, 1, NULL, NULL, 0) == 0)
		usleep(1000);
	return argument;
}

static void test_several(void)
{
	struct waitv waits[WAITV_MAX + 1] = {{0}};
	struct timespec past = {1, 0}, wrong = {0, 1000000000};
	pthread_t thread;
	for (int i = 0; i < WORDS; i++)
		waits[i] = (struct waitv){0, (uintptr_t)&words[i], WORD | PRIVATE, 0};
	SHOW(wait_for(waits, 0, 0, NULL, 0));
	SHOW(wait_for(waits, WAITV_MAX + 1, 0, NULL, 0));
	SHOW(wait_for(waits, WORDS, 1, NULL, 0));
	SHOW(wait_for(NULL, WORDS, 0, NULL, 0));
	SHOW(wait_for((void *)8, WORDS, 0, NULL, 0));
	SHOW(wait_for(waits, WORDS, 0, &past, CLOCK_PROCESS_CPUTIME_ID));
	SHOW(wait_for(waits, WORDS, 0, &wrong, CLOCK_MONOTONIC));
	SHOW(wait_for(waits, WORDS, 0, (void *)8, CLOCK_MONOTONIC));
	SHOW(wait_for(waits, WORDS + 1, 0, &past, CLOCK_MONOTONIC));
	SHOW(wait_for(waits, WORDS, 0, &past, CLOCK_MONOTONIC));
	SHOW(wait_for(waits, WORDS, 0, &past, CLOCK_REALTIME));
	words[1] = 5;
	SHOW(wait_for(waits, WORDS, 0, NULL, 0));
	waits[1].value = 5;
	waits[1].reserved = 1;
	SHOW(wait_for(waits, WORDS, 0, &past, CLOCK_MONOTONIC));
	waits[1].reserved = 0;
	waits[1].address++;
	SHOW(wait_for(waits, WORDS, 0, &past, CLOCK_MONOTONIC));
	waits[1].address = 4;
	SHOW(wait_for(waits, WORDS, 0, &past, CLOCK_MONOTONIC));
	waits[1].address = (uintptr_t)&words[1];
	pthread_create(&thread, NULL, wake_third, NULL);
	SHOW(wait_for(waits, WORDS, 0, NULL, 0));
	pthread_join(thread, NULL);
	SHOW(syscall(SYS_futex, &words[0], 1 | PRIVATE, 1, NULL, NULL, 0)); /* nobody is left behind */
}

static void *waits_on(void *word)
{
	syscall(SYS_futex, word, 0 | PRIVATE, 0, NULL, NULL, 0);
	return NULL;
}

/* Waiters that are moved to where they are stay there, and are counted. */
static void test_moved_nowhere(void)
{
	static uint32_t word;
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, waits_on, &word);
	while (syscall(SYS_futex, &word, 3 | PRIVATE, 0, INT32_MAX, &word, 0) < 3)
		usleep(1000);
	SHOW(syscall(SYS_futex, &word, 4 | PRIVATE, 1, INT32_MAX, &word, 0));
	SHOW(syscall(SYS_futex, &word, 1 | PRIVATE, INT32_MAX, NULL, NULL, 0));
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	test_turns();
	test_spinning();
	test_group_exit();
	test_exec();
	test_between_processes();
	test_robust();
	test_timeouts();
	test_cancel();
	test_several();
	test_moved_nowhere();
	return 0;
}
