/* SPDX-License-Identifier: MIT */
/* The memory functions that the compiler calls. Eight bytes an iteration: the string instructions are what
 * both real CPUs and the emulator's instruction counter like best. */
#include "local.h"

void *memset(void *to, int value, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);

__attribute__((used)) void *memset(void *to, int value, size_t size)
{
	uint64_t pattern = (uint8_t)value * 0x0101010101010101ul;
	size_t words = size / 8, rest = size % 8;
	void *at = to;

	__asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(rest) : "a"(pattern) : "memory");
	return to;
}

static bool page_is_zero(const uint64_t *words)
{
	for (unsigned i = 0; i < PAGE_SIZE / 8; i += 8, words += 8)
		if ((words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) !=
		    0)
			return false;
	return true;
}

/* Looks before it writes: a virtual machine's memory that was never written costs its host nothing until
 * then. */
void arch_memory_clear(void *memory, size_t size)
{
	uint8_t *bytes = memory;

	for (; size >= PAGE_SIZE; size -= PAGE_SIZE, bytes += PAGE_SIZE)
		if (!page_is_zero((const uint64_t *)bytes))
			memset(bytes, 0, PAGE_SIZE);
	memset(bytes, 0, size);
}

__attribute__((used)) void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	size_t words = size / 8, rest = size % 8;
	void *at = to;

	__asm__ volatile("rep movsq" : "+D"(at), "+S"(from), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(rest) : : "memory");
	return to;
}

__attribute__((used)) void *memmove(void *to, const void *from, size_t size)
{
	if ((uint64_t)to - (uint64_t)from >= size)
		return memcpy(to, from, size);
	while (size-- > 0)
		((volatile uint8_t *)to)[size] = ((const uint8_t *)from)[size];
	return to;
}

__attribute__((used)) int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < size; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}
