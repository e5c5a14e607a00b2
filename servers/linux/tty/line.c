/* SPDX-License-Identifier: MIT */
/* The line discipline (N_TTY's rules): editing, echo, signals, flow control, output processing. */
#include "tty/line.h"
#include <string.h>

#define DISABLED        0
#define CONTROL(letter) ((letter)&037)

static bool local(const struct line *line, uint32_t flag)
{
	return line->termios.local & flag;
}

static uint8_t character(const struct line *line, enum line_character which)
{
	return line->termios.characters[which];
}

static bool is(const struct line *line, uint8_t byte, enum line_character which)
{
	return byte == character(line, which) && byte != DISABLED;
}

void line_init(struct line *line)
{
	static const uint8_t characters[TERMIOS_CHARACTERS] = {
	        [LINE_INTR] = CONTROL('C'),    [LINE_QUIT] = 034,
	        [LINE_ERASE] = 0177,           [LINE_KILL] = CONTROL('U'),
	        [LINE_EOF] = CONTROL('D'),     [LINE_MIN] = 1,
	        [LINE_START] = CONTROL('Q'),   [LINE_STOP] = CONTROL('S'),
	        [LINE_SUSP] = CONTROL('Z'),    [LINE_REPRINT] = CONTROL('R'),
	        [LINE_DISCARD] = CONTROL('O'), [LINE_WERASE] = CONTROL('W'),
	        [LINE_LNEXT] = CONTROL('V'),
	};
	line->termios.input = LINE_ICRNL | LINE_IXON;
	line->termios.output = LINE_OPOST | LINE_ONLCR;
	line->termios.control = LINE_B9600 | LINE_CS8 | LINE_CREAD | LINE_HUPCL;
	line->termios.local = LINE_ISIG | LINE_ICANON | LINE_ECHO | LINE_ECHOE | LINE_ECHOK | LINE_ECHOCTL |
	                      LINE_ECHOKE | LINE_IEXTEN;
	memcpy(line->termios.characters, characters, sizeof(characters));
}

/* ---- output ---- */

/* What goes out while output is stopped is echo: programs wait. It waits, too, as far as there is room. */
static void emit(struct line *line, uint8_t byte)
{
	if (!line->output_stopped)
		line->emit(line->context, byte);
	else if (line->echo_count < LINE_ECHOES)
		line->echoes[line->echo_count++] = byte;
}

void line_start(struct line *line)
{
	line->output_stopped = false;
	for (uint32_t i = 0; i < line->echo_count; i++)
		line->emit(line->context, line->echoes[i]);
	line->echo_count = 0;
}

static bool continues_utf8(const struct line *line, uint8_t byte)
{
	return line->termios.input & LINE_IUTF8 && (byte & 0xc0) == 0x80;
}

void line_output(struct line *line, uint8_t byte)
{
	uint32_t flags = line->termios.output;
	if (!(flags & LINE_OPOST)) {
		emit(line, byte);
		return;
	}
	switch (byte) {
	case '\n':
		if (flags & LINE_ONLRET)
			line->column = 0;
		if (flags & LINE_ONLCR) {
			line->column = 0;
			emit(line, '\r');
		}
		emit(line, '\n');
		return;
	case '\r':
		if (flags & LINE_ONOCR && line->column == 0)
			return;
		if (flags & LINE_OCRNL) {
			if (flags & LINE_ONLRET)
				line->column = 0;
			emit(line, '\n');
			return;
		}
		line->column = 0;
		break;
	case '\t': {
		unsigned spaces = 8 - line->column % 8;
		line->column += spaces;
		if ((flags & LINE_TABDLY) == LINE_TABDLY) {
			while (spaces-- > 0)
				emit(line, ' ');
			return;
		}
		break;
	}
	case '\b':
		line->column -= line->column > 0;
		break;
	default:
		if (flags & LINE_OLCUC && byte >= 'a' && byte <= 'z')
			byte = (uint8_t)(byte - 'a' + 'A');
		if (byte >= 32 && byte != 127 && !continues_utf8(line, byte))
			line->column++;
	}
	emit(line, byte);
}

