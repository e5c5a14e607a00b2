/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#define SCRIPT_LINE 256 /* of a file's first bytes, as many as are looked at */

/* "#! interpreter [argument]". line: the first `size` < SCRIPT_LINE bytes of a file and a 0; both are cut out
 * of it in place. 1: a script; 0: none; -ENOEXEC: one that names no interpreter, or one whose name does not
 * end in the line; -EACCES: the file ends where the name is to begin. */
int script_parse(char *line, size_t size, char **interp, char **argument);
