/* SPDX-License-Identifier: MIT */
/*
 * The page cache: file data in pages of the pools, which processes map and the disk's DMA reads and writes.
 * It is the only cache of file data in the system. States of a cached page: BUSY, not UPTODATE      being
 * read; wait on its queue neither                 the read failed: who finds it takes it out UPTODATE data;
 * DIRTY: newer than the disk; BUSY: being written (may be read, changed and made dirty meanwhile) The cache
 * holds one reference of each page, I/O in flight another. Pages of memory file systems (no io_start) are
 * never dirty, and not on the LRU list.
 */
#include "fs/internal.h"

#define READ_AHEAD_FIRST 32
#define READ_AHEAD_MAX   128
#define READ_AROUND      32
#define RECLAIM_MARGIN   64
#define RECLAIM_BATCH    128

/* In the order in which they came or were spared: a page that was used since then is spared once. */
static struct page *lru_first, *lru_last;
static size_t cached_pages, memory_pages; /* of these, what has no store */
static struct waitq idle_wait;            /* some file's last I/O is done */
static struct waitq held_wait;            /* some file may be read and written again */

static void lru_remove(struct page *page)
{
	if (page->lru_previous != NULL)
		page->lru_previous->lru_next = page->lru_next;
	else
		lru_first = page->lru_next;
	if (page->lru_next != NULL)
		page->lru_next->lru_previous = page->lru_previous;
	else
		lru_last = page->lru_previous;
	page->lru_next = page->lru_previous = NULL;
}

static void lru_append(struct page *page)
{
	page->lru_previous = lru_last;
	page->lru_next = NULL;
	if (lru_last != NULL)
		lru_last->lru_next = page;
	else
		lru_first = page;
	lru_last = page;
}

size_t page_cache_pages(void)
{
	return cached_pages;
}

size_t page_cache_memory_pages(void)
{
	return memory_pages;
}

int page_cache_add(struct inode *inode, uint64_t index, pfn_t pfn)
{
	struct page *page = page_of(pfn);
	struct superblock *superblock = inode->superblock;
	if (!has_store(inode) && superblock->page_limit != 0 &&
	    superblock->page_used >= superblock->page_limit)
		return -ENOSPC;
	int error = page_tree_insert(&inode->pages, index, pfn);
	if (error != 0)
		return error;
	page_get(pfn);
	page->flags = PAGE_CACHE;
	page->inode = inode;
	page->index = index;
	inode->page_count++;
	cached_pages++;
	if (has_store(inode)) {
		lru_append(page);
	} else {
		superblock->page_used++;
		memory_pages++;
		inode->attributes.blocks += PAGE_SIZE / 512;
	}
	return 0;
}

/* Takes it out of the cache and gives the cache's reference up. Not BUSY. */
static void cache_remove(struct page *page)
{
	struct inode *inode = page->inode;
	if (page->flags & PAGE_DIRTY)
		page_cache_clean(page);
	page_release_space(page);
	page_tree_remove(&inode->pages, page->index);
	inode->page_count--;
	cached_pages--;
	if (has_store(inode)) {
		lru_remove(page);
	} else {
		inode->superblock->page_used--;
		memory_pages--;
		inode->attributes.blocks -= PAGE_SIZE / 512;
	}
	page->flags = 0;
	page->inode = NULL;
	page_put(page_pfn(page));
}

static void wait_not_busy(pfn_t pfn)
{
	while (page_of(pfn)->flags & PAGE_BUSY)
		waitq_wait(page_waitq(pfn), false, DEADLINE_NEVER);
}

bool page_io_may_begin(struct inode *inode, bool may_wait)
{
	while (inode->io_held) {
		if (!may_wait || fiber_current() == NULL)
			return false;
		waitq_wait(&held_wait, false, DEADLINE_NEVER);
	}
	return true;
}

void page_io_ended(struct inode *inode)
{
	if (--inode->io_count == 0)
		waitq_wake_all(&idle_wait);
}

/* No I/O of the file is in flight afterwards, and none begins: or who reads or writes all the time could keep
 * us here. */
static void io_hold(struct inode *inode)
{
	inode->io_held = true;
	while (inode->io_count > 0)
		waitq_wait(&idle_wait, false, DEADLINE_NEVER);
}

static void io_release(struct inode *inode)
{
	inode->io_held = false;
	waitq_wake_all(&held_wait);
}

