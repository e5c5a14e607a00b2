/* SPDX-License-Identifier: MIT */
#include <kernel/lock.h>
#include <kernel/sched.h>

struct ticket_lock tree_lock;
uint64_t tree_begun, tree_done;
static unsigned writers; /* nested */

void tree_write_begin(void)
{
	if (writers++)
		return;
	__atomic_store_n(&tree_begun, tree_begun + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void tree_write_end(void)
{
	if (--writers == 0)
		__atomic_store_n(&tree_done, tree_begun, __ATOMIC_RELEASE);
}

#ifdef PITH_DEBUG
struct ticket_lock debug_lock;

void debug_lock_take(void)
{
	struct cpu *cpu = this_cpu();

	if (cpu->in_kernel)
		return;
	lock_take(&debug_lock);
	cpu->in_kernel = true;
}

void debug_lock_release(void)
{
	struct cpu *cpu = this_cpu();

	cpu->in_kernel = false;
	lock_release(&debug_lock);
}

static bool another_cpu_waits(void)
{
	return lock_wanted(&debug_lock);
}
#else
static bool another_cpu_waits(void)
{
	return lock_wanted(&tree_lock);
}
#endif

bool preempt_wanted(void)
{
	return another_cpu_waits() || arch_interrupt_pending();
}
