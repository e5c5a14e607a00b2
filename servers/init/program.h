/* SPDX-License-Identifier: MIT */
/* ELF programs of the archive: what is to be loaded, and the names of functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_SEGMENTS 8

struct program_segment {
	uint64_t address, size; /* page-aligned; size in memory */
	uint64_t data_address;  /* where the file's bytes go */
	const uint8_t *data;
	uint64_t data_size;
	unsigned rights; /* RIGHT_READ ... */
	uint64_t offset; /* of the segment in the Memory of the whole program */
};

struct program {
	const uint8_t *file;
	size_t file_size;
	uint64_t entry;
	unsigned segment_count;
	struct program_segment segments[PROGRAM_SEGMENTS];
	uint64_t memory_size; /* of all segments together */
};

/* NULL, or what is wrong with the file. */
const char *program_parse(struct program *program, const uint8_t *file, size_t size);
/* The function that the address lies in; NULL: unknown. The name ends inside of the file. */
const char *program_symbol(const struct program *program, uint64_t address, uint64_t *offset);
