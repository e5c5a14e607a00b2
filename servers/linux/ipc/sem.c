/* SPDX-License-Identifier: MIT */
/* System V semaphores. The operations of a call happen together or not at all; who cannot go on sleeps, and
 * looks again when the set has changed. */
#include "ipc/ipc.h"
#include <errno.h>
#include <stdlib.h>
#include "fs/internal.h"
#include "syscall.h"

#define VALUE_MAX 32767
#define SEM_UNDO_ 0x1000

enum {
	GETPID_ = 11,
	GETVAL_ = 12,
	GETALL_ = 13,
	GETNCNT_ = 14,
	GETZCNT_ = 15,
	SETVAL_ = 16,
	SETALL_ = 17,
	SEM_STAT_ = 18,
	SEM_INFO_ = 19,
	SEM_STAT_ANY_ = 20
};

/* All semaphores together are fewer than on Linux: they live in the server's own memory. */
const int sem_limits[4] = {32000, 256000, 500, 32000};

struct semaphore {
	uint16_t value;
	int pid; /* whose operation was the last */
};

/* struct sembuf */
struct sem_operation {
	uint16_t number;
	int16_t change, flags;
};

/* A call that sleeps: on its fiber's stack. */
struct sem_waiter {
	struct sem_waiter *next;
	unsigned number;
	bool for_zero;
};

struct sem_set {
	struct ipc_object object; /* first */
	unsigned references;      /* 1 of the table's, and those of calls that sleep */
	unsigned count;
	int64_t operated, changed; /* seconds */
	struct waitq wait;
	struct sem_waiter *waiters;
	struct semaphore semaphores[];
};

/* What the end of a process changes in one set. */
struct sem_undo {
	struct sem_undo *next;
	struct sem_set *set; /* goes with the set */
	int16_t changes[];
};

static struct ipc_table sets = {.limit = 32000};
static unsigned total;

static void set_put(struct sem_set *set)
{
	if (!--set->references)
		free(set);
}

static struct sem_undo *undo_of(const struct process *process, const struct sem_set *set)
{
	struct sem_undo *undo = process->sem_undo;

	while (undo && undo->set != set)
		undo = undo->next;
	return undo;
}

static void undo_forget(struct process *process, const struct sem_set *set)
{
	for (struct sem_undo **link = &process->sem_undo; *link; link = &(*link)->next)
		if ((*link)->set == set) {
			struct sem_undo *undo = *link;

			*link = undo->next;
			free(undo);
			return;
		}
}

void sem_exit(struct process *process)
{
	while (process->sem_undo) {
		struct sem_undo *undo = process->sem_undo;
		struct sem_set *set = undo->set;

		for (unsigned i = 0; i < set->count; i++) {
			int value = set->semaphores[i].value + undo->changes[i];

			if (!undo->changes[i])
				continue;
			set->semaphores[i].value = (uint16_t)(value < 0           ? 0
			                                      : value > VALUE_MAX ? VALUE_MAX
			                                                          : value);
			set->semaphores[i].pid = process->pid;
		}
		set->operated = ipc_now();
		waitq_wake_all(&set->wait);
		process->sem_undo = undo->next;
		free(undo);
	}
}

/* ---- semget ---- */

static long create(struct thread *thread, int key, unsigned count, unsigned flags)
{
	struct sem_set *set;
	long id;

	if (!count)
		return -EINVAL;
	if (count > (unsigned)sem_limits[1] - total)
		return -ENOSPC;
	set = kept_alloc(sizeof(*set) + count * sizeof(set->semaphores[0]));
	if (!set)
		return -ENOMEM;
	set->references = 1;
	set->count = count;
	set->changed = ipc_now();
	id = ipc_add(&sets, thread, &set->object, key, flags);
	if (id < 0)
		free(set);
	else
		total += count;
	return id;
}

long sys_semget(struct thread *thread, const uint64_t arguments[6])
{
	int key = (int)arguments[0], count = (int)arguments[1];
	unsigned flags = (unsigned)arguments[2];
	struct ipc_object *object;
	long id;

	if (count < 0 || count > sem_limits[0])
		return -EINVAL;
	id = ipc_get(&sets, thread, key, flags, &object);
	if (id < 0)
		return id;
	if (!object)
		return create(thread, key, (unsigned)count, flags);
	return (unsigned)count > ((struct sem_set *)object)->count ? -EINVAL : id;
}

