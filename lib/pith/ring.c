/* SPDX-License-Identifier: MIT */
/*
 * Request channels. What is read from shared memory is checked before use: the peer may be wrong, malicious,
 * or have died in the middle.
 *
 * Restarts. The slot states are the truth, queue entries are hints. A side that starts puts into its queue
 * again what its predecessor may have failed to put there; the other side skips entries that it has seen
 * already (`held`) or whose slot is in another state. So each request is served at least once and its
 * completion is seen exactly once. Duplicates need room in the queue, hence at most RING_SLOTS_MAX / 2 slots.
 */
#include <string.h>

#include <pith/counters.h>
#include <pith/ring.h>

static bool bit_test(const uint64_t *bits, uint32_t n)
{
	return bits[n / 64] >> n % 64 & 1;
}

static void bit_set(uint64_t *bits, uint32_t n)
{
	bits[n / 64] |= 1ul << n % 64;
}

static void bit_clear(uint64_t *bits, uint32_t n)
{
	bits[n / 64] &= ~(1ul << n % 64);
}

static uint32_t slot_state(const struct ring *ring, uint32_t number)
{
	return atomic_load_explicit(&ring->channel->state[number], memory_order_acquire);
}

/* Producer side of a queue. A full queue (only a broken peer can make it full) drops the entry: the state
 * still tells. */
static void queue_push(struct ring *ring, struct ring_queue *queue, uint32_t number)
{
	uint32_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_acquire);
	if (head - tail >= RING_SLOTS_MAX)
		return;
	atomic_store_explicit(&queue->entries[head % RING_SLOTS_MAX], (uint16_t)number, memory_order_relaxed);
	atomic_store_explicit(&queue->head, head + 1, memory_order_seq_cst);
	if (atomic_load_explicit(&queue->consumer_waits, memory_order_seq_cst) &&
	    atomic_exchange_explicit(&queue->consumer_waits, 0, memory_order_seq_cst))
		notification_signal(ring->signal);
}

static uint32_t queue_length(struct ring_queue *queue)
{
	uint32_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
	return head - tail <= RING_SLOTS_MAX ? head - tail : 0;
}

static uint32_t queue_pop(struct ring_queue *queue)
{
	uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
	uint32_t number = atomic_load_explicit(&queue->entries[tail % RING_SLOTS_MAX], memory_order_relaxed);
	atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
	return number;
}

/* Which slots have an entry in the queue now. */
static void queue_content(const struct ring *ring, struct ring_queue *queue, uint64_t *bits)
{
	uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
	uint32_t length = queue_length(queue);
	for (uint32_t i = 0; i < length; i++) {
		uint32_t number = atomic_load_explicit(&queue->entries[(tail + i) % RING_SLOTS_MAX],
		                                       memory_order_relaxed);
		if (number < ring->slot_count)
			bit_set(bits, number);
	}
}

static bool geometry_valid(uint64_t memory, uint64_t count, uint64_t size, uint64_t offset)
{
	return count > 0 && count <= RING_CHANNEL_SLOTS && size > 0 && size <= memory && size % 8 == 0 &&
	       offset % 8 == 0 && offset >= sizeof(struct ring_channel) && offset <= memory &&
	       count * size <= memory - offset;
}

static void ring_init(struct ring *ring, const struct startup_entry *entry, bool server)
{
	memset(ring, 0, sizeof(*ring));
	ring->channel = (struct ring_channel *)entry->address;
	ring->entry = entry;
	ring->size = entry->size;
	ring->signal = entry->slot;
	ring->bit = entry->bit;
	ring->server = server;
}

static void channel_create(struct ring *ring, uint32_t slot_count, uint32_t slot_size, uint32_t offset)
{
	struct ring_channel *channel = ring->channel;
	memset((void *)channel, 0, sizeof(*channel));
	channel->slot_count = slot_count;
	channel->slot_size = slot_size;
	channel->slots_offset = offset;
	atomic_store_explicit(&channel->ready, 1, memory_order_release);
}

