/* SPDX-License-Identifier: MIT */
/* signalfd: signals read from a descriptor. What it shows are always those of whoever looks. */
#include "fs/poll.h"
#include "signals.h"
#include "syscall.h"
#include "thread.h"

struct signal_file {
	sigset_bits set;
};

/* struct signalfd_siginfo */
struct signal_record {
	uint32_t signal;
	int32_t error, code;
	uint32_t pid, uid;
	int32_t fd;
	uint32_t timer, band, overrun, trap;
	int32_t status, value_int;
	uint64_t value, user_time, system_time, address;
	uint8_t padding[48];
};
_Static_assert(sizeof(struct signal_record) == 128, "struct signalfd_siginfo");

static struct signal_record record_of(const struct linux_siginfo *info)
{
	enum { SIGILL_ = 4, SIGBUS_ = 7, SIGFPE_ = 8, SIGSEGV_ = 11, SIGCHLD_ = 17, TIMER = -2 };
	struct signal_record record = {
	        .signal = (uint32_t)info->signal, .error = info->error, .code = info->code};
	if (info->code == TIMER) {
		record.timer = (uint32_t)info->timer;
		record.overrun = (uint32_t)info->overrun;
		record.value = info->timer_value;
		record.value_int = (int32_t)info->timer_value;
		return record;
	}
	if (info->code > 0 && (info->signal == SIGILL_ || info->signal == SIGBUS_ ||
	                       info->signal == SIGFPE_ || info->signal == SIGSEGV_)) {
		record.address = info->address;
		return record;
	}
	record.pid = (uint32_t)info->pid;
	record.uid = info->uid;
	if (info->signal == SIGCHLD_ && info->code > 0) {
		record.status = info->status;
		record.user_time = (uint64_t)info->user_time;
		record.system_time = (uint64_t)info->system_time;
	} else if (info->code < 0) {
		record.value = info->value;
		record.value_int = (int32_t)info->value;
	}
	return record;
}

static ssize_t signal_file_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	const struct signal_file *own = file->private;
	struct thread *thread = current_thread();
	ssize_t done = 0;
	(void)position;
	if (buffer->size < sizeof(struct signal_record) || thread == NULL)
		return -EINVAL;
	while (buffer->size >= sizeof(struct signal_record)) {
		struct linux_siginfo info;
		if (!signal_dequeue(thread, own->set, &info)) {
			if (done > 0)
				break;
			if (file->flags & O_NONBLOCK)
				return -EAGAIN;
			if (waitq_wait(&thread->process->signals->arrived, true, DEADLINE_NEVER) != 0)
				return -EINTR_RESTART;
			continue;
		}
		struct signal_record record = record_of(&info);
		if (io_copy_to(buffer, &record, sizeof(record)) != 0)
			return done > 0 ? done : -EFAULT;
		done += (ssize_t)sizeof(record);
	}
	return done;
}

static unsigned signal_file_poll(struct file *file, struct poll_table *table)
{
	const struct signal_file *own = file->private;
	struct thread *thread = current_thread();
	if (thread == NULL)
		return 0;
	poll_wait(table, &thread->process->signals->arrived);
	return (thread->private->pending.pending | thread->process->signals->pending.pending) & own->set
	               ? POLLIN_ | POLLRDNORM_
	               : 0;
}

static void signal_file_release(struct file *file)
{
	free(file->private);
}

static void signal_file_describe(struct file *file, struct text *text)
{
	text_print(text, "sigmask:\t%016lx\n", ((const struct signal_file *)file->private)->set);
}

static const struct file_operations signal_file_operations = {.kind = "[signalfd]",
                                                              .read = signal_file_read,
                                                              .poll = signal_file_poll,
                                                              .describe = signal_file_describe,
                                                              .release = signal_file_release};

static long change(struct thread *thread, int fd, sigset_bits set)
{
	struct file *file = file_of(thread, fd);
	long result = file == NULL ? -EBADF : file->operations != &signal_file_operations ? -EINVAL : fd;
	if (result >= 0) {
		((struct signal_file *)file->private)->set = set;
		waitq_wake_all(&thread->process->signals->arrived);
	}
	file_put(file);
	return result;
}

static long signal_file_call(struct thread *thread, const uint64_t arguments[6], unsigned flags)
{
	sigset_bits set;
	struct file *file;
	if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK) || arguments[2] != sizeof(set))
		return -EINVAL;
	if (copy_from_user(thread, &set, arguments[1], sizeof(set)) != 0)
		return -EFAULT;
	set = signal_mask_allowed(set);
	if ((int)arguments[0] != -1)
		return change(thread, (int)arguments[0], set);
	struct signal_file *own = malloc(sizeof(*own));
	if (own == NULL)
		return -ENOMEM;
	own->set = set;
	int error = anonymous_file(0600, O_RDWR | (flags & O_NONBLOCK), &signal_file_operations, own, &file);
	if (error != 0) {
		free(own);
		return error;
	}
	return file_install(thread, file, flags & O_CLOEXEC);
}

long sys_signalfd(struct thread *thread, const uint64_t arguments[6])
{
	return signal_file_call(thread, arguments, 0);
}

long sys_signalfd4(struct thread *thread, const uint64_t arguments[6])
{
	return signal_file_call(thread, arguments, (unsigned)arguments[3]);
}
