/* SPDX-License-Identifier: MIT */
/*
 * Dirty pages on their way to the disk, and the room on the disk that they will need. A write(2) reserves
 * blocks for pages that have none yet, so that what it accepted can be written; when the estimate says that
 * the disk is nearly full it is made exact, and then writes go through at once, so that write(2) itself
 * reports ENOSPC.
 */
#include "fs/internal.h"
#include <pith/log.h>
#include <pith/startup.h>

#define INTERVAL     (5ull * 1000000000)
#define SPACE_MARGIN 128 /* blocks: for what maps blocks */

static size_t dirty_pages;
static uint64_t rounds;                                /* turns over dirty inodes */
static struct page_io *writes, **writes_end = &writes; /* in flight, in the order in which they began */
static uint64_t writes_started;
static struct waitq dirty_wait;    /* the periodic fiber: there is something to do */
static struct waitq finished_wait; /* a write was finished */
static bool background_wanted;

size_t pages_dirty(void)
{
	return dirty_pages;
}

/* ---- who is dirty ---- */

void inode_mark_dirty(struct inode *inode)
{
	struct superblock *superblock = inode->superblock;
	if (inode->flags & INODE_DIRTY)
		return;
	inode->flags |= INODE_DIRTY;
	inode->dirty_round = rounds;
	inode->dirty_previous = NULL;
	inode->dirty_next = superblock->dirty;
	if (superblock->dirty != NULL)
		superblock->dirty->dirty_previous = inode;
	else
		superblock->dirty_last = inode;
	superblock->dirty = inode;
	waitq_wake_all(&dirty_wait);
}

void inode_clear_dirty(struct inode *inode)
{
	if (!(inode->flags & INODE_DIRTY))
		return;
	inode->flags &= ~(uint32_t)INODE_DIRTY;
	if (inode->dirty_previous != NULL)
		inode->dirty_previous->dirty_next = inode->dirty_next;
	else
		inode->superblock->dirty = inode->dirty_next;
	if (inode->dirty_next != NULL)
		inode->dirty_next->dirty_previous = inode->dirty_previous;
	else
		inode->superblock->dirty_last = inode->dirty_previous;
	inode->dirty_next = inode->dirty_previous = NULL;
}

void page_cache_mark_dirty(struct inode *inode, uint64_t index, pfn_t pfn)
{
	struct page *page = page_of(pfn);
	if (page->inode != inode || page->flags & PAGE_DIRTY ||
	    inode->superblock->operations->io_start == NULL)
		return;
	page->flags |= PAGE_DIRTY;
	if (inode->dirty_count == 0 || index < inode->dirty_first)
		inode->dirty_first = index;
	inode->dirty_count++;
	dirty_pages++;
	inode_mark_dirty(inode);
}

void page_cache_clean(struct page *page)
{
	page->flags &= (uint16_t)~PAGE_DIRTY;
	page->inode->dirty_count--;
	dirty_pages--;
}

/* ---- room on the disk ---- */

static uint64_t blocks_per_page(const struct superblock *superblock)
{
	return superblock->block_size >= PAGE_SIZE || superblock->block_size == 0
	               ? 1
	               : PAGE_SIZE / superblock->block_size;
}

void page_release_space(struct page *page)
{
	if (!(page->flags & PAGE_RESERVED) || page->inode == NULL)
		return;
	page->flags &= (uint16_t)~PAGE_RESERVED;
	page->inode->reserved_count--;
	page->inode->superblock->blocks_reserved -= blocks_per_page(page->inode->superblock);
}

/* Blocks that map a file of so many blocks without holes (ext2: 12 direct ones, then tables of block
 * numbers). */
static uint64_t mapping_blocks(uint64_t blocks, uint64_t block_size)
{
	uint64_t way = block_size / 4, tables = 0;
	if (blocks > 12) {
		uint64_t leaves = (blocks - 12 + way - 1) / way;
		tables = leaves;
		if (leaves > 1)
			tables += 1 + (leaves - 1 > way ? (leaves - 1 - way + way - 1) / way + 1 : 0);
	}
	return tables;
}

