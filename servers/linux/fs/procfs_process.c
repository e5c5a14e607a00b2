/* SPDX-License-Identifier: MIT */
/* /proc/PID: one process. Everything is looked up anew by number: the process may have ended since. */
#include "fs/procfs.h"
#include "balance.h"
#include "address_space.h"
#include "capability.h"
#include "figures.h"
#include "oom.h"
#include "thread.h"
#include <stdio.h>

/* NULL: it has ended, though another may have its number now. Before the file was found it has not. */
static struct process *process_of(const struct pseudo *file)
{
	struct process *process = process_find(file->id);
	return process != NULL && (file->found == 0 || process->start_time <= file->found) ? process : NULL;
}

/* The thread that sub means in task/TID, else the group's leader or any thread that is left. */
static struct thread *thread_of(const struct pseudo *file, struct process *process)
{
	struct thread *thread = process->threads;
	while (thread != NULL && thread->tid != (file->sub != 0 ? file->sub : process->pid))
		thread = thread->next_in_process;
	return thread != NULL || file->sub != 0 ? thread : process->threads;
}

static int descriptor_find(const struct pseudo *directory, const char *name, struct pseudo *member);
static const struct pseudo_node descriptor_member, descriptor_info_member;

static bool is_of_a_thread(const struct pseudo *file)
{
	return file->sub != 0 && file->node != &descriptor_member && file->node != &descriptor_info_member;
}

/* Its own descriptors (/dev/stdout) a process reaches in any case. */
static bool own_descriptors(const struct pseudo *file, const struct process *process)
{
	return file->node->find == descriptor_find && current_thread() != NULL &&
	       current_thread()->process == process;
}

static int process_owner(const struct pseudo *file, uint32_t *uid, uint32_t *gid)
{
	struct process *process = process_of(file);
	if (process == NULL)
		return is_of_a_thread(file) ? -ENOENT : -ESRCH;
	if (is_of_a_thread(file) && thread_of(file, process) == NULL)
		return -ENOENT;
	if (process->not_dumpable && file->node->mode != (S_IFDIR | 0555) && !own_descriptors(file, process))
		return 0;
	*uid = process->credentials.euid;
	*gid = process->credentials.egid;
	return 0;
}

/* May the reader look into this process's memory, descriptors and places? */
static int may_inspect(const struct process *process)
{
	const struct thread *reader = current_thread();
	return reader == NULL || process_may_inspect(reader, process) ? 0 : -EACCES;
}

/* NULL: it has ended. */
static struct dentry *root_of(const struct process *process)
{
	if (process->fs != NULL)
		return process->fs->root;
	/* init is a component: its place is where it puts programs */
	return process->pid == 1 ? thread_root(NULL) : NULL;
}

static const char *comm_of(const struct pseudo *file, struct process *process)
{
	struct thread *thread = file->sub != 0 ? thread_of(file, process) : NULL;
	return thread != NULL ? thread->comm : process->comm;
}

static char state_of(const struct pseudo *file, struct process *process)
{
	const struct thread *thread = file->sub != 0 ? thread_of(file, process) : NULL;
	return thread != NULL ? thread_state(thread) : process_state(process);
}

static int show_stat(struct text *text, const struct pseudo *file, struct process *process)
{
	struct thread *first = thread_of(file, process), *thread = file->sub != 0 ? first : NULL;
	const struct thread_private *scheduled = first != NULL ? first->private : &(struct thread_private){0};
	struct usage used = process_usage(process), *children = &process->children_used;
	int priority = scheduled->priority != 0 ? -1 - scheduled->priority : 20 + process->nice;
	uint64_t tty = process->tty != NULL ? tty_device_number(process->tty) : 0;
	int foreground = process->tty != NULL ? tty_foreground_group(process->tty) : -1;
	if (thread != NULL)
		used.cpu_time = kernel_thread_time(thread->private->kernel);
	text_print(text, "%d (%s) %c %d %d %d %d %d 0 %lu %lu %lu %lu %lu 0 %lu 0 ",
	           file->sub != 0 ? file->sub : process->pid, comm_of(file, process), state_of(file, process),
	           process->parent != NULL ? process->parent->pid : 0, process->pgid, process->sid, (int)tty,
	           foreground, used.minor_faults, children->minor_faults, used.major_faults,
	           children->major_faults, ticks(used.cpu_time), ticks(children->cpu_time));
	text_print(text, "%d %d %u 0 %lu %zu %zu %lu ", priority, process->nice, process->thread_count,
	           ticks(process->start_time), process_virtual_size(process), process_resident_pages(process),
	           UINT64_MAX);
	/* startcode … kstkeip, signals, wchan …, the signal at its end; CPU, policy; delays, data and
	 * arguments */
	text_print(text, "0 0 0 0 0 0 0 0 0 0 0 0 %d %u %u %u 0 0 0 0 0 0 %lu %lu %lu %lu %d\n",
	           thread != NULL && thread->tid != process->pid ? -1 : process->exit_signal,
	           first != NULL ? thread_cpu(first) : 0, scheduled->priority, scheduled->policy,
	           process->start.arg_start, process->start.arg_end, process->start.env_start,
	           process->start.env_end, process->exit_status);
	return 0;
}

