/* SPDX-License-Identifier: MIT */
/* The metadata buffer cache (cache.h): hash, LRU, reading, write-back in clusters, and recovery from the pool
 * after a restart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pith/log.h>

#include "ext2.h"

#define WRITE_BATCH 128 /* buffers that one fiber has under way */
#define READ_AHEAD  16

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* How many buffers a pool holds, beside the header with their records and the zeroed block. */
static uint32_t pool_buffers(uint64_t pool_size, uint32_t block_size, uint64_t *first)
{
	uint64_t count = pool_size / (block_size + sizeof(struct buffer_record));
	uint64_t start;

	for (;;) {
		start = round_up(sizeof(struct cache_header) + count * sizeof(struct buffer_record),
		                 EXT2_BLOCK_MAX) +
		        EXT2_BLOCK_MAX;
		if (start + count * block_size <= pool_size || count == 0)
			break;
		count--;
	}
	*first = start;
	return (uint32_t)count;
}

bool cache_recoverable(const void *pool, uint64_t pool_size, uint32_t block_size, const uint8_t uuid[16])
{
	const struct cache_header *header = pool;
	uint64_t first;

	return pool_size >= sizeof(*header) && header->magic == CACHE_MAGIC &&
	       header->block_size == block_size &&
	       header->count == pool_buffers(pool_size, block_size, &first) &&
	       !memcmp(header->uuid, uuid, 16);
}

/* ---- LRU: buffers without references, oldest first to go ---- */

static void lru_remove(struct cache *cache, struct buffer *buffer)
{
	if (buffer->newer)
		buffer->newer->older = buffer->older;
	else
		cache->newest = buffer->older;
	if (buffer->older)
		buffer->older->newer = buffer->newer;
	else
		cache->oldest = buffer->newer;
	buffer->newer = buffer->older = NULL;
}

static void lru_add_newest(struct cache *cache, struct buffer *buffer)
{
	buffer->newer = NULL;
	buffer->older = cache->newest;
	if (cache->newest)
		cache->newest->newer = buffer;
	else
		cache->oldest = buffer;
	cache->newest = buffer;
}

static void lru_add_oldest(struct cache *cache, struct buffer *buffer)
{
	buffer->older = NULL;
	buffer->newer = cache->oldest;
	if (cache->oldest)
		cache->oldest->older = buffer;
	else
		cache->newest = buffer;
	cache->oldest = buffer;
}

/* ---- hash ---- */

static struct buffer **hash_head(struct cache *cache, uint32_t block)
{
	return &cache->hash[(block * 2654435761u >> 8) & cache->hash_mask];
}

static struct buffer *hash_find(struct cache *cache, uint32_t block)
{
	struct buffer *buffer = *hash_head(cache, block);

	while (buffer && buffer->block != block)
		buffer = buffer->hash_next;
	return buffer;
}

static void hash_add(struct cache *cache, struct buffer *buffer, uint32_t block)
{
	struct buffer **head = hash_head(cache, block);

	buffer->block = block;
	buffer->hash_next = *head;
	buffer->hashed = true;
	*head = buffer;
}

static void hash_remove(struct cache *cache, struct buffer *buffer)
{
	struct buffer **link = hash_head(cache, buffer->block);

	if (!buffer->hashed)
		return;
	while (*link != buffer)
		link = &(*link)->hash_next;
	*link = buffer->hash_next;
	buffer->hashed = false;
}

/* ---- set-up ---- */

int cache_init(struct cache *cache, struct device *device, void *pool, uint64_t pool_size,
               uint32_t block_size, uint32_t block_limit)
{
	uint64_t first;
	uint32_t hash_size = 64;

	*cache = (struct cache){.device = device, .header = pool, .pool = pool, .pool_size = pool_size};
	cache->block_size = block_size;
	cache->block_limit = block_limit;
	cache->count = pool_buffers(pool_size, block_size, &first);
	if (cache->count < CACHE_BUFFERS_MIN)
		return ENOMEM;
	while (hash_size < cache->count)
		hash_size *= 2;
	cache->hash_mask = hash_size - 1;
	cache->hash = calloc(hash_size, sizeof(*cache->hash));
	cache->busy = calloc(cache->count / 64 + 1, sizeof(*cache->busy));
	cache->buffers = calloc(cache->count, sizeof(*cache->buffers));
	if (!cache->hash || !cache->buffers || !cache->busy) {
		cache_destroy(cache);
		return ENOMEM;
	}
	cache->zero_offset = first - EXT2_BLOCK_MAX;
	memset(cache->pool + cache->zero_offset, 0, EXT2_BLOCK_MAX);
	for (uint32_t i = 0; i < cache->count; i++) {
		cache->buffers[i].data = cache->pool + first + (uint64_t)i * block_size;
		lru_add_newest(cache, &cache->buffers[i]);
	}
	return 0;
}

