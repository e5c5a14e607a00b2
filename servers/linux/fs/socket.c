/* SPDX-License-Identifier: MIT */
/* The calls on sockets. There is no network yet: only local sockets can be made. */
#include "capability.h"
#include "fs/socket.h"
#include "syscall.h"
#include "times.h"
#include <pith/log.h>
#include <pith/startup.h>

#define TYPE_MASK    15
#define FAMILY_SIZE  2
#define CONTROL_MAX  20480
#define LEVEL_SOCKET 1

enum { SCM_RIGHTS_ = 1, SCM_CREDENTIALS_ = 2 };

/* ---- arguments ---- */

static struct file *socket_file(struct thread *thread, uint64_t fd, long *error)
{
	struct file *file = file_of(thread, (int)fd);
	*error = file == NULL ? -EBADF : socket_of_file(file) == NULL ? -ENOTSOCK : 0;
	if (*error == 0)
		return file;
	file_put(file);
	return NULL;
}

static int name_from_user(struct thread *thread, uint64_t address, uint64_t size, struct socket_name *name)
{
	uint16_t family;
	*name = (struct socket_name){0};
	if (size < FAMILY_SIZE || size > FAMILY_SIZE + SOCKET_PATH_MAX)
		return -EINVAL;
	if (copy_from_user(thread, &family, address, sizeof(family)) != 0 ||
	    copy_from_user(thread, name->path, address + FAMILY_SIZE, size - FAMILY_SIZE) != 0)
		return -EFAULT;
	if (family != FAMILY_UNIX)
		return family == FAMILY_UNSPECIFIED ? -EAFNOSUPPORT : -EINVAL;
	name->length = size - FAMILY_SIZE;
	if (name->length == 0 || name->path[0] == 0)
		return 0;
	name->length = strnlen(name->path, name->length);
	if (name->length == SOCKET_PATH_MAX) /* no room for the NUL that paths have here */
		return -ENAMETOOLONG;
	return 0;
}

/* As much of it as there is room for; *size says how much there was. Of a message's sender: no name is
 * nothing at all. */
static int name_to_user(struct thread *thread, uint64_t address, uint64_t size_address,
                        const struct socket_name *name, bool sender)
{
	struct {
		uint16_t family;
		char path[SOCKET_PATH_MAX + 1];
	} out = {.family = FAMILY_UNIX};
	int32_t room, size = (int32_t)(FAMILY_SIZE + name->length + (name->length > 0 && name->path[0] != 0));
	if (copy_from_user(thread, &room, size_address, sizeof(room)) != 0)
		return -EFAULT;
	if (sender && name->length == 0)
		size = 0;
	if (room < 0)
		return -EINVAL;
	memcpy(out.path, name->path, name->length);
	if (copy_to_user(thread, address, &out, (size_t)(room < size ? room : size)) != 0)
		return -EFAULT;
	return copy_to_user(thread, size_address, &size, sizeof(size));
}

/* ---- making ---- */

