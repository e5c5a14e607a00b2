/* SPDX-License-Identifier: MIT */
#pragma once

#include "elf_load.h"
#include "exec_strings.h"
#include "process.h"

/* Lays out arguments, environment and auxiliary vector; *out: the initial stack pointer. 0 or -errno. */
int exec_stack_build(struct mm *mm, const struct exec_strings *strings, const char *path,
                     const struct loaded_image *image, const struct credentials *credentials, bool secure,
                     struct process *process, uint64_t *out);
