/* SPDX-License-Identifier: MIT */
/* poll, ppoll, select, pselect6. A poll asks every file, joins their queues while it does, and sleeps if none
 * was ready. */
#include "fs/poll.h"
#include "syscall.h"
#include <pith/startup.h>

#define NANOSECONDS 1000000000ull

static struct poll_entry *entry_add(struct poll_table *table)
{
	struct poll_entry *entry = kept_malloc(sizeof(*entry));
	if (entry == NULL) {
		table->failed = true;
		return NULL;
	}
	*entry = (struct poll_entry){.next = table->entries};
	table->entries = entry;
	return entry;
}

static void wait_in(struct poll_table *table, struct waitq *queue, bool in, bool out)
{
	if (table == NULL || table->failed)
		return;
	uint64_t wakes = queue->wakes[WAKE_ANY];
	if (in && table->interest & ~(uint32_t)(POLLOUT_ | POLLWRNORM_))
		wakes += queue->wakes[WAKE_IN];
	if (out && table->interest & (POLLOUT_ | POLLWRNORM_))
		wakes += queue->wakes[WAKE_OUT];
	table->edges = table->edges * EDGES_MIX + wakes;
	struct poll_entry *entry = table->counts ? NULL : entry_add(table);
	if (entry == NULL)
		return;
	entry->queue = queue;
	waitq_add(queue, &entry->waiter);
}

void poll_wait(struct poll_table *table, struct waitq *queue)
{
	wait_in(table, queue, true, true);
}

void poll_wait_for(struct poll_table *table, struct waitq *queue, enum wake wake)
{
	wait_in(table, queue, wake == WAKE_IN, wake == WAKE_OUT);
}

void poll_hold(struct poll_table *table, struct file *file)
{
	struct poll_entry *entry = table == NULL || table->counts || table->failed ? NULL : entry_add(table);
	if (entry != NULL)
		entry->file = file_get(file);
}

void poll_table_end(struct poll_table *table)
{
	while (table->entries != NULL) {
		struct poll_entry *entry = table->entries;
		table->entries = entry->next;
		if (entry->queue != NULL)
			waitq_remove(entry->queue, &entry->waiter);
		file_put(entry->file);
		free(entry);
	}
}

int poll_sleep(struct poll_table *table, deadline_t deadline)
{
	if (table->failed)
		return -ENOMEM;
	return wait_suspend(true, deadline);
}

/* ---- poll ---- */

struct pollfd_ {
	int32_t fd;
	int16_t events, revents;
};

/* Files that are polled are held, so that a close meanwhile frees no queue that is slept on. */
struct poll_set {
	unsigned count;
	struct pollfd_ *fds;
	struct file **files;
};

static unsigned poll_once(struct poll_set *set, struct poll_table *table)
{
	unsigned ready = 0;
	for (unsigned i = 0; i < set->count; i++) {
		struct pollfd_ *fd = &set->fds[i];
		fd->revents = 0;
		if (fd->fd < 0)
			continue;
		unsigned events = POLLNVAL_;
		if (set->files[i] != NULL)
			events = file_poll(set->files[i], ready == 0 ? table : NULL) &
			         ((unsigned)(uint16_t)fd->events | POLLERR_ | POLLHUP_);
		fd->revents = (int16_t)events;
		ready += events != 0;
	}
	return ready;
}

static int poll_until(struct poll_set *set, deadline_t deadline)
{
	for (;;) {
		struct poll_table table = {.entries = NULL};
		unsigned ready = poll_once(set, deadline == DEADLINE_POLL ? NULL : &table);
		int error = 0;
		if (ready == 0 && deadline != DEADLINE_POLL)
			error = poll_sleep(&table, deadline);
		poll_table_end(&table);
		/* who does not wait hears of signals, too, that ppoll's mask lets through */
		if (ready == 0 && deadline == DEADLINE_POLL && signal_pending(current_thread()))
			return -EINTR_NOHAND;
		if (ready > 0 || deadline == DEADLINE_POLL)
			return (int)ready;
		if (error == -ETIMEDOUT)
			return (int)poll_once(set, NULL);
		if (error == -EINTR) {
			ready = poll_once(set, NULL);
			return ready > 0 ? (int)ready : -EINTR_NOHAND;
		}
		if (error != 0)
			return error;
	}
}

static void poll_set_hold(struct thread *thread, struct poll_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		set->files[i] = set->fds[i].fd >= 0 ? file_of(thread, set->fds[i].fd) : NULL;
}

