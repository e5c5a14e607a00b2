/* SPDX-License-Identifier: MIT */
/* What is used after it was freed must not look as it did. */
#include <malloc.h>
#include <string.h>

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
	if (memory)
		memset(memory, 0xd5, malloc_usable_size(memory));
	__real_free(memory);
}
