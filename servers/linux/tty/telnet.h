/* SPDX-License-Identifier: MIT */
/*
 * As much of Telnet as a serial line needs to tell its window's size (RFC 854, RFC 1073): IAC IAC is the byte
 * 255, IAC SB NAWS columns rows IAC SE a size, both numbers big-endian and with their 255s doubled. All other
 * commands are dropped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum telnet_result {
	TELNET_BYTE,   /* an ordinary one */
	TELNET_SIZE,   /* rows and columns have changed */
	TELNET_NOTHING /* in the middle of a command, or at the end of one that means nothing here */
};

struct telnet {
	uint16_t rows, columns; /* as last told */
	uint8_t state;
	uint8_t length;   /* of what follows SB so far; more than fits is counted, but not kept */
	uint8_t words[5]; /* option, columns, rows */
};

/* The next byte of the line. A zeroed structure is one that has seen none. */
enum telnet_result telnet_input(struct telnet *telnet, uint8_t byte);
