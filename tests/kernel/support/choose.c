/* SPDX-License-Identifier: MIT */
#include "choose.h"

bool test_is_chosen(const char *command_line, const char *id)
{
	const char *wanted = command_line, *key = "only=";

	while (*key && *key == *wanted)
		key++, wanted++;
	if (*key)
		return true;
	while (*wanted && *wanted == *id)
		wanted++, id++;
	return !*wanted;
}
