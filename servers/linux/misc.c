/* SPDX-License-Identifier: MIT */
/* What the system is, and settings of a process that have no better place. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <pith/object.h>
#include <pith/startup.h>
#include "capability.h"
#include "load.h"
#include "address_space.h"
#include "syscall.h"
#include "thread.h"
#include "vfs.h"

#define TICK         10000000ul /* ns: 100 a second */
#define TIMER_SLACK  50000      /* ns */
#define IDENTITY_MAX 64

/* ---- names and figures ---- */

struct utsname linux_identity = {
        .sysname = "Linux",
        .nodename = "pith",
        .release = "6.1.0-pith", /* programs decide by it what to expect of Linux */
        .version = "#1 Pith",
        .machine = "x86_64",
        .domainname = "(none)",
};

long sys_uname(struct thread *thread, const uint64_t arguments[6])
{
	struct utsname identity = linux_identity;

	if ((thread->process->personality & PER_MASK) == PER_LINUX32)
		strcpy(identity.machine, "i686");
	return copy_to_user(thread, arguments[0], &identity, sizeof(identity));
}

long identity_set(struct thread *thread, char *name, const char *new, size_t length)
{
	if (!capable(thread, CAP_SYS_ADMIN))
		return -EPERM;
	if (length > IDENTITY_MAX)
		return -EINVAL;
	memset(name, 0, IDENTITY_MAX + 1);
	memcpy(name, new, length);
	return 0;
}

static long set_name(struct thread *thread, char *name, uint64_t address, uint64_t length)
{
	char new[IDENTITY_MAX];

	if (length <= sizeof(new) && capable(thread, CAP_SYS_ADMIN) &&
	    copy_from_user(thread, new, address, length))
		return -EFAULT;
	return identity_set(thread, name, new, length);
}

long sys_sethostname(struct thread *thread, const uint64_t arguments[6])
{
	return set_name(thread, linux_identity.nodename, arguments[0], arguments[1]);
}

long sys_setdomainname(struct thread *thread, const uint64_t arguments[6])
{
	return set_name(thread, linux_identity.domainname, arguments[0], arguments[1]);
}

long sys_sysinfo(struct thread *thread, const uint64_t arguments[6])
{
	struct {
		int64_t uptime;
		uint64_t loads[3], total, free, shared, buffer, swap_total, swap_free;
		uint16_t processes, padding;
		uint64_t high_total, high_free;
		uint32_t unit;
	} info = {.uptime = (int64_t)(time_now() / 1000000000),
	          .total = pages_total() << PAGE_BITS,
	          .free = pages_free() << PAGE_BITS,
	          .shared = page_cache_memory_pages() << PAGE_BITS,
	          .unit = 1};

	for (struct process *process = process_first(); process; process = process_next(process))
		info.processes = (uint16_t)(info.processes + process->thread_count);
	for (int i = 0; i < 3; i++)
		info.loads[i] = load_averages[i] * ((1u << SI_LOAD_SHIFT) / LOAD_ONE);
	return copy_to_user(thread, arguments[0], &info, sizeof(info));
}

long sys_times(struct thread *thread, const uint64_t arguments[6])
{
	struct {
		int64_t user, system, child_user, child_system;
	} times = {.user = (int64_t)(process_cpu_time(thread->process) / TICK),
	           .child_user = (int64_t)(thread->process->children_used.cpu_time / TICK)};

	if (arguments[0] && copy_to_user(thread, arguments[0], &times, sizeof(times)))
		return -EFAULT;
	return (long)(time_now() / TICK);
}

/* ---- per process ---- */

long sys_personality(struct thread *thread, const uint64_t arguments[6])
{
	uint32_t old = thread->process->personality;

	if ((uint32_t)arguments[0] != UINT32_MAX)
		thread->process->personality = (uint32_t)arguments[0];
	return old;
}

