/* SPDX-License-Identifier: MIT */
/* The short way through the kernel: see fastpath.c. */
#pragma once

#include <kernel/thread.h>

/* Returns, having changed nothing, if the system call is none of those that have a short way, or not now. */
void fastpath(struct thread *thread);
