/* SPDX-License-Identifier: MIT */
/*
 * execve. Everything that can fail happens on a new address space beside the old one, so an error leaves the
 * caller as it was; then the other threads end and the new image takes over.
 */
#include <pith/log.h>
#include "capability.h"
#include "exec_stack.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <pith/object.h>
#include "script.h"
#include "syscall.h"
#include "thread.h"
#include "vdso.h"
#include "vfs.h"

#define SCRIPTS_MAX 5 /* one that leads to another, and so on */
#define PATH_SIZE   4096

struct exec {
	struct thread *thread;
	struct exec_strings strings;
	char path[PATH_SIZE];    /* as given: AT_EXECFN, comm */
	char program[PATH_SIZE]; /* what is opened: path, or a script's interpreter */
	int directory;
	bool follow;       /* the path's last link */
	bool nameless;     /* the descriptor itself is the program: it is called what its file is */
	bool inaccessible; /* the path leads over a descriptor that the program will not have */
	unsigned scripts;  /* that led to the program */
	struct file *file;
	struct mm *mm;
	struct loaded_image image;
	struct credentials credentials;
	bool secure;
	uint64_t stack;
};

/* ---- opening ---- */

/* 1: it was a script, and exec now means its interpreter; 0: it is not one; -errno */
static int follow_script(struct exec *exec)
{
	char line[SCRIPT_LINE], *interp, *argument, script[PATH_SIZE];
	ssize_t got = file_read_kernel(exec->file, line, sizeof(line) - 1, 0);
	const char *with[3];
	unsigned count = 0;
	int error;

	if (got < 0)
		return (int)got;
	line[got] = 0;
	error = script_parse(line, (size_t)got, &interp, &argument);
	if (error <= 0)
		return error;
	if (exec->inaccessible)
		return -ENOENT;
	snprintf(script, sizeof(script), "%s", exec->scripts++ ? exec->program : exec->path);
	with[count++] = interp;
	if (argument)
		with[count++] = argument;
	with[count++] = script;
	error = exec_strings_replace_first(&exec->strings, with, count);
	if (error)
		return error;
	snprintf(exec->program, sizeof(exec->program), "%s", interp);
	exec->directory = AT_FDCWD;
	exec->follow = true;
	file_put(exec->file);
	exec->file = NULL;
	return 1;
}

static int find_program(struct exec *exec)
{
	for (;;) {
		int result = vfs_open_program(exec->thread, exec->directory, exec->program, exec->follow,
		                              &exec->file);

		if (!result)
			result = exec->scripts > SCRIPTS_MAX ? -ELOOP : follow_script(exec);
		if (result <= 0)
			return result;
	}
}

/* ---- building the new image ---- */

static void choose_credentials(struct exec *exec)
{
	const struct fs_attributes *attributes = &exec->file->inode->attributes;
	struct credentials *credentials = &exec->credentials;
	const struct process *process = exec->thread->process;
	bool sets_ids = !process->no_new_privileges && file_sets_ids(exec->file);

	*credentials = process->credentials;
	if (attributes->mode & S_ISUID && sets_ids)
		credentials->euid = attributes->uid;
	if (attributes->mode & S_ISGID && sets_ids && attributes->mode & S_IXGRP)
		credentials->egid = attributes->gid;
	exec->secure = capabilities_exec(&process->credentials, credentials, process->no_new_privileges);
	credentials->suid = credentials->fsuid = credentials->euid;
	credentials->sgid = credentials->fsgid = credentials->egid;
}

static int build_image(struct exec *exec)
{
	struct process *process = exec->thread->process;
	int error;

	exec->mm = mm_create();
	if (!exec->mm)
		return -ENOMEM;
	mm_limit_stack(exec->mm, process->limits[3].current); /* RLIMIT_STACK */
	exec->mm->data_limit = process->limits[2].current;    /* RLIMIT_DATA */
	exec->mm->address_limit = process->limits[9].current; /* RLIMIT_AS */
	error = elf_load(exec->mm, exec->thread, exec->file, &exec->image);
	if (!error)
		error = vdso_map(exec->mm, &exec->image.vdso);
	if (error)
		return error;
	exec->mm->brk_start = exec->mm->brk = exec->image.brk;
	choose_credentials(exec);
	return 0;
}

