/* SPDX-License-Identifier: MIT */
#include "capability.h"
#include "fakes.h"
#include "fiber_context.h"
#include "pools.h"
#include "signals.h"
#include "times.h"
#include <stdarg.h>
#include <stdio.h>
#include <pith/heap.h>
#include <pith/log.h>
#include <pith/startup.h>

struct thread *test_thread;
unsigned test_free_pages = 4096;
int last_signal;
struct store store;

/* ---- pages ---- */

#define PAGES 4200
static struct page pages[PAGES];
static uint8_t *memory[PAGES];
static struct waitq queues[64];

unsigned test_pages_seen;

struct page *page_of(pfn_t pfn)
{
	test_pages_seen++;
	return &pages[pfn];
}
pfn_t page_pfn(const struct page *page)
{
	return (pfn_t)(page - pages);
}
bool fake_stirred;

void vfs_stir(void)
{
	fake_stirred = true;
}

void *page_address(pfn_t pfn)
{
	return memory[pfn];
}
void page_pool(pfn_t pfn, uint32_t *pool, uint32_t *offset)
{
	*pool = 1;
	*offset = pfn;
}
pfn_t page_allocate(bool zeroed)
{
	if (test_free_pages == 0 && page_cache_reclaim(32) == 0) {
		page_cache_wait_writeback();
		if (page_cache_reclaim(32) == 0)
			return PFN_NONE;
	}
	for (pfn_t pfn = 1; pfn < PAGES; pfn++) {
		if (pages[pfn].references != 0)
			continue;
		memory[pfn] = malloc(PAGE_SIZE);
		memset(memory[pfn], zeroed ? 0 : 0xee, PAGE_SIZE);
		pages[pfn] = (struct page){.references = 1};
		test_free_pages--;
		return pfn;
	}
	return PFN_NONE;
}
void page_get(pfn_t pfn)
{
	pages[pfn].references++;
}
void page_put(pfn_t pfn)
{
	if (--pages[pfn].references > 0)
		return;
	free(memory[pfn]);
	memory[pfn] = NULL;
	test_free_pages++;
}
struct waitq *page_waitq(pfn_t pfn)
{
	return &queues[pfn % 64];
}
size_t pages_total(void)
{
	return PAGES;
}
size_t pages_free(void)
{
	return test_free_pages;
}

size_t heap_pages_free(void)
{
	return heap_pages_total();
}
size_t heap_pages_total(void)
{
	return 4096;
}

void *pages_take_stack(void)
{
	return NULL;
}

/* ---- user memory: the test's own; the first page is bad ---- */