/* ---- echo ---- */

static uint8_t *at(struct line *line, uint32_t position)
{
	return &line->buffer[position % LINE_BUFFER];
}

static bool is_control(uint8_t byte)
{
	return (byte < 32 && byte != '\t' && byte != '\n') || byte == 127;
}

static void echo(struct line *line, uint8_t byte)
{
	if (is_control(byte) && local(line, LINE_ECHOCTL)) {
		line_output(line, '^');
		line_output(line, byte ^ 0100);
		return;
	}
	line_output(line, byte);
}

static void echo_if(struct line *line, uint8_t byte)
{
	if (local(line, LINE_ECHO))
		echo(line, byte);
}

/* On paper nothing can be rubbed out: what is erased is printed once more, between a backslash and this. */
static void finish_erasing(struct line *line)
{
	if (!line->erasing)
		return;
	line_output(line, '/');
	line->erasing = false;
}

static void print_erased(struct line *line, uint32_t end)
{
	if (!line->erasing)
		line_output(line, '\\');
	line->erasing = true;
	echo(line, *at(line, line->put));
	for (uint32_t i = line->put + 1; i != end; i++)
		line_output(line, *at(line, i));
}

/* ---- the queue ---- */

static bool full(const struct line *line)
{
	return line->put - line->taken >= LINE_BUFFER - 1;
}

static bool append(struct line *line, uint8_t byte, enum line_mark mark);

/* A byte of the text. 0xff marks errors of the line where they are asked for, so one that was sent is
 * doubled. */
static void append_text(struct line *line, uint8_t byte)
{
	if (byte == 0xff && line->termios.input & LINE_PARMRK)
		append(line, byte, LINE_MARK_NONE);
	append(line, byte, LINE_MARK_NONE);
}

static bool append(struct line *line, uint8_t byte, enum line_mark mark)
{
	if (line->put - line->taken >= LINE_BUFFER) {
		line->lost = true;
		return false;
	}
	*at(line, line->put) = byte;
	line->marks[line->put % LINE_BUFFER] = (uint8_t)mark;
	line->put++;
	return true;
}

/* A line whose end finds no place is not one: its reader would look for that end for ever. */
static void complete(struct line *line, uint8_t end, enum line_mark mark)
{
	if (!append(line, end, mark))
		return;
	line->completed = line->put;
	line->lines++;
}

void line_flush_input(struct line *line)
{
	line->taken = line->completed = line->put = 0;
	line->lines = 0;
	line->literal_next = false;
	line->erasing = false;
	line->lost = false;
}

void line_mode_changed(struct line *line, const struct line_termios *old)
{
	bool was = old->local & LINE_ICANON, now = local(line, LINE_ICANON);
	if (!(line->termios.input & LINE_IXON))
		line_start(line);
	if (was == now)
		return;
	line->completed = line->put;
	line->lines = 0;
	/* all marks lose their meaning; going canonical, what is there counts as one line */
	for (unsigned at = line->taken; at != line->put; at++)
		line->marks[at % LINE_BUFFER] = LINE_MARK_NONE;
	if (now && line->put != line->taken) {
		line->marks[(line->put - 1) % LINE_BUFFER] = LINE_MARK_DELIMITER;
		line->lines = 1;
	}
	line->literal_next = false;
	line->erasing = false;
}

/* ---- editing ---- */

/* Columns that the edited line takes up to `end`: tabs depend on what is before them. */
static unsigned width_until(struct line *line, uint32_t end)
{
	unsigned column = line->line_column;
	for (uint32_t i = line->completed; i != end; i++) {
		uint8_t byte = *at(line, i);
		if (byte == '\t')
			column += 8 - column % 8;
		else if (is_control(byte))
			column += local(line, LINE_ECHOCTL) ? 2 : 0;
		else if (!continues_utf8(line, byte))
			column++;
	}
	return column;
}

