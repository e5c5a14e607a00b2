/* SPDX-License-Identifier: MIT */
/* Log lines: formatted here, put whole into the ring that the supervisor reads, which is signalled if it
 * sleeps. */
#include <stdio.h>
#include <string.h>

#include <pith/log.h>
#include <proto/log.h>

#include "runtime.h"

#define LOG_LINE 512

__attribute__((weak)) void log_output(const char *text, size_t length)
{
	struct log_ring *ring = (struct log_ring *)runtime.startup->log;
	if (!ring || runtime.startup->log_size < sizeof(*ring) + LOG_RING_SIZE)
		return;
	uint32_t at = atomic_load_explicit(&ring->written, memory_order_relaxed);
	for (size_t i = 0; i < length; i++)
		ring->data[(at + i) % LOG_RING_SIZE] = (uint8_t)text[i];
	atomic_store_explicit(&ring->written, at + (uint32_t)length, memory_order_seq_cst);
	if (runtime.log_signal && atomic_exchange_explicit(&ring->reader_waits, 0, memory_order_seq_cst))
		notification_signal(runtime.log_signal);
}

static void log_line(enum log_level level, const char *format, va_list arguments)
{
	static const char *const prefix[] = {"debug: ", "", "warning: ", "error: "};
	char line[LOG_LINE];
	size_t length = (size_t)snprintf(line, sizeof(line), "%s", prefix[level]);
	int more = vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
	if (more < 0)
		return;
	length += (size_t)more;
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2; /* cut: the line keeps its end mark */
	if (line[length - 1] != '\n')
		line[length++] = '\n';
	log_output(line, length);
}

void log_write(enum log_level level, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	log_line(level, format, arguments);
	va_end(arguments);
}

_Noreturn void fatal(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	log_line(LOG_ERROR, format, arguments);
	va_end(arguments);
	component_exit(1);
}
