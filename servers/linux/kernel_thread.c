/* SPDX-License-Identifier: MIT */
/*
 * The kernel's objects behind threads: a Thread with its SchedContext, marked foreign, whose system calls,
 * faults and exceptions come to this server's Endpoint with the thread's number as badge.
 */
#include <sched.h>
#include <stdlib.h>
#include <pith/log.h>
#include <pith/slots.h>
#include <pith/startup.h>
#include "space.h"
#include "realtime.h"
#include "thread.h"

#define SLICE_NS       10000000ul /* of nice 0 */
#define SLICE_MAX_NS   100000000ul
#define ROUND_SLICE_NS 100000000ul
#define FIFO_SLICE_NS  1000000000ul
#define NICE_MAX       19
/* Those of SCHED_FIFO and SCHED_RR are above all others, and below this server. */
#define PRIORITY_NORMAL    21
#define PRIORITY_REALTIME  40
#define PRIORITY_THROTTLED 1

static struct {
	struct kernel_thread **table; /* by number, from 1 */
	uint32_t count, capacity;
	struct kernel_thread *free[BALANCE_CPUS];
	cptr_t service, cpu_time[BALANCE_CPUS];
} kernel_threads;

void kernel_threads_init(cptr_t service)
{
	kernel_threads.service = service;
	for (unsigned cpu = 0; cpu < BALANCE_CPUS && cpu < startup()->cpu_count; cpu++)
		kernel_threads.cpu_time[cpu] = startup_need("cpu-time", STARTUP_CAPABILITY, cpu)->slot;
}

struct kernel_thread *kernel_thread_of(badge_t badge)
{
	return badge && badge <= kernel_threads.count ? kernel_threads.table[badge - 1] : NULL;
}

static bool check(enum error error, const char *what)
{
	if (error != ERR_NONE)
		log_error("thread: %s: %s", what, error_text(error));
	return error == ERR_NONE;
}

unsigned thread_priority(const struct thread *thread)
{
	unsigned own = PRIORITY_NORMAL;

	if (thread->private->priority)
		own = realtime_throttled(thread->private->kernel->cpu)
		              ? PRIORITY_THROTTLED
		              : PRIORITY_REALTIME + (unsigned)thread->private->priority;

	return own > thread->private->lent ? own : thread->private->lent;
}

/*
 * All take turns, so a turn's length is its weight: 5/4 for each nice step, as with Linux. Who waits for a
 * turn is not to wait long, so the weights of the last few negative steps are one.
 */
static uint64_t slice_of_nice(int nice)
{
	uint64_t slice = SLICE_NS;

	for (; nice > 0; nice--)
		slice = slice * 4 / 5;
	for (; nice < 0 && slice < SLICE_MAX_NS; nice++)
		slice = slice * 5 / 4;
	return slice < SLICE_MAX_NS ? slice : SLICE_MAX_NS;
}

static uint64_t slice_of(const struct thread *thread)
{
	switch (thread->private->policy) {
	case SCHED_FIFO:
		return FIFO_SLICE_NS;
	case SCHED_RR:
		return ROUND_SLICE_NS;
	case SCHED_IDLE:
		return slice_of_nice(NICE_MAX);
	default:
		return slice_of_nice(thread->process->nice);
	}
}

void kernel_thread_schedule(struct thread *thread)
{
	struct kernel_thread *kernel = thread->private->kernel;
	cptr_t time = kernel_threads.cpu_time[kernel->cpu];
	unsigned priority = thread_priority(thread);
	uint64_t slice = slice_of(thread);

	if (thread->private->priority)
		realtime_watch();
	if (kernel->priority != priority &&
	    check(thread_set_priority(kernel->object, time, priority), "priority"))
		kernel->priority = priority;
	if (kernel->slice != slice &&
	    check(cpu_time_configure(time, kernel->sched_context, slice, slice), "slice"))
		kernel->slice = slice;
}

/* Who gets a new priority becomes the last of it. */
void kernel_thread_yield(struct kernel_thread *kernel)
{
	cptr_t time = kernel_threads.cpu_time[kernel->cpu];

	check(thread_set_priority(kernel->object, time, kernel->priority - 1), "priority");
	check(thread_set_priority(kernel->object, time, kernel->priority), "priority");
}

