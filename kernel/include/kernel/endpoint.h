/* SPDX-License-Identifier: MIT */
/*
 * Endpoints: where a message meets a receiver. The queue holds senders or receivers, never both.
 */
#pragma once

#include <kernel/inherit.h>
#include <kernel/queue.h>
#include <kernel/slot.h>
#include <kernel/thread.h>

struct endpoint {
	struct wait_queue senders;
	struct wait_queue receivers;
	uint64_t closed;
	struct thread *owner;       /* whom its senders lend their priority: inherit.h */
	uint32_t depths[CHAIN_MAX]; /* how many of the senders have that depth */
};
_Static_assert(sizeof(struct endpoint) <= 1 << 7, "Endpoint object");

static inline struct endpoint *endpoint_of_senders(struct wait_queue *senders)
{
	return (struct endpoint *)((char *)senders - offsetof(struct endpoint, senders));
}

/* The running thread sends; its message kind and badge are set in it. Delivers or queues; an error changed
 * nothing. */
enum error endpoint_send(struct endpoint *endpoint, struct thread *sender, deadline_t deadline);
/* The running thread receives; reply or NULL. A status of syscall.h; ERR_STATE, and nothing changed: the
 * Reply is busy. */
unsigned endpoint_recv(struct endpoint *endpoint, struct thread *receiver, struct reply *reply);
/* The object goes away. False: there is more to do. */
bool endpoint_destroy(struct endpoint *endpoint);
/* Wake one that is queued with ERR_CLOSED. False: there was none. */
bool endpoint_fail_one(struct endpoint *endpoint, bool receivers_too);
unsigned endpoint_invoke(struct thread *caller, struct slot *slot, unsigned operation);

unsigned syscall_call(struct thread *thread);
unsigned syscall_send(struct thread *thread);
unsigned syscall_recv(struct thread *thread);
