/* SPDX-License-Identifier: MIT */
/* Scheduling policies, locks that lend priority, robust locks. */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#define FUTEX_WAIT           0
#define FUTEX_WAKE           1
#define FUTEX_WAIT_BITSET    9
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_LOCK_PI        6
#define FUTEX_UNLOCK_PI      7
#define FUTEX_TRYLOCK_PI     8
#define FUTEX_WAITERS        0x80000000u
#define FUTEX_OWNER_DIED     0x40000000u
#define FUTEX_TID_MASK       0x3fffffffu

/* The calls themselves: musl does not offer all of them. */
static int set_policy(pid_t pid, int policy, int priority)
{
	struct sched_param parameters = {.sched_priority = priority};

	return (int)syscall(SYS_sched_setscheduler, pid, policy, &parameters);
}

static int get_priority(pid_t pid)
{
	struct sched_param parameters = {.sched_priority = -1};

	if (syscall(SYS_sched_getparam, pid, &parameters))
		return -1;
	return parameters.sched_priority;
}

static void show_policy(void)
{
	SHOW(syscall(SYS_sched_getscheduler, 0));
	SHOW(get_priority(0));
}

/* Priority, nice level, signal at the end, real-time priority, policy; and whether it runs where it may. */
static void show_stat(const char *path)
{
	char line[1024];
	const char *field = NULL;
	long numbers[53] = {0};
	cpu_set_t cpus;
	FILE *file = fopen(path, "r");

	if (file && fgets(line, sizeof(line), file))
		field = strrchr(line, ')') + 3; /* after the state, which is the third */
	for (int i = 4; field && i <= 52; i++)
		numbers[i] = strtol(field, (char **)&field, 10);
	if (file)
		fclose(file);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	printf("%ld %ld, %ld, %ld %ld, %s\n", numbers[18], numbers[19], numbers[38], numbers[40], numbers[41],
	       CPU_ISSET((size_t)numbers[39], &cpus) ? "on one of its CPUs" : "elsewhere");
}

static void *show_thread_stat(void *path)
{
	show_stat("/proc/thread-self/stat");
	SHOW(set_policy(0, SCHED_RR, 8));
	show_stat("/proc/thread-self/stat");
	show_stat("/proc/self/stat");
	return path;
}

static void test_stat(void)
{
	pthread_t thread;

	show_stat("/proc/self/stat");
	SHOW(setpriority(PRIO_PROCESS, 0, 5));
	show_stat("/proc/self/stat");
	SHOW(set_policy(0, SCHED_BATCH, 0));
	show_stat("/proc/self/stat");
	SHOW(set_policy(0, SCHED_FIFO, 50));
	show_stat("/proc/self/stat");
	SHOW(set_policy(0, SCHED_RR, 99));
	show_stat("/proc/self/stat");
	SHOW(set_policy(0, SCHED_FIFO, 1));
	show_stat("/proc/thread-self/stat");
	SHOW(pthread_create(&thread, NULL, show_thread_stat, NULL));
	pthread_join(thread, NULL);
}

static void test_policies(void)
{
	struct sched_param parameters = {.sched_priority = 7};
	struct timespec interval;

	show_policy();
	SHOW(set_policy(0, SCHED_FIFO, 0));
	SHOW(set_policy(0, SCHED_FIFO, 100));
	SHOW(set_policy(0, SCHED_OTHER, 1));
	SHOW(set_policy(0, 77, 0));
	SHOW(set_policy(0, -1, 0));
	SHOW(set_policy(-1, SCHED_FIFO, 1));
	SHOW(set_policy(999999, SCHED_FIFO, 1));
	SHOW(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, NULL));
	SHOW(syscall(SYS_sched_getparam, 0, NULL));
	SHOW(syscall(SYS_sched_getparam, -1, &parameters));
	SHOW(syscall(SYS_sched_setparam, 0, &parameters));
	SHOW(set_policy(0, SCHED_BATCH, 0));
	show_policy();
	SHOW(set_policy(0, SCHED_FIFO, 50));
	show_policy();
	SHOW(syscall(SYS_sched_rr_get_interval, 0, &interval));
	TELL(interval.tv_sec == 0 && interval.tv_nsec == 0);
	SHOW(syscall(SYS_sched_setparam, 0, &parameters));
	show_policy();
	SHOW(set_policy(0, SCHED_RR, 99));
	SHOW(syscall(SYS_sched_rr_get_interval, 0, &interval));
	TELL(interval.tv_sec == 0 && interval.tv_nsec == 100000000);
	show_child("a child inherits", show_policy);
	SHOW(set_policy(0, SCHED_RR | SCHED_RESET_ON_FORK, 3));
	show_policy();
	show_child("a child does not", show_policy);
	SHOW(set_policy(0, SCHED_OTHER, 0));
}

