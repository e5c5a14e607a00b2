/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: names of their own, descriptors as of files. A queue lives until its name and its
 * last descriptor are gone. Limits and errors as mq_overview(7) and Linux have them.
 */
#include "capability.h"
#include "fs/mqueue.h"
#include "signals.h"
#include "syscall.h"
#include "times.h"
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#define NAME_MAX_   255
#define PRIORITIES  32768
#define BYTES_TOTAL (4u << 20) /* of all messages: they live in the server's own memory */

enum { NOTIFY_SIGNAL = 0, NOTIFY_NONE = 1, NOTIFY_THREAD = 2, SI_MESGQ_ = -3 };

const struct mqueue_limits mqueue_limits = {
        .messages_default = 10,
        .messages_max = 10,
        .size_default = 8192,
        .size_max = 8192,
        .queues_max = 256,
};

struct mq_attributes { /* struct mq_attr */
	int64_t flags, messages_max, size_max, messages, reserved[4];
};

struct mq_message {
	struct mq_message *next; /* by falling priority, then by age */
	uint32_t priority;
	size_t size;
	uint8_t text[];
};

/* Who is told when a message comes into the empty queue. */
struct mq_notification {
	int pid; /* 0: nobody */
	uint64_t start_time;
	int how, signal;
	uint64_t value;
};

struct mqueue {
	struct mqueue *next; /* of all */
	char *name;          /* NULL: unlinked */
	struct inode *inode; /* whose it is, and who may open it */
	unsigned references; /* the name and open files */
	struct mq_message *first;
	int64_t messages_max, size_max, messages;
	unsigned receivers; /* waiting */
	struct mq_notification notification;
	struct waitq wait;
	uint64_t charged; /* bytes, to the user who made it */
	uint32_t owner;
};

static struct mqueue *queues;
static unsigned queue_count;
static size_t bytes_total;

static const struct file_operations mqueue_operations;

/* ---- queues and their names ---- */

static void queue_put(struct mqueue *queue)
{
	struct mqueue **link = &queues;
	if (--queue->references > 0)
		return;
	while (*link != queue)
		link = &(*link)->next;
	*link = queue->next;
	while (queue->first != NULL) {
		struct mq_message *message = queue->first;
		queue->first = message->next;
		bytes_total -= message->size;
		free(message);
	}
	inode_put(queue->inode);
	queue_count--;
	free(queue);
}

static struct mqueue *find(const char *name)
{
	struct mqueue *queue = queues;
	while (queue != NULL && (queue->name == NULL || strcmp(queue->name, name) != 0))
		queue = queue->next;
	return queue;
}

static int check_name(const char *name)
{
	if (strlen(name) > NAME_MAX_)
		return -ENAMETOOLONG;
	return strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? -EACCES : 0;
}

/* What the user's queues hold at most, against RLIMIT_MSGQUEUE: all messages, and a word for each. */
static uint64_t charge_of(int64_t messages, int64_t size)
{
	return (uint64_t)messages * ((uint64_t)size + 48 + 8);
}

static uint64_t charged_to(uint32_t uid)
{
	uint64_t sum = 0;
	for (struct mqueue *queue = queues; queue != NULL; queue = queue->next)
		sum += queue->owner == uid ? queue->charged : 0;
	return sum;
}

static int check_limits(struct thread *thread, int64_t messages, int64_t size)
{
	bool may = capable(thread, CAP_SYS_RESOURCE);
	if (messages <= 0 || size <= 0 || messages > (may ? 65536 : mqueue_limits.messages_max) ||
	    size > (may ? 16 << 20 : mqueue_limits.size_max))
		return -EINVAL;
	if (queue_count >= mqueue_limits.queues_max && !may)
		return -ENOSPC;
	uint64_t limit = thread->process->limits[RLIMIT_MSGQUEUE].current;
	uint64_t charge = charge_of(messages, size) + charged_to(thread->process->credentials.uid);
	return charge > limit ? -EMFILE : 0;
}

