/* SPDX-License-Identifier: MIT */
/* What namespace.c and rename.c share. */
#pragma once

#include "ext2.h"

bool name_is_dot(struct name name); /* . or .. */
int name_check(struct name name);
int directory_get(struct filesystem *fs, uint32_t number, struct inode **out); /* ENOTDIR */
int entry_inode_get(struct filesystem *fs, uint32_t number, struct inode **out);
