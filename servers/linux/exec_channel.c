/* SPDX-License-Identifier: MIT */
/*
 * Exec mode. Frames from the host are taken out of the line as they come; standard input waits here for its
 * reader and never exceeds the credit that the host was given. Standard output and error are written as
 * frames when the line has room, until the host says that it cannot write them any more.
 */
#include "exec_channel.h"
#include "exec_frames.h"
#include "fs/pipe.h"
#include "syscall.h"
#include "tty/tty.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <pith/log.h>
#include <pith/startup.h>

#define STDIN_SIZE   (64 * 1024)
#define CREDIT_STEP  (STDIN_SIZE / 4)
#define START_MAX    (4 * 1024 * 1024)
#define ERRNO_LAST   133 /* EHWPOISON */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static struct {
	struct frame_parser parser;
	char *start; /* joined payloads of EXEC_START */
	size_t start_size;
	bool started, failed;
	uint8_t input[STDIN_SIZE]; /* ring */
	uint32_t taken, put;
	uint32_t consumed; /* bytes read since the last credit was given */
	bool asked; /* somebody wants input; the host's may have other readers, so before that it reads none */
	bool input_end;
	int output_errors[2]; /* of EXEC_STDOUT and EXEC_STDERR: why the host cannot write it, 0: it can */
	struct process *program;
	int early_signal; /* came before the program ran */
	bool ended;
	uint32_t status;
	struct waitq wait; /* the channel's own fiber */
	struct waitq input_wait, output_wait;
} exec;

/* ---- to the host ---- */

static bool frame_fits(size_t payload)
{
	return serial_room() >= sizeof(struct exec_frame) + payload;
}

static void frame_write(enum exec_frame_type type, const void *payload, size_t size)
{
	struct exec_frame frame = {.magic = EXEC_MAGIC, .type = (uint16_t)type, .length = (uint16_t)size};
	serial_write((const uint8_t *)&frame, sizeof(frame));
	serial_write(payload, size);
}

/* Of the channel's own: waits for room without regard to signals. */
static void frame_send(enum exec_frame_type type, const void *payload, size_t size)
{
	while (!frame_fits(size))
		waitq_wait(&exec.output_wait, false, DEADLINE_NEVER);
	frame_write(type, payload, size);
}

static void give_credit(void)
{
	uint32_t credit = exec.consumed;
	if (credit < CREDIT_STEP && exec.put != exec.taken)
		return;
	if (credit == 0 || !frame_fits(sizeof(credit)))
		return; /* with the next event */
	exec.consumed = 0;
	frame_write(EXEC_CREDIT, &credit, sizeof(credit));
}

void exec_channel_fail(const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length > (int)sizeof(text) - 1)
		length = sizeof(text) - 1;
	log_error("exec: %s", text);
	mounts_end_all(); /* the disks are left as after any other end */
	frame_send(EXEC_ERROR, text, (size_t)length);
	while (!serial_output_empty())
		waitq_wait(&exec.output_wait, false, DEADLINE_NEVER);
	fatal("exec: %s", text);
}

/* ---- from the host ---- */

static void take_start(const struct exec_frame *frame)
{
	if (exec.started || exec.start_size + frame->length > START_MAX) {
		exec.parser.broken = true;
		return;
	}
	char *joined = realloc(exec.start, exec.start_size + frame->length + 1);
	if (joined == NULL) {
		exec.failed = true;
	} else {
		exec.start = joined;
		memcpy(joined + exec.start_size, exec.parser.payload, frame->length);
		exec.start_size += frame->length;
	}
	exec.started = frame->length < EXEC_FRAME_MAX;
	waitq_wake_all(&exec.wait);
}

static void take_stdin(const struct exec_frame *frame)
{
	if (frame->length == 0) {
		exec.input_end = true;
	} else if (exec.input_end || frame->length > STDIN_SIZE - (exec.put - exec.taken)) {
		exec.parser.broken = true; /* more than it had credit for */
		return;
	}
	for (uint16_t i = 0; i < frame->length; i++)
		exec.input[exec.put++ % STDIN_SIZE] = exec.parser.payload[i];
	waitq_wake_all(&exec.input_wait);
}

