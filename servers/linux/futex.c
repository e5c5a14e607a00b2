/* SPDX-License-Identifier: MIT */
/*
 * Futexes. A waiter is found by what it waits on: the address in its address space, or for shared mappings
 * the object and offset behind it. Between reading the word and queueing nothing else runs, which is all the
 * atomicity that is needed.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <pith/startup.h>
#include "address_space.h"
#include "futex.h"
#include "futex_values.h"
#include "syscall.h"
#include "thread.h"
#include "times.h"

#define BUCKETS        256
#define ROBUST_ENTRIES 2048 /* of a robust list; it may be a ring */

struct futex_waiter {
	struct futex_waiter *next, **link; /* link NULL: woken */
	struct futex_key key;
	uint32_t bitset;
	struct waitq *queue; /* its own fiber */
};

/* First come, first woken. */
static struct bucket {
	struct futex_waiter *first, **end; /* end NULL: nobody has come yet */
} buckets[BUCKETS];

static struct bucket *bucket_of(const struct futex_key *key)
{
	uint64_t hash = ((uint64_t)key->object >> 4) + (key->offset >> 2) * 31;

	return &buckets[(hash ^ hash >> 8) % BUCKETS];
}

bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

int futex_key_of(struct thread *thread, uint64_t address, bool private, struct futex_key *key)
{
	struct mm *mm = thread->process->mm;
	struct vma *vma;
	uint32_t word;

	if (address & 3)
		return -EINVAL;
	if (address >= USER_END)
		return -EFAULT;
	*key = (struct futex_key){mm, address};
	if (private)
		return 0;
	if (copy_from_user(thread, &word, address, sizeof(word)))
		return -EFAULT;
	vma = vma_find(&mm->regions, address);
	if (!vma)
		return -EFAULT;
	if (!(vma->flags & VMA_SHARED))
		return 0;
	key->object = vma->shared ? (const void *)vma->shared : (const void *)vma_inode(vma);
	key->offset = (vma->offset << PAGE_BITS) + address - vma->start;
	return 0;
}

_Atomic uint32_t *futex_word(struct mm *mm, uint64_t address)
{
	return mm_span(mm, address, sizeof(uint32_t), true).at;
}

static void waiter_insert(struct futex_waiter *waiter)
{
	struct bucket *bucket = bucket_of(&waiter->key);

	waiter->next = NULL;
	waiter->link = bucket->end ? bucket->end : &bucket->first;
	*waiter->link = waiter;
	bucket->end = &waiter->next;
}

static void waiter_remove(struct futex_waiter *waiter)
{
	if (!waiter->link)
		return;
	*waiter->link = waiter->next;
	if (waiter->next)
		waiter->next->link = waiter->link;
	else
		bucket_of(&waiter->key)->end = waiter->link;
	waiter->link = NULL;
}

static unsigned wake(const struct futex_key *key, unsigned count, uint32_t bitset)
{
	struct futex_waiter *waiter = bucket_of(key)->first, *next;
	unsigned woken = 0;

	for (; waiter && woken < count; waiter = next) {
		next = waiter->next;
		if (!futex_key_equal(&waiter->key, key) || !(waiter->bitset & bitset))
			continue;
		waiter_remove(waiter);
		waitq_wake_all(waiter->queue);
		woken++;
	}
	return woken;
}

static unsigned requeue(const struct futex_key *from, const struct futex_key *to, unsigned count)
{
	struct futex_waiter *waiter = bucket_of(from)->first, *next;
	bool stay = futex_key_equal(from, to); /* who went to the end would be met again, without end */
	unsigned moved = 0;

	for (; waiter && moved < count; waiter = next) {
		next = waiter->next;
		if (!futex_key_equal(&waiter->key, from))
			continue;
		moved++;
		if (stay)
			continue;
		waiter_remove(waiter);
		waiter->key = *to;
		waiter_insert(waiter);
	}
	return moved;
}

static long futex_wait(struct thread *thread, uint64_t address, bool private, uint32_t expected,
                       uint32_t bitset, deadline_t deadline)
{
	struct waitq queue = {0};
	struct futex_waiter waiter = {.bitset = bitset, .queue = &queue};
	uint32_t value;
	int result;

	if (!bitset)
		return -EINVAL;
	result = futex_key_of(thread, address, private, &waiter.key);
	if (result)
		return result;
	if (copy_from_user(thread, &value, address, sizeof(value)))
		return -EFAULT;
	if (value != expected)
		return -EAGAIN;
	waiter_insert(&waiter);
	result = 0;
	while (waiter.link && !result)
		result = waitq_wait(&queue, true, deadline);
	if (!waiter.link)
		return 0;
	waiter_remove(&waiter);
	if (result == -EINTR)
		return deadline == DEADLINE_NEVER ? -EINTR_RESTART : -EINTR_NOHAND;
	return result;
}

