/* SPDX-License-Identifier: MIT */
/* The table of processes: numbers, families, groups and sessions. */
#include <stdlib.h>
#include <string.h>
#include <pith/startup.h>
#include "capability.h"
#include "address_space.h"
#include "limits.h"
#include "thread.h"
#include "vfs.h"

#define HASH_SIZE 1024
#define PID_MAX   32768
#define PID_FIRST 300 /* after a wrap: low numbers stay those of the system's own */

static struct process *all, *by_pid[HASH_SIZE];
static int last_pid;

struct process *process_first(void)
{
	return all;
}

struct process *process_next(struct process *process)
{
	return process->next_all;
}

struct process *process_find(int pid)
{
	struct process *process = by_pid[(unsigned)pid % HASH_SIZE];

	while (process && process->pid != pid)
		process = process->next_hash;
	return process;
}

/* A number is in use as long as a process, a thread, a group or a session has it. */
bool pid_used(int pid)
{
	if (process_find(pid) || thread_find(pid))
		return true;
	for (struct process *process = all; process; process = process->next_all)
		if (process->pgid == pid || process->sid == pid)
			return true;
	return false;
}

int pid_allocate(void)
{
	for (int tries = 0; tries < PID_MAX; tries++) {
		last_pid = last_pid + 1 < PID_MAX ? last_pid + 1 : PID_FIRST;
		if (!pid_used(last_pid))
			return last_pid;
	}
	return 0;
}

int pid_last(void)
{
	return last_pid;
}

struct process *process_create(struct process *parent)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		return NULL;
	process->signals = signal_state_create(parent ? parent->signals : NULL);
	if (!process->signals) {
		free(process);
		return NULL;
	}
	process->exit_signal = 17; /* SIGCHLD */
	process->children_end = &process->children;
	process->start_time = time_now();
	if (!parent) {
		limits_init(process->limits);
		capabilities_init(&process->credentials);
		process->login_uid = UINT32_MAX;
		return process;
	}
	process->parent = parent;
	process->pgid = parent->pgid;
	process->sid = parent->sid;
	process->credentials = parent->credentials;
	group_list_get(process->credentials.groups);
	process->tty = parent->tty;
	process->nice = parent->nice;
	process->io_priority = parent->io_priority;
	process->personality = parent->personality;
	process->login_uid = parent->login_uid;
	process->no_new_privileges = parent->no_new_privileges;
	process->not_dumpable = parent->not_dumpable;
	process->no_huge_pages = parent->no_huge_pages;
	process->private_barriers = parent->private_barriers;
	process->oom_adjust = parent->oom_adjust;
	process->oom_adjust_least = parent->oom_adjust_least;
	process->start = parent->start;
	memcpy(process->comm, parent->comm, sizeof(process->comm));
	memcpy(process->limits, parent->limits, sizeof(process->limits));
	return process;
}

static void family_join(struct process *process)
{
	if (!process->parent)
		return;
	/* at the end: wait looks at the oldest first */
	process->sibling = NULL;
	process->sibling_link = process->parent->children_end;
	*process->sibling_link = process;
	process->parent->children_end = &process->sibling;
}

static void family_leave(struct process *process)
{
	if (!process->parent)
		return;
	if (process->sibling_link) { /* else it was never published */
		*process->sibling_link = process->sibling;
		if (process->sibling)
			process->sibling->sibling_link = process->sibling_link;
		else
			process->parent->children_end = process->sibling_link;
	}
	process->sibling = NULL;
	process->sibling_link = NULL;
	process->parent = NULL;
}

void process_set_parent(struct process *process, struct process *parent)
{
	family_leave(process);
	process->parent = parent;
	family_join(process);
}

void process_publish(struct process *process)
{
	struct process **slot = &by_pid[(unsigned)process->pid % HASH_SIZE];

	process->next_hash = *slot;
	*slot = process;
	process->next_all = all;
	if (all)
		all->all_link = &process->next_all;
	process->all_link = &all;
	all = process;
	family_join(process);
}

static void unpublish(struct process *process)
{
	struct process **link = &by_pid[(unsigned)process->pid % HASH_SIZE];

	if (!process->all_link)
		return;
	while (*link != process)
		link = &(*link)->next_hash;
	*link = process->next_hash;
	*process->all_link = process->next_all;
	if (process->next_all)
		process->next_all->all_link = process->all_link;
	family_leave(process);
}

void process_free(struct process *process)
{
	unpublish(process);
	pidfds_forget(process);
	if (process->mm)
		mm_put(process->mm);
	if (process->files)
		file_table_put(process->files);
	if (process->fs)
		fs_context_put(process->fs);
	group_list_put(process->credentials.groups);
	signal_state_free(process->signals);
	free(process);
}

struct process *process_init(void)
{
	return process_find(1);
}

/* Children of the server itself look like children of process 1, which then may not exist. */
int process_parent_pid(const struct process *process)
{
	if (process->parent)
		return process->parent->pid;
	return process->pid == 1 ? 0 : 1;
}

uint64_t process_cpu_time(const struct process *process)
{
	uint64_t time = process->used.cpu_time;

	for (const struct thread *thread = process->threads; thread; thread = thread->next_in_process)
		if (thread->private->kernel)
			time += kernel_thread_time(thread->private->kernel);
	return time;
}

void usage_add(struct usage *sum, const struct usage *more)
{
	sum->cpu_time += more->cpu_time;
	sum->minor_faults += more->minor_faults;
	sum->major_faults += more->major_faults;
	sum->waits += more->waits;
	if (more->peak_pages > sum->peak_pages)
		sum->peak_pages = more->peak_pages;
}

/* Of all its programs. */
static size_t highest_peak(const struct process *process)
{
	size_t peak = process_peak_pages(process);

	return peak > process->used.peak_pages ? peak : process->used.peak_pages;
}

struct usage process_usage(const struct process *process)
{
	struct usage usage = process->used;

	usage.cpu_time = process_cpu_time(process);
	usage.peak_pages = highest_peak(process);
	return usage;
}

struct mm *process_change_mm(struct process *process, struct mm *mm)
{
	struct mm *old = process->mm;

	process->used.peak_pages = highest_peak(process);
	process->mm = mm;
	return old;
}

static bool thread_runs(const struct thread *thread)
{
	return !thread->fiber && !thread->private->exiting;
}

char thread_state(const struct thread *thread)
{
	if (thread->process->signals->stopped)
		return 'T';
	return thread_runs(thread) || thread == current_thread() ? 'R' : 'S';
}

char process_state(const struct process *process)
{
	if (process->zombie)
		return 'Z';
	if (process->signals->stopped)
		return 'T';
	for (const struct thread *thread = process->threads; thread; thread = thread->next_in_process)
		if (thread_state(thread) == 'R')
			return 'R';
	return 'S';
}

unsigned process_running_threads(const struct process *process)
{
	unsigned count = 0;

	for (const struct thread *thread = process->threads; thread; thread = thread->next_in_process)
		count += !process->zombie && thread_state(thread) == 'R';
	return count;
}

/* ---- groups and sessions ---- */

bool process_group_exists(int pgid, int sid)
{
	for (struct process *process = all; process; process = process->next_all)
		if (process->pgid == pgid && process->sid == sid)
			return true;
	return false;
}

bool process_group_orphaned(int pgid)
{
	for (struct process *process = all; process; process = process->next_all) {
		if (process->pgid != pgid || process->zombie)
			continue;
		if (process->parent && process->parent->pgid != pgid && process->parent->sid == process->sid)
			return false;
	}
	return true;
}
