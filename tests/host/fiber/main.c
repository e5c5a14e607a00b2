/* SPDX-License-Identifier: MIT */
/* Fibers, wait queues and locks of lib/pith/fiber.c on the host, with address sanitizer's eyes on the stacks.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <pith/fiber.h>
#include <pith/log.h>

#include "check.h"

void fatal(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	exit(2);
}

static char trace[256];

static void note(char c)
{
	size_t length = strlen(trace);

	trace[length] = c;
	trace[length + 1] = 0;
}

static void letter_twice(void *argument)
{
	char c = *(char *)argument;

	note(c);
	fiber_yield();
	note(c);
}

static void test_order(void)
{
	char names[] = "abc";

	trace[0] = 0;
	for (unsigned i = 0; i < 3; i++)
		CHECK(fiber_start(letter_twice, &names[i]) != NULL);
	CHECK(fiber_current() == NULL && fiber_any_runnable());
	fiber_run_all();
	CHECK(!strcmp(trace, "abcabc"));
	CHECK(!fiber_any_runnable());
}

static void test_pool_exhausted(void)
{
	unsigned free_fibers = fiber_pool_free();
	struct fiber *fiber = NULL;
	char name = 'x';

	trace[0] = 0;
	for (unsigned i = 0; i < free_fibers; i++)
		fiber = fiber_start(letter_twice, &name);
	CHECK(fiber != NULL);
	CHECK(fiber_create(letter_twice, &name) == NULL);
	fiber_run_all();
	CHECK(fiber_pool_free() == free_fibers);
	CHECK(strlen(trace) == 2 * free_fibers);
}

static struct wait_queue queue;
static int results[8];

static void waiter(void *argument)
{
	results[(uintptr_t)argument] = wait_queue_wait(&queue);
}

static void test_wait_queue(void)
{
	struct fiber *fiber[4];

	memset(results, 0x55, sizeof(results));
	for (uintptr_t i = 0; i < 4; i++)
		fiber[i] = fiber_start(waiter, (void *)i);
	fiber_run_all();
	fiber_resume(fiber[0]); /* a wake-up that nobody meant: it goes on waiting */
	fiber_run_all();
	CHECK(results[0] == 0x55555555);
	CHECK(fiber_cancel_wait(fiber[2], -4));
	CHECK(!fiber_cancel_wait(fiber[2], -5));
	CHECK(wait_queue_wake_one(&queue, 1));
	fiber_run_all();
	CHECK(results[0] == 1 && results[1] == 0x55555555 && results[2] == -4);
	CHECK(wait_queue_wake_all(&queue, 7) == 2);
	fiber_run_all();
	CHECK(results[1] == 7 && results[3] == 7);
	CHECK(!wait_queue_wake_one(&queue, 0) && wait_queue_empty(&queue));
}

static struct wait_queue other;

static void poller(void *argument)
{
	struct wait_entry a, b;

	(void)argument;
	wait_entry_init(&a);
	wait_entry_init(&b);
	wait_queue_add(&queue, &a);
	wait_queue_add(&other, &b);
	while (!a.woken && !b.woken)
		fiber_suspend();
	wait_entry_remove(&a);
	wait_entry_remove(&b);
	note(a.woken ? 'a' : '-');
	note(b.woken ? 'b' : '-');
}

static void test_poll(void)
{
	trace[0] = 0;
	fiber_start(poller, NULL);
	fiber_run_all();
	wait_queue_wake_one(&other, 0);
	fiber_run_all();
	CHECK(!strcmp(trace, "-b"));
	CHECK(wait_queue_empty(&queue) && wait_queue_empty(&other));
}

static struct fiber_mutex mutex;

static void locker(void *argument)
{
	char c = *(char *)argument;

	fiber_mutex_lock(&mutex);
	CHECK(mutex.owner == fiber_current());
	note(c);
	fiber_yield();
	fiber_yield();
	note(c);
	fiber_mutex_unlock(&mutex);
}

static void test_mutex(void)
{
	char names[] = "abc";

	trace[0] = 0;
	for (unsigned i = 0; i < 3; i++)
		fiber_start(locker, &names[i]);
	fiber_run_all();
	CHECK(!strcmp(trace, "aabbcc"));
	CHECK(mutex.owner == NULL && wait_queue_empty(&mutex.waiters));
}

static struct fiber_rwlock rwlock;

static void reader(void *argument)
{
	(void)argument;
	fiber_rwlock_read(&rwlock);
	note('r');
	fiber_yield();
	note('r');
	fiber_rwlock_unlock_read(&rwlock);
}

static void writer(void *argument)
{
	(void)argument;
	fiber_rwlock_write(&rwlock);
	note('w');
	fiber_yield();
	note('W');
	fiber_rwlock_unlock_write(&rwlock);
}

static void test_rwlock(void)
{
	trace[0] = 0;
	fiber_start(reader, NULL);
	fiber_start(reader, NULL);
	fiber_start(writer, NULL);
	fiber_start(reader, NULL); /* behind the writer, although readers hold the lock */
	fiber_start(writer, NULL);
	fiber_run_all();
	CHECK(!strcmp(trace, "rrrrwWrrwW"));
	CHECK(!rwlock.readers && !rwlock.writer && wait_queue_empty(&rwlock.waiters));
}

static void set_local(void *argument)
{
	CHECK(fiber_local() == NULL);
	fiber_set_local(argument);
	fiber_yield();
	CHECK(fiber_local() == argument);
}

static void test_local(void)
{
	int a, b;
	struct fiber *fiber = fiber_start(set_local, &a);

	fiber_start(set_local, &b);
	fiber_set_local(&queue);
	fiber_run_all();
	CHECK(fiber_local() == &queue);
	(void)fiber;
}

int main(void)
{
	CHECK(fiber_pool_add(8, 64 * 1024));
	CHECK(fiber_pool_free() == 8);
	test_order();
	test_pool_exhausted();
	test_wait_queue();
	test_poll();
	test_mutex();
	test_rwlock();
	test_local();
	return checks_report();
}