/* ---- several at once ---- */

struct futex_waitv {
	uint64_t value, address;
	uint32_t flags, reserved;
};

static int waitv_check(const struct futex_waitv *wanted)
{
	if (wanted->flags & ~(unsigned)(FUTEX2_SIZE_U32 | FUTEX_PRIVATE_FLAG) || wanted->reserved ||
	    !(wanted->flags & FUTEX2_SIZE_U32))
		return -EINVAL;
	return 0;
}

/* The first that was woken, or -EAGAIN */
static long waitv_woken(const struct futex_waiter *waiters, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!waiters[i].link)
			return i;
	return -EAGAIN;
}

static long waitv(struct thread *thread, const struct futex_waitv *wanted, struct futex_waiter *waiters,
                  unsigned count, deadline_t deadline)
{
	struct waitq queue = {0};
	unsigned queued = 0;
	long result = 0;

	for (unsigned i = 0; i < count && !result; i++)
		result = futex_key_of(thread, wanted[i].address, wanted[i].flags & FUTEX_PRIVATE_FLAG,
		                      &waiters[i].key);
	for (; queued < count && !result; queued++) {
		uint32_t value;

		if (copy_from_user(thread, &value, wanted[queued].address, sizeof(value)))
			result = -EFAULT;
		else if (value != (uint32_t)wanted[queued].value)
			result = -EAGAIN;
		if (result)
			break;
		waiters[queued].bitset = UINT32_MAX;
		waiters[queued].queue = &queue;
		waiter_insert(&waiters[queued]);
	}
	while (!result && waitv_woken(waiters, queued) < 0)
		result = waitq_wait(&queue, true, deadline);
	/* Reading a word may have waited, too: what was queued before may have been woken. */
	if (waitv_woken(waiters, queued) >= 0)
		result = waitv_woken(waiters, queued);
	for (unsigned i = 0; i < queued; i++)
		waiter_remove(&waiters[i]);
	if (result == -EINTR) /* the time, if there is one, is absolute */
		return -EINTR_RESTART;
	return result;
}

static int waitv_deadline(struct thread *thread, uint64_t address, int clock, deadline_t *out)
{
	struct timespec timeout;
	uint64_t time;

	*out = DEADLINE_NEVER;
	if (!address)
		return 0;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return -EINVAL;
	if (copy_from_user(thread, &timeout, address, sizeof(timeout)))
		return -EFAULT;
	if (!timespec_to_ns(&timeout, &time))
		return -EINVAL;
	*out = clock_deadline(clock, time);
	return 0;
}

long sys_futex_waitv(struct thread *thread, const uint64_t arguments[6])
{
	unsigned count = (unsigned)arguments[1];
	struct futex_waitv wanted[FUTEX_WAITV_MAX];
	struct futex_waiter *waiters;
	deadline_t deadline;
	long result;

	if ((unsigned)arguments[2] || !count || count > FUTEX_WAITV_MAX || !arguments[0])
		return -EINVAL;
	result = waitv_deadline(thread, arguments[3], (int)arguments[4], &deadline);
	if (!result && copy_from_user(thread, wanted, arguments[0], count * sizeof(wanted[0])))
		result = -EFAULT;
	for (unsigned i = 0; i < count && !result; i++)
		result = waitv_check(&wanted[i]);
	if (result)
		return result;
	waiters = calloc(count, sizeof(*waiters));
	if (!waiters)
		return -ENOMEM;
	result = waitv(thread, wanted, waiters, count, deadline);
	free(waiters);
	return result;
}

static long futex_requeue(struct thread *thread, const uint64_t arguments[6], bool private, bool compare)
{
	struct futex_key from, to;
	uint32_t value;
	int error = futex_key_of(thread, arguments[0], private, &from);
	unsigned woken;

	if (!error)
		error = futex_key_of(thread, arguments[4], private, &to);
	if (error)
		return error;
	if ((int)arguments[2] < 0 || (int)arguments[3] < 0)
		return -EINVAL;
	if (compare) {
		if (copy_from_user(thread, &value, arguments[0], sizeof(value)))
			return -EFAULT;
		if (value != (uint32_t)arguments[5])
			return -EAGAIN;
	}
	woken = wake(&from, (unsigned)arguments[2], UINT32_MAX);
	return woken + requeue(&from, &to, (unsigned)arguments[3]);
}

