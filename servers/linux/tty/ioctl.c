/* SPDX-License-Identifier: MIT */
/* Terminal ioctls: modes, window size, sessions and process groups, flushing. */
#include "capability.h"
#include "tty/tty.h"
#include "syscall.h"

enum { SIGTTOU_ = 22, SIGWINCH_ = 28 };

/* Are ^S and ^Q what they are everywhere? A master may then act on them itself. */
static bool usual_flow(const struct line_termios *termios)
{
	return termios->input & LINE_IXON && termios->characters[LINE_STOP] == 023 &&
	       termios->characters[LINE_START] == 021;
}

/* struct termio: the modes of System V, the low halves of today's. */
struct short_modes {
	uint16_t input, output, control, local;
	uint8_t discipline, characters[8];
};

static long get_short_modes(const struct line_termios *termios, struct thread *thread, uint64_t argument)
{
	struct short_modes modes = {
	        .input = (uint16_t)termios->input,
	        .output = (uint16_t)termios->output,
	        .control = (uint16_t)termios->control,
	        .local = (uint16_t)termios->local,
	        .discipline = termios->line,
	};
	memcpy(modes.characters, termios->characters, sizeof(modes.characters));
	return copy_to_user(thread, argument, &modes,
	                    offsetof(struct short_modes, characters) + sizeof(modes.characters));
}

static int read_modes(struct thread *thread, uint64_t argument, bool is_short, struct line_termios *new)
{
	struct short_modes modes;
	if (!is_short)
		return copy_from_user(thread, new, argument, sizeof(*new));
	if (copy_from_user(thread, &modes, argument,
	                   offsetof(struct short_modes, characters) + sizeof(modes.characters)) != 0)
		return -EFAULT;
	new->input = (new->input & ~0xffffu) | modes.input;
	new->output = (new->output & ~0xffffu) | modes.output;
	new->control = (new->control & ~0xffffu) | modes.control;
	new->local = (new->local & ~0xffffu) | modes.local;
	new->line = modes.discipline;
	memcpy(new->characters, modes.characters, sizeof(modes.characters));
	return 0;
}

/* Commands come in threes: at once, after what was written has gone, and then without what was not read. */
static long set_modes(struct tty *tty, struct thread *thread, unsigned command, uint64_t argument)
{
	bool is_short = command >= TC_SETA;
	struct line_termios old = tty->line.termios, new = old;
	int error = tty_check_background(tty, thread, SIGTTOU_);
	if (error != 0)
		return error;
	if (read_modes(thread, argument, is_short, &new) != 0)
		return -EFAULT;
	if (tty->driver->pseudo) {
		new.control &= ~(uint32_t)(LINE_CSIZE | LINE_PARENB);
		new.control |= LINE_CS8 | LINE_CREAD;
	}
	if (command != TC_SETS && command != TC_SETA) {
		error = tty_drain(tty);
		if (error != 0)
			return error;
	}
	if (command == TC_SETSF || command == TC_SETAF) {
		line_flush_input(&tty->line);
		tty_changed(tty, TTY_FLUSHED_INPUT);
	}
	old = tty->line.termios; /* others may have changed them meanwhile */
	tty->line.termios = new;
	line_mode_changed(&tty->line, &old);
	if (usual_flow(&new) != usual_flow(&old))
		tty_changed(tty, usual_flow(&new) ? TTY_FLOW : TTY_NO_FLOW);
	tty_input_done(tty); /* what counts as input may have changed, */
	vfs_stir();          /* and how much of it there may be */
	return 0;
}

void tty_set_size(struct tty *tty, const struct window_size *new)
{
	if (memcmp(new, &tty->size, sizeof(*new)) == 0)
		return;
	tty->size = *new;
	if (tty->group != 0)
		signal_send_group(tty->group, SIGWINCH_, 0x80, 0);
}

static long set_size(struct tty *tty, struct thread *thread, uint64_t argument)
{
	struct window_size new;
	if (copy_from_user(thread, &new, argument, sizeof(new)) != 0)
		return -EFAULT;
	tty_set_size(tty, &new);
	return 0;
}

static long take_as_controlling(struct tty *tty, struct thread *thread, uint64_t force)
{
	struct process *process = thread->process;
	if (process->tty == tty && process->session_leader && tty->session == process->sid)
		return 0;
	if (!process->session_leader || process->tty != NULL)
		return -EPERM;
	if (tty->session != 0) {
		if (force != 1 || !capable(thread, CAP_SYS_ADMIN))
			return -EPERM;
		tty_detach_session(tty);
	}
	process->tty = tty;
	tty->session = process->sid;
	process->lost_group = 0;
	tty->group = process->pgid;
	return 0;
}

static long give_up(struct tty *tty, struct thread *thread)
{
	struct process *process = thread->process;
	if (process->tty != tty)
		return -ENOTTY;
	if (process->session_leader && tty->session == process->sid)
		tty_leave(tty, false);
	process->tty = NULL;
	return 0;
}

static bool number_in_use(int number)
{
	for (struct process *process = process_first(); process != NULL; process = process_next(process)) {
		if (process->pid == number || process->pgid == number || process->sid == number)
			return true;
	}
	return false;
}

