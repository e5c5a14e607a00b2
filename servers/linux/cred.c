/* SPDX-License-Identifier: MIT */
/* User and group identities. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "capability.h"
#include "syscall.h"
#include "thread.h"

#define UNCHANGED UINT32_MAX

static struct credentials *own(struct thread *thread)
{
	return &thread->process->credentials;
}

bool may_signal(struct thread *thread, struct process *target, int signal)
{
	const struct credentials *mine = own(thread), *theirs = &target->credentials;

	if (has_capability(mine, CAP_KILL) || mine->euid == theirs->suid || mine->euid == theirs->uid ||
	    mine->uid == theirs->suid || mine->uid == theirs->uid)
		return true;
	return signal == SIGCONT && target->sid == thread->process->sid;
}

/* ptrace's rule: the same user and group, and nothing that the other may and this one may not. */
bool process_may_inspect(const struct thread *thread, const struct process *target)
{
	const struct credentials *mine = &thread->process->credentials, *theirs = &target->credentials;
	uint32_t uid = mine->fsuid, gid = mine->fsgid;

	if (thread->process == target || has_capability(mine, CAP_SYS_PTRACE))
		return true;
	return uid == theirs->uid && uid == theirs->euid && uid == theirs->suid && gid == theirs->gid &&
	       gid == theirs->egid && gid == theirs->sgid && !(theirs->permitted & ~mine->effective) &&
	       !target->not_dumpable;
}

void credentials_changed(struct process *process, const struct credentials *old)
{
	const struct credentials *new = &process->credentials;

	if (old->euid == new->euid && old->egid == new->egid && old->fsuid == new->fsuid &&
	    old->fsgid == new->fsgid && !(new->permitted & ~old->permitted))
		return;
	process->not_dumpable = true;
	process->death_signal = 0;
}

static void uids_changed(struct thread *thread, const struct credentials *old)
{
	capabilities_uids_changed(old, own(thread));
	credentials_changed(thread->process, old);
}

/* The quick ones: see syscall.c. */
long sys_getuid(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	return own(thread)->uid;
}

long sys_geteuid(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	return own(thread)->euid;
}

long sys_getgid(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	return own(thread)->gid;
}

long sys_getegid(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	return own(thread)->egid;
}

static long put_three(struct thread *thread, const uint64_t addresses[3], uint32_t a, uint32_t b, uint32_t c)
{
	if (copy_to_user(thread, addresses[0], &a, sizeof(a)) ||
	    copy_to_user(thread, addresses[1], &b, sizeof(b)))
		return -EFAULT;
	return copy_to_user(thread, addresses[2], &c, sizeof(c));
}

long sys_getresuid(struct thread *thread, const uint64_t arguments[6])
{
	return put_three(thread, arguments, own(thread)->uid, own(thread)->euid, own(thread)->suid);
}

long sys_getresgid(struct thread *thread, const uint64_t arguments[6])
{
	return put_three(thread, arguments, own(thread)->gid, own(thread)->egid, own(thread)->sgid);
}

static bool one_of_uids(const struct credentials *credentials, uint32_t uid)
{
	return uid == UNCHANGED || uid == credentials->uid || uid == credentials->euid ||
	       uid == credentials->suid;
}

static bool one_of_gids(const struct credentials *credentials, uint32_t gid)
{
	return gid == UNCHANGED || gid == credentials->gid || gid == credentials->egid ||
	       gid == credentials->sgid;
}

long sys_setuid(struct thread *thread, const uint64_t arguments[6])
{
	struct credentials *credentials = own(thread), old = *credentials;
	uint32_t uid = (uint32_t)arguments[0];

	if (uid == UNCHANGED)
		return -EINVAL;
	if (capable(thread, CAP_SETUID))
		credentials->uid = credentials->suid = uid;
	else if (uid != credentials->uid && uid != credentials->suid)
		return -EPERM;
	credentials->euid = credentials->fsuid = uid;
	uids_changed(thread, &old);
	return 0;
}

