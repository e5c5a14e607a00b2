/* SPDX-License-Identifier: MIT */
/* virtio-rng: a device that fills memory with random bytes. One request at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_BYTES 64

/* NULL: it runs; else what is in the way, for the log. */
const char *device_start(void);
/* More bytes, unless some are on their way already. */
void device_ask(void);
/* What came with these bits of "events": at most DEVICE_BYTES; 0: nothing. */
size_t device_collect(uint64_t bits, uint8_t *bytes);
