/* SPDX-License-Identifier: MIT */
/*
 * The ext2 component: its two channels, a fiber for each request, and the loop. Everything that is ext2 is in
 * the other files, which know nothing of Pith.
 */
#include <string.h>

#include <pith/counters.h>
#include <pith/log.h>
#include <pith/ring.h>
#include <pith/startup.h>
#include <pith/syscall.h>

#include "ext2.h"

#define REQUEST_FIBERS 32
#define FIBER_STACK    (32 * 1024)
#define BLOCK_SLOTS    64
#define WRITE_BACK_NS  (5 * 1000000000ull) /* how long a change may stay in memory only */

static struct {
	struct device device; /* first: the device's functions find the component by it */
	struct ring block, fs_ring;
	bool fs_attached, mount_done, writing_back;
	uint64_t repeated[RING_SLOTS_MAX / 64]; /* requests that the predecessor had taken */
	unsigned serving, serving_most;
	uint64_t served;
	uint64_t dirty_since; /* 0: nothing is dirty */
	cptr_t events;
	struct filesystem fs;
} ext2;

struct fs_time environment_now(void)
{
	uint64_t now = time_wall();

	return (struct fs_time){.seconds = (int64_t)(now / 1000000000),
	                        .nanoseconds = (uint32_t)(now % 1000000000)};
}

/* ---- the block device ---- */

static struct block_request *block_take(struct device *device, uint32_t *number)
{
	(void)device;
	return ring_slot_take(&ext2.block, number);
}

static void block_submit(struct device *device, uint32_t number)
{
	(void)device;
	ring_submit(&ext2.block, number);
}

static void block_finish(uint32_t number, uint32_t status)
{
	device_completed(&ext2.device, number, status);
	ring_slot_release(&ext2.block, number);
	device_slot_free(&ext2.device);
}

/* A driver that stays away for good answers nothing: its requests, a predecessor's too, end with an error, so
 * that nobody here waits for ever. */
static bool block_fail_all(void)
{
	bool any = false;

	if (!ring_peer_failed(&ext2.block))
		return false;
	for (uint32_t number = 0; number < BLOCK_SLOTS; number++) {
		if (!ext2.device.batches[number] && ring_slot_state(&ext2.block, number) == RING_SLOT_FREE)
			continue;
		block_finish(number, BLOCK_ERROR_IO);
		any = true;
	}
	return any;
}

static bool block_collect(void)
{
	bool any = block_fail_all();
	uint32_t number;

	while (ring_completed(&ext2.block, &number)) {
		const struct block_request *request = ring_slot(&ext2.block, number);

		block_finish(number, request ? request->status : BLOCK_ERROR_IO);
		any = true;
	}
	return any;
}

/* Requests of a predecessor still move data into the pool: nothing may be put there before they have ended.
 */
static bool block_is_quiet(void)
{
	for (uint32_t number = 0; number < BLOCK_SLOTS; number++)
		if (ring_slot_state(&ext2.block, number) != RING_SLOT_FREE)
			return false;
	return true;
}

/* ---- mount ---- */

static void mount_fiber(void *argument)
{
	const struct startup_entry *pool = startup_need("pool", STARTUP_MEMORY, 0);
	struct mount_options options = {
	        .device = &ext2.device,
	        .pool = (void *)pool->address,
	        .pool_size = pool->size,
	        .read_only = startup_config_number("read-only", 0) != 0,
	        .restarted = startup()->generation > 0,
	};
	int error;

	(void)argument;
	error = io_information(&ext2.device);
	if (!error)
		error = filesystem_mount(&ext2.fs, &options);
	ext2.fs.mount_error = error;
	ext2.mount_done = true;
}

static void attach_pools(void)
{
	const struct startup_entry *entry;

	for (unsigned i = 1; i < POOLS_MAX && (entry = startup_find("pool", STARTUP_MEMORY, i)); i++) {
		if (!entry->address)
			log_warning("pool %u is not mapped: its pages cannot be used", i);
		ext2.fs.pools[i] = (struct pool){(uint8_t *)entry->address, entry->size};
	}
}

/* ---- requests ---- */

static void request_fiber(void *argument)
{
	uint32_t number = (uint32_t)(uintptr_t)argument;
	uint64_t bit = 1ull << number % 64;
	bool repeated = ext2.repeated[number / 64] & bit;

	ext2.repeated[number / 64] &= ~bit;
	filesystem_serve(&ext2.fs, ring_slot(&ext2.fs_ring, number), number, repeated);
	ext2.serving--;
	ring_complete(&ext2.fs_ring, number);
	filesystem_answered(&ext2.fs, number);
}

