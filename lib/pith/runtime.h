/* SPDX-License-Identifier: MIT */
/* What the files of the runtime share. Private to lib/pith (and to init, which starts from boot information
 * instead). */
#pragma once

#include <pith/heap.h>
#include <pith/startup.h>
#include <pith/syscall.h>

struct runtime {
	const struct startup *startup;
	cptr_t cspace; /* CNode capability of the own CSpace, to derive and move inside it */
	cptr_t thread;
	cptr_t log_signal;
	uint64_t tsc_multiplier; /* nanoseconds per tick, 32.32 fixed point */
};
extern struct runtime runtime;

/* Overridden by init: makes the start-up information out of struct boot_info, and is asked for its own
 * capabilities. */
const struct startup *runtime_boot(const void *boot_info, cptr_t *cspace, cptr_t *thread);
/* Overridden by init, whose log goes elsewhere. */
void log_output(const char *text, size_t length);

/* Page allocator of the heap (mmap of the C library). Pages are zeroed when handed out. */
void heap_init(uint64_t base, uint64_t size);
void *heap_allocate(size_t pages);
bool heap_grow(void *address, size_t pages, size_t new_pages); /* in place, or shrink */
bool heap_free(void *address, size_t pages);

_Noreturn void component_exit(int status);
