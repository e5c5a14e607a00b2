/* SPDX-License-Identifier: MIT */
/* The virtio-blk driver against a model of the device: data, limits, restarts, hostile devices and clients.
 */
#include "check.h"
#include "model.h"

#include "disk.h"
#include "loop.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS RING_CHANNEL_SLOTS

static struct disk *disk;
static struct ring client;
static unsigned seed = 1;
static struct startup_entry client_entry;

static void client_start(void)
{
	memset(channel_memory, 0, sizeof(channel_memory));
	client_entry = (struct startup_entry){
	        .slot = 1, .address = (uint64_t)(uintptr_t)channel_memory, .size = sizeof(channel_memory)};
	CHECK(ring_client_attach(&client, &client_entry, SLOTS, sizeof(struct block_request)));
}

/* The driver dies (without a word to anybody) and a new one starts from clean memory. */
static const char *driver_restart(void)
{
	free(disk);
	disk = calloc(1, sizeof(*disk));
	disk_pools_attach(disk);
	return disk_start(disk);
}

static void setup(void)
{
	client_start();
	CHECK(driver_restart() == NULL);
}

static void driver_run(void)
{
	while (disk_work(disk))
		;
	if (model.interrupt) {
		model.interrupt = false;
		disk_events(disk, 1ull << 63);
	}
}

/* Until nothing happens any more. */
static void run_all(void)
{
	do {
		driver_run();
	} while (model_run(1000, &seed) || model.interrupt);
	driver_run();
}

static struct block_request *request_new(uint32_t operation, uint64_t sector, uint32_t *number)
{
	struct block_request *request = ring_slot_take(&client, number);
	memset(request, 0, sizeof(*request));
	request->operation = operation;
	request->sector = sector;
	request->status = 0xdead;
	return request;
}

static void segment_add(struct block_request *request, uint32_t pool, uint64_t offset, uint32_t length)
{
	request->segments[request->segment_count++] = (struct block_segment){pool, length, offset};
}

/* Submits one request, runs everything, returns its status. */
static uint32_t request_finish(struct block_request *request, uint32_t number)
{
	uint32_t done;
	ring_submit(&client, number);
	run_all();
	CHECK(ring_completed(&client, &done) && done == number);
	CHECK(!ring_completed(&client, &done));
	uint32_t status = request->status;
	ring_slot_release(&client, number);
	return status;
}

static uint32_t simple(uint32_t operation, uint64_t sector, uint32_t pool, uint64_t offset, uint32_t length)
{
	uint32_t number;
	struct block_request *request = request_new(operation, sector, &number);
	if (length || operation <= BLOCK_WRITE)
		segment_add(request, pool, offset, length);
	return request_finish(request, number);
}

static void fill(uint8_t *memory, size_t size)
{
	for (size_t i = 0; i < size; i++)
		memory[i] = (uint8_t)rand_r(&seed);
}

static void test_data(void)
{
	model_reset();
	setup();
	fill(pools[1], MODEL_POOL_SIZE);
	CHECK(simple(BLOCK_WRITE, 10, 1, 4096, 8192) == BLOCK_OK);
	CHECK(!memcmp(model.disk + 10 * 512, pools[1] + 4096, 8192));
	CHECK(simple(BLOCK_READ, 10, 2, 512, 8192) == BLOCK_OK);
	CHECK(!memcmp(pools[2] + 512, pools[1] + 4096, 8192));
	CHECK(simple(BLOCK_FLUSH, 0, 0, 0, 0) == BLOCK_OK);
	/* the last sector */
	CHECK(simple(BLOCK_READ, MODEL_SECTORS - 1, 0, MODEL_POOL_SIZE - 512, 512) == BLOCK_OK);

	uint32_t number;
	struct block_request *request = request_new(BLOCK_INFO, 0, &number);
	CHECK(request_finish(request, number) == BLOCK_OK);
	CHECK(request->sectors == MODEL_SECTORS && !request->read_only);
}

