/* SPDX-License-Identifier: MIT */
/*
 * Request channels: a client owns a table of request slots in shared memory and hands their numbers to the server over
 * a single-producer single-consumer ring; completed numbers come back over another ring. The channel outlives either side:
 * a slot's state says who owns it, so a restarted server finds again (ring_server_attach) what its predecessor had taken
 * and not completed. Requests must therefore be idempotent, or carry what makes repeating them harmless.
 *
 * Slot life: FREE -(client fills, ring_submit)-> SUBMITTED -(server, ring_complete)-> DONE -(client)-> FREE.
 * Neither side trusts a number or index read from the ring: both check it against the table's size and the slot's state.
 * The layout of a channel's memory: struct ring_channel, then slot_count slots of slot_size bytes at slots_offset.
 */
#pragma once

#include <stdatomic.h>
#include <abi/types.h>

#define RING_SLOTS_MAX 256

enum ring_slot_state {
	RING_SLOT_FREE,
	RING_SLOT_SUBMITTED,
	RING_SLOT_DONE,
};

/* head and tail run freely; entry i is entries[i % RING_SLOTS_MAX]. Only the producer writes head, only the consumer tail. */
struct ring_queue {
	_Alignas(64) _Atomic uint32_t head;
	_Alignas(64) _Atomic uint32_t tail;
	/* set by a consumer that is about to sleep; the producer signals only if it is set, and clears it */
	_Alignas(64) _Atomic uint32_t consumer_waits;
	_Atomic uint16_t entries[RING_SLOTS_MAX];
};

struct ring_channel {
	_Atomic uint32_t ready;   /* client: the table is initialised */
	uint32_t slot_count;      /* at most RING_SLOTS_MAX; fixed at initialisation by the client */
	uint32_t slot_size;
	uint32_t slots_offset;
	struct ring_queue submissions;
	struct ring_queue completions;
	_Atomic uint32_t state[RING_SLOTS_MAX];
};
