/* SPDX-License-Identifier: MIT */
/* The first line of scripts. It may hold anything. */
#include "script.h"
#include <errno.h>
#include <string.h>

#define BLANK " \t"

int script_parse(char *line, size_t size, char **interp, char **argument)
{
	char *at, *end, *line_end;

	if (size < 2 || line[0] != '#' || line[1] != '!')
		return 0;
	line_end = strchr(line, '\n');
	at = line + 2 + strspn(line + 2, BLANK);
	/* A line that was cut may still hold a whole interpreter name. */
	if (!line_end && size == SCRIPT_LINE - 1 && !strpbrk(at, BLANK))
		return -ENOEXEC;
	if (line_end)
		*line_end = 0;
	*interp = at;
	at += strcspn(at, BLANK);
	*argument = NULL;
	if (*at) {
		*at++ = 0;
		at += strspn(at, BLANK);
		end = at + strlen(at);
		while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
			*--end = 0;
		if (*at)
			*argument = at;
	}
	/* Without a line's end Linux takes the empty name for the current folder. */
	return **interp ? 1 : line_end ? -ENOEXEC : -EACCES;
}
