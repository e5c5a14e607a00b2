/* SPDX-License-Identifier: MIT */
#pragma once

#include "syscall.h"

/* The call's function if it neither waits nor touches signals, registers or user memory: it may run outside a
 * fiber. */
system_call *syscall_quick(uint64_t number);
/* Performs the call; -ENOSYS, logged once, if there is none. */
long syscall_dispatch(struct thread *thread, uint64_t number, const uint64_t arguments[6]);
