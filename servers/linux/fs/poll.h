/* SPDX-License-Identifier: MIT */
/* What poll, select and epoll share. */
#pragma once

#include "fs/internal.h"

struct poll_entry {
	struct poll_entry *next;
	struct waitq *queue; /* NULL: the entry holds a file, in whose queues later entries are */
	struct file *file;
	struct waiter waiter;
};

struct poll_table {
	struct poll_entry *entries;
	bool failed; /* no memory for an entry: sleeping would miss something */
	bool counts; /* nobody will sleep: only `edges` is wanted */
	/* A number that is another one whenever a queue of the file was woken for what `interest` asks. */
	uint32_t interest;
	uint64_t edges;
};

#define EDGES_MIX 0x9e3779b97f4a7c15u /* edges = edges * EDGES_MIX + what is added */

/* The file stays until the table's end. */
void poll_hold(struct poll_table *table, struct file *file);

void poll_table_end(struct poll_table *table);
/* Interruptible: 0, -EINTR, -ETIMEDOUT, -ENOMEM */
int poll_sleep(struct poll_table *table, deadline_t deadline);
deadline_t poll_deadline_ms(struct thread *thread, int milliseconds);
int poll_deadline_from_user(struct thread *thread, uint64_t address, deadline_t *deadline);
int poll_set_mask(struct thread *thread, uint64_t address, uint64_t size);