static void destroy(struct sem_set *set)
{
	for (struct process *process = process_first(); process; process = process_next(process))
		undo_forget(process, set);
	ipc_remove(&sets, &set->object);
	total -= set->count;
	waitq_wake_all(&set->wait);
	set_put(set);
}

/* ---- semop ---- */

static bool fits_undo(const struct sem_undo *undo, const struct sem_operation *operation)
{
	int change = undo ? undo->changes[operation->number] - operation->change : 0;

	return change >= -VALUE_MAX - 1 && change <= VALUE_MAX;
}

/* 1: done; 0: *blocked cannot be done now; -errno. Nothing has changed but in the first case. */
static int attempt(struct sem_set *set, const struct sem_operation *operations, unsigned count,
                   struct sem_undo *undo, const struct sem_operation **blocked)
{
	int result = 1;
	unsigned done = 0;

	for (; done < count; done++) {
		const struct sem_operation *operation = &operations[done];
		struct semaphore *semaphore = &set->semaphores[operation->number];
		int value = semaphore->value + operation->change;

		*blocked = operation;
		if (operation->change ? value < 0 : semaphore->value)
			result = 0;
		else if (value > VALUE_MAX || (operation->flags & SEM_UNDO_ && !fits_undo(undo, operation)))
			result = -ERANGE;
		if (result != 1)
			break;
		semaphore->value = (uint16_t)value;
		if (operation->flags & SEM_UNDO_)
			undo->changes[operation->number] =
			        (int16_t)(undo->changes[operation->number] - operation->change);
	}
	while (result != 1 && done > 0) {
		const struct sem_operation *operation = &operations[--done];

		set->semaphores[operation->number].value =
		        (uint16_t)(set->semaphores[operation->number].value - operation->change);
		if (operation->flags & SEM_UNDO_)
			undo->changes[operation->number] =
			        (int16_t)(undo->changes[operation->number] + operation->change);
	}
	return result;
}

static void waiter_remove(struct sem_set *set, struct sem_waiter *waiter)
{
	struct sem_waiter **link = &set->waiters;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
}

static int sleep_on(struct sem_set *set, const struct sem_operation *blocked, deadline_t deadline)
{
	struct sem_waiter waiter = {
	        .next = set->waiters, .number = blocked->number, .for_zero = !blocked->change};
	int result;

	set->waiters = &waiter;
	result = waitq_wait(&set->wait, true, deadline);
	waiter_remove(set, &waiter);
	return set->object.removed ? -EIDRM : result == -ETIMEDOUT ? -EAGAIN : result;
}

static struct sem_undo *undo_create(struct process *process, struct sem_set *set)
{
	struct sem_undo *undo = undo_of(process, set);

	if (undo)
		return undo;
	undo = kept_alloc(sizeof(*undo) + set->count * sizeof(undo->changes[0]));
	if (!undo)
		return NULL;
	undo->set = set;
	undo->next = process->sem_undo;
	process->sem_undo = undo;
	return undo;
}

static int operate(struct thread *thread, struct sem_set *set, const struct sem_operation *operations,
                   unsigned count, deadline_t deadline)
{
	bool undoes = false, alters = false;

	for (unsigned i = 0; i < count; i++) {
		if (operations[i].number >= set->count)
			return -EFBIG;
		undoes |= (operations[i].flags & SEM_UNDO_) != 0;
		alters |= operations[i].change != 0;
	}
	if (ipc_allowed(thread, &set->object, alters ? 2 : 4))
		return -EACCES;
	for (;;) {
		const struct sem_operation *blocked;
		struct sem_undo *undo = undoes ? undo_create(thread->process, set) : NULL;
		int result;

		if (undoes && !undo)
			return -ENOMEM;
		result = attempt(set, operations, count, undo, &blocked);
		if (result < 0)
			return result;
		if (result)
			break;
		if (blocked->flags & IPC_NOWAIT_)
			return -EAGAIN;
		result = sleep_on(set, blocked, deadline);
		if (result)
			return result;
	}
	for (unsigned i = 0; i < count; i++)
		set->semaphores[operations[i].number].pid = thread->process->pid;
	set->operated = ipc_now();
	if (alters)
		waitq_wake_all(&set->wait);
	return 0;
}

