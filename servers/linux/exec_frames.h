/* SPDX-License-Identifier: MIT */
/* Frames of proto/exec.h out of a stream of bytes, and the program description that EXEC_START carries. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <proto/exec.h>

struct frame_parser {
	uint8_t header[sizeof(struct exec_frame)];
	size_t header_bytes;
	uint8_t payload[EXEC_FRAME_MAX];
	size_t payload_bytes;
	bool broken; /* what came was no frame: nothing after it can be trusted */
};

/* One more byte; true: a frame is complete, its type and length in *frame, its payload in parser->payload
 * until the next call. */
bool frame_parse(struct frame_parser *parser, uint8_t byte, struct exec_frame *frame);

struct exec_program {
	char **argv, **envp; /* NULL-terminated; strings in the payload */
};
/* The joined payload of the EXEC_START frames, which is changed by nobody afterwards. 0, -EINVAL, -ENOMEM */
int exec_program_parse(char *payload, size_t size, struct exec_program *program);