/* A thread has a number to be named by, too. */
static void *by_number(void *argument)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);

	SHOW(getpriority(PRIO_PROCESS, (id_t)tid));
	SHOW(setpriority(PRIO_PROCESS, (id_t)tid, 3));
	SHOW(getpriority(PRIO_PROCESS, (id_t)tid));
	SHOW(setpriority(PRIO_PROCESS, (id_t)tid, 0));
	SHOW(syscall(SYS_ioprio_set, 1, tid, 2 << 13 | 5));
	SHOW(syscall(SYS_ioprio_get, 1, tid));
	return argument;
}

static void test_numbers(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, by_number, NULL);
	pthread_join(thread, NULL);
	SHOW(setpriority(PRIO_PROCESS, 999999, 0));
}

static void as_another_user(void)
{
	SHOW(setuid(1000));
	SHOW(set_policy(0, SCHED_FIFO, 1));
	SHOW(set_policy(1, SCHED_FIFO, 1));
	SHOW(set_policy(0, SCHED_OTHER, 0));
}

/* ---- locks that lend priority ---- */

static uint32_t word;

static long lock(uint32_t *at, const struct timespec *until)
{
	return syscall(SYS_futex, at, FUTEX_LOCK_PI, 0, until, NULL, 0);
}

static long unlock(uint32_t *at)
{
	return syscall(SYS_futex, at, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}

static void test_clocks(void)
{
	static const struct timespec past = {1, 0}, short_while = {0, 1000};

	SHOW(syscall(SYS_futex, &word, FUTEX_WAIT, word, &short_while, NULL, 0));
	SHOW(syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, word, &short_while, NULL, 0));
	SHOW(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, word, &past, NULL, ~0u));
	SHOW(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, word, &past, NULL, ~0u));
	SHOW(syscall(SYS_futex, &word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, &past, NULL, 0));
	SHOW(syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
}

