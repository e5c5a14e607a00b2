/* SPDX-License-Identifier: MIT */
#include "archive.h"

#include <string.h>

#define HEADER_SIZE     110
#define FIELD_FILE_SIZE 6
#define FIELD_NAME_SIZE 11

static bool field(const uint8_t *header, unsigned number, size_t *value)
{
	const uint8_t *digits = header + 6 + 8 * number;
	size_t result = 0;
	for (int i = 0; i < 8; i++) {
		uint8_t c = digits[i];
		if (c >= '0' && c <= '9')
			result = result << 4 | (size_t)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			result = result << 4 | (size_t)((c | 32) - 'a' + 10);
		else
			return false;
	}
	*value = result;
	return true;
}

static size_t round4(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

bool archive_find(const struct archive *archive, const char *name, const uint8_t **content, size_t *size)
{
	size_t wanted = strlen(name) + 1;
	for (size_t at = 0; at <= archive->size && archive->size - at >= HEADER_SIZE;) {
		const uint8_t *header = archive->data + at;
		size_t file_size, name_size;
		if (memcmp(header, "070701", 6) != 0 || !field(header, FIELD_FILE_SIZE, &file_size) ||
		    !field(header, FIELD_NAME_SIZE, &name_size))
			return false;
		/* Both are at most 32 bits: the sums cannot overflow. */
		size_t name_end = at + HEADER_SIZE + name_size;
		size_t start = round4(name_end);
		if (name_size == 0 || name_end > archive->size || start > archive->size ||
		    file_size > archive->size - start)
			return false;
		const char *entry = (const char *)header + HEADER_SIZE;
		if (name_size == wanted && memcmp(entry, name, wanted) == 0) {
			*content = archive->data + start;
			*size = file_size;
			return true;
		}
		if (name_size == 11 && memcmp(entry, "TRAILER!!!", 11) == 0)
			return false;
		at = round4(start + file_size);
	}
	return false;
}
