/* SPDX-License-Identifier: MIT */
/* What the file half needs of the rest of the server, for tests on the host: pages of malloc, user memory
 * that is the test's own. */
#pragma once

#include "fs/internal.h"
#include "syscall.h"

extern struct thread *test_thread; /* whose calls these are */
extern unsigned test_free_pages;   /* page_allocate fails when it is 0 */
extern unsigned test_pages_seen;   /* that anybody looked at */
extern int last_signal;            /* sent to anybody */
extern void (*test_before_copy)(void); /* what happens while the next copy to the user waits */

void fakes_init(void);
/* Run the function on a fiber, with completions of the store, until it is done. */
void run(void (*function)(void));
/* A second activity of the same test, on a fiber with a process of its own. */
void run_beside(struct thread *thread, void (*function)(void));
struct thread *new_process(int pid, uint32_t uid);
void end_process(struct thread *thread);
long call(system_call *function, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);

/* A file system with one file whose pages live elsewhere and whose transfers take until nothing else can run.
 */
struct store {
	struct superblock superblock;
	uint8_t data[512 * 4096];
	uint64_t blocks_left; /* of 4096 bytes */
	bool allocated[512];
	unsigned reads, writes, read_pages;
	bool fail;
};
extern struct store store;
struct inode *store_file(uint64_t size); /* a new reference */
