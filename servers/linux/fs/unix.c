/* SPDX-License-Identifier: MIT */
/*
 * Local sockets. Each has a queue of packets that it will read; who sends puts packets into the other's
 * queue. A packet of a stream may be read in parts, the others are read whole. Open files that were sent
 * along are in packets.
 */
#include "capability.h"
#include "fs/pipe.h"
#include "fs/poll.h"
#include "fs/unix.h"
#include "syscall.h"
#include <pith/startup.h>
#include <stdio.h>
#include <sys/resource.h>

#define BUFFER_SIZE  212992 /* Linux's default */
#define STREAM_PART  32768  /* bytes of a stream in one packet at most */
#define PACKETS_PART 4      /* of the heap, one part of so many for a user's packets */
#define BACKLOG_MAX  4096
#define NAMES_CHOSEN (1u << 20) /* that there are to choose from */
#define PACKET_EXTRA 64         /* what a packet counts besides its bytes */

static const struct file_operations socket_operations;
static struct socket *bound_sockets;

/* ---- life ---- */

static struct socket *socket_new(unsigned type)
{
	struct socket *socket = kept_alloc(sizeof(*socket));
	if (socket == NULL)
		return NULL;
	socket->references = 1;
	socket->type = type;
	socket->end = &socket->first;
	socket->pending_end = &socket->pending;
	socket->buffer_size = BUFFER_SIZE;
	return socket;
}

static struct socket *socket_get(struct socket *socket)
{
	socket->references++;
	return socket;
}

static void socket_put(struct socket *socket)
{
	if (socket == NULL || --socket->references > 0)
		return;
	waitq_wake_all(&socket->wait); /* whoever polls its peer */
	free(socket);
}

static size_t packet_bytes(const struct packet *packet)
{
	return sizeof(*packet) + packet->file_room * sizeof(packet->files[0]) + packet->size;
}

static void files_landed(struct packet *packet)
{
	user_discharge(packet->user, USER_FLIGHT, packet->in_flight);
	packet->in_flight = 0;
}

static void packet_free(struct packet *packet)
{
	files_landed(packet);
	user_discharge(packet->user, USER_PACKETS, packet_bytes(packet));
	free(packet);
}

/* Packets that nobody will read. Files in them may be sockets with packets: one after the other, not one
 * within the other. */
static struct packet *doomed;
static bool dropping;

void packets_drop(struct packet *list)
{
	while (list != NULL) {
		struct packet *packet = list;
		list = packet->next;
		packet->next = doomed;
		doomed = packet;
	}
	if (dropping)
		return;
	dropping = true;
	while (doomed != NULL) {
		struct packet *packet = doomed;
		doomed = packet->next;
		for (unsigned i = 0; i < packet->file_count; i++) {
			flight_end(packet->files[i]);
			file_put(packet->files[i]);
		}
		packet_free(packet);
	}
	dropping = false;
}

void socket_extra_drop(struct socket_extra *extra)
{
	for (unsigned i = 0; i < extra->file_count; i++)
		file_put(extra->files[i]);
	extra->file_count = 0;
}

static void forget_name(struct socket *socket)
{
	if (socket->bound_link == NULL)
		return;
	*socket->bound_link = socket->next_bound;
	if (socket->next_bound != NULL)
		socket->next_bound->bound_link = socket->bound_link;
	socket->bound_link = NULL;
	inode_put(socket->inode);
	dentry_put(socket->dentry);
	socket->inode = NULL;
	socket->dentry = NULL;
}

static void socket_close(struct socket *socket);

/* A connection that nobody will accept. */
static void embryo_drop(struct socket *embryo)
{
	embryo->peer->error = ECONNRESET;
	socket_close(embryo); /* has no pending ones itself */
	socket_put(embryo);
}