static uint32_t operate(unsigned operation, uint32_t old, uint32_t operand)
{
	switch (operation) {
	case FUTEX_OP_SET:
		return operand;
	case FUTEX_OP_ADD:
		return old + operand;
	case FUTEX_OP_OR:
		return old | operand;
	case FUTEX_OP_ANDN:
		return old & ~operand;
	default:
		return old ^ operand;
	}
}

static bool holds(unsigned comparison, int32_t old, int32_t with)
{
	switch (comparison) {
	case FUTEX_OP_CMP_EQ:
		return old == with;
	case FUTEX_OP_CMP_NE:
		return old != with;
	case FUTEX_OP_CMP_LT:
		return old < with;
	case FUTEX_OP_CMP_LE:
		return old <= with;
	case FUTEX_OP_CMP_GT:
		return old > with;
	default:
		return old >= with;
	}
}

static int32_t sign_extend_12(uint32_t value)
{
	return (int32_t)(value << 20) >> 20;
}

static long futex_wake_op(struct thread *thread, const uint64_t arguments[6], bool private)
{
	uint32_t encoded = (uint32_t)arguments[5], old;
	unsigned operation = encoded >> 28 & 7, comparison = encoded >> 24 & 15;
	int32_t operand = sign_extend_12(encoded >> 12 & 0xfff), with = sign_extend_12(encoded & 0xfff);
	struct futex_key first, second;
	int error = futex_key_of(thread, arguments[0], private, &first);
	_Atomic uint32_t *word;
	unsigned woken;

	if (!error)
		error = futex_key_of(thread, arguments[4], private, &second);
	if (error)
		return error;
	if (operation > FUTEX_OP_XOR || comparison > FUTEX_OP_CMP_GE)
		return -ENOSYS;
	if (encoded & (uint32_t)FUTEX_OP_OPARG_SHIFT << 28)
		operand = (int32_t)(1u << (operand & 31));
	word = futex_word(thread->process->mm, arguments[4]);
	if (!word)
		return -EFAULT;
	old = *word;
	while (!atomic_compare_exchange_strong(word, &old, operate(operation, old, (uint32_t)operand)))
		;
	woken = wake(&first, (unsigned)arguments[2], UINT32_MAX);
	if (holds(comparison, (int32_t)old, with))
		woken += wake(&second, (unsigned)arguments[3], UINT32_MAX);
	return woken;
}

/* FUTEX_WAIT has a relative timeout, the others an absolute one; that of FUTEX_LOCK_PI is the wall clock's
 * without saying so. */
static int wait_deadline(struct thread *thread, const uint64_t arguments[6], unsigned operation,
                         deadline_t *out)
{
	struct timespec timeout;
	uint64_t time;

	*out = DEADLINE_NEVER;
	if (!arguments[3])
		return 0;
	if (copy_from_user(thread, &timeout, arguments[3], sizeof(timeout)))
		return -EFAULT;
	if (!timespec_to_ns(&timeout, &time))
		return -EINVAL;
	if ((operation & FUTEX_CMD_MASK) == FUTEX_WAIT)
		*out = syscall_deadline(thread, time);
	else
		*out = clock_deadline(operation & FUTEX_CLOCK_REALTIME ||
		                                      (operation & FUTEX_CMD_MASK) == FUTEX_LOCK_PI
		                              ? CLOCK_REALTIME
		                              : CLOCK_MONOTONIC,
		                      time);
	return 0;
}

/* Those whose timeout is a time of a clock that the caller chooses. */
static bool chooses_clock(unsigned command)
{
	return command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI2;
}