static void deliver(int signal)
{
	if (exec.program == NULL || exec.ended) {
		exec.early_signal = signal;
		return;
	}
	signal_send_group(exec.program->pgid, signal, 0, 0);
	if (signal == SIGTERM) /* a stopped one takes it when it goes on */
		signal_send_group(exec.program->pgid, SIGCONT, 0, 0);
}

static void take_signal(const struct exec_frame *frame)
{
	uint32_t signal;
	if (frame->length != sizeof(signal)) {
		exec.parser.broken = true;
		return;
	}
	memcpy(&signal, exec.parser.payload, sizeof(signal));
	if (signal >= 1 && signal <= SIGNAL_COUNT)
		deliver((int)signal);
}

static void take_unwritable(const struct exec_frame *frame)
{
	uint32_t told[2]; /* stream, errno */
	memcpy(told, exec.parser.payload, sizeof(told));
	if (frame->length != sizeof(told) || (told[0] != EXEC_STDOUT && told[0] != EXEC_STDERR) ||
	    told[1] == 0 || told[1] > ERRNO_LAST) {
		exec.parser.broken = true;
		return;
	}
	exec.output_errors[told[0] - EXEC_STDOUT] = (int)told[1];
	waitq_wake_all(&exec.output_wait);
}

static void take_frame(const struct exec_frame *frame)
{
	if (frame->type == EXEC_START)
		take_start(frame);
	else if (frame->type == EXEC_STDIN)
		take_stdin(frame);
	else if (frame->type == EXEC_SIGNAL)
		take_signal(frame);
	else if (frame->type == EXEC_UNWRITABLE)
		take_unwritable(frame);
	else
		exec.parser.broken = true;
}

void exec_channel_events(void)
{
	uint8_t bytes[512];
	size_t count;
	while ((count = serial_read(bytes, sizeof(bytes))) > 0) {
		for (size_t i = 0; i < count; i++) {
			struct exec_frame frame;
			if (frame_parse(&exec.parser, bytes[i], &frame))
				take_frame(&frame);
		}
	}
	if (exec.parser.broken && !exec.failed) {
		exec.failed = true;
		log_error("exec: the host sent something that is no frame");
		waitq_wake_all(&exec.wait);
	}
	give_credit();
	if (serial_output_moved())
		waitq_wake_all(&exec.output_wait);
}

bool exec_channel_prepare_sleep(void)
{
	return serial_prepare_sleep(true, !waitq_empty(&exec.output_wait) || exec.consumed >= CREDIT_STEP);
}

/* ---- the program's streams ---- */

static void stdin_ask(void)
{
	if (exec.asked)
		return;
	exec.asked = true;
	exec.consumed = STDIN_SIZE; /* the first credit */
	give_credit();
}

static ssize_t stdin_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	size_t done = 0;
	(void)position;
	stdin_ask();
	while (buffer->size > 0) {
		if (exec.taken == exec.put) {
			if (done > 0 || exec.input_end)
				break;
			if (file->flags & O_NONBLOCK)
				return -EAGAIN;
			if (waitq_wait(&exec.input_wait, true, DEADLINE_NEVER) != 0)
				return -EINTR_RESTART;
			continue;
		}
		/* the place in user memory first: after that nothing waits, and no two readers get the same
		 * byte */
		struct span place = io_span(buffer, STDIN_SIZE, true);
		if (place.at == NULL)
			return done > 0 ? (ssize_t)done : -EFAULT;
		if (exec.taken == exec.put)
			continue; /* another reader was faster */
		size_t start = exec.taken % STDIN_SIZE, part = exec.put - exec.taken;
		if (part > STDIN_SIZE - start)
			part = STDIN_SIZE - start;
		if (part > place.size)
			part = place.size;
		memcpy(place.at, exec.input + start, part);
		io_advance(buffer, part);
		exec.taken += (uint32_t)part;
		exec.consumed += (uint32_t)part;
		done += part;
	}
	vfs_stir();
	give_credit();
	return (ssize_t)done;
}

static enum exec_frame_type output_type(const struct file *file)
{
	return (enum exec_frame_type)(uintptr_t)file->private;
}

static int output_error(const struct file *file)
{
	return exec.output_errors[output_type(file) - EXEC_STDOUT];
}

