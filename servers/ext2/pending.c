/* SPDX-License-Identifier: MIT */
/*
 * What was given up in memory, and is still in use for the disk until a commit has ended: so that at any time
 * a power cut leaves a disk that hangs together.
 *
 * Freed blocks and inodes are free in the bitmaps at once, but kept from the allocator: an inode that the
 * disk still has may point to them. Those that are freed while commit n runs, or before it, wait for n + 1
 * resp. n: two generations, told apart by the number's lowest bit.
 *
 * Links: when one of several names of a file is removed, or its name is moved or given to another file, the
 * inode keeps the link until the directory is on the disk: a file has no fewer links there than names, and
 * one that was replaced is there until its successor is. The records are in the pool, for a successor of this
 * component.
 */
#include <stdlib.h>
#include <string.h>

#include "namespace.h"

/* ---- freed blocks and inodes ---- */

static unsigned generation(uint64_t commit)
{
	return commit & 1;
}

static void generation_release(struct filesystem *fs, unsigned which)
{
	for (uint32_t group = 0; group < fs->group_count && fs->pending_groups[which]; group++) {
		for (unsigned kind = 0; kind < PENDING_KINDS; kind++) {
			uint8_t **bits = &fs->pending[group].bits[kind][which];

			fs->pending_groups[which] -= *bits != NULL;
			free(*bits);
			*bits = NULL;
		}
	}
}

static void commit_ended(struct cache *cache)
{
	struct filesystem *fs = filesystem_of(cache);

	generation_release(fs, generation(cache->durable));
}

int pending_init(struct filesystem *fs)
{
	fs->pending = calloc(fs->group_count, sizeof(*fs->pending));
	fs->pending_scratch = malloc(fs->block_size);
	fs->cache.committed = commit_ended;
	return fs->pending && fs->pending_scratch ? 0 : ENOMEM;
}

void pending_free(struct filesystem *fs)
{
	if (fs->pending) {
		generation_release(fs, 0);
		generation_release(fs, 1);
	}
	free(fs->pending);
	free(fs->pending_scratch);
	fs->pending = NULL;
	fs->pending_scratch = NULL;
}

static uint8_t *pending_bits(struct filesystem *fs, enum pending_kind kind, uint32_t group)
{
	unsigned which = generation(fs->cache.commits + 1);
	uint8_t **bits = &fs->pending[group].bits[kind][which];

	if (!*bits) {
		*bits = calloc(1, fs->block_size);
		fs->pending_groups[which] += *bits != NULL;
	}
	return *bits;
}

int pending_add(struct filesystem *fs, enum pending_kind kind, uint32_t group, uint32_t first, uint32_t count)
{
	uint8_t *bits = pending_bits(fs, kind, group);

	if (!bits) {
		/* What the commit releases is memory enough. */
		cache_commit(&fs->cache);
		bits = pending_bits(fs, kind, group);
	}
	if (!bits)
		return ENOMEM;
	for (uint32_t i = first; i < first + count; i++)
		bit_set(bits, i);
	return 0;
}

const uint8_t *pending_merge(struct filesystem *fs, enum pending_kind kind, uint32_t group,
                             const uint8_t *bitmap, uint32_t limit)
{
	uint8_t *const *bits = fs->pending[group].bits[kind];

	if (!bits[0] && !bits[1])
		return bitmap;
	memcpy(fs->pending_scratch, bitmap, (limit + 63) / 64 * 8);
	for (unsigned which = 0; which < 2; which++)
		if (bits[which])
			bits_merge(fs->pending_scratch, bits[which], limit);
	return fs->pending_scratch;
}

/* ---- links ---- */

static int links_subtract(struct filesystem *fs, struct inode *inode, uint32_t links)
{
	inode->raw->links = inode->raw->links > links ? (uint16_t)(inode->raw->links - links) : 0;
	inode->drops -= links;
	inode_dirty(fs, inode);
	if (inode->raw->links)
		return 0;
	fs->dropped_blocks -= inode->dropped_blocks;
	fs->dropped_inodes -= inode->dropped_blocks != 0;
	inode->dropped_blocks = 0;
	return inode_unlinked(fs, inode);
}

/* Maybe open, from before a restart: kept until it is closed or unmounted. */
static void keep_maybe_open(struct filesystem *fs, struct inode *inode)
{
	if (fs->opens_unknown && !inode->opens)
		inode->opens = 1;
}

/* Nobody will use it any more: statfs counts as free what it has. */
static void count_dropped(struct filesystem *fs, struct inode *inode)
{
	keep_maybe_open(fs, inode);
	if (inode->opens || !inode->raw->sectors)
		return;
	inode->dropped_blocks = inode->raw->sectors >> (fs->block_bits - 9);
	fs->dropped_blocks += inode->dropped_blocks;
	fs->dropped_inodes += inode->dropped_blocks != 0;
}

