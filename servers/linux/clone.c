/* SPDX-License-Identifier: MIT */
/* fork, vfork, clone, clone3: new processes and threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <pith/object.h>
#include "capability.h"
#include "address_space.h"
#include "balance.h"
#include "syscall.h"
#include "thread.h"
#include "vfs.h"

#define CLONE_CLEAR_SIGHAND_ 0x100000000ul
#define CLONE3_SIZE_MIN      64

/* Namespaces but that of mounts, and what else a process could not get from us; a wrong answer would be worse
 * than an error. */
#define NAMESPACES                                                                                     \
	(CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
	 CLONE_NEWTIME)
#define UNSUPPORTED  (NAMESPACES | CLONE_PTRACE)
#define THREAD_FLAGS (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)

struct clone_request {
	uint64_t flags;
	int exit_signal;
	uint64_t stack; /* top; 0: the parent's */
	uint64_t parent_tid, child_tid, tls;
	uint64_t pidfd; /* CLONE_PIDFD: where its number goes */
};

static int check_flags(struct thread *thread, const struct clone_request *request)
{
	uint64_t flags = request->flags;

	if (flags & UNSUPPORTED)
		return -EINVAL;
	if (flags & CLONE_PIDFD && (flags & (CLONE_THREAD | CLONE_DETACHED) ||
	                            (flags & CLONE_PARENT_SETTID && request->pidfd == request->parent_tid)))
		return -EINVAL;
	if (flags & CLONE_THREAD && (flags & THREAD_FLAGS) != THREAD_FLAGS)
		return -EINVAL;
	if (flags & CLONE_SIGHAND && !(flags & CLONE_VM))
		return -EINVAL;
	/* Handlers shared between processes: not supported. */
	if (flags & CLONE_SIGHAND && !(flags & CLONE_THREAD))
		return -EINVAL;
	if (request->stack >= USER_END)
		return -EINVAL;
	if (flags & CLONE_FS && flags & CLONE_NEWNS)
		return -EINVAL;
	if (request->exit_signal > SIGNAL_COUNT || request->exit_signal < 0)
		return -EINVAL;
	if (flags & CLONE_NEWNS && !capable(thread, CAP_SYS_ADMIN))
		return -EPERM;
	return flags & CLONE_SETTLS && request->tls >= USER_END ? -EPERM : 0;
}

static unsigned processes_of(uint32_t uid)
{
	unsigned count = 0;

	for (struct process *process = process_first(); process; process = process_next(process))
		if (process->credentials.uid == uid)
			count += process->thread_count ? process->thread_count : 1;
	return count;
}

static int copy_process(struct process *parent, struct process *child, uint64_t flags)
{
	child->files = flags & CLONE_FILES ? file_table_get(parent->files) : file_table_copy(parent->files);
	child->fs = flags & CLONE_FS ? fs_context_get(parent->fs) : fs_context_copy(parent->fs);
	child->mm = flags & CLONE_VM ? mm_get(parent->mm) : mm_fork(parent->mm);
	if (!child->files || !child->fs || !child->mm)
		return -ENOMEM;
	return flags & CLONE_NEWNS ? tree_unshare(child->fs) : 0;
}

static struct process *new_process(struct thread *thread, const struct clone_request *request, int *error)
{
	struct process *parent = thread->process;
	struct process *child = process_create(parent);

	*error = -ENOMEM;
	if (!child)
		return NULL;
	child->exit_signal = request->flags & CLONE_PARENT ? parent->exit_signal : request->exit_signal;
	*error = copy_process(parent, child, request->flags);
	if (!*error && !(child->pid = pid_allocate()))
		*error = -EAGAIN;
	if (*error) {
		child->parent = NULL;
		process_free(child);
		return NULL;
	}
	if (request->flags & CLONE_CLEAR_SIGHAND_)
		for (int i = 0; i < SIGNAL_COUNT; i++)
			if (child->signals->actions[i].handler != HANDLER_IGNORE)
				child->signals->actions[i] = (struct signal_action){0};
	return child;
}