uint64_t inode_blocks(const struct inode *inode)
{
	const struct superblock *superblock = inode->superblock;
	uint64_t size = inode->attributes.size, block = superblock->block_size;
	if (inode->reserved_count == 0 || block == 0)
		return inode->attributes.blocks;
	uint64_t more = inode->reserved_count * blocks_per_page(superblock);
	uint64_t total = (size + block - 1) / block;
	pfn_t last = size > 0 ? page_tree_find(&inode->pages, (size - 1) / PAGE_SIZE) : PFN_NONE;
	/* the last page needs blocks up to the end of the file only */
	if (last != PFN_NONE && page_of(last)->flags & PAGE_RESERVED && size % PAGE_SIZE != 0 &&
	    block < PAGE_SIZE)
		more -= (PAGE_SIZE - (size % PAGE_SIZE + block - 1) / block * block) / block;
	more += mapping_blocks(total, block) - mapping_blocks(total > more ? total - more : 0, block);
	return inode->attributes.blocks + more * (block / 512);
}

static bool space_enough(const struct superblock *superblock)
{
	return superblock->blocks_free >
	       superblock->blocks_reserved + blocks_per_page(superblock) + SPACE_MARGIN;
}

int space_prepare(struct inode *inode, uint64_t index, bool *through)
{
	struct superblock *superblock = inode->superblock;
	*through = false;
	if (superblock->operations->io_start == NULL)
		return 0;
	if ((index + 1) * PAGE_SIZE <= inode->allocated_end || space_enough(superblock))
		return 0;
	pfn_t pfn = page_tree_find(&inode->pages, index);
	if (pfn != PFN_NONE && page_of(pfn)->flags & PAGE_ALLOCATED)
		return 0;
	/* nearly full: what is reserved is written, so that nothing is counted twice; the inode's lock is
	 * ours, pages need none */
	struct inode *dirty = superblock->dirty != NULL ? inode_get(superblock->dirty) : NULL;
	while (dirty != NULL && superblock->blocks_reserved > 0) {
		inode_write_back(dirty, 0, UINT64_MAX, true);
		struct inode *next = dirty->dirty_next != NULL ? inode_get(dirty->dirty_next) : NULL;
		inode_put(dirty);
		dirty = next;
	}
	inode_put(dirty);
	*through = !space_enough(superblock);
	return 0;
}

void space_reserve(struct inode *inode, uint64_t index, pfn_t pfn)
{
	struct page *page = page_of(pfn);
	struct superblock *superblock = inode->superblock;
	if (superblock->operations->io_start == NULL || page->flags & (PAGE_RESERVED | PAGE_ALLOCATED) ||
	    (index + 1) * PAGE_SIZE <= inode->allocated_end)
		return;
	page->flags |= PAGE_RESERVED;
	inode->reserved_count++;
	superblock->blocks_reserved += blocks_per_page(superblock);
}

int page_cache_make_writable(struct inode *inode, uint64_t index)
{
	bool through;
	writeback_throttle();
	pfn_t pfn = page_cache_peek(inode, index);
	if (pfn == PFN_NONE)
		return 0;
	int error = space_prepare(inode, index, &through);
	if (error == 0 && through && page_of(pfn)->inode == inode) {
		/* allocate now: writing the page as it is gives it its blocks */
		page_cache_mark_dirty(inode, index, pfn);
		error = inode_write_through(inode, index);
	}
	if (error == 0 && page_of(pfn)->inode == inode) {
		space_reserve(inode, index, pfn);
		inode_touch(inode, FS_SET_MTIME | FS_SET_CTIME);
	}
	page_put(pfn);
	return error;
}

/* ---- errors ---- */

static void error_count_add(struct error_count *errors)
{
	errors->count++;
	errors->unseen = true;
}

