/* SPDX-License-Identifier: MIT */
/* What /proc tells of a process's memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct process;
struct vma;

typedef void emit_text_t(void *context, const char *text, size_t length);

/* In pages, but for `shares`. */
struct resident {
	size_t pages, anonymous, file, shared_memory;
	size_t shared_clean, shared_dirty, private_clean, private_dirty;
	size_t shares; /* bytes: each page's divided by how many map it */
};

struct memory_figures {
	struct resident resident;
	size_t locked, data, stack, code, libraries; /* pages, whether there or not */
};
void memory_figures(const struct process *process, struct memory_figures *out);
/* Text of /proc/PID/smaps and smaps_rollup */
void memory_regions(const struct process *process, emit_text_t *emit, void *context);
void memory_rollup(const struct process *process, emit_text_t *emit, void *context);

/* mm.c: what /proc/PID/maps says of a region, and its name */
void mm_region_line(struct vma *vma, emit_text_t *emit, void *context);
void mm_region_name(struct vma *vma, char *out, size_t size);