/* The new thread looks like the old one, with 0 as the call's result. */
static void start_child(struct thread *thread, struct thread *child, const struct clone_request *request)
{
	struct thread_registers registers = *thread_registers(thread);
	uint8_t vector[3072];
	size_t size = sizeof(vector);

	registers.rax = 0;
	if (request->stack)
		registers.rsp = request->stack;
	if (request->flags & CLONE_SETTLS)
		registers.fs_base = request->tls;
	if (thread_read_vector(thread->private->kernel->object, vector, &size) == ERR_NONE && size)
		thread_write_vector(child->private->kernel->object, vector, size);
	thread_begin(child, &registers);
}

static void copy_thread(struct thread *thread, struct thread *child, const struct clone_request *request)
{
	struct thread_private *from = thread->private, *to = child->private;

	child->blocked = from->mask_saved ? from->saved_mask : thread->blocked;
	memcpy(child->comm, thread->comm, sizeof(child->comm));
	thread_set_affinity(child, from->affinity);
	if (!from->reset_on_fork) {
		to->policy = from->policy;
		to->priority = from->priority;
	}
	to->timer_slack = from->timer_slack;
	to->memory_policy = from->memory_policy;
	/* A copy of the address space still has the alternate stack; a thread in the same one must not share
	 * it. */
	if (!(request->flags & CLONE_VM) || request->flags & CLONE_VFORK) {
		to->alternate_stack = from->alternate_stack;
		to->alternate_size = from->alternate_size;
		to->alternate_flags = from->alternate_flags;
	}
	if (request->flags & CLONE_CHILD_CLEARTID)
		to->clear_child_tid = request->child_tid;
}

static void store_tids(struct thread *thread, struct thread *child, const struct clone_request *request)
{
	int32_t tid = child->tid;

	if (request->flags & CLONE_PARENT_SETTID)
		copy_to_user(thread, request->parent_tid, &tid, sizeof(tid));
	if (request->flags & CLONE_CHILD_SETTID)
		mm_copy_to(child->process->mm, request->child_tid, &tid, sizeof(tid));
}

/* The parent of a vfork sleeps until the child has left its memory, or it is itself to end. */
static void wait_for_vfork(struct thread *thread, int pid)
{
	struct mm *mm = thread->process->mm;

	for (;;) {
		struct process *child = process_find(pid);

		if (!child || child->mm != mm || child->zombie)
			return;
		if (waitq_wait_killable(&child->vfork_wait))
			return;
	}
}

static long clone_common(struct thread *thread, const struct clone_request *request)
{
	struct process *process = thread->process, *target = process;
	struct thread *child = NULL;
	struct file *pidfd = NULL;
	int error = check_flags(thread, request), pid;

	if (error)
		return error;
	if (process->credentials.uid && !capable(thread, CAP_SYS_RESOURCE) &&
	    !capable(thread, CAP_SYS_ADMIN) &&
	    processes_of(process->credentials.uid) >= process->limits[6].current)
		return -EAGAIN; /* RLIMIT_NPROC */
	thread_registers(thread);
	if (!(request->flags & CLONE_THREAD)) {
		target = new_process(thread, request, &error);
		if (!target)
			return error;
	}
	if (process->group_exit || process->exec_thread)
		error = -EAGAIN; /* it is ending: nothing may be added */
	if (!error && request->flags & CLONE_PIDFD)
		error = pidfd_promise(thread, request->pidfd, &pidfd);
	if (!error && !(child = thread_create(target, target == process ? 0 : target->pid)))
		error = -EAGAIN;
	if (error) {
		if (target != process) {
			target->parent = NULL;
			process_free(target);
		}
		if (pidfd)
			pidfd_break(thread, pidfd);
		return error;
	}
	copy_thread(thread, child, request);
	if (pidfd)
		pidfd_keep(pidfd, target);
	if (target != process) {
		/* Only now: what is not published does not hear of a parent that ends or a terminal that
		 * goes. */
		if (request->flags & CLONE_PARENT)
			target->parent = process->parent;
		target->tty = process->tty;
		process_publish(target);
		process_timers_limit(target);
	}
	pid = child->tid;
	store_tids(thread, child, request);
	start_child(thread, child, request);
	if (request->flags & CLONE_VFORK)
		wait_for_vfork(thread, pid);
	return pid;
}

