/* SPDX-License-Identifier: MIT */
/*
 * The one lock: it guards the derivation tree and everything that is not at home on one CPU (address spaces,
 * Untypeds, Windows). Who holds it never waits for anything. See docs/several-cpus.md.
 */
#pragma once

#include <kernel/arch.h>
#include <kernel/cpu.h>

/* Fair: first come, first served. */
struct ticket_lock {
	uint32_t next, serving;
};

extern struct ticket_lock tree_lock;

static inline void lock_take(struct ticket_lock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket)
		arch_pause();
}

static inline void lock_release(struct ticket_lock *lock)
{
	__atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

/* Does another CPU wait for a lock that this one holds? */
static inline bool lock_wanted(const struct ticket_lock *lock)
{
	return __atomic_load_n(&lock->next, __ATOMIC_RELAXED) -
	               __atomic_load_n(&lock->serving, __ATOMIC_RELAXED) >
	       1;
}

/*
 * Slots in CNodes are read without the lock by IPC and signals. Changes of slots are counted when they begin
 * and when they are done: who finds as many done before it reads as begun afterwards has read what was there
 * at one moment. Writers hold the lock and may nest.
 */
extern uint64_t tree_begun, tree_done;
void tree_write_begin(void);
void tree_write_end(void);

__attribute__((always_inline)) static inline uint64_t tree_read_begin(void)
{
	return __atomic_load_n(&tree_done, __ATOMIC_ACQUIRE);
}

/* What was read since then may belong to different capabilities. */
__attribute__((always_inline)) static inline bool tree_read_torn(uint64_t done)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return tree_begun != done; /* one aligned word, read once, between two fences for the compiler */
}

/* Should a long operation stop here and be repeated? For an interrupt, or another CPU. */
bool preempt_wanted(void);

/*
 * Debug kernels check all objects of all CPUs, so only one CPU is in the kernel at a time: from each entry
 * from user mode to the way out, but not while idle.
 */
#ifdef PITH_DEBUG
extern struct ticket_lock debug_lock;
void debug_lock_take(void);
void debug_lock_release(void);
#else
static inline void debug_lock_take(void)
{
}
static inline void debug_lock_release(void)
{
}
#endif
