/* SPDX-License-Identifier: MIT */
/* What plain futexes (futex.c) and priority-inheriting ones (futex_pi.c) share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <abi/types.h>

struct mm;
struct thread;

struct futex_key {
	const void *object; /* mm, inode or shared memory */
	uint64_t offset;
};

int futex_key_of(struct thread *thread, uint64_t address, bool private, struct futex_key *key);
bool futex_key_equal(const struct futex_key *a, const struct futex_key *b);
/* The word, for atomic operations: threads on other CPUs use it meanwhile. Waits; valid until the next wait.
 * NULL: fault. */
_Atomic uint32_t *futex_word(struct mm *mm, uint64_t address);

/* ---- futex_pi.c ---- */
long futex_lock_pi(struct thread *thread, uint64_t address, bool private, bool wait, deadline_t deadline);
long futex_unlock_pi(struct thread *thread, uint64_t address, bool private);
/* It ends: what it holds and others wait for goes to them. */
void futex_pi_exit(struct thread *thread);