static void channel_attach(void)
{
	if (!ring_server_attach(&ext2.fs_ring, startup_need("fs", STARTUP_CHANNEL, 0)))
		return;
	if (ext2.fs_ring.slot_size < sizeof(struct fs_request))
		fatal("the client's requests of %u bytes are too small", ext2.fs_ring.slot_size);
	memcpy(ext2.repeated, ext2.fs_ring.again, sizeof(ext2.repeated));
	/* A predecessor may have answered the others and died before it said so: what comes in their slots is
	 * new. */
	for (uint32_t number = 0; number < CHANGES_MAX; number++)
		if (!(ext2.repeated[number / 64] >> number % 64 & 1))
			filesystem_answered(&ext2.fs, number);
	ext2.fs_attached = true;
}

/* As many as there are fibers; the others wait in the channel. */
static bool requests_start(void)
{
	bool any = false;
	uint32_t number;

	if (!ext2.mount_done)
		return false;
	if (!ext2.fs_attached)
		channel_attach();
	while (ext2.fs_attached && ext2.serving < REQUEST_FIBERS && ring_next(&ext2.fs_ring, &number)) {
		if (!fiber_start(request_fiber, (void *)(uintptr_t)number))
			fatal("no fiber for a request");
		ext2.served++;
		if (++ext2.serving > ext2.serving_most)
			ext2.serving_most = ext2.serving;
		any = true;
	}
	return any;
}

/* ---- write-back ---- */

static void write_back_fiber(void *argument)
{
	(void)argument;
	filesystem_sync(&ext2.fs);
	ext2.writing_back = false;
}

/* Starts write-back if it is time; returns when it will be. */
static deadline_t write_back_check(void)
{
	struct cache *cache = &ext2.fs.cache;
	uint64_t now;

	if (!ext2.fs.mounted || ext2.writing_back || !cache->dirty_count) {
		ext2.dirty_since = 0;
		return DEADLINE_NEVER;
	}
	now = time_now();
	if (!ext2.dirty_since)
		ext2.dirty_since = now;
	if (now < ext2.dirty_since + WRITE_BACK_NS && cache->dirty_count < cache->count / 2)
		return ext2.dirty_since + WRITE_BACK_NS;
	ext2.dirty_since = 0;
	ext2.writing_back = fiber_start(write_back_fiber, NULL) != NULL;
	return DEADLINE_NEVER;
}

/* ---- the loop ---- */

static bool work(void)
{
	bool any = block_collect();

	fiber_run_all();
	any |= requests_start();
	fiber_run_all();
	return any;
}

/* With all fibers busy, only a completion can change anything; new requests signal all the same, which is
 * harmless. */
static bool may_sleep(void)
{
	bool idle = ring_prepare_sleep(&ext2.block);

	if (ext2.fs_attached && ext2.serving < REQUEST_FIBERS)
		idle &= ring_prepare_sleep(&ext2.fs_ring);
	return idle && !fiber_any_runnable();
}

static void sleep_until_event(deadline_t deadline)
{
	uint64_t bits;
	enum error error = notification_wait(ext2.events, &bits, deadline);

	counters->events += !error;
	if (error && error != ERR_TIMEOUT && error != ERR_CANCELED)
		fatal("waiting for events: %s", error_text(error));
}

static void start(void)
{
	ext2.events = startup_need("events", STARTUP_NOTIFICATION, 0)->slot;
	ext2.device.take = block_take;
	ext2.device.submit = block_submit;
	if (!fiber_pool_add(REQUEST_FIBERS + 2, FIBER_STACK))
		fatal("no memory for fibers");
	attach_pools();
	if (!ring_client_attach(&ext2.block, startup_need("block", STARTUP_CHANNEL, 0), BLOCK_SLOTS,
	                        sizeof(struct block_request)))
		fatal("the block channel is too small");
	while (!block_is_quiet()) {
		if (!block_collect() && ring_prepare_sleep(&ext2.block))
			sleep_until_event(DEADLINE_NEVER);
	}
	if (!fiber_start(mount_fiber, NULL))
		fatal("no fiber to mount with");
}

int main(void)
{
	start();
	for (;;) {
		deadline_t deadline;

		while (work())
			;
		deadline = write_back_check();
		fiber_run_all();
		if (may_sleep())
			sleep_until_event(deadline);
	}
}
