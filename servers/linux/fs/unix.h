/* SPDX-License-Identifier: MIT */
/* Local sockets and what is queued for them: unix.c, and unix_flight.c, which looks for those out of reach.
 */
#pragma once

#include "fs/socket.h"

struct packet {
	struct packet *next;
	struct user *user; /* whom it counts for */
	size_t size, taken;
	struct linux_ucred sender;
	struct socket_name from;
	unsigned file_count;
	unsigned file_room, in_flight; /* that there was to be room for; that are counted */
	uint8_t *data;                 /* behind the files */
	struct file *files[];
};

struct socket {
	unsigned references; /* of its file, its peer, those that wait for it */
	unsigned type;
	bool closed, listening, connected;
	bool shut_read, shut_write;
	bool wants_credentials;
	int error;
	struct socket *peer; /* a reference; of datagrams: where they go by default */
	struct socket_name name;
	struct inode *inode;                     /* that the name is of: a reference */
	struct dentry *dentry;                   /* and its name, which keeps what is mounted there busy */
	struct socket *next_bound, **bound_link; /* of those that were given names */
	struct linux_ucred own, other;           /* who made it, connected it or listens; and its peer's */
	struct packet *first, **end;
	size_t queued, buffer_size;
	struct socket *pending, **pending_end, *next_pending; /* connections to be accepted */
	unsigned pending_count, backlog;
	uint64_t receive_timeout, send_timeout;
	/* unix_flight.c */
	struct file *file;  /* no reference; NULL: nobody has opened it yet, or any more */
	unsigned in_flight; /* how often it is in packets */
	unsigned inner;     /* of these, in packets of sockets that may be out of reach */
	bool reached;
	struct socket *next_flying, **flying_link, *next_reached;
	struct fiber_mutex read_lock;
	struct waitq wait; /* whoever waits for a change of it */
};

void packets_drop(struct packet *list);
/* The file goes into a packet, or comes out of one. */
void flight_begin(struct file *file);
void flight_end(struct file *file);
/* Sockets that only packets refer to which nobody can receive any more lose their packets, and so go. May
 * wait. */
void flight_collect(void);