static void rub_out(struct line *line, unsigned columns)
{
	while (columns-- > 0) {
		line_output(line, '\b');
		line_output(line, ' ');
		line_output(line, '\b');
	}
}

/* Takes the last character (all bytes of it) out of the edited line. */
static void erase_one(struct line *line)
{
	if (line->put == line->completed)
		return;
	uint32_t end = line->put;
	do
		line->put--;
	while (line->put != line->completed && continues_utf8(line, *at(line, line->put)));
	if (!local(line, LINE_ECHO))
		return;
	if (local(line, LINE_ECHOPRT)) {
		print_erased(line, end);
		if (line->put == line->completed)
			finish_erasing(line);
		return;
	}
	if (!local(line, LINE_ECHOE)) {
		echo(line, character(line, LINE_ERASE));
		return;
	}
	unsigned before = width_until(line, line->put), after = width_until(line, end);
	if (*at(line, line->put) == '\t') {
		for (unsigned i = before; i < after; i++)
			line_output(line, '\b');
	} else {
		rub_out(line, after - before);
	}
}

static bool is_word(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       byte == '_' || byte >= 128;
}

static void erase_word(struct line *line)
{
	bool seen = false;
	while (line->put != line->completed) {
		bool word = is_word(*at(line, line->put - 1));
		if (seen && !word)
			break;
		seen |= word;
		erase_one(line);
	}
}

static void erase_line(struct line *line)
{
	bool rubs_out = local(line, LINE_ECHOK) && local(line, LINE_ECHOKE) && local(line, LINE_ECHOE);
	if (local(line, LINE_ECHO) && !rubs_out) {
		line->put = line->completed;
		finish_erasing(line);
		echo(line, character(line, LINE_KILL));
		if (local(line, LINE_ECHOK))
			line_output(line, '\n');
		return;
	}
	while (line->put != line->completed)
		erase_one(line);
}

static void reprint(struct line *line)
{
	if (!local(line, LINE_ECHO))
		return;
	finish_erasing(line);
	echo(line, character(line, LINE_REPRINT));
	line_output(line, '\n');
	line->line_column = 0;
	for (uint32_t i = line->completed; i != line->put; i++)
		echo(line, *at(line, i));
}

/* ---- input ---- */

static bool try_signal(struct line *line, uint8_t byte)
{
	enum { INT = 2, QUIT = 3, TSTP = 20 };
	int signal;
	if (!local(line, LINE_ISIG))
		return false;
	if (is(line, byte, LINE_INTR))
		signal = INT;
	else if (is(line, byte, LINE_QUIT))
		signal = QUIT;
	else if (is(line, byte, LINE_SUSP))
		signal = TSTP;
	else
		return false;
	bool flush = !local(line, LINE_NOFLSH);
	if (flush) {
		line_flush_input(line);
		line->echo_count = 0;
	}
	line_start(line);
	line->signal(line->context, signal, flush);
	echo_if(line, byte);
	return true;
}

static bool try_flow(struct line *line, uint8_t byte)
{
	if (!(line->termios.input & LINE_IXON))
		return false;
	if (is(line, byte, LINE_STOP)) {
		/* one key for both toggles */
		if (line->output_stopped && is(line, byte, LINE_START))
			line_start(line);
		else
			line->output_stopped = true;
		return true;
	}
	if (is(line, byte, LINE_START)) {
		line_start(line);
		return true;
	}
	return false;
}

static void add_to_line(struct line *line, uint8_t byte)
{
	if (full(line)) {
		line->lost = true;
		if (line->termios.input & LINE_IMAXBEL)
			emit(line, '\a');
		return;
	}
	if (local(line, LINE_ECHO))
		finish_erasing(line);
	if (line->put == line->completed)
		line->line_column = line->column;
	append_text(line, byte);
	echo_if(line, byte);
}