long sys_futex(struct thread *thread, const uint64_t arguments[6])
{
	unsigned operation = (unsigned)arguments[1];
	bool private = operation & FUTEX_PRIVATE_FLAG;
	struct futex_key key;
	deadline_t deadline;
	int error;

	if (operation & FUTEX_CLOCK_REALTIME && !chooses_clock(operation & FUTEX_CMD_MASK))
		return -ENOSYS;
	switch (operation & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		error = wait_deadline(thread, arguments, operation, &deadline);
		if (error)
			return error;
		return futex_wait(thread, arguments[0], private, (uint32_t)arguments[2],
		                  (operation & FUTEX_CMD_MASK) == FUTEX_WAIT ? UINT32_MAX
		                                                             : (uint32_t)arguments[5],
		                  deadline);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		error = futex_key_of(thread, arguments[0], private, &key);
		if (error)
			return error;
		if ((operation & FUTEX_CMD_MASK) == FUTEX_WAKE_BITSET && !(uint32_t)arguments[5])
			return -EINVAL;
		return wake(&key, (unsigned)arguments[2],
		            (operation & FUTEX_CMD_MASK) == FUTEX_WAKE ? UINT32_MAX : (uint32_t)arguments[5]);
	case FUTEX_REQUEUE:
		return futex_requeue(thread, arguments, private, false);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(thread, arguments, private, true);
	case FUTEX_WAKE_OP:
		return futex_wake_op(thread, arguments, private);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		error = wait_deadline(thread, arguments, operation, &deadline);
		return error ? error : futex_lock_pi(thread, arguments[0], private, true, deadline);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(thread, arguments[0], private, false, 0);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(thread, arguments[0], private);
	default:
		return -ENOSYS; /* moving waiters to a lock that lends priority: C libraries do without */
	}
}

void futex_wake_address(struct thread *thread, uint64_t address, unsigned count)
{
	struct futex_key key;

	if (!futex_key_of(thread, address, false, &key))
		wake(&key, count, UINT32_MAX);
	if (!futex_key_of(thread, address, true, &key))
		wake(&key, count, UINT32_MAX);
}

/* ---- robust futexes ---- */

long sys_set_robust_list(struct thread *thread, const uint64_t arguments[6])
{
	if (arguments[1] != 24)
		return -EINVAL;
	thread->private->robust_list = arguments[0];
	thread->private->robust_length = arguments[1];
	return 0;
}

long sys_get_robust_list(struct thread *thread, const uint64_t arguments[6])
{
	struct thread *target = arguments[0] ? thread_find((int)arguments[0]) : thread;
	uint64_t list, length;

	if (!target)
		return -ESRCH;
	if (target->process != thread->process && !process_may_inspect(thread, target->process))
		return -EPERM;
	/* Copied first: it may end while this waits for the caller's memory. */
	list = target->private->robust_list;
	length = target->private->robust_length;
	if (copy_to_user(thread, arguments[1], &list, 8) || copy_to_user(thread, arguments[2], &length, 8))
		return -EFAULT;
	return 0;
}

/* A lock that lends priority goes to who waits for it afterwards (futex_pi_exit). */
static void owner_died(struct thread *thread, uint64_t entry, int64_t offset, bool lends)
{
	uint64_t address = entry + (uint64_t)offset;
	_Atomic uint32_t *word = address & 3 ? NULL : futex_word(thread->process->mm, address);
	uint32_t value;

	if (!word)
		return;
	value = *word;
	do
		if ((value & FUTEX_TID_MASK) != (uint32_t)thread->tid)
			return;
	while (!atomic_compare_exchange_strong(word, &value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED));
	if (value & FUTEX_WAITERS && !lends)
		futex_wake_address(thread, address, 1);
}

#define ENTRY_LENDS 1ul /* a mark in the pointer */

static void robust_list_exit(struct thread *thread)
{
	uint64_t head = thread->private->robust_list, entry, pending, next;
	int64_t offset;

	thread->private->robust_list = 0;
	if (!head || copy_from_user(thread, &entry, head, 8) ||
	    copy_from_user(thread, &offset, head + 8, 8) || copy_from_user(thread, &pending, head + 16, 8))
		return;
	for (unsigned i = 0; i < ROBUST_ENTRIES && (entry & ~ENTRY_LENDS) && (entry & ~ENTRY_LENDS) != head;
	     i++) {
		if (copy_from_user(thread, &next, entry & ~ENTRY_LENDS, 8))
			break;
		if ((entry & ~ENTRY_LENDS) != (pending & ~ENTRY_LENDS))
			owner_died(thread, entry & ~ENTRY_LENDS, offset, entry & ENTRY_LENDS);
		entry = next;
	}
	if (pending & ~ENTRY_LENDS)
		owner_died(thread, pending & ~ENTRY_LENDS, offset, pending & ENTRY_LENDS);
}

void futex_exit(struct thread *thread)
{
	robust_list_exit(thread);
	futex_pi_exit(thread);
}