static void test_errors(void)
{
	model_reset();
	setup();
	unsigned before = model.requests;
	CHECK(simple(BLOCK_READ, MODEL_SECTORS, 0, 0, 512) == BLOCK_ERROR_RANGE);
	CHECK(simple(BLOCK_READ, MODEL_SECTORS - 1, 0, 0, 1024) == BLOCK_ERROR_RANGE);
	CHECK(simple(BLOCK_READ, UINT64_MAX, 0, 0, 1024) == BLOCK_ERROR_RANGE);
	CHECK(simple(BLOCK_READ, 0, 0, MODEL_POOL_SIZE - 512, 1024) == BLOCK_ERROR_RANGE);
	CHECK(simple(BLOCK_READ, 0, 0, UINT64_MAX - 511, 1024) == BLOCK_ERROR_RANGE);
	CHECK(simple(BLOCK_WRITE, 0, MODEL_POOLS, 0, 512) == BLOCK_ERROR_RANGE);
	CHECK(simple(BLOCK_WRITE, 0, UINT32_MAX, 0, 512) == BLOCK_ERROR_RANGE);
	CHECK(simple(BLOCK_READ, 0, 0, 0, 100) == BLOCK_ERROR_REQUEST);
	CHECK(simple(BLOCK_READ, 0, 0, 0, 0) == BLOCK_ERROR_REQUEST);
	CHECK(simple(17, 0, 0, 0, 512) == BLOCK_ERROR_REQUEST);
	uint32_t number;
	struct block_request *request = request_new(BLOCK_READ, 0, &number);
	CHECK(request_finish(request, number) == BLOCK_ERROR_REQUEST);
	request = request_new(BLOCK_READ, 0, &number);
	request->segment_count = BLOCK_SEGMENTS_MAX + 1;
	CHECK(request_finish(request, number) == BLOCK_ERROR_REQUEST);
	CHECK(model.requests == before);

	model.fail_io = true;
	CHECK(simple(BLOCK_READ, 0, 0, 0, 512) == BLOCK_ERROR_IO);
	model.fail_io = false;
	CHECK(simple(BLOCK_READ, 0, 0, 0, 512) == BLOCK_OK);
}

static void test_read_only_and_uncached(void)
{
	model_reset();
	model.offered = 1ull << 32 | 1 << 5;
	setup();
	CHECK(simple(BLOCK_WRITE, 0, 0, 0, 512) == BLOCK_ERROR_READ_ONLY);
	CHECK(simple(BLOCK_READ, 0, 0, 0, 512) == BLOCK_OK);
	unsigned before = model.requests;
	CHECK(simple(BLOCK_FLUSH, 0, 0, 0, 0) == BLOCK_OK);
	CHECK(model.requests == before);
	uint32_t number;
	struct block_request *request = request_new(BLOCK_INFO, 0, &number);
	CHECK(request_finish(request, number) == BLOCK_OK && request->read_only);
}

static void test_large_blocks(void)
{
	model_reset();
	model.block_size = 4096;
	setup();
	CHECK(simple(BLOCK_READ, 1, 0, 0, 4096) == BLOCK_ERROR_REQUEST);
	CHECK(simple(BLOCK_READ, 8, 0, 0, 512) == BLOCK_ERROR_REQUEST);
	CHECK(simple(BLOCK_READ, 8, 0, 0, 4096) == BLOCK_OK);
}

