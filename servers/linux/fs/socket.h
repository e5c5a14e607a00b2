/* SPDX-License-Identifier: MIT */
/* Local sockets (AF_UNIX): what the calls (socket.c) ask of the sockets themselves (unix.c). */
#pragma once

#include "fs/internal.h"

enum { FAMILY_UNSPECIFIED = 0, FAMILY_UNIX = 1 };
enum { TYPE_STREAM = 1, TYPE_DATAGRAM = 2, TYPE_SEQPACKET = 5 };
enum message_flags {
	MSG_PEEK_ = 2,
	MSG_CTRUNC_ = 8,
	MSG_TRUNC_ = 0x20,
	MSG_DONTWAIT_ = 0x40,
	MSG_EOR_ = 0x80,
	MSG_WAITALL_ = 0x100,
	MSG_NOSIGNAL_ = 0x4000,
	MSG_WAITFORONE_ = 0x10000,
	MSG_CMSG_CLOEXEC_ = 0x40000000,
};
#define SOCKET_PATH_MAX  108
#define SOCKET_FILES_MAX 253 /* of one message, as Linux's SCM_MAX_FD */

/* struct sockaddr_un without its family. An abstract name begins with NUL and may hold more of them; length
 * 0: none. */
struct socket_name {
	size_t length;
	char path[SOCKET_PATH_MAX];
};

struct linux_ucred {
	int32_t pid;
	uint32_t uid, gid;
};

/* Who a message is from, as the receiver is told: the real ids, whichever call sends it. */
struct linux_ucred sender_of(struct thread *thread);

/* What goes with the bytes of a message; who takes it owns the files. */
struct socket_extra {
	struct socket_name from;
	struct linux_ucred sender;
	unsigned file_count;
	struct file *files[SOCKET_FILES_MAX];
	unsigned flags; /* of a received message: MSG_TRUNC_, … */
};
void socket_extra_drop(struct socket_extra *extra);

struct socket;
int socket_create(unsigned type, unsigned flags, struct file **out);
int socket_pair(unsigned type, unsigned flags, struct file *out[2]);
struct socket *socket_of_file(struct file *file); /* NULL: it is none */

int socket_bind(struct thread *thread, struct socket *socket, const struct socket_name *name);
int socket_listen(struct thread *thread, struct socket *socket, int backlog);
/* name NULL: undo the connection of a datagram socket. */
int socket_connect(struct thread *thread, struct file *file, const struct socket_name *name);
int socket_accept(struct file *file, unsigned flags, struct file **out);
int socket_shutdown(struct socket *socket, unsigned how);
const struct socket_name *socket_name(const struct socket *socket);
const struct socket *socket_peer(const struct socket *socket); /* NULL: not connected */
/* to NULL: who it is connected to. extra: what is sent besides; its files are taken only on success. */
ssize_t socket_send(struct thread *thread, struct file *file, struct io_buffer *buffer,
                    const struct socket_name *to, struct socket_extra *extra, unsigned flags);
ssize_t socket_receive(struct file *file, struct io_buffer *buffer, struct socket_extra *extra,
                       unsigned flags);

/* options */
unsigned socket_type(const struct socket *socket);
bool socket_listening(const struct socket *socket);
int socket_take_error(struct socket *socket); /* errno, once */
void socket_give_error(struct socket *socket, int error);
struct linux_ucred socket_peer_credentials(const struct socket *socket);
bool *socket_wants_credentials(struct socket *socket);
size_t *socket_buffer_size(struct socket *socket);
uint64_t *socket_timeout(struct socket *socket, bool send); /* ns; 0: none */