static void drop_pages(struct inode *inode, uint64_t index)
{
	pfn_t pfn;
	while ((pfn = page_tree_next(&inode->pages, &index)) != PFN_NONE) {
		struct page *page = page_of(pfn);
		if (page->flags & PAGE_BUSY) {
			page_get(pfn);
			wait_not_busy(pfn);
			page_put(pfn);
			continue; /* it may be gone, look again */
		}
		/* Who waited for it, too, may have mapped it since the range was unmapped. That is looked for
		 * in all mappings, so not for pages that nobody else holds. */
		if (page->references > 1)
			mm_unmap_file_page(inode, index, pfn);
		cache_remove(page);
	}
}

void page_cache_drop(struct inode *inode, uint64_t first)
{
	drop_pages(inode, first);
	io_hold(inode);
	drop_pages(inode, first); /* what those have added that were just beginning to read */
	io_release(inode);
}

void page_cache_discard(struct inode *inode, uint64_t index)
{
	pfn_t pfn = page_tree_find(&inode->pages, index);
	if (pfn == PFN_NONE)
		return;
	page_get(pfn);
	wait_not_busy(pfn);
	if (page_of(pfn)->inode == inode) {
		mm_unmap_file_page(inode, index, pfn);
		cache_remove(page_of(pfn));
	}
	page_put(pfn);
}

/* ---- reading ---- */

/* A page that was written whole has all of its blocks now. */
static void page_written(const struct page_io *io, struct page *page, int error)
{
	page_release_space(page);
	bool whole =
	        (page->index + 1) * PAGE_SIZE <= io->size || io->inode->superblock->block_size >= PAGE_SIZE;
	if (error == 0 && whole && page->inode == io->inode)
		page->flags |= PAGE_ALLOCATED;
}

struct page_counts page_counts;

void page_io_done(struct page_io *io, int error, uint64_t blocks)
{
	struct inode *inode = io->inode;
	*(io->write ? &page_counts.written : &page_counts.read) += io->count;
	for (unsigned i = 0; i < io->count; i++) {
		pfn_t pfn = io->pages[i].pfn;
		struct page *page = page_of(pfn);
		page->flags &= (uint16_t)~PAGE_BUSY;
		if (!io->write && error == 0)
			page->flags |= PAGE_UPTODATE;
		if (io->write)
			page_written(io, page, error);
		waitq_wake_all(page_waitq(pfn));
		page_put(pfn);
	}
	if (io->write)
		writeback_finished(io, error, blocks);
	page_io_ended(inode);
	free(io);
}

static uint64_t pages_of(uint64_t size)
{
	return size / PAGE_SIZE + (size % PAGE_SIZE != 0);
}

/* Starts reading the pages [index, index + count) that are not cached, up to the first one that is. 0, or why
 * nothing was started. */
static int read_start(struct inode *inode, uint64_t index, uint64_t count, bool may_wait)
{
	if (!page_io_may_begin(inode, may_wait))
		return -EAGAIN;
	uint64_t end = pages_of(inode->attributes.size);
	if (index >= end)
		return -ENXIO;
	if (count > end - index)
		count = end - index;
	if (count > FS_PAGES_MAX)
		count = FS_PAGES_MAX;
	struct page_io *io = malloc(sizeof(*io));
	if (io == NULL)
		return -ENOMEM;
	io->inode = inode;
	io->write = false;
	io->count = 0;
	io->size = inode->attributes.size;
	inode->io_count++; /* also keeps the inode while allocating waits */
	int error = 0;
	if (pages_free() < count + RECLAIM_MARGIN) /* many at a time: looking for them costs the most */
		page_cache_reclaim(count + RECLAIM_BATCH);
	while (io->count < count && page_tree_find(&inode->pages, index + io->count) == PFN_NONE) {
		if (io->count > 0 && pages_free() < RECLAIM_MARGIN / 2)
			break; /* only what is really wanted */
		pfn_t pfn = page_allocate(false);
		if (pfn == PFN_NONE) {
			error = -ENOMEM;
			break;
		}
		error = page_cache_add(inode, index + io->count, pfn);
		if (error != 0) {
			page_put(pfn);
			break;
		}
		/* the allocation's reference becomes the I/O's */
		page_of(pfn)->flags |= PAGE_BUSY;
		io->pages[io->count].index = index + io->count;
		io->pages[io->count].pfn = pfn;
		io->count++;
	}
	if (io->count == 0) {
		page_io_ended(inode);
		free(io);
		return error == -EEXIST ? 0 : error;
	}
	error = inode->superblock->operations->io_start(io, may_wait);
	if (error == 0)
		return 0;
	for (unsigned i = 0; i < io->count; i++) { /* as if they had never been there */
		struct page *page = page_of(io->pages[i].pfn);
		page->flags &= (uint16_t)~PAGE_BUSY;
		waitq_wake_all(page_waitq(io->pages[i].pfn));
		cache_remove(page);
		page_put(io->pages[i].pfn);
	}
	page_io_ended(inode);
	free(io);
	return error;
}