/* 64 pieces that do not touch each other, to a device that takes few at a time. */
static void test_splitting(bool indirect, unsigned queue_size, unsigned segments_max)
{
	model_reset();
	if (!indirect)
		model.offered &= ~(1ull << 28);
	model.queue_size_max = (uint16_t)queue_size;
	model.segments_max = segments_max;
	setup();
	uint32_t number;
	struct block_request *request = request_new(BLOCK_READ, 100, &number);
	memset(pools, 0, sizeof(pools));
	fill(model.disk, sizeof(model.disk));
	for (unsigned i = 0; i < BLOCK_SEGMENTS_MAX; i++)
		segment_add(request, i % 2, 1024ull * (i / 2), 512);
	CHECK(request_finish(request, number) == BLOCK_OK);
	for (unsigned i = 0; i < BLOCK_SEGMENTS_MAX; i++)
		CHECK(!memcmp(pools[i % 2] + 1024 * (i / 2), model.disk + (100 + i) * 512, 512));
	CHECK(model.parts_largest <= segments_max);

	/* Neighbours in memory are one segment for the device. */
	model.parts_largest = 0;
	request = request_new(BLOCK_WRITE, 0, &number);
	for (unsigned i = 0; i < 16; i++)
		segment_add(request, 2, 512 * i, 512);
	CHECK(request_finish(request, number) == BLOCK_OK);
	CHECK(model.parts_largest == 1);

	/* An error in the first part ends the whole, while others are out. */
	uint32_t done;
	model.fail_io = true;
	request = request_new(BLOCK_READ, 100, &number);
	for (unsigned i = 0; i < BLOCK_SEGMENTS_MAX; i++)
		segment_add(request, i % 2, 1024ull * (i / 2), 512);
	ring_submit(&client, number);
	do {
		driver_run();
	} while (model_run(1, &seed) || model.interrupt);
	CHECK(ring_completed(&client, &done) && done == number && request->status == BLOCK_ERROR_IO);
	ring_slot_release(&client, number);
}

/*
 * Random reads and writes, many at a time, each slot on sectors and pool space of its own; the driver is
 * restarted in between with everything outstanding. Every request completes once, with the right data.
 */
static void test_many(unsigned rounds, bool restarts, bool indirect, bool message_interrupts, size_t dma_size)
{
	static uint8_t expected[SLOTS][1024];
	bool busy[SLOTS] = {false}, reading[SLOTS] = {false};
	model_reset();
	model.message_interrupts = message_interrupts;
	model.dma_size = dma_size;
	if (!indirect)
		model.offered &= ~(1ull << 28);
	setup();
	for (unsigned i = 0; i < SLOTS; i++)
		memcpy(expected[i], model.disk + i * 2048, 1024);
	unsigned completed = 0, submitted = 0;
	while (completed < rounds) {
		uint32_t number;
		for (unsigned i = rand_r(&seed) % 40; i > 0 && submitted < rounds; i--) {
			struct block_request *request = ring_slot_take(&client, &number);
			if (!request)
				break;
			CHECK(!busy[number]);
			bool read = rand_r(&seed) % 2;
			*request = (struct block_request){.operation = read ? BLOCK_READ : BLOCK_WRITE,
			                                  .sector = number * 4};
			uint8_t *memory = pools[number % 3] + 1024 * (number / 3);
			fill(memory, 1024);
			if (!read)
				memcpy(expected[number], memory, 1024);
			segment_add(request, number % 3, 1024ull * (number / 3), 512);
			segment_add(request, number % 3, 1024ull * (number / 3) + 512, 512);
			busy[number] = true;
			reading[number] = read;
			ring_submit(&client, number);
			submitted++;
		}
		if (rand_r(&seed) % 4)
			driver_run();
		model_run(rand_r(&seed) % 30, &seed);
		if (restarts && rand_r(&seed) % 5 == 0)
			CHECK(driver_restart() == NULL);
		if (submitted == rounds)
			run_all();
		while (ring_completed(&client, &number)) {
			CHECK(busy[number]);
			struct block_request *request = ring_slot(&client, number);
			CHECK(request->status == BLOCK_OK);
			uint8_t *memory = pools[number % 3] + 1024 * (number / 3);
			if (reading[number])
				CHECK(!memcmp(memory, expected[number], 1024));
			CHECK(!memcmp(model.disk + number * 2048, expected[number], 1024));
			busy[number] = false;
			completed++;
			ring_slot_release(&client, number);
		}
	}
	CHECK(completed == rounds);
}

