/* SPDX-License-Identifier: MIT */
/* The boot image's cpio archive (newc): files by name. Nothing in it is trusted to be well-formed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive {
	const uint8_t *data;
	size_t size;
};

/* false: no such file, or the archive is damaged before it. */
bool archive_find(const struct archive *archive, const char *name, const uint8_t **content, size_t *size);
