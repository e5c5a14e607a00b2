/* SPDX-License-Identifier: MIT */
/*
 * fcntl and flock locks. POSIX locks belong to a table of descriptors, which processes may share, and go when
 * any of its descriptors of the file is closed; OFD and flock locks belong to the open file. F_SETLKW looks
 * for cycles of processes that wait for each other (EDEADLK).
 */
#include "fs/internal.h"
#include "fs/lock_ranges.h"
#include "syscall.h"

struct lock_sleeper { /* a process in F_SETLKW */
	struct lock_sleeper *next;
	const void *owner;
	struct inode *inode;
	const struct file_lock *wanted;
	const struct file_lock *by; /* locks_text: what it waits for */
};
static struct lock_sleeper *sleepers;
static struct inode *locked; /* inodes with locks */

/* Keeps `locked`, after each change of an inode's locks. */
static void note_locks(struct inode *inode)
{
	if (inode->locks != NULL && inode->locked_link == NULL) {
		inode->locked_next = locked;
		inode->locked_link = &locked;
		if (locked != NULL)
			locked->locked_link = &inode->locked_next;
		locked = inode;
	} else if (inode->locks == NULL && inode->locked_link != NULL) {
		*inode->locked_link = inode->locked_next;
		if (inode->locked_next != NULL)
			inode->locked_next->locked_link = inode->locked_link;
		inode->locked_link = NULL;
	}
}

/* Would `owner` wait for itself in the end? */
static bool deadlock(const void *owner, struct inode *inode, const struct file_lock *wanted)
{
	for (unsigned hops = 0; hops < 32; hops++) {
		struct file_lock *lock = lock_conflict(inode->locks, wanted);
		if (lock == NULL)
			return false;
		if (lock->owner == owner)
			return true;
		struct lock_sleeper *sleeper = sleepers;
		while (sleeper != NULL && sleeper->owner != lock->owner)
			sleeper = sleeper->next;
		if (sleeper == NULL)
			return false;
		inode = sleeper->inode;
		wanted = sleeper->wanted;
	}
	return false;
}

static int lock_wait(struct inode *inode, const struct file_lock *wanted, bool detect)
{
	while (lock_conflict(inode->locks, wanted) != NULL) {
		if (detect && deadlock(wanted->owner, inode, wanted))
			return -EDEADLK;
		struct lock_sleeper self = {sleepers, wanted->owner, inode, wanted, NULL};
		sleepers = &self;
		int error = waitq_wait(&inode->locks_wait, true, DEADLINE_NEVER);
		struct lock_sleeper **link = &sleepers;
		while (*link != &self)
			link = &(*link)->next;
		*link = self.next;
		if (error != 0)
			return -EINTR_RESTART;
	}
	return 0;
}

static int apply(struct inode *inode, const struct file_lock *wanted, bool unlock, bool wait, bool detect)
{
	if (!unlock) {
		/* Of flock: what the owner had goes first, so that two that convert theirs do not wait for
		 * each other. */
		if (wanted->whole_file && lock_conflict(inode->locks, wanted) != NULL) {
			if (lock_set(&inode->locks, wanted, true) != 0)
				return -ENOLCK;
			note_locks(inode);
			waitq_wake_all(&inode->locks_wait);
		}
		if (!wait && lock_conflict(inode->locks, wanted) != NULL)
			return -EAGAIN;
		int error = lock_wait(inode, wanted, detect);
		if (error != 0)
			return error;
	}
	int error = lock_set(&inode->locks, wanted, unlock);
	note_locks(inode);
	waitq_wake_all(&inode->locks_wait); /* less may be locked than before */
	return error == -ENOMEM ? -ENOLCK : error;
}

static int range_of(const struct file *file, const struct linux_flock *flock, struct file_lock *lock)
{
	int64_t start = flock->start, end;
	if (flock->whence == SEEK_CUR)
		start += (int64_t)file->position;
	else if (flock->whence == SEEK_END)
		start += (int64_t)file->inode->attributes.size;
	else if (flock->whence != SEEK_SET)
		return -EINVAL;
	if (flock->length < 0) {
		end = start - 1;
		start += flock->length;
	} else if (__builtin_add_overflow(start, flock->length - 1, &end)) {
		return -EOVERFLOW;
	}
	if (start < 0)
		return -EINVAL;
	lock->first = (uint64_t)start;
	lock->last = flock->length == 0 ? LOCK_END : (uint64_t)end;
	return 0;
}

static long get_lock(struct thread *thread, struct file *file, const struct file_lock *wanted,
                     struct linux_flock *flock, uint64_t address)
{
	struct file_lock *other = lock_conflict(file->inode->locks, wanted);
	if (other == NULL) {
		flock->type = F_UNLCK;
	} else {
		flock->type = other->exclusive ? F_WRLCK : F_RDLCK;
		flock->whence = SEEK_SET;
		flock->start = (int64_t)other->first;
		flock->length = other->last == LOCK_END ? 0 : (int64_t)(other->last - other->first + 1);
		flock->pid = other->pid;
	}
	return copy_to_user(thread, address, flock, sizeof(*flock));
}