static void poll_set_end(struct poll_set *set)
{
	for (unsigned i = 0; set->files != NULL && i < set->count; i++)
		file_put(set->files[i]);
	free(set->files);
	free(set->fds);
}

static long do_poll(struct thread *thread, uint64_t address, uint64_t count, deadline_t deadline)
{
	enum { NOFILE = 7 };
	if (count > thread->process->limits[NOFILE].current)
		return -EINVAL;
	struct poll_set set = {.count = (unsigned)count,
	                       .fds = calloc(count + 1, sizeof(struct pollfd_)),
	                       .files = calloc(count + 1, sizeof(struct file *))};
	long result = -ENOMEM;
	if (set.fds != NULL && set.files != NULL)
		result = copy_from_user(thread, set.fds, address, count * sizeof(struct pollfd_));
	if (result == 0) {
		poll_set_hold(thread, &set);
		result = poll_until(&set, deadline);
	}
	if (result >= 0 && copy_to_user(thread, address, set.fds, count * sizeof(struct pollfd_)) != 0)
		result = -EFAULT;
	poll_set_end(&set);
	return result;
}

deadline_t poll_deadline_ms(struct thread *thread, int milliseconds)
{
	if (milliseconds < 0)
		return DEADLINE_NEVER;
	if (milliseconds == 0)
		return DEADLINE_POLL;
	return syscall_deadline(thread, (uint64_t)milliseconds * 1000000);
}

long sys_poll(struct thread *thread, const uint64_t arguments[6])
{
	return do_poll(thread, arguments[0], (unsigned)arguments[1],
	               poll_deadline_ms(thread, (int)arguments[2]));
}

/* A struct timespec in user memory, or NULL: for ever. */
int poll_deadline_from_user(struct thread *thread, uint64_t address, deadline_t *deadline)
{
	struct linux_timespec time;
	*deadline = DEADLINE_NEVER;
	if (address == 0)
		return 0;
	if (copy_from_user(thread, &time, address, sizeof(time)) != 0)
		return -EFAULT;
	if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= (int64_t)NANOSECONDS)
		return -EINVAL;
	if (time.seconds == 0 && time.nanoseconds == 0)
		*deadline = DEADLINE_POLL;
	else if ((uint64_t)time.seconds < UINT64_MAX / NANOSECONDS / 2)
		*deadline = syscall_deadline(thread, (uint64_t)time.seconds * NANOSECONDS +
		                                             (uint64_t)time.nanoseconds);
	return 0;
}

int poll_set_mask(struct thread *thread, uint64_t address, uint64_t size)
{
	sigset_bits mask;
	if (address == 0)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(thread, &mask, address, sizeof(mask)) != 0)
		return -EFAULT;
	signal_mask_until_return(thread, mask);
	return 0;
}

long sys_ppoll(struct thread *thread, const uint64_t arguments[6])
{
	deadline_t deadline;
	int error = poll_deadline_from_user(thread, arguments[2], &deadline);
	if (error == 0)
		error = poll_set_mask(thread, arguments[3], arguments[4]);
	return error != 0 ? error : do_poll(thread, arguments[0], (unsigned)arguments[1], deadline);
}

/* ---- select: three bit sets become a poll set and back ---- */

#define SELECT_READ   (POLLIN_ | POLLRDNORM_ | POLLHUP_ | POLLERR_)
#define SELECT_WRITE  (POLLOUT_ | POLLWRNORM_ | POLLERR_)
#define SELECT_EXCEPT POLLPRI_
static const unsigned select_masks[3] = {SELECT_READ, SELECT_WRITE, SELECT_EXCEPT};

struct select_sets {
	size_t size;   /* of each: whole words, as Linux does */
	uint8_t *bits; /* one after the other */
};

static int sets_from_user(struct thread *thread, const uint64_t addresses[3], struct select_sets *sets)
{
	for (unsigned i = 0; i < 3; i++) {
		if (addresses[i] != 0 &&
		    copy_from_user(thread, sets->bits + i * sets->size, addresses[i], sets->size) != 0)
			return -EFAULT;
	}
	return 0;
}

static int sets_to_user(struct thread *thread, const uint64_t addresses[3], const struct select_sets *sets)
{
	for (unsigned i = 0; i < 3; i++) {
		if (addresses[i] != 0 &&
		    copy_to_user(thread, addresses[i], sets->bits + i * sets->size, sets->size) != 0)
			return -EFAULT;
	}
	return 0;
}

static bool in_set(const struct select_sets *sets, unsigned set, unsigned fd)
{
	return sets->bits[set * sets->size + fd / 8] >> fd % 8 & 1;
}

