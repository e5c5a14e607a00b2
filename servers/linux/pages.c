/* SPDX-License-Identifier: MIT */
/*
 * The pools: which frames there are, which are free. The array of struct page lies at the start of the first
 * pool that has room for it, so that its size follows the machine's memory and the server's heap stays small.
 */
#include <string.h>
#include <pith/log.h>
#include <pith/startup.h>
#include <pith/syscall.h>
#include "pools.h"
#include "vfs.h"

#define PAGE_WAITQS       256
#define STACK_LIMIT_SHARE 4  /* stacks take at most this part of memory, and */
#define STACK_SHARE       64 /* this part of memory is kept for stacks */
#define RECLAIM_MINIMUM \
	128 /* below this many free frames the page cache gives some back, in batches as large */
#define RECLAIM_PAUSE   64 /* allocations before asking again a cache that had nothing to give */
#define RESERVE_MINIMUM 32 /* frames kept for the page cache's write-back and for ending processes */

struct pool {
	cptr_t memory;
	uint8_t *address;
	pfn_t first;
	uint32_t pages;
};

static struct {
	struct pool pools[POOLS_MAX];
	unsigned pool_count;
	const struct pool *last_pool; /* that a frame was looked for in */
	struct page *pages;
	pfn_t end;   /* frames are [1, end); 0 is PFN_NONE */
	pfn_t fresh; /* [fresh, end) were never used and are still zero, the metadata apart */
	pfn_t stack_frames, stack_limit;
	pfn_t stack_reserve; /* frames at the end that only stacks get */
	pfn_t metadata_first, metadata_end;
	bool fresh_is_zero;
	pfn_t free_list;
	size_t free_count, total;
	size_t low;     /* start giving back page cache */
	unsigned pause; /* allocations before the cache is asked again */
	struct waitq waitqs[PAGE_WAITQS];
} memory;

unsigned pool_count(void)
{
	return memory.pool_count;
}

cptr_t pool_memory(unsigned pool)
{
	return memory.pools[pool].memory;
}

static const struct pool *pool_with(pfn_t pfn)
{
	const struct pool *pool = memory.last_pool;

	if (pfn - pool->first < pool->pages)
		return pool;
	pool = &memory.pools[memory.pool_count - 1];
	while (pool->first > pfn)
		pool--;
	memory.last_pool = pool;
	return pool;
}

unsigned pool_of(pfn_t pfn, uint32_t *page)
{
	const struct pool *pool = pool_with(pfn);

	*page = pfn - pool->first;
	return (unsigned)(pool - memory.pools);
}

void page_pool(pfn_t pfn, uint32_t *pool, uint32_t *offset)
{
	*pool = pool_of(pfn, offset) + 1;
}

struct page *page_of(pfn_t pfn)
{
	return &memory.pages[pfn];
}

pfn_t page_pfn(const struct page *page)
{
	return (pfn_t)(page - memory.pages);
}

void *page_address(pfn_t pfn)
{
	const struct pool *pool = pool_with(pfn);

	return pool->address + ((size_t)(pfn - pool->first) << PAGE_BITS);
}

struct waitq *page_waitq(pfn_t pfn)
{
	return &memory.waitqs[pfn % PAGE_WAITQS];
}

size_t pages_total(void)
{
	return memory.total;
}

size_t pages_free(void)
{
	return memory.free_count;
}

static void place_metadata(void)
{
	size_t bytes = (size_t)memory.end * sizeof(struct page);
	uint32_t pages = (uint32_t)((bytes + PAGE_SIZE - 1) >> PAGE_BITS);

	for (unsigned i = 0; i < memory.pool_count; i++) {
		struct pool *pool = &memory.pools[i];

		if (pool->pages < pages)
			continue;
		memory.pages = (struct page *)pool->address;
		memory.metadata_first = pool->first;
		memory.metadata_end = pool->first + pages;
		memory.total -= pages;
		return;
	}
	fatal("memory: no pool has room for %zu bytes of page records", bytes);
}

