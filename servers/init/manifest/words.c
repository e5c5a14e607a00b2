/* SPDX-License-Identifier: MIT */
/* Numbers, sizes, times and names of the manifest language. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "manifest.h"

bool manifest_fail(struct manifest *manifest, unsigned line, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	manifest->error_line = line;
	vsnprintf(manifest->error, sizeof(manifest->error), format, arguments);
	va_end(arguments);
	return false;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* Digits at the start of *word; leaves *word behind them. */
static bool digits(const char **word, int base, uint64_t limit, uint64_t *value)
{
	const char *at = *word;
	uint64_t result = 0;
	for (; digit_value(*at) < base; at++) {
		if (result > (limit - (uint64_t)digit_value(*at)) / (uint64_t)base)
			return false;
		result = result * (uint64_t)base + (uint64_t)digit_value(*at);
	}
	if (at == *word)
		return false;
	*word = at;
	*value = result;
	return true;
}

bool manifest_number(const char *word, uint64_t limit, uint64_t *value)
{
	int base = 10;
	if (word[0] == '0' && (word[1] == 'x' || word[1] == 'X')) {
		base = 16;
		word += 2;
	}
	uint64_t result;
	if (!digits(&word, base, UINT64_MAX / 32, &result) || *word || result > limit)
		return false;
	*value = result;
	return true;
}

struct unit {
	char name[3];
	uint64_t factor;
};

static bool quantity(const char *word, const struct unit *units, unsigned count, uint64_t *value)
{
	uint64_t number;
	if (!digits(&word, 10, 1ul << 40, &number))
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(word, units[i].name) != 0)
			continue;
		if (number > (1ul << 46) / units[i].factor)
			return false;
		*value = number * units[i].factor;
		return true;
	}
	return false;
}

bool manifest_size(const char *word, uint64_t *value)
{
	static const struct unit units[] = {{"", 1}, {"K", 1024}, {"M", 1ul << 20}, {"G", 1ul << 30}};
	return quantity(word, units, 4, value);
}

bool manifest_time(const char *word, uint64_t *value)
{
	static const struct unit units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
	return quantity(word, units, 4, value) && *value > 0;
}

bool manifest_name(const char *word)
{
	size_t length = strlen(word);
	if (length == 0 || length >= MANIFEST_NAME)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = word[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!letter && (i == 0 || (c != '-' && c != '.' && c != '_')))
			return false;
	}
	return true;
}
