/* SPDX-License-Identifier: MIT */
/*
 * block-test: a client of virtio-blk that checks and measures it on a real disk, killing the driver while it
 * is busy. The disk's content is known to the host: each sector starts with its number, and the rest of it
 * follows from that (sector_check). Config: kills=N, victim=NAME, write=1 (the disk's second half may be
 * overwritten). Logs lines that begin with "block-test:" and switches the machine off.
 */
#include <inttypes.h>
#include <string.h>
#include <pith/log.h>
#include <pith/ring.h>
#include <pith/startup.h>
#include <proto/block.h>
#include <proto/system.h>

#define DEPTH     64
#define BLOCK     65536 /* bytes of a large request: its own place in the pool */
#define WORDS     (BLOCK_SECTOR / 8)
#define GOLDEN    0x9e3779b97f4a7c15ul
#define NS_PER_MS 1000000ul

static struct ring ring;
static cptr_t events, system_endpoint;
static uint8_t *pool;
static uint64_t sectors;

/* The content of a sector in a generation; the host writes generation 0. */
static uint64_t sector_word(uint64_t sector, uint64_t generation, unsigned word)
{
	return (sector + generation * 1000003 + word) * GOLDEN;
}

static void sector_check(const uint8_t *memory, uint64_t sector, uint64_t generation)
{
	uint64_t words[WORDS];
	memcpy(words, memory, sizeof(words));
	for (unsigned i = 0; i < WORDS; i++) {
		if (words[i] != sector_word(sector, generation, i))
			fatal("block-test: sector %" PRIu64 " word %u holds %" PRIx64, sector, i, words[i]);
	}
}

static void sector_fill(uint8_t *memory, uint64_t sector, uint64_t generation)
{
	uint64_t words[WORDS];
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = sector_word(sector, generation, i);
	memcpy(memory, words, sizeof(words));
}

static void completion_wait(uint32_t *number)
{
	uint64_t bits;
	while (!ring_completed(&ring, number)) {
		if (ring_peer_failed(&ring))
			fatal("block-test: the driver has failed");
		if (ring_prepare_sleep(&ring))
			notification_wait(events, &bits, DEADLINE_NEVER);
	}
	struct block_request *request = ring_slot(&ring, *number);
	if (request->status)
		fatal("block-test: operation %u at %" PRIu64 ": status %u", request->operation,
		      request->sector, request->status);
}

static void submit(uint32_t operation, uint64_t sector, uint32_t offset, uint32_t length)
{
	uint32_t number;
	struct block_request *request = ring_slot_take(&ring, &number);
	if (!request)
		fatal("block-test: no free slot");
	request->operation = operation;
	request->status = BLOCK_ERROR_REQUEST;
	request->sector = sector;
	request->segment_count = length ? 1 : 0;
	request->segments[0] = (struct block_segment){.pool = 0, .length = length, .offset = offset};
	ring_submit(&ring, number);
}

static void finish(void)
{
	uint32_t number;
	completion_wait(&number);
	ring_slot_release(&ring, number);
}

static void disk_size(void)
{
	uint32_t number;
	submit(BLOCK_INFO, 0, 0, 0);
	completion_wait(&number);
	sectors = ((struct block_request *)ring_slot(&ring, number))->sectors;
	ring_slot_release(&ring, number);
	log_info("block-test: %" PRIu64 " sectors", sectors);
}

/* Kills the driver or its bus; asked for, so that it does not count towards the limit on crashes. */
static void driver_kill(void)
{
	struct message message = {.info = MESSAGE_INFO(SYSTEM_COMPONENT_KILL, 4)};
	char victim[32] = "virtio-blk";
	startup_config("victim", victim, sizeof(victim));
	memcpy(message.words, victim, sizeof(victim));
	enum error error = ipc_call(system_endpoint, &message, DEADLINE_NEVER);
	if (error || message.words[0] != SYSTEM_OK)
		fatal("block-test: kill: %s, status %" PRIu64, error_text(error), message.words[0]);
}

struct run {
	uint32_t operation;
	uint64_t first, count; /* sectors; a multiple of what a request has */
	uint32_t size;         /* of a request in bytes */
	unsigned depth;
	uint64_t generation;
	unsigned kills;
	bool random, check;
};

/* At most `count` sectors, as the disk has them. */
static uint64_t at_most(uint64_t count)
{
	return count < sectors ? count : sectors / 128 * 128;
}

static uint64_t position(const struct run *run, uint64_t index)
{
	uint64_t per_request = run->size / BLOCK_SECTOR, requests = run->count / per_request;
	uint64_t at = run->random ? (index * 7919) % requests : index;
	return run->first + at * per_request;
}

