/* SPDX-License-Identifier: MIT */
/* What the first component is made of: see boot.c and boot_image.c. */
#pragma once

#include <kernel/arch.h>

/* The part of the first component's address space that the kernel fills; its segments lie elsewhere. */
#define INIT_STACK_TOP    (BOOT_INFO_ADDRESS - PAGE_SIZE)
#define INIT_STACK_BOTTOM (INIT_STACK_TOP - INIT_STACK_SIZE)
#define INIT_IPC_BUFFER   (BOOT_INFO_ADDRESS + 0x4000)
#define INIT_IMAGE        (BOOT_INFO_ADDRESS + 0x10000)

/* Checks everything; returns NULL or what is wrong. */
const char *boot_image_check(const struct boot_image *image, uint64_t module_size);
/* Fill the list from what is RAM, what of it is free, and what is neither. */
void boot_untypeds_list(struct boot_info *info, const struct memory_range *free, unsigned free_count,
                        const struct memory_range *all, unsigned all_count);