/* Memory file systems: a page that is not there is zero. */
static int add_zero_page(struct inode *inode, uint64_t index)
{
	pfn_t pfn = page_allocate(true);
	if (pfn == PFN_NONE)
		return -ENOMEM;
	int error = page_cache_add(inode, index, pfn);
	if (error == 0)
		page_of(pfn)->flags |= PAGE_UPTODATE;
	page_put(pfn);
	return error == -EEXIST ? 0 : error;
}

/* Waits for the page to be read; on failure it is out of the cache. Consumes the reference unless it
 * succeeds. */
static int wait_read(struct inode *inode, pfn_t pfn)
{
	struct page *page = page_of(pfn);
	while (page->flags & PAGE_BUSY && !(page->flags & PAGE_UPTODATE))
		waitq_wait(page_waitq(pfn), false, DEADLINE_NEVER);
	if (page->inode == inode && page->flags & PAGE_UPTODATE)
		return 0;
	int error = -EAGAIN; /* truncated meanwhile */
	if (page->inode == inode) {
		cache_remove(page);
		error = -EIO;
	}
	page_put(pfn);
	return error;
}

/* Pages that are read together fail together: after an error the wanted one is read again by itself, so that
 * a bad sector costs its own page only. */
static int get_page(struct inode *inode, uint64_t index, uint64_t window_start, uint64_t window, pfn_t *out)
{
	for (bool alone = false;;) {
		if (index >= pages_of(inode->attributes.size))
			return -ENXIO;
		pfn_t pfn = page_tree_find(&inode->pages, index);
		int error;
		if (pfn != PFN_NONE) {
			page_get(pfn);
			error = wait_read(inode, pfn);
			if (error == -EAGAIN)
				continue;
			if (error == -EIO && !alone) {
				alone = true;
				continue;
			}
			if (error == 0) {
				page_of(pfn)->flags |= PAGE_USED;
				*out = pfn;
			}
			return error;
		}
		if (alone) {
			error = read_start(inode, index, 1, true);
		} else if (has_store(inode)) {
			uint64_t start = index;
			while (start > window_start && page_tree_find(&inode->pages, start - 1) == PFN_NONE)
				start--;
			error = read_start(inode, start, window_start + window - start, true);
		} else {
			error = add_zero_page(inode, index);
		}
		if (error != 0)
			return error;
	}
}

int page_cache_get(struct inode *inode, uint64_t index, pfn_t *out)
{
	return get_page(inode, index, index - index % READ_AROUND, READ_AROUND, out);
}

pfn_t page_cache_peek(struct inode *inode, uint64_t index)
{
	pfn_t pfn = page_tree_find(&inode->pages, index);
	if (pfn == PFN_NONE || !(page_of(pfn)->flags & PAGE_UPTODATE) ||
	    index >= pages_of(inode->attributes.size))
		return PFN_NONE;
	page_get(pfn);
	return pfn;
}

int page_cache_read_ahead(struct inode *inode, uint64_t index, unsigned count)
{
	if (!has_store(inode))
		return 0;
	return read_start(inode, index, count, false);
}

/* A sequential reader has come to the middle of what was read ahead for it. */
static bool ahead_is_due(const struct file *file, uint64_t index, bool sequential)
{
	return sequential && file->ahead_size > 0 && index + file->ahead_size / 2 >= file->ahead_end;
}

