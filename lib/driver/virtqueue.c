/* SPDX-License-Identifier: MIT */
#include <driver/virtqueue.h>

#include <driver/mmio.h>

#define DESCRIPTOR_NEXT     1
#define DESCRIPTOR_WRITE    2
#define DESCRIPTOR_INDIRECT 4
#define USED_NO_NOTIFY      1

#define RING_ALIGNMENT 64

static size_t available_bytes(unsigned size)
{
	return sizeof(struct virtqueue_available) + size * sizeof(uint16_t) + sizeof(uint16_t);
}

static size_t used_bytes(unsigned size)
{
	return sizeof(struct virtqueue_used) + size * sizeof(uint64_t) + sizeof(uint16_t);
}

size_t virtqueue_bytes(unsigned size, unsigned tokens)
{
	return size * sizeof(struct virtqueue_descriptor) + available_bytes(size) + used_bytes(size) +
	       tokens * VIRTQUEUE_INDIRECT_MAX * sizeof(struct virtqueue_descriptor) + (4 * RING_ALIGNMENT);
}

bool virtqueue_initialise(struct virtqueue *queue, struct dma_area *area, unsigned index, unsigned size,
                          unsigned tokens)
{
	if (!size || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)))
		return false;
	*queue = (struct virtqueue){
	        .size = (uint16_t)size, .index = (uint16_t)index, .free_count = (uint16_t)size};
	queue->descriptors = dma_allocate(area, size * sizeof(struct virtqueue_descriptor), RING_ALIGNMENT,
	                                  &queue->descriptors_physical);
	queue->available =
	        dma_allocate(area, available_bytes(size), RING_ALIGNMENT, &queue->available_physical);
	queue->used = dma_allocate(area, used_bytes(size), RING_ALIGNMENT, &queue->used_physical);
	if (!queue->descriptors || !queue->available || !queue->used)
		return false;
	if (tokens) {
		size_t bytes = tokens * VIRTQUEUE_INDIRECT_MAX * sizeof(struct virtqueue_descriptor);
		queue->indirect = dma_allocate(area, bytes, RING_ALIGNMENT, &queue->indirect_physical);
		if (!queue->indirect)
			return false;
		queue->indirect_count = tokens;
	}
	for (unsigned i = 0; i < size; i++)
		queue->next[i] = (uint16_t)(i + 1);
	return true;
}

unsigned virtqueue_buffers_max(const struct virtqueue *queue)
{
	return queue->indirect ? VIRTQUEUE_INDIRECT_MAX : queue->size;
}

static void descriptor_fill(struct virtqueue_descriptor *descriptor, const struct virtqueue_buffer *buffer,
                            bool more, unsigned next)
{
	descriptor->address = buffer->physical;
	descriptor->length = buffer->length;
	descriptor->flags =
	        (uint16_t)((more ? DESCRIPTOR_NEXT : 0) | (buffer->device_writes ? DESCRIPTOR_WRITE : 0));
	descriptor->next = (uint16_t)(more ? next : 0);
}

/* One descriptor of the ring, which points to the token's table. */
static void indirect_fill(struct virtqueue *queue, unsigned head, const struct virtqueue_buffer *buffers,
                          unsigned count, unsigned token)
{
	struct virtqueue_descriptor *table = &queue->indirect[token * VIRTQUEUE_INDIRECT_MAX];
	for (unsigned i = 0; i < count; i++)
		descriptor_fill(&table[i], &buffers[i], i + 1 < count, i + 1);
	queue->descriptors[head] = (struct virtqueue_descriptor){
	        .address = queue->indirect_physical +
	                   token * VIRTQUEUE_INDIRECT_MAX * sizeof(struct virtqueue_descriptor),
	        .length = (uint32_t)(count * sizeof(struct virtqueue_descriptor)),
	        .flags = DESCRIPTOR_INDIRECT,
	};
}

bool virtqueue_submit(struct virtqueue *queue, const struct virtqueue_buffer *buffers, unsigned count,
                      unsigned token)
{
	bool indirect = queue->indirect && token < queue->indirect_count && count <= VIRTQUEUE_INDIRECT_MAX;
	unsigned needed = indirect ? 1 : count;
	if (!count || needed > queue->free_count)
		return false;

	unsigned head = queue->free_head, last = head;
	for (unsigned i = 1; i < needed; i++)
		last = queue->next[last];
	queue->free_head = queue->next[last];
	queue->free_count = (uint16_t)(queue->free_count - needed);
	queue->length[head] = (uint16_t)needed;
	queue->token[head] = (uint16_t)token;

	if (indirect) {
		indirect_fill(queue, head, buffers, count, token);
	} else {
		for (unsigned i = 0, at = head; i < count; i++, at = queue->next[at])
			descriptor_fill(&queue->descriptors[at], &buffers[i], i + 1 < count, queue->next[at]);
	}
	queue->available->ring[queue->available_index % queue->size] = (uint16_t)head;
	queue->available_index++;
	/* The descriptors are visible before the index that makes them the device's. */
	__atomic_store_n(&queue->available->index, queue->available_index, __ATOMIC_RELEASE);
	return true;
}

void virtqueue_notify(struct virtqueue *queue)
{
	if (queue->available_index == queue->notified_index)
		return;
	queue->notified_index = queue->available_index;
	/* Our index is visible before we read whether the device still looks at it by itself. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&queue->used->flags, __ATOMIC_RELAXED) & USED_NO_NOTIFY)
		return;
	mmio_write16(queue->notify, queue->index);
}

/* Gives the chain that starts at head back to the free list. */
static void chain_free(struct virtqueue *queue, unsigned head)
{
	unsigned last = head;
	for (unsigned i = 1; i < queue->length[head]; i++)
		last = queue->next[last];
	queue->next[last] = queue->free_head;
	queue->free_head = (uint16_t)head;
	queue->free_count = (uint16_t)(queue->free_count + queue->length[head]);
	queue->length[head] = 0;
}

enum virtqueue_result virtqueue_completed(struct virtqueue *queue, unsigned *token, uint32_t *length)
{
	uint16_t device_index = __atomic_load_n(&queue->used->index, __ATOMIC_ACQUIRE);
	if (device_index == queue->used_index)
		return VIRTQUEUE_EMPTY;
	if ((uint16_t)(device_index - queue->used_index) > queue->size)
		return VIRTQUEUE_BROKEN;
	/* Read once: the device could change it between the check and the use. */
	unsigned entry = queue->used_index % queue->size;
	uint32_t id = __atomic_load_n(&queue->used->ring[entry].id, __ATOMIC_RELAXED);
	if (id >= queue->size || !queue->length[id])
		return VIRTQUEUE_BROKEN;
	*token = queue->token[id];
	*length = __atomic_load_n(&queue->used->ring[entry].length, __ATOMIC_RELAXED);
	queue->used_index++;
	chain_free(queue, id);
	return VIRTQUEUE_DONE;
}
