/* SPDX-License-Identifier: MIT */
/*
 * File data: whole pages go by DMA between the disk and the client's pools. What is adjacent on the disk
 * becomes one request whatever the order of pages in the pool; all requests of one call are under way
 * together. Holes and what lies beyond the end of the file are zeroed here, in the client's pool.
 */
#include <string.h>
#include <sys/stat.h>

#include "ext2.h"

/* One READ_PAGES or WRITE_PAGES. */
struct pages {
	struct filesystem *fs;
	struct inode *inode;
	const struct fs_page *list;
	uint32_t count;
	enum block_operation operation;
	struct io_batch batch;
};

static int pages_check(struct filesystem *fs, const struct fs_page *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct pool *pool =
		        list[i].pool && list[i].pool < POOLS_MAX ? &fs->pools[list[i].pool] : NULL;

		if (!pool || !pool->address || list[i].offset >= pool->size / PAGE_SIZE)
			return EINVAL;
		/* Beyond any file: keeps all sums below from overflowing. */
		if (list[i].page >= 1ull << 40)
			return EFBIG;
	}
	return 0;
}

static uint32_t blocks_per_page(const struct filesystem *fs)
{
	return (uint32_t)PAGE_SIZE >> fs->block_bits;
}

/* How many list entries from `start` on are consecutive pages of the file. */
static uint32_t pages_consecutive(const struct pages *pages, uint32_t start)
{
	uint32_t end = start + 1;

	while (end < pages->count && pages->list[end].page == pages->list[end - 1].page + 1)
		end++;
	return end - start;
}

static uint8_t *page_address(const struct pages *pages, uint32_t index)
{
	const struct fs_page *page = &pages->list[index];

	return pages->fs->pools[page->pool].address + (uint64_t)page->offset * PAGE_SIZE;
}

/* Blocks [block, block + count) of the file, which lie in the entries from `start` on: calls for each page's
 * part. */
typedef void page_part(struct pages *pages, uint32_t index, uint32_t offset, uint32_t length,
                       uint32_t physical);

static void pages_parts(struct pages *pages, uint32_t start, uint64_t block, uint32_t count,
                        uint32_t physical, page_part *part)
{
	uint32_t per_page = blocks_per_page(pages->fs), bits = pages->fs->block_bits;

	while (count) {
		uint32_t in_page = (uint32_t)(block % per_page);
		uint32_t blocks = per_page - in_page < count ? per_page - in_page : count;
		uint32_t index = start + (uint32_t)(block / per_page - pages->list[start].page);

		part(pages, index, in_page << bits, blocks << bits, physical);
		block += blocks;
		physical += blocks;
		count -= blocks;
	}
}

static void part_transfer(struct pages *pages, uint32_t index, uint32_t offset, uint32_t length,
                          uint32_t physical)
{
	const struct fs_page *page = &pages->list[index];

	io_add(&pages->batch, pages->operation, (uint64_t)physical << (pages->fs->block_bits - 9), page->pool,
	       (uint64_t)page->offset * PAGE_SIZE + offset, length);
}

static void part_zero(struct pages *pages, uint32_t index, uint32_t offset, uint32_t length,
                      uint32_t physical)
{
	(void)physical;
	memset(page_address(pages, index) + offset, 0, length);
}

/* ---- reading ---- */

static int read_run(struct pages *pages, uint32_t start, uint32_t run, uint64_t end_block)
{
	uint32_t per_page = blocks_per_page(pages->fs);
	uint64_t block = pages->list[start].page * per_page, end = block + (uint64_t)run * per_page;

	while (block < end) {
		uint32_t physical = 0, count = (uint32_t)(end - block);
		int error;

		if (block < end_block) {
			error = map_lookup(pages->fs, pages->inode, block,
			                   (end < end_block ? end : end_block) - block, &physical, &count);
			if (error)
				return error;
		}
		pages_parts(pages, start, block, count, physical, physical ? part_transfer : part_zero);
		block += count;
	}
	return 0;
}

/* The last block is read whole; what the file does not have of it is zero for the client. */
static void zero_tail(struct pages *pages, uint64_t size)
{
	uint32_t from = (uint32_t)(size % PAGE_SIZE);
	uint32_t to = (from + pages->fs->block_size - 1) & ~(pages->fs->block_size - 1);

	for (uint32_t i = 0; i < pages->count && from; i++)
		if (pages->list[i].page == size / PAGE_SIZE)
			memset(page_address(pages, i) + from, 0, to - from);
}

int data_read(struct filesystem *fs, struct inode *inode, const struct fs_page *list, uint32_t count)
{
	struct pages pages = {
	        .fs = fs, .inode = inode, .list = list, .count = count, .operation = BLOCK_READ};
	uint64_t size;
	uint32_t run;
	int error = pages_check(fs, list, count), io_error;

	if (error)
		return error;
	fiber_rwlock_read(&inode->lock);
	size = inode_size(inode);
	io_begin(&pages.batch, fs->device);
	for (uint32_t i = 0; i < count && !error; i += run) {
		run = pages_consecutive(&pages, i);
		error = read_run(&pages, i, run, (size + fs->block_size - 1) >> fs->block_bits);
	}
	io_error = io_finish(&pages.batch);
	zero_tail(&pages, size);
	fiber_rwlock_unlock_read(&inode->lock);
	return error ? error : io_error;
}

/* ---- writing ---- */

