/* SPDX-License-Identifier: MIT */
/* pidfd: a descriptor for a process, which never means another one that got its number. */
#include "fs/poll.h"
#include "fs/procfs.h"
#include "signals.h"
#include "syscall.h"
#include "thread.h"

struct pidfd {
	struct pidfd *next, **link; /* of the process */
	struct process *process;    /* NULL: it was waited for, or is not there yet */
	struct waitq wait;
};

void pidfds_exited(struct process *process)
{
	for (struct pidfd *pidfd = process->pidfds; pidfd != NULL; pidfd = pidfd->next)
		waitq_wake_all(&pidfd->wait);
}

void pidfds_forget(struct process *process)
{
	for (struct pidfd *pidfd = process->pidfds; pidfd != NULL; pidfd = pidfd->next)
		pidfd->process = NULL;
	process->pidfds = NULL;
}

static unsigned pidfd_poll(struct file *file, struct poll_table *table)
{
	struct pidfd *pidfd = file->private;
	poll_wait(table, &pidfd->wait);
	return pidfd->process == NULL || pidfd->process->zombie ? POLLIN_ | POLLRDNORM_ : 0;
}

static void pidfd_release(struct file *file)
{
	struct pidfd *pidfd = file->private;
	if (pidfd->process != NULL) {
		*pidfd->link = pidfd->next;
		if (pidfd->next != NULL)
			pidfd->next->link = pidfd->link;
	}
	free(pidfd);
}

static void pidfd_describe(struct file *file, struct text *text)
{
	const struct pidfd *pidfd = file->private;
	int pid = pidfd->process != NULL ? pidfd->process->pid : -1;
	text_print(text, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

static const struct file_operations pidfd_operations = {
        .kind = "[pidfd]", .poll = pidfd_poll, .describe = pidfd_describe, .release = pidfd_release};

static int create(unsigned flags, struct file **out)
{
	struct pidfd *pidfd = calloc(1, sizeof(*pidfd));
	if (pidfd == NULL)
		return -ENOMEM;
	int error = anonymous_file(0600, O_RDWR | flags, &pidfd_operations, pidfd, out);
	if (error != 0)
		free(pidfd);
	return error;
}

static void name(struct file *file, struct process *process)
{
	struct pidfd *pidfd = file->private;
	pidfd->process = process;
	pidfd->next = process->pidfds;
	pidfd->link = &process->pidfds;
	if (pidfd->next != NULL)
		pidfd->next->link = &pidfd->next;
	process->pidfds = pidfd;
}

long sys_pidfd_open(struct thread *thread, const uint64_t arguments[6])
{
	int pid = (int)arguments[0];
	unsigned flags = (unsigned)arguments[1];
	struct file *file;
	if (flags & ~(unsigned)O_NONBLOCK || pid <= 0)
		return -EINVAL;
	int error = create(flags, &file); /* may wait: the process is looked up behind it */
	if (error != 0)
		return error;
	struct process *process = process_find(pid);
	if (process == NULL) {
		file_put(file);
		return thread_find(pid) != NULL ? -EINVAL : -ESRCH; /* not a group's first thread */
	}
	name(file, process);
	return file_install(thread, file, true);
}

int pidfd_promise(struct thread *thread, uint64_t address, struct file **out)
{
	struct file *file;
	int error = create(0, &file);
	if (error != 0)
		return error;
	int fd = file_install(thread, file_get(file), true);
	error = fd < 0 ? fd : copy_to_user(thread, address, &fd, sizeof(fd));
	*out = file;
	return error;
}

void pidfd_keep(struct file *file, struct process *process)
{
	name(file, process);
	file_put(file);
}

void pidfd_break(struct thread *thread, struct file *file)
{
	struct file_table *table = thread->process->files;
	for (unsigned fd = 0; fd < file_table_end(table); fd++) {
		const uint64_t close[6] = {fd};
		if (file_table_at(table, fd) == file)
			sys_close(thread, close);
	}
	file_put(file);
}

int pidfd_process(struct thread *thread, int fd, struct process **out)
{
	struct file *file = file_table_lookup(thread, fd);
	if (file == NULL || file->operations != &pidfd_operations)
		return -EBADF;
	*out = ((struct pidfd *)file->private)->process;
	return 0;
}

bool pidfd_nonblocking(struct thread *thread, int fd)
{
	return file_table_lookup(thread, fd)->flags & O_NONBLOCK;
}

/* As Linux did before there were such descriptors, a signal goes to a folder of /proc too: killall does that.
 */
static int signal_target(struct thread *thread, int fd, struct process **out)
{
	struct file *file = file_table_lookup(thread, fd);
	if (file != NULL && file->operations != &pidfd_operations && !(file->flags & O_PATH))
		return procfs_process(file, out);
	return pidfd_process(thread, fd, out);
}

long sys_pidfd_getfd(struct thread *thread, const uint64_t arguments[6])
{
	struct process *target;
	if ((unsigned)arguments[2] != 0)
		return -EINVAL;
	int error = pidfd_process(thread, (int)arguments[0], &target);
	if (error != 0)
		return error;
	if (target == NULL)
		return -ESRCH;
	if (!process_may_inspect(thread, target))
		return -EPERM;
	if (target->files == NULL)
		return -ESRCH;
	struct file *file = file_table_at(target->files, (unsigned)arguments[1]);
	return file != NULL ? file_install(thread, file_get(file), true) : -EBADF;
}

long sys_pidfd_send_signal(struct thread *thread, const uint64_t arguments[6])
{
	int signal = (int)arguments[1];
	struct linux_siginfo info = {
	        .signal = signal, .pid = thread->process->pid, .uid = thread->process->credentials.uid};
	struct process *target;
	if ((unsigned)arguments[3] != 0)
		return -EINVAL;
	int error = signal_target(thread, (int)arguments[0], &target);
	if (error != 0)
		return error;
	if (signal < 0 || signal > SIGNAL_COUNT)
		return -EINVAL;
	if (arguments[2] != 0) {
		if (copy_from_user(thread, &info, arguments[2], sizeof(info)) != 0)
			return -EFAULT;
		if (info.signal != signal)
			return -EINVAL;
		error = signal_target(thread, (int)arguments[0], &target);
		if (error != 0)
			return error;
		/* as sigqueue: what the kernel says of itself cannot be said to others */
		if (target != thread->process && (info.code >= 0 || info.code == -6 /* SI_TKILL */))
			return -EPERM;
	}
	if (target == NULL)
		return -ESRCH;
	if (!may_signal(thread, target, signal))
		return -EPERM;
	return signal == 0 || signal_post(target, NULL, &info) ? 0 : -EAGAIN;
}
