/* SPDX-License-Identifier: MIT */
/*
 * Fibers (<pith/fiber.h>): stacks from a pool, one run queue, and the switch. The same code runs in
 * components and in host tests, where the address sanitizer is told about every switch.
 */
#include <stdlib.h>

#include <pith/fiber.h>
#include <pith/log.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define FIBER_CANARY 0x5f6962657243616eul

enum fiber_state {
	FIBER_FREE,
	FIBER_SUSPENDED,
	FIBER_RUNNABLE, /* in the run queue */
	FIBER_RUNNING,
	FIBER_FINISHED, /* its function has returned; the loop puts it back into the pool */
};

struct fiber {
	struct fiber *next; /* in the run queue or the free list */
	enum fiber_state state;
	void *stack_pointer; /* while it does not run */
	uint64_t *stack;     /* lowest word: the canary */
	size_t stack_size;
	fiber_function *function;
	void *argument;
	void *local;
	struct wait_entry wait; /* of wait_queue_wait and of locks: a fiber is in one of them at most */
	bool cancelable;        /* inside wait_queue_wait */
	void *sanitizer;
};

/* Invariant: a fiber is in at most one of `free` and the run queue; `current` is NULL exactly while the loop
 * runs. */
static struct {
	struct fiber *free;
	unsigned free_count;
	struct fiber *run_first, *run_last;
	struct fiber *current;
	void *loop_stack_pointer;
	void *loop_local;
	void *loop_sanitizer;
	const void *loop_stack;
	size_t loop_stack_size;
} fibers;

/* Saves the callee-saved registers and the stack pointer (to *save), continues at `to`. */
void fiber_switch(void **save, void *to);

#if defined(__x86_64__)
__asm__(".text\n"
        ".type fiber_switch, @function\n"
        ".globl fiber_switch\n"
        ".hidden fiber_switch\n"
        "fiber_switch:\n"
        "	endbr64\n"
        "	pushq %rbp\n"
        "	pushq %rbx\n"
        "	pushq %r12\n"
        "	pushq %r13\n"
        "	pushq %r14\n"
        "	pushq %r15\n"
        "	movq %rsp, (%rdi)\n"
        "	movq %rsi, %rsp\n"
        "	popq %r15\n"
        "	popq %r14\n"
        "	popq %r13\n"
        "	popq %r12\n"
        "	popq %rbx\n"
        "	popq %rbp\n"
        "	ret\n"
        ".size fiber_switch, . - fiber_switch\n");
#define SWITCH_FRAME_WORDS 7 /* six registers and the return address */
#else
#error "fiber_switch is missing for this architecture"
#endif

static inline void sanitizer_leave(void **save, const void *stack, size_t size)
{
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(save, stack, size);
#else
	(void)save;
	(void)stack;
	(void)size;
#endif
}

static inline void sanitizer_arrive(void *saved, const void **from, size_t *from_size)
{
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(saved, from, from_size);
#else
	(void)saved;
	(void)from;
	(void)from_size;
#endif
}

/* A fiber's way back to the loop. A finished fiber passes last = true: its fake stack is given up. */
static void switch_to_loop(struct fiber *fiber, bool last)
{
	fibers.current = NULL;
	sanitizer_leave(last ? NULL : &fiber->sanitizer, fibers.loop_stack, fibers.loop_stack_size);
	fiber_switch(&fiber->stack_pointer, fibers.loop_stack_pointer);
	sanitizer_arrive(fiber->sanitizer, &fibers.loop_stack, &fibers.loop_stack_size);
}

static void switch_to_fiber(struct fiber *fiber)
{
	fiber->state = FIBER_RUNNING;
	fibers.current = fiber;
	sanitizer_leave(&fibers.loop_sanitizer, fiber->stack, fiber->stack_size);
	fiber_switch(&fibers.loop_stack_pointer, fiber->stack_pointer);
	sanitizer_arrive(fibers.loop_sanitizer, NULL, NULL);
	if (fiber->stack[0] != FIBER_CANARY)
		fatal("fiber: stack overflow");
}

static void fiber_entry(void)
{
	struct fiber *fiber = fibers.current;

	sanitizer_arrive(NULL, &fibers.loop_stack, &fibers.loop_stack_size);
	fiber->function(fiber->argument);
	fiber->state = FIBER_FINISHED;
	switch_to_loop(fiber, true);
	__builtin_trap();
}

