/* SPDX-License-Identifier: MIT */
/* Bringing the system up and down. */
#include "capability.h"
#include "start.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <pith/log.h>
#include <pith/startup.h>
#include <pith/syscall.h>
#include <proto/system.h>
#include "syscall.h"
#include "thread.h"
#include "times.h"
#include "vfs.h"

#define WALL_PATIENCE 2000000000ul /* ns */
#define GRACE_NS      2000000000ul /* between SIGTERM and SIGKILL at shutdown */

static bool exec_mode(void)
{
	char mode[16];

	return startup_config("mode", mode, sizeof(mode)) && !strcmp(mode, "exec");
}

/* The component that sets the wall clock runs before us, unless it crashed at its first start. */
static void wall_wait(void)
{
	deadline_t end = time_now() + WALL_PATIENCE;

	while (!time_wall_at_boot() && time_now() < end)
		wait_until(time_now() + 1000000);
	if (!time_wall_at_boot())
		log_error("nobody sets the wall clock");
	wall_changed();
}

void start_fiber(void *unused)
{
	(void)unused;
	vfs_init();
	wall_wait();
	if (exec_mode())
		exec_channel_run();
	else
		console_run();
}

/*
 * The program of `exec` is an ordinary process. Number 1, its parent and that of orphans, is the server's
 * own: it has one thread, which never runs, no memory and no files, and what ends below it is reaped at once.
 */
static struct process *start_stand_in(void)
{
	struct process *process = process_create(NULL);
	struct thread *thread;

	if (!process)
		return NULL;
	process->pid = process->pgid = process->sid = 1;
	process->session_leader = true;
	memcpy(process->comm, "init", 5);
	process->signals->actions[SIGCHLD - 1].flags = SA_NOCLDWAIT;
	thread = thread_create(process, process->pid);
	if (!thread) {
		process_free(process);
		return NULL;
	}
	thread->private->exiting = true; /* nobody waits for it to do anything */
	process_publish(process);
	return process;
}

int process_start(const char *path, char *const argv[], char *const envp[], struct file_table *files,
                  const char *cwd, void (*exited)(int wait_status), struct process **out)
{
	struct process *init = exec_mode() ? start_stand_in() : NULL, *process = process_create(NULL);
	struct thread_registers registers;
	struct thread *thread;
	int error = -ENOMEM;

	if (!process || (exec_mode() && !init)) {
		file_table_put(files);
		return -ENOMEM;
	}
	process->files = files;
	process->fs = fs_context_create();
	process->pid = !exec_mode() && !pid_used(1) ? 1 : pid_allocate();
	process->pgid = process->sid = process->pid;
	process->session_leader = true;
	thread = process->fs && process->pid ? thread_create(process, process->pid) : NULL;
	if (!thread) {
		process_free(process);
		return -ENOMEM;
	}
	if (cwd) {
		struct dentry *dentry;

		error = vfs_lookup(thread, AT_FDCWD, cwd, true, &dentry);
		if (!error) {
			dentry_put(process->fs->cwd);
			process->fs->cwd = dentry;
		}
	}
	error = cwd && error ? error : exec_load(thread, path, argv, envp);
	if (error) {
		thread_end(thread);
		free(thread);
		process_free(process);
		return error;
	}
	process->exited = exited;
	process->executed = false;
	process->parent = init;
	process_publish(process);
	registers = thread->registers;
	thread->private->registers_changed = false;
	if (out)
		*out = process;
	thread_begin(thread, &registers);
	return 0;
}

/* ---- the end ---- */

/* Process 1 may have no handler for SIGTERM: only SIGKILL is sure to end it. */
static bool anybody_left(int signal)
{
	for (struct process *process = process_first(); process; process = process_next(process))
		if (process->mm && (process->pid != 1 || signal == SIGKILL) &&
		    (!current_thread() || process != current_thread()->process))
			return true;
	return false;
}

static void signal_all(int signal)
{
	for (struct process *process = process_first(), *next; process; process = next) {
		next = process_next(process);
		if (current_thread() && process == current_thread()->process)
			continue;
		/* Process 1 too: nothing protects it now. */
		if (signal == SIGKILL)
			process_exit_group(process, SIGKILL);
		else
			signal_send(process, signal, 0x80, 0);
		if (process->signals->stopped)
			signal_send(process, SIGCONT, 0x80, 0);
	}
}

static void wait_for_all(int signal, deadline_t deadline)
{
	while (anybody_left(signal) && time_now() < deadline) {
		deadline_t step = time_now() + 10000000;

		while (!wait_suspend(false, step))
			;
	}
}

void system_shutdown(bool reboot)
{
	const struct startup_entry *system = startup_need("system", STARTUP_ENDPOINT, 0);
	struct message message = {MESSAGE_INFO(SYSTEM_POWER, 1), {reboot ? SYSTEM_REBOOT : SYSTEM_POWER_OFF}};
	static bool begun;

	while (begun)
		wait_suspend(false, DEADLINE_NEVER);
	begun = true;
	log_info("shutting down");
	signal_all(SIGTERM);
	wait_for_all(SIGTERM, time_now() + GRACE_NS);
	signal_all(SIGKILL);
	wait_for_all(SIGKILL, time_now() + GRACE_NS);
	vfs_shutdown();
	ipc_call(system->slot, &message, DEADLINE_NEVER);
	log_error("the supervisor did not end the system");
}

long sys_reboot(struct thread *thread, const uint64_t arguments[6])
{
	uint32_t magic = (uint32_t)arguments[1];

	if (!capable(thread, CAP_SYS_BOOT))
		return -EPERM;
	if ((uint32_t)arguments[0] != 0xfee1dead ||
	    (magic != 672274793 && magic != 85072278 && magic != 369367448 && magic != 537993216))
		return -EINVAL;
	switch ((uint32_t)arguments[2]) {
	case 0x00000000: /* CAD_OFF, CAD_ON: there is no such key */
	case 0x89abcdef:
		return 0;
	case 0x01234567: /* RESTART, RESTART2 */
	case 0xa1b2c3d4:
		system_shutdown(true);
		return -EIO;
	case 0xcdef0123: /* HALT, POWER_OFF */
	case 0x4321fedc:
		system_shutdown(false);
		return -EIO;
	default:
		return -EINVAL;
	}
}
