/* SPDX-License-Identifier: MIT */
/* One growing buffer of NUL-terminated strings, within Linux's limits. */
#include "exec_strings.h"
#include "kept.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mm.h"

/* Pointers count too: a million empty strings must not pass. */
static size_t total(const struct exec_strings *strings)
{
	return strings->size + (strings->argument_count + strings->environment_count) * sizeof(uint64_t);
}

static int reserve(struct exec_strings *strings, size_t more)
{
	size_t capacity = strings->capacity ? strings->capacity : 4096;
	char *data;

	while (capacity < strings->size + more)
		capacity *= 2;
	if (capacity == strings->capacity)
		return 0;
	data = kept_refused() ? NULL : realloc(strings->data, capacity);
	if (!data)
		return -ENOMEM;
	strings->data = data;
	strings->capacity = capacity;
	return 0;
}

int exec_strings_add(struct exec_strings *strings, const char *text, size_t length)
{
	int error;

	if (length + 1 > EXEC_STRING_MAX || total(strings) + length + 1 > strings->limit)
		return -E2BIG;
	error = reserve(strings, length + 1);
	if (error)
		return error;
	memcpy(strings->data + strings->size, text, length);
	strings->data[strings->size + length] = 0;
	strings->size += length + 1;
	return 0;
}

int exec_strings_add_list(struct exec_strings *strings, char *const list[], unsigned *count)
{
	for (; list && *list; list++) {
		int error = exec_strings_add(strings, *list, strlen(*list));

		if (error)
			return error;
		++*count;
	}
	return 0;
}

/* Straight from the process's pages to the end of the buffer. */
static int add_user_string(struct exec_strings *strings, struct thread *thread, uint64_t address)
{
	size_t length = 0;

	for (;;) {
		struct span part = user_span(thread, address + length, PAGE_SIZE, false);
		const char *end;
		int error;

		if (!part.at)
			return -EFAULT;
		end = memchr(part.at, 0, part.size);
		if (end)
			part.size = (size_t)(end - (const char *)part.at) + 1;
		if (length + part.size > EXEC_STRING_MAX || total(strings) + part.size > strings->limit)
			return -E2BIG;
		error = reserve(strings, part.size);
		if (error)
			return error;
		memcpy(strings->data + strings->size, part.at, part.size);
		strings->size += part.size;
		length += part.size;
		if (end) { /* whatever another CPU has written there meanwhile */
			strings->data[strings->size - 1] = 0;
			return 0;
		}
	}
}

int exec_strings_add_user(struct exec_strings *strings, struct thread *thread, uint64_t list, unsigned *count)
{
	for (; list; list += sizeof(uint64_t)) {
		uint64_t address;
		int error = copy_from_user(thread, &address, list, sizeof(address));

		if (error || !address)
			return error;
		error = add_user_string(strings, thread, address);
		if (error)
			return error;
		++*count;
		if (total(strings) > strings->limit)
			return -E2BIG;
	}
	return 0;
}

int exec_strings_replace_first(struct exec_strings *strings, const char *const *with, unsigned count)
{
	size_t removed = strings->argument_count ? strlen(strings->data) + 1 : 0, added = 0;
	char *at;
	int error;

	for (unsigned i = 0; i < count; i++)
		added += strlen(with[i]) + 1;
	if (total(strings) + added > strings->limit)
		return -E2BIG;
	error = reserve(strings, added);
	if (error)
		return error;
	memmove(strings->data + added, strings->data + removed, strings->size - removed);
	at = strings->data;
	for (unsigned i = 0; i < count; i++)
		at = stpcpy(at, with[i]) + 1;
	strings->size += added - removed;
	strings->argument_count += count - (removed ? 1 : 0);
	return 0;
}

void exec_strings_free(struct exec_strings *strings)
{
	free(strings->data);
	*strings = (struct exec_strings){0};
}
