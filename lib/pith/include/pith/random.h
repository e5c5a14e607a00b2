/* SPDX-License-Identifier: MIT */
/*
 * Random bytes out of a secret: the ChaCha20 block function (RFC 8439) with a key that is replaced whenever
 * bytes were taken, so that what was given out cannot be computed from a later state.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct random_generator {
	uint32_t key[8];
};

/* Adds to the key, which keeps what it had: poor data makes nothing worse. */
void random_mix(struct random_generator *generator, const void *data, size_t size);
void random_take(struct random_generator *generator, void *out, size_t size);

void chacha20_block(uint32_t out[16], const uint32_t key[8], uint32_t counter, const uint32_t nonce[3]);
