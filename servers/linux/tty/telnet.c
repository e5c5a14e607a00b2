/* SPDX-License-Identifier: MIT */
#include "tty/telnet.h"

enum { SE = 240, SB = 250, WILL = 251, DONT = 254, IAC = 255 };
enum { NAWS = 31 };
enum { DATA, COMMAND, OPTION, INSIDE, INSIDE_COMMAND };

static enum telnet_result command(struct telnet *telnet, uint8_t byte)
{
	telnet->state = DATA;
	if (byte == IAC)
		return TELNET_BYTE;
	if (byte == SB) {
		telnet->state = INSIDE;
		telnet->length = 0;
	} else if (byte >= WILL && byte <= DONT) {
		telnet->state = OPTION;
	}
	return TELNET_NOTHING;
}

static void keep(struct telnet *telnet, uint8_t byte)
{
	if (telnet->length < sizeof(telnet->words))
		telnet->words[telnet->length] = byte;
	if (telnet->length <= sizeof(telnet->words))
		telnet->length++;
}

static enum telnet_result end(struct telnet *telnet)
{
	const uint8_t *words = telnet->words;

	telnet->state = DATA;
	if (telnet->length != sizeof(telnet->words) || words[0] != NAWS)
		return TELNET_NOTHING;
	telnet->columns = (uint16_t)(words[1] << 8 | words[2]);
	telnet->rows = (uint16_t)(words[3] << 8 | words[4]);
	return TELNET_SIZE;
}

enum telnet_result telnet_input(struct telnet *telnet, uint8_t byte)
{
	switch (telnet->state) {
	case DATA:
		if (byte != IAC)
			return TELNET_BYTE;
		telnet->state = COMMAND;
		break;
	case COMMAND:
		return command(telnet, byte);
	case OPTION:
		telnet->state = DATA;
		break;
	case INSIDE:
		if (byte == IAC)
			telnet->state = INSIDE_COMMAND;
		else
			keep(telnet, byte);
		break;
	case INSIDE_COMMAND:
		if (byte != IAC)
			return byte == SE ? end(telnet) : command(telnet, byte);
		keep(telnet, byte);
		telnet->state = INSIDE;
		break;
	}
	return TELNET_NOTHING;
}