void cache_destroy(struct cache *cache)
{
	free(cache->hash);
	free(cache->buffers);
	free(cache->busy);
	cache->busy = NULL;
	cache->hash = NULL;
	cache->buffers = NULL;
}

static struct buffer_record *buffer_record(struct cache *cache, struct buffer *buffer)
{
	return &cache->header->records[buffer - cache->buffers];
}

/* After a change of dirty or writing. */
static void buffer_set_busy(struct cache *cache, struct buffer *buffer)
{
	uint32_t index = (uint32_t)(buffer - cache->buffers);
	uint64_t bit = 1ull << index % 64;

	if (buffer->dirty || buffer->writing)
		cache->busy[index / 64] |= bit;
	else
		cache->busy[index / 64] &= ~bit;
}

/* The first busy buffer from `index` on, or cache->count. */
static uint32_t busy_next(const struct cache *cache, uint32_t index)
{
	return bits_next_one((const uint8_t *)cache->busy, index, cache->count);
}

static void buffer_set_dirty(struct cache *cache, struct buffer *buffer, bool dirty)
{
	struct buffer_record *record = buffer_record(cache, buffer);

	if (buffer->dirty == dirty)
		return;
	buffer->dirty = dirty;
	record->block = buffer->block;
	record->dirty = dirty;
	buffer_set_busy(cache, buffer);
	if (dirty)
		cache->dirty_count++;
	else
		cache->dirty_count--;
}

uint32_t cache_recover(struct cache *cache)
{
	uint32_t recovered = 0;

	for (uint32_t i = 0; i < cache->count; i++) {
		struct buffer *buffer = &cache->buffers[i];
		struct buffer_record record = cache->header->records[i];

		if (record.dirty != 1 || record.block >= cache->block_limit || hash_find(cache, record.block))
			continue;
		hash_add(cache, buffer, record.block);
		buffer->valid = true;
		buffer->kind = BUFFER_POINTERS;
		buffer_set_dirty(cache, buffer, true);
		recovered++;
	}
	return recovered;
}

void cache_mark_mounted(struct cache *cache, const uint8_t uuid[16])
{
	struct cache_header *header = cache->header;

	for (uint32_t i = 0; i < cache->count; i++)
		header->records[i] = (struct buffer_record){cache->buffers[i].block, cache->buffers[i].dirty};
	header->block_size = cache->block_size;
	header->count = cache->count;
	memcpy(header->uuid, uuid, sizeof(header->uuid));
	atomic_signal_fence(memory_order_seq_cst);
	header->magic = CACHE_MAGIC;
}

void cache_mark_unmounted(struct cache *cache)
{
	cache->header->magic = 0;
}

/* ---- reading ---- */

static void buffer_wait_idle(struct buffer *buffer)
{
	while (buffer->reading || buffer->writing)
		wait_queue_wait(&buffer->waiters);
}

static void buffer_hold(struct cache *cache, struct buffer *buffer)
{
	if (buffer->refs++ == 0)
		lru_remove(cache, buffer);
}

void buffer_put(struct cache *cache, struct buffer *buffer)
{
	if (--buffer->refs)
		return;
	if (buffer->hashed)
		lru_add_newest(cache, buffer);
	else
		lru_add_oldest(cache, buffer);
	wait_queue_wake_one(&cache->released, 0);
}

static int write_cluster(struct cache *cache, struct buffer *buffer);

/* The oldest unreferenced clean buffer without looking far; NULL: none without waiting. */
static struct buffer *buffer_take_now(struct cache *cache)
{
	struct buffer *buffer = cache->oldest;

	for (unsigned i = 0; buffer && i < 32; i++, buffer = buffer->newer) {
		if (buffer->dirty)
			continue;
		if (buffer->hashed)
			cache->evictions++;
		hash_remove(cache, buffer);
		buffer->valid = buffer->checked = false;
		buffer->owner = 0;
		buffer_hold(cache, buffer);
		return buffer;
	}
	return NULL;
}

/* Makes it likely that buffer_take_now finds one; whatever the caller had looked up may have changed. */
static void buffer_make_room(struct cache *cache)
{
	struct buffer *oldest = cache->oldest;

	if (!oldest)
		wait_queue_wait(&cache->released);
	else if (oldest->dirty)
		write_cluster(cache, oldest);
}

