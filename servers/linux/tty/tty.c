/* SPDX-License-Identifier: MIT */
/* Terminal files: opening, reading, writing, polling; controlling terminals and who may use them. */
#include "capability.h"
#include "tty/tty.h"
#include "syscall.h"
#include <pith/startup.h>

#define OUTPUT_AT_ONCE 65536 /* bytes until others get a turn */

enum { SIGHUP_ = 1, SIGCONT_ = 18, SIGTTIN_ = 21, SIGTTOU_ = 22 };

static void line_emit(void *context, uint8_t byte)
{
	struct tty *tty = context;
	if (tty->driver->room(tty) > 0)
		tty->driver->put(tty,
		                 byte); /* else: an echo that finds no room is lost, writers wait before */
}

static void line_signal(void *context, int signal, bool flush)
{
	struct tty *tty = context;
	if (flush) {
		tty->driver->discard_output(tty);
		tty_changed(tty, TTY_FLUSHED_INPUT | TTY_FLUSHED_OUTPUT);
	}
	waitq_wake_all(&tty->output_wait);
	if (tty->group != 0)
		signal_send_group(tty->group, signal, 0x80 /* SI_KERNEL */, 0);
}

void tty_setup(struct tty *tty, const struct tty_driver *driver, uint64_t device)
{
	line_init(&tty->line);
	tty->driver = driver;
	tty->device = device;
	tty->line.context = tty;
	tty->line.emit = line_emit;
	tty->line.signal = line_signal;
}

void tty_input(struct tty *tty, uint8_t byte)
{
	bool stopped = tty->line.output_stopped;
	line_input(&tty->line, byte);
	if (tty->line.output_stopped != stopped)
		tty_changed(tty, stopped ? TTY_STARTED : TTY_STOPPED);
}

void tty_input_done(struct tty *tty)
{
	waitq_wake_for(&tty->input_wait, WAKE_IN);
	if (!tty->line.output_stopped)
		waitq_wake_for(&tty->output_wait, WAKE_OUT);
}

bool tty_wants_input(struct tty *tty)
{
	const struct line *line = &tty->line;
	if (line->put - line->taken < LINE_BUFFER - 64)
		return true;
	/* full: a half line must still be ended or erased; else readers come first */
	return line->termios.local & LINE_ICANON && !line_has_line(line);
}

/* ---- whose terminal it is ---- */

void tty_detach_session(struct tty *tty)
{
	for (struct process *process = process_first(); process != NULL; process = process_next(process)) {
		if (process->tty == tty)
			process->tty = NULL;
	}
	tty->session = tty->group = 0;
}

static void group_hang_up(int group)
{
	if (group == 0)
		return;
	signal_send_group(group, SIGHUP_, 0x80, 0);
	signal_send_group(group, SIGCONT_, 0x80, 0);
}

/* Its leader is told, who sees to its jobs; the foreground's group when the leader ends. */
static void session_hang_up(struct tty *tty)
{
	struct process *leader = tty->session != 0 ? process_find(tty->session) : NULL;
	if (leader == NULL || leader->zombie || leader->tty != tty) {
		group_hang_up(tty->group);
		return;
	}
	signal_send(leader, SIGHUP_, 0x80, 0);
	signal_send(leader, SIGCONT_, 0x80, 0);
	leader->lost_group = tty->group;
}

void tty_hang_up(struct tty *tty)
{
	tty->generation++;
	session_hang_up(tty);
	tty_detach_session(tty);
	line_flush_input(&tty->line);
	vfs_stir(); /* there is room for input */
	tty->line.output_stopped = false;
	tty->line.echo_count = 0;
	waitq_wake_all(&tty->input_wait);
	waitq_wake_all(&tty->output_wait);
}

/* A line is hung up when the leader ends; a pseudo-terminal, or what was given up, goes on for whoever has it
 * open. */
void tty_leave(struct tty *tty, bool ends)
{
	if (ends && !tty->driver->pseudo) {
		group_hang_up(tty->group);
		tty->group = 0;
		tty_hang_up(tty);
		return;
	}
	if (tty->group != 0)
		signal_send_group(tty->group, SIGHUP_, 0x80, 0);
	if (tty->group != 0 && !ends)
		signal_send_group(tty->group, SIGCONT_, 0x80, 0);
	tty_detach_session(tty);
}

void tty_session_exit(struct process *leader)
{
	struct tty *tty = leader->tty;
	if (tty == NULL) {
		if (leader->lost_group != 0 && process_group_exists(leader->lost_group, leader->sid))
			group_hang_up(leader->lost_group);
		return;
	}
	if (leader->session_leader && tty->session == leader->sid)
		tty_leave(tty, true);
	leader->tty = NULL;
}