/* 0: there is room for a frame; -errno */
static int output_await(const struct file *file, size_t payload)
{
	while (output_error(file) == 0) {
		if (frame_fits(payload))
			return 0;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (waitq_wait(&exec.output_wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
	return output_error(file) == EPIPE ? pipe_broken() : -output_error(file);
}

static ssize_t output_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	size_t done = 0;
	(void)position;
	while (buffer->size > 0) {
		uint8_t bytes[EXEC_FRAME_MAX];
		size_t part = buffer->size < sizeof(bytes) ? buffer->size : sizeof(bytes);
		if (io_copy_from(buffer, bytes, part) != 0)
			return done > 0 ? (ssize_t)done : -EFAULT;
		int error = output_await(file, part);
		if (error != 0)
			return done > 0 ? (ssize_t)done : error;
		frame_write(output_type(file), bytes, part);
		done += part;
	}
	return (ssize_t)done;
}

static unsigned stdin_poll(struct file *file, struct poll_table *table)
{
	(void)file;
	stdin_ask();
	poll_wait(table, &exec.input_wait);
	unsigned events = exec.taken != exec.put ? POLLIN_ | POLLRDNORM_ : 0;
	return exec.input_end ? events | POLLHUP_ : events;
}

static unsigned output_poll(struct file *file, struct poll_table *table)
{
	poll_wait(table, &exec.output_wait);
	if (output_error(file) != 0)
		return POLLOUT_ | POLLWRNORM_ | POLLERR_;
	return frame_fits(EXEC_FRAME_MAX) ? POLLOUT_ | POLLWRNORM_ : 0;
}

static long stream_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	enum { INQ = 0x541b };
	int count = 0;
	if (command != INQ)
		return -ENOTTY;
	if (file_readable(file)) {
		stdin_ask();
		count = (int)(exec.put - exec.taken);
	}
	return copy_to_user(thread, argument, &count, sizeof(count));
}

static const struct file_operations stdin_operations = {
        .read = stdin_read, .poll = stdin_poll, .ioctl = stream_ioctl};
static const struct file_operations output_operations = {
        .write = output_write, .poll = output_poll, .ioctl = stream_ioctl};

/* Opened again by name (/dev/stdout …): the same stream. */
static int stream_open(struct inode *inode, struct file *file, struct thread *thread)
{
	(void)thread;
	enum exec_frame_type type = (enum exec_frame_type)(uintptr_t)inode->private;
	if (type == EXEC_STDIN ? file_writable(file) : file_readable(file))
		return -EACCES;
	file->operations = type == EXEC_STDIN ? &stdin_operations : &output_operations;
	file->private = inode->private;
	return 0;
}
static const struct inode_operations stream_inode = {.open = stream_open};

static int add_stream(struct file_table *table, enum exec_frame_type type)
{
	struct file *file;
	bool input = type == EXEC_STDIN;
	int error = anonymous_file(S_IFIFO | 0600, input ? O_RDONLY : O_WRONLY,
	                           input ? &stdin_operations : &output_operations, (void *)(uintptr_t)type,
	                           &file);
	if (error != 0)
		return error;
	file->inode->operations = &stream_inode;
	file->inode->private = file->private;
	int fd = file_table_install(table, file, 0, false, 3);
	file_put(file);
	return fd < 0 ? fd : 0;
}

static struct file_table *exec_files(void)
{
	struct file_table *table = file_table_create();
	if (table == NULL)
		return NULL;
	if (add_stream(table, EXEC_STDIN) != 0 || add_stream(table, EXEC_STDOUT) != 0 ||
	    add_stream(table, EXEC_STDERR) != 0) {
		file_table_put(table);
		return NULL;
	}
	return table;
}

static struct file_table *tty_files(void)
{
	struct file_table *table = file_table_create();
	struct file *file;
	if (table == NULL)
		return NULL;
	int error = vfs_open(NULL, AT_FDCWD_LINUX, "/dev/console", O_RDWR, 0, &file);
	if (error != 0) {
		log_error("/dev/console: %s", strerror(-error));
		return table;
	}
	for (unsigned fd = 0; fd < 3; fd++)
		file_table_install(table, file, 0, false, 3);
	file_put(file);
	return table;
}

struct file_table *console_files(void)
{
	char mode[16] = "";
	startup_config("mode", mode, sizeof(mode));
	return strcmp(mode, "exec") == 0 ? exec_files() : tty_files();
}

/* ---- running it ---- */

static const char *environment(char *const envp[], const char *name)
{
	size_t length = strlen(name);
	for (; *envp != NULL; envp++) {
		if (strncmp(*envp, name, length) == 0 && (*envp)[length] == '=')
			return *envp + length + 1;
	}
	return NULL;
}

static int may_run(const char *path)
{
	struct dentry *dentry;
	int error = vfs_lookup(NULL, AT_FDCWD_LINUX, path, true, &dentry);
	if (error != 0)
		return error;
	struct inode *inode = dentry_inode(dentry);
	error = S_ISREG(inode->attributes.mode) ? inode_permission(NULL, inode, MAY_EXECUTE) : -EACCES;
	dentry_put(dentry);
	return error;
}

/* As a shell looks commands up: the first in PATH that can be run. */
static int find_program(const char *name, const char *search, char *out, size_t size)
{
	int result = -ENOENT;
	if (*name == 0)
		return result;
	if (strchr(name, '/') != NULL) {
		snprintf(out, size, "%s", name);
		return may_run(out);
	}
	while (*search != 0) {
		size_t length = strcspn(search, ":");
		int written = snprintf(out, size, "%.*s/%s", (int)length, length > 0 ? search : ".", name);
		int error = written > 0 && (size_t)written < size ? may_run(out) : -ENAMETOOLONG;
		if (error == 0)
			return 0;
		if (error == -EACCES)
			result = error;
		search += length + (search[length] == ':');
	}
	return result;
}

static void program_exited(int wait_status)
{
	int signal = wait_status & 0x7f;
	exec.status = (uint32_t)(signal != 0 ? 128 + signal : wait_status >> 8 & 0xff);
	exec.ended = true;
	waitq_wake_all(&exec.wait);
}

/* The host prints what a shell would say. */
static void complain(const char *name, int error)
{
	char text[512];
	int length = snprintf(text, sizeof(text), "pith: %s: %s\n", name,
	                      error == -ENOENT ? "command not found" : strerror(-error));
	frame_send(EXEC_STDERR, text, (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
	exec.status = error == -ENOENT || error == -ENOTDIR ? 127 : 126;
	exec.ended = true;
}

static void run_program(struct exec_program *program)
{
	char path[PATH_SIZE];
	const char *search = environment(program->envp, "PATH");
	int error =
	        find_program(program->argv[0], search != NULL ? search : DEFAULT_PATH, path, sizeof(path));
	if (error == 0) {
		struct file_table *files = console_files();
		error = files == NULL ? -ENOMEM
		                      : process_start(path, program->argv, program->envp, files, "/",
		                                      program_exited, &exec.program);
	}
	if (error != 0)
		complain(program->argv[0], error);
	else if (exec.early_signal != 0)
		deliver(exec.early_signal);
}

void exec_channel_run(void)
{
	struct exec_program program;
	if (startup()->generation > 0)
		exec_channel_fail("the component `linux` was restarted, the program went with it");
	frame_send(EXEC_READY, "", 0);
	while (!exec.started && !exec.failed)
		waitq_wait(&exec.wait, false, DEADLINE_NEVER);
	if (exec.failed)
		exec_channel_fail("the command did not arrive");
	int error = exec_program_parse(exec.start, exec.start_size, &program);
	if (error != 0)
		exec_channel_fail("the command that arrived is malformed");
	run_program(&program);
	while (!exec.ended && !exec.failed)
		waitq_wait(&exec.wait, false, DEADLINE_NEVER);
	if (exec.failed)
		exec_channel_fail("the line to the host is out of step");
	system_shutdown(false);
}

/* The line's own FIFO holds up to 16 bytes that switching the machine off throws away: what follows the
 * status pushes it out of there. The host reads nothing after it. */
void exec_channel_finish(void)
{
	uint32_t nothing = 0;
	frame_send(EXEC_EXIT, &exec.status, sizeof(exec.status));
	for (unsigned i = 0; i < 3; i++)
		frame_send(EXEC_CREDIT, &nothing, sizeof(nothing));
	while (!serial_output_empty())
		waitq_wait(&exec.output_wait, false, DEADLINE_NEVER);
}