static long set_group(struct tty *tty, struct thread *thread, uint64_t argument)
{
	int group;
	int error = tty_check_background(tty, thread, SIGTTOU_);
	if (error == -EIO)
		return -ENOTTY;
	if (error != 0)
		return error;
	if (thread->process->tty != tty || tty->session != thread->process->sid)
		return -ENOTTY;
	if (copy_from_user(thread, &group, argument, sizeof(group)) != 0)
		return -EFAULT;
	if (group < 0)
		return -EINVAL;
	if (!process_group_exists(group, thread->process->sid))
		return number_in_use(group) ? -EPERM : -ESRCH;
	tty->group = group;
	return 0;
}

static long flush(struct tty *tty, struct thread *thread, uint64_t queue)
{
	int error = tty_check_background(tty, thread, SIGTTOU_);
	if (error != 0)
		return error;
	if (queue > 2)
		return -EINVAL;
	if (queue == 0 || queue == 2) {
		line_flush_input(&tty->line);
		tty->driver->input_taken(tty);
		tty_changed(tty, TTY_FLUSHED_INPUT);
	}
	if (queue == 1 || queue == 2) {
		tty->driver->discard_output(tty);
		tty_changed(tty, TTY_FLUSHED_OUTPUT);
		waitq_wake_all(&tty->output_wait);
	}
	return 0;
}

static long flow(struct tty *tty, uint64_t action)
{
	bool stop = action == 0;
	if (action > 3)
		return -EINVAL;
	if (action <= 1 && tty->line.output_stopped != stop) {
		if (stop)
			tty->line.output_stopped = true;
		else
			line_start(&tty->line);
		tty_changed(tty, stop ? TTY_STOPPED : TTY_STARTED);
	} else if (action > 1)
		tty->line.emit(tty, tty->line.termios.characters[action == 2 ? LINE_STOP : LINE_START]);
	waitq_wake_all(&tty->output_wait);
	return 0;
}

static long put_int(struct thread *thread, uint64_t address, int value)
{
	return copy_to_user(thread, address, &value, sizeof(value));
}

/* A byte as if it had been typed: at one's own terminal. */
static long type_byte(struct tty *tty, struct thread *thread, uint64_t address)
{
	uint8_t byte;
	if (thread->process->tty != tty && !capable(thread, CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(thread, &byte, address, 1) != 0)
		return -EFAULT;
	tty_input(tty, byte);
	tty_input_done(tty);
	vfs_stir(); /* it may have emptied the queue */
	return 0;
}

static long set_discipline(struct thread *thread, uint64_t address)
{
	int number;
	if (copy_from_user(thread, &number, address, sizeof(number)) != 0)
		return -EFAULT;
	return number == 0 ? 0 : -EINVAL; /* N_TTY is the only one */
}

static long set_local(struct tty *tty, struct thread *thread, uint64_t address)
{
	int on;
	if (copy_from_user(thread, &on, address, sizeof(on)) != 0)
		return -EFAULT;
	tty->line.termios.control &= ~(uint32_t)LINE_CLOCAL;
	tty->line.termios.control |= on ? LINE_CLOCAL : 0u;
	return 0;
}

long tty_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	struct tty *tty = ((struct tty_file *)file->private)->tty;
	switch (command) {
	case TC_GETS:
		return copy_to_user(thread, argument, &tty->line.termios, sizeof(tty->line.termios));
	case TC_SETS:
	case TC_SETSW:
	case TC_SETSF:
	case TC_SETA:
	case TC_SETAW:
	case TC_SETAF:
		return set_modes(tty, thread, command, argument);
	case TC_GETA:
		return get_short_modes(&tty->line.termios, thread, argument);
	case TC_SBRK:
	case TC_SBRKP:
		return tty_drain(tty);
	case TC_XONC:
		return flow(tty, argument);
	case TC_FLSH:
		return flush(tty, thread, argument);
	case TIO_EXCL:
	case TIO_NXCL:
		tty->exclusive = command == TIO_EXCL;
		return 0;
	case TIO_GEXCL:
		return put_int(thread, argument, tty->exclusive);
	case TIO_SCTTY:
		return take_as_controlling(tty, thread, argument);
	case TIO_NOTTY:
		return give_up(tty, thread);
	case TIO_GPGRP:
		return thread->process->tty != tty ? -ENOTTY : put_int(thread, argument, tty->group);
	case TIO_SPGRP:
		return set_group(tty, thread, argument);
	case TIO_GSID:
		return thread->process->tty != tty ? -ENOTTY : put_int(thread, argument, tty->session);
	case TIO_STI:
		return type_byte(tty, thread, argument);
	case TIO_GWINSZ:
		return copy_to_user(thread, argument, &tty->size, sizeof(tty->size));
	case TIO_SWINSZ:
		return set_size(tty, thread, argument);
	case TIO_INQ:
		return put_int(thread, argument, (int)line_readable(&tty->line));
	case TIO_OUTQ:
		return put_int(thread, argument, tty->driver->drained(tty) ? 0 : 1);
	case TIO_GETD:
		return put_int(thread, argument, 0);
	case TIO_SETD:
		return set_discipline(thread, argument);
	case TIO_GSOFTCAR:
		return put_int(thread, argument, !!(tty->line.termios.control & LINE_CLOCAL));
	case TIO_SSOFTCAR:
		return set_local(tty, thread, argument);
	default:
		return -ENOTTY;
	}
}