int tty_check_background(struct tty *tty, struct thread *thread, int signal)
{
	struct process *process = thread->process;
	if (process->tty != tty || tty->group == 0 || process->pgid == tty->group)
		return 0;
	if (signal_ignored_or_blocked(thread, signal))
		return signal == SIGTTIN_ ? -EIO : 0;
	if (process_group_orphaned(process->pgid))
		return -EIO;
	signal_send_group(process->pgid, signal, 0x80, 0);
	return -EINTR_RESTART;
}

uint64_t tty_device_number(struct tty *tty)
{
	return tty->device;
}

int tty_foreground_group(struct tty *tty)
{
	return tty->group;
}

/* ---- files ---- */

static bool hung_up(const struct tty_file *handle)
{
	return handle->generation != handle->tty->generation && !handle->console;
}

int tty_attach_file(struct tty *tty, struct file *file, struct thread *thread, bool console)
{
	if (tty->exclusive && thread != NULL && !capable(thread, CAP_SYS_ADMIN))
		return -EBUSY;
	struct tty_file *handle = calloc(1, sizeof(*handle));
	if (handle == NULL)
		return -ENOMEM;
	*handle = (struct tty_file){tty, tty->generation, console};
	file->private = handle;
	file->operations = &tty_file_operations;
	tty->open_count++;
	struct process *process = thread != NULL ? thread->process : NULL;
	if (process != NULL && !console && !(file->flags & O_NOCTTY) && process->session_leader &&
	    process->tty == NULL && tty->session == 0) {
		process->tty = tty;
		tty->session = process->sid;
		tty->group = process->pgid;
		process->lost_group = 0;
	}
	file->flags &= ~(unsigned)O_NOCTTY;
	return 0;
}

int tty_open(struct file *file, struct thread *thread, uint32_t major, uint32_t minor)
{
	enum { TTY = 5, PTS = 136 };
	if (major == TTY && minor == 0) {
		if (thread == NULL || thread->process->tty == NULL)
			return -ENXIO;
		return tty_attach_file(thread->process->tty, file, thread, false);
	}
	if (major == TTY && minor == 2)
		return ptmx_open(file, thread);
	if (major == PTS) {
		struct tty *tty = pty_find(minor);
		return tty != NULL ? tty_attach_file(tty, file, thread, false) : -EIO;
	}
	if (console_tty() == NULL || (major == TTY && minor != 1) || (major != TTY && minor != 65))
		return -ENXIO;
	return tty_attach_file(console_tty(), file, thread, major == TTY);
}

static void tty_release(struct file *file)
{
	struct tty_file *handle = file->private;
	if (--handle->tty->open_count == 0) {
		handle->tty->exclusive &= handle->tty->driver->pseudo; /* its master keeps it */
		if (handle->tty->driver->last_close != NULL)
			handle->tty->driver->last_close(handle->tty);
	}
	free(handle);
}

/* ---- reading ---- */

/* How many bytes a read waits for, and for how long between them. */
static bool enough(const struct tty *tty, size_t size)
{
	const struct line *line = &tty->line;
	if (line->termios.local & LINE_ICANON)
		return line_has_line(line);
	size_t minimum = line->termios.characters[LINE_MIN];
	if (minimum > size)
		minimum = size;
	if (minimum == 0)
		minimum = 1;
	return line_readable(line) >= minimum;
}

static deadline_t read_deadline(const struct tty *tty, size_t had)
{
	const struct line *line = &tty->line;
	uint64_t tenths = line->termios.characters[LINE_TIME];
	if (line->termios.local & LINE_ICANON)
		return DEADLINE_NEVER;
	if (line->termios.characters[LINE_MIN] == 0)
		return tenths == 0 ? DEADLINE_POLL : time_now() + tenths * 100000000;
	return tenths == 0 || had == 0 ? DEADLINE_NEVER : time_now() + tenths * 100000000;
}

/* Waits for input. 0: there may be some (or the wait for more is over), 1: the terminal is gone, or -errno.
 */
static int wait_input(struct file *file, struct thread *thread, size_t size)
{
	struct tty_file *handle = file->private;
	struct tty *tty = handle->tty;
	size_t had = line_readable(&tty->line);
	deadline_t deadline = read_deadline(tty, had);
	for (;;) {
		if (hung_up(handle))
			return 1;
		int error = thread != NULL ? tty_check_background(tty, thread, SIGTTIN_) : 0;
		if (error != 0)
			return error;
		if (enough(tty, size))
			return 0;
		if (tty->peer_closed)
			return 1;
		if (file->flags & O_NONBLOCK)
			return line_readable(&tty->line) > 0 && !(tty->line.termios.local & LINE_ICANON)
			               ? 0
			               : -EAGAIN;
		if (deadline == DEADLINE_POLL)
			return 0;
		error = waitq_wait(&tty->input_wait, true, deadline);
		if (error == -ETIMEDOUT)
			return 0;
		if (error != 0)
			return error == -EINTR ? -EINTR_RESTART : error;
		if (line_readable(&tty->line) != had) { /* the time between bytes begins anew */
			had = line_readable(&tty->line);
			if (tty->line.termios.characters[LINE_MIN] > 0)
				deadline = read_deadline(tty, had);
		}
	}
}

