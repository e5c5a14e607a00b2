/* SPDX-License-Identifier: MIT */
/* For main.c and loops.S: struct pair. */
#pragma once

#define PAIR_GO       0
#define PAIR_DONE     4
#define PAIR_ENDPOINT 8
#define PAIR_REPLY    12

#define PAIR_CALLS 20000
