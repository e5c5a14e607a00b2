/* SPDX-License-Identifier: MIT */
/* Packing of boot images (<abi/boot.h>) on the host. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data;
	size_t size, capacity;
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_align(struct buffer *buffer, size_t alignment);
void buffer_read_file(struct buffer *buffer, const char *path);

/* The loadable segments of the first component, into header and image. */
void elf_place(const struct buffer *elf, const char *path, struct buffer *image);
/* A copy with the loadable segments and the symbol table only. */
void elf_slim(const struct buffer *elf, const char *path, struct buffer *slim);

void cpio_add(struct buffer *archive, const char *name, const struct buffer *content);
void cpio_end(struct buffer *archive);

/* The authority graph of a manifest for dot(1), on standard output. */
struct manifest;
void graph_print(const struct manifest *manifest);