long sys_setgid(struct thread *thread, const uint64_t arguments[6])
{
	struct credentials *credentials = own(thread), old = *credentials;
	uint32_t gid = (uint32_t)arguments[0];

	if (gid == UNCHANGED)
		return -EINVAL;
	if (capable(thread, CAP_SETGID))
		credentials->gid = credentials->sgid = gid;
	else if (gid != credentials->gid && gid != credentials->sgid)
		return -EPERM;
	credentials->egid = credentials->fsgid = gid;
	credentials_changed(thread->process, &old);
	return 0;
}

long sys_setreuid(struct thread *thread, const uint64_t arguments[6])
{
	struct credentials *credentials = own(thread), old = *credentials;
	uint32_t real = (uint32_t)arguments[0], effective = (uint32_t)arguments[1];
	uint32_t old_real = credentials->uid;

	if (!capable(thread, CAP_SETUID) &&
	    ((real != UNCHANGED && real != credentials->uid && real != credentials->euid) ||
	     !one_of_uids(credentials, effective)))
		return -EPERM;
	if (real != UNCHANGED)
		credentials->uid = real;
	if (effective != UNCHANGED)
		credentials->euid = effective;
	if (real != UNCHANGED || (effective != UNCHANGED && effective != old_real))
		credentials->suid = credentials->euid;
	credentials->fsuid = credentials->euid;
	uids_changed(thread, &old);
	return 0;
}

long sys_setregid(struct thread *thread, const uint64_t arguments[6])
{
	struct credentials *credentials = own(thread), old = *credentials;
	uint32_t real = (uint32_t)arguments[0], effective = (uint32_t)arguments[1];
	uint32_t old_real = credentials->gid;

	if (!capable(thread, CAP_SETGID) &&
	    ((real != UNCHANGED && real != credentials->gid && real != credentials->egid) ||
	     !one_of_gids(credentials, effective)))
		return -EPERM;
	if (real != UNCHANGED)
		credentials->gid = real;
	if (effective != UNCHANGED)
		credentials->egid = effective;
	if (real != UNCHANGED || (effective != UNCHANGED && effective != old_real))
		credentials->sgid = credentials->egid;
	credentials->fsgid = credentials->egid;
	credentials_changed(thread->process, &old);
	return 0;
}

long sys_setresuid(struct thread *thread, const uint64_t arguments[6])
{
	struct credentials *credentials = own(thread), old = *credentials;
	uint32_t real = (uint32_t)arguments[0], effective = (uint32_t)arguments[1],
	         saved = (uint32_t)arguments[2];

	if (!capable(thread, CAP_SETUID) &&
	    (!one_of_uids(credentials, real) || !one_of_uids(credentials, effective) ||
	     !one_of_uids(credentials, saved)))
		return -EPERM;
	if (real != UNCHANGED)
		credentials->uid = real;
	if (effective != UNCHANGED)
		credentials->euid = effective;
	if (saved != UNCHANGED)
		credentials->suid = saved;
	credentials->fsuid = credentials->euid;
	uids_changed(thread, &old);
	return 0;
}

long sys_setresgid(struct thread *thread, const uint64_t arguments[6])
{
	struct credentials *credentials = own(thread), old = *credentials;
	uint32_t real = (uint32_t)arguments[0], effective = (uint32_t)arguments[1],
	         saved = (uint32_t)arguments[2];

	if (!capable(thread, CAP_SETGID) &&
	    (!one_of_gids(credentials, real) || !one_of_gids(credentials, effective) ||
	     !one_of_gids(credentials, saved)))
		return -EPERM;
	if (real != UNCHANGED)
		credentials->gid = real;
	if (effective != UNCHANGED)
		credentials->egid = effective;
	if (saved != UNCHANGED)
		credentials->sgid = saved;
	credentials->fsgid = credentials->egid;
	credentials_changed(thread->process, &old);
	return 0;
}

