/* SPDX-License-Identifier: MIT */
/*
 * The Linux personality server: start-up and event loop. One native thread receives the system calls, faults
 * and exceptions of all foreign threads on one Endpoint, and the signals of drivers and file systems on its
 * Notification.
 */
#include <string.h>
#include <pith/fiber.h>
#include <pith/log.h>
#include <pith/slots.h>
#include <pith/startup.h>
#include <pith/syscall.h>
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

/* true: *message is the answer for the caller in server.reply. */
static bool handle_message(badge_t badge, struct message *message)
{
	struct kernel_thread *kernel = kernel_thread_of(badge);

	if (!kernel || !kernel->thread) {
		log_error("message %x from thread number %lu, which is not in use",
		          message_label(message->info), badge);
		*message = (struct message){.info = MESSAGE_INFO(REPLY_STOP, 0)};
		return true;
	}
	if (thread_serve(kernel->thread, server.reply, message))
		return true;
	server.reply = reply_take();
	return false;
}

static _Noreturn void loop(void)
{
	struct message message;
	bool answer = false;
	badge_t badge;
	int result;

	for (;;) {
		deadline_t deadline = next_deadline();

		if (answer)
			result = ipc_reply_recv(server.service, server.reply, CPTR_NULL, &message, &badge,
			                        deadline);
		else
			result = ipc_recv(server.service, server.reply, &message, &badge, deadline);
		answer = false;
		if (result == ERR_NONE)
			answer = handle_message(badge, &message);
		else if (result == RECV_NOTIFICATION)
			vfs_events(badge);
		else if (result != ERR_TIMEOUT)
			fatal("receive: %s", error_text(result));
		if (result != ERR_NONE || deadline_next() <= time_now())
			run_others();
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
	server.reply = reply_take();
	fiber_spawn(start_fiber, NULL);
	fiber_run_all();
	loop();
}
