/* SPDX-License-Identifier: MIT */
/*
 * fs-test: a client of ext2 without Linux above it. Makes files and reads them back, many requests at a time,
 * measures, and kills the disk driver and the file system while they are busy. What it leaves on the disk
 * follows from file and page numbers, so that the host can check it. Config: kills=N of each, files=N,
 * size=MiB of the large file. Logs lines that begin with "fs-test:"; ends the system.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pith/log.h>
#include <pith/ring.h>
#include <pith/startup.h>
#include <proto/fs.h>
#include <proto/system.h>

#define WORDS (PAGE_SIZE / 8)

static struct ring ring;
static cptr_t events, system_endpoint;
static uint64_t *pool;
static uint32_t pool_pages;
static unsigned outstanding, kills_left;
static const char *victim = "virtio-blk";

static uint64_t word_of(uint64_t file, uint64_t page, unsigned word)
{
	return (file << 40 | page << 10 | word) * 0x9e3779b97f4a7c15ul;
}

static void page_fill(uint32_t pool_page, uint64_t file, uint64_t page)
{
	for (unsigned i = 0; i < WORDS; i++)
		pool[(uint64_t)pool_page * WORDS + i] = word_of(file, page, i);
}

static void page_check(uint32_t pool_page, uint64_t file, uint64_t page)
{
	for (unsigned i = 0; i < WORDS; i++)
		if (pool[(uint64_t)pool_page * WORDS + i] != word_of(file, page, i))
			fatal("fs-test: file %" PRIu64 " page %" PRIu64 " word %u is wrong", file, page, i);
}

static void page_spoil(uint32_t pool_page)
{
	memset(&pool[(uint64_t)pool_page * WORDS], 0x55, PAGE_SIZE);
}

/* Asked-for deaths do not count towards the limit on crashes. */
static void kill_victim(void)
{
	struct message message = {.info = MESSAGE_INFO(SYSTEM_COMPONENT_KILL, 4)};
	enum error error;

	memcpy(message.words, victim, strlen(victim));
	error = ipc_call(system_endpoint, &message, DEADLINE_NEVER);
	if (error || message.words[0] != SYSTEM_OK)
		fatal("fs-test: kill %s: %s, status %" PRIu64, victim, error_text(error), message.words[0]);
}

static struct fs_request *request_new(uint32_t operation, uint64_t inode, uint32_t *number)
{
	struct fs_request *request = ring_slot_take(&ring, number);

	if (!request)
		fatal("fs-test: no free slot");
	memset(request, 0, offsetof(struct fs_request, data));
	request->operation = operation;
	request->inode = inode;
	return request;
}

static void submit(uint32_t number)
{
	outstanding++;
	ring_submit(&ring, number);
}

static struct fs_request *finish(uint32_t *number)
{
	struct fs_request *request;
	uint64_t bits;

	while (!ring_completed(&ring, number)) {
		if (ring_peer_failed(&ring))
			fatal("fs-test: the file system has failed");
		if (ring_prepare_sleep(&ring))
			notification_wait(events, &bits, DEADLINE_NEVER);
	}
	outstanding--;
	request = ring_slot(&ring, *number);
	if (request->error)
		fatal("fs-test: operation %u of inode %" PRIu64 ": error %u", request->operation,
		      request->inode, request->error);
	return request;
}

/* One call, alone. Returns the reply's attributes. */
static struct fs_attributes call_name(uint32_t operation, uint64_t inode, const char *name, unsigned mode)
{
	struct fs_attributes attributes;
	uint32_t number;
	struct fs_request *request = request_new(operation, inode, &number);

	if (name) {
		request->name_length = (uint32_t)strlen(name);
		memcpy(request->data, name, request->name_length);
	}
	request->attributes.mode = mode;
	request->attributes.ctime.seconds = request->attributes.mtime.seconds =
	        (int64_t)(time_wall() / 1000000000);
	submit(number);
	request = finish(&number);
	attributes = request->attributes;
	ring_slot_release(&ring, number);
	return attributes;
}

static void submit_pages(uint32_t operation, uint64_t inode, uint64_t first, uint32_t count, uint64_t size,
                         uint32_t pool_page)
{
	uint32_t number;
	struct fs_request *request = request_new(operation, inode, &number);
	struct fs_page *pages = (struct fs_page *)request->data;

	request->count = count;
	request->attributes.size = size;
	for (uint32_t i = 0; i < count; i++)
		pages[i] = (struct fs_page){.page = first + i, .pool = 1, .offset = pool_page + i};
	submit(number);
}

