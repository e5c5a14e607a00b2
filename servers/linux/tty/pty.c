/* SPDX-License-Identifier: MIT */
/* Pseudo-terminals: the master end is a file of its own, the slave is a terminal whose line is the master. */
#include "tty/tty.h"
#include "syscall.h"
#include <stdio.h>

#define PTY_MAX       64
#define PTY_RING      16384
#define INPUT_AT_ONCE 256 /* bytes until others get a turn: each may have a full line shown again */

enum { SIGINT_ = 2, SIGQUIT_ = 3, SIGTSTP_ = 20 };

struct pty {
	struct tty tty; /* first: the slave */
	uint32_t number;
	bool locked, slave_seen, exclusive;
	bool packet;            /* each read tells first of what changed, */
	uint8_t changes;        /* or that nothing did: enum tty_change */
	unsigned masters;       /* 1, or 0: the master is closed */
	uint8_t ring[PTY_RING]; /* slave -> master */
	uint32_t taken, put;
};

static struct pty *ptys[PTY_MAX];
static struct inode *directory;              /* of /dev/pts */
static const struct inode_operations *names; /* how they come and go in it */

static struct pty *pty_of(struct tty *tty)
{
	return (struct pty *)tty;
}

static size_t pty_room(struct tty *tty)
{
	struct pty *pty = pty_of(tty);
	return PTY_RING - (pty->put - pty->taken);
}

static void pty_put(struct tty *tty, uint8_t byte)
{
	struct pty *pty = pty_of(tty);
	pty->ring[pty->put++ % PTY_RING] = byte;
	waitq_wake_for(&tty->output_wait, WAKE_IN); /* the master sleeps there too */
}

static bool pty_drained(struct tty *tty)
{
	(void)tty; /* as if at once: whoever writes must not wait for the master to read */
	return true;
}

static void pty_discard(struct tty *tty)
{
	pty_of(tty)->taken = pty_of(tty)->put;
}

static void pty_input_taken(struct tty *tty)
{
	waitq_wake_for(&tty->output_wait, WAKE_OUT); /* a master that waits to write */
}

static void pty_free_if_unused(struct pty *pty)
{
	if (pty->masters > 0 || pty->tty.open_count > 0)
		return;
	tty_detach_session(&pty->tty);
	if (pty->number < PTY_MAX && ptys[pty->number] == pty)
		ptys[pty->number] = NULL;
	free(pty);
}

static void pty_last_close(struct tty *tty)
{
	waitq_wake_all(&tty->output_wait); /* the master reads EIO */
	pty_free_if_unused(pty_of(tty));
}

static void pty_changed(struct tty *tty, unsigned changes)
{
	struct pty *pty = pty_of(tty);
	if (!pty->packet)
		return;
	if (changes & (TTY_STOPPED | TTY_STARTED))
		pty->changes &= (uint8_t) ~(TTY_STOPPED | TTY_STARTED);
	if (changes & (TTY_FLOW | TTY_NO_FLOW))
		pty->changes &= (uint8_t) ~(TTY_FLOW | TTY_NO_FLOW);
	pty->changes |= (uint8_t)changes;
	waitq_wake_all(&tty->output_wait);
}

static const struct tty_driver driver = {
        .room = pty_room,
        .put = pty_put,
        .drained = pty_drained,
        .discard_output = pty_discard,
        .input_taken = pty_input_taken,
        .last_close = pty_last_close,
        .changed = pty_changed,
        .pseudo = true,
};

/* ---- the master ---- */

