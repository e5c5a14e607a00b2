/* SPDX-License-Identifier: MIT */
/* cpio "newc" archives: a header of hexadecimal numbers, the name, the content; each padded to 4 bytes. */
#include <stdio.h>
#include <string.h>

#include "mkboot.h"

void cpio_add(struct buffer *archive, const char *name, const struct buffer *content)
{
	static unsigned inode;
	char header[160];
	size_t name_size = strlen(name) + 1;
	if (content->size > 0xffffffff)
		die("%s is too large", name);
	snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
	         ++inode, 0100644, 0, 0, 1, 0, (unsigned)content->size, 0, 0, 0, 0, (unsigned)name_size, 0);
	buffer_append(archive, header, 110);
	buffer_append(archive, name, name_size);
	buffer_align(archive, 4);
	if (content->size)
		buffer_append(archive, content->data, content->size);
	buffer_align(archive, 4);
}

void cpio_end(struct buffer *archive)
{
	struct buffer nothing = {0};
	cpio_add(archive, "TRAILER!!!", &nothing);
}