void drop_record_remove(struct filesystem *fs, uint32_t index)
{
	struct cache_header *header = fs->cache.header;

	header->drops[index] = header->drops[--header->drop_count];
}

int inode_gone(struct filesystem *fs, struct inode *inode)
{
	struct cache_header *header = fs->cache.header;

	for (uint32_t i = 0; i < header->drop_count && inode->drops;) {
		if (header->drops[i].inode == inode->number)
			drop_record_remove(fs, i);
		else
			i++;
	}
	keep_maybe_open(fs, inode);
	inode->drops = inode->raw->links;
	return links_subtract(fs, inode, inode->raw->links);
}

void drop_record_add(struct filesystem *fs, struct drop_record record)
{
	struct cache_header *header = fs->cache.header;

	header->drops[header->drop_count] = record;
	atomic_signal_fence(memory_order_seq_cst);
	header->drop_count++;
}

int inode_dropped(struct filesystem *fs, struct inode *inode, uint32_t links)
{
	struct cache_header *header = fs->cache.header;

	if (header->drop_count == DROP_RECORDS)
		filesystem_reclaim(fs);
	if (!inode_links(inode)) {
		count_dropped(fs, inode);
		cache_park(&fs->cache, inode->number);
		inode_leaving(fs, inode);
	}
	if (header->drop_count == DROP_RECORDS)
		return links_subtract(fs, inode, links);
	drop_record_add(fs, (struct drop_record){inode->number, links, fs->cache.commits + 1});
	return 0;
}

int inode_drop(struct filesystem *fs, struct inode *inode, uint32_t links)
{
	inode->drops += links;
	return inode_dropped(fs, inode, links);
}

uint32_t lost_found(struct filesystem *fs)
{
	static const char name[] = "lost+found";
	struct fs_attributes found;
	int error = namespace_lookup(fs, EXT2_ROOT_INODE, (struct name){name, sizeof(name) - 1}, &found);

	return error ? 0 : (uint32_t)found.inode;
}

void parks_init(struct filesystem *fs)
{
	uint32_t number = lost_found(fs);
	struct inode *directory;

	if (!number || directory_get(fs, number, &directory))
		return;
	for (uint32_t i = 0; i < PARK_BLOCKS && i < inode_size(directory) >> fs->block_bits; i++)
		if (directory_block(fs, directory, i, &fs->cache.park_blocks[i])) {
			fs->cache.park_blocks[i] = NULL;
			break;
		}
	inode_put(fs, directory);
}

static bool same_record(const struct drop_record *a, const struct drop_record *b)
{
	return a->inode == b->inode && a->links == b->links && a->commit == b->commit;
}

/* The record's inode, locked; NULL: not now. Nobody is waited for: the caller may have locks of its own. */
static struct inode *drop_begin(struct filesystem *fs, uint32_t index)
{
	struct cache_header *header = fs->cache.header;
	struct drop_record record = header->drops[index];
	struct inode *inode;

	if (record.commit > fs->cache.durable || inode_get(fs, record.inode, INODE_ANY, &inode))
		return NULL;
	if (inode->lock.writer || inode->lock.readers || index >= header->drop_count ||
	    !same_record(&header->drops[index], &record)) {
		inode_put(fs, inode);
		return NULL;
	}
	fiber_rwlock_write(&inode->lock);
	return inode;
}

int drops_apply(struct filesystem *fs)
{
	struct cache_header *header = fs->cache.header;
	int result = 0;

	header->changing++;
	for (uint32_t i = 0; i < header->drop_count && !fs->read_only;) {
		struct inode *inode = drop_begin(fs, i);
		uint32_t links;
		int error;

		if (!inode) {
			i++;
			continue;
		}
		links = header->drops[i].links;
		drop_record_remove(fs, i);
		error = links_subtract(fs, inode, links);
		result = result ? result : error;
		fiber_rwlock_unlock_write(&inode->lock);
		inode_put(fs, inode);
	}
	header->changing--;
	wait_queue_wake_all(&fs->changed, 0);
	return result;
}

int drops_restore(struct filesystem *fs)
{
	struct cache_header *header = fs->cache.header;

	if (header->drop_count > DROP_RECORDS)
		header->drop_count = 0;
	for (uint32_t i = 0; i < header->drop_count; i++) {
		struct inode *inode = inode_remember(fs, header->drops[i].inode);

		if (!inode)
			return ENOMEM;
		inode->drops += header->drops[i].links;
		/* All that was dirty is on the disk since the mount began. */
		header->drops[i].commit = 0;
	}
	return 0;
}