static ssize_t master_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct pty *pty = file->private;
	size_t done = 0;
	(void)position;
	if (buffer->size == 0)
		return 0;
	while (pty->put == pty->taken && pty->changes == 0) {
		if (pty->slave_seen && pty->tty.open_count == 0)
			return -EIO;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (waitq_wait(&pty->tty.output_wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
	if (pty->packet) {
		uint8_t changes = pty->changes;
		if (io_copy_to(buffer, &changes, 1) != 0)
			return -EFAULT;
		pty->changes &= (uint8_t)~changes; /* and not what came while the copy waited */
		done = 1;
		if (changes != 0)
			return 1;
	}
	while (buffer->size > 0 && pty->put != pty->taken) {
		uint8_t bytes[256];
		size_t part = pty->put - pty->taken;
		if (part > buffer->size)
			part = buffer->size;
		if (part > sizeof(bytes))
			part = sizeof(bytes);
		for (size_t i = 0; i < part; i++)
			bytes[i] = pty->ring[(pty->taken + i) % PTY_RING];
		pty->taken += (uint32_t)part;
		if (io_copy_to(buffer, bytes, part) != 0)
			return done > 0 ? (ssize_t)done : -EFAULT;
		done += part;
	}
	waitq_wake_for(&pty->tty.output_wait, WAKE_OUT);
	return (ssize_t)done;
}

static ssize_t master_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct pty *pty = file->private;
	ssize_t done = 0, error = 0;
	(void)position;
	while (error == 0 && buffer->size > 0) {
		/* the place in user memory first: after that nothing waits, and the room stays */
		struct span place = io_span(buffer, 1, false);
		if (place.at == NULL) {
			error = -EFAULT;
		} else if (tty_wants_input(&pty->tty)) {
			tty_input(&pty->tty, *(const uint8_t *)place.at);
			io_advance(buffer, 1);
			if (++done % INPUT_AT_ONCE == 0) {
				tty_input_done(&pty->tty);
				if (!wait_yield())
					break;
			}
		} else if (done > 0 || file->flags & O_NONBLOCK) {
			error = -EAGAIN;
		} else if (waitq_wait(&pty->tty.output_wait, true, DEADLINE_NEVER) != 0) {
			error = -EINTR_RESTART;
		}
	}
	if (done == 0)
		return error;
	tty_input_done(&pty->tty);
	return done;
}

static unsigned master_poll(struct file *file, struct poll_table *table)
{
	struct pty *pty = file->private;
	unsigned events = 0;
	poll_wait(table, &pty->tty.output_wait);
	if (pty->put != pty->taken)
		events |= POLLIN_ | POLLRDNORM_;
	if (pty->changes != 0)
		events |= POLLIN_ | POLLRDNORM_ | POLLPRI_;
	if (tty_wants_input(&pty->tty))
		events |= POLLOUT_ | POLLWRNORM_;
	if (pty->slave_seen && pty->tty.open_count == 0)
		events |= POLLHUP_;
	return events;
}

static int open_slave(struct pty *pty, struct thread *thread, unsigned flags, struct file **out);

static long master_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	enum {
		PTN = (int)0x80045430,
		SPTLCK = 0x40045431,
		GPTLCK = (int)0x80045439,
		GPTPEER = 0x5441,
		PKT = 0x5420,
		GPKT = (int)0x80045438,
		SIG = 0x40045436,
		INQ = 0x541b,
		EXCL = 0x540c,
		NXCL = 0x540d,
		GEXCL = (int)0x80045440,
	};
	struct pty *pty = file->private;
	int value = 0;
	switch ((int)command) {
	case PTN:
		value = (int)pty->number;
		return copy_to_user(thread, argument, &value, sizeof(value));
	case SPTLCK:
		if (copy_from_user(thread, &value, argument, sizeof(value)) != 0)
			return -EFAULT;
		pty->locked = value != 0;
		return 0;
	case GPTLCK:
		value = pty->locked;
		return copy_to_user(thread, argument, &value, sizeof(value));
	case PKT:
		if (copy_from_user(thread, &value, argument, sizeof(value)) != 0)
			return -EFAULT;
		pty->packet = value != 0;
		pty->changes = 0;
		return 0;
	case GPKT:
		value = pty->packet;
		return copy_to_user(thread, argument, &value, sizeof(value));
	case EXCL:
	case NXCL:
		pty->exclusive = command == EXCL; /* of no consequence: no second one is opened */
		return 0;
	case GEXCL:
		value = pty->exclusive;
		return copy_to_user(thread, argument, &value, sizeof(value));
	case SIG:
		if (argument != SIGINT_ && argument != SIGQUIT_ && argument != SIGTSTP_)
			return -EINVAL;
		if (pty->tty.group != 0)
			signal_send_group(pty->tty.group, (int)argument, 0x80 /* SI_KERNEL */, 0);
		return 0;
	case GPTPEER: {
		struct file *slave;
		int error = open_slave(pty, thread, (unsigned)argument, &slave);
		return error != 0 ? error : file_install(thread, slave, argument & O_CLOEXEC);
	}
	case TIO_GPGRP: /* of the slave's terminal, whoever asks */
		value = pty->tty.group;
		return copy_to_user(thread, argument, &value, sizeof(value));
	case TIO_GSID:
		value = pty->tty.session;
		return value == 0 ? -ENOTTY : copy_to_user(thread, argument, &value, sizeof(value));
	case INQ:
		value = (int)(pty->put - pty->taken);
		return copy_to_user(thread, argument, &value, sizeof(value));
	default: {
		/* the rest is the slave's: modes, window size */
		struct tty_file handle = {&pty->tty, pty->tty.generation, false};
		struct file slave = {.private = &handle};
		return tty_ioctl(&slave, thread, command, argument);
	}
	}
}

