/* SPDX-License-Identifier: MIT */
/* Terminals: the console on the serial line and pseudo-terminals. Their line discipline is line.h's. */
#pragma once

#include "fs/internal.h"
#include "tty/line.h"

struct tty;

enum tty_command {
	TC_GETS = 0x5401,
	TC_SETS,
	TC_SETSW,
	TC_SETSF,
	TC_GETA,
	TC_SETA,
	TC_SETAW,
	TC_SETAF,
	TC_SBRK,
	TC_XONC,
	TC_FLSH,
	TIO_EXCL,
	TIO_NXCL,
	TIO_SCTTY,
	TIO_GPGRP,
	TIO_SPGRP,
	TIO_OUTQ,
	TIO_STI,
	TIO_GWINSZ,
	TIO_SWINSZ,
	TIO_MGET,
	TIO_GSOFTCAR = 0x5419,
	TIO_SSOFTCAR,
	TIO_INQ,
	TIO_NOTTY = 0x5422,
	TIO_SETD,
	TIO_GETD,
	TC_SBRKP,
	TIO_GSID = 0x5429,
	TIO_GEXCL = (int)0x80045440,
};

/* What the master of a pseudo-terminal in packet mode is told, as Linux numbers it. */
enum tty_change {
	TTY_FLUSHED_INPUT = 1,
	TTY_FLUSHED_OUTPUT = 2,
	TTY_STOPPED = 4,
	TTY_STARTED = 8,
	TTY_NO_FLOW = 16, /* ^S and ^Q do not stop and start, */
	TTY_FLOW = 32,    /* or do again */
};

struct tty_driver {
	size_t (*room)(struct tty *tty); /* output bytes that fit now; 0: wait on output_wait */
	void (*put)(struct tty *tty, uint8_t byte);
	bool (*drained)(struct tty *tty); /* all output is gone */
	void (*discard_output)(struct tty *tty);
	void (*input_taken)(struct tty *tty); /* a reader made room: more input may come */
	void (*last_close)(struct tty *tty);
	void (*changed)(struct tty *tty, unsigned changes); /* enum tty_change; or NULL */
	bool pseudo; /* no line: bytes have eight bits and no parity, and its session's end hangs nothing up */
};

struct window_size {
	uint16_t rows, columns, x, y;
};

struct tty {
	const struct tty_driver *driver;
	struct line line;
	struct window_size size;
	int session, group;  /* 0: nobody's controlling terminal */
	uint32_t generation; /* grows with every hang-up: files opened before it are dead */
	unsigned open_count;
	bool peer_closed; /* pty: the master is gone */
	bool exclusive;   /* TIOCEXCL: only CAP_SYS_ADMIN opens it once more */
	uint64_t device;
	struct waitq input_wait, output_wait;
};

struct tty_file {
	struct tty *tty;
	uint32_t generation;
	bool console; /* opened as /dev/console: no hang-up ends it */
};

extern const struct file_operations tty_file_operations;

/* devices.c: a character device with one of the terminals' numbers */
int tty_open(struct file *file, struct thread *thread, uint32_t major, uint32_t minor);
int tty_attach_file(struct tty *tty, struct file *file, struct thread *thread, bool console);
void tty_setup(struct tty *tty, const struct tty_driver *driver, uint64_t device);
void tty_hang_up(struct tty *tty);
void tty_leave(struct tty *tty, bool ends); /* the session's leader gives it up, or ends */
static inline void tty_changed(struct tty *tty, unsigned changes)
{
	if (tty->driver->changed != NULL)
		tty->driver->changed(tty, changes);
}
/* Every process of the session loses it as its controlling terminal. */
void tty_detach_session(struct tty *tty);
/* A byte from the line. Wake readers with tty_input_done after the last. */
void tty_input(struct tty *tty, uint8_t byte);
void tty_input_done(struct tty *tty);
/* May input be taken from the line now, or would it be lost? */
bool tty_wants_input(struct tty *tty);
/* 0, or why this thread's process may not do that from the background (-EIO, -EINTR_RESTART) */
int tty_check_background(struct tty *tty, struct thread *thread, int signal);
long tty_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument);
int tty_drain(struct tty *tty);
/* Tells those in the foreground if it is another one. */
void tty_set_size(struct tty *tty, const struct window_size *new);

/* serial.c: the line to the uart driver, as bytes */
bool serial_attach(void);
size_t serial_read(uint8_t *out, size_t size);
size_t serial_room(void);
void serial_write(const uint8_t *bytes, size_t size); /* at most serial_room(); goes out before the server sleeps or answers */
bool serial_output_empty(void);
void serial_discard_output(void);
/* The driver took output since this was last asked: whoever waits for room or for the end of it looks again. */
bool serial_output_moved(void);
/* Before sleeping: false if there is input and it is wanted, or (room_wanted) output has moved. Else the driver
 * will signal when that comes. */
bool serial_prepare_sleep(bool input_wanted, bool room_wanted);

/* console.c */
struct tty *console_tty(void);
void console_events(void);
bool console_prepare_sleep(void);
void console_init(void);

/* pty.c */
int ptmx_open(struct file *file, struct thread *thread);
struct tty *pty_find(uint32_t number);
void pty_directory(struct inode *directory);
