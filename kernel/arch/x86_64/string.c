/* SPDX-License-Identifier: MIT */
/* The memory functions that the compiler calls. Eight bytes an iteration: the string instructions are what
 * both real CPUs and the emulator's instruction counter like best. */
#include "local.h"

void *memset(void *to, int value, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);

void *memset(void *to, int value, size_t size)
{
	uint64_t pattern = (uint8_t)value * 0x0101010101010101ul;
	size_t words = size / 8, rest = size % 8;
	void *at = to;

	__asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(rest) : "a"(pattern) : "memory");
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	size_t words = size / 8, rest = size % 8;
	void *at = to;

	__asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(rest) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	if ((uint64_t)to - (uint64_t)from >= size)
		return memcpy(to, from, size);
	while (size-- > 0)
		((volatile uint8_t *)to)[size] = ((const uint8_t *)from)[size];
	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < size; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}