/* ---- the point of no return ---- */

static void set_name(struct exec *exec)
{
	const char *base = strrchr(exec->path, '/');
	char name[COMM_SIZE];

	base = exec->nameless ? file_last_name(exec->file) : base ? base + 1 : exec->path;
	snprintf(name, sizeof(name), "%.15s", base);
	thread_set_name(exec->thread, name);
}

static void replace_files(struct process *process)
{
	/* vfork does not share it, CLONE_FILES does. Locks stay with a table that is shared. */
	if (file_table_unshare(process) != 0)
		process_exit_group(process, SIGKILL);
	else
		file_table_close_on_exec(process->files);
}

static void reset_thread(struct thread *thread)
{
	struct thread_private *private = thread->private;

	signal_state_exec(thread->process->signals);
	private->alternate_stack = private->alternate_size = 0;
	private->alternate_flags = 0;
	private->clear_child_tid = private->robust_list = 0;
	private->mask_saved = false;
	thread_write_vector(private->kernel->object, NULL, 0);
}

static bool set_id(const struct credentials *credentials)
{
	return credentials->euid != credentials->uid || credentials->egid != credentials->gid;
}

static void take_over(struct exec *exec)
{
	struct thread *thread = exec->thread;
	struct process *process = thread->process;
	struct mm *old = process->mm;
	struct credentials old_credentials = process->credentials;

	/* Nobody else may set the umask or the directory of a program that has gained rights. */
	if (exec->secure && fs_context_unshare(process) != 0)
		process_exit_group(process, SIGKILL);
	if (old)
		thread_release_memory(thread);
	if (thread->tid != process->pid)
		thread_set_tid(thread, process->pid);
	process_change_mm(process, exec->mm);
	exec->mm = NULL;
	/* Before the old address space goes: a thread without one is stopped. */
	if (!kernel_thread_bind(thread->private->kernel, process->mm->space))
		process_exit_group(process, SIGKILL);
	waitq_wake_all(&process->vfork_wait);
	process->executed = true;
	process->exit_signal = SIGCHLD;
	/* Nor may children that it had before send what it could have been sent before, to what may have more
	 * rights. */
	for (struct process *child = process->children; child; child = child->sibling)
		if (child->exit_signal)
			child->exit_signal = SIGCHLD;
	process->private_barriers = false;
	process->not_dumpable = exec->image.unreadable || set_id(&process->credentials);
	exec->credentials.groups = process->credentials.groups; /* what they are by now */
	process->credentials = exec->credentials;
	credentials_changed(process, &old_credentials);
	process_timers_exec(process);
	reset_thread(thread);
	set_name(exec);
	replace_files(process);
	thread->registers =
	        (struct thread_registers){.rip = exec->image.start, .rsp = exec->stack, .rflags = 0x202};
	thread->registers_valid = true;
	thread->private->registers_changed = true;
	/* May wait; by now the process is what it has become, for everybody. */
	if (old)
		mm_put(old);
}

static int exec_run(struct exec *exec)
{
	struct process *process = exec->thread->process;
	struct program_start start = process->start;
	int error = find_program(exec);

	if (!error)
		error = build_image(exec);
	if (!error)
		error = exec_stack_build(exec->mm, &exec->strings, exec->path, &exec->image,
		                         &exec->credentials, exec->secure, process, &exec->stack);
	if (!error && process->thread_count > 1 && !thread_become_only(exec->thread))
		error = -EAGAIN;
	if (error) {
		process->start = start;
		return error;
	}
	take_over(exec);
	return 0;
}