static void test_batched_notification(void)
{
	model_reset();
	setup();
	uint32_t number;
	for (unsigned i = 0; i < 50; i++) {
		struct block_request *request = request_new(BLOCK_READ, i, &number);
		segment_add(request, 0, 512 * i, 512);
		ring_submit(&client, number);
	}
	driver_run();
	CHECK(model.notifications == 1);
	run_all();
	CHECK(model.requests == 50);
}

static void hostile_device(enum hostility hostility)
{
	model_reset();
	setup();
	model.hostility = hostility;
	uint32_t number;
	struct block_request *request = request_new(BLOCK_READ, 0, &number);
	segment_add(request, 0, 0, 512);
	ring_submit(&client, number);
	fatal_expected = true;
	volatile bool died = true;
	if (!setjmp(fatal_jump)) {
		run_all();
		died = false;
	}
	fatal_expected = false;
	CHECK(died);
	CHECK(strstr(fatal_text, "device") != NULL);
	/* The successor, with a device that has come to its senses, does what was asked. */
	model.hostility = HONEST;
	CHECK(driver_restart() == NULL);
	run_all();
	CHECK(ring_completed(&client, &number) && request->status == BLOCK_OK);
}

/* The interrupt is lost: the watchdog's look at the device finds the completion, and the failure if there is
 * one. */
static void test_watchdog(void)
{
	model_reset();
	setup();
	CHECK(!disk_busy(disk));
	uint32_t number, done;
	struct block_request *request = request_new(BLOCK_READ, 0, &number);
	segment_add(request, 0, 0, 512);
	ring_submit(&client, number);
	driver_run();
	CHECK(disk_busy(disk));
	model_run(1, &seed);
	model.interrupt = false;
	disk_check(disk);
	driver_run();
	CHECK(!disk_busy(disk) && ring_completed(&client, &done) && request->status == BLOCK_OK);
	model.hostility = NEEDS_RESET;
	fatal_expected = true;
	volatile bool died = true;
	if (!setjmp(fatal_jump)) {
		disk_check(disk);
		died = false;
	}
	fatal_expected = false;
	CHECK(died);
}

static void test_start_problems(void)
{
	const char *problem;
	client_start();
	model_reset();
	model.present = false;
	problem = driver_restart();
	CHECK(problem && strstr(problem, "no such device"));

	model_reset();
	model.offered &= ~(1ull << 32);
	problem = driver_restart();
	CHECK(problem && strstr(problem, "legacy"));

	model_reset();
	model.hostility = REFUSES_FEATURES;
	problem = driver_restart();
	CHECK(problem && strstr(problem, "refuses"));

	model_reset();
	model.hostility = STAYS_IN_RESET;
	problem = driver_restart();
	CHECK(problem && strstr(problem, "reset"));

	model_reset();
	model.notify_offset = 0xffff;
	problem = driver_restart();
	CHECK(problem && strstr(problem, "bounds"));

	model_reset();
	model.dma_size = 4096;
	problem = driver_restart();
	CHECK(problem && strstr(problem, "too small"));

	static const uint16_t bad_sizes[] = {0, 1, 2, 3, 100, 65535};
	for (unsigned i = 0; i < sizeof(bad_sizes) / sizeof(*bad_sizes); i++) {
		model_reset();
		model.queue_size_max = bad_sizes[i];
		problem = driver_restart();
		CHECK(bad_sizes[i] == 65535 || (problem && strstr(problem, "queue")));
	}
	model_reset();
	model.hostility = NEEDS_RESET;
	problem = driver_restart();
	CHECK(problem && strstr(problem, "fails"));
}