/* Its own end is gone: the other one reads what there is, then the end. */
static void socket_close(struct socket *socket)
{
	struct socket *peer = socket->peer;
	struct packet *packets = socket->first;
	socket->closed = socket->shut_read = socket->shut_write = true;
	forget_name(socket);
	if (peer != NULL && socket->type != TYPE_DATAGRAM) {
		peer->shut_read = peer->shut_write = true;
		if (packets != NULL)
			peer->error = ECONNRESET;
	}
	socket->first = NULL;
	socket->end = &socket->first;
	socket->queued = 0;
	while (socket->pending != NULL) {
		struct socket *embryo = socket->pending;
		socket->pending = embryo->next_pending;
		embryo_drop(embryo);
	}
	waitq_wake_all(&socket->wait);
	if (peer != NULL)
		waitq_wake_all(&peer->wait);
	socket->peer = NULL;
	socket_put(peer);
	packets_drop(packets);
}

static void socket_release(struct file *file)
{
	struct socket *socket = file->private;
	socket->file = NULL;
	socket_close(socket);
	socket_put(socket);
	if (!dropping) /* else once, at the end of it */
		flight_collect();
}

struct socket *socket_of_file(struct file *file)
{
	return file->operations == &socket_operations ? file->private : NULL;
}

static struct linux_ucred own_credentials(void)
{
	const struct process *process = current_thread()->process;
	return (struct linux_ucred){process->pid, process->credentials.euid, process->credentials.egid};
}

static int open_socket(struct socket *socket, unsigned flags, struct file **out)
{
	int error = anonymous_file(S_IFSOCK | 0777, O_RDWR | flags, &socket_operations, socket, out);
	if (error == 0)
		socket->file = *out;
	return error;
}

int socket_create(unsigned type, unsigned flags, struct file **out)
{
	struct socket *socket = socket_new(type);
	if (socket == NULL)
		return -ENOMEM;
	int error = open_socket(socket, flags, out);
	if (error != 0)
		socket_put(socket);
	return error;
}

static void join(struct socket *a, struct socket *b)
{
	a->peer = socket_get(b);
	b->peer = socket_get(a);
	a->connected = b->connected = true;
}

int socket_pair(unsigned type, unsigned flags, struct file *out[2])
{
	int error = socket_create(type, flags, &out[0]);
	if (error != 0)
		return error;
	error = socket_create(type, flags, &out[1]);
	if (error != 0) {
		file_put(out[0]);
		return error;
	}
	struct socket *a = out[0]->private, *b = out[1]->private;
	a->own = a->other = b->own = b->other = own_credentials();
	join(a, b);
	return 0;
}

/* ---- names ---- */

static struct socket *find_abstract(const struct socket_name *name, unsigned type)
{
	for (struct socket *socket = bound_sockets; socket != NULL; socket = socket->next_bound)
		if (socket->inode == NULL && socket->type == type && socket->name.length == name->length &&
		    memcmp(socket->name.path, name->path, name->length) == 0)
			return socket;
	return NULL;
}

static int find_by_name(struct thread *thread, const struct socket_name *name, unsigned type,
                        struct socket **out)
{
	struct socket *found = NULL;
	if (name->length == 0)
		return -EINVAL;
	if (name->path[0] == 0) {
		found = find_abstract(name, type);
	} else {
		struct dentry *dentry;
		int error = path_lookup(thread, AT_FDCWD_LINUX, name->path, LOOKUP_FOLLOW, &dentry);
		if (error != 0)
			return error;
		error = inode_permission(thread, dentry->inode, MAY_WRITE);
		for (struct socket *socket = bound_sockets; socket != NULL && error == 0;
		     socket = socket->next_bound)
			if (socket->inode == dentry->inode)
				found = socket;
		dentry_put(dentry);
		if (error != 0)
			return error;
	}
	if (found == NULL)
		return -ECONNREFUSED;
	if (found->type != type)
		return -EPROTOTYPE;
	*out = socket_get(found);
	return 0;
}

static int choose_name(struct socket_name *name, unsigned type)
{
	static unsigned next;
	unsigned last = next + NAMES_CHOSEN;
	do {
		if (next == last)
			return -ENOSPC;
		name->length = 6;
		name->path[0] = 0;
		snprintf(name->path + 1, sizeof(name->path) - 1, "%05x", next++ % NAMES_CHOSEN);
	} while (find_abstract(name, type) != NULL);
	return 0;
}