static int queue_create(struct thread *thread, const char *name, unsigned mode,
                        const struct mq_attributes *wanted, struct mqueue **out)
{
	int64_t messages = wanted != NULL ? wanted->messages_max : mqueue_limits.messages_default;
	int64_t size = wanted != NULL ? wanted->size_max : mqueue_limits.size_default;
	int error = check_limits(thread, messages, size);
	if (error != 0)
		return error;
	/* one allocation, so that the name goes with the queue */
	struct mqueue *queue = calloc(1, sizeof(*queue) + strlen(name) + 1);
	if (queue == NULL)
		return -ENOMEM;
	queue->inode = anonymous_inode(S_IFREG | (mode & 07777 & ~thread->process->fs->umask));
	if (queue->inode == NULL) {
		free(queue);
		return -ENOMEM;
	}
	queue->name = strcpy((char *)(queue + 1), name);
	queue->references = 1;
	queue->messages_max = messages;
	queue->size_max = size;
	queue->owner = thread->process->credentials.uid;
	queue->charged = charge_of(messages, size);
	queue->next = queues;
	queues = queue;
	queue_count++;
	*out = queue;
	return 0;
}

static int queue_open(struct thread *thread, const char *name, unsigned flags, unsigned mode,
                      const struct mq_attributes *wanted, struct file **out)
{
	struct mqueue *queue = find(name);
	int error = 0;
	if (queue != NULL && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (queue == NULL && !(flags & O_CREAT))
		return -ENOENT;
	if (queue == NULL) {
		error = queue_create(thread, name, mode, wanted, &queue);
	} else {
		unsigned access = flags & ACCESS_MODE, mask = access == O_RDONLY   ? MAY_READ
		                                              : access == O_WRONLY ? MAY_WRITE
		                                                                   : MAY_READ | MAY_WRITE;
		error = access == ACCESS_MODE ? -EINVAL : inode_permission(thread, queue->inode, mask);
	}
	if (error != 0)
		return error;
	*out = file_create(queue->inode, NULL, flags & (ACCESS_MODE | O_NONBLOCK), &mqueue_operations);
	if (*out == NULL)
		return -ENOMEM;
	(*out)->private = queue;
	queue->references++;
	return 0;
}

long sys_mq_open(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[1];
	struct mq_attributes wanted;
	struct file *file;
	char *name;
	bool has_wanted = flags & O_CREAT && arguments[3] != 0;
	if (has_wanted && copy_from_user(thread, &wanted, arguments[3], sizeof(wanted)) != 0)
		return -EFAULT;
	int error = path_from_user(thread, arguments[0], &name);
	if (error != 0)
		return error;
	error = *name == 0 ? -ENOENT : check_name(name);
	if (error == 0)
		error = file_room(thread);
	if (error == 0)
		error = queue_open(thread, name, flags, (unsigned)arguments[2], has_wanted ? &wanted : NULL,
		                   &file);
	free(name);
	return error != 0 ? error : file_install(thread, file, true);
}

long sys_mq_unlink(struct thread *thread, const uint64_t arguments[6])
{
	char *name;
	int error = path_from_user(thread, arguments[0], &name);
	if (error != 0)
		return error;
	error = *name == 0 ? -ENOENT : check_name(name);
	struct mqueue *queue = find(name);
	free(name);
	if (error != 0)
		return error;
	if (queue == NULL)
		return -ENOENT;
	/* as in a sticky directory of root's */
	if (thread->process->credentials.fsuid != queue->inode->attributes.uid &&
	    !capable(thread, CAP_FOWNER))
		return -EPERM;
	queue->name = NULL;
	queue_put(queue);
	return 0;
}

/* ---- messages ---- */

/* The open queue behind the descriptor, with a reference to the file: 0 or -EBADF. */
static int file_of_queue(struct thread *thread, uint64_t fd, struct file **out)
{
	*out = file_of(thread, (int)fd);
	if (*out == NULL)
		return -EBADF;
	if ((*out)->operations == &mqueue_operations)
		return 0;
	file_put(*out);
	return -EBADF;
}

static int timeout_from_user(struct thread *thread, uint64_t address, deadline_t *out)
{
	struct timespec timeout;
	uint64_t time;
	*out = DEADLINE_NEVER;
	if (address == 0)
		return 0;
	if (copy_from_user(thread, &timeout, address, sizeof(timeout)) != 0)
		return -EFAULT;
	if (!timespec_to_ns(&timeout, &time))
		return -EINVAL;
	*out = clock_deadline(CLOCK_REALTIME, time);
	return 0;
}

static int wait_for_change(struct file *file, struct mqueue *queue, deadline_t deadline)
{
	if (file->flags & O_NONBLOCK)
		return -EAGAIN;
	int error = waitq_wait(&queue->wait, true, deadline);
	return error == -EINTR ? -EINTR_RESTART : error;
}

static bool is_registered(const struct mq_notification *notification, const struct process *process)
{
	return notification->pid != 0 && notification->pid == process->pid &&
	       notification->start_time == process->start_time;
}

/* Once only: who wants to hear of the next message registers again. */
static void notify_of_message(struct mqueue *queue, struct thread *sender)
{
	struct mq_notification *notification = &queue->notification;
	struct process *process = notification->pid != 0 ? process_find(notification->pid) : NULL;
	struct linux_siginfo info = {
	        .signal = notification->signal,
	        .code = SI_MESGQ_,
	        .pid = sender->process->pid,
	        .uid = sender->process->credentials.uid,
	        .value = notification->value,
	};
	if (process != NULL && is_registered(notification, process) && notification->how == NOTIFY_SIGNAL)
		signal_post(process, NULL, &info);
	notification->pid = 0;
}

static void enqueue(struct mqueue *queue, struct mq_message *message)
{
	struct mq_message **link = &queue->first;
	while (*link != NULL && (*link)->priority >= message->priority)
		link = &(*link)->next;
	message->next = *link;
	*link = message;
	queue->messages++;
	bytes_total += message->size;
}

static long send(struct thread *thread, struct file *file, struct mq_message *message, deadline_t deadline)
{
	struct mqueue *queue = file->private;
	while (queue->messages >= queue->messages_max) {
		int error = wait_for_change(file, queue, deadline);
		if (error != 0)
			return error;
	}
	if (message->size > BYTES_TOTAL - bytes_total)
		return -ENOMEM;
	if (queue->messages == 0 && queue->receivers == 0)
		notify_of_message(queue, thread);
	enqueue(queue, message);
	waitq_wake_for(&queue->wait, WAKE_IN);
	return 0;
}

static long send_from_user(struct thread *thread, struct file *file, const uint64_t arguments[6],
                           deadline_t deadline)
{
	const struct mqueue *queue = file->private;
	uint64_t size = arguments[2];
	if (!file_writable(file))
		return -EBADF;
	if (size > (uint64_t)queue->size_max)
		return -EMSGSIZE;
	struct mq_message *message = malloc(sizeof(*message) + size);
	if (message == NULL)
		return -ENOMEM;
	*message = (struct mq_message){.priority = (uint32_t)arguments[3], .size = size};
	long result = copy_from_user(thread, message->text, arguments[1], size) != 0
	                      ? -EFAULT
	                      : send(thread, file, message, deadline);
	if (result != 0)
		free(message);
	return result;
}

long sys_mq_timedsend(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file;
	deadline_t deadline;
	int error = timeout_from_user(thread, arguments[4], &deadline);
	if (error == 0 && (uint32_t)arguments[3] >= PRIORITIES)
		error = -EINVAL;
	if (error == 0)
		error = file_of_queue(thread, arguments[0], &file);
	if (error != 0)
		return error;
	long result = send_from_user(thread, file, arguments, deadline);
	file_put(file);
	return result;
}

static long receive(struct thread *thread, struct file *file, const uint64_t arguments[6],
                    deadline_t deadline)
{
	struct mqueue *queue = file->private;
	if (!file_readable(file))
		return -EBADF;
	if (arguments[2] < (uint64_t)queue->size_max)
		return -EMSGSIZE;
	while (queue->first == NULL) {
		queue->receivers++;
		int error = wait_for_change(file, queue, deadline);
		queue->receivers--;
		if (error != 0)
			return error;
	}
	struct mq_message *message = queue->first;
	queue->first = message->next;
	queue->messages--;
	bytes_total -= message->size;
	waitq_wake_for(&queue->wait, WAKE_OUT);
	long result = (long)message->size;
	if ((arguments[3] != 0 &&
	     copy_to_user(thread, arguments[3], &message->priority, sizeof(message->priority)) != 0) ||
	    copy_to_user(thread, arguments[1], message->text, message->size) != 0)
		result = -EFAULT;
	free(message);
	return result;
}

long sys_mq_timedreceive(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file;
	deadline_t deadline;
	int error = timeout_from_user(thread, arguments[4], &deadline);
	if (error == 0)
		error = file_of_queue(thread, arguments[0], &file);
	if (error != 0)
		return error;
	long result = receive(thread, file, arguments, deadline);
	file_put(file);
	return result;
}

/* ---- notification and attributes ---- */

static int notify_when(struct thread *thread, struct mqueue *queue, uint64_t address)
{
	struct {
		uint64_t value;
		int32_t signal, how;
		uint8_t rest[48];
	} event;
	_Static_assert(sizeof(event) == 64, "struct sigevent");
	struct mq_notification *notification = &queue->notification;
	if (address == 0) {
		if (is_registered(notification, thread->process))
			notification->pid = 0;
		return 0;
	}
	if (copy_from_user(thread, &event, address, sizeof(event)) != 0)
		return -EFAULT;
	if (event.how == NOTIFY_THREAD)
		return -ENOSYS; /* the library's thread would hear of it by a netlink socket */
	if ((event.how != NOTIFY_SIGNAL && event.how != NOTIFY_NONE) ||
	    (event.how == NOTIFY_SIGNAL && (event.signal < 0 || event.signal > SIGNAL_COUNT)))
		return -EINVAL;
	const struct process *registered = notification->pid != 0 ? process_find(notification->pid) : NULL;
	if (registered != NULL && is_registered(notification, registered)) /* else it has ended */
		return -EBUSY;
	*notification = (struct mq_notification){
	        .pid = thread->process->pid,
	        .start_time = thread->process->start_time,
	        .how = event.how,
	        .signal = event.signal,
	        .value = event.value,
	};
	return 0;
}

long sys_mq_notify(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file;
	int error = file_of_queue(thread, arguments[0], &file);
	if (error != 0)
		return error;
	error = notify_when(thread, file->private, arguments[1]);
	file_put(file);
	return error;
}

long sys_mq_getsetattr(struct thread *thread, const uint64_t arguments[6])
{
	struct mq_attributes new;
	struct file *file;
	if (arguments[1] != 0 && copy_from_user(thread, &new, arguments[1], sizeof(new)) != 0)
		return -EFAULT;
	if (arguments[1] != 0 && new.flags & ~(int64_t)O_NONBLOCK)
		return -EINVAL;
	int error = file_of_queue(thread, arguments[0], &file);
	if (error != 0)
		return error;
	const struct mqueue *queue = file->private;
	struct mq_attributes old = {
	        .flags = file->flags & O_NONBLOCK,
	        .messages_max = queue->messages_max,
	        .size_max = queue->size_max,
	        .messages = queue->messages,
	};
	if (arguments[1] != 0)
		file->flags = (file->flags & ~(unsigned)O_NONBLOCK) | (unsigned)new.flags;
	error = arguments[2] != 0 ? copy_to_user(thread, arguments[2], &old, sizeof(old)) : 0;
	file_put(file);
	return error;
}

/* ---- as files ---- */

static ssize_t mqueue_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	const struct mqueue *queue = file->private;
	const struct mq_notification *notification = &queue->notification;
	char text[128];
	size_t bytes = 0;
	for (const struct mq_message *message = queue->first; message != NULL; message = message->next)
		bytes += message->size;
	int length = snprintf(
	        text, sizeof(text), "QSIZE:%-10zu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", bytes,
	        notification->pid != 0 ? notification->how : 0,
	        notification->pid != 0 && notification->how == NOTIFY_SIGNAL ? notification->signal : 0,
	        notification->pid);
	return buffer_read_text(buffer, position, text, (size_t)length);
}

static unsigned mqueue_poll(struct file *file, struct poll_table *table)
{
	struct mqueue *queue = file->private;
	poll_wait(table, &queue->wait);
	return (queue->messages > 0 ? POLLIN_ | POLLRDNORM_ : 0) |
	       (queue->messages < queue->messages_max ? POLLOUT_ | POLLWRNORM_ : 0);
}

/* A process that closes any descriptor of the queue hears of it no more. */
static void mqueue_closed(struct file *file, struct process *process)
{
	struct mqueue *queue = file->private;
	if (is_registered(&queue->notification, process))
		queue->notification.pid = 0;
}

static void mqueue_release(struct file *file)
{
	queue_put(file->private);
}

static const struct file_operations mqueue_operations = {
        .kind = "mqueue",
        .read = mqueue_read,
        .poll = mqueue_poll,
        .closed = mqueue_closed,
        .release = mqueue_release,
};
