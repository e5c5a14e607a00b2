/* SPDX-License-Identifier: MIT */
/* The first line of scripts. It may hold anything. */
#include "script.h"
#include <errno.h>
#include <string.h>

#define BLANK " \t"

int script_parse(char *line, size_t size, char **interp, char **argument)
{
	char *at, *end;

	if (size < 2 || line[0] != '#' || line[1] != '!')
		return 0;
	end = strchr(line, '\n');
	at = line + 2 + strspn(line + 2, BLANK);
	/* A line that was cut may still hold a whole interpreter name. */
	if (!end && size == SCRIPT_LINE - 1 && !strpbrk(at, BLANK))
		return -ENOEXEC;
	if (end)
		*end = 0;
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
	return **interp ? 1 : -ENOEXEC;
}