static void exec_free(struct exec *exec)
{
	if (exec->file)
		file_put(exec->file);
	if (exec->mm)
		mm_put(exec->mm);
	exec_strings_free(&exec->strings);
	free(exec);
}

static struct exec *exec_new(struct thread *thread, int directory)
{
	struct exec *exec = calloc(1, sizeof(*exec));

	if (exec) {
		exec->thread = thread;
		exec->directory = directory;
		exec->follow = true;
		exec->strings.limit = thread->process->limits[3].current / 4; /* RLIMIT_STACK */
		if (exec->strings.limit < EXEC_TOTAL_LEAST)
			exec->strings.limit = EXEC_TOTAL_LEAST;
		if (exec->strings.limit > EXEC_TOTAL_MOST)
			exec->strings.limit = EXEC_TOTAL_MOST;
	}
	return exec;
}

int exec_load(struct thread *thread, const char *path, char *const argv[], char *const envp[])
{
	struct exec *exec = exec_new(thread, AT_FDCWD);
	int error;

	if (!exec)
		return -ENOMEM;
	snprintf(exec->path, sizeof(exec->path), "%s", path);
	snprintf(exec->program, sizeof(exec->program), "%s", path);
	error = exec_strings_add_list(&exec->strings, argv, &exec->strings.argument_count);
	if (!error)
		error = exec_strings_add_list(&exec->strings, envp, &exec->strings.environment_count);
	if (!error)
		error = exec_run(exec);
	exec_free(exec);
	return error == -ETOOLATE ? -ENOEXEC : error;
}

/* What the program and scripts are told; the path may begin at a descriptor. */
static int set_path(struct exec *exec)
{
	const char *program = exec->program;
	int length;

	if (exec->directory == AT_FDCWD || *program == '/')
		length = snprintf(exec->path, sizeof(exec->path), "%s", program);
	else
		length = snprintf(exec->path, sizeof(exec->path), "/dev/fd/%d%s%s", exec->directory,
		                  *program ? "/" : "", program);
	exec->nameless = !*program;
	exec->inaccessible = exec->directory != AT_FDCWD && *program != '/' &&
	                     fd_closes_on_exec(exec->thread, exec->directory);
	return (size_t)length < sizeof(exec->path) ? 0 : -ENAMETOOLONG;
}

static long exec_user(struct thread *thread, int directory, uint64_t path, uint64_t argv, uint64_t envp,
                      unsigned flags)
{
	struct exec *exec = exec_new(thread, directory);
	ssize_t length;
	int error;

	if (!exec)
		return -ENOMEM;
	length = copy_string_from_user(thread, exec->program, path, sizeof(exec->program));
	error = length < 0 ? (int)length : 0;
	if (!error && !length)
		error = flags & AT_EMPTY_PATH ? 0 : -ENOENT;
	if (!error)
		error = set_path(exec);
	exec->follow = !(flags & AT_SYMLINK_NOFOLLOW);
	if (!error)
		error = exec_strings_add_user(&exec->strings, thread, argv, &exec->strings.argument_count);
	/* Programs rely on argv[0]. */
	if (!error && !exec->strings.argument_count) {
		error = exec_strings_add(&exec->strings, "", 0);
		exec->strings.argument_count = 1;
	}
	if (!error)
		error = exec_strings_add_user(&exec->strings, thread, envp, &exec->strings.environment_count);
	if (!error)
		error = exec_run(exec);
	exec_free(exec);
	if (error == -ETOOLATE)
		process_exit_group(thread->process, SIGSEGV);
	return error;
}

long sys_execve(struct thread *thread, const uint64_t arguments[6])
{
	return exec_user(thread, AT_FDCWD, arguments[0], arguments[1], arguments[2], 0);
}

long sys_execveat(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[4];

	if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return exec_user(thread, (int)arguments[0], arguments[1], arguments[2], arguments[3], flags);
}