static void name_of(uint32_t number, char out[16])
{
	snprintf(out, 16, "%u", number);
}

static void master_release(struct file *file)
{
	struct pty *pty = file->private;
	char name[16];
	name_of(pty->number, name);
	pty->tty.peer_closed = true;
	if (directory != NULL) {
		struct inode *node = NULL;
		fiber_mutex_lock(&directory->lock);
		if (names->lookup(directory, name, strlen(name), &node) == 0) {
			names->unlink(directory, name, strlen(name), node);
			node->attributes.links = 0;
			inode_put(node);
		}
		fiber_mutex_unlock(&directory->lock);
	}
	pty->masters = 0; /* only now: then the slave's last close frees it */
	tty_hang_up(&pty->tty);
	pty_free_if_unused(pty);
}

static const struct file_operations master_operations = {
        .read = master_read,
        .write = master_write,
        .poll = master_poll,
        .ioctl = master_ioctl,
        .release = master_release,
};

struct tty *pty_find(uint32_t number)
{
	if (number >= PTY_MAX || ptys[number] == NULL || ptys[number]->locked || ptys[number]->masters == 0)
		return NULL;
	ptys[number]->slave_seen = true;
	return &ptys[number]->tty;
}

static int open_slave(struct pty *pty, struct thread *thread, unsigned flags, struct file **out)
{
	char path[32];
	bool locked = pty->locked;
	snprintf(path, sizeof(path), "/dev/pts/%u", pty->number);
	pty->locked = false; /* the master's holder asks */
	int error = vfs_open(thread, AT_FDCWD_LINUX, path, (int)flags & (ACCESS_MODE | O_NOCTTY | O_NONBLOCK),
	                     0, out);
	pty->locked = locked;
	return error;
}

void pty_directory(struct inode *root)
{
	directory = root;
	names = root->operations;
}

int ptmx_open(struct file *file, struct thread *thread)
{
	uint32_t number = 0;
	while (number < PTY_MAX && ptys[number] != NULL)
		number++;
	if (number == PTY_MAX)
		return -ENOSPC;
	struct pty *pty = calloc(1, sizeof(*pty));
	if (pty == NULL)
		return -ENOMEM;
	pty->number = number;
	pty->locked = true;
	pty->masters = 1;
	ptys[number] = pty;
	tty_setup(&pty->tty, &driver, linux_device(136, number));
	pty->tty.line.termios.control = LINE_B38400 | LINE_CS8 | LINE_CREAD;
	if (directory != NULL) {
		char name[16];
		struct inode *node = NULL;
		struct new_inode what = {.mode = S_IFCHR | 0620, .rdev = pty->tty.device, .gid = 5};
		if (thread != NULL)
			what.uid = thread->process->credentials.fsuid;
		name_of(number, name);
		fiber_mutex_lock(&directory->lock);
		int error = names->create(directory, name, strlen(name), &what, &node);
		fiber_mutex_unlock(&directory->lock);
		inode_put(node);
		if (error != 0) {
			ptys[number] = NULL;
			free(pty);
			return error;
		}
	}
	file->operations = &master_operations;
	file->private = pty;
	file->flags &= ~(unsigned)O_NOCTTY;
	return 0;
}
