/* SPDX-License-Identifier: MIT */
/* The component's heap, which malloc takes its memory from. In pages. */
#pragma once

#include <stddef.h>

size_t heap_pages_free(void);
size_t heap_pages_total(void);
