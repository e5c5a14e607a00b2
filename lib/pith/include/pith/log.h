/* SPDX-License-Identifier: MIT */
/* Log lines of a component: to the ring that the supervisor reads (and, from there, to the debug line). stdout and stderr go there too. */
#pragma once

#include <stdarg.h>

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARNING,
	LOG_ERROR,
};

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
/* The component cannot go on: logs and exits (the supervisor decides what happens next). */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
