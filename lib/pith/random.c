/* SPDX-License-Identifier: MIT */
#include <pith/random.h>

#include <string.h>

static uint32_t rotate(uint32_t value, int bits)
{
	return value << bits | value >> (32 - bits);
}

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b;
	*d = rotate(*d ^ *a, 16);
	*c += *d;
	*b = rotate(*b ^ *c, 12);
	*a += *b;
	*d = rotate(*d ^ *a, 8);
	*c += *d;
	*b = rotate(*b ^ *c, 7);
}

void chacha20_block(uint32_t out[16], const uint32_t key[8], uint32_t counter, const uint32_t nonce[3])
{
	uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	memcpy(&in[4], key, 8 * sizeof(*key));
	in[12] = counter;
	memcpy(&in[13], nonce, 3 * sizeof(*nonce));
	memcpy(out, in, sizeof(in));
	for (int round = 0; round < 10; round++) {
		quarter(&out[0], &out[4], &out[8], &out[12]);
		quarter(&out[1], &out[5], &out[9], &out[13]);
		quarter(&out[2], &out[6], &out[10], &out[14]);
		quarter(&out[3], &out[7], &out[11], &out[15]);
		quarter(&out[0], &out[5], &out[10], &out[15]);
		quarter(&out[1], &out[6], &out[11], &out[12]);
		quarter(&out[2], &out[7], &out[8], &out[13]);
		quarter(&out[3], &out[4], &out[9], &out[14]);
	}
	for (int i = 0; i < 16; i++)
		out[i] += in[i];
}

/* Block 0 of a key is its successor, the others are output. */
static void block(const struct random_generator *generator, uint64_t number, uint32_t out[16])
{
	const uint32_t nonce[3] = {(uint32_t)(number >> 32)};
	chacha20_block(out, generator->key, (uint32_t)number, nonce);
}

static void key_replace(struct random_generator *generator)
{
	uint32_t words[16];
	block(generator, 0, words);
	memcpy(generator->key, words, sizeof(generator->key));
	memset(words, 0, sizeof(words));
}

void random_mix(struct random_generator *generator, const void *data, size_t size)
{
	uint32_t words[8];
	while (size) {
		size_t part = size < sizeof(words) ? size : sizeof(words);
		memset(words, 0, sizeof(words));
		memcpy(words, data, part);
		for (int i = 0; i < 8; i++)
			generator->key[i] ^= words[i];
		key_replace(generator);
		data = (const uint8_t *)data + part;
		size -= part;
	}
}

void random_take(struct random_generator *generator, void *out, size_t size)
{
	uint32_t words[16];
	for (uint64_t number = 1; size; number++) {
		size_t part = size < sizeof(words) ? size : sizeof(words);
		block(generator, number, words);
		memcpy(out, words, part);
		out = (uint8_t *)out + part;
		size -= part;
	}
	key_replace(generator);
	memset(words, 0, sizeof(words));
}
