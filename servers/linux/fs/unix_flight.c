/* SPDX-License-Identifier: MIT */
/*
 * Sockets in flight. A socket may be in a packet that waits for itself, or two in each other's: when the last
 * descriptor is closed nobody can receive them any more, but they refer to each other. Whenever a socket is
 * closed, and when too many files are in flight, such rings are looked for, as Unix kernels do it: of the
 * sockets that have no references but those of packets, which are reached from outside?
 */
#include "fs/unix.h"

static struct socket *flying;

void flight_begin(struct file *file)
{
	struct socket *socket = socket_of_file(file);
	if (socket == NULL || socket->in_flight++ > 0)
		return;
	socket->next_flying = flying;
	socket->flying_link = &flying;
	if (flying != NULL)
		flying->flying_link = &socket->next_flying;
	flying = socket;
}

void flight_end(struct file *file)
{
	struct socket *socket = socket_of_file(file);
	if (socket == NULL || --socket->in_flight > 0)
		return;
	*socket->flying_link = socket->next_flying;
	if (socket->next_flying != NULL)
		socket->next_flying->flying_link = socket->flying_link;
}

/* Only packets refer to it. */
static bool is_candidate(const struct socket *socket)
{
	return socket->in_flight > 0 && socket->file->references == socket->in_flight;
}

typedef void visit(struct socket *socket);

static void visit_queue(const struct socket *socket, visit *each)
{
	for (const struct packet *packet = socket->first; packet != NULL; packet = packet->next)
		for (unsigned i = 0; i < packet->file_count; i++) {
			struct socket *inside = socket_of_file(packet->files[i]);
			if (inside != NULL && is_candidate(inside))
				each(inside);
		}
}

/* Candidates in what is queued for the socket, and for connections that it has not accepted yet. */
static void visit_queues(const struct socket *socket, visit *each)
{
	visit_queue(socket, each);
	for (const struct socket *embryo = socket->pending; embryo != NULL; embryo = embryo->next_pending)
		visit_queue(embryo, each);
}

static void count_inner(struct socket *socket)
{
	socket->inner++;
}

static struct socket *to_visit;

static void reach(struct socket *socket)
{
	if (socket->reached)
		return;
	socket->reached = true;
	socket->next_reached = to_visit;
	to_visit = socket;
}

static void take_packets(struct socket *socket, struct packet **list)
{
	*socket->end = *list;
	*list = socket->first;
	socket->first = NULL;
	socket->end = &socket->first;
	socket->queued = 0;
}

/* Who is out of reach loses its packets. */
static struct packet *take_lost(void)
{
	struct packet *lost = NULL;
	bool any = false;
	for (struct socket *socket = flying; socket != NULL; socket = socket->next_flying) {
		socket->inner = 0;
		socket->reached = false;
		any |= is_candidate(socket);
	}
	if (!any) /* as mostly */
		return NULL;
	for (struct socket *socket = flying; socket != NULL; socket = socket->next_flying)
		if (is_candidate(socket))
			visit_queues(socket, count_inner);
	for (struct socket *socket = flying; socket != NULL; socket = socket->next_flying)
		if (is_candidate(socket) && socket->inner < socket->in_flight)
			reach(socket);
	while (to_visit != NULL) {
		struct socket *socket = to_visit;
		to_visit = socket->next_reached;
		visit_queues(socket, reach);
	}
	for (struct socket *socket = flying; socket != NULL; socket = socket->next_flying) {
		if (!is_candidate(socket) || socket->reached)
			continue;
		take_packets(socket, &lost);
		for (struct socket *embryo = socket->pending; embryo != NULL; embryo = embryo->next_pending)
			take_packets(embryo, &lost);
	}
	return lost;
}

void flight_collect(void)
{
	for (struct packet *lost; flying != NULL && (lost = take_lost()) != NULL;)
		packets_drop(lost);
}