static bool table_grow(void)
{
	uint32_t capacity = kernel_threads.capacity ? kernel_threads.capacity * 2 : 64;
	struct kernel_thread **table;

	if (kernel_threads.count < kernel_threads.capacity)
		return true;
	table = realloc(kernel_threads.table, capacity * sizeof(struct kernel_thread *));
	if (!table)
		return false;
	kernel_threads.table = table;
	kernel_threads.capacity = capacity;
	return true;
}

/* The Endpoint with the thread's badge is needed for binding only: the kernel keeps a capability of its own.
 */
static bool bind_syscalls(struct kernel_thread *kernel)
{
	cptr_t badged = slot_allocate();
	bool ok;

	if (!badged)
		return false;
	ok = check(capability_derive(badged, kernel_threads.service, RIGHT_WRITE, kernel->number, 0),
	           "derive") &&
	     check(thread_bind(kernel->object, BIND_SYSCALL, badged), "bind syscalls");
	capability_delete(badged);
	slot_free(badged);
	return ok;
}

static bool configure(struct kernel_thread *kernel)
{
	cptr_t time = kernel_threads.cpu_time[kernel->cpu];

	kernel->priority = PRIORITY_NORMAL;
	kernel->slice = SLICE_NS;
	return check(cpu_time_configure(time, kernel->sched_context, SLICE_NS, SLICE_NS), "slice") &&
	       check(thread_bind(kernel->object, BIND_SCHED_CONTEXT, kernel->sched_context), "bind slice") &&
	       check(thread_set_foreign(kernel->object, true), "foreign") &&
	       check(thread_set_priority(kernel->object, time, kernel->priority), "priority") &&
	       bind_syscalls(kernel);
}

static struct kernel_thread *kernel_thread_create(unsigned cpu)
{
	struct kernel_thread *kernel;
	cptr_t reply;

	if (!table_grow())
		return NULL;
	kernel = calloc(1, sizeof(*kernel));
	if (!kernel)
		return NULL;
	kernel->number = kernel_threads.count + 1;
	kernel->cpu = cpu;
	kernel->object = object_create_on(cpu, OBJECT_THREAD, 0);
	kernel->sched_context = object_create_on(cpu, OBJECT_SCHED_CONTEXT, 0);
	reply = object_create(OBJECT_REPLY, 0);
	if (kernel->object && kernel->sched_context && reply && configure(kernel)) {
		reply_give(reply);
		kernel_threads.table[kernel_threads.count++] = kernel;
		return kernel;
	}
	if (kernel->object)
		object_destroy(kernel->object);
	if (kernel->sched_context)
		object_destroy(kernel->sched_context);
	if (reply)
		object_destroy(reply);
	free(kernel);
	return NULL;
}

struct kernel_thread *kernel_thread_take(struct thread *thread, unsigned cpu)
{
	struct kernel_thread *kernel = kernel_threads.free[cpu];

	if (kernel)
		kernel_threads.free[cpu] = kernel->next_free;
	else
		kernel = kernel_thread_create(cpu);
	if (kernel)
		kernel->thread = thread;
	return kernel;
}

void kernel_thread_release(struct kernel_thread *kernel)
{
	kernel->thread = NULL;
	kernel->time_base += kernel_thread_time(kernel);
	thread_write_vector(kernel->object, NULL, 0);
	/* The address space may be given away and must not be found again by this thread. */
	thread_bind(kernel->object, BIND_VSPACE, CPTR_NULL);
	kernel->vspace = CPTR_NULL;
	kernel->next_free = kernel_threads.free[kernel->cpu];
	kernel_threads.free[kernel->cpu] = kernel;
}

bool kernel_thread_bind(struct kernel_thread *kernel, struct space *space)
{
	cptr_t vspace = space_vspace(space);

	if (kernel->vspace == vspace)
		return true;
	/* Replaced, not unbound first: that would stop the thread and end its call. */
	if (!check(thread_bind(kernel->object, BIND_VSPACE, vspace), "bind address space"))
		return false;
	kernel->vspace = vspace;
	return true;
}

uint64_t kernel_thread_time(const struct kernel_thread *kernel)
{
	struct thread_info info;

	if (thread_info(kernel->object, &info) != ERR_NONE)
		return 0;
	return info.cpu_time - kernel->time_base;
}