long sys_setfsuid(struct thread *thread, const uint64_t arguments[6])
{
	struct credentials *credentials = own(thread), old = *credentials;
	uint32_t uid = (uint32_t)arguments[0];

	if (uid != UNCHANGED && (capable(thread, CAP_SETUID) || one_of_uids(&old, uid))) {
		credentials->fsuid = uid;
		capabilities_fsuid_changed(&old, credentials);
		credentials_changed(thread->process, &old);
	}
	return old.fsuid;
}

long sys_setfsgid(struct thread *thread, const uint64_t arguments[6])
{
	struct credentials *credentials = own(thread), old = *credentials;
	uint32_t gid = (uint32_t)arguments[0];

	if (gid != UNCHANGED && (capable(thread, CAP_SETGID) || one_of_gids(credentials, gid))) {
		credentials->fsgid = gid;
		credentials_changed(thread->process, &old);
	}
	return old.fsgid;
}

/* ---- supplementary groups ---- */

struct group_list *group_list_get(struct group_list *list)
{
	if (list)
		list->references++;
	return list;
}

void group_list_put(struct group_list *list)
{
	if (list && --list->references == 0)
		free(list);
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

bool credentials_in_group(const struct credentials *credentials, uint32_t gid)
{
	const struct group_list *list = credentials->groups;

	return credentials->fsgid == gid ||
	       (list && bsearch(&gid, list->groups, list->count, sizeof(gid), by_number));
}

long sys_getgroups(struct thread *thread, const uint64_t arguments[6])
{
	struct group_list *list = own(thread)->groups;
	uint32_t count = list ? list->count : 0;
	int size = (int)arguments[0];
	long result = count;

	if (size < 0 || (size && (uint32_t)size < count))
		return -EINVAL;
	group_list_get(list);
	if (size && list && copy_to_user(thread, arguments[1], list->groups, count * sizeof(uint32_t)))
		result = -EFAULT;
	group_list_put(list);
	return result;
}

long sys_setgroups(struct thread *thread, const uint64_t arguments[6])
{
	unsigned count = (unsigned)arguments[0];
	struct group_list *list = NULL, *old;

	if (!capable(thread, CAP_SETGID))
		return -EPERM;
	if (count > GROUPS_MAX)
		return -EINVAL;
	if (count) {
		list = malloc(sizeof(*list) + count * sizeof(uint32_t));
		if (!list)
			return -ENOMEM;
		list->references = 1;
		list->count = count;
		if (copy_from_user(thread, list->groups, arguments[1], count * sizeof(uint32_t))) {
			free(list);
			return -EFAULT;
		}
		for (unsigned i = 0; i < count; i++)
			if (list->groups[i] == UINT32_MAX) { /* no group */
				free(list);
				return -EINVAL;
			}
		qsort(list->groups, count, sizeof(uint32_t),
		      by_number); /* as getgroups shows them on Linux */
	}
	old = own(thread)->groups;
	own(thread)->groups = list;
	group_list_put(old);
	return 0;
}

/* ---- what /proc tells ---- */

void process_facts(const struct process *process, const struct thread *thread, struct process_facts *out)
{
	const struct signal_state *state = process->signals;

	*out = (struct process_facts){
	        .pending = state->pending.pending,
	        .no_new_privileges = process->no_new_privileges,
	};
	if (thread) {
		out->thread_pending = thread->private->pending.pending;
		out->blocked = thread->blocked;
	}
	for (int i = 0; i < SIGNAL_COUNT; i++) {
		if (state->actions[i].handler == HANDLER_IGNORE)
			out->ignored |= SIGNAL_BIT(i + 1);
		else if (state->actions[i].handler != HANDLER_DEFAULT)
			out->caught |= SIGNAL_BIT(i + 1);
	}
}