/* Reads `count` buffers (held, hashed, `reading`) of adjacent blocks. */
static int buffers_read(struct cache *cache, struct buffer **buffers, unsigned count)
{
	unsigned sectors = cache->block_size / BLOCK_SECTOR;
	struct io_batch batch;
	int error;

	io_begin(&batch, cache->device);
	for (unsigned i = 0; i < count; i++)
		io_add(&batch, BLOCK_READ, (uint64_t)buffers[i]->block * sectors, 0,
		       (uint64_t)(buffers[i]->data - cache->pool), cache->block_size);
	error = io_finish(&batch);
	for (unsigned i = 0; i < count; i++) {
		buffers[i]->reading = false;
		buffers[i]->valid = !error;
		if (error)
			hash_remove(cache, buffers[i]);
		wait_queue_wake_all(&buffers[i]->waiters, 0);
	}
	return error;
}

/* Adds buffers for the blocks after the first, as long as they are unknown and buffers are at hand. */
static unsigned collect_ahead(struct cache *cache, struct buffer **buffers, uint32_t block, uint32_t ahead)
{
	unsigned count = 1;

	while (count <= ahead && count < READ_AHEAD && block + count < cache->block_limit &&
	       !hash_find(cache, block + count)) {
		struct buffer *buffer = buffer_take_now(cache);

		if (!buffer)
			break;
		hash_add(cache, buffer, block + count);
		buffer->reading = true;
		buffers[count++] = buffer;
	}
	return count;
}

static int buffer_read_new(struct cache *cache, struct buffer *buffer, uint32_t block, uint32_t ahead)
{
	struct buffer *buffers[READ_AHEAD];
	unsigned count;
	int error;

	hash_add(cache, buffer, block);
	buffer->reading = true;
	buffers[0] = buffer;
	count = collect_ahead(cache, buffers, block, ahead);
	error = buffers_read(cache, buffers, count);
	for (unsigned i = 1; i < count; i++)
		buffer_put(cache, buffers[i]);
	/* With read-ahead, the error may be another block's. */
	if (error && count > 1) {
		hash_add(cache, buffer, block);
		buffer->reading = true;
		error = buffers_read(cache, buffers, 1);
	}
	return error;
}

int buffer_get_ahead(struct cache *cache, uint32_t block, uint32_t ahead, struct buffer **out)
{
	struct buffer *buffer;

	if (block >= cache->block_limit)
		return EUCLEAN;
	for (;;) {
		buffer = hash_find(cache, block);
		if (buffer) {
			buffer_hold(cache, buffer);
			while (buffer->reading)
				wait_queue_wait(&buffer->waiters);
			if (buffer->valid && buffer->hashed) {
				cache->hits++;
				*out = buffer;
				return 0;
			}
			buffer_put(cache,
			           buffer); /* its read failed, or it was forgotten meanwhile: look again */
			continue;
		}
		buffer = buffer_take_now(cache);
		if (buffer)
			break;
		buffer_make_room(cache);
	}
	cache->misses++;
	*out = buffer;
	int error = buffer_read_new(cache, buffer, block, ahead);
	if (error)
		buffer_put(cache, buffer);
	return error;
}

int buffer_get(struct cache *cache, uint32_t block, struct buffer **out)
{
	return buffer_get_ahead(cache, block, 0, out);
}

int buffer_get_new(struct cache *cache, uint32_t block, struct buffer **out)
{
	struct buffer *buffer;

	if (block >= cache->block_limit)
		return EUCLEAN;
	for (;;) {
		buffer = hash_find(cache, block);
		if (buffer) {
			buffer_hold(cache, buffer);
			buffer_wait_idle(buffer);
			if (buffer->hashed)
				break;
			buffer_put(cache, buffer);
			continue;
		}
		buffer = buffer_take_now(cache);
		if (buffer) {
			hash_add(cache, buffer, block);
			break;
		}
		buffer_make_room(cache);
	}
	memset(buffer->data, 0, cache->block_size);
	buffer->valid = true;
	buffer->checked = false;
	*out = buffer;
	return 0;
}

void buffer_dirty(struct cache *cache, struct buffer *buffer, enum buffer_kind kind, uint32_t owner)
{
	buffer->kind = (uint8_t)kind;
	buffer->owner = owner;
	/* One that was forgotten has no block to be written to. */
	if (buffer->hashed)
		buffer_set_dirty(cache, buffer, true);
}

void buffer_forget(struct cache *cache, uint32_t block)
{
	struct buffer *buffer = hash_find(cache, block);

	if (!buffer)
		return;
	buffer_hold(cache, buffer);
	buffer_set_dirty(cache, buffer, false);
	buffer_wait_idle(buffer);
	buffer_set_dirty(cache, buffer, false);
	hash_remove(cache, buffer);
	buffer->valid = buffer->checked = false;
	buffer_put(cache, buffer);
}

/* ---- writing ---- */

/* Buffers that one fiber writes together, in a chain; each is held. */
struct write_list {
	struct buffer *first, **last;
	unsigned count;
};