int socket_bind(struct thread *thread, struct socket *socket, const struct socket_name *name)
{
	struct socket_name own = *name;
	if (socket->name.length != 0)
		return own.length == 0 ? 0 : -EINVAL;
	if (own.length == 0 && choose_name(&own, socket->type) != 0)
		return -ENOSPC;
	if (own.path[0] == 0) {
		if (find_abstract(&own, socket->type) != NULL)
			return -EADDRINUSE;
	} else {
		struct dentry *dentry;
		int error = vfs_mknod(thread, AT_FDCWD_LINUX, own.path, S_IFSOCK | 0777, 0);
		if (error == 0)
			error = path_lookup(thread, AT_FDCWD_LINUX, own.path, 0, &dentry);
		if (error != 0)
			return error == -EEXIST ? -EADDRINUSE : error;
		if (socket->name.length != 0 || socket->closed || dentry->inode == NULL) {
			dentry_put(dentry);
			return -EINVAL; /* another thread was quicker */
		}
		socket->inode = inode_get(dentry->inode);
		socket->dentry = dentry;
	}
	socket->name = own;
	socket->next_bound = bound_sockets;
	socket->bound_link = &bound_sockets;
	if (bound_sockets != NULL)
		bound_sockets->bound_link = &socket->next_bound;
	bound_sockets = socket;
	return 0;
}

const struct socket_name *socket_name(const struct socket *socket)
{
	return &socket->name;
}

const struct socket *socket_peer(const struct socket *socket)
{
	return socket->peer;
}

/* ---- connections ---- */

int socket_listen(struct thread *thread, struct socket *socket, int backlog)
{
	(void)thread;
	if (socket->type == TYPE_DATAGRAM)
		return -EOPNOTSUPP;
	if (socket->name.length == 0 || socket->connected)
		return -EINVAL;
	socket->backlog = backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (unsigned)backlog;
	socket->listening = true;
	socket->own = own_credentials();
	waitq_wake_all(&socket->wait);
	return 0;
}

static deadline_t deadline_of(uint64_t timeout)
{
	return timeout != 0 ? syscall_deadline(current_thread(), timeout) : DEADLINE_NEVER;
}

/* With a timeout a call is not made again after a signal, as on Linux. */
static int wait_on(struct socket *socket, uint64_t timeout, deadline_t deadline)
{
	int error = waitq_wait(&socket->wait, true, deadline);
	if (error == -ETIMEDOUT)
		return -EAGAIN;
	return error == -EINTR && timeout == 0 ? -EINTR_RESTART : error;
}

static int connect_stream(struct socket *socket, struct socket *listener, bool wait)
{
	deadline_t deadline = deadline_of(socket->send_timeout);
	for (;;) {
		if (!listener->listening || listener->closed)
			return -ECONNREFUSED;
		if (listener->pending_count <= listener->backlog)
			break;
		if (!wait)
			return -EAGAIN;
		int error = wait_on(listener, socket->send_timeout, deadline);
		if (error != 0)
			return error;
	}
	if (socket->connected || socket->closed)
		return -EISCONN;
	struct socket *embryo = socket_new(socket->type);
	if (embryo == NULL)
		return -ENOMEM;
	embryo->name = listener->name;
	embryo->wants_credentials = listener->wants_credentials;
	embryo->own = socket->other = listener->own;
	embryo->other = socket->own = own_credentials();
	join(socket, embryo);
	*listener->pending_end = embryo;
	listener->pending_end = &embryo->next_pending;
	listener->pending_count++;
	waitq_wake_all(&listener->wait);
	waitq_wake_all(&socket->wait);
	return 0;
}

int socket_connect(struct thread *thread, struct file *file, const struct socket_name *name)
{
	struct socket *socket = file->private, *other = NULL;
	if (socket->type != TYPE_DATAGRAM) {
		if (name == NULL)
			return -EINVAL;
		if (socket->listening)
			return -EINVAL;
		if (socket->connected)
			return -EISCONN;
	}
	int error = name != NULL ? find_by_name(thread, name, socket->type, &other) : 0;
	if (error != 0)
		return error;
	if (socket->type != TYPE_DATAGRAM) {
		error = connect_stream(socket, other, !(file->flags & O_NONBLOCK));
	} else if (other != NULL && other->peer != NULL && other->peer != socket) {
		error = -EPERM;
	} else {
		struct socket *old = socket->peer;
		socket->peer = other;
		socket->connected = other != NULL;
		other = old;
	}
	socket_put(other);
	return error;
}