long sys_fork(struct thread *thread, const uint64_t arguments[6])
{
	struct clone_request request = {.exit_signal = SIGCHLD};

	(void)arguments;
	return clone_common(thread, &request);
}

long sys_vfork(struct thread *thread, const uint64_t arguments[6])
{
	struct clone_request request = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};

	(void)arguments;
	return clone_common(thread, &request);
}

long sys_clone(struct thread *thread, const uint64_t arguments[6])
{
	struct clone_request request = {.flags = arguments[0] & 0xffffff00,
	                                .exit_signal = arguments[0] & 0xff,
	                                .stack = arguments[1],
	                                .parent_tid = arguments[2],
	                                .child_tid = arguments[3],
	                                .tls = arguments[4],
	                                .pidfd = arguments[2]};

	return clone_common(thread, &request);
}

/*
 * What a thread has of its own: of the namespaces there are those of mounts, and threads share the rest for
 * good. Not sharing what nobody else shares succeeds, as on Linux.
 */
long sys_unshare(struct thread *thread, const uint64_t arguments[6])
{
	struct process *process = thread->process;
	uint64_t flags = arguments[0];

	if (flags & ~(uint64_t)(CLONE_FS | CLONE_FILES | CLONE_VM | CLONE_SIGHAND | CLONE_THREAD |
	                        CLONE_SYSVSEM | CLONE_NEWNS | NAMESPACES))
		return -EINVAL;
	if (flags & CLONE_NEWNS)
		flags |= CLONE_FS;
	if (flags & NAMESPACES)
		return capable(thread, CAP_SYS_ADMIN) || flags & CLONE_NEWUSER
		               ? -EINVAL
		               : -EPERM; /* as a kernel built without them */
	if (flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_FS | CLONE_FILES) &&
	    process->thread_count > 1)
		return -EINVAL;
	if (flags & CLONE_NEWNS && !capable(thread, CAP_SYS_ADMIN))
		return -EPERM;
	if ((flags & CLONE_FILES && file_table_unshare(process) != 0) ||
	    (flags & CLONE_FS && fs_context_unshare(process) != 0))
		return -ENOMEM;
	return flags & CLONE_NEWNS ? tree_unshare(process->fs) : 0;
}

/* What clone() lets pass, and a stack that is not there. */
static bool clone3_valid(const uint64_t fields[11])
{
	uint64_t flags = fields[0], signal = fields[4], stack = fields[5], stack_size = fields[6];

	if (flags & ~0x1fffffffful || flags & (0xff | CLONE_DETACHED))
		return false;
	if (flags & CLONE_SIGHAND && flags & CLONE_CLEAR_SIGHAND_)
		return false;
	if (signal > SIGNAL_COUNT || (signal && flags & (CLONE_THREAD | CLONE_PARENT)))
		return false;
	return !stack == !stack_size && stack <= USER_END && stack_size <= USER_END - stack;
}

long sys_clone3(struct thread *thread, const uint64_t arguments[6])
{
	/* struct clone_args: flags pidfd child_tid parent_tid exit_signal stack stack_size tls [set_tid
	 * set_tid_size cgroup] */
	uint64_t fields[11] = {0};
	size_t size = arguments[1];
	struct clone_request request;
	int error;

	if (size < CLONE3_SIZE_MIN)
		return -EINVAL;
	error = copy_struct_from_user(thread, fields, sizeof(fields), arguments[0], size);
	if (error)
		return error;
	if (fields[8] || fields[9] || !clone3_valid(fields))
		return -EINVAL;
	request = (struct clone_request){.flags = fields[0],
	                                 .exit_signal = (int)fields[4],
	                                 .stack = fields[5] ? fields[5] + fields[6] : 0,
	                                 .parent_tid = fields[3],
	                                 .child_tid = fields[2],
	                                 .tls = fields[7],
	                                 .pidfd = fields[1]};
	return clone_common(thread, &request);
}