static void finish_all(void)
{
	uint32_t number;

	while (outstanding) {
		finish(&number);
		ring_slot_release(&ring, number);
	}
}

static void maybe_kill(unsigned step, unsigned every)
{
	if (kills_left && every && step % every == every - 1) {
		kills_left--;
		kill_victim();
	}
}

/* ---- the parts ---- */

static struct {
	uint64_t time, ext2, driver;
} measured;

/* CPU time that a component has used so far. */
static uint64_t cpu_time_of(const char *name)
{
	struct message message = {.info = MESSAGE_INFO(SYSTEM_COMPONENT_STATUS, 4)};
	struct component_status status = {0};

	memcpy(message.words, name, strlen(name));
	if (ipc_call(system_endpoint, &message, DEADLINE_NEVER) || message.words[0] != SYSTEM_OK)
		return 0;
	memcpy(&status, &message.words[1], 5 * sizeof(uint64_t));
	return status.cpu_time;
}

static void measure_begin(void)
{
	measured.ext2 = cpu_time_of("ext2");
	measured.driver = cpu_time_of("virtio-blk");
	measured.time = time_now();
}

static void measure_end(const char *what, uint64_t count, uint64_t bytes)
{
	uint64_t spent = time_now() - measured.time + 1;
	uint64_t ext2 = cpu_time_of("ext2") - measured.ext2,
	         driver = cpu_time_of("virtio-blk") - measured.driver;

	log_info("fs-test: %s: %" PRIu64 " in %" PRIu64 " us, %" PRIu64 " KiB/s; ns each: %" PRIu64
	         ", of ext2 %" PRIu64 ", of virtio-blk %" PRIu64,
	         what, count, spent / 1000, bytes * 1000000 / 1024 * 1000 / spent, spent / count,
	         ext2 / count, driver / count);
}

static void file_name(char *name, unsigned file)
{
	snprintf(name, 32, "file-%u", file);
}

/* Many files of several pages each, made one after the other, written and read 32 at a time. */
static void small_files(unsigned files, unsigned pages)
{
	uint64_t directory = call_name(FS_CREATE, FS_ROOT_INODE, victim, S_IFDIR | 0755).inode;
	uint64_t *numbers = calloc(files, sizeof(*numbers));
	unsigned every = kills_left ? files * 3 / kills_left : 0;
	char name[32];

	if (!numbers)
		fatal("fs-test: no memory");
	measure_begin();
	for (unsigned i = 0; i < files; i++) {
		file_name(name, i);
		numbers[i] = call_name(FS_CREATE, directory, name, S_IFREG | 0644).inode;
		maybe_kill(i, every);
	}
	measure_end("create", files, 0);
	measure_begin();
	for (unsigned i = 0; i < files; i++) {
		file_name(name, i);
		if (call_name(FS_LOOKUP, directory, name, 0).inode != numbers[i])
			fatal("fs-test: another inode than before");
	}
	measure_end("lookup", files, 0);
	measure_begin();
	for (unsigned i = 0; i < files; i++)
		call_name(FS_GETATTR, numbers[i], NULL, 0);
	measure_end("getattr", files, 0);
	measure_begin();
	for (unsigned i = 0; i < files; i++) {
		for (unsigned page = 0; page < pages; page++)
			page_fill(i % 32 * pages + page, i, page);
		submit_pages(FS_WRITE_PAGES, numbers[i], 0, pages, (uint64_t)pages * PAGE_SIZE,
		             i % 32 * pages);
		maybe_kill(i, every);
		if (i % 32 == 31)
			finish_all();
	}
	finish_all();
	measure_end("write small", files, (uint64_t)files * pages * PAGE_SIZE);
	for (unsigned start = 0; start < files; start += 32) {
		unsigned end = start + 32 < files ? start + 32 : files;

		for (unsigned i = start; i < end; i++) {
			for (unsigned page = 0; page < pages; page++)
				page_spoil(i % 32 * pages + page);
			submit_pages(FS_READ_PAGES, numbers[i], 0, pages, 0, i % 32 * pages);
			maybe_kill(i, every);
		}
		finish_all();
		for (unsigned i = start; i < end; i++)
			for (unsigned page = 0; page < pages; page++)
				page_check(i % 32 * pages + page, i, page);
	}
	free(numbers);
	log_info("fs-test: %u files hold what was written", files);
}

