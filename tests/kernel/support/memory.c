/* SPDX-License-Identifier: MIT */
/* What the compiler calls where it copies or clears a structure: these programs have no C library. */
#include <stddef.h>

void *memset(void *to, int value, size_t count);
void *memset(void *to, int value, size_t count)
{
	for (size_t i = 0; i < count; i++)
		((char *)to)[i] = (char)value;
	return to;
}

void *memcpy(void *to, const void *from, size_t count);
void *memcpy(void *to, const void *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		((char *)to)[i] = ((const char *)from)[i];
	return to;
}