static void fiber_free(struct fiber *fiber)
{
	fiber->state = FIBER_FREE;
	fiber->next = fibers.free;
	fibers.free = fiber;
	fibers.free_count++;
}

bool fiber_pool_add_stack(void *stack, size_t stack_size)
{
	struct fiber *fiber = calloc(1, sizeof(*fiber));

	if (!fiber)
		return false;
	fiber->stack = stack;
	fiber->stack[0] = FIBER_CANARY;
	fiber->stack_size = stack_size;
	fiber_free(fiber);
	return true;
}

bool fiber_pool_add(unsigned count, size_t stack_size)
{
	for (unsigned i = 0; i < count; i++) {
		void *stack = aligned_alloc(PAGE_SIZE, stack_size);

		if (!stack || !fiber_pool_add_stack(stack, stack_size)) {
			free(stack);
			return false;
		}
	}
	return true;
}

unsigned fiber_pool_free(void)
{
	return fibers.free_count;
}

struct fiber *fiber_create(fiber_function *function, void *argument)
{
	struct fiber *fiber = fibers.free;
	void **frame;

	if (!fiber)
		return NULL;
	fibers.free = fiber->next;
	fibers.free_count--;
	fiber->state = FIBER_SUSPENDED;
	fiber->function = function;
	fiber->argument = argument;
	fiber->local = NULL;
	fiber->cancelable = false;
	fiber->sanitizer = NULL;
	/* At entry of a function the stack pointer is 8 below a multiple of 16: after the return address was
	 * popped. */
	frame = (void **)((char *)fiber->stack + fiber->stack_size) - 1 - SWITCH_FRAME_WORDS;
	for (unsigned i = 0; i < SWITCH_FRAME_WORDS - 1; i++)
		frame[i] = NULL;
	frame[SWITCH_FRAME_WORDS - 1] = (void *)fiber_entry;
	frame[SWITCH_FRAME_WORDS] = NULL; /* ends a backtrace */
	fiber->stack_pointer = frame;
	return fiber;
}

struct fiber *fiber_start(fiber_function *function, void *argument)
{
	struct fiber *fiber = fiber_create(function, argument);

	if (fiber)
		fiber_resume(fiber);
	return fiber;
}

struct fiber *fiber_current(void)
{
	return fibers.current;
}

void fiber_suspend(void)
{
	struct fiber *fiber = fibers.current;

	if (!fiber)
		fatal("fiber: the loop cannot suspend");
	fiber->state = FIBER_SUSPENDED;
	switch_to_loop(fiber, false);
}

static void run_queue_add(struct fiber *fiber)
{
	fiber->state = FIBER_RUNNABLE;
	fiber->next = NULL;
	if (fibers.run_last)
		fibers.run_last->next = fiber;
	else
		fibers.run_first = fiber;
	fibers.run_last = fiber;
}

void fiber_yield(void)
{
	struct fiber *fiber = fibers.current;

	if (!fiber)
		fatal("fiber: the loop cannot yield");
	run_queue_add(fiber);
	switch_to_loop(fiber, false);
}

void fiber_resume(struct fiber *fiber)
{
	if (fiber->state == FIBER_SUSPENDED)
		run_queue_add(fiber);
}

bool fiber_any_runnable(void)
{
	return fibers.run_first != NULL;
}

void fiber_run_all(void)
{
	struct fiber *fiber;

	if (fibers.current)
		fatal("fiber: fiber_run_all inside a fiber");
	while ((fiber = fibers.run_first)) {
		fibers.run_first = fiber->next;
		if (!fibers.run_first)
			fibers.run_last = NULL;
		switch_to_fiber(fiber);
		if (fiber->state == FIBER_FINISHED)
			fiber_free(fiber);
	}
}

void *fiber_local(void)
{
	return fibers.current ? fibers.current->local : fibers.loop_local;
}

void fiber_set_local(void *value)
{
	if (fibers.current)
		fibers.current->local = value;
	else
		fibers.loop_local = value;
}

void *fiber_local_of(struct fiber *fiber)
{
	return fiber->local;
}

/* ---- wait queues ---- */

void wait_entry_init(struct wait_entry *entry)
{
	*entry = (struct wait_entry){.fiber = fibers.current};
}

void wait_queue_add(struct wait_queue *queue, struct wait_entry *entry)
{
	entry->queue = queue;
	entry->next = NULL;
	entry->previous = queue->last;
	entry->woken = false;
	if (queue->last)
		queue->last->next = entry;
	else
		queue->first = entry;
	queue->last = entry;
}