/* Back to where it was, unless nobody can accept it any more. */
static void accept_later(struct socket *socket, struct socket *embryo)
{
	if (socket->closed) {
		embryo_drop(embryo);
		return;
	}
	embryo->next_pending = socket->pending;
	if (socket->pending == NULL)
		socket->pending_end = &embryo->next_pending;
	socket->pending = embryo;
}

int socket_accept(struct file *file, unsigned flags, struct file **out)
{
	struct socket *socket = file->private;
	deadline_t deadline = deadline_of(socket->receive_timeout);
	if (socket->type == TYPE_DATAGRAM)
		return -EOPNOTSUPP;
	if (!socket->listening)
		return -EINVAL;
	while (socket->pending == NULL) {
		if (socket->shut_read)
			return -EINVAL;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		int error = wait_on(socket, socket->receive_timeout, deadline);
		if (error != 0)
			return error;
	}
	/* Out of the list first: making the file may wait, and others accept, or close. */
	struct socket *embryo = socket->pending;
	socket->pending = embryo->next_pending;
	if (socket->pending == NULL)
		socket->pending_end = &socket->pending;
	int error = open_socket(embryo, flags, out);
	if (error != 0) {
		accept_later(socket, embryo);
		return error;
	}
	socket->pending_count--;
	waitq_wake_all(&socket->wait);
	return 0;
}

int socket_shutdown(struct socket *socket, unsigned how)
{
	struct socket *peer = socket->type != TYPE_DATAGRAM ? socket->peer : NULL;
	if (how != 1) {
		socket->shut_read = true;
		if (peer != NULL)
			peer->shut_write = true;
	}
	if (how != 0) {
		socket->shut_write = true;
		if (peer != NULL)
			peer->shut_read = true;
	}
	waitq_wake_all(&socket->wait);
	if (peer != NULL)
		waitq_wake_all(&peer->wait);
	return 0;
}

/* ---- sending ---- */

static bool has_room(const struct socket *to, size_t size)
{
	return to->queued == 0 || to->queued + size + PACKET_EXTRA <= to->buffer_size;
}

/* As on Linux: who has more files in flight than may be open sends no more. */
static bool charge_files(struct packet *packet, const struct process *process, uint32_t uid)
{
	const struct credentials *own = &process->credentials;
	uint64_t limit = process->limits[RLIMIT_NOFILE].current;
	if (packet->file_room == 0)
		return true;
	if (has_capability(own, CAP_SYS_RESOURCE) || has_capability(own, CAP_SYS_ADMIN))
		limit = SIZE_MAX;
	else
		limit = (limit < FILE_TABLE_MAX ? limit : FILE_TABLE_MAX) + packet->file_room;
	if (user_charge(uid, USER_FLIGHT, packet->file_room, limit) == NULL)
		return false;
	packet->in_flight = packet->file_room;
	return true;
}

/* It counts from here on: its sender may wait long until there is room for it. */
static struct packet *packet_create(struct io_buffer *buffer, size_t size, unsigned file_count, int *error)
{
	const struct process *process = current_thread()->process;
	struct packet head = {.size = size, .file_room = file_count}, *packet = NULL;
	uint32_t uid = process->credentials.uid;
	size_t bytes = packet_bytes(&head);
	bool limited = !has_capability(&process->credentials, CAP_SYS_RESOURCE);
	head.user = user_charge(uid, USER_PACKETS, bytes, limited ? heap_part(PACKETS_PART) : SIZE_MAX);
	*error = -ENOBUFS;
	if (head.user == NULL)
		return NULL;
	if (!charge_files(&head, process, uid))
		flight_collect(); /* and once more */
	if (head.in_flight < file_count && !charge_files(&head, process, uid))
		*error = -ETOOMANYREFS;
	else
		packet = kept_malloc(bytes);
	if (packet == NULL) {
		files_landed(&head);
		user_discharge(head.user, USER_PACKETS, bytes);
		return NULL;
	}
	head.data = (uint8_t *)(packet->files + file_count);
	*packet = head;
	*error = io_copy_from(buffer, packet->data, size);
	if (*error == 0)
		return packet;
	packet_free(packet);
	return NULL;
}

