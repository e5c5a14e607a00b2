/* SPDX-License-Identifier: MIT */
/* Both ends of a request channel (<proto/ring.h>). */
#pragma once

#include <pith/startup.h>
#include <pith/syscall.h>
#include <proto/ring.h>

#define RING_CHANNEL_SLOTS (RING_SLOTS_MAX / 2) /* the rest of a queue is for entries repeated after a restart */

struct ring {
	struct ring_channel *channel;
	const struct startup_entry *entry;
	size_t size;          /* of the shared memory: what is read from the channel is checked against it */
	cptr_t signal;        /* Notification of the peer */
	unsigned bit;         /* of "events": the peer signals us */
	uint32_t slot_count, slot_size, slots_offset; /* private copies, checked once */
	bool server;
	uint64_t taken[RING_SLOTS_MAX / 64]; /* client: not free for ring_slot_take */
	uint64_t held[RING_SLOTS_MAX / 64];  /* client: submitted; server: yielded by ring_next and not completed */
	uint64_t again[RING_SLOTS_MAX / 64]; /* found after a restart, yielded first */
};

/* Client: initialises the channel if it is new; finds it as it was if this component was restarted (then slots that are not FREE
 * are still being served: ring_slot_state tells, and ring_completed reports their ends as usual). false: the memory is too small or
 * there are more than RING_CHANNEL_SLOTS slots. Slot sizes are multiples of 8. */
bool ring_client_attach(struct ring *ring, const struct startup_entry *entry, uint32_t slot_count, uint32_t slot_size);
/* Client: a FREE slot's memory, or NULL; *number identifies it. */
void *ring_slot_take(struct ring *ring, uint32_t *number);
void *ring_slot(struct ring *ring, uint32_t number); /* NULL: no such slot */
enum ring_slot_state ring_slot_state(struct ring *ring, uint32_t number);
/* The peer crashed too often and stays away: nothing submitted will complete. Its bit of "events" was signalled. */
bool ring_peer_failed(const struct ring *ring);
void ring_slot_release(struct ring *ring, uint32_t number);
/* Client: hand the slot to the server; signals it if it sleeps. */
void ring_submit(struct ring *ring, uint32_t number);
/* Client: the next completed slot; false: none now. */
bool ring_completed(struct ring *ring, uint32_t *number);

/* Server: waits for nothing; false: the client has not initialised the channel yet (it signals when it has: try again then). After a
 * restart the slots that the predecessor had taken and not completed are yielded first by ring_next, each once. */
bool ring_server_attach(struct ring *ring, const struct startup_entry *entry);
/* Server: the next submitted slot; false: none now. */
bool ring_next(struct ring *ring, uint32_t *number);
void ring_complete(struct ring *ring, uint32_t number); /* signals the client if it sleeps */
/* Either side, before sleeping on "events": true if it may sleep (the peer will signal), false if there is work already. */
bool ring_prepare_sleep(struct ring *ring);