static bool try_edit(struct line *line, uint8_t byte)
{
	bool extended = local(line, LINE_IEXTEN);
	if (is(line, byte, LINE_ERASE)) {
		erase_one(line);
	} else if (extended && is(line, byte, LINE_WERASE)) {
		erase_word(line);
	} else if (is(line, byte, LINE_KILL)) {
		erase_line(line);
	} else if (extended && is(line, byte, LINE_LNEXT)) {
		line->literal_next = true;
		if (local(line, LINE_ECHO))
			finish_erasing(line);
		if (local(line, LINE_ECHO) && local(line, LINE_ECHOCTL)) {
			line_output(line, '^');
			line_output(line, '\b');
		}
	} else if (extended && is(line, byte, LINE_REPRINT)) {
		reprint(line);
	} else {
		return false;
	}
	return true;
}

static void canonical(struct line *line, uint8_t byte)
{
	if (try_edit(line, byte))
		return;
	if (byte == '\n') {
		if (local(line, LINE_ECHO) || local(line, LINE_ECHONL))
			line_output(line, '\n');
		complete(line, byte, LINE_MARK_DELIMITER);
	} else if (is(line, byte, LINE_EOF)) {
		complete(line, byte, LINE_MARK_EOF);
	} else if (is(line, byte, LINE_EOL) || (local(line, LINE_IEXTEN) && is(line, byte, LINE_EOL2))) {
		echo_if(line, byte);
		complete(line, byte, LINE_MARK_DELIMITER);
	} else {
		add_to_line(line, byte);
	}
}

/* Of Latin-1, as Linux's */
static uint8_t lower_case(uint8_t byte)
{
	bool upper = (byte >= 'A' && byte <= 'Z') || (byte >= 0xc0 && byte <= 0xde && byte != 0xd7);
	return upper ? (uint8_t)(byte + 32) : byte;
}

void line_input(struct line *line, uint8_t byte)
{
	uint32_t input = line->termios.input;
	if (input & LINE_ISTRIP)
		byte &= 0x7f;
	if (input & LINE_IUCLC && local(line, LINE_IEXTEN))
		byte = lower_case(byte);
	if (line->literal_next) {
		line->literal_next = false;
		add_to_line(line, byte);
		if (!local(line, LINE_ICANON))
			line->completed = line->put;
		return;
	}
	if (byte == '\r') {
		if (input & LINE_IGNCR)
			return;
		if (input & LINE_ICRNL)
			byte = '\n';
	} else if (byte == '\n' && input & LINE_INLCR) {
		byte = '\r';
	}
	if (try_flow(line, byte))
		return;
	if (line->output_stopped && input & LINE_IXANY)
		line_start(line);
	if (try_signal(line, byte))
		return;
	if (local(line, LINE_ICANON)) {
		canonical(line, byte);
		return;
	}
	if (full(line)) {
		line->lost = true;
		return;
	}
	append_text(line, byte);
	line->completed = line->put;
	echo_if(line, byte);
}

/* ---- reading ---- */

size_t line_readable(const struct line *line)
{
	return line->completed - line->taken;
}

bool line_has_line(const struct line *line)
{
	return line->lines > 0;
}

size_t line_read(struct line *line, uint8_t *out, size_t size, bool *end)
{
	size_t count = 0;
	bool is_canonical = local(line, LINE_ICANON);
	*end = false;
	while (line->taken != line->completed) {
		uint8_t mark =
		        is_canonical ? line->marks[line->taken % LINE_BUFFER] : (uint8_t)LINE_MARK_NONE;
		if (count == size && mark != LINE_MARK_EOF)
			break;
		uint8_t byte = *at(line, line->taken++);
		if (mark != LINE_MARK_EOF)
			out[count++] = byte;
		if (mark != LINE_MARK_NONE) {
			line->lines--;
			*end = true;
			break;
		}
	}
	return count;
}
