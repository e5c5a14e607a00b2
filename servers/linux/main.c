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
#include "times.h"
#include "vdso.h"
#include "vfs.h"

static struct {
	cptr_t service;
	struct fiber *receiver; /* NULL: a new one is needed */
} server;

/*
 * The kernel tells of a deadline when nobody calls; so that it is seen if always somebody does, every so many
 * calls look at the time.
 */
#define CALLS_WITHOUT_TIME 8

static void run_due(void)
{
	deadline_t next = deadline_next();
	uint64_t now;

	if (next == DEADLINE_NEVER)
		return;
	now = time_now();
	if (next > now)
		return;
	deadline_run(now);
	vfs_stir();
}

bool others_wait(void)
{
	return server.receiver == fiber_current() &&
	       (fiber_any_runnable() || counters->messages % CALLS_WITHOUT_TIME == 0);
}

void run_others(void)
{
	if (server.receiver != fiber_current())
		return;
	if (counters->messages % CALLS_WITHOUT_TIME == 0)
		run_due();
	while (fiber_any_runnable()) {
		vfs_stir();
		fiber_yield();
	}
}

/* Work that nobody signals for is done before the server sleeps. */
static deadline_t next_deadline(void)
{
	while (!vfs_prepare_sleep())
		vfs_events(0);
	return fiber_any_runnable() ? DEADLINE_POLL : deadline_next();
}

/* The thread whose answer the delivery holds then, or NULL: there is none. */
static struct thread *handle_message(struct fiber_context *context, badge_t badge, cptr_t reply,
                                     union delivery *delivery)
{
	struct kernel_thread *kernel = kernel_thread_of(badge);
	struct thread *thread;
	bool answer;

	if (!kernel || !kernel->thread) {
		log_error("message %x from thread number %lu, which is not in use",
		          message_label(delivery->info), badge);
		delivery->message = (struct message){.info = MESSAGE_INFO(REPLY_STOP, 0)};
		ipc_reply(reply, &delivery->message);
		reply_give(reply);
		return NULL;
	}
	thread = kernel->thread;
	context->thread = thread;
	answer = thread_serve(thread, reply, delivery);
	context->thread = NULL;
	return answer ? thread : NULL;
}

static void answer_alone(struct thread *thread, cptr_t reply, const union delivery *delivery)
{
	enum error error;

	thread_load_registers(thread);
	error = ipc_reply(reply, &delivery->message);
	if (error != ERR_NONE)
		log_error("thread %d: reply: %s", thread->tid, error_text(error));
	reply_give(reply);
	if (thread->private->yields)
		kernel_thread_yield(thread->private->kernel);
	thread->private->yields = false;
}

/*
 * Receives, and serves what it received itself: a call that does not wait costs no switch of fibers. While
 * one waits, another fiber receives; this one then has only to answer.
 */
static void receive_fiber(void *argument)
{
	struct fiber_context context;
	struct thread *thread = NULL; /* to be answered */
	cptr_t reply = reply_take();
	union delivery delivery;
	badge_t badge;
	int result;

	(void)argument;
	fiber_context_begin(&context, NULL);
	server.receiver = fiber_current();
	vfs_stir(); /* who received before waits */
	for (;;) {
		deadline_t deadline = next_deadline();

		if (thread) {
			thread_load_registers(thread);
			result = ipc_reply_recv(server.service, reply, CPTR_NULL, &delivery.message, &badge,
			                        deadline);
		} else {
			result = ipc_recv(server.service, reply, &delivery.message, &badge, deadline);
		}
		thread = NULL;
		if (result == ERR_NONE) {
			counters->messages++;
			thread = handle_message(&context, badge, reply, &delivery);
			if (server.receiver != context.fiber)
				break;
			if (!thread)
				reply = reply_take();
			continue;
		}
		if (result == RECV_NOTIFICATION) {
			counters->events++;
			vfs_events(badge);
		} else if (result != ERR_TIMEOUT) {
			fatal("receive: %s", error_text(result));
		}
		run_due();
		run_others();
	}
	if (thread)
		answer_alone(thread, reply, &delivery);
}

int main(void)
{
	/* Its own, made of its own memory: nobody but the threads that it starts has a capability to it. */
	server.service = object_create(OBJECT_ENDPOINT, 0);
	if (!server.service)
		fatal("out of kernel memory for the Endpoint");
	remote_attach();
	pages_init();
	vdso_init();
	kernel_threads_init(server.service);
	balance_init();
	fiber_spawn(start_fiber, NULL);
	for (;;) {
		if (!fiber_begin(receive_fiber, NULL))
			fatal("out of memory for fibers");
		fiber_run_all(); /* until the receiver waits */
		server.receiver = NULL;
	}
}