static void write_list_add(struct cache *cache, struct write_list *list, struct buffer *buffer)
{
	buffer_hold(cache, buffer);
	buffer->writing = true;
	buffer_set_dirty(cache, buffer, false);
	buffer->chain = NULL;
	*list->last = buffer;
	list->last = &buffer->chain;
	list->count++;
}

static struct buffer *writable_neighbour(struct cache *cache, uint32_t block, enum buffer_kind kind)
{
	struct buffer *buffer = hash_find(cache, block);

	return buffer && buffer->dirty && !buffer->writing && buffer->kind == kind ? buffer : NULL;
}

/* The run of adjacent dirty blocks of the same kind around this one. */
static void write_list_add_cluster(struct cache *cache, struct write_list *list, struct buffer *buffer)
{
	enum buffer_kind kind = buffer->kind;
	uint32_t block = buffer->block;

	for (unsigned i = 0; i < WRITE_BATCH / 2 && block > 0 && writable_neighbour(cache, block - 1, kind);
	     i++)
		block--;
	while (list->count < WRITE_BATCH && (buffer = writable_neighbour(cache, block, kind))) {
		write_list_add(cache, list, buffer);
		block++;
	}
}

static int write_list_run(struct cache *cache, struct write_list *list)
{
	unsigned sectors = cache->block_size / BLOCK_SECTOR;
	struct buffer *buffer, *next;
	struct io_batch batch;
	int error;

	io_begin(&batch, cache->device);
	for (buffer = list->first; buffer; buffer = buffer->chain)
		io_add(&batch, BLOCK_WRITE, (uint64_t)buffer->block * sectors, 0,
		       (uint64_t)(buffer->data - cache->pool), cache->block_size);
	error = io_finish(&batch);
	for (buffer = list->first; buffer; buffer = next) {
		next = buffer->chain;
		buffer->writing = false;
		buffer_set_busy(cache, buffer);
		wait_queue_wake_all(&buffer->waiters, 0);
		buffer_put(cache, buffer);
	}
	if (error) {
		log_error("write error: %u metadata blocks are lost", list->count);
		cache->write_error = error;
	}
	return error;
}

static int write_cluster(struct cache *cache, struct buffer *buffer)
{
	struct write_list list = {.last = &list.first};

	write_list_add_cluster(cache, &list, buffer);
	return list.count ? write_list_run(cache, &list) : 0;
}

int buffer_write(struct cache *cache, struct buffer *buffer)
{
	struct write_list list = {.last = &list.first};

	buffer_hold(cache, buffer);
	buffer_wait_idle(buffer);
	if (buffer->dirty)
		write_list_add(cache, &list, buffer);
	buffer_put(cache, buffer);
	return list.count ? write_list_run(cache, &list) : 0;
}

static bool write_matches(const struct buffer *buffer, int kind, uint32_t owner)
{
	return (kind < 0 || buffer->kind == kind) && (!owner || buffer->owner == owner);
}

/* Gathers buffers from *index on that match, until the batch is full or one is met that somebody else is
 * writing: waiting for that one with a batch in hand could wait for someone who waits for us. */
static void write_list_gather(struct cache *cache, struct write_list *list, uint32_t *index, int kind,
                              uint32_t owner)
{
	for (*index = busy_next(cache, *index); *index < cache->count && list->count < WRITE_BATCH;
	     *index = busy_next(cache, *index + 1)) {
		struct buffer *buffer = &cache->buffers[*index];

		if (!write_matches(buffer, kind, owner))
			continue;
		if (buffer->writing) {
			if (list->count)
				return;
			buffer_hold(cache, buffer);
			buffer_wait_idle(buffer);
			buffer_put(cache, buffer);
		}
		if (buffer->dirty && !buffer->writing && owner)
			write_list_add(cache, list, buffer);
		else if (buffer->dirty && !buffer->writing)
			write_list_add_cluster(cache, list, buffer);
	}
}

/* Everything that is dirty and matches when the scan comes by, and the end of writes that are under way. Each
 * buffer is visited once, so it ends although others go on making buffers dirty. */
static int write_matching(struct cache *cache, int kind, uint32_t owner)
{
	uint32_t index = 0;
	int result = 0;

	while (index < cache->count) {
		struct write_list list = {.last = &list.first};

		write_list_gather(cache, &list, &index, kind, owner);
		if (list.count) {
			int error = write_list_run(cache, &list);

			result = result ? result : error;
		}
	}
	return result;
}

int cache_write_owner(struct cache *cache, uint32_t owner)
{
	return write_matching(cache, -1, owner);
}

int cache_write_all(struct cache *cache)
{
	int result = 0, error;

	for (int kind = 0; kind < BUFFER_KINDS; kind++) {
		error = write_matching(cache, kind, 0);
		result = result ? result : error;
	}
	return result;
}
