/* SPDX-License-Identifier: MIT */
/* The least that a host test needs: counted checks that say where they failed. */
#pragma once

#include <stdio.h>

static unsigned checks_passed, checks_failed;

#define CHECK(condition)                                                                             \
	do {                                                                                         \
		if (condition) {                                                                     \
			checks_passed++;                                                             \
		} else {                                                                             \
			checks_failed++;                                                             \
			printf("%s:%d: %s: failed: %s\n", __FILE__, __LINE__, __func__, #condition); \
		}                                                                                    \
	} while (0)

static inline int checks_report(void)
{
	printf("%u passed, %u failed\n", checks_passed, checks_failed);
	return checks_failed != 0;
}
