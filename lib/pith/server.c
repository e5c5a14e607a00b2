/* SPDX-License-Identifier: MIT */
/* The server loop: one thread, one Reply in use, the others parked by their handlers. */
#include <pith/counters.h>
#include <pith/log.h>
#include <pith/server.h>
#include <pith/slots.h>
#include <pith/startup.h>

cptr_t server_park(struct server *server)
{
	/* The loop goes on with a fresh Reply; the kernel parks the old one at the next receive. */
	cptr_t fresh = object_create(OBJECT_REPLY, 0);
	if (fresh == CPTR_NULL)
		return CPTR_NULL;
	cptr_t parked = server->reply;
	server->reply = fresh;
	server->parked = true;
	return parked;
}

void server_reply_free(struct server *server, cptr_t reply)
{
	(void)server;
	object_destroy(reply);
}

static deadline_t server_before_sleep(struct server *server)
{
	bool poll = false;
	deadline_t deadline = server->on_idle ? server->on_idle(server, &poll) : DEADLINE_NEVER;
	return poll ? DEADLINE_POLL : deadline;
}

static void server_find_capabilities(struct server *server)
{
	const struct startup_entry *service = startup_find("service", STARTUP_SERVICE, 0);
	server->endpoint = service ? service->slot : CPTR_NULL;
	server->events = startup_need("events", STARTUP_NOTIFICATION, 0)->slot;
	server->reply = CPTR_NULL;
	if (service) {
		server->reply = object_create(OBJECT_REPLY, 0);
		if (server->reply == CPTR_NULL)
			fatal("no memory for a Reply: the manifest must give this component Untyped");
	}
}

static void server_dispatch(struct server *server, int status, badge_t badge, struct message *message)
{
	if (status == RECV_NOTIFICATION) {
		counters->events++;
		if (server->on_event)
			server->on_event(server, badge);
	} else if (status == ERR_NONE) {
		counters->messages++;
		if (server->on_call)
			server->on_call(server, badge, message);
		else
			message->info = MESSAGE_INFO(0, 0);
	} else if (status != ERR_TIMEOUT && status != ERR_CANCELED) {
		fatal("receive: %s", error_text((enum error)status));
	}
}

/* Without an Endpoint only events arrive. */
static _Noreturn void server_run_events(struct server *server)
{
	for (;;) {
		uint64_t bits;
		enum error error = notification_wait(server->events, &bits, server_before_sleep(server));
		struct message unused = {0};
		server_dispatch(server, error == ERR_NONE ? RECV_NOTIFICATION : (int)error, bits, &unused);
	}
}

_Noreturn void server_run(struct server *server)
{
	server_find_capabilities(server);
	if (server->endpoint == CPTR_NULL)
		server_run_events(server);
	struct message message = {0};
	badge_t badge;
	bool answer = false;
	for (;;) {
		cptr_t before = server->reply;
		deadline_t deadline = server_before_sleep(server);
		int status =
		        answer ? ipc_reply_recv(server->endpoint, before, before, &message, &badge, deadline)
		               : ipc_recv(server->endpoint, before, &message, &badge, deadline);
		server->parked = false;
		if (answer && (status == ERR_STATE || status == ERR_NO_CAPABILITY)) {
			/* Nobody waits for this answer: it was sent without expecting one, or the caller is
			 * gone. */
			answer = false;
			continue;
		}
		server_dispatch(server, status, badge, &message);
		answer = status == ERR_NONE && !server->parked;
	}
}
