/* SPDX-License-Identifier: MIT */
/* Text that grows: what /proc and /pith files are made of. Running out of memory is remembered, not reported
 * at each call. */
#include "fs/internal.h"
#include <stdarg.h>
#include <stdio.h>

static bool reserve(struct text *text, size_t more)
{
	if (text->failed || text->length + more + 1 <= text->capacity)
		return !text->failed;
	size_t capacity = (text->length + more + 1) * 2;
	char *data = kept_refused() ? NULL : realloc(text->data, capacity);
	if (data == NULL) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->capacity = capacity;
	return true;
}

void text_add(struct text *text, const char *data, size_t length)
{
	if (!reserve(text, length))
		return;
	memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = 0;
}

void text_print(struct text *text, const char *format, ...)
{
	va_list arguments;
	char line[512];
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if ((size_t)length < sizeof(line)) {
		text_add(text, line, (size_t)length);
		return;
	}
	if (!reserve(text, (size_t)length))
		return;
	va_start(arguments, format);
	vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)length;
}

void cpu_list(struct text *text, uint64_t cpus)
{
	const char *before = "";
	for (unsigned cpu = 0; cpu < 64; cpu++) {
		unsigned last = cpu;
		if (!(cpus >> cpu & 1))
			continue;
		while (last < 63 && cpus >> (last + 1) & 1)
			last++;
		text_print(text, last > cpu ? "%s%u-%u" : "%s%u", before, cpu, last);
		before = ",";
		cpu = last;
	}
}