static void test_errors(void)
{
	static const struct timespec past = {1, 0};
	uint32_t nobody = 999999, self = (uint32_t)syscall(SYS_gettid);

	SHOW(lock(&word, NULL));
	TELL(word == self);
	SHOW(lock(&word, NULL));
	SHOW(syscall(SYS_futex, &word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	SHOW(unlock(&word));
	SHOW(word);
	SHOW(unlock(&word));
	SHOW(lock(&nobody, &past));
	SHOW(unlock(&nobody));
	SHOW(lock((uint32_t *)8, NULL));
	SHOW(lock((uint32_t *)((char *)&word + 1), NULL));
	word = (uint32_t)getpid() | FUTEX_WAITERS;
	SHOW(unlock(&word));
	SHOW(word);
}

static void *with_the_lock(void *argument)
{
	static const struct timespec past = {1, 0};

	(void)argument;
	SHOW(syscall(SYS_futex, &word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	SHOW(lock(&word, &past));
	SHOW(unlock(&word));
	return NULL;
}

static void *waits(void *argument)
{
	if (lock(&word, NULL))
		return (void *)-1;
	*(int *)argument += 1;
	unlock(&word);
	return NULL;
}

/* Three wait, one after the other they have it; the word is free in the end. */
static void test_handing_over(void)
{
	pthread_t threads[3], other;
	int passed = 0;

	SHOW(lock(&word, NULL));
	pthread_create(&other, NULL, with_the_lock, NULL);
	pthread_join(other, NULL);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, waits, &passed);
	while (!(__atomic_load_n(&word, __ATOMIC_ACQUIRE) & FUTEX_WAITERS))
		sched_yield();
	TELL(passed == 0);
	SHOW(unlock(&word));
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	SHOW(passed);
	SHOW(word);
}

static void *dies_with_it(void *argument)
{
	lock(&word, NULL);
	__atomic_store_n((int *)argument, 1, __ATOMIC_RELEASE);
	while (!(__atomic_load_n(&word, __ATOMIC_ACQUIRE) & FUTEX_WAITERS))
		sched_yield();
	return NULL;
}

static void test_owner_dies(void)
{
	pthread_t thread;
	int has = 0;

	pthread_create(&thread, NULL, dies_with_it, &has);
	while (!__atomic_load_n(&has, __ATOMIC_ACQUIRE))
		sched_yield();
	SHOW(lock(&word, NULL));
	TELL((word & FUTEX_TID_MASK) == (uint32_t)syscall(SYS_gettid));
	TELL(word & FUTEX_OWNER_DIED);
	SHOW(unlock(&word));
	pthread_join(thread, NULL);
}

/* ---- what is lent: one CPU, a low owner, a middle one that computes, a high one that waits ---- */

static volatile int running, finished;
static int order[3], places;

static void note(int who)
{
	order[__atomic_fetch_add(&places, 1, __ATOMIC_ACQ_REL)] = who;
}

static void burn(void)
{
	struct timespec now, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	end.tv_nsec += 50000000;
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while (now.tv_sec < end.tv_sec + end.tv_nsec / 1000000000 ||
	       (now.tv_sec == end.tv_sec + end.tv_nsec / 1000000000 &&
	        now.tv_nsec < end.tv_nsec % 1000000000));
}

static void *high(void *argument)
{
	(void)argument;
	set_policy(0, SCHED_FIFO, 30);
	lock(&word, NULL);
	note('h');
	unlock(&word);
	return NULL;
}

static void *middle(void *argument)
{
	(void)argument;
	set_policy(0, SCHED_FIFO, 20);
	burn();
	note('m');
	return NULL;
}

static void *low(void *argument)
{
	pthread_t threads[2];

	(void)argument;
	set_policy(0, SCHED_FIFO, 10);
	lock(&word, NULL);
	pthread_create(&threads[0], NULL, high, NULL);
	pthread_create(&threads[1], NULL, middle, NULL);
	while (!(__atomic_load_n(&word, __ATOMIC_ACQUIRE) & FUTEX_WAITERS))
		sched_yield();
	unlock(&word);
	note('l');
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	return NULL;
}

static void test_lending(void)
{
	uint64_t first_cpu = 1;
	pthread_t thread;

	SHOW(syscall(SYS_sched_setaffinity, 0, sizeof(first_cpu), &first_cpu));
	pthread_create(&thread, NULL, low, NULL);
	pthread_join(thread, NULL);
	printf("%c %c %c\n", order[0], order[1], order[2]);
}

/* ---- the C library's own ---- */

static pthread_mutex_t mutex;

static void *leaves_it_locked(void *argument)
{
	pthread_mutex_lock(&mutex);
	return argument;
}

static void test_mutex(int protocol)
{
	pthread_mutexattr_t attributes;
	pthread_t thread;

	pthread_mutexattr_init(&attributes);
	SHOW(-pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
	SHOW(-pthread_mutexattr_setprotocol(&attributes, protocol));
	SHOW(-pthread_mutex_init(&mutex, &attributes));
	pthread_create(&thread, NULL, leaves_it_locked, NULL);
	pthread_join(thread, NULL);
	SHOW(pthread_mutex_lock(&mutex) == EOWNERDEAD);
	SHOW(pthread_mutex_consistent(&mutex));
	SHOW(pthread_mutex_unlock(&mutex));
	SHOW(pthread_mutex_lock(&mutex));
	SHOW(pthread_mutex_unlock(&mutex));
	SHOW(pthread_mutex_destroy(&mutex));
}

int main(void)
{
	test_policies();
	show_child("what stat says", test_stat);
	test_numbers();
	show_child("another user", as_another_user);
	test_clocks();
	test_errors();
	test_handing_over();
	test_owner_dies();
	test_lending();
	test_mutex(PTHREAD_PRIO_NONE);
	test_mutex(PTHREAD_PRIO_INHERIT);
	return 0;
}
