/* SPDX-License-Identifier: MIT */
/* What poll, select and epoll share. */
#pragma once

#include "fs/internal.h"

struct poll_entry {
	struct poll_entry *next;
	struct waitq *queue;
	struct waiter waiter;
};

struct poll_table {
	struct poll_entry *entries;
	bool failed; /* no memory for an entry: sleeping would miss something */
};

void poll_table_end(struct poll_table *table);
/* Interruptible: 0, -EINTR, -ETIMEDOUT, -ENOMEM */
int poll_sleep(struct poll_table *table, deadline_t deadline);
deadline_t poll_deadline_ms(struct thread *thread, int milliseconds);
int poll_deadline_from_user(struct thread *thread, uint64_t address, deadline_t *deadline);
int poll_set_mask(struct thread *thread, uint64_t address, uint64_t size);