long sys_arch_prctl(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t value;

	switch (arguments[0]) {
	case 0x1002: /* ARCH_SET_FS */
		if (arguments[1] >= USER_END)
			return -EPERM;
		if (thread->registers_valid)
			thread->registers.fs_base = arguments[1];
		return thread_set_tls(thread->private->kernel->object, arguments[1]) == ERR_NONE ? 0
		                                                                                 : -EINVAL;
	case 0x1001: /* ARCH_SET_GS */
		if (arguments[1] >= USER_END)
			return -EPERM;
		thread_registers_change(thread)->gs_base = arguments[1];
		return 0;
	case 0x1003: /* ARCH_GET_FS */
		value = thread_registers(thread)->fs_base;
		return copy_to_user(thread, arguments[1], &value, sizeof(value));
	case 0x1004: /* ARCH_GET_GS */
		value = thread_registers(thread)->gs_base;
		return copy_to_user(thread, arguments[1], &value, sizeof(value));
	default:
		return -EINVAL;
	}
}

static long set_comm(struct thread *thread, uint64_t address)
{
	char name[COMM_SIZE] = {0};
	ssize_t length = copy_string_from_user(thread, name, address, COMM_SIZE - 1);

	if (length == -EFAULT)
		return -EFAULT;
	name[COMM_SIZE - 1] = 0;
	thread_set_name(thread, name);
	return 0;
}

static long put_int(struct thread *thread, uint64_t address, int value)
{
	return copy_to_user(thread, address, &value, sizeof(value));
}

long sys_prctl(struct thread *thread, const uint64_t arguments[6])
{
	struct process *process = thread->process;

	switch ((int)arguments[0]) {
	case PR_SET_NAME:
		return set_comm(thread, arguments[1]);
	case PR_GET_NAME:
		return copy_to_user(thread, arguments[1], thread->comm, COMM_SIZE);
	case PR_SET_PDEATHSIG:
		if (arguments[1] > SIGNAL_COUNT)
			return -EINVAL;
		process->death_signal = (int)arguments[1];
		return 0;
	case PR_GET_PDEATHSIG:
		return put_int(thread, arguments[1], process->death_signal);
	case PR_GET_DUMPABLE:
		return !process->not_dumpable;
	case PR_SET_DUMPABLE: /* there are no core dumps: it is for whom /proc lets in */
		if (arguments[1] > 1)
			return -EINVAL;
		process->not_dumpable = !arguments[1];
		return 0;
	case PR_CAPBSET_READ:
	case PR_CAPBSET_DROP:
	case PR_CAP_AMBIENT:
	case PR_GET_SECUREBITS:
	case PR_SET_SECUREBITS:
	case PR_GET_KEEPCAPS:
	case PR_SET_KEEPCAPS:
		return capability_prctl(&process->credentials, arguments);
	case PR_GET_NO_NEW_PRIVS:
		if (arguments[1] || arguments[2] || arguments[3] || arguments[4])
			return -EINVAL;
		return process->no_new_privileges;
	case PR_SET_NO_NEW_PRIVS:
		if (arguments[1] != 1 || arguments[2] || arguments[3] || arguments[4])
			return -EINVAL;
		process->no_new_privileges = true;
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		process->subreaper = arguments[1] != 0;
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return put_int(thread, arguments[1], process->subreaper);
	case PR_GET_TIMERSLACK:
		return thread->private->timer_slack ? (long)thread->private->timer_slack : TIMER_SLACK;
	case PR_SET_TIMERSLACK: /* told, but nothing is ever late by it */
		thread->private->timer_slack = (int64_t)arguments[1] > 0 ? arguments[1] : 0;
		return 0;
	case PR_GET_SECCOMP:
		return 0;
	case PR_GET_TID_ADDRESS:
		return copy_to_user(thread, arguments[1], &thread->private->clear_child_tid,
		                    sizeof(thread->private->clear_child_tid));
	case PR_GET_THP_DISABLE: /* there are no huge pages */
		return arguments[1] || arguments[2] || arguments[3] || arguments[4] ? -EINVAL
		                                                                    : process->no_huge_pages;
	case PR_SET_THP_DISABLE:
		if (arguments[2] || arguments[3] || arguments[4])
			return -EINVAL;
		process->no_huge_pages = arguments[1] != 0;
		return 0;
	case PR_MCE_KILL_GET:
		return arguments[1] || arguments[2] || arguments[3] || arguments[4] ? -EINVAL
		                                                                    : PR_MCE_KILL_DEFAULT;
	case PR_GET_TSC:
		return put_int(thread, arguments[1], PR_TSC_ENABLE);
	default:
		return -EINVAL;
	}
}

