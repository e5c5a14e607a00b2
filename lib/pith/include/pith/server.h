/* SPDX-License-Identifier: MIT */
/*
 * The loop of a server: waits for calls on its "service" Endpoint (if it has one) and for bits of its "events" Notification, and for the
 * next timer. Handlers run to completion; a call that must wait keeps its Reply (server_park) and is answered later.
 */
#pragma once

#include <pith/syscall.h>

struct server;
/* Answers by filling *message (the default: returned to the caller), unless it called server_park. */
typedef void server_call_handler(struct server *server, badge_t badge, struct message *message);
typedef void server_event_handler(struct server *server, uint64_t bits);
/* Called before every sleep; returns the next deadline. May set *poll to be called again at once. */
typedef deadline_t server_idle_handler(struct server *server, bool *poll);

struct server {
	server_call_handler *on_call;
	server_event_handler *on_event;
	server_idle_handler *on_idle;
	/* private */
	cptr_t endpoint, events, reply;
	bool parked;
};

/* Inside on_call: keep the caller waiting; the returned Reply is answered later with ipc_reply and then given back with
 * server_reply_free. */
cptr_t server_park(struct server *server);
void server_reply_free(struct server *server, cptr_t reply);
_Noreturn void server_run(struct server *server);