/* *reached: the first block of the run that has no place on the disk (end if all have). */
static int write_run(struct pages *pages, uint32_t start, uint32_t run, uint64_t end_block, uint64_t *reached)
{
	struct filesystem *fs = pages->fs;
	uint32_t per_page = blocks_per_page(fs);
	uint64_t block = pages->list[start].page * per_page, end = block + (uint64_t)run * per_page;
	uint32_t physical, count;
	int error = 0;

	if (end > end_block)
		end = end_block > block ? end_block : block;
	while (block < end) {
		error = map_lookup(fs, pages->inode, block, end - block, &physical, &count);
		if (!error && !physical)
			error = map_allocate(fs, pages->inode, block, count, &physical, &count);
		if (error)
			break;
		pages_parts(pages, start, block, count, physical, part_transfer);
		block += count;
	}
	*reached = block;
	return error;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Entries that got all their blocks count as done; a file that could not grow as far as asked ends where its
 * data does. */
static int write_list(struct pages *pages, uint64_t size, uint32_t *done)
{
	struct filesystem *fs = pages->fs;
	uint32_t per_page = blocks_per_page(fs), run;
	uint64_t end_block = (size + fs->block_size - 1) >> fs->block_bits,
	         old_size = inode_size(pages->inode);
	uint64_t reached = 0, highest = 0;
	int error = 0;

	*done = 0;
	for (uint32_t i = 0; i < pages->count && !error; i += run) {
		run = pages_consecutive(pages, i);
		error = write_run(pages, i, run, end_block, &reached);
		highest = reached > highest ? reached : highest;
		*done = i + (error ? (uint32_t)(reached / per_page - pages->list[i].page) : run);
	}
	if (error)
		size = least(size, highest << fs->block_bits);
	if (size > old_size)
		inode_set_size(fs, pages->inode, size);
	return error;
}

int data_write(struct filesystem *fs, struct inode *inode, const struct fs_page *list, uint32_t count,
               uint64_t size, uint32_t *done)
{
	struct pages pages = {
	        .fs = fs, .inode = inode, .list = list, .count = count, .operation = BLOCK_WRITE};
	int error = pages_check(fs, list, count), io_error;

	*done = 0;
	if (error)
		return error;
	if (size > fs->size_max)
		return EFBIG;
	fiber_rwlock_write(&inode->lock);
	if (inode_is_gone(inode)) {
		fiber_rwlock_unlock_write(&inode->lock);
		return ESTALE;
	}
	if (size < inode_size(inode))
		size = inode_size(inode);
	io_begin(&pages.batch, fs->device);
	error = write_list(&pages, size, done);
	/* Blocks are in place: others may read the file while the data is under way, but nobody may free
	 * them. */
	fiber_rwlock_downgrade(&inode->lock);
	io_error = io_finish(&pages.batch);
	fiber_rwlock_unlock_read(&inode->lock);
	if (io_error)
		*done = 0;
	return error ? error : io_error;
}

/* ---- size ---- */

/* What is cut off inside the last block must read as zeros if the file grows again. */
static int zero_rest_of_block(struct filesystem *fs, struct inode *inode, uint64_t size)
{
	uint32_t from = (uint32_t)(size & (fs->block_size - 1)), physical, count;
	struct buffer *buffer;
	int error;

	if (!from)
		return 0;
	error = map_lookup(fs, inode, size >> fs->block_bits, 1, &physical, &count);
	if (error || !physical)
		return error;
	/* It may be here from an earlier life, when it was metadata. */
	buffer_forget(&fs->cache, physical);
	error = buffer_get(&fs->cache, physical, &buffer);
	if (error)
		return error;
	memset(buffer->data + from, 0, fs->block_size - from);
	error = buffer_write(&fs->cache, buffer);
	buffer_put(&fs->cache, buffer);
	buffer_forget(&fs->cache, physical); /* file data is not the cache's */
	return error;
}

/* Write-locked. */
int data_set_size(struct filesystem *fs, struct inode *inode, uint64_t size)
{
	uint64_t old_size = inode_size(inode);
	int error;

	if (size > fs->size_max)
		return EFBIG;
	if (size < old_size) {
		error = zero_rest_of_block(fs, inode, size);
		if (error)
			return error;
	}
	inode_set_size(fs, inode, size);
	return size < old_size ? map_free(fs, inode, (size + fs->block_size - 1) >> fs->block_bits, MAP_END)
	                       : 0;
}

/* ---- holes ---- */

/* Write-locked. */
int data_punch(struct filesystem *fs, struct inode *inode, uint64_t offset, uint64_t length)
{
	uint64_t first = (offset >> fs->block_bits) + ((offset & (fs->block_size - 1)) != 0);

	if (!length || offset + length < offset)
		return EINVAL;
	return map_free(fs, inode, first, (offset + length) >> fs->block_bits);
}

/* Read-locked. */
int data_seek(struct filesystem *fs, struct inode *inode, bool hole, uint64_t *offset)
{
	uint64_t size = inode_size(inode), first = *offset >> fs->block_bits, block = first;
	uint64_t end = (size + fs->block_size - 1) >> fs->block_bits;
	uint32_t physical, count;

	if (*offset >= size)
		return ENXIO;
	for (; block < end; block += count) {
		int error = map_lookup(fs, inode, block, end - block, &physical, &count);

		if (error)
			return error;
		if (hole == !physical)
			break;
	}
	if (block >= end && !hole)
		return ENXIO;
	if (block > first)
		*offset = least(block << fs->block_bits, size);
	return 0;
}