static void attach(struct packet *packet, struct socket_extra *extra)
{
	memcpy(packet->files, extra->files, extra->file_count * sizeof(struct file *));
	packet->file_count = extra->file_count;
	for (unsigned i = 0; i < packet->file_count; i++)
		flight_begin(packet->files[i]);
	extra->file_count = 0;
}

static int broken(unsigned flags)
{
	return flags & MSG_NOSIGNAL_ ? -EPIPE : pipe_broken();
}

/* May the packet go there now? 0; 1: there is no room; -errno. */
static int may_send(const struct socket *socket, const struct socket *to, size_t size, unsigned flags)
{
	if (socket->shut_write)
		return broken(flags);
	if (socket->type == TYPE_DATAGRAM) {
		if (to->closed)
			return -ECONNREFUSED;
		if (to->peer != NULL && to->peer != socket)
			return -EPERM;
		if (to->shut_read)
			return broken(flags);
	} else if (to->closed) {
		return broken(flags);
	}
	return has_room(to, size) ? 0 : 1;
}

/* One packet, taken over in any case. */
static int deliver(struct socket *socket, struct socket *to, struct packet *packet,
                   struct socket_extra *extra, bool wait, unsigned flags)
{
	deadline_t deadline = deadline_of(socket->send_timeout);
	int error;
	while ((error = may_send(socket, to, packet->size, flags)) == 1) {
		error = wait ? wait_on(to, socket->send_timeout, deadline) : -EAGAIN;
		if (error != 0)
			break;
	}
	if (error != 0) {
		packet_free(packet);
		return error;
	}
	/* Nothing here waits: the socket could be closed meanwhile. */
	attach(packet, extra);
	packet->from = socket->name;
	packet->sender = extra->sender;
	*to->end = packet;
	to->end = &packet->next;
	to->queued += packet->size + PACKET_EXTRA;
	waitq_wake_for(&to->wait, WAKE_IN);
	return 0;
}

static ssize_t send_to(struct socket *socket, struct socket *to, struct io_buffer *buffer,
                       struct socket_extra *extra, bool wait, unsigned flags)
{
	bool stream = socket->type == TYPE_STREAM;
	ssize_t done = 0;
	if (!stream && buffer->size > socket->buffer_size - PACKET_EXTRA)
		return -EMSGSIZE;
	if (stream && buffer->size == 0)
		return 0;
	do {
		unsigned quiet = done > 0 ? flags | MSG_NOSIGNAL_ : flags;
		size_t size = stream && buffer->size > STREAM_PART ? STREAM_PART : buffer->size;
		int error = may_send(socket, to, size, quiet); /* before anything is copied */
		struct packet *packet = NULL;
		if (error >= 0 && !(error == 1 && !wait))
			packet = packet_create(buffer, size, extra->file_count, &error);
		else if (error == 1)
			error = -EAGAIN;
		if (packet != NULL)
			error = deliver(socket, to, packet, extra, wait, quiet);
		if (error != 0)
			return done > 0 ? done : error;
		done += (ssize_t)size;
	} while (buffer->size > 0);
	return done;
}

ssize_t socket_send(struct thread *thread, struct file *file, struct io_buffer *buffer,
                    const struct socket_name *name, struct socket_extra *extra, unsigned flags)
{
	struct socket *socket = file->private, *to = NULL;
	bool wait = !(file->flags & O_NONBLOCK || flags & MSG_DONTWAIT_);
	if (socket->type == TYPE_DATAGRAM && name != NULL) {
		int error = find_by_name(thread, name, socket->type, &to);
		if (error != 0)
			return error;
	} else if (name != NULL && socket->type == TYPE_STREAM) {
		return socket->connected ? -EISCONN : -EOPNOTSUPP;
	} else if (socket->peer == NULL) {
		return socket->shut_write ? broken(flags) : -ENOTCONN;
	} else {
		to = socket_get(socket->peer);
	}
	ssize_t result = send_to(socket, to, buffer, extra, wait, flags);
	socket_put(to);
	return result;
}