static int show_statm(struct text *text, const struct pseudo *file, struct process *process)
{
	struct memory_figures memory;
	(void)file;
	memory_figures(process, &memory);
	text_print(text, "%zu %zu %zu %zu 0 %zu 0\n", process_virtual_size(process) / PAGE_SIZE,
	           memory.resident.pages, memory.resident.file + memory.resident.shared_memory, memory.code,
	           memory.data + memory.stack);
	return 0;
}

static const char *state_text(char state)
{
	switch (state) {
	case 'R':
		return "R (running)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	case 'Z':
		return "Z (zombie)";
	default:
		return "S (sleeping)";
	}
}

static void show_signals_and_rights(struct text *text, const struct process_facts *facts,
                                    const struct credentials *c)
{
	text_print(text,
	           "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n",
	           facts->thread_pending, facts->pending, facts->blocked, facts->ignored, facts->caught);
	text_print(text,
	           "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\n",
	           c->inheritable, c->permitted, c->effective, c->bounding, c->ambient);
	text_print(text, "NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n", facts->no_new_privileges);
}

static void show_memory_figures(struct text *text, struct process *process)
{
	struct memory_figures memory;
	memory_figures(process, &memory);
	const struct {
		const char *name;
		size_t pages;
	} lines[] = {
	        {"VmPeak", process_virtual_peak(process)},
	        {"VmSize", process_virtual_size(process) / PAGE_SIZE},
	        {"VmLck", memory.locked},
	        {"VmPin", 0},
	        {"VmHWM", process_peak_pages(process)},
	        {"VmRSS", memory.resident.pages},
	        {"RssAnon", memory.resident.anonymous},
	        {"RssFile", memory.resident.file},
	        {"RssShmem", memory.resident.shared_memory},
	        {"VmData", memory.data},
	        {"VmStk", memory.stack},
	        {"VmExe", memory.code},
	        {"VmLib", memory.libraries},
	        {"VmSwap", 0},
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		text_print(text, "%s:\t%8zu kB\n", lines[i].name, lines[i].pages * (PAGE_SIZE / 1024));
}

static int show_status(struct text *text, const struct pseudo *file, struct process *process)
{
	const struct credentials *c = &process->credentials;
	struct thread *thread = thread_of(file, process);
	struct process_facts facts;
	text_print(text,
	           "Name:\t%s\nUmask:\t%04o\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:"
	           "\t0\n",
	           comm_of(file, process), process->fs != NULL ? process->fs->umask : 0,
	           state_text(state_of(file, process)), process->pid,
	           file->sub != 0 ? file->sub : process->pid,
	           process->parent != NULL ? process->parent->pid : 0);
	text_print(text, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t%u\nGroups:\t", c->uid,
	           c->euid, c->suid, c->fsuid, c->gid, c->egid, c->sgid, c->fsgid,
	           process->files != NULL ? file_table_size(process->files) : 0);
	for (uint32_t i = 0; c->groups != NULL && i < c->groups->count; i++)
		text_print(text, "%u ", c->groups->groups[i]);
	text_print(text, c->groups == NULL ? " \n" : "\n"); /* as Linux has it */
	if (process->mm != NULL)
		show_memory_figures(text, process);
	text_print(text, "Threads:\t%u\n", process->thread_count);
	process_facts(process, thread, &facts);
	show_signals_and_rights(text, &facts, c);
	if (thread != NULL) {
		uint64_t cpus = thread->private->affinity & cpus_online();
		text_print(text, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t", cpus);
		cpu_list(text, cpus);
		text_add(text, "\n", 1);
	}
	text_print(text, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t0\n",
	           process->used.waits);
	return 0;
}

static int show_comm(struct text *text, const struct pseudo *file, struct process *process)
{
	text_print(text, "%s\n", comm_of(file, process));
	return 0;
}

/* By a thread of the process only, as on Linux; what is too long for a name is cut off. */
static int store_comm(const struct pseudo *file, char *data, size_t length)
{
	struct process *process = process_of(file);
	struct thread *thread = process != NULL ? thread_of(file, process) : NULL;
	char name[COMM_SIZE] = {0};
	if (thread == NULL)
		return -ESRCH;
	if (current_thread() == NULL || current_thread()->process != process)
		return -EINVAL;
	memcpy(name, data, length < COMM_SIZE ? length : COMM_SIZE - 1);
	thread_set_name(thread, name);
	return 0;
}

/* [start, end) of the memory, as far as it is there. Copying may wait. */
static void show_memory(struct text *text, struct mm *mm, uint64_t start, uint64_t end)
{
	char part[512];
	while (start < end) {
		size_t size = end - start < sizeof(part) ? end - start : sizeof(part);
		if (mm_copy_from(mm, part, start, size) != 0)
			break;
		text_add(text, part, size);
		start += size;
	}
}

static void show_arguments(struct text *text, struct mm *mm, const struct program_start *at)
{
	uint64_t last = at->env_end, end = at->arg_end;
	size_t length = end - at->arg_start;
	show_memory(text, mm, at->arg_start, end);
	if (length == 0 || text->length < length || text->data[length - 1] == 0)
		return;
	/* a longer title was written over them, and over the environment */
	if (last > at->arg_start + PAGE_SIZE)
		last = at->arg_start + PAGE_SIZE;
	show_memory(text, mm, end, last);
	size_t title = strnlen(text->data, text->length);
	text->length = title < text->length ? title + 1 : title;
}

static void show_environment(struct text *text, struct mm *mm, const struct program_start *at)
{
	show_memory(text, mm, at->env_start, at->env_end);
}

static void show_auxiliary(struct text *text, struct mm *mm, const struct program_start *at)
{
	show_memory(text, mm, at->auxv_start, at->auxv_end);
}

/* Of the program that the process runs now, and not of one that it runs by the time that a wait ends. */
static int show_of_memory(struct text *text, struct process *process,
                          void (*show)(struct text *, struct mm *, const struct program_start *))
{
	struct program_start at = process->start;
	struct mm *mm = process->mm != NULL ? mm_get(process->mm) : NULL;
	if (mm == NULL)
		return 0;
	show(text, mm, &at);
	mm_put(mm);
	return 0;
}

static int show_cmdline(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	return show_of_memory(text, process, show_arguments);
}

static int show_environ(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	return show_of_memory(text, process, show_environment);
}

static int show_auxv(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	return show_of_memory(text, process, show_auxiliary);
}

static void emit_text(void *context, const char *data, size_t length)
{
	text_add(context, data, length);
}

static int show_maps(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	process_maps(process, emit_text, text);
	return 0;
}

static int show_smaps(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	memory_regions(process, emit_text, text);
	return 0;
}

static int show_smaps_rollup(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	memory_rollup(process, emit_text, text);
	return 0;
}

/* On Linux's scale: 0 to 2000, 667 for a process that holds nothing. */
static int show_oom_score(struct text *text, const struct pseudo *file, struct process *process)
{
	long points = 0;
	(void)file;
	if (process->oom_adjust > OOM_ADJUST_NEVER)
		points = (1000 + oom_badness(process) * 1000 / (long)pages_total()) * 2 / 3;
	text_print(text, "%ld\n", points > 0 ? points : 0);
	return 0;
}

static int show_oom_adjust(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	text_print(text, "%d\n", process->oom_adjust);
	return 0;
}

/* The number in what was written, from least to most, with nothing but spaces after it. */
static int number_in(const char *data, size_t length, long least, long most, long *out)
{
	char *end;
	*out = strtol(data, &end, 10);
	bool number = end != data;
	while (*end == '\n' || *end == ' ')
		end++;
	return number && end == data + length && *out >= least && *out <= most ? 0 : -EINVAL;
}

static int store_oom_adjust(const struct pseudo *file, char *data, size_t length)
{
	struct process *process = process_of(file);
	long value;
	if (process == NULL)
		return -ESRCH;
	int error = number_in(data, length, OOM_ADJUST_NEVER, OOM_ADJUST_MAX, &value);
	if (error != 0)
		return error;
	bool may = capable(current_thread(), CAP_SYS_RESOURCE);
	if (value < process->oom_adjust_least && !may)
		return -EACCES;
	process->oom_adjust = (int)value;
	if (may)
		process->oom_adjust_least = (int)value;
	return 0;
}

/* On the CPU and waiting for one, in ns; the waits that ended. */
static int show_schedstat(struct text *text, const struct pseudo *file, struct process *process)
{
	struct thread *thread = thread_of(file, process);
	uint64_t time = thread != NULL ? kernel_thread_time(thread->private->kernel) : 0;
	text_print(text, "%lu 0 %lu\n", time, process->used.waits);
	return 0;
}

/* There is one user namespace, of all numbers. */
static int show_id_map(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	(void)process;
	text_print(text, "%10u %10u %10u\n", 0, 0, UINT32_MAX);
	return 0;
}

/* Whom the process logged in, which programs of logins say; 2³² - 1: nobody. */
static int show_login(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	text_print(text, "%u", process->login_uid);
	return 0;
}

static int store_login(const struct pseudo *file, char *data, size_t length)
{
	struct process *process = process_of(file);
	long uid;
	if (process == NULL)
		return -ESRCH;
	if (current_thread() == NULL || current_thread()->process != process)
		return -EPERM;
	int error = number_in(data, length, 0, UINT32_MAX, &uid);
	if (error != 0)
		return error;
	if (process->login_uid != UINT32_MAX && !capable(current_thread(), CAP_AUDIT_CONTROL))
		return -EPERM;
	process->login_uid = (uint32_t)uid;
	return 0;
}

/* There are no hierarchies, and it is in none. */
static int show_cgroup(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)text;
	(void)file;
	(void)process;
	return 0;
}

/* What Debian says of programs without a profile. */
static int show_label(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	(void)process;
	text_print(text, "unconfined\n");
	return 0;
}

static int show_personality(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	text_print(text, "%08x\n", process->personality);
	return 0;
}

static int show_mounts(struct text *text, const struct pseudo *file, struct process *process)
{
	struct dentry *root = root_of(process);
	if (root == NULL)
		return -EINVAL;
	mounts_text(text, root, strcmp(file->node->name, "mountinfo") == 0);
	return 0;
}

static int show_limits(struct text *text, const struct pseudo *file, struct process *process)
{
	(void)file;
	static const struct {
		const char *name, *unit;
	} names[16] = {
	        {"Max cpu time", "seconds"},     {"Max file size", "bytes"},
	        {"Max data size", "bytes"},      {"Max stack size", "bytes"},
	        {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
	        {"Max processes", "processes"},  {"Max open files", "files"},
	        {"Max locked memory", "bytes"},  {"Max address space", "bytes"},
	        {"Max file locks", "locks"},     {"Max pending signals", "signals"},
	        {"Max msgqueue size", "bytes"},  {"Max nice priority", ""},
	        {"Max realtime priority", ""},   {"Max realtime timeout", "us"},
	};
	text_print(text, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (int i = 0; i < 16; i++) {
		char value[2][24] = {"unlimited", "unlimited"};
		if (process->limits[i].current != UINT64_MAX)
			snprintf(value[0], sizeof(value[0]), "%lu", process->limits[i].current);
		if (process->limits[i].maximum != UINT64_MAX)
			snprintf(value[1], sizeof(value[1]), "%lu", process->limits[i].maximum);
		text_print(text, "%-25s %-20s %-20s %-10s\n", names[i].name, value[0], value[1],
		           names[i].unit);
	}
	return 0;
}

/* ---- links ---- */

/* What an open file's name is; a pipe has none, and neither has a file in memory of its own. */
static ssize_t file_name(struct file *open, char *out, size_t size)
{
	if (open->dentry != NULL)
		return dentry_path(current_thread(), open->dentry, out, size);
	if (open->operations->kind != NULL)
		return snprintf(out, size, "anon_inode:%s", open->operations->kind);
	const char *kind = S_ISFIFO(open->inode->attributes.mode)   ? "pipe"
	                   : S_ISSOCK(open->inode->attributes.mode) ? "socket"
	                                                            : "anon_inode";
	return snprintf(out, size, "%s:[%lu]", kind, open->inode->attributes.inode);
}

/* Where a link to an open file leads: to the file, whatever its name means by now; one without a name has a
 * dentry made for the purpose. */
static int file_follow(struct file *open, struct dentry **out)
{
	*out = open->dentry != NULL ? dentry_get(open->dentry)
	                            : dentry_create(NULL, NULL, "", 0, open->inode);
	return *out != NULL ? 0 : -ENOMEM;
}

static int inspected(const struct pseudo *file, struct process **out)
{
	*out = process_of(file);
	return *out != NULL ? may_inspect(*out) : -ESRCH;
}

static int exe_of(const struct pseudo *file, struct file **out)
{
	struct process *process;
	int error = inspected(file, &process);
	if (error != 0)
		return error;
	*out = process->mm != NULL ? process->mm->exe : NULL;
	return *out != NULL ? 0 : -ENOENT;
}

static ssize_t exe_target(const struct pseudo *file, char *out, size_t size)
{
	struct file *program;
	int error = exe_of(file, &program);
	return error != 0 ? error : file_name(program, out, size);
}

static int exe_follow(const struct pseudo *file, struct dentry **out)
{
	struct file *program;
	int error = exe_of(file, &program);
	return error != 0 ? error : file_follow(program, out);
}

static int place_of(const struct pseudo *file, bool root, struct dentry **out)
{
	struct process *process;
	int error = inspected(file, &process);
	if (error != 0)
		return error;
	struct dentry *place = root || process->fs == NULL ? root_of(process) : process->fs->cwd;
	if (place == NULL)
		return -ENOENT;
	*out = dentry_get(place);
	return 0;
}

static ssize_t place_text(const struct pseudo *file, bool root, char *out, size_t size)
{
	struct dentry *dentry;
	int error = place_of(file, root, &dentry);
	if (error != 0)
		return error;
	ssize_t length = dentry_path(current_thread(), dentry, out, size);
	dentry_put(dentry);
	return length;
}

static ssize_t cwd_target(const struct pseudo *file, char *out, size_t size)
{
	return place_text(file, false, out, size);
}

static int cwd_follow(const struct pseudo *file, struct dentry **out)
{
	return place_of(file, false, out);
}

static ssize_t root_target(const struct pseudo *file, char *out, size_t size)
{
	return place_text(file, true, out, size);
}

static int root_follow(const struct pseudo *file, struct dentry **out)
{
	return place_of(file, true, out);
}

/* ---- descriptors ---- */

static int descriptor_of(const struct pseudo *file, struct file **out)
{
	struct process *process;
	int error = inspected(file, &process);
	if (error != 0)
		return error == -ESRCH ? -ENOENT : error;
	*out = process->files != NULL ? file_table_at(process->files, (unsigned)file->sub) : NULL;
	return *out != NULL ? 0 : -ENOENT;
}

static ssize_t descriptor_target(const struct pseudo *file, char *out, size_t size)
{
	struct file *open;
	int error = descriptor_of(file, &open);
	if (error != 0)
		return error;
	return file_name(open, out, size);
}

static int descriptor_follow(const struct pseudo *file, struct dentry **out)
{
	struct file *open;
	int error = descriptor_of(file, &open);
	if (error != 0)
		return error;
	return file_follow(open, out);
}

/* The link's permissions are what the descriptor was opened for. */
static void descriptor_describe(const struct pseudo *file, struct fs_attributes *attributes)
{
	struct file *open;
	attributes->mode = S_IFLNK;
	attributes->size = 64; /* as on Linux: room that readlink() may be given */
	if (descriptor_of(file, &open) != 0 || open->flags & O_PATH)
		return;
	if (file_readable(open))
		attributes->mode |= S_IRUSR | S_IXUSR;
	if (file_writable(open))
		attributes->mode |= S_IWUSR | S_IXUSR;
}

static int show_descriptor(struct text *text, const struct pseudo *file)
{
	struct file *open;
	int error = descriptor_of(file, &open);
	if (error != 0)
		return error;
	bool closes = file_table_closes_on_exec(process_of(file)->files, (unsigned)file->sub);
	text_print(text, "pos:\t%lu\nflags:\t0%o\n", open->position, open->flags | (closes ? O_CLOEXEC : 0u));
	if (open->dentry != NULL && open->dentry->mount != NULL)
		text_print(text, "mnt_id:\t%u\n", open->dentry->mount->id);
	text_print(text, "ino:\t%lu\n", open->inode->attributes.inode);
	if (open->operations->describe != NULL)
		open->operations->describe(open, text);
	return 0;
}

static int number_of(const char *name)
{
	char *end;
	if (name[0] < '0' || name[0] > '9' || (name[0] == '0' && name[1] != 0))
		return -1;
	long number = strtol(name, &end, 10);
	return *end != 0 || number > INT32_MAX ? -1 : (int)number;
}

static int descriptor_find(const struct pseudo *directory, const char *name, struct pseudo *member)
{
	struct file *open;
	member->sub = number_of(name);
	if (member->sub < 0)
		return -ENOENT;
	(void)directory;
	return descriptor_of(member, &open);
}

static bool descriptor_next(const struct pseudo *directory, unsigned *number, char name[PSEUDO_NAME])
{
	struct process *process = process_of(directory);
	if (process == NULL || process->files == NULL || may_inspect(process) != 0)
		return false;
	while (*number < file_table_end(process->files) && file_table_at(process->files, *number) == NULL)
		++*number;
	snprintf(name, PSEUDO_NAME, "%u", *number);
	return *number < file_table_end(process->files);
}

/* ---- threads ---- */

static int task_find(const struct pseudo *directory, const char *name, struct pseudo *member)
{
	struct process *process = process_of(directory);
	member->sub = number_of(name);
	if (process == NULL || member->sub <= 0)
		return -ENOENT;
	return thread_of(member, process) != NULL ? 0 : -ENOENT;
}

static bool task_next(const struct pseudo *directory, unsigned *number, char name[PSEUDO_NAME])
{
	struct process *process = process_of(directory);
	int best = -1;
	for (struct thread *thread = process != NULL ? process->threads : NULL; thread != NULL;
	     thread = thread->next_in_process)
		if (thread->tid >= (int)*number && (best < 0 || thread->tid < best))
			best = thread->tid;
	*number = (unsigned)best;
	snprintf(name, PSEUDO_NAME, "%d", best);
	return best >= 0;
}

int procfs_process(const struct file *file, struct process **out)
{
	const struct pseudo *pseudo = pseudo_of(file->inode);
	if (pseudo == NULL || pseudo->node != &process_node)
		return -EBADF;
	*out = process_of(pseudo);
	return 0;
}

int process_find_number(const struct pseudo *directory, const char *name, struct pseudo *member)
{
	(void)directory;
	member->id = number_of(name);
	member->sub = 0;
	return member->id > 0 && process_find(member->id) != NULL ? 0 : -ENOENT;
}

bool process_next_number(const struct pseudo *directory, unsigned *number, char name[PSEUDO_NAME])
{
	(void)directory;
	int best = -1;
	for (struct process *process = process_first(); process != NULL; process = process_next(process))
		if (process->pid >= (int)*number && process->pid > 0 && (best < 0 || process->pid < best))
			best = process->pid;
	*number = (unsigned)best;
	snprintf(name, PSEUDO_NAME, "%d", best);
	return best >= 0;
}

struct process_show {
	int (*show)(struct text *text, const struct pseudo *file, struct process *process);
	bool private; /* for those only who may look into the process */
};

static int show_of_process(struct text *text, const struct pseudo *file)
{
	struct process *process = process_of(file);
	if (process == NULL || (file->sub != 0 && thread_of(file, process) == NULL))
		return -ESRCH;
	int error = file->node->process->private ? may_inspect(process) : 0;
	return error != 0 ? error : file->node->process->show(text, file, process);
}

#define PROCESS_FILE_OF(name_, mode_, show_, private_, store_)                               \
	{                                                                                    \
		.name = name_, .mode = S_IFREG | (mode_), .show = show_of_process,           \
		.process = &(const struct process_show){show_, private_}, .store = (store_), \
		.owner = process_owner                                                       \
	}
#define PROCESS_LINK(name_, target_, follow_)                                                \
	{                                                                                    \
		.name = name_, .mode = S_IFLNK | 0777, .target = target_, .follow = follow_, \
		.owner = process_owner                                                       \
	}
#define PROCESS_FILE(name_, mode_, show_) PROCESS_FILE_OF(name_, mode_, show_, false, NULL)
#define PRIVATE_FILE(name_, mode_, show_) PROCESS_FILE_OF(name_, mode_, show_, true, NULL)
#define STORED_FILE(name_, show_, store_) PROCESS_FILE_OF(name_, 0644, show_, false, store_)

static const struct pseudo_node descriptor_member = {.name = "N",
                                                     .mode = S_IFLNK | 0700,
                                                     .target = descriptor_target,
                                                     .follow = descriptor_follow,
                                                     .owner = process_owner,
                                                     .describe = descriptor_describe};
static const struct pseudo_node descriptor_info_member = {
        .name = "N", .mode = S_IFREG | 0444, .show = show_descriptor, .owner = process_owner};
static const struct pseudo_node attribute_files[] = {
        PROCESS_FILE("current", 0444, show_label),
        {.name = NULL},
};
static const struct pseudo_node task_member;
static const struct pseudo_node process_files[] = {
        {.name = "task",
         .mode = S_IFDIR | 0555,
         .member = &task_member,
         .find = task_find,
         .next = task_next,
         .owner = process_owner},
        {.name = "attr", .mode = S_IFDIR | 0555, .children = attribute_files, .owner = process_owner},
        PRIVATE_FILE("auxv", 0400, show_auxv),
        PROCESS_FILE("cgroup", 0444, show_cgroup),
        PROCESS_FILE("cmdline", 0444, show_cmdline),
        STORED_FILE("comm", show_comm, store_comm),
        PROCESS_LINK("cwd", cwd_target, cwd_follow),
        PRIVATE_FILE("environ", 0400, show_environ),
        PROCESS_LINK("exe", exe_target, exe_follow),
        {.name = "fd",
         .mode = S_IFDIR | 0500,
         .member = &descriptor_member,
         .find = descriptor_find,
         .next = descriptor_next,
         .owner = process_owner},
        {.name = "fdinfo",
         .mode = S_IFDIR | 0555,
         .member = &descriptor_info_member,
         .find = descriptor_find,
         .next = descriptor_next,
         .owner = process_owner},
        PROCESS_FILE("gid_map", 0644, show_id_map),
        PROCESS_FILE("limits", 0444, show_limits),
        STORED_FILE("loginuid", show_login, store_login),
        PRIVATE_FILE("maps", 0444, show_maps),
        PROCESS_FILE("mountinfo", 0444, show_mounts),
        PROCESS_FILE("mounts", 0444, show_mounts),
        PROCESS_FILE("oom_score", 0444, show_oom_score),
        STORED_FILE("oom_score_adj", show_oom_adjust, store_oom_adjust),
        PRIVATE_FILE("personality", 0400, show_personality),
        PROCESS_LINK("root", root_target, root_follow),
        PROCESS_FILE("schedstat", 0444, show_schedstat),
        PRIVATE_FILE("smaps", 0444, show_smaps),
        PRIVATE_FILE("smaps_rollup", 0444, show_smaps_rollup),
        PROCESS_FILE("stat", 0444, show_stat),
        PROCESS_FILE("statm", 0444, show_statm),
        PROCESS_FILE("status", 0444, show_status),
        PROCESS_FILE("uid_map", 0644, show_id_map),
        {.name = NULL},
};
/* A thread has all that its process has, but for the first: the threads. */
static const struct pseudo_node task_member = {
        .name = "TID", .mode = S_IFDIR | 0555, .children = process_files + 1, .owner = process_owner};
const struct pseudo_node process_node = {
        .name = "PID", .mode = S_IFDIR | 0555, .children = process_files, .owner = process_owner};
