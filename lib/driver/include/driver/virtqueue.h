/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue (virtio 1.x, section 2.7), driver's side. The rings lie in memory that the device can
 * write, so nothing that the driver relies on is kept there: the free list and what is in flight are private,
 * and what the device says in the used ring is checked against them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <driver/dma.h>

#define VIRTQUEUE_SIZE_MAX     256
#define VIRTQUEUE_INDIRECT_MAX 68 /* buffers of one indirect request */

struct virtqueue_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

struct virtqueue_available {
	uint16_t flags;
	uint16_t index;
	uint16_t ring[];
};

struct virtqueue_used {
	uint16_t flags;
	uint16_t index;
	struct {
		uint32_t id;
		uint32_t length;
	} ring[];
};

/* One piece of a request, by physical address. Pieces that the device reads come before those that it writes.
 */
struct virtqueue_buffer {
	uint64_t physical;
	uint32_t length;
	bool device_writes;
};

struct virtqueue {
	uint16_t size; /* a power of two */
	uint16_t index;
	volatile uint8_t *notify;

	struct virtqueue_descriptor *descriptors;
	struct virtqueue_available *available;
	struct virtqueue_used *used;
	uint64_t descriptors_physical, available_physical, used_physical;

	/* Tables of VIRTQUEUE_INDIRECT_MAX descriptors, one for each token; NULL: the device does without. */
	struct virtqueue_descriptor *indirect;
	uint64_t indirect_physical;
	unsigned indirect_count;

	uint16_t available_index, used_index; /* ours: next to write, next to read */
	uint16_t notified_index;              /* available_index at the last notification */
	uint16_t free_head, free_count;
	uint16_t next[VIRTQUEUE_SIZE_MAX]; /* chains: the free ones, and those in flight */
	uint16_t
	        length[VIRTQUEUE_SIZE_MAX]; /* descriptors of the chain that starts here; 0: none in flight */
	uint16_t token[VIRTQUEUE_SIZE_MAX];
};

/* Rings for a queue of `size` entries; indirect tables for `tokens` tokens if that is not 0. false: the area
 * is too small. */
bool virtqueue_initialise(struct virtqueue *queue, struct dma_area *area, unsigned index, unsigned size,
                          unsigned tokens);
/* The bytes that virtqueue_initialise needs at most. */
size_t virtqueue_bytes(unsigned size, unsigned tokens);
/* How many buffers one request can have. */
unsigned virtqueue_buffers_max(const struct virtqueue *queue);

/* Queues a request; `token` comes back when it is done. false: no room now. Nothing happens before
 * virtqueue_notify. */
bool virtqueue_submit(struct virtqueue *queue, const struct virtqueue_buffer *buffers, unsigned count,
                      unsigned token);
/* Tells the device of all that was queued since the last time, if it wants to be told. */
void virtqueue_notify(struct virtqueue *queue);

enum virtqueue_result {
	VIRTQUEUE_EMPTY,
	VIRTQUEUE_DONE,
	VIRTQUEUE_BROKEN, /* the device names a request that it does not have: reset it */
};
enum virtqueue_result virtqueue_completed(struct virtqueue *queue, unsigned *token, uint32_t *length);