static int check_kind(const uint64_t arguments[6], bool pair)
{
	static uint64_t logged;
	unsigned family = (unsigned)arguments[0], type = (unsigned)arguments[1] & TYPE_MASK;
	if ((unsigned)arguments[1] & ~(unsigned)(TYPE_MASK | O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	if (family != FAMILY_UNIX) {
		if (!pair && family < 64 && !(logged >> family & 1)) {
			logged |= 1ull << family;
			log_info("socket: address family %u is not supported", family);
		}
		return -EAFNOSUPPORT;
	}
	if ((int)arguments[2] != 0 && (int)arguments[2] != FAMILY_UNIX)
		return -EPROTONOSUPPORT;
	return type == TYPE_STREAM || type == TYPE_DATAGRAM || type == TYPE_SEQPACKET ? 0 : -ESOCKTNOSUPPORT;
}

long sys_socket(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file;
	int error = check_kind(arguments, false);
	if (error == 0)
		error = socket_create((unsigned)arguments[1] & TYPE_MASK, arguments[1] & O_NONBLOCK, &file);
	return error != 0 ? error : file_install(thread, file, arguments[1] & O_CLOEXEC);
}

/* The number cannot be told. Copying it may have waited: it may be another file's by now. */
static void take_back(struct thread *thread, int fd, const struct file *file)
{
	const uint64_t close[6] = {(uint64_t)fd};
	if (file_table_lookup(thread, fd) == file)
		sys_close(thread, close);
}

long sys_socketpair(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[1];
	struct file *files[2];
	int fds[2], error = check_kind(arguments, true);
	if (error == 0)
		error = socket_pair(flags & TYPE_MASK, flags & O_NONBLOCK, files);
	if (error != 0)
		return error;
	fds[0] = file_install(thread, file_get(files[0]), flags & O_CLOEXEC);
	fds[1] = file_install(thread, file_get(files[1]), flags & O_CLOEXEC);
	error = fds[0] < 0   ? fds[0]
	        : fds[1] < 0 ? fds[1]
	                     : copy_to_user(thread, arguments[3], fds, sizeof(fds));
	for (unsigned i = 0; i < 2; i++) {
		if (error != 0 && fds[i] >= 0)
			take_back(thread, fds[i], files[i]);
		file_put(files[i]);
	}
	return error;
}

/* ---- names and connections ---- */

long sys_bind(struct thread *thread, const uint64_t arguments[6])
{
	struct socket_name name;
	long error;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	error = name_from_user(thread, arguments[1], (uint32_t)arguments[2], &name);
	if (error == 0)
		error = socket_bind(thread, socket_of_file(file), &name);
	else if (error == -EAFNOSUPPORT)
		error = -EINVAL;
	file_put(file);
	return error;
}

long sys_connect(struct thread *thread, const uint64_t arguments[6])
{
	struct socket_name name;
	long error;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	error = name_from_user(thread, arguments[1], (uint32_t)arguments[2], &name);
	if (error == 0)
		error = socket_connect(thread, file, &name);
	else if (error == -EAFNOSUPPORT)
		error = socket_connect(thread, file, NULL);
	file_put(file);
	return error;
}

long sys_listen(struct thread *thread, const uint64_t arguments[6])
{
	long error;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	error = socket_listen(thread, socket_of_file(file), (int)arguments[1]);
	file_put(file);
	return error;
}

static const struct socket_name *peer_name(const struct socket *socket)
{
	static const struct socket_name none;
	return socket_peer(socket) != NULL ? socket_name(socket_peer(socket)) : &none;
}

long sys_accept4(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[3];
	struct file *connection;
	long error;
	if (flags & ~(unsigned)(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	error = file_room(thread);
	if (error == 0)
		error = socket_accept(file, flags & O_NONBLOCK, &connection);
	file_put(file);
	if (error != 0)
		return error;
	struct socket_name name = *peer_name(socket_of_file(connection));
	if (arguments[1] != 0)
		error = name_to_user(thread, arguments[1], arguments[2], &name, false);
	if (error != 0) {
		file_put(connection);
		return error;
	}
	return file_install(thread, connection, flags & O_CLOEXEC);
}

long sys_accept(struct thread *thread, const uint64_t arguments[6])
{
	const uint64_t with_flags[6] = {arguments[0], arguments[1], arguments[2]};
	return sys_accept4(thread, with_flags);
}

static long tell_name(struct thread *thread, const uint64_t arguments[6], bool peer)
{
	long error;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	const struct socket *socket = socket_of_file(file);
	if (peer && socket_peer(socket) == NULL) {
		error = -ENOTCONN;
	} else {
		struct socket_name name = *(peer ? peer_name(socket) : socket_name(socket));
		error = name_to_user(thread, arguments[1], arguments[2], &name, false);
	}
	file_put(file);
	return error;
}

long sys_getsockname(struct thread *thread, const uint64_t arguments[6])
{
	return tell_name(thread, arguments, false);
}

long sys_getpeername(struct thread *thread, const uint64_t arguments[6])
{
	return tell_name(thread, arguments, true);
}

long sys_shutdown(struct thread *thread, const uint64_t arguments[6])
{
	long error;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	error = arguments[1] > 2 ? -EINVAL : socket_shutdown(socket_of_file(file), (unsigned)arguments[1]);
	file_put(file);
	return error;
}

/* ---- messages ---- */

/* Flags that nobody knows are ignored, as on Linux; only out-of-band bytes are refused. */
#define REFUSED 1u /* MSG_OOB */

struct linux_ucred sender_of(struct thread *thread)
{
	const struct process *process = thread->process;
	return (struct linux_ucred){process->pid, process->credentials.uid, process->credentials.gid};
}

long sys_sendto(struct thread *thread, const uint64_t arguments[6])
{
	struct io_buffer buffer = {
	        .thread = thread, .user = arguments[1], .size = io_size_once(arguments[2])};
	struct socket_extra extra = {.sender = sender_of(thread)};
	struct socket_name name;
	long error;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	if (arguments[4] != 0)
		error = name_from_user(thread, arguments[4], (uint32_t)arguments[5], &name);
	if (arguments[3] & REFUSED)
		error = -EOPNOTSUPP;
	if (error == 0)
		error = socket_send(thread, file, &buffer, arguments[4] != 0 ? &name : NULL, &extra,
		                    (unsigned)arguments[3]);
	file_put(file);
	return error;
}

long sys_recvfrom(struct thread *thread, const uint64_t arguments[6])
{
	struct io_buffer buffer = {
	        .thread = thread, .user = arguments[1], .size = io_size_once(arguments[2])};
	struct socket_extra extra = {0};
	long error;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	if (arguments[3] & REFUSED)
		error = -EOPNOTSUPP;
	if (error == 0)
		error = socket_receive(file, &buffer, &extra, (unsigned)arguments[3]);
	file_put(file);
	socket_extra_drop(&extra);
	if (error >= 0 && arguments[4] != 0) {
		int failed = name_to_user(thread, arguments[4], arguments[5], &extra.from, true);
		error = failed != 0 ? failed : error;
	}
	return error;
}

/* struct msghdr and struct cmsghdr */
struct linux_message {
	uint64_t name;
	uint32_t name_size, padding1;
	uint64_t vector, vector_count, control, control_size;
	uint32_t flags, padding2;
};
struct linux_control {
	uint64_t size; /* with this header */
	int32_t level, type;
};

static size_t control_align(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

static int message_from_user(struct thread *thread, uint64_t address, struct linux_message *message,
                             struct linux_iovec **vector, struct io_buffer *buffer)
{
	*vector = NULL;
	if (copy_from_user(thread, message, address, sizeof(*message)) != 0)
		return -EFAULT;
	if (message->vector_count > IO_VECTOR_MAX)
		return -EMSGSIZE;
	if (message->name != 0 && (int32_t)message->name_size < 0)
		return -EINVAL;
	return io_vector_from_user(thread, message->vector, message->vector_count, vector, buffer);
}

static int take_rights(struct thread *thread, const int32_t *fds, size_t count, struct socket_extra *extra)
{
	if (count > SOCKET_FILES_MAX - extra->file_count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		struct file *file = file_of_any(thread, fds[i]);
		if (file == NULL)
			return -EBADF;
		extra->files[extra->file_count++] = file;
	}
	return 0;
}

static int take_credentials(struct thread *thread, const struct linux_ucred *given,
                            struct socket_extra *extra)
{
	const struct credentials *own = &thread->process->credentials;
	if ((given->pid != thread->process->pid && !capable(thread, CAP_SYS_ADMIN)) ||
	    (given->uid != own->uid && given->uid != own->euid && given->uid != own->suid &&
	     !capable(thread, CAP_SETUID)) ||
	    (given->gid != own->gid && given->gid != own->egid && given->gid != own->sgid &&
	     !capable(thread, CAP_SETGID)))
		return -EPERM;
	if (process_find(given->pid) == NULL)
		return -ESRCH;
	extra->sender = *given;
	return 0;
}

static int read_control(struct thread *thread, const uint8_t *control, size_t size,
                        struct socket_extra *extra)
{
	for (size_t at = 0; size - at >= sizeof(struct linux_control);) {
		struct linux_control header;
		memcpy(&header, control + at, sizeof(header));
		if (header.size < sizeof(header) || header.size > size - at)
			return -EINVAL;
		const void *data = control + at + sizeof(header);
		size_t length = header.size - sizeof(header);
		int error = 0;
		if (header.level == LEVEL_SOCKET && header.type == SCM_RIGHTS_)
			error = take_rights(thread, data, length / sizeof(int32_t), extra);
		else if (header.level == LEVEL_SOCKET && header.type == SCM_CREDENTIALS_)
			error = length == sizeof(struct linux_ucred) ? take_credentials(thread, data, extra)
			                                             : -EINVAL;
		else if (header.level == LEVEL_SOCKET)
			error = -EINVAL;
		if (error != 0)
			return error;
		if (control_align(header.size) >= size - at)
			break;
		at += control_align(header.size);
	}
	return 0;
}

static int control_from_user(struct thread *thread, const struct linux_message *message,
                             struct socket_extra *extra)
{
	if (message->control == 0 || message->control_size == 0)
		return 0;
	if (message->control_size > CONTROL_MAX)
		return -ENOBUFS;
	uint8_t *control = malloc(message->control_size);
	if (control == NULL)
		return -ENOMEM;
	int error = copy_from_user(thread, control, message->control, message->control_size);
	if (error == 0)
		error = read_control(thread, control, message->control_size, extra);
	free(control);
	return error;
}

/* *left: bytes of the message that were not sent */
static long send_message(struct thread *thread, struct file *file, uint64_t address, unsigned flags,
                         size_t *left)
{
	struct linux_message message;
	struct linux_iovec *vector;
	struct io_buffer buffer;
	struct socket_name name;
	struct socket_extra extra = {.sender = sender_of(thread)};
	long error = message_from_user(thread, address, &message, &vector, &buffer);
	bool named = error == 0 && message.name != 0 && message.name_size != 0;
	if (named)
		error = name_from_user(thread, message.name, message.name_size, &name);
	if (error == 0)
		error = control_from_user(thread, &message, &extra);
	if (error == 0 && flags & REFUSED)
		error = -EOPNOTSUPP;
	if (error == 0)
		error = socket_send(thread, file, &buffer, named ? &name : NULL, &extra, flags);
	*left = buffer.size;
	socket_extra_drop(&extra);
	free(vector);
	return error;
}

long sys_sendmsg(struct thread *thread, const uint64_t arguments[6])
{
	long result;
	size_t left;
	struct file *file = socket_file(thread, arguments[0], &result);
	if (file == NULL)
		return result;
	result = send_message(thread, file, arguments[1], (unsigned)arguments[2], &left);
	file_put(file);
	return result;
}

/* Where what comes behind it begins. */
static uint64_t control_end(const struct linux_message *message, uint64_t used)
{
	uint64_t end = control_align(used);
	return end < message->control_size ? end : message->control_size;
}

/* Into the control buffer, if there is room for it. *used: how much of it was filled. */
static int put_control(struct thread *thread, const struct linux_message *message, uint64_t *used, int type,
                       const void *data, size_t size, unsigned *flags)
{
	struct linux_control header = {.size = sizeof(header) + size, .level = LEVEL_SOCKET, .type = type};
	if (message->control == 0 || message->control_size < *used + header.size) {
		*flags |= MSG_CTRUNC_;
		return 0;
	}
	if (copy_to_user(thread, message->control + *used, &header, sizeof(header)) != 0 ||
	    copy_to_user(thread, message->control + *used + sizeof(header), data, size) != 0)
		return -EFAULT;
	*used = control_end(message, *used + header.size);
	return 0;
}

/* The files become descriptors, as many as there is room for, and as can be told. */
static void put_rights(struct thread *thread, const struct linux_message *message, uint64_t *used,
                       struct socket_extra *extra, bool close_on_exec)
{
	struct linux_control header = {.level = LEVEL_SOCKET, .type = SCM_RIGHTS_};
	uint64_t at = message->control + *used, told = at + sizeof(header);
	unsigned count = 0;
	uint64_t room = message->control != 0 && message->control_size > *used + sizeof(header)
	                        ? (message->control_size - *used - sizeof(header)) / sizeof(int32_t)
	                        : 0;
	for (; count < extra->file_count && count < room; count++, told += sizeof(int32_t)) {
		struct file *file = extra->files[count];
		int32_t fd = file_install(thread, file_get(file), close_on_exec);
		if (fd < 0)
			break;
		if (copy_to_user(thread, told, &fd, sizeof(fd)) != 0) {
			take_back(thread, fd, file);
			break;
		}
	}
	if (count < extra->file_count)
		extra->flags |= MSG_CTRUNC_;
	header.size = told - at;
	if (count > 0 && copy_to_user(thread, at, &header, sizeof(header)) == 0)
		*used = control_end(message, *used + header.size);
}

static int message_to_user(struct thread *thread, uint64_t address, struct linux_message *message,
                           struct socket *socket, struct socket_extra *extra, bool close_on_exec)
{
	uint64_t used = 0;
	int error = 0;
	if (message->name != 0)
		error = name_to_user(thread, message->name,
		                     address + offsetof(struct linux_message, name_size), &extra->from, true);
	else if (copy_to_user(thread, address + offsetof(struct linux_message, name_size), &(uint32_t){0},
	                      4) != 0)
		error = -EFAULT;
	if (error == 0 && *socket_wants_credentials(socket))
		error = put_control(thread, message, &used, SCM_CREDENTIALS_, &extra->sender,
		                    sizeof(extra->sender), &extra->flags);
	if (error == 0 && extra->file_count > 0)
		put_rights(thread, message, &used, extra, close_on_exec);
	uint32_t flags = extra->flags | (close_on_exec ? MSG_CMSG_CLOEXEC_ : 0);
	if (error == 0 && (copy_to_user(thread, address + offsetof(struct linux_message, control_size), &used,
	                                sizeof(used)) != 0 ||
	                   copy_to_user(thread, address + offsetof(struct linux_message, flags), &flags,
	                                sizeof(flags)) != 0))
		error = -EFAULT;
	return error;
}

static long receive_message(struct thread *thread, struct file *file, uint64_t address, unsigned flags)
{
	struct linux_message message;
	struct linux_iovec *vector;
	struct io_buffer buffer;
	struct socket_extra extra = {0};
	long result = message_from_user(thread, address, &message, &vector, &buffer);
	if (result == 0 && flags & REFUSED)
		result = -EOPNOTSUPP;
	if (result == 0)
		result = socket_receive(file, &buffer, &extra, flags);
	if (result >= 0) {
		int error = message_to_user(thread, address, &message, socket_of_file(file), &extra,
		                            flags & MSG_CMSG_CLOEXEC_);
		result = error != 0 ? error : result;
	}
	socket_extra_drop(&extra);
	free(vector);
	return result;
}

long sys_recvmsg(struct thread *thread, const uint64_t arguments[6])
{
	long result;
	struct file *file = socket_file(thread, arguments[0], &result);
	if (file == NULL)
		return result;
	result = receive_message(thread, file, arguments[1], (unsigned)arguments[2]);
	file_put(file);
	return result;
}

/* ---- several messages ---- */

#define MESSAGES_MAX 1024 /* of one call */

/* struct mmsghdr */
struct linux_messages {
	struct linux_message message;
	uint32_t size, padding;
};

static int put_size(struct thread *thread, uint64_t address, long size)
{
	uint32_t value = (uint32_t)size;
	return copy_to_user(thread, address + offsetof(struct linux_messages, size), &value, sizeof(value));
}

long sys_sendmmsg(struct thread *thread, const uint64_t arguments[6])
{
	unsigned count = (unsigned)arguments[2] < MESSAGES_MAX ? (unsigned)arguments[2] : MESSAGES_MAX,
	         done = 0;
	uint64_t at = arguments[1];
	size_t left = 0;
	long result;
	struct file *file = socket_file(thread, arguments[0], &result);
	if (file == NULL)
		return result;
	for (; done < count && left == 0; at += sizeof(struct linux_messages)) {
		result = send_message(thread, file, at, (unsigned)arguments[3], &left);
		if (result >= 0)
			result = put_size(thread, at, result);
		if (result < 0)
			break;
		done++;
		syscall_deadline_done(thread);
	}
	file_put(file);
	return done > 0 ? (long)done : result;
}

/* *done: how many. The time is looked at between messages, as on Linux: none ends the wait for one. */
static long receive_messages(struct thread *thread, struct file *file, const uint64_t arguments[6],
                             deadline_t deadline, unsigned *done)
{
	unsigned flags = (unsigned)arguments[3];
	unsigned count = (unsigned)arguments[2] < MESSAGES_MAX ? (unsigned)arguments[2] : MESSAGES_MAX;
	for (uint64_t at = arguments[1]; *done < count; at += sizeof(struct linux_messages)) {
		long result = receive_message(thread, file, at, flags & ~(unsigned)MSG_WAITFORONE_);
		if (result >= 0)
			result = put_size(thread, at, result);
		if (result < 0)
			return result;
		++*done;
		syscall_deadline_done(thread);
		if (flags & MSG_WAITFORONE_)
			flags |= MSG_DONTWAIT_;
		if (deadline != DEADLINE_NEVER && time_now() >= deadline)
			break;
	}
	return 0;
}

static int put_time_left(struct thread *thread, uint64_t address, deadline_t deadline)
{
	uint64_t now = time_now(), left = deadline > now ? deadline - now : 0;
	struct timespec time = ns_to_timespec(left);
	return copy_to_user(thread, address, &time, sizeof(time));
}

long sys_recvmmsg(struct thread *thread, const uint64_t arguments[6])
{
	deadline_t deadline = DEADLINE_NEVER;
	unsigned done = 0;
	long result;
	struct timespec timeout;
	uint64_t time;
	if (arguments[4] != 0) {
		if (copy_from_user(thread, &timeout, arguments[4], sizeof(timeout)) != 0)
			return -EFAULT;
		if (!timespec_to_ns(&timeout, &time))
			return -EINVAL;
		uint64_t now = time_now();
		deadline = time < DEADLINE_NEVER - now ? now + time : DEADLINE_NEVER;
	}
	struct file *file = socket_file(thread, arguments[0], &result);
	if (file == NULL)
		return result;
	struct socket *socket = socket_of_file(file);
	result = -socket_take_error(socket);
	if (result == 0)
		result = receive_messages(thread, file, arguments, deadline, &done);
	/* the next call tells it */
	if (done > 0 && (result == -EFAULT || result == -EMSGSIZE || result == -ENOMEM))
		socket_give_error(socket, (int)-result);
	file_put(file);
	if (done > 0 && arguments[4] != 0 && put_time_left(thread, arguments[4], deadline) != 0)
		return -EFAULT;
	return done > 0 ? (long)done : result;
}

/* ---- options ---- */

enum socket_options {
	OPTION_REUSEADDR = 2,
	OPTION_TYPE = 3,
	OPTION_ERROR = 4,
	OPTION_BROADCAST = 6,
	OPTION_SNDBUF = 7,
	OPTION_RCVBUF = 8,
	OPTION_KEEPALIVE = 9,
	OPTION_LINGER = 13,
	OPTION_PASSCRED = 16,
	OPTION_PEERCRED = 17,
	OPTION_RCVTIMEO = 20,
	OPTION_SNDTIMEO = 21,
	OPTION_ACCEPTCONN = 30,
	OPTION_PROTOCOL = 38,
	OPTION_DOMAIN = 39,
};
#define BUFFER_MIN 4608
#define BUFFER_MAX 425984

static int set_option(struct thread *thread, struct socket *socket, unsigned option, uint64_t address,
                      uint64_t size)
{
	struct linux_timespec time; /* struct timeval */
	int32_t value;
	if (option == OPTION_RCVTIMEO || option == OPTION_SNDTIMEO) {
		if (size < sizeof(time))
			return -EINVAL;
		if (copy_from_user(thread, &time, address, sizeof(time)) != 0)
			return -EFAULT;
		if (time.nanoseconds < 0 || time.nanoseconds >= 1000000)
			return -EDOM;
		bool forever = time.seconds < 0 || (uint64_t)time.seconds > UINT64_MAX / 2000000000;
		*socket_timeout(socket, option == OPTION_SNDTIMEO) =
		        forever ? 0 : (uint64_t)time.seconds * 1000000000 + (uint64_t)time.nanoseconds * 1000;
		return 0;
	}
	if (size < sizeof(value))
		return -EINVAL;
	if (copy_from_user(thread, &value, address, sizeof(value)) != 0)
		return -EFAULT;
	switch (option) {
	case OPTION_PASSCRED:
		*socket_wants_credentials(socket) = value != 0;
		return 0;
	case OPTION_RCVBUF: /* what is on its way counts at the receiver: both are one here */
	case OPTION_SNDBUF:
		value = value < 0 || value > BUFFER_MAX / 2 ? BUFFER_MAX : value * 2;
		*socket_buffer_size(socket) = value < BUFFER_MIN ? BUFFER_MIN : (size_t)value;
		return 0;
	case OPTION_REUSEADDR: /* without a meaning for local sockets */
	case OPTION_BROADCAST:
	case OPTION_KEEPALIVE:
	case OPTION_LINGER:
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

long sys_setsockopt(struct thread *thread, const uint64_t arguments[6])
{
	long error;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	if ((int)arguments[4] < 0)
		error = -EINVAL;
	else if ((int)arguments[1] != LEVEL_SOCKET)
		error = -EOPNOTSUPP;
	else
		error = set_option(thread, socket_of_file(file), (unsigned)arguments[2], arguments[3],
		                   arguments[4]);
	file_put(file);
	return error;
}

union option_value {
	int32_t number;
	struct linux_ucred credentials;
	struct linux_timespec time;
	int32_t linger[2];
};

/* Its size, or -errno */
static int get_option(struct socket *socket, unsigned option, union option_value *out)
{
	uint64_t timeout;
	*out = (union option_value){.linger = {0}};
	switch (option) {
	case OPTION_TYPE:
		out->number = (int32_t)socket_type(socket);
		break;
	case OPTION_ERROR:
		out->number = socket_take_error(socket);
		break;
	case OPTION_SNDBUF:
	case OPTION_RCVBUF:
		out->number = (int32_t)*socket_buffer_size(socket);
		break;
	case OPTION_PASSCRED:
		out->number = *socket_wants_credentials(socket);
		break;
	case OPTION_ACCEPTCONN:
		out->number = socket_listening(socket);
		break;
	case OPTION_DOMAIN:
		out->number = FAMILY_UNIX;
		break;
	case OPTION_PROTOCOL:
	case OPTION_REUSEADDR:
	case OPTION_BROADCAST:
	case OPTION_KEEPALIVE:
		break;
	case OPTION_LINGER:
		return sizeof(out->linger);
	case OPTION_PEERCRED:
		out->credentials = socket_peer_credentials(socket);
		return sizeof(out->credentials);
	case OPTION_RCVTIMEO:
	case OPTION_SNDTIMEO:
		timeout = *socket_timeout(socket, option == OPTION_SNDTIMEO);
		out->time = (struct linux_timespec){(int64_t)(timeout / 1000000000),
		                                    (int64_t)(timeout % 1000000000 / 1000)};
		return sizeof(out->time);
	default:
		return -ENOPROTOOPT;
	}
	return sizeof(out->number);
}

long sys_getsockopt(struct thread *thread, const uint64_t arguments[6])
{
	union option_value value;
	int32_t room, size = 0;
	long error;
	struct file *file = socket_file(thread, arguments[0], &error);
	if (file == NULL)
		return error;
	if ((int)arguments[1] != LEVEL_SOCKET)
		error = -EOPNOTSUPP;
	else if (copy_from_user(thread, &room, arguments[4], sizeof(room)) != 0)
		error = -EFAULT;
	else if (room < 0)
		error = -EINVAL;
	else
		error = size = get_option(socket_of_file(file), (unsigned)arguments[2], &value);
	file_put(file);
	if (error < 0)
		return error;
	if (room < size)
		size = room;
	if (copy_to_user(thread, arguments[3], &value, (size_t)size) != 0 ||
	    copy_to_user(thread, arguments[4], &size, sizeof(size)) != 0)
		return -EFAULT;
	return 0;
}
