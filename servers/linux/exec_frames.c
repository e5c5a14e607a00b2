/* SPDX-License-Identifier: MIT */
#include "exec_frames.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool valid(const struct exec_frame *frame)
{
	return frame->magic == EXEC_MAGIC && frame->type >= EXEC_READY && frame->type <= EXEC_UNWRITABLE &&
	       frame->length <= EXEC_FRAME_MAX;
}

bool frame_parse(struct frame_parser *parser, uint8_t byte, struct exec_frame *frame)
{
	if (parser->broken)
		return false;
	if (parser->header_bytes < sizeof(parser->header)) {
		parser->header[parser->header_bytes++] = byte;
		if (parser->header_bytes < sizeof(parser->header))
			return false;
		parser->payload_bytes = 0;
	} else {
		parser->payload[parser->payload_bytes++] = byte;
	}
	memcpy(frame, parser->header, sizeof(*frame));
	if (!valid(frame)) {
		parser->broken = true;
		return false;
	}
	if (parser->payload_bytes < frame->length)
		return false;
	parser->header_bytes = 0;
	return true;
}

static size_t count_strings(const char *text, size_t size)
{
	size_t count = 0;
	for (size_t i = 0; i < size; i++)
		count += text[i] == 0;
	return count;
}

int exec_program_parse(char *payload, size_t size, struct exec_program *program)
{
	uint32_t counts[2];
	if (size < sizeof(counts))
		return -EINVAL;
	memcpy(counts, payload, sizeof(counts));
	char *text = payload + sizeof(counts);
	size_t left = size - sizeof(counts);
	if (counts[0] == 0 || left == 0 || text[left - 1] != 0 ||
	    count_strings(text, left) != (uint64_t)counts[0] + counts[1])
		return -EINVAL;
	char **pointers = calloc((size_t)counts[0] + counts[1] + 2, sizeof(*pointers));
	if (pointers == NULL)
		return -ENOMEM;
	program->argv = pointers;
	program->envp = pointers + counts[0] + 1;
	for (uint32_t i = 0; i < counts[0]; i++, text += strlen(text) + 1)
		program->argv[i] = text;
	for (uint32_t i = 0; i < counts[1]; i++, text += strlen(text) + 1)
		program->envp[i] = text;
	return 0;
}
