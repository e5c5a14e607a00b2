/* SPDX-License-Identifier: MIT */
/*
 * For programs whose output must be the same on Pith and on Linux: every line is a result, none depends on
 * time, addresses or ids.
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Prints the result of a call, and errno if it failed. */
#define SHOW(call)                                                        \
	do {                                                              \
		errno = 0;                                                \
		long show_result = (long)(call);                          \
		if (show_result < 0)                                      \
			printf("%s = -%s\n", #call, strerrorname(errno)); \
		else                                                      \
			printf("%s = %ld\n", #call, show_result);         \
	} while (0)

/* The same for calls whose success has no fixed value (descriptors, addresses, ids). */
#define SHOW_OK(call)                                                      \
	do {                                                               \
		errno = 0;                                                 \
		long show_result = (long)(call);                           \
		printf("%s = %s%s\n", #call, show_result < 0 ? "-" : "ok", \
		       show_result < 0 ? strerrorname(errno) : "");        \
	} while (0)

#define TELL(condition) printf("%s: %s\n", #condition, (condition) ? "yes" : "no")

static inline const char *strerrorname(int error)
{
	static char text[32];
	static const struct {
		int number;
		const char *name;
	} names[] = {
	        {EPERM, "EPERM"},
	        {ENOENT, "ENOENT"},
	        {ESRCH, "ESRCH"},
	        {EINTR, "EINTR"},
	        {EIO, "EIO"},
	        {ENXIO, "ENXIO"},
	        {E2BIG, "E2BIG"},
	        {ENOEXEC, "ENOEXEC"},
	        {EBADF, "EBADF"},
	        {ECHILD, "ECHILD"},
	        {EAGAIN, "EAGAIN"},
	        {ENOMEM, "ENOMEM"},
	        {EACCES, "EACCES"},
	        {EFAULT, "EFAULT"},
	        {EBUSY, "EBUSY"},
	        {EEXIST, "EEXIST"},
	        {EXDEV, "EXDEV"},
	        {ENODEV, "ENODEV"},
	        {ENOTDIR, "ENOTDIR"},
	        {EISDIR, "EISDIR"},
	        {EINVAL, "EINVAL"},
	        {EMFILE, "EMFILE"},
	        {ENOTTY, "ENOTTY"},
	        {ETXTBSY, "ETXTBSY"},
	        {EFBIG, "EFBIG"},
	        {ENOSPC, "ENOSPC"},
	        {ESPIPE, "ESPIPE"},
	        {EROFS, "EROFS"},
	        {EMLINK, "EMLINK"},
	        {EPIPE, "EPIPE"},
	        {ERANGE, "ERANGE"},
	        {EDEADLK, "EDEADLK"},
	        {ENAMETOOLONG, "ENAMETOOLONG"},
	        {ENOSYS, "ENOSYS"},
	        {ENOTEMPTY, "ENOTEMPTY"},
	        {ELOOP, "ELOOP"},
	        {EOVERFLOW, "EOVERFLOW"},
	        {EOPNOTSUPP, "EOPNOTSUPP"},
	};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].number == error)
			return names[i].name;
	snprintf(text, sizeof text, "errno %d", error);
	return text;
}

/* A child runs body; its wait status is printed. */
static inline void show_child(const char *name, void (*body)(void))
{
	int status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		body();
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		printf("%s: no child: %s\n", name, strerrorname(errno));
	else if (WIFSIGNALED(status))
		printf("%s: signal %d\n", name, WTERMSIG(status));
	else
		printf("%s: exit %d\n", name, WEXITSTATUS(status));
}

static inline uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 1099511628211u;
	return hash;
}
#define HASH_START 14695981039346656037u
