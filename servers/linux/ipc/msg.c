/* SPDX-License-Identifier: MIT */
/* System V message queues. */
#include "capability.h"
#include "ipc/ipc.h"
#include <errno.h>
#include <stdlib.h>
#include "fs/internal.h"
#include "syscall.h"

#define MSG_NOERROR_ 010000
#define MSG_EXCEPT_  020000
#define MSG_COPY_    040000
#define BYTES_TOTAL  (4u << 20) /* of all messages: they live in the server's own memory */

enum { MSG_STAT_ = 11, MSG_INFO_ = 12, MSG_STAT_ANY_ = 13 };

const int msg_limits[3] = {8192, 16384, 32000};

struct msg {
	struct msg *next;
	int64_t type;
	size_t size;
	uint8_t text[];
};

struct msg_queue {
	struct ipc_object object; /* first */
	unsigned references;      /* 1 of the table's, and those of calls at work on it */
	struct msg *first, **end;
	uint64_t bytes, count, bytes_max;
	int64_t sent, received, changed; /* seconds */
	int sender, receiver;            /* pids */
	struct waitq wait;
};

static struct ipc_table queues = {.limit = 32000};
static size_t bytes_total, count_total;

static void queue_put(struct msg_queue *queue)
{
	if (--queue->references)
		return;
	while (queue->first) {
		struct msg *message = queue->first;

		queue->first = message->next;
		bytes_total -= message->size;
		count_total--;
		free(message);
	}
	free(queue);
}

static struct msg_queue *queue_of(int id)
{
	struct msg_queue *queue = (struct msg_queue *)ipc_find(&queues, id);

	if (queue)
		queue->references++;
	return queue;
}

