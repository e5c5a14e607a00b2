/* SPDX-License-Identifier: MIT */
/* Who is told by a signal what happens to an open file (F_SETOWN and its family). Watched directories tell
 * (inotify.c). */
#include <signal.h>
#include <pith/startup.h>
#include "fs/notify.h"
#include "signals.h"
#include "syscall.h"

enum owner_kind { OWNER_THREAD, OWNER_PROCESS, OWNER_GROUP };

struct file_owner {
	enum owner_kind kind;
	int id;             /* 0: nobody */
	uint64_t since;     /* a process that began later has the number of one that is gone */
	uint32_t uid, euid; /* who said so: they must be allowed to signal the owner */
	int signal;         /* 0: SIGIO, which tells nothing else */
};

/* struct f_owner_ex */
struct owner_record {
	int32_t kind, id;
};

#define SI_KERNEL_ 0x80
#define SI_SIGIO_  (-5)
/* Their codes mean something else. */
#define WITH_OWN_CODES                                                                        \
	(SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | \
	 SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGSYS))

/* NULL: no memory. */
static struct file_owner *owner_of(struct file *file)
{
	if (file->owner == NULL)
		file->owner = calloc(1, sizeof(*file->owner));
	return file->owner;
}

/* Linux has numbers for processes and threads, and keeps them while a group or a session has them. */
static bool exists(int id)
{
	if (thread_find(id) != NULL)
		return true;
	for (struct process *process = process_first(); process != NULL; process = process_next(process))
		if (process->pid == id || process->pgid == id || process->sid == id)
			return true;
	return false;
}

static long set(struct thread *thread, struct file *file, enum owner_kind kind, int id)
{
	struct file_owner *owner = owner_of(file);
	if (owner == NULL)
		return -ENOMEM;
	if (id != 0 && !exists(id))
		return -ESRCH;
	owner->kind = kind;
	owner->id = id;
	owner->since = time_now();
	owner->uid = thread->process->credentials.uid;
	owner->euid = thread->process->credentials.euid;
	return 0;
}

long file_owner_default(struct thread *thread, struct file *file)
{
	return file->owner != NULL && file->owner->id != 0
	               ? 0
	               : set(thread, file, OWNER_PROCESS, thread->process->pid);
}

static long set_from_user(struct thread *thread, struct file *file, uint64_t address)
{
	struct owner_record record;
	if (copy_from_user(thread, &record, address, sizeof(record)) != 0)
		return -EFAULT;
	if (record.kind < OWNER_THREAD || record.kind > OWNER_GROUP)
		return -EINVAL;
	return record.id < 0 ? -ESRCH : set(thread, file, (enum owner_kind)record.kind, record.id);
}

long file_owner_command(struct thread *thread, struct file *file, int command, uint64_t argument)
{
	struct file_owner *owner = file->owner;
	int id = (int)argument;
	struct owner_record record = {0};
	if (owner != NULL)
		record = (struct owner_record){owner->kind, exists(owner->id) ? owner->id : 0};
	switch (command) {
	case FILE_SETOWN:
		if (id == INT32_MIN)
			return -EINVAL;
		return set(thread, file, id < 0 ? OWNER_GROUP : OWNER_PROCESS, id < 0 ? -id : id);
	case FILE_GETOWN:
		return record.kind == OWNER_GROUP ? -record.id : record.id;
	case FILE_SETSIG:
		if (argument > SIGNAL_COUNT)
			return -EINVAL;
		if (owner_of(file) == NULL)
			return -ENOMEM;
		file->owner->signal = (int)argument;
		return 0;
	case FILE_GETSIG:
		return owner != NULL ? owner->signal : 0;
	case FILE_SETOWN_EX:
		return set_from_user(thread, file, argument);
	default:
		return copy_to_user(thread, argument, &record, sizeof(record));
	}
}

/* ---- telling ---- */

static bool may_tell(const struct file_owner *owner, const struct process *process)
{
	const struct credentials *them = &process->credentials;
	return owner->euid == 0 || owner->euid == them->suid || owner->euid == them->uid ||
	       owner->uid == them->suid || owner->uid == them->uid;
}

static void tell(const struct file_owner *owner, struct process *process, struct thread *thread, int fd,
                 const struct file_signal *why)
{
	struct linux_siginfo info = {.signal = owner->signal, .code = why->code};
	struct linux_siginfo plain = {.signal = SIGIO, .code = SI_KERNEL_};
	if (!may_tell(owner, process))
		return;
	info.band = why->events;
	info.fd = fd;
	if (owner->signal != 0 && SIGNAL_BIT(owner->signal) & WITH_OWN_CODES)
		info.code = SI_SIGIO_;
	if (owner->signal == 0 || !signal_post(process, thread, &info))
		signal_post(process, thread, &plain);
}

void file_owner_signal(const struct file *file, int fd, const struct file_signal *why)
{
	const struct file_owner *owner = file->owner;
	if (owner == NULL || owner->id == 0)
		return;
	if (owner->kind != OWNER_GROUP) {
		struct thread *thread = owner->kind == OWNER_THREAD ? thread_find(owner->id) : NULL;
		struct process *process = thread != NULL ? thread->process : process_find(owner->id);
		if (process != NULL && process->start_time <= owner->since &&
		    (thread != NULL) == (owner->kind == OWNER_THREAD))
			tell(owner, process, thread, fd, why);
		return;
	}
	for (struct process *process = process_first(), *next; process != NULL; process = next) {
		next = process_next(process);
		if (process->pgid == owner->id)
			tell(owner, process, NULL, fd, why);
	}
}
