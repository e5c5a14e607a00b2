/* SPDX-License-Identifier: MIT */
/* What of an ELF file matters for running it, checked. Works on bytes that were read from the file; trusts
 * none of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_HEADER_SIZE 64
#define ELF_ENTRY_SIZE  56 /* of a program header */
#define ELF_HEADERS_MAX 73 /* program headers: a page of them */
#define ELF_INTERP_MAX  4096

/* No errno: what Linux finds out only when the old program is gone, whose process it ends by SIGSEGV. */
#define ETOOLATE 513

struct elf_segment {
	uint64_t address, memory_size, file_size, offset;
	uint32_t prot; /* PROT_* */
};

struct elf_image {
	bool position_independent;
	bool executable_stack;
	uint64_t entry;
	uint64_t headers_offset,
	        headers_address; /* program headers in the file and in memory (0: not loaded) */
	unsigned header_count;
	unsigned segment_count;
	struct elf_segment segments[ELF_HEADERS_MAX]; /* as the file has them: the later one has what they share */
	bool broken;                                  /* they make no sense: -ETOOLATE */
	uint64_t low, high;                           /* page-aligned hull */
	uint64_t alignment;                           /* the most that a segment wants */
	uint64_t interp_offset, interp_size;          /* 0: none */
};

/* First step: the file's header (size bytes of it are at data). 0 or -ENOEXEC. */
int elf_parse_header(struct elf_image *image, const void *data, size_t size, uint64_t file_size);
/* Second step: header_count program headers, read from headers_offset. is_loader: the loader that it names is
 * not asked for. 0 or -ENOEXEC; -EIO: the loader's name lies beyond the end. */
int elf_parse_segments(struct elf_image *image, const void *headers, uint64_t file_size, bool is_loader);