/* The page is not there, or more should be read ahead. */
__attribute__((noinline)) static int get_ahead(struct file *file, uint64_t index, uint64_t last_wanted,
                                               bool sequential, bool may_wait, pfn_t *out)
{
	struct inode *inode = file->inode;
	if (!has_store(inode) && page_tree_find(&inode->pages, index) == PFN_NONE)
		return -ENODATA;
	if (!may_wait && has_store(inode)) {
		*out = page_cache_peek(inode, index);
		return *out != PFN_NONE ? 0 : -EAGAIN;
	}
	uint64_t window = last_wanted - index + 1;
	if (page_tree_find(&inode->pages, index) == PFN_NONE) {
		if (sequential) {
			uint64_t ahead =
			        file->ahead_size == 0 || index == 0 ? READ_AHEAD_FIRST : file->ahead_size * 2;
			file->ahead_size = ahead > READ_AHEAD_MAX ? READ_AHEAD_MAX : ahead;
			if (window < file->ahead_size)
				window = file->ahead_size;
		} else {
			file->ahead_size = 0;
		}
		if (window > FS_PAGES_MAX)
			window = FS_PAGES_MAX;
		file->ahead_end = index + window;
	} else if (ahead_is_due(file, index, sequential) && has_store(inode)) {
		uint64_t ahead =
		        file->ahead_size * 2 > READ_AHEAD_MAX ? READ_AHEAD_MAX : file->ahead_size * 2;
		if (read_start(inode, file->ahead_end, ahead, false) == 0) {
			file->ahead_end += ahead;
			file->ahead_size = ahead;
		}
	}
	return get_page(inode, index, index, window, out);
}

/*
 * For read(): who reads one page after another gets the next window while it still works on this one; windows
 * double. Anybody else gets what he asked for (up to last_wanted).
 */
int page_cache_get_for_file(struct file *file, uint64_t index, uint64_t last_wanted, bool may_wait,
                            pfn_t *out)
{
	struct inode *inode = file->inode;
	bool sequential = index == file->ahead_next || index == 0;
	pfn_t pfn = page_tree_find(&inode->pages, index);
	struct page *page = page_of(pfn);
	file->ahead_next = index + 1;
	if (pfn == PFN_NONE || !(page->flags & PAGE_UPTODATE) ||
	    index * PAGE_SIZE >= inode->attributes.size || ahead_is_due(file, index, sequential))
		return get_ahead(file, index, last_wanted, sequential, may_wait, out);
	page->flags |= PAGE_USED;
	page_get(pfn);
	*out = pfn;
	return 0;
}

/* ---- truncation ---- */