void pages_init(void)
{
	const struct startup_entry *entry;

	memory.end = 1;
	while (memory.pool_count < POOLS_MAX &&
	       (entry = startup_find("pool", STARTUP_MEMORY, memory.pool_count))) {
		struct pool *pool = &memory.pools[memory.pool_count++];

		if (!entry->address)
			fatal("memory: pool %u is not mapped", memory.pool_count - 1);
		pool->memory = entry->slot;
		pool->address = (uint8_t *)entry->address;
		pool->first = memory.end;
		pool->pages = (uint32_t)(entry->size >> PAGE_BITS);
		memory.end += pool->pages;
	}
	if (!memory.pool_count)
		fatal("memory: no pool was given");
	memory.last_pool = memory.pools;
	memory.total = memory.end - 1;
	memory.fresh = 1;
	memory.fresh_is_zero = startup()->generation == 0; /* a predecessor left its data */
	place_metadata();
	memory.free_count = memory.total;
	memory.stack_limit = (pfn_t)(memory.total / STACK_LIMIT_SHARE);
	memory.stack_reserve = (pfn_t)(memory.total / STACK_SHARE);
	memory.free_count -= memory.stack_reserve;
	memory.total -= memory.stack_reserve;
	memory.low = memory.total / 64 > RECLAIM_MINIMUM ? memory.total / 64 : RECLAIM_MINIMUM;
	log_info("memory: %zu MiB in %u pools", memory.total >> (20 - PAGE_BITS), memory.pool_count);
}

/*
 * Stacks come from the end of memory, of which a part is kept for them: frames for processes would else use
 * up all contiguous ones. A stack lies in one pool.
 */
static void give_to_stacks(pfn_t first)
{
	pfn_t frames = memory.end - first, beyond;

	beyond = frames > memory.stack_reserve ? frames - memory.stack_reserve : 0;
	memory.stack_reserve -= frames - beyond;
	memory.total -= beyond;
	memory.free_count -= beyond;
	memory.end = first;
	memory.stack_frames += frames;
}

void *pages_take_stack(void)
{
	pfn_t frames = FIBER_STACK_SIZE >> PAGE_BITS, lowest = memory.fresh, first;
	uint32_t page;

	if (memory.stack_frames >= memory.stack_limit)
		return NULL;
	if (lowest < memory.metadata_end)
		lowest = memory.metadata_end;
	for (;;) {
		if (memory.end < frames || memory.end - frames < lowest)
			return NULL;
		first = memory.pools[pool_of(memory.end - 1, &page)].first;
		if (memory.end - frames >= first)
			break;
		give_to_stacks(first); /* what is left of this pool is too small */
	}
	give_to_stacks(memory.end - frames);
	return page_address(memory.end);
}

static pfn_t take_fresh(void)
{
	if (memory.fresh == memory.metadata_first)
		memory.fresh = memory.metadata_end;
	return memory.fresh + memory.stack_reserve < memory.end ? memory.fresh++ : PFN_NONE;
}

static pfn_t take_free(bool *zero)
{
	pfn_t pfn = memory.free_list;

	*zero = false;
	if (pfn) {
		memory.free_list = (pfn_t)page_of(pfn)->index;
	} else {
		pfn = take_fresh();
		*zero = memory.fresh_is_zero;
	}
	return pfn;
}

/*
 * Free frames are kept ready (for read-ahead, which takes what is there and does not wait): clean pages of
 * the cache go in batches. Only when nearly all frames are in use does the caller wait for dirty ones to
 * become clean.
 */
static void keep_some_free(void)
{
	if (memory.free_count > memory.low || memory.pause) {
		memory.pause -= memory.pause != 0;
		return;
	}
	if (!page_cache_reclaim(memory.low))
		memory.pause = RECLAIM_PAUSE;
}

/* Without waiting, but address spaces may lose pages, as while others run. */
static bool make_room(void)
{
	return page_cache_reclaim(memory.low) || page_cache_reclaim_mapped(memory.low);
}

/* False: there is nothing left to take. */
static bool wait_for_room(void)
{
	if (!fiber_current())
		return page_cache_reclaim(memory.low);
	if (make_room())
		return true;
	page_cache_wait_writeback();
	return make_room() || memory.free_count > RESERVE_MINIMUM;
}

pfn_t page_allocate(bool zeroed)
{
	struct page *page;
	bool zero;
	pfn_t pfn;

	keep_some_free();
	if (memory.free_count <= RESERVE_MINIMUM && !wait_for_room() && !memory.free_count)
		return PFN_NONE;
	pfn = take_free(&zero);
	if (!pfn)
		return PFN_NONE;
	memory.free_count--;
	page = page_of(pfn);
	*page = (struct page){.references = 1};
	if (zeroed && !zero)
		memset(page_address(pfn), 0, PAGE_SIZE);
	return pfn;
}

void page_get(pfn_t pfn)
{
	page_of(pfn)->references++;
}

void page_put(pfn_t pfn)
{
	struct page *page = page_of(pfn);

	if (--page->references)
		return;
	page->flags = 0;
	page->index = memory.free_list;
	memory.free_list = pfn;
	memory.free_count++;
}
