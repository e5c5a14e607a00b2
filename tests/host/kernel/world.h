/* SPDX-License-Identifier: MIT */
/*
 * A kernel on the host: its memory is an arena, its CPU a fake, its user threads are the test. The test makes
 * system calls for whichever thread is current and looks at what came of it.
 */
#pragma once

#include <abi/syscall.h>
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/invariants.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/thread.h>
#include <kernel/vspace.h>
#include <kernel/window.h>

/* Boots a fresh kernel; init is current. The second has 4 MiB, which boots much faster. */
void world_boot(void);
void world_boot_small(void);
/* All its memory. */
void *world_memory(void);
extern uint64_t world_bytes;
extern unsigned world_cpus; /* of the next world */
/* What fake IOMMU the next one has: the level that its tables begin at, or 0: none. */
extern unsigned world_io_level;
/* The CPUs' TLBs have tags. */
extern bool world_tags;
extern uint64_t fake_now;
/* Every n-th look at pending interrupts finds one; 0: never. Not "always": each call of an operation must get
 * on. */
extern unsigned fake_interrupt_every;
extern char fake_log[4096];
/* Set when something is expected to panic; world_panics() then returns true. */
bool world_panics(void (*function)(void));

/* The thread that user mode of the acting CPU runs, or NULL when it idles for ever. */
struct thread *running(void);

struct call {
	uint64_t cap, info;
	uint64_t words[MESSAGE_REGISTER_WORDS];
	uint64_t reply, deadline;
};
/* Enter the kernel with a system call of the running thread; it may be another one that runs afterwards.
 * Repeats a call that was interrupted while the same thread runs. If the thread has a call of before to
 * finish, it does that instead. */
void enter(uint64_t number, const struct call *call);
/* Aborts if this call must not return this (documented.c). */
void documented_check(uint64_t number, const struct call *call, uint64_t status);
/* The thread was interrupted in a call, and makes it again when it runs. */
#define CALL_IP 0x700002ul /* behind the system call instruction of every thread */
bool restarts(const struct thread *thread);
void call_again(void);
/* Another CPU acts from now on. */
void act(unsigned cpu);
/* The acting CPU takes its mail, if it has any, and goes on with visits that were interrupted. */
void deliver(void);
/* All CPUs, until there is none left. */
void settle(void);
bool mail_waits(void);
/* Calls that come back are waited for, also when their thread travels; or not. */
extern bool world_waits;
/* The same for a call that comes back at once: its status. */
uint64_t syscall(uint64_t number, struct call *call);
uint64_t invoke6(uint64_t cap, unsigned operation, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                 uint64_t w4, uint64_t w5);
#define INVOKE(cap, operation, ...)                    INVOKE_(cap, operation, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define INVOKE_(cap, operation, a, b, c, d, e, f, ...) invoke6(cap, operation, a, b, c, d, e, f)
/* Result words of the last invoke6. */
extern struct call last;
/* By operation: successes, refusals. */
extern unsigned world_statistics[256][2];
/* The status and badge registers of a thread that came out of a wait. */
uint64_t status_of(struct thread *thread);
uint64_t badge_of(struct thread *thread);
uint64_t word_of(struct thread *thread, unsigned i);
uint64_t info_of(struct thread *thread);
/* A page fault of the running thread. */
void fault(uint64_t address, unsigned access);
void exception(unsigned vector);
/* A device's interrupt. */
void irq_fires(unsigned irq);
/* Let time pass, and the timer fire if it was set for then. */
void pass(uint64_t nanoseconds);
/* Configure it; all of the budget is there already, as it is a period later. */
void budget_set(struct sched_context *context, uint64_t budget, uint64_t period);

/* An interrupt without consequences: the scheduler chooses anew. */
void interrupt(void);

/* init's slot for new things. */
cptr_t new_slot(void);
/* Make one object out of a scratch Untyped of its own size class. */
cptr_t make(unsigned type, unsigned size_bits);
/* The same on another CPU, for types that have a home. */
cptr_t make_at(unsigned type, unsigned home);
/* A thread of the given priority, with init's VSpace and CSpace, an IPC buffer and a scheduling context,
 * resumed. */
cptr_t make_thread(unsigned priority);
cptr_t make_thread_at(unsigned priority, unsigned home);
struct thread *thread_at(cptr_t cap);
/* Run this thread next: it must be ready. (Yields of others until it runs.) */
void run(struct thread *thread);
struct slot *init_slot_at(cptr_t cap);
