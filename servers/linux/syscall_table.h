/* SPDX-License-Identifier: MIT */
#pragma once

#include "syscall.h"

/* Performs the call; -ENOSYS, logged once, if there is none. */
long syscall_dispatch(struct thread *thread, uint64_t number, const uint64_t arguments[6]);