static long operations_call(struct thread *thread, const uint64_t arguments[6], deadline_t deadline)
{
	uint64_t count = (uint32_t)arguments[2];
	struct sem_operation *operations;
	struct sem_set *set;
	long result = 0;

	if (!count || (int)arguments[0] < 0)
		return -EINVAL;
	if (count > (uint64_t)sem_limits[2])
		return -E2BIG;
	operations = malloc(count * sizeof(*operations));
	if (!operations)
		return -ENOMEM;
	if (copy_from_user(thread, operations, arguments[1], count * sizeof(*operations)))
		result = -EFAULT;
	set = (struct sem_set *)ipc_find(&sets, (int)arguments[0]);
	if (!result && !set)
		result = -EINVAL;
	if (!result) {
		set->references++;
		result = operate(thread, set, operations, (unsigned)count, deadline);
		set_put(set);
	}
	free(operations);
	return result;
}

long sys_semop(struct thread *thread, const uint64_t arguments[6])
{
	return operations_call(thread, arguments, DEADLINE_NEVER);
}

long sys_semtimedop(struct thread *thread, const uint64_t arguments[6])
{
	struct linux_timespec timeout;

	if (!arguments[3])
		return operations_call(thread, arguments, DEADLINE_NEVER);
	if (copy_from_user(thread, &timeout, arguments[3], sizeof(timeout)))
		return -EFAULT;
	if (timeout.seconds < 0 || timeout.nanoseconds < 0 || timeout.nanoseconds >= 1000000000)
		return -EINVAL;
	if ((uint64_t)timeout.seconds > UINT64_MAX / 2000000000)
		return operations_call(thread, arguments, DEADLINE_NEVER);
	return operations_call(thread, arguments,
	                       syscall_deadline(thread, (uint64_t)timeout.seconds * 1000000000 +
	                                                        (uint64_t)timeout.nanoseconds));
}

/* ---- semctl ---- */

/* struct semid64_ds */
struct sem_status {
	struct linux_ipc_perm perm;
	int64_t operated;
	uint64_t unused1;
	int64_t changed;
	uint64_t unused2, count, unused3[2];
};
_Static_assert(sizeof(struct sem_status) == 104, "struct semid64_ds");

static long tell_limits(struct thread *thread, uint64_t address, bool use)
{
	/* struct seminfo: map, sets, semaphores, undos, of a set, operations, undos of a process, their size,
	 * value, value of undos */
	const int32_t info[10] = {sem_limits[1], sem_limits[3],
	                          sem_limits[1], sem_limits[1],
	                          sem_limits[0], sem_limits[2],
	                          sem_limits[2], use ? (int32_t)sets.used : 20,
	                          VALUE_MAX,     use ? (int32_t)total : VALUE_MAX};
	int highest = ipc_highest(&sets);

	if (copy_to_user(thread, address, info, sizeof(info)))
		return -EFAULT;
	return highest < 0 ? 0 : highest;
}

static void forget_changes(const struct sem_set *set, unsigned first, unsigned count)
{
	for (struct process *process = process_first(); process; process = process_next(process)) {
		struct sem_undo *undo = undo_of(process, set);

		for (unsigned i = first; undo && i < first + count; i++)
			undo->changes[i] = 0;
	}
}

static void changed(struct sem_set *set)
{
	set->changed = ipc_now();
	waitq_wake_all(&set->wait);
}

static long all_values(struct thread *thread, struct sem_set *set, bool store, uint64_t address)
{
	unsigned count = set->count;
	uint16_t *values = malloc(count * sizeof(*values));
	long result;

	if (!values)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		values[i] = set->semaphores[i].value;
	result = store ? copy_from_user(thread, values, address, count * sizeof(*values))
	               : copy_to_user(thread, address, values, count * sizeof(*values));
	for (unsigned i = 0; store && !result && i < count; i++)
		if (values[i] > VALUE_MAX)
			result = -ERANGE;
	if (!result && set->object.removed)
		result = -EIDRM;
	if (!result && store) {
		for (unsigned i = 0; i < count; i++) {
			set->semaphores[i].value = values[i];
			set->semaphores[i].pid = thread->process->pid;
		}
		forget_changes(set, 0, count);
		changed(set);
	}
	free(values);
	return result;
}

