/* SPDX-License-Identifier: MIT */
/*
 * Serial lines: two byte rings in the shared memory of a channel, server = driver, client = whoever reads and writes the line.
 * Positions run freely; byte i is data[i % size]. Writers publish with release, readers with acquire order. A reader that
 * finds the ring empty sets reader_waits and looks again before it sleeps; the writer signals if it was set (and likewise a writer
 * that finds it full, or that waits until all has been sent). Bytes taken out of the ring by a driver that dies may be lost, bytes in it
 * never are.
 */
#pragma once

#include <stdatomic.h>
#include <abi/types.h>

#define SERIAL_RING_SIZE    (64 * 1024)
#define SERIAL_CHANNEL_SIZE (132 * 1024)

struct serial_ring {
	_Alignas(64) _Atomic uint32_t written;
	_Alignas(64) _Atomic uint32_t read;
	_Atomic uint32_t sent; /* of the output: what has left the line. Behind `read` by what the UART still has. */
	_Alignas(64) _Atomic uint32_t reader_waits;
	_Atomic uint32_t writer_waits;
	_Alignas(64) uint8_t data[SERIAL_RING_SIZE];
};

struct serial_channel {
	struct serial_ring input;  /* driver writes: bytes received on the line */
	struct serial_ring output; /* driver reads: bytes to send */
};
_Static_assert(sizeof(struct serial_channel) <= SERIAL_CHANNEL_SIZE, "serial channel size");