long sys_msgget(struct thread *thread, const uint64_t arguments[6])
{
	int key = (int)arguments[0];
	unsigned flags = (unsigned)arguments[1];
	struct ipc_object *object;
	struct msg_queue *queue;
	long id = ipc_get(&queues, thread, key, flags, &object);

	if (id < 0 || object)
		return id;
	queue = kept_alloc(sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	queue->references = 1;
	queue->end = &queue->first;
	queue->bytes_max = (uint64_t)msg_limits[1];
	queue->changed = ipc_now();
	id = ipc_add(&queues, thread, &queue->object, key, flags);
	if (id < 0)
		free(queue);
	return id;
}

static int wait_for_change(struct msg_queue *queue, bool wait)
{
	if (!wait)
		return -EAGAIN;
	return waitq_wait(&queue->wait, true, DEADLINE_NEVER) ? -EINTR_NOHAND : 0;
}

static long send(struct thread *thread, struct msg_queue *queue, struct msg *message, bool wait)
{
	for (;;) {
		int error = ipc_allowed(thread, &queue->object, 2);

		if (queue->object.removed)
			return -EIDRM;
		if (error)
			return error;
		if (message->size + queue->bytes <= queue->bytes_max && queue->count + 1 <= queue->bytes_max)
			break;
		error = wait_for_change(queue, wait);
		if (error)
			return error;
	}
	if (message->size > BYTES_TOTAL - bytes_total || count_total >= BYTES_TOTAL / 64)
		return -ENOMEM;
	*queue->end = message;
	queue->end = &message->next;
	queue->bytes += message->size;
	queue->count++;
	bytes_total += message->size;
	count_total++;
	queue->sender = thread->process->pid;
	queue->sent = ipc_now();
	waitq_wake_all(&queue->wait);
	return 0;
}

long sys_msgsnd(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t size = arguments[2];
	struct msg_queue *queue;
	struct msg *message;
	int64_t type;
	long result;

	if (copy_from_user(thread, &type, arguments[1], sizeof(type)))
		return -EFAULT;
	if (type < 1 || size > (uint64_t)msg_limits[0] || (int)arguments[0] < 0)
		return -EINVAL;
	message = kept_malloc(sizeof(*message) + size);
	if (!message)
		return -ENOMEM;
	*message = (struct msg){.type = type, .size = size};
	if (copy_from_user(thread, message->text, arguments[1] + sizeof(type), size)) {
		free(message);
		return -EFAULT;
	}
	queue = queue_of((int)arguments[0]);
	result = queue ? send(thread, queue, message, !(arguments[3] & IPC_NOWAIT_)) : -EINVAL;
	if (result)
		free(message);
	if (queue)
		queue_put(queue);
	return result;
}

/* type 0: any; positive: that one, or (flag) any other; negative: the lowest up to its amount */
static struct msg **choose(struct msg_queue *queue, int64_t type, unsigned flags)
{
	struct msg **chosen = NULL;

	if (flags & MSG_COPY_) {
		struct msg **link = &queue->first;

		for (int64_t i = 0; *link && i < type; i++)
			link = &(*link)->next;
		return *link && type >= 0 ? link : NULL;
	}
	for (struct msg **link = &queue->first; *link; link = &(*link)->next) {
		int64_t own = (*link)->type;

		if (type == 0 || (type > 0 && (own == type) != ((flags & MSG_EXCEPT_) != 0)))
			return link;
		if (type < 0 && own <= (type == INT64_MIN ? INT64_MAX : -type) &&
		    (!chosen || own < (*chosen)->type))
			chosen = link;
	}
	return chosen;
}

static void take(struct msg_queue *queue, struct msg **link)
{
	struct msg *message = *link;

	*link = message->next;
	if (queue->end == &message->next)
		queue->end = link;
	queue->bytes -= message->size;
	queue->count--;
	bytes_total -= message->size;
	count_total--;
}

static long receive(struct thread *thread, struct msg_queue *queue, const uint64_t arguments[6])
{
	uint64_t address = arguments[1], size = arguments[2];
	unsigned flags = (unsigned)arguments[4];
	struct msg **link, *message;
	int error = ipc_allowed(thread, &queue->object, 4);

	while (!error && !(link = choose(queue, (int64_t)arguments[3], flags))) {
		error = flags & IPC_NOWAIT_ ? -ENOMSG : wait_for_change(queue, true);
		if (!error && queue->object.removed)
			error = -EIDRM;
		if (!error)
			error = ipc_allowed(thread, &queue->object, 4);
	}
	if (error)
		return error;
	message = *link;
	if (message->size > size && !(flags & MSG_NOERROR_))
		return -E2BIG;
	if (size > message->size)
		size = message->size;
	if (flags & MSG_COPY_) { /* it stays: what is copied must not go while user memory is brought in */
		struct msg *copy = malloc(sizeof(*copy) + message->size);

		if (!copy)
			return -ENOMEM;
		memcpy(copy, message, sizeof(*copy) + message->size);
		message = copy;
	} else {
		take(queue, link);
		queue->receiver = thread->process->pid;
		queue->received = ipc_now();
		waitq_wake_all(&queue->wait);
	}
	error = copy_to_user(thread, address, &message->type, sizeof(message->type));
	if (!error)
		error = copy_to_user(thread, address + sizeof(message->type), message->text, size);
	free(message);
	return error ? -EFAULT : (long)size;
}

long sys_msgrcv(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[4];
	struct msg_queue *queue;
	long result;

	if ((int)arguments[0] < 0 || (int64_t)arguments[2] < 0)
		return -EINVAL;
	if (flags & MSG_COPY_ && (flags & MSG_EXCEPT_ || !(flags & IPC_NOWAIT_)))
		return -EINVAL;
	queue = queue_of((int)arguments[0]);
	if (!queue)
		return -EINVAL;
	result = receive(thread, queue, arguments);
	queue_put(queue);
	return result;
}

/* ---- msgctl ---- */

/* struct msqid64_ds */
struct msg_status {
	struct linux_ipc_perm perm;
	int64_t sent, received, changed;
	uint64_t bytes, count, bytes_max;
	int32_t sender, receiver;
	uint64_t unused[2];
};
_Static_assert(sizeof(struct msg_status) == 120, "struct msqid64_ds");

static long tell_limits(struct thread *thread, uint64_t address, bool use)
{
	/* struct msginfo: pool (KiB), map, message, queue, queues, segment, headers, segments */
	const struct {
		int32_t pool, map, max, queue, queues, segment, headers;
		uint16_t segments;
	} info = {.pool = use ? (int32_t)queues.used : msg_limits[2] * msg_limits[1] / 1024,
	          .map = use ? (int32_t)count_total : msg_limits[1],
	          .max = msg_limits[0],
	          .queue = msg_limits[1],
	          .queues = msg_limits[2],
	          .segment = 16,
	          .headers = use ? (int32_t)bytes_total : msg_limits[1],
	          .segments = UINT16_MAX};
	int highest = ipc_highest(&queues);

	if (copy_to_user(thread, address, &info, sizeof(info)))
		return -EFAULT;
	return highest < 0 ? 0 : highest;
}

static long control(struct thread *thread, struct msg_queue *queue, int command, uint64_t address)
{
	struct msg_status status;
	int error;

	if (command == IPC_SET_ && copy_from_user(thread, &status, address, sizeof(status)))
		return -EFAULT;
	if (queue->object.removed)
		return -EIDRM;
	error = ipc_may_control(thread, &queue->object);
	if (error)
		return error;
	if (command == IPC_RMID_) {
		ipc_remove(&queues, &queue->object);
		queue_put(queue); /* the table's; the caller has its own */
	} else {
		if (status.bytes_max > (uint64_t)msg_limits[1] && !capable(thread, CAP_SYS_RESOURCE))
			return -EPERM;
		queue->bytes_max = status.bytes_max;
		ipc_set(&queue->object, &status.perm);
		queue->changed = ipc_now();
	}
	waitq_wake_all(&queue->wait);
	return 0;
}

static long on_queue(struct thread *thread, struct msg_queue *queue, int command, uint64_t address)
{
	struct msg_status status;

	if (command == IPC_SET_ || command == IPC_RMID_)
		return control(thread, queue, command, address);
	if (command != MSG_STAT_ANY_ && ipc_allowed(thread, &queue->object, 4))
		return -EACCES;
	status = (struct msg_status){.perm = ipc_perm(&queue->object),
	                             .sent = queue->sent,
	                             .received = queue->received,
	                             .changed = queue->changed,
	                             .bytes = queue->bytes,
	                             .count = queue->count,
	                             .bytes_max = queue->bytes_max,
	                             .sender = queue->sender,
	                             .receiver = queue->receiver};
	if (copy_to_user(thread, address, &status, sizeof(status)))
		return -EFAULT;
	return command == IPC_STAT_ ? 0 : queue->object.id;
}

long sys_msgctl(struct thread *thread, const uint64_t arguments[6])
{
	int id = (int)arguments[0], command = (int)arguments[1];
	bool by_place = command == MSG_STAT_ || command == MSG_STAT_ANY_;
	struct msg_queue *queue;
	long result;

	if (id < 0 || command < 0 || (command > IPC_INFO_ && command < MSG_STAT_) || command > MSG_STAT_ANY_)
		return -EINVAL;
	if (command == IPC_INFO_ || command == MSG_INFO_)
		return tell_limits(thread, arguments[2], command == MSG_INFO_);
	queue = (struct msg_queue *)(by_place ? ipc_at(&queues, (unsigned)id) : ipc_find(&queues, id));
	if (!queue)
		return -EINVAL;
	queue->references++;
	result = on_queue(thread, queue, command, arguments[2]);
	queue_put(queue);
	return result;
}

void msg_text(struct text *text)
{
	text_print(text, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  "
	                 "cgid      stime      rtime      ctime\n");
	for (int i = 0, end = ipc_highest(&queues); i <= end; i++) {
		const struct ipc_object *object = ipc_at(&queues, (unsigned)i);
		const struct msg_queue *queue = (const struct msg_queue *)object;

		if (object)
			text_print(text,
			           "%10d %10d  %4o  %10lu %10lu %5u %5u %5u %5u %5u %5u %10lu %10lu %10lu\n",
			           object->key, object->id, object->mode, queue->bytes, queue->count,
			           queue->sender, queue->receiver, object->uid, object->gid,
			           object->creator_uid, object->creator_gid, queue->sent, queue->received,
			           queue->changed);
	}
}
