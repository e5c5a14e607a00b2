/* SPDX-License-Identifier: MIT */
/*
 * The Linux personality server: start-up and event loop. One native thread receives the system calls, faults
 * and exceptions of all foreign threads on one Endpoint, and the signals of drivers and file systems on its
 * Notification.
 */
#include <string.h>
#include <pith/counters.h>
#include <pith/fiber.h>
#include <pith/log.h>
#include <pith/slots.h>
#include <pith/startup.h>
#include <pith/syscall.h>
#include "balance.h"
#include "deadline.h"
#include "fiber_context.h"
#include "mm.h"
#include "start.h"
#include "thread.h"
#include "vfs.h"

static struct {
	cptr_t service;
	cptr_t reply; /* for the next message */
} server;

static void run_others(void)
{
	deadline_run(time_now());
	fiber_run_all();
}

/* Work that nobody signals for is done before the server sleeps. */
static deadline_t next_deadline(void)
{
	while (!vfs_prepare_sleep()) {
		vfs_events(0);
		run_others();
	}
	return fiber_any_runnable() ? DEADLINE_POLL : deadline_next();
}

static enum service handle_message(badge_t badge, struct message *message)
{
	struct kernel_thread *kernel = kernel_thread_of(badge);
	enum service service;

	if (!kernel || !kernel->thread) {
		log_error("message %x from thread number %lu, which is not in use",
		          message_label(message->info), badge);
		*message = (struct message){.info = MESSAGE_INFO(REPLY_STOP, 0)};
		return SERVED;
	}
	service = thread_serve(kernel->thread, server.reply, message);
	if (service == SERVED_LATER)
		server.reply = reply_take();
	return service;
}

static _Noreturn void loop(void)
{
	enum service service = SERVED_LATER;
	deadline_t deadline = DEADLINE_POLL;
	struct message message;
	badge_t badge;
	int result;

	for (;;) {
		/* A quick call has changed nothing that anybody waits for. */
		if (service != SERVED_QUICKLY)
			deadline = next_deadline();
		if (service != SERVED_LATER)
			result = ipc_reply_recv(server.service, server.reply, CPTR_NULL, &message, &badge,
			                        deadline);
		else
			result = ipc_recv(server.service, server.reply, &message, &badge, deadline);
		service = SERVED_LATER;
		if (result == ERR_NONE) {
			counters->messages++;
			service = handle_message(badge, &message);
		} else if (result == RECV_NOTIFICATION) {
			counters->events++;
			vfs_events(badge);
		} else if (result != ERR_TIMEOUT) {
			fatal("receive: %s", error_text(result));
		}
		if (result != ERR_NONE || (deadline != DEADLINE_NEVER && deadline <= time_now())) {
			run_others();
			deadline = DEADLINE_POLL;
		}
	}
}

int main(void)
{
	/* Its own, made of its own memory: nobody but the threads that it starts has a capability to it. */
	server.service = object_create(OBJECT_ENDPOINT, 0);
	if (!server.service)
		fatal("out of kernel memory for the Endpoint");
	pages_init();
	kernel_threads_init(server.service);
	balance_init();
	server.reply = reply_take();
	fiber_spawn(start_fiber, NULL);
	fiber_run_all();
	loop();
}
