/* SPDX-License-Identifier: MIT */
/* What namespace.c and rename.c share. */
#pragma once

#include "ext2.h"

bool name_is_dot(struct name name); /* . or .. */
int name_check(struct name name);
/* Before the first change that others can see. */
void change_begin(struct change *change, enum change_state state, uint32_t source, uint32_t target);
void change_end(struct change *change); /* of an exchange */
int directory_get(struct filesystem *fs, uint32_t number, struct inode **out); /* ENOTDIR */
int entry_inode_get(struct filesystem *fs, uint32_t number, struct inode **out);
