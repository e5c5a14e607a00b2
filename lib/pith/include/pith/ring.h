/* SPDX-License-Identifier: MIT */
/* Both ends of a request channel (<proto/ring.h>). */
#pragma once

#include <pith/startup.h>
#include <pith/syscall.h>
#include <proto/ring.h>

struct ring {
	struct ring_channel *channel;
	size_t size;          /* of the shared memory: what is read from the channel is checked against it */
	cptr_t signal;        /* Notification of the peer */
	unsigned bit;         /* of "events": the peer signals us */
	uint32_t slot_count, slot_size, slots_offset; /* private copies, checked once */
	bool server;
};

/* Client: initialises the channel if it is new; finds it as it was if this component was restarted (then slots that are not FREE
 * are still being served: ring_slot_state tells). false: the memory is too small. */
bool ring_client_attach(struct ring *ring, const struct startup_entry *entry, uint32_t slot_count, uint32_t slot_size);
/* Client: a FREE slot's memory, or NULL; *number identifies it. */
void *ring_slot_take(struct ring *ring, uint32_t *number);
void *ring_slot(struct ring *ring, uint32_t number); /* NULL: no such slot */
void ring_slot_release(struct ring *ring, uint32_t number);
/* Client: hand the slot to the server; signals it if it sleeps. */
void ring_submit(struct ring *ring, uint32_t number);
/* Client: the next completed slot; false: none now. */
bool ring_completed(struct ring *ring, uint32_t *number);

/* Server: waits for nothing; false: the client has not initialised the channel yet. After a restart, call `again` for every slot that was
 * SUBMITTED: they are yielded first by ring_next, each once. */
bool ring_server_attach(struct ring *ring, const struct startup_entry *entry);
/* Server: the next submitted slot; false: none now. */
bool ring_next(struct ring *ring, uint32_t *number);
void ring_complete(struct ring *ring, uint32_t number); /* signals the client if it sleeps */
/* Either side, before sleeping on "events": true if it may sleep (the peer will signal), false if there is work already. */
bool ring_prepare_sleep(struct ring *ring);