static void buffer_fill(const struct run *run, uint64_t index)
{
	uint8_t *memory = pool + (size_t)(index % DEPTH) * BLOCK;
	for (uint32_t i = 0; i < run->size / BLOCK_SECTOR; i++)
		sector_fill(memory + (size_t)i * BLOCK_SECTOR, position(run, index) + i, run->generation);
}

static void buffer_check(const struct run *run, uint64_t index)
{
	const uint8_t *memory = pool + (size_t)(index % DEPTH) * BLOCK;
	for (uint32_t i = 0; i < run->size / BLOCK_SECTOR; i++)
		sector_check(memory + (size_t)i * BLOCK_SECTOR, position(run, index) + i, run->generation);
}

/* All requests of a run, `depth` at a time in groups that share nothing with the next, so that a buffer is
 * free when it is used again. Returns nanoseconds without filling and checking. */
static uint64_t run_all(const struct run *run)
{
	uint64_t requests = run->count / (run->size / BLOCK_SECTOR), spent = 0;
	uint64_t kill_every = run->kills ? requests / run->depth / run->kills : 0;
	for (uint64_t start = 0; start < requests; start += run->depth) {
		uint64_t end = start + run->depth < requests ? start + run->depth : requests;
		for (uint64_t i = start; i < end && run->operation == BLOCK_WRITE; i++)
			buffer_fill(run, i);
		uint64_t before = time_now();
		for (uint64_t i = start; i < end; i++)
			submit(run->operation, position(run, i), (uint32_t)(i % DEPTH) * BLOCK, run->size);
		if (kill_every && start / run->depth % kill_every == 0)
			driver_kill();
		for (uint64_t i = start; i < end; i++)
			finish();
		spent += time_now() - before;
		for (uint64_t i = start; i < end && run->check; i++)
			buffer_check(run, i);
	}
	return spent ? spent : 1;
}

static void report(const char *what, const struct run *run, uint64_t spent)
{
	uint64_t requests = run->count / (run->size / BLOCK_SECTOR);
	log_info("block-test: %s: %" PRIu64 " requests of %u bytes, %u at a time: %" PRIu64 " ms, %" PRIu64
	         " requests/s, %" PRIu64 " KiB/s",
	         what, requests, run->size, run->depth, spent / NS_PER_MS, requests * 1000000000ul / spent,
	         run->count * BLOCK_SECTOR * 1000000000ul / 1024 / spent);
}

static void reads(unsigned kills)
{
	uint64_t large = sectors / (BLOCK / BLOCK_SECTOR) * (BLOCK / BLOCK_SECTOR);
	struct run all = {BLOCK_READ, 0, large, BLOCK, 32, 0, 0, false, true};
	report("sequential read", &all, run_all(&all));
	struct run one = {BLOCK_READ, 0, at_most(8 * 2000), 4096, 1, 0, 0, true, true};
	report("random read", &one, run_all(&one));
	struct run many = {BLOCK_READ, 0, at_most(8 * 6000), 4096, DEPTH, 0, 0, true, true};
	report("random read", &many, run_all(&many));
	struct run killed = {BLOCK_READ, 0, large, 4096, DEPTH, 0, kills, true, true};
	report("read with kills", &killed, run_all(&killed));
}

static void writes(unsigned kills)
{
	uint64_t half = sectors / 2 / 128 * 128;
	struct run fill = {BLOCK_WRITE, half, half, BLOCK, 32, 1, 0, false, false};
	report("sequential write", &fill, run_all(&fill));
	struct run killed = {BLOCK_WRITE, half, half, 4096, DEPTH, 2, kills, true, false};
	report("write with kills", &killed, run_all(&killed));
	submit(BLOCK_FLUSH, 0, 0, 0);
	finish();
	struct run check = {BLOCK_READ, half, half, BLOCK, 32, 2, 0, false, true};
	report("read back", &check, run_all(&check));
}

int main(void)
{
	const struct startup_entry *memory = startup_need("pool", STARTUP_MEMORY, 0);
	events = startup_need("events", STARTUP_NOTIFICATION, 0)->slot;
	system_endpoint = startup_need("system", STARTUP_ENDPOINT, 0)->slot;
	pool = (uint8_t *)(uintptr_t)memory->address;
	if (memory->size < (uint64_t)DEPTH * BLOCK)
		fatal("block-test: the pool is too small");
	if (!ring_client_attach(&ring, startup_need("block", STARTUP_CHANNEL, 0), RING_CHANNEL_SLOTS,
	                        sizeof(struct block_request)))
		fatal("block-test: the channel is too small");
	unsigned kills = (unsigned)startup_config_number("kills", 10);
	disk_size();
	reads(kills);
	if (startup_config_number("write", 0))
		writes(kills);
	log_info("block-test: passed");
	struct message message = {.info = MESSAGE_INFO(SYSTEM_POWER, 1), .words = {SYSTEM_POWER_OFF}};
	ipc_call(system_endpoint, &message, DEADLINE_NEVER);
	return 0;
}
