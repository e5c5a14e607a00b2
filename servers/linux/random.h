/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct io_buffer;

/* Never waits: before the first seed the bytes can be guessed. */
void random_bytes(void *out, size_t size);
/* Until there was a seed: 0, -EAGAIN or -EINTR. */
int random_wait(bool nonblock);
/* The whole buffer, with turns for others between; bytes, fewer after a signal, or -EFAULT. */
ssize_t random_fill(struct io_buffer *buffer);
/* Mixes the buffer in, likewise: nothing is taken away by it, whoever it is from. */
ssize_t random_absorb(struct io_buffer *buffer);
