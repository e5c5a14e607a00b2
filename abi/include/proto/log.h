/* SPDX-License-Identifier: MIT */
/*
 * Log lines of a component, read by the supervisor. The writer never waits: it overwrites the oldest text. `written` runs freely; byte i is
 * data[i % size], where size (a power of two) is what the mapping has after this header, rounded down. The reader keeps its own
 * position and knows from `written` whether text was lost.
 */
#pragma once

#include <stdatomic.h>
#include <abi/types.h>

struct log_ring {
	_Atomic uint32_t written;
	/* Set by the reader once it has read everything; the writer clears it and signals. */
	_Atomic uint32_t reader_waits;
	uint32_t reserved[14];
	uint8_t data[];
};
#define LOG_RING_PAGES 5 /* 16 KiB of text */
#define LOG_RING_SIZE  16384
