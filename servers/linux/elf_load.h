/* SPDX-License-Identifier: MIT */
#pragma once

#include "address_space.h"
#include "elf_image.h"

/* What the new image's first thread needs to know. */
struct loaded_image {
	uint64_t entry; /* of the program, for AT_ENTRY */
	uint64_t start; /* where to begin: the interpreter's entry, if there is one */
	uint64_t headers, header_count;
	uint64_t interp_base;
	uint64_t vdso;
	uint64_t brk;
	bool executable_stack;
	bool unreadable; /* for the user, the program or its interpreter */
};

/* Maps an ELF program, and its interpreter, into a new address space. 0 or -errno. thread: for paths. */
int elf_load(struct mm *mm, struct thread *thread, struct file *file, struct loaded_image *out);
