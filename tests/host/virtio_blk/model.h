/* SPDX-License-Identifier: MIT */
/* A virtio disk that the driver cannot tell from a real one, and that can be told to misbehave. Every
 * physical address that it is given must lie in memory that was given to the driver: anything else ends the
 * test. */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_SECTORS   2048
#define MODEL_POOLS     3
#define MODEL_POOL_SIZE (64 * 1024)

enum hostility {
	HONEST,
	ID_OUT_OF_RANGE,
	ID_NOT_IN_FLIGHT,
	INDEX_JUMPS,
	COMPLETES_TWICE,
	STAYS_IN_RESET,
	NEEDS_RESET,
	REFUSES_FEATURES,
};

struct model {
	/* what it is; set before the driver starts */
	bool present, message_interrupts;
	uint64_t offered;
	uint16_t queue_size_max;
	uint32_t segments_max, block_size, notify_offset;
	uint64_t capacity;
	size_t dma_size;
	enum hostility hostility;
	bool fail_io; /* every request ends with an I/O error */
	uint8_t config[256];

	/* registers */
	bool mastering;
	uint64_t features;
	uint32_t device_select, driver_select;
	uint8_t status;
	uint16_t queue_size, queue_vector, queue_enable;
	uint64_t descriptors, available, used;
	uint16_t available_index, used_index;
	uint8_t isr;

	/* what happened */
	unsigned notifications, requests, resets, signals, sleeps, parts_largest;
	bool interrupt;
	uint16_t last_id;
	uint8_t disk[MODEL_SECTORS * 512];
};

extern struct model model;
extern uint8_t pools[MODEL_POOLS][MODEL_POOL_SIZE];
extern uint8_t channel_memory[256 * 1024];
extern char fatal_text[256];
extern jmp_buf fatal_jump;
extern bool fatal_expected;

/* A well-behaved disk: 1 MiB, all features, queue of 256. Contents of disk and pools stay. */
void model_reset(void);
/* Lets the device work on up to `most` requests, taking them in an order that `seed` mixes. Returns how many.
 */
unsigned model_run(unsigned most, unsigned *seed);