/* Requests that a former life of this client left: they are still served, and their ends are reported as
 * usual. */
static void client_recover(struct ring *ring)
{
	uint64_t queued[RING_SLOTS_MAX / 64] = {0};
	queue_content(ring, &ring->channel->submissions, queued);
	for (uint32_t i = 0; i < ring->slot_count; i++) {
		uint32_t state = slot_state(ring, i);
		if (state == RING_SLOT_FREE)
			continue;
		bit_set(ring->taken, i);
		bit_set(ring->held, i);
		if (state == RING_SLOT_DONE)
			bit_set(ring->again, i);
		else if (!bit_test(queued, i))
			queue_push(ring, &ring->channel->submissions, i);
	}
}

bool ring_client_attach(struct ring *ring, const struct startup_entry *entry, uint32_t slot_count,
                        uint32_t slot_size)
{
	ring_init(ring, entry, false);
	uint32_t offset = (sizeof(struct ring_channel) + 63) / 64 * 64;
	if (!geometry_valid(ring->size, slot_count, slot_size, offset))
		return false;
	struct ring_channel *channel = ring->channel;
	bool old = atomic_load_explicit(&channel->ready, memory_order_acquire) == 1 &&
	           channel->slot_count == slot_count && channel->slot_size == slot_size &&
	           channel->slots_offset == offset;
	if (!old)
		channel_create(ring, slot_count, slot_size, offset);
	ring->slot_count = slot_count;
	ring->slot_size = slot_size;
	ring->slots_offset = offset;
	if (old)
		client_recover(ring);
	notification_signal(ring->signal); /* the server may be waiting for the channel to be there */
	return true;
}

bool ring_server_attach(struct ring *ring, const struct startup_entry *entry)
{
	ring_init(ring, entry, true);
	struct ring_channel *channel = ring->channel;
	if (ring->size < sizeof(*channel) || atomic_load_explicit(&channel->ready, memory_order_acquire) != 1)
		return false;
	ring->slot_count = *(volatile uint32_t *)&channel->slot_count;
	ring->slot_size = *(volatile uint32_t *)&channel->slot_size;
	ring->slots_offset = *(volatile uint32_t *)&channel->slots_offset;
	if (!geometry_valid(ring->size, ring->slot_count, ring->slot_size, ring->slots_offset))
		return false;
	uint64_t submitted[RING_SLOTS_MAX / 64] = {0}, completed[RING_SLOTS_MAX / 64] = {0};
	queue_content(ring, &channel->submissions, submitted);
	queue_content(ring, &channel->completions, completed);
	for (uint32_t i = 0; i < ring->slot_count; i++) {
		uint32_t state = slot_state(ring, i);
		if (state == RING_SLOT_SUBMITTED && !bit_test(submitted, i))
			bit_set(ring->again, i);
		else if (state == RING_SLOT_DONE && !bit_test(completed, i))
			queue_push(ring, &channel->completions, i);
	}
	/* The predecessor may have died between the entry in the queue and the signal. */
	notification_signal(ring->signal);
	return true;
}

void *ring_slot(struct ring *ring, uint32_t number)
{
	if (number >= ring->slot_count)
		return NULL;
	return (char *)ring->channel + ring->slots_offset + (size_t)number * ring->slot_size;
}

enum ring_slot_state ring_slot_state(struct ring *ring, uint32_t number)
{
	uint32_t state = number < ring->slot_count ? slot_state(ring, number) : RING_SLOT_FREE;
	return state <= RING_SLOT_DONE ? (enum ring_slot_state)state : RING_SLOT_FREE;
}

bool ring_peer_failed(const struct ring *ring)
{
	return *(const volatile uint32_t *)&ring->entry->peer_failed != 0;
}

void *ring_slot_take(struct ring *ring, uint32_t *number)
{
	for (uint32_t word = 0; word * 64 < ring->slot_count; word++) {
		if (ring->taken[word] == UINT64_MAX)
			continue;
		uint32_t i = word * 64 + (uint32_t)__builtin_ctzl(~ring->taken[word]);
		if (i >= ring->slot_count)
			return NULL;
		bit_set(ring->taken, i);
		*number = i;
		return ring_slot(ring, i);
	}
	return NULL;
}

