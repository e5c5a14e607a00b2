/* SPDX-License-Identifier: MIT */
/* The kernel's own messages: a small formatter, and the debug line. */
#include <stdarg.h>

#include <kernel/cpu.h>
#include <kernel/lock.h>

#define LINE_BYTES 256

struct line {
	char text[LINE_BYTES];
	size_t length;
};

static void line_put(struct line *line, char c)
{
	if (line->length < LINE_BYTES)
		line->text[line->length++] = c;
}

static void line_text(struct line *line, const char *text)
{
	for (text = text ? text : "(null)"; *text; text++)
		line_put(line, *text);
}

static void line_number(struct line *line, uint64_t value, unsigned base, unsigned width, char pad)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (; width > count; width--)
		line_put(line, pad);
	while (count)
		line_put(line, digits[--count]);
}

/* One conversion after '%'; returns what follows it. Known: c s d u x p, with #, 0, a width, and l. */
static const char *line_conversion(struct line *line, const char *format, va_list *arguments)
{
	bool prefix = false, is_long = false;
	unsigned width = 0;
	char pad = ' ';
	int64_t value;

	for (; *format == '#' || *format == '0'; format++) {
		prefix |= *format == '#';
		pad = *format == '0' ? '0' : pad;
	}
	for (; *format >= '0' && *format <= '9'; format++)
		width = width * 10 + (unsigned)(*format - '0');
	for (; *format == 'l' || *format == 'z'; format++)
		is_long = true;
	switch (*format) {
	case 's':
		line_text(line, va_arg(*arguments, const char *));
		break;
	case 'c':
		line_put(line, (char)va_arg(*arguments, int));
		break;
	case 'd':
		value = is_long ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);
		if (value < 0)
			line_put(line, '-');
		line_number(line, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width, pad);
		break;
	case 'u':
		line_number(line, is_long ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned), 10,
		            width, pad);
		break;
	case 'x':
		if (prefix)
			line_text(line, "0x");
		line_number(line, is_long ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned), 16,
		            width, pad);
		break;
	case 'p':
		line_text(line, "0x");
		line_number(line, (uint64_t)va_arg(*arguments, void *), 16, width, pad);
		break;
	default:
		line_put(line, *format ? *format : '%');
		break;
	}
	return *format ? format + 1 : format;
}

static void line_format(struct line *line, const char *format, va_list arguments)
{
	va_list rest;

	va_copy(rest, arguments);
	while (*format) {
		if (*format == '%')
			format = line_conversion(line, format + 1, &rest);
		else
			line_put(line, *format++);
	}
	va_end(rest);
}

void kernel_log(const char *format, ...)
{
	struct line line = {.length = 0};
	va_list arguments;

	va_start(arguments, format);
	line_format(&line, format, arguments);
	va_end(arguments);
	arch_debug_write(line.text, line.length);
}

/* ---- while threads run ---- */
/*
 * A line of text takes a serial line milliseconds, and interrupts are off: it is kept here, and sent byte by
 * byte by CPUs that idle, and before what user mode writes. Lines for which there is no room are counted.
 */
#define LATER_BYTES 4096

static struct {
	struct ticket_lock lock;
	unsigned kept, sent; /* bytes, ever */
	unsigned lost;       /* lines, since one was kept */
	char text[LATER_BYTES];
} later;

static bool later_keep(const struct line *line)
{
	if (LATER_BYTES - (later.kept - later.sent) < line->length)
		return false;
	for (size_t i = 0; i < line->length; i++)
		later.text[later.kept++ % LATER_BYTES] = line->text[i];
	return true;
}

void kernel_log_later(const char *format, ...)
{
	struct line line = {.length = 0};
	va_list arguments;

	lock_take(&later.lock);
	if (later.lost) {
		line_text(&line, "lines lost: ");
		line_number(&line, later.lost, 10, 0, ' ');
		line_put(&line, '\n');
	}
	va_start(arguments, format);
	line_format(&line, format, arguments);
	va_end(arguments);
	later.lost = later_keep(&line) ? 0 : later.lost + 1;
	lock_release(&later.lock);
}

bool kernel_log_send(void)
{
	bool left;

	if (__atomic_load_n(&later.kept, __ATOMIC_RELAXED) == __atomic_load_n(&later.sent, __ATOMIC_RELAXED))
		return false;
	lock_take(&later.lock);
	if (later.sent != later.kept && arch_debug_ready())
		arch_debug_write(&later.text[later.sent++ % LATER_BYTES], 1);
	left = later.sent != later.kept;
	lock_release(&later.lock);
	return left;
}

void panic(const char *format, ...)
{
	static bool panicked; /* when a panic panics, its backtrace may be why */
	struct line line = {.length = 0};
	va_list arguments;
	bool again;

	arch_panic_begin();
	later.lock = (struct ticket_lock){0}; /* who has it has stopped */
	while (kernel_log_send())
		;
	line_text(&line, "\nkernel panic: ");
	va_start(arguments, format);
	line_format(&line, format, arguments);
	va_end(arguments);
	arch_debug_write(line.text, line.length);
	kernel_log(" (CPU %u)\n", (unsigned)(this_cpu() - cpu_at(0)));
	again = __atomic_exchange_n(&panicked, true, __ATOMIC_RELAXED);
	if (!again)
		arch_backtrace();
	kernel_log("halted\n");
	arch_halt();
}
