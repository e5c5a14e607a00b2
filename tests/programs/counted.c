/* SPDX-License-Identifier: MIT */
/* Many signals with values and many hand-overs by futexes, between many threads and processes: each arrives
 * once. */
#include "check.h"
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { THREADS = 5, TURNS = 1000, ALL = THREADS * TURNS, PATIENCE = 60 /* seconds, then it is lost */ };

static struct {
	atomic_long count, sum, disorder;
	long last;
	atomic_int tid;
} of[THREADS]; /* of each sender */
static atomic_int handled;

static void take(int sender, long value)
{
	atomic_fetch_add(&of[sender].sum, value);
	atomic_fetch_add(&of[sender].count, 1);
}

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	take(signal - SIGRTMIN, info->si_value.sival_int);
	atomic_fetch_add(&handled, 1);
}

static int send(int sender, int value, int tid)
{
	siginfo_t info = {.si_code = SI_QUEUE};
	info.si_value.sival_int = value;
	info.si_pid = getpid();
	return (int)(tid != 0 ? syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, SIGRTMIN + sender, &info)
	                      : syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + sender, &info));
}

/* A sender's values, in ascending order. Where as many are queued as may be, it tries again. */
static void *send_all(int sender, int tid)
{
	for (int turn = 1; turn <= TURNS; turn++)
		while (send(sender, turn * (sender + 1), tid) != 0)
			if (errno != EAGAIN || sched_yield() != 0)
				return "";
	return NULL;
}

static void *send_to_process(void *argument)
{
	return send_all((int)(intptr_t)argument, 0);
}

static void *send_to_thread(void *argument)
{
	int sender = (int)(intptr_t)argument, tid;
	while ((tid = atomic_load(&of[sender].tid)) == 0)
		sched_yield();
	return send_all(sender, tid);
}

/* Waits for what one sender sends. */
static void *receive(void *argument)
{
	int sender = (int)(intptr_t)argument;
	sigset_t set;
	siginfo_t info;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + sender);
	atomic_store(&of[sender].tid, (int)syscall(SYS_gettid));
	for (int turn = 0; turn < TURNS; turn++) {
		if (sigtimedwait(&set, &info, &(struct timespec){PATIENCE, 0}) < 0)
			return "";
		take(sender, info.si_value.sival_int);
		atomic_fetch_add(&of[sender].disorder, info.si_value.sival_int <= of[sender].last);
		of[sender].last = info.si_value.sival_int;
	}
	return NULL;
}

/* Takes any by a handler, between its other instructions. */
static void *run_handlers(void *argument)
{
	time_t end = time(NULL) + PATIENCE;
	sigset_t set;
	(void)argument;
	sigemptyset(&set);
	for (int i = 0; i < THREADS; i++)
		sigaddset(&set, SIGRTMIN + i);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (unsigned i = 1; atomic_load(&handled) < ALL && time(NULL) < end; i++)
		if (i % 256 == 0)
			sched_yield();
	return atomic_load(&handled) == ALL ? NULL : "";
}

static void start(pthread_t threads[THREADS], void *(*body)(void *))
{
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, body, (void *)i) != 0)
			exit(1);
}

/* How many did not come to their end. */
static int join(pthread_t threads[THREADS])
{
	int failed = 0;
	for (int i = 0; i < THREADS; i++) {
		void *result;
		failed += pthread_join(threads[i], &result) != 0 || result != NULL;
	}
	return failed;
}

static void signals(const char *what, void *(*receiver)(void *), void *(*sender)(void *))
{
	pthread_t receivers[THREADS], senders[THREADS];
	memset(of, 0, sizeof(of));
	start(receivers, receiver);
	start(senders, sender);
	int failed = join(senders);
	printf("%s: %d senders and %d receivers failed\n", what, failed, join(receivers));
	for (int i = 0; i < THREADS; i++)
		printf("%ld signals, %ld in disorder, sum %ld\n", of[i].count, of[i].disorder, of[i].sum);
}

struct shared {
	atomic_uint baton[THREADS], items, ended;
	atomic_long passed, sum;
};
static struct shared *shared;

static int sleep_while(atomic_uint *word, unsigned value)
{
	struct timespec limit = {PATIENCE, 0};
	enum { WAIT = 0 };
	return syscall(SYS_futex, word, WAIT, value, &limit, NULL, 0) == 0 || errno != ETIMEDOUT;
}

static void wake(atomic_uint *word, int count)
{
	enum { WAKE = 1 };
	syscall(SYS_futex, word, WAKE, count, NULL, NULL, 0);
}

/* Gets the baton, passes it on. Nobody looks at it without having been woken: a wake that is lost is the end.
 */
static void *pass(void *argument)
{
	int me = (int)(intptr_t)argument, next = (me + 1) % THREADS;
	for (int turn = 0; turn < TURNS; turn++) {
		while (atomic_load(&shared->baton[me]) == 0)
			if (!sleep_while(&shared->baton[me], 0))
				return "";
		atomic_store(&shared->baton[me], 0);
		atomic_fetch_add(&shared->passed, 1);
		atomic_store(&shared->baton[next], 1);
		wake(&shared->baton[next], 1);
	}
	return NULL;
}

/* Puts items on a heap, each with its wake of one. */
static void *produce(void *argument)
{
	for (int turn = 0; turn < TURNS; turn++) {
		atomic_fetch_add(&shared->items, 1);
		wake(&shared->items, 1);
	}
	return (void)argument, NULL;
}

static void *consume(void *argument)
{
	for (int turn = 0; turn < TURNS; turn++) {
		unsigned items = atomic_load(&shared->items);
		while (items == 0 || !atomic_compare_exchange_weak(&shared->items, &items, items - 1)) {
			if (items == 0 && !sleep_while(&shared->items, 0))
				return "";
			items = atomic_load(&shared->items);
		}
		atomic_fetch_add(&shared->sum, 1);
	}
	return (void)argument, NULL;
}

static int processes(void *(*body)(void *))
{
	int failed = 0, status;
	for (intptr_t i = 0; i < THREADS; i++)
		if (fork() == 0)
			_exit(body((void *)i) != NULL);
	while (wait(&status) > 0)
		failed += status != 0;
	return failed;
}

static void hand_overs(const char *what, int among_processes)
{
	pthread_t threads[THREADS], others[THREADS];
	int failed;
	memset(shared, 0, sizeof(*shared));
	shared->baton[0] = 1;
	if (!among_processes)
		start(threads, pass);
	failed = among_processes ? processes(pass) : join(threads);
	printf("%s: %d failed, %ld hand-overs, the baton is at %s\n", what, failed, shared->passed,
	       shared->baton[0] ? "the first" : "another");
	start(threads, consume);
	if (!among_processes)
		start(others, produce);
	failed = among_processes ? processes(produce) : join(others);
	failed += join(threads);
	printf("%s: %d failed, %ld items, %u left\n", what, failed, shared->sum, shared->items);
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	sigset_t set;
	sigemptyset(&set);
	for (int i = 0; i < THREADS; i++) {
		sigaddset(&set, SIGRTMIN + i);
		sigaction(SIGRTMIN + i, &action, NULL);
	}
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	signals("to a process that waits", receive, send_to_process);
	signals("to threads that wait", receive, send_to_thread);
	signals("to handlers", run_handlers, send_to_process);
	hand_overs("threads", 0);
	hand_overs("processes", 1);
	return 0;
}
