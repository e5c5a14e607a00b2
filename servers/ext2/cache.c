/* SPDX-License-Identifier: MIT */
/* The metadata buffer cache (cache.h): hash, LRU, reading, and recovery from the pool after a restart.
 * Writing is commit.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pith/log.h>

#include "ext2.h"

#define READ_AHEAD 16

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* How many buffers and their copies a pool holds, beside the header with their records and the zeroed block.
 */
static uint32_t pool_buffers(uint64_t pool_size, uint32_t block_size, uint64_t *first)
{
	uint64_t count = pool_size / (2 * block_size + sizeof(struct buffer_record));
	uint64_t start;

	for (;;) {
		start = round_up(sizeof(struct cache_header) + count * sizeof(struct buffer_record),
		                 EXT2_BLOCK_MAX) +
		        EXT2_BLOCK_MAX;
		if (start + 2 * count * block_size <= pool_size || count == 0)
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

struct buffer *cache_find(struct cache *cache, uint32_t block)
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
	cache->dying_end = &cache->dying;
	cache->block_size = block_size;
	cache->block_limit = block_limit;
	cache->count = pool_buffers(pool_size, block_size, &first);
	if (cache->count < CACHE_BUFFERS_MIN)
		return ENOMEM;
	while (hash_size < cache->count)
		hash_size *= 2;
	cache->hash_mask = hash_size - 1;
	cache->hash = calloc(hash_size, sizeof(*cache->hash));
	cache->dirty = calloc(cache->count / 64 + 1, sizeof(*cache->dirty));
	cache->commit_list = calloc(cache->count, sizeof(*cache->commit_list));
	cache->buffers = calloc(cache->count, sizeof(*cache->buffers));
	if (!cache->hash || !cache->buffers || !cache->dirty || !cache->commit_list) {
		cache_destroy(cache);
		return ENOMEM;
	}
	cache->zero_offset = first - EXT2_BLOCK_MAX;
	memset(cache->pool + cache->zero_offset, 0, EXT2_BLOCK_MAX);
	for (uint32_t i = 0; i < cache->count; i++) {
		cache->buffers[i].data = cache->pool + first + (uint64_t)i * 2 * block_size;
		cache->buffers[i].copy = cache->buffers[i].data + block_size;
		lru_add_newest(cache, &cache->buffers[i]);
	}
	return 0;
}

void cache_destroy(struct cache *cache)
{
	while (cache->dying) {
		struct dying *dying = cache->dying;

		cache->dying = dying->next;
		free(dying);
	}
	for (uint32_t i = 0; cache->buffers && i < cache->count; i++)
		free(cache->buffers[i].image);
	free(cache->hash);
	free(cache->buffers);
	free(cache->dirty);
	free(cache->commit_list);
	cache->dirty = NULL;
	cache->commit_list = NULL;
	cache->hash = NULL;
	cache->buffers = NULL;
}

static struct buffer_record *buffer_record(struct cache *cache, struct buffer *buffer)
{
	return &cache->header->records[buffer - cache->buffers];
}

/* After a change of block, dirty or writing: what a successor would have to write. */
void buffer_record_update(struct cache *cache, struct buffer *buffer)
{
	*buffer_record(cache, buffer) =
	        (struct buffer_record){buffer->block, buffer->hashed && (buffer->dirty || buffer->writing)};
}

void buffer_set_dirty(struct cache *cache, struct buffer *buffer, bool dirty)
{
	uint32_t index = (uint32_t)(buffer - cache->buffers);
	uint64_t bit = 1ull << index % 64;

	if (buffer->dirty == dirty)
		return;
	buffer->dirty = dirty;
	if (dirty) {
		cache->dirty[index / 64] |= bit;
		cache->dirty_count++;
	} else {
		cache->dirty[index / 64] &= ~bit;
		cache->dirty_count--;
	}
	buffer_record_update(cache, buffer);
}

uint32_t cache_recover(struct cache *cache)
{
	uint32_t recovered = 0;

	for (uint32_t i = 0; i < cache->count; i++) {
		struct buffer *buffer = &cache->buffers[i];
		struct buffer_record record = cache->header->records[i];

		if (record.dirty != 1 || record.block >= cache->block_limit ||
		    cache_find(cache, record.block))
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

void buffer_hold(struct cache *cache, struct buffer *buffer)
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

void buffer_bits_clear(struct buffer *buffer)
{
	buffer->born = buffer->leaving = buffer->emptied = buffer->unsettled = 0;
	buffer->dying = false;
}

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
		buffer->fresh = buffer->early = buffer->late = false;
		buffer_bits_clear(buffer);
		buffer_hold(cache, buffer);
		return buffer;
	}
	return NULL;
}

/* Makes it likely that buffer_take_now finds one; whatever the caller had looked up may have changed. EIO:
 * what is dirty stays so, and the caller does not wait for a disk that may never take it. */
static int buffer_make_room(struct cache *cache)
{
	struct buffer *oldest = cache->oldest;

	if (oldest)
		return oldest->dirty ? cache_commit(cache) : 0;
	wait_queue_wait(&cache->released);
	return 0;
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
	       !cache_find(cache, block + count)) {
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
	int error;

	if (block >= cache->block_limit)
		return EUCLEAN;
	for (;;) {
		buffer = cache_find(cache, block);
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
		error = buffer_make_room(cache);
		if (error)
			return error;
	}
	cache->misses++;
	*out = buffer;
	error = buffer_read_new(cache, buffer, block, ahead);
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
	int error;

	if (block >= cache->block_limit)
		return EUCLEAN;
	for (;;) {
		buffer = cache_find(cache, block);
		if (buffer) {
			buffer_hold(cache, buffer);
			while (buffer->reading)
				wait_queue_wait(&buffer->waiters);
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
		error = buffer_make_room(cache);
		if (error)
			return error;
	}
	memset(buffer->data, 0, cache->block_size);
	buffer->valid = buffer->fresh = true;
	buffer->checked = buffer->early = buffer->late = false;
	buffer_bits_clear(buffer);
	*out = buffer;
	return 0;
}

void buffer_dirty(struct cache *cache, struct buffer *buffer, enum buffer_kind kind)
{
	buffer->kind = (uint8_t)kind;
	/* One that was forgotten has no block to be written to. */
	if (buffer->hashed)
		buffer_set_dirty(cache, buffer, true);
}

void buffer_forget(struct cache *cache, uint32_t block)
{
	struct buffer *buffer = cache_find(cache, block);

	if (!buffer)
		return;
	buffer_hold(cache, buffer);
	while (buffer->reading)
		wait_queue_wait(&buffer->waiters);
	buffer_set_dirty(cache, buffer, false);
	hash_remove(cache, buffer);
	buffer_record_update(cache, buffer);
	buffer->valid = buffer->checked = false;
	buffer_put(cache, buffer);
}

/* ---- writing ---- */

int buffer_write(struct cache *cache, struct buffer *buffer)
{
	struct io_batch batch;

	io_begin(&batch, cache->device);
	io_add(&batch, BLOCK_WRITE, (uint64_t)buffer->block * (cache->block_size / BLOCK_SECTOR), 0,
	       (uint64_t)(buffer->data - cache->pool), cache->block_size);
	return io_finish(&batch);
}