static bool is_zero(const char *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

int page_cache_zero_tail(struct inode *inode, uint64_t size)
{
	size_t offset = size % PAGE_SIZE;
	pfn_t pfn;
	if (offset == 0 || (!has_store(inode) && page_tree_find(&inode->pages, size / PAGE_SIZE) == PFN_NONE))
		return 0;
	int error = page_cache_get(inode, size / PAGE_SIZE, &pfn);
	if (error != 0)
		return error;
	page_of(pfn)->flags &= (uint16_t)~PAGE_ALLOCATED; /* blocks behind the end go */
	char *tail = (char *)page_address(pfn) + offset;
	if (!is_zero(tail, PAGE_SIZE - offset)) { /* a hole stays one */
		memset(tail, 0, PAGE_SIZE - offset);
		page_cache_mark_dirty(inode, size / PAGE_SIZE, pfn);
	}
	page_put(pfn);
	return 0;
}

void page_cache_clear_beyond(struct inode *inode, uint64_t size)
{
	size_t offset = size % PAGE_SIZE;
	pfn_t pfn = offset != 0 ? page_tree_find(&inode->pages, size / PAGE_SIZE) : PFN_NONE;
	if (pfn != PFN_NONE && page_of(pfn)->flags & PAGE_UPTODATE)
		memset((char *)page_address(pfn) + offset, 0, PAGE_SIZE - offset);
}

/* ---- holes ---- */

/* [from, to) of one page becomes zeros; a hole stays one. */
static int punch_part(struct inode *inode, uint64_t index, size_t from, size_t to)
{
	pfn_t pfn;
	if (!has_store(inode) && page_tree_find(&inode->pages, index) == PFN_NONE)
		return 0;
	int error = page_cache_get(inode, index, &pfn);
	if (error != 0)
		return error == -ENXIO ? 0 : error; /* behind the end */
	if (!is_zero((char *)page_address(pfn) + from, to - from)) {
		error = page_cache_make_writable(inode, index);
		if (error == 0) {
			memset((char *)page_address(pfn) + from, 0, to - from);
			page_cache_mark_dirty(inode, index, pfn);
		}
	}
	page_put(pfn);
	return error;
}

/*
 * Pages [first, end) go, here and on the disk. What is being moved comes to its end first, and nobody reads
 * the file's data in between: it would be what the disk had before.
 */
static int punch_pages(struct inode *inode, uint64_t first, uint64_t end)
{
	uint64_t index = first;
	/* Where the file ends, the disk may have been about to learn from the pages that go. */
	int error = has_store(inode) ? inode_setattr(inode, FS_SET_SIZE, &inode->attributes) : 0;
	if (error != 0)
		return error;
	io_hold(inode);
	for (; page_tree_next(&inode->pages, &index) != PFN_NONE && index < end; index++)
		page_cache_discard(inode, index);
	if (inode->superblock->operations->punch != NULL)
		error = inode->superblock->operations->punch(inode, first * PAGE_SIZE,
		                                             (end - first) * PAGE_SIZE);
	if (inode->allocated_end > first * PAGE_SIZE)
		inode->allocated_end = first * PAGE_SIZE;
	io_release(inode);
	return error;
}

int page_cache_punch(struct inode *inode, uint64_t offset, uint64_t end)
{
	uint64_t first = pages_of(offset), after = end / PAGE_SIZE, start = offset / PAGE_SIZE;
	int error = 0;
	if (end >= inode->attributes.size) /* the last page is whole, too */
		after = pages_of(end);
	if (start < first)
		error = punch_part(inode, start, offset % PAGE_SIZE,
		                   after > start ? PAGE_SIZE : end - start * PAGE_SIZE);
	if (error == 0 && after >= first && after * PAGE_SIZE < end)
		error = punch_part(inode, after, 0, end - after * PAGE_SIZE);
	return error == 0 && first < after ? punch_pages(inode, first, after) : error;
}

int page_cache_allocate(struct inode *inode, uint64_t first, uint64_t last)
{
	struct superblock *superblock = inode->superblock;
	uint64_t missing = last - first + 1, index = first;
	for (; page_tree_next(&inode->pages, &index) != PFN_NONE && index <= last; index++)
		missing--;
	uint64_t limit = superblock->page_limit != 0 ? superblock->page_limit : pages_total();
	if (missing > limit || superblock->page_used > limit - missing)
		return -ENOSPC;
	for (index = first; index <= last; index++) {
		int error =
		        page_tree_find(&inode->pages, index) == PFN_NONE ? add_zero_page(inode, index) : 0;
		if (error != 0)
			return error;
		if (index % (COPY_AT_ONCE / PAGE_SIZE) == 0 && !wait_yield())
			return -EINTR;
	}
	return 0;
}

/* ---- memory is short ---- */

static void lru_spare(struct page *page)
{
	page->flags &= (uint16_t)~PAGE_USED;
	lru_remove(page);
	lru_append(page);
}

size_t page_cache_reclaim(size_t wanted)
{
	size_t freed = 0, dirty = 0;
	for (size_t budget = 2 * cached_pages; budget > 0 && freed < wanted && lru_first != NULL; budget--) {
		struct page *page = lru_first;
		dirty += (page->flags & PAGE_DIRTY) != 0;
		if (page->references == 1 && !(page->flags & (PAGE_BUSY | PAGE_DIRTY | PAGE_USED))) {
			cache_remove(page);
			freed++;
		} else { /* out of the way of the next search */
			lru_spare(page);
		}
	}
	if (freed < wanted && dirty > 0)
		writeback_kick(wanted < 256 ? 256 : wanted);
	return freed;
}

size_t page_cache_reclaim_mapped(size_t wanted)
{
	size_t freed = 0;
	for (size_t budget = cached_pages; budget > 0 && freed < wanted && lru_first != NULL; budget--) {
		struct page *page = lru_first;
		pfn_t pfn = page_pfn(page);
		if (page->flags & (PAGE_BUSY | PAGE_DIRTY) ||
		    !mm_may_unmap(page->inode, page->index, pfn, page->references - 1)) {
			lru_spare(page);
			continue;
		}
		mm_unmap_file_page(page->inode, page->index, pfn);
		cache_remove(page);
		freed++;
	}
	return freed;
}
