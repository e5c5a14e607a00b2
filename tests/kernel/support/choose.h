/* SPDX-License-Identifier: MIT */
/* Which tests run: `only=PREFIX` on the command line chooses those whose ids begin so; without it, all. */
#pragma once

#include <stdbool.h>

bool test_is_chosen(const char *command_line, const char *id);
