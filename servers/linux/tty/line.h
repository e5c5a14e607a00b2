/* SPDX-License-Identifier: MIT */
/*
 * The line discipline: what happens to characters between a terminal and the programs that read and write it.
 * Pure logic over two byte queues; the terminal's owner gives callbacks for what leaves it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define TERMIOS_CHARACTERS 19
struct line_termios { /* Linux's struct termios of TCGETS */
	uint32_t input, output, control, local;
	uint8_t line;
	uint8_t characters[TERMIOS_CHARACTERS];
};
_Static_assert(sizeof(struct line_termios) == 36, "struct termios");

enum line_character {
	LINE_INTR,
	LINE_QUIT,
	LINE_ERASE,
	LINE_KILL,
	LINE_EOF,
	LINE_TIME,
	LINE_MIN,
	LINE_SWTC,
	LINE_START,
	LINE_STOP,
	LINE_SUSP,
	LINE_EOL,
	LINE_REPRINT,
	LINE_DISCARD,
	LINE_WERASE,
	LINE_LNEXT,
	LINE_EOL2
};
enum line_input_flag {
	LINE_PARMRK = 010,
	LINE_ISTRIP = 040,
	LINE_INLCR = 0100,
	LINE_IGNCR = 0200,
	LINE_ICRNL = 0400,
	LINE_IUCLC = 01000,
	LINE_IXON = 02000,
	LINE_IXANY = 04000,
	LINE_IMAXBEL = 020000,
	LINE_IUTF8 = 040000
};
enum line_output_flag {
	LINE_OPOST = 1,
	LINE_OLCUC = 2,
	LINE_ONLCR = 4,
	LINE_OCRNL = 010,
	LINE_ONOCR = 020,
	LINE_ONLRET = 040,
	LINE_TABDLY = 014000
};
enum line_control_flag {
	LINE_B9600 = 015,
	LINE_B38400 = 017,
	LINE_CS8 = 060,
	LINE_CSIZE = 060,
	LINE_CREAD = 0200,
	LINE_PARENB = 0400,
	LINE_CLOCAL = 04000,
	LINE_HUPCL = 02000
};
enum line_local_flag {
	LINE_ISIG = 1,
	LINE_ICANON = 2,
	LINE_ECHO = 010,
	LINE_ECHOE = 020,
	LINE_ECHOK = 040,
	LINE_ECHONL = 0100,
	LINE_NOFLSH = 0200,
	LINE_TOSTOP = 0400,
	LINE_ECHOCTL = 01000,
	LINE_ECHOPRT = 02000,
	LINE_ECHOKE = 04000,
	LINE_IEXTEN = 0100000
};

#define LINE_BUFFER 4096 /* input kept for readers; a line holds at most one less */
#define LINE_ECHOES 512  /* bytes of echo kept while output is stopped */

struct line {
	struct line_termios termios;
	uint8_t buffer[LINE_BUFFER]; /* ring: [taken, completed) may be read, [completed, put) is the line
	                                being edited (ICANON) */
	uint8_t marks[LINE_BUFFER];  /* of a byte: enum line_mark */
	uint32_t taken, completed, put;
	unsigned lines;       /* completed lines not read */
	unsigned column;      /* of the cursor, for tabs and erasing */
	unsigned line_column; /* where the edited line's echo began */
	bool literal_next;    /* VLNEXT was typed */
	bool erasing;         /* ECHOPRT: a backslash was shown, and what is erased follows it */
	bool output_stopped;  /* by VSTOP, or TCXONC */
	uint32_t echo_count;  /* what was to be echoed meanwhile */
	uint8_t echoes[LINE_ECHOES];
	bool lost;            /* input is full: bytes were dropped */

	void *context;
	/* One byte to the terminal, after output processing. */
	void (*emit)(void *context, uint8_t byte);
	/* SIGINT, SIGQUIT, SIGTSTP for the foreground group; flush: pending output is to be thrown away as
	 * well */
	void (*signal)(void *context, int signal, bool flush);
};

enum line_mark {
	LINE_MARK_NONE,
	LINE_MARK_DELIMITER, /* the last of its line, part of what is read */
	LINE_MARK_EOF,       /* ends its line (or the file), is not read */
};

void line_init(struct line *line);
/* A byte came from the terminal. */
void line_input(struct line *line, uint8_t byte);
/* A byte is written by a program: output processing, then emit. */
void line_output(struct line *line, uint8_t byte);
/* How many bytes one written byte may become. */
#define LINE_OUTPUT_MAX 8
/* Bytes for a reader now: at most one line in canonical mode. *end: a line or the input's end was reached (0
 * bytes then mean end of file). */
size_t line_read(struct line *line, uint8_t *out, size_t size, bool *end);
/* Bytes that a read would give; canonical: complete lines only. */
size_t line_readable(const struct line *line);
bool line_has_line(const struct line *line);
void line_flush_input(struct line *line);
void line_start(struct line *line); /* output goes on, with what was to be echoed */
/* termios was replaced: what is in the queue follows the new mode. */
void line_mode_changed(struct line *line, const struct line_termios *old);
