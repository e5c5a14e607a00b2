/* SPDX-License-Identifier: MIT */
/* Out of memory: who has to go. */
#include "oom.h"
#include <errno.h>
#include <signal.h>
#include <pith/log.h>
#include <pith/startup.h>
#include "address_space.h"
#include "fs/internal.h"
#include "thread.h"

/* Frames that are not the page cache's. alone: that its end would surely give back, since no copy shares
 * them. */
static size_t memory_pages(struct process *process, bool alone)
{
	uint64_t page = 0;
	size_t count = 0;
	entry_t *entry;

	if (!process->mm)
		return 0;
	for (; (entry = page_map_next(&process->mm->pages, &page, UINT64_MAX)); page++) {
		const struct page *frame = page_of(*entry & ENTRY_PFN);

		count += !(frame->flags & PAGE_CACHE) && (!alone || frame->references == 1);
	}
	return count;
}

long oom_badness(struct process *process)
{
	size_t tables = process->mm ? space_tables(process->mm->space) : 0;

	return (long)(memory_pages(process, false) + tables) +
	       process->oom_adjust * (long)pages_total() / 1000;
}

#define OPEN_FILE_BYTES 1024 /* with what it is of */

/* The same where frames are left, but no memory for the server's records: in bytes of those. */
static long records_badness(const struct process *process)
{
	size_t bytes = process->files ? file_table_end(process->files) * OPEN_FILE_BYTES : 0;

	if (process->mm)
		bytes += process->mm->pages.count * sizeof(struct page_chunk) +
		         process->mm->regions.count * sizeof(struct vma);
	return (long)bytes + process->oom_adjust * (long)heap_part(1000);
}

#define VICTIM_NS \
	1000000000ul /* that a process has to end and give its memory back, until another one has to */

/* Of equals the youngest, which the list begins with. */
static struct process *biggest(void)
{
	struct process *best = NULL, *late = NULL;
	long best_badness = 0;
	bool records = heap_is_low() && pages_free() > 0;

	for (struct process *process = process_first(); process; process = process_next(process)) {
		long badness;

		if (process->pid == 1 || process->zombie || !process->mm)
			continue;
		/* It is on its way already, unless it needs a lock that one holds who needs memory. */
		if (process->group_exit) {
			if (!memory_pages(process, true))
				continue;
			if (!process->oom_time)
				process->oom_time = time_now();
			if (time_now() - process->oom_time < VICTIM_NS)
				return process;
			late = process;
			continue;
		}
		badness = records ? records_badness(process) : oom_badness(process);
		if (process->oom_adjust > OOM_ADJUST_NEVER && (!best || badness > best_badness)) {
			best = process;
			best_badness = badness;
		}
	}
	return best ? best : late ? late : process_init();
}

void oom_kill(void)
{
	struct process *victim = biggest();

	if (!victim)
		return;
	if (!victim->group_exit) {
		log_error("out of memory: killed %s (%d), %zu KiB", victim->comm, victim->pid,
		          process_resident_pages(victim) * 4);
		process_exit_group(victim, SIGKILL);
	}
	/* The victim ends on its own fibers; others get on meanwhile. */
	if (!current_thread() || current_thread()->process != victim)
		/* even with a signal pending: the victim must run */
		if (wait_suspend(false, time_now() + 1000000) == -ENOMEM)
			fiber_yield();
}
