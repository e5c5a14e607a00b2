/* SPDX-License-Identifier: MIT */
/* Searching bitmaps a word at a time. Bitmaps are whole disk blocks, so reading the last word past `limit`
 * stays inside. */
#include <string.h>

#include "ext2.h"

static uint64_t word_at(const uint8_t *bits, uint32_t index)
{
	uint64_t word;

	memcpy(&word, bits + (size_t)index * 8, sizeof(word));
	return word;
}

/* The first bit at or after `from` that is one in (bits ^ invert). */
static uint32_t bits_next(const uint8_t *bits, uint32_t from, uint32_t limit, uint64_t invert)
{
	uint32_t index = from / 64;
	uint64_t word;

	if (from >= limit)
		return limit;
	word = (word_at(bits, index) ^ invert) & (~0ul << from % 64);
	while (!word) {
		if (++index * 64 >= limit)
			return limit;
		word = word_at(bits, index) ^ invert;
	}
	from = index * 64 + (uint32_t)__builtin_ctzll(word);
	return from < limit ? from : limit;
}

uint32_t bits_next_zero(const uint8_t *bits, uint32_t from, uint32_t limit)
{
	return bits_next(bits, from, limit, ~0ul);
}

uint32_t bits_next_one(const uint8_t *bits, uint32_t from, uint32_t limit)
{
	return bits_next(bits, from, limit, 0);
}

uint32_t bits_count_zero(const uint8_t *bits, uint32_t limit)
{
	uint32_t ones = 0, index;

	for (index = 0; (index + 1) * 64 <= limit; index++)
		ones += (uint32_t)__builtin_popcountll(word_at(bits, index));
	if (limit % 64)
		ones += (uint32_t)__builtin_popcountll(word_at(bits, index) & ~(~0ul << limit % 64));
	return limit - ones;
}

void bits_merge(uint8_t *bits, const uint8_t *other, uint32_t limit)
{
	for (uint32_t index = 0; index * 64 < limit; index++) {
		uint64_t word = word_at(bits, index) | word_at(other, index);

		memcpy(bits + (size_t)index * 8, &word, sizeof(word));
	}
}