static long lock_command(struct thread *thread, struct file *file, int command, uint64_t address)
{
	enum { OFD_GET = 36, OFD_SET = 37, OFD_WAIT = 38 };
	struct linux_flock flock;
	if (copy_from_user(thread, &flock, address, sizeof(flock)) != 0)
		return -EFAULT;
	bool ofd = command >= OFD_GET;
	struct file_lock wanted = {
	        .owner = ofd ? (const void *)file : (const void *)thread->process->files,
	        .pid = ofd ? -1 : thread->process->pid,
	        .exclusive = flock.type == F_WRLCK,
	};
	if ((flock.type != F_RDLCK && flock.type != F_WRLCK && flock.type != F_UNLCK) ||
	    (ofd && flock.pid != 0))
		return -EINVAL;
	int error = range_of(file, &flock, &wanted);
	if (error != 0)
		return error;
	if (command == F_GETLK || command == OFD_GET)
		return flock.type == F_UNLCK ? -EINVAL : get_lock(thread, file, &wanted, &flock, address);
	if ((flock.type == F_RDLCK && !file_readable(file)) ||
	    (flock.type == F_WRLCK && !file_writable(file)))
		return -EBADF;
	return apply(file->inode, &wanted, flock.type == F_UNLCK, command == F_SETLKW || command == OFD_WAIT,
	             !ofd);
}

long file_lock_command(struct thread *thread, int fd, int command, uint64_t address)
{
	struct file *file = file_of(thread, fd);
	if (file == NULL)
		return -EBADF;
	struct file_table *table = file_table_get(thread->process->files);
	long result = lock_command(thread, file, command, address);
	/* The descriptor, or the table, may have gone while this waited for user memory or for somebody
	 * else's lock: nobody would take the lock away then. */
	if (result == 0 && (command == F_SETLK || command == F_SETLKW) &&
	    (thread->process->files != table || file_table_lookup(thread, fd) != file)) {
		file_locks_closed(file, table);
		result = -EBADF;
	}
	file_table_put(table);
	file_put(file);
	return result;
}

long sys_flock(struct thread *thread, const uint64_t arguments[6])
{
	enum { SHARED = 1, EXCLUSIVE = 2, NOWAIT = 4, UNLOCK = 8 };
	unsigned operation = (unsigned)arguments[1] & ~(unsigned)NOWAIT;
	struct file *file = file_of(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	long result = -EINVAL;
	if (operation != UNLOCK && !file_readable(file) && !file_writable(file)) {
		result = -EBADF;
	} else if (operation == SHARED || operation == EXCLUSIVE || operation == UNLOCK) {
		struct file_lock wanted = {.owner = file,
		                           .pid = thread->process->pid,
		                           .last = LOCK_END,
		                           .exclusive = operation == EXCLUSIVE,
		                           .whole_file = true};
		result = apply(file->inode, &wanted, operation == UNLOCK, !(arguments[1] & NOWAIT), false);
	}
	file_put(file);
	return result;
}

static void drop(struct inode *inode, const void *owner)
{
	if (inode->locks == NULL || !lock_drop_owner(&inode->locks, owner))
		return;
	note_locks(inode);
	waitq_wake_all(&inode->locks_wait);
}

void file_locks_closed(struct file *file, const struct file_table *table)
{
	drop(file->inode, table);
}

void file_locks_released(struct file *file)
{
	drop(file->inode, file);
}

static void lock_line(struct text *text, unsigned number, bool waits, const struct inode *inode,
                      const struct file_lock *lock)
{
	const char *kind = lock->whole_file ? "FLOCK" : lock->pid < 0 ? "OFDLCK" : "POSIX";
	uint64_t device = inode->superblock->device;
	text_print(text, "%u:%s %-6s ADVISORY  %-5s %d %02x:%02x:%lu %lu ", number, waits ? " ->" : "", kind,
	           lock->exclusive ? "WRITE" : "READ", lock->pid, device_major(device), device_minor(device),
	           inode->attributes.inode, lock->first);
	text_print(text, lock->last == LOCK_END ? "EOF\n" : "%lu\n", lock->last);
}

void locks_text(struct text *text)
{
	unsigned number = 0;
	for (struct lock_sleeper *sleeper = sleepers; sleeper != NULL; sleeper = sleeper->next)
		sleeper->by = lock_conflict(sleeper->inode->locks, sleeper->wanted);
	for (struct inode *inode = locked; inode != NULL; inode = inode->locked_next) {
		for (struct file_lock *lock = inode->locks; lock != NULL; lock = lock->next) {
			lock_line(text, ++number, false, inode, lock);
			for (struct lock_sleeper *sleeper = sleepers; sleeper != NULL;
			     sleeper = sleeper->next)
				if (sleeper->by == lock)
					lock_line(text, number, true, inode, sleeper->wanted);
		}
	}
}
