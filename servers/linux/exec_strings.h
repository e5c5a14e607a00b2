/* SPDX-License-Identifier: MIT */
/* Arguments and environment on their way from the old address space to the new one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct thread;

#define EXEC_STRING_MAX (128 * 1024) /* one string with its NUL */
/* All strings and their pointers: a quarter of the stack's limit, from the one to the other. */
#define EXEC_TOTAL_LEAST (128 * 1024)
#define EXEC_TOTAL_MOST  (6 * 1024 * 1024)

struct exec_strings {
	char *data; /* the strings one after the other, arguments first */
	size_t size, capacity;
	size_t limit; /* of all, with their pointers */
	unsigned argument_count, environment_count;
};

/* 0, -E2BIG, -ENOMEM */
int exec_strings_add(struct exec_strings *strings, const char *text, size_t length);
/* From server memory; counts what it adds in *count. */
int exec_strings_add_list(struct exec_strings *strings, char *const list[], unsigned *count);
/* From user memory: the address of a NULL-terminated array of pointers (0: empty). */
int exec_strings_add_user(struct exec_strings *strings, struct thread *thread, uint64_t list,
                          unsigned *count);
/* The first argument goes, `count` others take its place at the front. */
int exec_strings_replace_first(struct exec_strings *strings, const char *const *with, unsigned count);
void exec_strings_free(struct exec_strings *strings);