/* ---- receiving ---- */

static void take_files(struct packet *packet, struct socket_extra *extra, bool keep)
{
	extra->file_count = packet->file_count;
	for (unsigned i = 0; i < packet->file_count; i++) {
		extra->files[i] = keep ? file_get(packet->files[i]) : packet->files[i];
		if (!keep)
			flight_end(packet->files[i]);
	}
	if (keep)
		return;
	files_landed(packet);
	packet->file_count = 0;
}

static void first_done(struct socket *socket)
{
	struct packet *packet = socket->first;
	socket->first = packet->next;
	if (socket->first == NULL)
		socket->end = &socket->first;
	socket->queued -= packet->size + PACKET_EXTRA;
	packet->next = NULL;
	packets_drop(packet);
}

static bool same_sender(const struct linux_ucred *a, const struct linux_ucred *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* Of a stream: whatever there is, up to the end of what came with files, or from one sender, if that is to be
 * told. With the lock. */
static ssize_t take_stream(struct socket *socket, struct io_buffer *buffer, struct socket_extra *extra,
                           bool peek)
{
	ssize_t done = 0;
	struct packet *packet = socket->first;
	while (packet != NULL && buffer->size > 0 && extra->file_count == 0) {
		if (done > 0 && socket->wants_credentials && !same_sender(&extra->sender, &packet->sender))
			break;
		size_t part = packet->size - packet->taken;
		if (part > buffer->size)
			part = buffer->size;
		if (io_copy_to(buffer, packet->data + packet->taken, part) != 0)
			return done > 0 ? done : -EFAULT;
		if (done == 0) {
			extra->from = packet->from;
			extra->sender = packet->sender;
		}
		take_files(packet, extra, peek);
		done += (ssize_t)part;
		if (peek) {
			packet = packet->next;
			continue;
		}
		packet->taken += part;
		if (packet->taken == packet->size)
			first_done(socket);
		packet = socket->first;
	}
	return done;
}

static ssize_t take_packet(struct socket *socket, struct io_buffer *buffer, struct socket_extra *extra,
                           unsigned flags)
{
	struct packet *packet = socket->first;
	size_t size = packet->size < buffer->size ? packet->size : buffer->size;
	size_t whole = packet->size;
	int error = io_copy_to(buffer, packet->data, size);
	if (size < whole)
		extra->flags |= MSG_TRUNC_;
	extra->from = packet->from;
	extra->sender = packet->sender;
	if (error == 0)
		take_files(packet, extra, flags & MSG_PEEK_);
	if (!(flags & MSG_PEEK_))
		first_done(socket);
	return error != 0 ? error : (ssize_t)(flags & MSG_TRUNC_ ? whole : size);
}

/* Until there is something to read: 1; 0: the end; -errno */
static int wait_for_packet(struct file *file, unsigned flags, deadline_t deadline)
{
	struct socket *socket = file->private;
	while (socket->first == NULL) {
		if (socket->error != 0)
			return -socket_take_error(socket);
		if (socket->shut_read && (socket->type != TYPE_DATAGRAM || !(file->flags & O_NONBLOCK)))
			return 0;
		if (socket->type != TYPE_DATAGRAM && !socket->connected)
			return socket->type == TYPE_STREAM ? -EINVAL : -ENOTCONN;
		if (file->flags & O_NONBLOCK || flags & MSG_DONTWAIT_)
			return -EAGAIN;
		int error = wait_on(socket, socket->receive_timeout, deadline);
		if (error != 0)
			return error;
	}
	return 1;
}

ssize_t socket_receive(struct file *file, struct io_buffer *buffer, struct socket_extra *extra,
                       unsigned flags)
{
	struct socket *socket = file->private;
	bool stream = socket->type == TYPE_STREAM;
	deadline_t deadline = deadline_of(socket->receive_timeout);
	ssize_t done = 0;
	while (!stream || buffer->size > 0) {
		ssize_t part = wait_for_packet(file, flags, deadline);
		if (part <= 0)
			return done > 0 ? done : part;
		fiber_mutex_lock(&socket->read_lock);
		if (socket->first == NULL)
			part = -EAGAIN; /* another reader was quicker */
		else if (stream)
			part = take_stream(socket, buffer, extra, flags & MSG_PEEK_);
		else
			part = take_packet(socket, buffer, extra, flags);
		fiber_mutex_unlock(&socket->read_lock);
		waitq_wake_for(&socket->wait, WAKE_OUT); /* the peer's room */
		if (part == -EAGAIN)
			continue;
		if (part < 0)
			return done > 0 ? done : part;
		done += part;
		if (!stream || !(flags & MSG_WAITALL_) || flags & MSG_PEEK_ || extra->file_count > 0)
			break;
	}
	return done;
}

/* ---- as files ---- */

static ssize_t socket_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct socket_extra extra = {0};
	(void)position;
	unsigned flags = buffer->flags & O_NONBLOCK ? MSG_DONTWAIT_ : 0;
	ssize_t result = socket_receive(file, buffer, &extra, flags);
	socket_extra_drop(&extra);
	return result;
}