struct span user_span(struct thread *thread, uint64_t address, size_t size, bool write)
{
	(void)thread, (void)write;
	size_t left = PAGE_SIZE - address % PAGE_SIZE;
	return (struct span){address < PAGE_SIZE ? NULL : (void *)(uintptr_t)address,
	                     size < left ? size : left};
}
int copy_struct_from_user(struct thread *thread, void *to, size_t size, uint64_t from, size_t given)
{
	memset(to, 0, size);
	return copy_from_user(thread, to, from, given < size ? given : size);
}
bool timespec_to_ns(const struct timespec *time, uint64_t *out)
{
	*out = (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
	return time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < 1000000000;
}
struct timespec ns_to_timespec(uint64_t time)
{
	return (struct timespec){(time_t)(time / 1000000000), (long)(time % 1000000000)};
}
int copy_from_user(struct thread *thread, void *to, uint64_t from, size_t size)
{
	(void)thread;
	if (from < PAGE_SIZE)
		return -EFAULT;
	memcpy(to, (void *)(uintptr_t)from, size);
	return 0;
}
void (*test_before_copy)(void);

int copy_to_user(struct thread *thread, uint64_t to, const void *from, size_t size)
{
	void (*before)(void) = test_before_copy;
	(void)thread;
	test_before_copy = NULL;
	if (before != NULL)
		before();
	if (to < PAGE_SIZE)
		return -EFAULT;
	memcpy((void *)(uintptr_t)to, from, size);
	return 0;
}
ssize_t copy_string_from_user(struct thread *thread, char *to, uint64_t from, size_t size)
{
	(void)thread;
	if (from < PAGE_SIZE)
		return -EFAULT;
	size_t length = strlen((char *)(uintptr_t)from);
	if (length >= size)
		return -ENAMETOOLONG;
	memcpy(to, (char *)(uintptr_t)from, length + 1);
	return (ssize_t)length;
}
void mm_unmap_file_range(struct inode *inode, uint64_t first, uint64_t last)
{
	(void)inode, (void)first, (void)last;
}
void mm_unmap_file_page(struct inode *inode, uint64_t index, pfn_t pfn)
{
	(void)inode, (void)index, (void)pfn;
}
bool mm_may_unmap(const struct inode *inode, uint64_t index, pfn_t pfn, uint32_t users)
{
	(void)inode, (void)index, (void)pfn;
	return users == 0;
}
void mm_write_protect(struct inode *inode, uint64_t index)
{
	(void)inode, (void)index;
}

/* ---- processes ---- */

struct process *process_find(int pid)
{
	return test_thread->process->pid == pid ? test_thread->process : NULL;
}
struct thread *thread_find(int tid)
{
	return test_thread->tid == tid ? test_thread : NULL;
}
struct process *process_first(void)
{
	return test_thread->process;
}
struct process *process_next(struct process *process)
{
	(void)process;
	return NULL;
}

struct thread *new_process(int pid, uint32_t uid)
{
	struct process *process = calloc(1, sizeof(*process));
	struct thread *thread = calloc(1, sizeof(*thread));
	process->pid = process->pgid = process->sid = pid;
	process->credentials.uid = process->credentials.euid = process->credentials.fsuid = uid;
	process->credentials.gid = process->credentials.egid = process->credentials.fsgid = uid;
	if (uid == 0)
		capabilities_init(&process->credentials);
	for (unsigned i = 0; i < 16; i++)
		process->limits[i].current = i == 7 ? 1024 : UINT64_MAX;
	process->files = file_table_create();
	process->fs = fs_context_create();
	thread->process = process;
	thread->tid = pid;
	return thread;
}
void end_process(struct thread *thread)
{
	file_table_put(thread->process->files);
	fs_context_put(thread->process->fs);
	free(thread->process);
	free(thread);
}
bool credentials_in_group(const struct credentials *credentials, uint32_t gid)
{
	return credentials->fsgid == gid;
}
struct group_list *group_list_get(struct group_list *list)
{
	return list;
}
void group_list_put(struct group_list *list)
{
	(void)list;
}
bool signal_fatal(const struct thread *thread)
{
	(void)thread;
	return false;
}

bool signal_pending(struct thread *thread)
{
	(void)thread;
	return false;
}
bool signal_post(struct process *process, struct thread *thread, const struct linux_siginfo *info)
{
	(void)process, (void)thread;
	last_signal = info->signal;
	return true;
}
void signal_send_thread(struct thread *thread, int signal, int code, int sender)
{
	(void)thread, (void)code, (void)sender;
	last_signal = signal;
}
void signal_mask_until_return(struct thread *thread, sigset_bits mask)
{
	(void)thread, (void)mask;
}
deadline_t syscall_deadline(struct thread *thread, uint64_t timeout)
{
	(void)thread;
	return time_now() + timeout;
}
void syscall_deadline_done(struct thread *thread)
{
	(void)thread;
}
uint64_t time_now(void)
{
	static uint64_t now = 1000000000;
	return now += 1000;
}
uint64_t time_wall(void)
{
	return 1700000000000000000ull + time_now();
}
void log_write(enum log_level level, const char *format, ...)
{
	(void)level, (void)format;
}
void fatal(const char *format, ...)
{
	printf("fatal: %s\n", format);
	abort();
}

/* ---- file systems that are not tested here ---- */

int device_open(struct inode *inode, struct file *file, struct thread *thread)
{
	(void)inode, (void)file, (void)thread;
	return -ENXIO;
}
#define NO_FILESYSTEM(name)                                                        \
	int name(const char *source, const char *options, struct superblock **out) \
	{                                                                          \
		(void)source, (void)options, (void)out;                            \
		return -ENODEV;                                                    \
	}
NO_FILESYSTEM(proc_mount)
NO_FILESYSTEM(devfs_mount)
NO_FILESYSTEM(devpts_mount)
NO_FILESYSTEM(pithfs_mount)
NO_FILESYSTEM(sysfs_mount)

/* ---- the store ---- */

static struct page_io *queue[64];
static unsigned queued;
static struct waitq store_wait;

static int store_io_start(struct page_io *io, bool may_wait)
{
	(void)may_wait;
	if (queued == 64)
		return -EAGAIN;
	queue[queued++] = io;
	return 0;
}

static void store_complete(struct page_io *io)
{
	int error = store.fail ? -EIO : 0;
	uint64_t blocks = 0;
	io->write ? store.writes++ : store.reads++;
	for (unsigned i = 0; i < io->count && error == 0; i++) {
		uint64_t index = io->pages[i].index;
		uint8_t *page = page_address(io->pages[i].pfn);
		if (!io->write) {
			memcpy(page, store.data + index * PAGE_SIZE, PAGE_SIZE);
			store.read_pages++;
			continue;
		}
		if (!store.allocated[index] && store.blocks_left == 0) {
			error = -ENOSPC;
			break;
		}
		store.blocks_left -= !store.allocated[index];
		store.allocated[index] = true;
		memcpy(store.data + index * PAGE_SIZE, page, PAGE_SIZE);
	}
	for (unsigned i = 0; i < 512; i++)
		blocks += store.allocated[i] ? 8 : 0;
	store.superblock.blocks_free = store.blocks_left;
	page_io_done(io, error, blocks);
	waitq_wake_all(&store_wait);
}

static int store_setattr(struct inode *inode, unsigned mask, const struct fs_attributes *attributes)
{
	if (queued > 0) /* it takes until the next transfer is done */
		waitq_wait(&store_wait, false, DEADLINE_NEVER);
	if (mask & FS_SET_SIZE)
		inode->attributes.size = attributes->size;
	return 0;
}
static const struct superblock_operations store_operations = {.io_start = store_io_start};
static const struct inode_operations store_inode = {.setattr = store_setattr};

struct inode *store_file(uint64_t size)
{
	memset(&store, 0, sizeof(store));
	store.superblock.operations = &store_operations;
	store.superblock.block_size = 4096;
	store.superblock.blocks_free = store.blocks_left = 512;
	struct inode *inode = inode_create(&store.superblock);
	inode->attributes =
	        (struct fs_attributes){.inode = 1, .mode = S_IFREG | 0644, .links = 1, .size = size};
	inode->operations = &store_inode;
	inode->file_operations = &regular_file_operations;
	for (uint64_t i = 0; i < size; i++)
		store.data[i] = (uint8_t)(i / PAGE_SIZE * 7 + i);
	return inode;
}

/* ---- the loop ---- */

static void start(void *function)
{
	struct fiber_context context;
	fiber_context_begin(&context, test_thread);
	((void (*)(void))function)();
}

static struct thread *beside;
static void start_beside(void *function)
{
	struct fiber_context context;
	fiber_context_begin(&context, beside);
	((void (*)(void))function)();
}

void run_beside(struct thread *thread, void (*function)(void))
{
	beside = thread;
	struct thread *mine = test_thread;
	fiber_begin(start_beside, (void *)(uintptr_t)function);
	fiber_yield(); /* it runs until it waits */
	test_thread = mine;
}

void run(void (*function)(void))
{
	fiber_begin(start, (void *)(uintptr_t)function);
	for (;;) {
		fiber_run_all();
		if (queued == 0)
			break;
		struct page_io *io = queue[0];
		memmove(queue, queue + 1, --queued * sizeof(queue[0]));
		store_complete(io);
	}
}

long call(system_call *function, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	const uint64_t arguments[6] = {a, b, c, d, e, f};
	return function(current_thread(), arguments);
}

void fakes_init(void)
{
	struct superblock *superblock;
	fiber_pool_add(8, 256 * 1024);
	if (tmpfs_mount("root", "mode=755", &superblock) != 0)
		abort();
	mount_attach(superblock, superblock->root, NULL, 0);
	/* in the table, so that write-back finds its dirty files; seen nowhere */
	mount_attach(&store.superblock, superblock->root, NULL, 0);
	test_thread = new_process(1, 0);
}