void ring_slot_release(struct ring *ring, uint32_t number)
{
	if (number >= ring->slot_count || (bit_test(ring->held, number) && !ring_peer_failed(ring)))
		return; /* the server may still work on it */
	bit_clear(ring->held, number);
	atomic_store_explicit(&ring->channel->state[number], RING_SLOT_FREE, memory_order_release);
	bit_clear(ring->taken, number);
}

void ring_submit(struct ring *ring, uint32_t number)
{
	if (number >= ring->slot_count || !bit_test(ring->taken, number) || bit_test(ring->held, number))
		return;
	bit_set(ring->held, number);
	atomic_store_explicit(&ring->channel->state[number], RING_SLOT_SUBMITTED, memory_order_release);
	queue_push(ring, &ring->channel->submissions, number);
	counters->requests++;
}

/* The lowest bit of `again`, taken out. */
static bool again_take(struct ring *ring, uint32_t *number)
{
	for (uint32_t word = 0; word < RING_SLOTS_MAX / 64; word++) {
		if (ring->again[word] == 0)
			continue;
		*number = word * 64 + (uint32_t)__builtin_ctzl(ring->again[word]);
		bit_clear(ring->again, *number);
		return true;
	}
	return false;
}

bool ring_completed(struct ring *ring, uint32_t *number)
{
	struct ring_queue *queue = &ring->channel->completions;
	uint32_t n;
	if (again_take(ring, &n)) {
		bit_clear(ring->held, n);
		*number = n;
		return true;
	}
	for (uint32_t left = queue_length(queue); left > 0; left--) {
		n = queue_pop(queue);
		if (n >= ring->slot_count || !bit_test(ring->held, n) ||
		    slot_state(ring, n) != RING_SLOT_DONE)
			continue;
		bit_clear(ring->held, n);
		*number = n;
		return true;
	}
	return false;
}

bool ring_next(struct ring *ring, uint32_t *number)
{
	struct ring_queue *queue = &ring->channel->submissions;
	uint32_t n;
	while (again_take(ring, &n)) {
		if (slot_state(ring, n) != RING_SLOT_SUBMITTED)
			continue;
		bit_set(ring->held, n);
		*number = n;
		return true;
	}
	for (uint32_t left = queue_length(queue); left > 0; left--) {
		n = queue_pop(queue);
		if (n >= ring->slot_count || bit_test(ring->held, n) ||
		    slot_state(ring, n) != RING_SLOT_SUBMITTED)
			continue;
		bit_set(ring->held, n);
		*number = n;
		return true;
	}
	return false;
}

void ring_complete(struct ring *ring, uint32_t number)
{
	if (number >= ring->slot_count || !bit_test(ring->held, number))
		return;
	bit_clear(ring->held, number);
	atomic_store_explicit(&ring->channel->state[number], RING_SLOT_DONE, memory_order_release);
	queue_push(ring, &ring->channel->completions, number);
	counters->served++;
}

static bool bits_any(const uint64_t *bits)
{
	uint64_t any = 0;
	for (uint32_t word = 0; word < RING_SLOTS_MAX / 64; word++)
		any |= bits[word];
	return any != 0;
}

bool ring_prepare_sleep(struct ring *ring)
{
	struct ring_channel *channel = ring->channel;
	if (ring->slot_count == 0)
		return true; /* a server without a channel yet: attaching is signalled */
	if (!ring->server && !bits_any(ring->held))
		return true; /* a client that has asked for nothing */
	if (bits_any(ring->again))
		return false;
	struct ring_queue *queue = ring->server ? &channel->submissions : &channel->completions;
	atomic_store_explicit(&queue->consumer_waits, 1, memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst);
	if (queue_length(queue) == 0)
		return true;
	atomic_store_explicit(&queue->consumer_waits, 0, memory_order_relaxed);
	return false;
}
