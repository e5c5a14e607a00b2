/* SPDX-License-Identifier: MIT */
/* The line discipline: what a terminal's user and a program see of each other. */
#include "../check.h"
#include "tests.h"
#include "tty/line.h"
#include <stdlib.h>
#include <string.h>

static struct line line;
static char shown[8192];
static size_t shown_length;
static int signalled;

static void emit(void *context, uint8_t byte)
{
	(void)context;
	if (shown_length < sizeof(shown) - 1)
		shown[shown_length++] = (char)byte;
	shown[shown_length] = 0;
}
static void note_signal(void *context, int signal, bool flush)
{
	(void)context, (void)flush;
	signalled = signal;
}
static void begin(void)
{
	memset(&line, 0, sizeof(line));
	line_init(&line);
	line.emit = emit;
	line.signal = note_signal;
	shown_length = 0;
	shown[0] = 0;
	signalled = 0;
}
static void type(const char *text)
{
	for (; *text != 0; text++)
		line_input(&line, (uint8_t)*text);
}
static const char *take(void)
{
	static char out[8192];
	bool end;
	size_t count = line_read(&line, (uint8_t *)out, sizeof(out) - 1, &end);
	out[count] = 0;
	return out;
}

static void test_a_line_is_edited_before_it_is_read(void)
{
	begin();
	type("helo\177lo");
	CHECK(!line_has_line(&line));
	type("\r");
	CHECK(strcmp(take(), "hello\n") == 0);
	CHECK(strcmp(shown, "helo\b \blo\r\n") == 0);
	type("one two  \027three\n");
	CHECK(strcmp(take(), "one three\n") == 0);
	type("gone\025kept\n");
	CHECK(strcmp(take(), "kept\n") == 0);
	type("\177\027\025x\n");
	CHECK(strcmp(take(), "x\n") == 0);
}

static void test_control_characters_take_two_columns(void)
{
	begin();
	type("a\001\177");
	CHECK(strcmp(shown, "a^A\b \b\b \b") == 0);
	begin();
	type("\t\177");
	CHECK(strcmp(shown, "\t\b\b\b\b\b\b\b\b") == 0);
}

static void test_utf8_is_erased_as_one_character(void)
{
	begin();
	line.termios.input |= LINE_IUTF8;
	type("\xc3\xa4\177b\n");
	CHECK(strcmp(take(), "b\n") == 0);
	CHECK(strcmp(shown, "\xc3\xa4\b \bb\r\n") == 0);
}

static void test_end_of_file(void)
{
	bool end;
	uint8_t bytes[8];
	begin();
	type("ab\004");
	CHECK(strcmp(take(), "ab") == 0);
	type("\004");
	CHECK(line_has_line(&line));
	CHECK(line_read(&line, bytes, 8, &end) == 0 && end);
	CHECK(!line_has_line(&line));
	/* a line that just fits takes its end along: the next read waits */
	type("abcd\004");
	CHECK(line_read(&line, bytes, 4, &end) == 4);
	CHECK(!line_has_line(&line));
}

static void test_long_lines_come_in_parts(void)
{
	bool end;
	uint8_t bytes[3];
	begin();
	type("abcde\nx\n");
	CHECK(line_read(&line, bytes, 3, &end) == 3 && !end && line_has_line(&line));
	CHECK(strcmp(take(), "de\n") == 0);
	CHECK(strcmp(take(), "x\n") == 0);
}

static void test_signals(void)
{
	begin();
	type("junk\003");
	CHECK(signalled == 2 && line.put == line.taken);
	CHECK(strcmp(shown, "junk^C") == 0);
	type("\032");
	CHECK(signalled == 20);
	type("\034");
	CHECK(signalled == 3);
	line.termios.local &= ~(uint32_t)LINE_ISIG;
	signalled = 0;
	type("\003\n");
	CHECK(signalled == 0 && strcmp(take(), "\003\n") == 0);
}

static void test_literal_next(void)
{
	begin();
	type("a\026\003b\n");
	CHECK(signalled == 0);
	CHECK(strcmp(take(), "a\003b\n") == 0);
}

static void test_flow_control(void)
{
	begin();
	type("\023");
	CHECK(line.output_stopped);
	type("\021");
	CHECK(!line.output_stopped);
	type("\023\003");
	CHECK(!line.output_stopped);
	/* echo waits for output to go on; what a signal flushes is not echoed */
	begin();
	type("a\023b\nc");
	CHECK(strcmp(shown, "a") == 0);
	CHECK(strcmp(take(), "ab\n") == 0);
	type("\021");
	CHECK(strcmp(shown, "ab\r\nc") == 0);
	type("\023gone\003");
	CHECK(strcmp(shown, "ab\r\nc^C") == 0);
	type("\023");
	for (int i = 0; i < 10 * LINE_ECHOES; i++)
		type("x\b");
	line_start(&line);
	CHECK(shown_length <= LINE_ECHOES + 16);
}

static void test_raw_mode(void)
{
	begin();
	struct line_termios old = line.termios;
	type("half");
	line.termios.local &= ~(uint32_t)(LINE_ICANON | LINE_ECHO | LINE_ISIG | LINE_IEXTEN);
	line.termios.input = 0;
	line.termios.output = 0;
	line_mode_changed(&line, &old);
	CHECK(strcmp(take(), "half") == 0);
	shown_length = 0;
	type("\003\r\177\004");
	CHECK(line_readable(&line) == 4 && shown_length == 0);
	CHECK(strcmp(take(), "\003\r\177\004") == 0);
	line_output(&line, '\n');
	CHECK(shown_length == 1);
}

static void test_output_processing(void)
{
	begin();
	for (const char *p = "a\nb\tc"; *p != 0; p++)
		line_output(&line, (uint8_t)*p);
	CHECK(strcmp(shown, "a\r\nb\tc") == 0 && line.column == 9);
}

static void test_a_full_line_can_still_be_ended(void)
{
	begin();
	for (unsigned i = 0; i < 2 * LINE_BUFFER; i++)
		line_input(&line, 'x');
	CHECK(!line_has_line(&line));
	type("\n");
	CHECK(line_has_line(&line));
	CHECK(strlen(take()) == LINE_BUFFER);
}

static void test_random_input_keeps_the_counts(void)
{
	srand(1);
	begin();
	for (unsigned i = 0; i < 200000; i++) {
		struct line_termios old = line.termios;
		if (rand() % 500 == 0) {
			line.termios.local ^= 1u << rand() % 16;
			line_mode_changed(&line, &old);
		}
		line_input(&line, (uint8_t)rand());
		if (rand() % 7 == 0) {
			uint8_t bytes[64];
			bool end;
			line_read(&line, bytes, (size_t)(rand() % 65), &end);
		}
		shown_length = 0;
		if (line.put - line.taken > LINE_BUFFER ||
		    line.completed - line.taken > line.put - line.taken) {
			CHECK(!"positions");
			return;
		}
		if (line.completed == line.taken && line.lines != 0) {
			CHECK(!"lines without bytes");
			return;
		}
	}
	CHECK(1);
}

int line_tests(void)
{
	test_a_line_is_edited_before_it_is_read();
	test_control_characters_take_two_columns();
	test_utf8_is_erased_as_one_character();
	test_end_of_file();
	test_long_lines_come_in_parts();
	test_signals();
	test_literal_next();
	test_flow_control();
	test_raw_mode();
	test_output_processing();
	test_a_full_line_can_still_be_ended();
	test_random_input_keeps_the_counts();
	return checks_report();
}