/* Has there been one since the file heard of the last? */
static bool error_count_take(struct error_count *errors, uint32_t *seen)
{
	bool more = *seen != errors->count;
	*seen = errors->count;
	errors->unseen &= !more;
	return more;
}

void file_errors_begin(struct file *file)
{
	const struct error_count *written = &file->inode->write_errors,
	                         *synced = &file->inode->superblock->sync_errors;
	file->write_errors_seen = written->count - written->unseen;
	file->sync_errors_seen = synced->count - synced->unseen;
}

/* ---- writing ---- */

static void write_begins(struct page_io *io)
{
	io->number = writes_started++;
	io->next = NULL;
	io->link = writes_end;
	*writes_end = io;
	writes_end = &io->next;
}

static void write_ends(struct page_io *io)
{
	*io->link = io->next;
	if (io->next != NULL)
		io->next->link = io->link;
	else
		writes_end = io->link;
	waitq_wake_all(&finished_wait);
}

static bool in_flight(const struct inode *inode, uint64_t end)
{
	for (const struct page_io *io = writes; io != NULL && io->number < end; io = io->next) {
		if (inode == NULL || io->inode == inode)
			return true;
	}
	return false;
}

/* For those that have begun, of one file or (NULL) all, not for what others begin meanwhile: that may never
 * end. */
static void wait_for_writes(const struct inode *inode)
{
	uint64_t end = writes_started;
	while (in_flight(inode, end))
		waitq_wait(&finished_wait, false, DEADLINE_NEVER);
}

void writeback_finished(struct page_io *io, int error, uint64_t blocks)
{
	struct inode *inode = io->inode;
	write_ends(io);
	if (error == 0) {
		inode->attributes.blocks = blocks;
	} else {
		inode->write_error = error;
		error_count_add(&inode->write_errors);
		if (!io->told)
			log_error("%s: write-back of inode %llu: %s", inode->superblock->source,
			          (unsigned long long)inode->attributes.inode, error_name(error));
	}
}

