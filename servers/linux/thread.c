/* SPDX-License-Identifier: MIT */
/* Threads: creation, registers, alerts. */
#include <stdlib.h>
#include <string.h>
#include <pith/log.h>
#include <pith/object.h>
#include <pith/startup.h>
#include "address_space.h"
#include "balance.h"
#include "fiber_context.h"
#include "thread.h"

#define HASH_SIZE 1024

static struct thread *by_tid[HASH_SIZE];
static unsigned thread_total;
uint64_t threads_made;

struct thread *thread_find(int tid)
{
	struct thread *thread = by_tid[(unsigned)tid % HASH_SIZE];

	while (thread && thread->tid != tid)
		thread = thread->private->next_hash;
	return thread;
}

static void hash_insert(struct thread *thread)
{
	struct thread **slot = &by_tid[(unsigned)thread->tid % HASH_SIZE];

	thread->private->next_hash = *slot;
	*slot = thread;
}

static void hash_remove(struct thread *thread)
{
	struct thread **link = &by_tid[(unsigned)thread->tid % HASH_SIZE];

	while (*link != thread)
		link = &(*link)->private->next_hash;
	*link = thread->private->next_hash;
}

struct thread *thread_create(struct process *process, int tid)
{
	struct {
		struct thread thread;
		struct thread_private private;
	} *both = calloc(1, sizeof(*both));
	struct thread *thread = &both->thread, **last = &process->threads;

	if (!both || !fibers_reserve(thread_total + 1)) {
		free(both);
		return NULL;
	}
	thread->private = &both->private;
	thread->process = process;
	thread->tid = tid ? tid : pid_allocate();
	thread->private->affinity = UINT64_MAX;
	thread->private->balance.target = (uint8_t)startup()->cpu;
	thread->private->kernel = thread->tid ? kernel_thread_take(thread, startup()->cpu) : NULL;
	if (!thread->private->kernel) {
		free(both);
		return NULL;
	}
	memcpy(thread->comm, process->comm, sizeof(thread->comm));
	while (*last)
		last = &(*last)->next_in_process;
	*last = thread;
	process->thread_count++;
	process->live_threads++;
	thread_total++;
	threads_made++;
	hash_insert(thread);
	return thread;
}

void thread_end(struct thread *thread)
{
	struct process *process = thread->process;
	struct thread **link = &process->threads;

	hash_remove(thread);
	while (*link != thread)
		link = &(*link)->next_in_process;
	*link = thread->next_in_process;
	process->thread_count--;
	thread_total--;
	process->used.cpu_time += kernel_thread_time(thread->private->kernel);
	kernel_thread_release(thread->private->kernel);
	signal_queue_flush(&thread->private->pending, ~0ul);
}

void thread_set_tid(struct thread *thread, int tid)
{
	hash_remove(thread);
	thread->tid = tid;
	hash_insert(thread);
}

void thread_tell_name(struct thread *thread)
{
	thread_name(thread->private->kernel->object, thread->comm, (unsigned)thread->tid);
}

void thread_set_name(struct thread *thread, const char name[COMM_SIZE])
{
	memcpy(thread->comm, name, COMM_SIZE);
	if (thread->tid == thread->process->pid)
		memcpy(thread->process->comm, name, COMM_SIZE);
	thread_tell_name(thread);
}

void thread_begin(struct thread *thread, const struct thread_registers *registers)
{
	struct kernel_thread *kernel = thread->private->kernel;
	enum error error;

	kernel_thread_bind(kernel, thread->process->mm->space);
	kernel_thread_schedule(thread);
	balance_realtime(thread);
	thread_tell_name(thread);
	error = thread_write_registers(kernel->object, registers);
	if (error == ERR_NONE)
		error = thread_resume(kernel->object);
	if (error != ERR_NONE)
		log_error("thread %d cannot start: %s", thread->tid, error_text(error));
	if (thread->private->attention)
		thread_alert(thread);
	balance_note_user();
}

struct thread_registers *thread_registers(struct thread *thread)
{
	if (!thread->registers_valid) {
		enum error error = thread_read_registers(thread->private->kernel->object, &thread->registers);

		if (error != ERR_NONE)
			log_error("thread %d: reading registers: %s", thread->tid, error_text(error));
		thread->registers_valid = true;
	}
	return &thread->registers;
}

struct thread_registers *thread_registers_change(struct thread *thread)
{
	thread->private->registers_changed = true;
	return thread_registers(thread);
}

void thread_poke_in(struct thread *thread)
{
	struct thread_private *private = thread->private;

	if (private->reply || private->poked)
		return;
	thread_poke(private->kernel->object);
	private->poked = true;
}

void thread_alert(struct thread *thread)
{
	struct thread_private *private = thread->private;

	private->attention = true;
	if (thread->fiber) {
		fiber_context_interrupt(thread->fiber);
	} else {
		thread_poke_in(thread);
	}
}
