/* SPDX-License-Identifier: MIT */
/* Log lines of the components: from their rings to the debug line, prefixed by the name, and to a history for
 * SYSTEM_COMPONENT_LOG. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "init.h"

/* A component must not write control sequences to whoever watches the debug line. UTF-8 passes. */
static char printable(char byte)
{
	unsigned char c = (unsigned char)byte;
	return c == '\t' || (c >= 32 && c != 127) ? byte : '?';
}

static void line_print(const struct component *component, const char *text, size_t length)
{
	char line[MANIFEST_NAME + 2 + sizeof(component->log_line) + 1];
	int size = snprintf(line, sizeof(line), "%s: %.*s\n", component->manifest->name, (int)length, text);
	if (size > 0)
		debug_write(line, (size_t)size < sizeof(line) ? (size_t)size : sizeof(line) - 1);
}

/*
 * The debug line is slow and init is above everybody: a component that floods its log may keep it busy for a
 * short time only. What is left out here is in the history all the same.
 */
#define LINE_BURST      65536
#define LINE_PER_SECOND 16384

static bool line_allowed(struct component *component, size_t length)
{
	uint64_t now = time_now(), passed = now - component->log_allowed_at;
	if (component->log_allowed_at == 0 || passed > 10000000000ul)
		component->log_allowance = LINE_BURST;
	else
		component->log_allowance += (int64_t)(passed * LINE_PER_SECOND / 1000000000);
	if (component->log_allowance > LINE_BURST)
		component->log_allowance = LINE_BURST;
	/* Fractions of a byte would be lost if this was noted for every line. */
	if (passed * LINE_PER_SECOND >= 1000000000 || component->log_allowed_at == 0)
		component->log_allowed_at = now;
	/* Once silenced, it has to wait for a while: a line here and there would tell nothing. */
	if (component->log_allowance < (component->log_lines_left_out ? LINE_PER_SECOND : (int64_t)length))
		return false;
	component->log_allowance -= (int64_t)length;
	return true;
}

static void left_out_print(struct component *component)
{
	char text[64];
	if (component->log_lines_left_out == 0)
		return;
	int size =
	        snprintf(text, sizeof(text), "(%lu lines were left out here)", component->log_lines_left_out);
	component->log_lines_left_out = 0;
	line_print(component, text, (size_t)size);
}

static void line_end(struct component *component)
{
	size_t length = component->log_line_length;
	component->log_line_length = 0;
	if (!line_allowed(component, length + 16)) {
		component->log_lines_left_out++;
		return;
	}
	left_out_print(component);
	line_print(component, component->log_line, length);
}

static void history_add(struct component *component, const char *text)
{
	while (*text)
		component->history[component->history_written++ % COMPONENT_HISTORY] = *text++;
}

static void byte_take(struct component *component, char byte)
{
	component->history[component->history_written++ % COMPONENT_HISTORY] = byte;
	if (byte != '\n' && component->log_line_length < sizeof(component->log_line)) {
		component->log_line[component->log_line_length++] = printable(byte);
		if (component->log_line_length < sizeof(component->log_line))
			return;
	}
	line_end(component);
}

/* At most one ring's content: what the component writes meanwhile comes in the next round. */
void journal_drain_one(struct component *component)
{
	struct log_ring *ring = component->log_ring;
	uint32_t written = atomic_load_explicit(&ring->written, memory_order_acquire);
	if (written - component->log_read > LOG_RING_SIZE) {
		line_print(component, "(log text was lost)", 19);
		component->log_read = written - LOG_RING_SIZE;
	}
	while (component->log_read != written)
		byte_take(component, (char)ring->data[component->log_read++ % LOG_RING_SIZE]);
}

void journal_drain(void)
{
	for (unsigned i = 0; i < init.manifest.component_count; i++) {
		struct component *component = &init.components[i];
		struct log_ring *ring = component->log_ring;
		if (!ring)
			continue; /* the boot has not come to this one */
		for (int round = 0; round < 4; round++) {
			journal_drain_one(component);
			atomic_store_explicit(&ring->reader_waits, 1, memory_order_seq_cst);
			if (atomic_load_explicit(&ring->written, memory_order_seq_cst) == component->log_read)
				break;
		}
	}
}

void journal_note(struct component *component, enum log_level level, const char *format, ...)
{
	char text[256];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_write(level, "%s", text);
	/* After whole lines only: the component's last one may have no end. */
	uint64_t end = component->history_written;
	if (end && component->history[(end - 1) % COMPONENT_HISTORY] != '\n')
		history_add(component, "\n");
	history_add(component, "init: ");
	history_add(component, text);
	history_add(component, "\n");
}

void journal_tail(struct component *component, uint64_t end, unsigned lines)
{
	uint64_t written = component->history_written, start = end;
	uint64_t oldest = written > COMPONENT_HISTORY ? written - COMPONENT_HISTORY : 0;
	left_out_print(component); /* it may never say a word again */
	while (start > oldest && lines > 0) {
		start--;
		if (start > oldest && component->history[(start - 1) % COMPONENT_HISTORY] == '\n')
			lines--;
	}
	while (start < end) {
		char line[200];
		size_t length = 0;
		while (start < end && length < sizeof(line) - 1) {
			char byte = component->history[start++ % COMPONENT_HISTORY];
			if (byte == '\n')
				break;
			line[length++] = printable(byte);
		}
		line[length] = 0;
		log_info("    | %s", line);
	}
}