static void take_for_writing(struct page_io *io, struct page *page, uint64_t size)
{
	struct inode *inode = io->inode;
	pfn_t pfn = page_pfn(page);
	if (inode->mappings != NULL)
		mm_write_protect(inode, page->index);
	page_cache_clean(page);
	page->flags |= PAGE_BUSY;
	page_get(pfn);
	if ((page->index + 1) * PAGE_SIZE > size && page->index * PAGE_SIZE < size)
		memset((char *)page_address(pfn) + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
	io->pages[io->count].index = page->index;
	io->pages[io->count].pfn = pfn;
	io->count++;
}

static void untake(struct page_io *io)
{
	struct inode *inode = io->inode;
	for (unsigned i = 0; i < io->count; i++) {
		pfn_t pfn = io->pages[i].pfn;
		page_of(pfn)->flags &= (uint16_t)~PAGE_BUSY;
		page_cache_mark_dirty(inode, io->pages[i].index, pfn);
		waitq_wake_all(page_waitq(pfn));
		page_put(pfn);
	}
}

/* Starts writing dirty pages from *index on, up to `last`: one request. 0: started, *index is where to go on;
 * -ENOENT: nothing to do. */
static int write_start(struct inode *inode, uint64_t *index, uint64_t last, bool may_wait, bool told,
                       unsigned *started)
{
	if (!page_io_may_begin(inode, may_wait))
		return -EAGAIN;
	struct page_io *io = malloc(sizeof(*io));
	pfn_t pfn;
	if (io == NULL)
		return -ENOMEM;
	io->inode = inode;
	io->write = true;
	io->told = told;
	io->count = 0;
	io->size = inode->attributes.size;
	if (*index < inode->dirty_first)
		*index = inode->dirty_first;
	uint64_t from = *index; /* from here to *index nothing is dirty */
	while (io->count < FS_PAGES_MAX && inode->dirty_count > 0 &&
	       (pfn = page_tree_next(&inode->pages, index)) != PFN_NONE && *index <= last) {
		struct page *page = page_of(pfn);
		if (page->flags & PAGE_DIRTY && page->flags & PAGE_BUSY) {
			if (!may_wait) {
				from = ++*index;
				continue;
			}
			if (io->count > 0)
				break; /* send what there is before waiting */
			page_get(pfn);
			while (page->flags & PAGE_BUSY)
				waitq_wait(page_waitq(pfn), false, DEADLINE_NEVER);
			page_put(pfn);
			io->size = inode->attributes.size;
			from = *index;
			continue;
		}
		if (page->flags & PAGE_DIRTY)
			take_for_writing(io, page, io->size);
		(*index)++;
	}
	if (inode->dirty_first >= from && inode->dirty_first < *index)
		inode->dirty_first = *index;
	if (io->count == 0) {
		free(io);
		return -ENOENT;
	}
	*started = io->count;
	inode->io_count++;
	write_begins(io);
	int error = inode->superblock->operations->io_start(io, may_wait);
	if (error != 0) {
		if (error == -EIO) { /* who waits for it meanwhile has to know */
			inode->write_error = error;
			error_count_add(&inode->write_errors);
		}
		untake(io);
		write_ends(io);
		free(io);
		page_io_ended(inode);
	}
	return error;
}

/* Nobody will read what a file without a name and users holds. */
static bool is_dead(const struct inode *inode)
{
	return inode->attributes.links == 0 && !(inode->flags & INODE_KEPT);
}

static int write_back(struct inode *inode, uint64_t first, uint64_t last, bool wait, bool told)
{
	uint64_t index = first;
	uint32_t errors = inode->write_errors.count;
	unsigned started;
	int error = 0;
	if (is_dead(inode) || inode->superblock->operations->io_start == NULL)
		return 0;
	if (inode->dirty_count > 0 && inode->attributes.size > 0) {
		uint64_t end = (inode->attributes.size - 1) / PAGE_SIZE; /* it may grow all the time */
		if (last > end)
			last = end;
		do
			error = write_start(inode, &index, last, true, told, &started);
		while (error == 0 && index != 0 && index <= last);
	}
	if (error == -ENOENT)
		error = 0;
	if (!wait)
		return error;
	wait_for_writes(inode);
	if (error == 0 && inode->write_errors.count != errors)
		error = inode->write_error;
	return error;
}

int inode_write_back(struct inode *inode, uint64_t first, uint64_t last, bool wait)
{
	return write_back(inode, first, last, wait, false);
}

/* The caller tells its own writer: neither fsync nor the log need say it again. */
int inode_write_through(struct inode *inode, uint64_t index)
{
	struct error_count before = inode->write_errors;
	int error = write_back(inode, index, index, true, true);
	if (error != 0 && inode->write_errors.count == before.count + 1)
		inode->write_errors = before;
	return error;
}

int page_cache_flush(struct inode *inode, uint64_t first, uint64_t last)
{
	return inode_write_back(inode, first, last, true);
}

/* All that was written before is on stable storage, or that is not so for whoever wrote it. inode NULL:
 * everything. */
static int superblock_fsync(struct superblock *superblock, struct inode *inode)
{
	if (superblock->operations->fsync == NULL)
		return 0;
	int error = superblock->operations->fsync(superblock, inode);
	if (error != 0)
		error_count_add(&superblock->sync_errors);
	return error;
}

int file_fsync(struct file *file)
{
	struct inode *inode = file->inode;
	struct superblock *superblock = inode->superblock;
	int error = inode_write_back(inode, 0, UINT64_MAX, true);
	if (error == 0 && !is_dead(inode))
		error = inode_flush_attributes(inode);
	if (error == 0 && !is_dead(inode))
		error = superblock_fsync(superblock, inode);
	if (error_count_take(&inode->write_errors, &file->write_errors_seen) && error == 0)
		error = inode->write_error;
	if (error_count_take(&superblock->sync_errors, &file->sync_errors_seen) && error == 0)
		error = -EIO;
	return error;
}

/* One turn over the inodes of a file system that are dirty now: who changes one from here on puts it behind
 * the end of this turn. */
static int write_all(struct superblock *superblock, bool wait)
{
	int first_error = 0;
	/* One after the other: what a turn has taken off the list, and has not begun to write, the next one must not
	 * overlook. */
	fiber_mutex_lock(&superblock->turn);
	uint64_t round = ++rounds;
	while (superblock->dirty_last != NULL && superblock->dirty_last->dirty_round < round) {
		struct inode *inode = inode_get(superblock->dirty_last);
		inode_clear_dirty(inode);
		int error = inode_write_back(inode, 0, UINT64_MAX, false);
		if (error == 0)
			error = inode_flush_attributes(inode);
		if (first_error == 0)
			first_error = error;
		if ((inode->dirty_count > 0 || (error != 0 && inode->pending_attributes != 0)) &&
		    !is_dead(inode))
			inode_mark_dirty(inode);
		inode_put(inode);
	}
	fiber_mutex_unlock(&superblock->turn);
	if (wait)
		wait_for_writes(NULL);
	return first_error;
}

int superblock_sync(struct superblock *superblock)
{
	if (superblock->operations->io_start == NULL || superblock->read_only)
		return 0;
	int error = write_all(superblock, true);
	int synced = superblock_fsync(superblock, NULL);
	return error != 0 ? error : synced;
}

size_t writeback_kick(size_t pages)
{
	size_t done = 0;
	for (struct mount *mount = mount_first(); mount != NULL; mount = mount->next) {
		for (struct inode *inode = mount->superblock->dirty; inode != NULL && done < pages;
		     inode = inode->dirty_next) {
			uint64_t index = 0;
			unsigned started;
			while (done < pages && inode->dirty_count > 0 && !is_dead(inode) &&
			       write_start(inode, &index, UINT64_MAX, false, false, &started) == 0)
				done += started;
		}
	}
	return done;
}

void page_cache_wait_writeback(void)
{
	if (fiber_current() == NULL)
		return;
	if (writes == NULL && writeback_kick(256) == 0)
		return;
	if (writes != NULL)
		waitq_wait(&finished_wait, false, DEADLINE_NEVER);
}

/* A writer made pages dirty: the fiber starts at a tenth of all memory, writers wait at a fifth. */
void writeback_throttle(void)
{
	size_t total = pages_total();
	if (dirty_pages > total / 10 && !background_wanted) {
		background_wanted = true;
		waitq_wake_all(&dirty_wait);
	}
	while (dirty_pages > total / 5 && (writes != NULL || writeback_kick(512) > 0))
		page_cache_wait_writeback();
}

static bool anything_dirty(void)
{
	for (struct mount *mount = mount_first(); mount != NULL; mount = mount->next) {
		if (mount->superblock->dirty != NULL || mount->superblock->changed)
			return true;
	}
	return false;
}

static void writeback_fiber(void *unused)
{
	(void)unused;
	for (;;) {
		while (!anything_dirty())
			waitq_wait(&dirty_wait, false, DEADLINE_NEVER);
		deadline_t until = time_now() + INTERVAL;
		while (!background_wanted && time_now() < until)
			waitq_wait(&dirty_wait, false, until);
		background_wanted = false;
		for (struct mount *mount = mount_first(); mount != NULL; mount = mount->next) {
			struct superblock *superblock = mount->superblock;
			mount_hold(mount);
			write_all(superblock, false);
			if (superblock->changed && time_now() >= until) {
				superblock->changed = false;
				superblock_fsync(superblock, NULL);
			}
			if (!mount_release(mount))
				break;
		}
	}
}

void writeback_start(void)
{
	fiber_spawn(writeback_fiber, NULL);
}