static int select_hold(struct thread *thread, unsigned count, const struct select_sets *sets,
                       struct poll_set *set)
{
	for (unsigned fd = 0; fd < count; fd++) {
		unsigned events = 0;
		for (unsigned i = 0; i < 3; i++)
			events |=
			        in_set(sets, i, fd) ? select_masks[i] & ~(unsigned)(POLLHUP_ | POLLERR_) : 0;
		if (events == 0)
			continue;
		set->fds[set->count].fd = (int)fd;
		set->fds[set->count].events = (int16_t)events;
		set->files[set->count] = file_of(thread, (int)fd);
		if (set->files[set->count++] == NULL)
			return -EBADF;
	}
	return 0;
}

static int select_results(const struct poll_set *set, const struct select_sets *asked,
                          const struct select_sets *ready)
{
	int total = 0;
	for (unsigned i = 0; i < set->count; i++) {
		unsigned fd = (unsigned)set->fds[i].fd;
		for (unsigned kind = 0; kind < 3; kind++) {
			if (!in_set(asked, kind, fd) ||
			    ((unsigned)(uint16_t)set->fds[i].revents & select_masks[kind]) == 0)
				continue;
			ready->bits[kind * ready->size + fd / 8] |= (uint8_t)(1 << fd % 8);
			total++;
		}
	}
	return total;
}

static long do_select(struct thread *thread, unsigned count, const uint64_t addresses[3], deadline_t deadline)
{
	unsigned room = file_table_size(thread->process->files);
	if (count > room) /* beyond it there is nothing, and nobody looks */
		count = room;
	size_t size = (count + 63) / 64 * 8;
	uint8_t *bits = calloc(6, size + 1);
	struct select_sets asked = {size, bits}, ready = {size, bits + 3 * size};
	struct poll_set set = {.fds = calloc(count + 1, sizeof(struct pollfd_)),
	                       .files = calloc(count + 1, sizeof(struct file *))};
	int result = -ENOMEM;
	if (bits != NULL && set.fds != NULL && set.files != NULL)
		result = sets_from_user(thread, addresses, &asked);
	if (result == 0)
		result = select_hold(thread, count, &asked, &set);
	if (result == 0)
		result = poll_until(&set, deadline);
	if (result >= 0) {
		result = select_results(&set, &asked, &ready);
		if (sets_to_user(thread, addresses, &ready) != 0)
			result = -EFAULT;
	}
	poll_set_end(&set);
	free(bits);
	return result;
}

/* What is left of the time goes back to the caller, as Linux does. */
static void time_left(struct thread *thread, uint64_t address, deadline_t deadline, uint64_t unit)
{
	uint64_t now = time_now(), left = deadline > now && deadline != DEADLINE_POLL ? deadline - now : 0;
	struct linux_timespec time = {(int64_t)(left / NANOSECONDS), (int64_t)(left % NANOSECONDS / unit)};
	if (address != 0 && deadline != DEADLINE_NEVER)
		copy_to_user(thread, address, &time, sizeof(time));
}

long sys_select(struct thread *thread, const uint64_t arguments[6])
{
	struct linux_timespec time = {0}; /* struct timeval: microseconds */
	deadline_t deadline = DEADLINE_NEVER;
	if ((int)arguments[0] < 0)
		return -EINVAL;
	if (arguments[4] != 0) {
		if (copy_from_user(thread, &time, arguments[4], sizeof(time)) != 0)
			return -EFAULT;
		if (time.seconds < 0 || time.nanoseconds < 0)
			return -EINVAL;
		uint64_t left = (uint64_t)time.seconds * NANOSECONDS + (uint64_t)time.nanoseconds * 1000;
		deadline = left == 0 ? DEADLINE_POLL : syscall_deadline(thread, left);
	}
	long result = do_select(thread, (unsigned)arguments[0], &arguments[1], deadline);
	time_left(thread, arguments[4], deadline, 1000);
	return result;
}

long sys_pselect6(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t mask[2] = {0}; /* address, size */
	deadline_t deadline;
	if ((int)arguments[0] < 0)
		return -EINVAL;
	int error = poll_deadline_from_user(thread, arguments[4], &deadline);
	if (error == 0 && arguments[5] != 0)
		error = copy_from_user(thread, mask, arguments[5], sizeof(mask));
	if (error == 0)
		error = poll_set_mask(thread, mask[0], mask[1]);
	if (error != 0)
		return error;
	long result = do_select(thread, (unsigned)arguments[0], &arguments[1], deadline);
	time_left(thread, arguments[4], deadline, 1);
	return result;
}