/* Whatever the configuration space says, the driver comes to an end and touches nothing outside the BAR. */
static void test_configuration_fuzz(void)
{
	client_start();
	/* a circle */
	model_reset();
	model.config[0x71] = 0x40;
	CHECK(driver_restart() == NULL);
	model_reset();
	model.config[0x41] = 0x40;
	CHECK(driver_restart() != NULL);
	/* regions beyond the BAR */
	static const uint32_t values[] = {0x3ff0, 0x4000, 0xfffffff0, 0x80000000, 0x1001};
	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
		model_reset();
		memcpy(model.config + 0x48, &values[i], 4);
		CHECK(driver_restart() != NULL);
	}
	for (unsigned i = 0; i < 2000; i++) {
		model_reset();
		model.offered = (uint64_t)rand_r(&seed) << 32 | (uint64_t)rand_r(&seed) << 8;
		for (unsigned n = rand_r(&seed) % 6; n > 0; n--)
			model.config[rand_r(&seed) % 256] = (uint8_t)rand_r(&seed);
		/* Registers that lie somewhere else in the BAR are other registers: the model ends the test
		 * on some of these writes. */
		memcpy(model.config + 0x58, &(uint32_t){0x1000}, 4);
		memcpy(model.config + 0x48, &(uint32_t){0}, 4);
		memcpy(model.config + 0x78, &(uint32_t){0x3000}, 4);
		memcpy(model.config + 0x68, &(uint32_t){0x2000}, 4);
		fatal_expected = true;
		if (!setjmp(fatal_jump))
			driver_restart();
		fatal_expected = false;
	}
}

/* Requests made of noise, some of them changed while the driver works: the model ends the test if one leads
 * anywhere else than the pools. */
static void test_hostile_client(void)
{
	model_reset();
	setup();
	for (unsigned round = 0; round < 1000; round++) {
		uint32_t numbers[8], done;
		struct block_request *requests[8];
		for (unsigned i = 0; i < 8; i++) {
			requests[i] = ring_slot_take(&client, &numbers[i]);
			if (!requests[i])
				break;
			fill((uint8_t *)requests[i], sizeof(*requests[i]));
			requests[i]->operation = rand_r(&seed) % 5;
			requests[i]->segment_count %= 70;
			requests[i]->sector %= 3000;
			for (unsigned s = 0; s < BLOCK_SEGMENTS_MAX; s++) {
				struct block_segment *segment = &requests[i]->segments[s];
				segment->pool %= 4;
				segment->length = (segment->length % 4) * 512;
				segment->offset %= rand_r(&seed) % 8 ? MODEL_POOL_SIZE : UINT64_MAX;
			}
			ring_submit(&client, numbers[i]);
		}
		driver_run();
		for (unsigned i = 0; i < 8; i++)
			fill((uint8_t *)requests[i], sizeof(*requests[i]));
		run_all();
		while (ring_completed(&client, &done))
			ring_slot_release(&client, done);
	}
	CHECK(true);
}

int main(void)
{
	test_data();
	test_errors();
	test_read_only_and_uncached();
	test_large_blocks();
	test_splitting(true, 256, 254);
	test_splitting(true, 256, 5);
	test_splitting(false, 256, 254);
	test_splitting(false, 8, 254);
	test_splitting(false, 4, 1);
	test_splitting(true, 4, 3);
	test_batched_notification();
	test_many(20000, false, true, true, 512 * 1024);
	test_many(20000, true, true, true, 512 * 1024);
	test_many(20000, true, false, false, 512 * 1024);
	test_many(5000, true, true, false, 16 * 1024);
	hostile_device(ID_OUT_OF_RANGE);
	hostile_device(ID_NOT_IN_FLIGHT);
	hostile_device(INDEX_JUMPS);
	hostile_device(COMPLETES_TWICE);
	hostile_device(NEEDS_RESET);
	test_watchdog();
	test_start_problems();
	test_configuration_fuzz();
	test_hostile_client();
	free(disk);
	return checks_report();
}