static long count_waiters(const struct sem_set *set, unsigned number, bool for_zero)
{
	long count = 0;

	for (const struct sem_waiter *waiter = set->waiters; waiter; waiter = waiter->next)
		count += waiter->number == number && waiter->for_zero == for_zero;
	return count;
}

static long one_value(struct thread *thread, struct sem_set *set, unsigned number, int command, int value)
{
	struct semaphore *semaphore;

	if (number >= set->count)
		return -EINVAL;
	semaphore = &set->semaphores[number];
	switch (command) {
	case GETVAL_:
		return semaphore->value;
	case GETPID_:
		return semaphore->pid;
	case GETNCNT_:
	case GETZCNT_:
		return count_waiters(set, number, command == GETZCNT_);
	default:
		if (value < 0 || value > VALUE_MAX)
			return -ERANGE;
		semaphore->value = (uint16_t)value;
		semaphore->pid = thread->process->pid;
		forget_changes(set, number, 1);
		changed(set);
		return 0;
	}
}

static long control(struct thread *thread, struct sem_set *set, int command, uint64_t address)
{
	struct sem_status status;
	int error;

	if (command == IPC_SET_ && copy_from_user(thread, &status, address, sizeof(status)))
		return -EFAULT;
	if (set->object.removed)
		return -EIDRM;
	error = ipc_may_control(thread, &set->object);
	if (error)
		return error;
	if (command == IPC_RMID_) {
		destroy(set);
		return 0;
	}
	ipc_set(&set->object, &status.perm);
	set->changed = ipc_now();
	return 0;
}

static long tell_status(struct thread *thread, const struct sem_set *set, uint64_t address, bool by_place)
{
	const struct sem_status status = {.perm = ipc_perm(&set->object),
	                                  .operated = set->operated,
	                                  .changed = set->changed,
	                                  .count = set->count};
	int id = set->object.id;

	if (copy_to_user(thread, address, &status, sizeof(status)))
		return -EFAULT;
	return by_place ? id : 0;
}

static long on_set(struct thread *thread, struct sem_set *set, const uint64_t arguments[6])
{
	int command = (int)arguments[2];
	bool writes = command == SETVAL_ || command == SETALL_;

	if (command == IPC_SET_ || command == IPC_RMID_)
		return control(thread, set, command, arguments[3]);
	if (command != SEM_STAT_ANY_ && ipc_allowed(thread, &set->object, writes ? 2 : 4))
		return -EACCES;
	switch (command) {
	case IPC_STAT_:
	case SEM_STAT_:
	case SEM_STAT_ANY_:
		return tell_status(thread, set, arguments[3], command != IPC_STAT_);
	case GETALL_:
	case SETALL_:
		return all_values(thread, set, command == SETALL_, arguments[3]);
	default:
		return one_value(thread, set, (unsigned)arguments[1], command, (int)arguments[3]);
	}
}

long sys_semctl(struct thread *thread, const uint64_t arguments[6])
{
	int id = (int)arguments[0], command = (int)arguments[2];
	bool by_place = command == SEM_STAT_ || command == SEM_STAT_ANY_;
	struct sem_set *set;
	long result;

	if (id < 0 || command < 0 || (command > IPC_INFO_ && command < GETPID_) || command > SEM_STAT_ANY_)
		return -EINVAL;
	if (command == IPC_INFO_ || command == SEM_INFO_)
		return tell_limits(thread, arguments[3], command == SEM_INFO_);
	set = (struct sem_set *)(by_place ? ipc_at(&sets, (unsigned)id) : ipc_find(&sets, id));
	if (!set)
		return -EINVAL;
	set->references++;
	result = on_set(thread, set, arguments);
	set_put(set);
	return result;
}

void sem_text(struct text *text)
{
	text_print(text,
	           "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	for (int i = 0, end = ipc_highest(&sets); i <= end; i++) {
		const struct ipc_object *object = ipc_at(&sets, (unsigned)i);
		const struct sem_set *set = (const struct sem_set *)object;

		if (object)
			text_print(text, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lu %10lu\n", object->key,
			           object->id, object->mode, set->count, object->uid, object->gid,
			           object->creator_uid, object->creator_gid, set->operated, set->changed);
	}
}