static ssize_t tty_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct tty_file *handle = file->private;
	struct tty *tty = handle->tty;
	uint8_t bytes[512];
	size_t done = 0;
	(void)position;
	if (buffer->size == 0)
		return 0;
	int state = wait_input(file, current_thread(), buffer->size);
	if (state != 0)
		return state == 1 ? 0 : state;
	bool end = false;
	int error = 0;
	while (buffer->size > 0 && !end) {
		size_t part = buffer->size < sizeof(bytes) ? buffer->size : sizeof(bytes);
		size_t count = line_read(&tty->line, bytes, part, &end);
		if (count == 0)
			break;
		error = io_copy_to(buffer, bytes, count);
		if (error != 0)
			break;
		done += count;
	}
	tty->driver->input_taken(tty);
	return done > 0 || error == 0 ? (ssize_t)done : -EFAULT;
}

/* ---- writing ---- */

static int wait_output(struct file *file)
{
	struct tty_file *handle = file->private;
	struct tty *tty = handle->tty;
	for (;;) {
		if (hung_up(handle) || tty->peer_closed)
			return -EIO;
		if (!tty->line.output_stopped && tty->driver->room(tty) >= LINE_OUTPUT_MAX)
			return 0;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (waitq_wait(&tty->output_wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
}

static ssize_t tty_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct tty_file *handle = file->private;
	struct tty *tty = handle->tty;
	struct thread *thread = current_thread();
	size_t done = 0, turn = 0;
	int error = 0;
	(void)position;
	if (thread != NULL && tty->line.termios.local & LINE_TOSTOP)
		error = tty_check_background(tty, thread, SIGTTOU_);
	while (error == 0 && buffer->size > 0) {
		error = wait_output(file);
		if (error != 0)
			break;
		struct span bytes = io_span(buffer, buffer->size, false);
		if (bytes.at == NULL) {
			error = -EFAULT;
			break;
		}
		/* only now: getting at them may have waited, and another writer used the room */
		size_t room = tty->line.output_stopped ? 0 : tty->driver->room(tty) / LINE_OUTPUT_MAX;
		size_t part = bytes.size < room ? bytes.size : room;
		for (size_t used = 0; used < part; used++)
			line_output(&tty->line, ((const uint8_t *)bytes.at)[used]);
		io_advance(buffer, part);
		done += part;
		/* where the driver's room does not end it: bytes may come to nothing */
		turn += part;
		if (turn >= OUTPUT_AT_ONCE && buffer->size > 0) {
			turn = 0;
			if (!wait_yield())
				break;
		}
	}
	return done > 0 ? (ssize_t)done : error;
}

static unsigned tty_poll(struct file *file, struct poll_table *table)
{
	struct tty_file *handle = file->private;
	struct tty *tty = handle->tty;
	const struct line *line = &tty->line;
	unsigned events = 0;
	poll_wait_for(table, &tty->input_wait, WAKE_IN);
	poll_wait_for(table, &tty->output_wait, WAKE_OUT);
	if (hung_up(handle))
		return POLLIN_ | POLLOUT_ | POLLERR_ | POLLHUP_ | POLLRDNORM_ | POLLWRNORM_;
	if (tty->peer_closed)
		events |= POLLHUP_ | POLLIN_ | POLLRDNORM_;
	size_t minimum = line->termios.characters[LINE_TIME] == 0 ? line->termios.characters[LINE_MIN] : 1;
	bool ready = line->termios.local & LINE_ICANON ? line_has_line(line)
	                                               : line_readable(line) >= (minimum > 0 ? minimum : 1);
	if (ready)
		events |= POLLIN_ | POLLRDNORM_;
	if (!line->output_stopped && tty->driver->room(tty) >= LINE_OUTPUT_MAX)
		events |= POLLOUT_ | POLLWRNORM_;
	return events;
}

int tty_drain(struct tty *tty)
{
	while (!tty->peer_closed && !tty->driver->drained(tty)) {
		if (waitq_wait(&tty->output_wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
	return 0;
}

static int tty_fsync(struct file *file)
{
	(void)file;
	return -EINVAL;
}

static long tty_file_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	if (hung_up(file->private))
		return command == TIO_SPGRP ? -ENOTTY : -EIO;
	return tty_ioctl(file, thread, command, argument);
}

const struct file_operations tty_file_operations = {
        .read = tty_read,
        .write = tty_write,
        .poll = tty_poll,
        .ioctl = tty_file_ioctl,
        .fsync = tty_fsync,
        .release = tty_release,
};