static void large_pass(uint32_t operation, uint64_t inode, uint64_t pages, unsigned depth)
{
	for (uint64_t page = 0; page < pages; page += FS_PAGES_MAX) {
		submit_pages(operation, inode, page, FS_PAGES_MAX, (page + FS_PAGES_MAX) * PAGE_SIZE,
		             (uint32_t)(page / FS_PAGES_MAX % depth) * FS_PAGES_MAX);
		if (page / FS_PAGES_MAX % depth == depth - 1)
			finish_all();
	}
	finish_all();
}

/* Each place in the pool holds the same page of its part, so that filling and checking is not measured. */
static void large_file(uint64_t mebibytes)
{
	uint64_t inode = call_name(FS_CREATE, FS_ROOT_INODE, "large", S_IFREG | 0644).inode,
	         pages = mebibytes << 8;
	unsigned depth = pool_pages / FS_PAGES_MAX < 4 ? 1 : 4;

	for (uint32_t i = 0; i < depth * FS_PAGES_MAX; i++)
		page_fill(i, 999, i);
	measure_begin();
	large_pass(FS_WRITE_PAGES, inode, pages, depth);
	measure_end("write large", pages, pages * PAGE_SIZE);
	measure_begin();
	call_name(FS_FSYNC, inode, NULL, 0);
	measure_end("fsync", 1, 0);
	measure_begin();
	large_pass(FS_WRITE_PAGES, inode, pages, depth);
	measure_end("write large again", pages, pages * PAGE_SIZE);
	for (uint32_t i = 0; i < depth * FS_PAGES_MAX; i++)
		page_spoil(i);
	measure_begin();
	large_pass(FS_READ_PAGES, inode, pages, depth);
	measure_end("read large", pages, pages * PAGE_SIZE);
	for (uint32_t i = 0; i < depth * FS_PAGES_MAX; i++)
		page_check(i, 999, i);
	measure_begin();
	for (unsigned i = 0; i < 2000; i++) {
		submit_pages(FS_READ_PAGES, inode, i * 7919 % pages, 1, 0, i % 32);
		if (i % 32 == 31)
			finish_all();
	}
	finish_all();
	measure_end("random read, 32 at once", 2000, 2000 * PAGE_SIZE);
	measure_begin();
	for (unsigned i = 0; i < 1000; i++) {
		submit_pages(FS_READ_PAGES, inode, i * 7919 % pages, 1, 0, 0);
		finish_all();
	}
	measure_end("random read, one by one", 1000, 1000 * PAGE_SIZE);
}

int main(void)
{
	const struct startup_entry *memory = startup_need("pool", STARTUP_MEMORY, 0);
	struct message message = {.info = MESSAGE_INFO(SYSTEM_POWER, 1), .words = {SYSTEM_POWER_OFF}};
	unsigned files = (unsigned)startup_config_number("files", 300);
	unsigned kills = (unsigned)startup_config_number("kills", 0);

	events = startup_need("events", STARTUP_NOTIFICATION, 0)->slot;
	system_endpoint = startup_need("system", STARTUP_ENDPOINT, 0)->slot;
	pool = (uint64_t *)(uintptr_t)memory->address;
	pool_pages = (uint32_t)(memory->size / PAGE_SIZE);
	if (!ring_client_attach(&ring, startup_need("fs", STARTUP_CHANNEL, 0), FS_SLOTS, FS_SLOT_SIZE))
		fatal("fs-test: the channel is too small");
	call_name(FS_GETATTR, FS_ROOT_INODE, NULL, 0);
	kills_left = kills;
	small_files(files, 5);
	if (kills) {
		victim = "ext2";
		kills_left = kills;
		small_files(files, 5);
	}
	large_file((uint64_t)startup_config_number("size", 8));
	call_name(FS_SYNC, 0, NULL, 0);
	call_name(FS_UNMOUNT, 0, NULL, 0);
	log_info("fs-test: passed");
	ipc_call(system_endpoint, &message, DEADLINE_NEVER);
	return 0;
}