static ssize_t socket_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct socket_extra extra = {.sender = sender_of(current_thread())};
	(void)position;
	return socket_send(current_thread(), file, buffer, NULL, &extra,
	                   buffer->flags & O_NONBLOCK ? MSG_DONTWAIT_ : 0);
}

static unsigned socket_poll(struct file *file, struct poll_table *table)
{
	struct socket *socket = file->private, *peer = socket->peer;
	bool paired = socket->type != TYPE_DATAGRAM;
	unsigned events = 0;
	poll_wait_for(table, &socket->wait, WAKE_IN);
	if (peer != NULL)
		poll_wait_for(table, &peer->wait, WAKE_OUT);
	if (socket->error != 0)
		events |= POLLERR_;
	if (socket->first != NULL || socket->pending != NULL || socket->shut_read)
		events |= POLLIN_ | POLLRDNORM_;
	if (socket->shut_read)
		events |= POLLRDHUP_;
	if ((socket->shut_read && socket->shut_write) || (paired && !socket->connected && !socket->listening))
		events |= POLLHUP_;
	if (!socket->listening && (peer == NULL || peer->queued * 2 <= peer->buffer_size || peer->closed))
		events |= POLLOUT_ | POLLWRNORM_;
	return events;
}

static long socket_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	enum { INQ = 0x541b, OUTQ = 0x5411 };
	const struct socket *socket = file->private, *of = command == INQ ? socket : socket->peer;
	int count = 0;
	if (command != INQ && command != OUTQ)
		return -ENOTTY;
	if (socket->listening)
		return -EINVAL;
	for (const struct packet *packet = of != NULL ? of->first : NULL; packet != NULL;
	     packet = packet->next) {
		count += (int)(packet->size - packet->taken);
		if (command == INQ && socket->type == TYPE_DATAGRAM)
			break;
	}
	return copy_to_user(thread, argument, &count, sizeof(count));
}

static const struct file_operations socket_operations = {.read = socket_read,
                                                         .write = socket_write,
                                                         .poll = socket_poll,
                                                         .ioctl = socket_ioctl,
                                                         .release = socket_release};

/* ---- options ---- */

unsigned socket_type(const struct socket *socket)
{
	return socket->type;
}

bool socket_listening(const struct socket *socket)
{
	return socket->listening;
}

int socket_take_error(struct socket *socket)
{
	int error = socket->error;
	socket->error = 0;
	return error;
}

void socket_give_error(struct socket *socket, int error)
{
	socket->error = error;
}

struct linux_ucred socket_peer_credentials(const struct socket *socket)
{
	return socket->other.pid != 0 /* of datagrams: if it was made as one of two */
	               ? socket->other
	               : (struct linux_ucred){0, UINT32_MAX, UINT32_MAX};
}

bool *socket_wants_credentials(struct socket *socket)
{
	return &socket->wants_credentials;
}

size_t *socket_buffer_size(struct socket *socket)
{
	return &socket->buffer_size;
}

uint64_t *socket_timeout(struct socket *socket, bool send)
{
	return send ? &socket->send_timeout : &socket->receive_timeout;
}
