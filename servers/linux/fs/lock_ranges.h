/* SPDX-License-Identifier: MIT */
/*
 * Byte-range locks of one file, as pure data: a sorted list per file in which one owner's locks never overlap
 * and never touch with the same type (they are merged). Waiting and user memory are locks.c's matter.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define LOCK_END UINT64_MAX /* last: to the end of the file, however long it gets */

struct file_lock {
	struct file_lock *next; /* by first */
	const void *owner;      /* a table of descriptors (POSIX) or an open file (OFD, flock) */
	uint64_t first, last;   /* inclusive */
	int pid;                /* as F_GETLK reports it; -1: OFD */
	bool exclusive;
	bool whole_file; /* flock: a kind of its own, which does not conflict with ranges */
};

/* A lock of somebody else that forbids this one, or NULL. */
struct file_lock *lock_conflict(struct file_lock *list, const struct file_lock *wanted);
/* Sets the range to wanted's type for its owner; unlock: removes it. 0 or -ENOMEM (nothing changed). */
int lock_set(struct file_lock **list, const struct file_lock *wanted, bool unlock);
/* Everything of the owner; true: there was something. */
bool lock_drop_owner(struct file_lock **list, const void *owner);
