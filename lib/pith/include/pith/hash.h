/* SPDX-License-Identifier: MIT */
/* Hash values of names, for tables in memory: not against somebody who chooses the names. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, folded so that the low bits depend on all others */
static inline uint32_t hash_name(const char *name, size_t length)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	return hash ^ hash >> 15;
}