/* A call that a stop or a signal interrupted is made again by itself (syscall.h): there is never one to go on
 * with. */
long sys_restart_syscall(struct thread *thread, const uint64_t arguments[6])
{
	(void)thread;
	(void)arguments;
	return -EINTR;
}

/* Asking the CPU where a thread is about it interrupts whatever runs there, which is the barrier; a thread
 * that does not run passes one when it begins to. One whose call is being served is not where it runs. */
static void interrupt_cpus_of(struct process *process, uint64_t *interrupted)
{
	for (struct thread *each = process->threads; each; each = each->next_in_process) {
		struct kernel_thread *kernel = each->private->kernel;
		struct thread_info info;

		if (kernel && !(*interrupted >> kernel->cpu & 1) &&
		    thread_info(kernel->object, &info) == ERR_NONE)
			*interrupted |= 1ul << info.cpu;
	}
}

long sys_membarrier(struct thread *thread, const uint64_t arguments[6])
{
	/* QUERY; GLOBAL, GLOBAL_EXPEDITED and its registration, PRIVATE_EXPEDITED and its */
	enum {
		QUERY = 0,
		PRIVATE = 8,
		PRIVATE_REGISTER = 16,
		GLOBAL = 1,
		GLOBAL_EXPEDITED = 2,
		COMMANDS = 0x1f
	};
	uint64_t interrupted = 0;

	if (arguments[1] || arguments[0] & ~(uint64_t)COMMANDS || arguments[0] & (arguments[0] - 1))
		return -EINVAL;
	switch (arguments[0]) {
	case QUERY:
		return COMMANDS;
	case PRIVATE:
		if (!thread->process->private_barriers)
			return -EPERM;
		interrupt_cpus_of(thread->process, &interrupted);
		return 0;
	case PRIVATE_REGISTER:
		thread->process->private_barriers = true;
		return 0;
	case GLOBAL:
	case GLOBAL_EXPEDITED:
		for (struct process *each = process_first(); each; each = process_next(each))
			interrupt_cpus_of(each, &interrupted);
		return 0;
	default:
		return 0;
	}
}

/* What a kernel without swap space, modules and ports for programs refuses; whoever may not ask is told that.
 */
static long not_built(struct thread *thread, enum capability capability)
{
	return capable(thread, capability) ? -ENOSYS : -EPERM;
}

#define NOT_BUILT(name, capability)                                         \
	long sys_##name(struct thread *thread, const uint64_t arguments[6]) \
	{                                                                   \
		(void)arguments;                                            \
		return not_built(thread, capability);                       \
	}
NOT_BUILT(swapon, CAP_SYS_ADMIN)
NOT_BUILT(swapoff, CAP_SYS_ADMIN)
NOT_BUILT(init_module, CAP_SYS_MODULE)
NOT_BUILT(finit_module, CAP_SYS_MODULE)
NOT_BUILT(delete_module, CAP_SYS_MODULE)
#undef NOT_BUILT

long sys_ioperm(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t from = arguments[0], count = arguments[1];

	if (from + count <= from || from + count > 65536)
		return -EINVAL;
	return arguments[2] ? not_built(thread, CAP_SYS_RAWIO) : 0; /* nobody has any to give up */
}

long sys_iopl(struct thread *thread, const uint64_t arguments[6])
{
	if ((unsigned)arguments[0] > 3)
		return -EINVAL;
	return arguments[0] ? not_built(thread, CAP_SYS_RAWIO) : 0;
}

/* Restartable sequences: the C library does without them. Known, so that it is not logged. */
long sys_rseq(struct thread *thread, const uint64_t arguments[6])
{
	(void)thread;
	(void)arguments;
	return -ENOSYS;
}
