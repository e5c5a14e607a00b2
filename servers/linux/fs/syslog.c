/* SPDX-License-Identifier: MIT */
/* syslog: what all components wrote into their logs is what Linux's kernel would have said. For root alone
 * (dmesg_restrict). */
#include "capability.h"
#include "fs/pseudo.h"
#include "syscall.h"
#include <pith/startup.h>

#define COMPONENTS_MAX 64
#define BUFFER_SIZE    65536
#define LOOK_AGAIN     1000000000ull /* ns: nobody tells when something new is there */

enum {
	LOG_CLOSE,
	LOG_OPEN,
	LOG_READ,
	LOG_READ_ALL,
	LOG_READ_CLEAR,
	LOG_CLEAR,
	LOG_CONSOLE_OFF,
	LOG_CONSOLE_ON,
	LOG_CONSOLE_LEVEL,
	LOG_SIZE_UNREAD,
	LOG_SIZE_BUFFER
};

/* How far each component's log was read, or cleared. */
struct log_positions {
	uint64_t of[COMPONENTS_MAX];
};

static struct log_positions cleared, taken;
static struct text unread; /* of what was taken */
static size_t unread_from;

/* Each line with its level and where it comes from. */
static void add_lines(struct text *out, const char *name, const struct text *lines)
{
	for (size_t at = 0; at < lines->length;) {
		const char *line = lines->data + at, *end = memchr(line, '\n', lines->length - at);
		size_t length = end != NULL ? (size_t)(end - line) : lines->length - at;
		text_print(out, "<6>%s: ", name);
		text_add(out, line, length);
		text_add(out, "\n", 1);
		at += length + 1;
	}
}

static int collect(struct log_positions *positions, struct text *out)
{
	char name[PSEUDO_NAME];
	for (unsigned i = 0; i < COMPONENTS_MAX && component_name(&i, name); i++) {
		struct text lines = {0};
		int error = component_log(name, &positions->of[i], &lines);
		if (error == 0)
			add_lines(out, name, &lines);
		free(lines.data);
	}
	return out->failed ? -ENOMEM : 0;
}

static void refill(void)
{
	if (unread_from < unread.length)
		return;
	free(unread.data);
	unread = (struct text){0};
	unread_from = 0;
	collect(&taken, &unread);
}

static long read_new(struct thread *thread, uint64_t address, size_t size)
{
	for (;;) {
		refill();
		if (unread_from < unread.length)
			break;
		int error = wait_until(time_now() + LOOK_AGAIN);
		if (error != 0)
			return error == -EINTR ? -EINTR_RESTART : error;
	}
	if (size > unread.length - unread_from)
		size = unread.length - unread_from;
	char *part = malloc(size); /* who else reads meanwhile gets what follows */
	if (part == NULL)
		return -ENOMEM;
	memcpy(part, unread.data + unread_from, size);
	unread_from += size;
	int error = copy_to_user(thread, address, part, size);
	free(part);
	return error != 0 ? -EFAULT : (long)size;
}

/* The last lines that fit. */
static long read_all(struct thread *thread, uint64_t address, size_t size, bool clear)
{
	struct log_positions positions = cleared;
	struct text all = {0};
	long result = collect(&positions, &all);
	size_t from = 0;
	while (all.length - from > size) {
		const char *end = memchr(all.data + from, '\n', all.length - from);
		from = end != NULL ? (size_t)(end + 1 - all.data) : all.length;
	}
	if (result == 0 && all.length > from)
		result = copy_to_user(thread, address, all.data + from, all.length - from);
	if (result == 0)
		result = (long)(all.length - from);
	if (result >= 0 && clear)
		cleared = positions;
	free(all.data);
	return result;
}

long sys_syslog(struct thread *thread, const uint64_t arguments[6])
{
	int command = (int)arguments[0], size = (int)arguments[2];
	struct text ignored = {0};
	if (!capable(thread, CAP_SYSLOG))
		return -EPERM;
	switch (command) {
	case LOG_CLOSE:
	case LOG_OPEN:
	case LOG_CONSOLE_OFF:
	case LOG_CONSOLE_ON:
		return 0;
	case LOG_READ:
	case LOG_READ_ALL:
	case LOG_READ_CLEAR:
		if (arguments[1] == 0 || size < 0)
			return -EINVAL;
		if (size == 0)
			return 0;
		return command == LOG_READ
		               ? read_new(thread, arguments[1], (size_t)size)
		               : read_all(thread, arguments[1], (size_t)size, command == LOG_READ_CLEAR);
	case LOG_CLEAR:
		collect(&cleared, &ignored);
		free(ignored.data);
		return 0;
	case LOG_CONSOLE_LEVEL:
		return size < 1 || size > 8 ? -EINVAL : 0;
	case LOG_SIZE_UNREAD:
		refill();
		return (long)(unread.length - unread_from);
	case LOG_SIZE_BUFFER:
		return BUFFER_SIZE;
	default:
		return -EINVAL;
	}
}