void wait_entry_remove(struct wait_entry *entry)
{
	struct wait_queue *queue = entry->queue;

	if (!queue)
		return;
	if (entry->previous)
		entry->previous->next = entry->next;
	else
		queue->first = entry->next;
	if (entry->next)
		entry->next->previous = entry->previous;
	else
		queue->last = entry->previous;
	entry->next = entry->previous = NULL;
	entry->queue = NULL;
}

void wait_entry_wake(struct wait_entry *entry, int result)
{
	wait_entry_remove(entry);
	entry->result = result;
	entry->woken = true;
	if (entry->callback)
		entry->callback(entry);
	else if (entry->fiber)
		fiber_resume(entry->fiber);
}

/* The queue may be gone when the wait is over (its object freed by the waker): the entry no longer refers to
 * it then. */
static int wait_in_queue(struct wait_queue *queue, void *data, bool cancelable)
{
	struct fiber *fiber = fibers.current;

	if (!fiber)
		fatal("fiber: the loop cannot wait");
	wait_entry_init(&fiber->wait);
	fiber->wait.data = data;
	wait_queue_add(queue, &fiber->wait);
	fiber->cancelable = cancelable;
	while (!fiber->wait.woken)
		fiber_suspend();
	fiber->cancelable = false;
	return fiber->wait.result;
}

int wait_queue_wait(struct wait_queue *queue)
{
	return wait_in_queue(queue, NULL, true);
}

bool wait_queue_wake_one(struct wait_queue *queue, int result)
{
	if (!queue->first)
		return false;
	wait_entry_wake(queue->first, result);
	return true;
}

/* Wakes those who wait now: a callback that queues its entry again is not woken twice. */
unsigned wait_queue_wake_all(struct wait_queue *queue, int result)
{
	struct wait_entry *last = queue->last, *entry;
	unsigned count = 0;

	while ((entry = queue->first)) {
		bool end = entry == last;

		wait_entry_wake(entry, result);
		count++;
		if (end)
			break;
	}
	return count;
}

bool fiber_cancel_wait(struct fiber *fiber, int result)
{
	if (!fiber->cancelable || fiber->wait.woken)
		return false;
	wait_entry_wake(&fiber->wait, result);
	return true;
}

/* ---- locks ---- */

/* Waits for locks cannot be canceled: the holder hands the lock to the entry's fiber. */
static void lock_wait(struct wait_queue *queue, void *data)
{
	wait_in_queue(queue, data, false);
}

bool fiber_mutex_try_lock(struct fiber_mutex *mutex)
{
	if (mutex->owner)
		return false;
	mutex->owner = fibers.current;
	return true;
}

void fiber_mutex_lock(struct fiber_mutex *mutex)
{
	if (!fiber_mutex_try_lock(mutex))
		lock_wait(&mutex->waiters, NULL);
}

void fiber_mutex_unlock(struct fiber_mutex *mutex)
{
	struct wait_entry *next = mutex->waiters.first;

	mutex->owner = next ? next->fiber : NULL;
	if (next)
		wait_entry_wake(next, 0);
}

void fiber_rwlock_read(struct fiber_rwlock *lock)
{
	if (!lock->writer && wait_queue_empty(&lock->waiters))
		lock->readers++;
	else
		lock_wait(&lock->waiters, NULL);
}

void fiber_rwlock_write(struct fiber_rwlock *lock)
{
	if (!lock->writer && !lock->readers)
		lock->writer = fibers.current;
	else
		lock_wait(&lock->waiters, lock);
}

/* Hands the free (or read-held) lock to the first writer, or to all readers before the first writer. */
static void rwlock_hand_over(struct fiber_rwlock *lock)
{
	struct wait_entry *entry;

	while ((entry = lock->waiters.first)) {
		if (entry->data) {
			if (lock->readers)
				return;
			lock->writer = entry->fiber;
			wait_entry_wake(entry, 0);
			return;
		}
		lock->readers++;
		wait_entry_wake(entry, 0);
	}
}

void fiber_rwlock_downgrade(struct fiber_rwlock *lock)
{
	lock->writer = NULL;
	lock->readers = 1;
	rwlock_hand_over(lock);
}

void fiber_rwlock_unlock_read(struct fiber_rwlock *lock)
{
	if (--lock->readers == 0)
		rwlock_hand_over(lock);
}

void fiber_rwlock_unlock_write(struct fiber_rwlock *lock)
{
	lock->writer = NULL;
	rwlock_hand_over(lock);
}
