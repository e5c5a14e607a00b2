/* SPDX-License-Identifier: MIT */
/* The pools as the kernel objects that they are: what space.c needs of pages.c. */
#pragma once

#include "mm.h"

#define POOLS_MAX 32

unsigned pool_count(void);
cptr_t pool_memory(unsigned pool);
/* Index of the frame's pool (from 0) and its page number in it. */
unsigned pool_of(pfn_t pfn, uint32_t *page);

#define FIBER_STACK_SIZE (32 * 1024)
/* Memory for a fiber's stack out of frames that were never used; it is not given back. NULL: none left. */
void *pages_take_stack(void);
