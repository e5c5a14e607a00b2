/* SPDX-License-Identifier: MIT */
/* The shared object that every process finds mapped: clocks without a system call (lib/vdso). */
#pragma once

#include "address_space.h"

void vdso_init(void);
/* The page of data and behind it the image, at *image. 0 or -errno. */
int vdso_map(struct mm *mm, uint64_t *image);
/* From time since boot to the wall clock, ns. All processes see it at once. */
void vdso_set_wall(int64_t offset);
