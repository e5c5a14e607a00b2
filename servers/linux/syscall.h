/* SPDX-License-Identifier: MIT */
/*
 * The system call table. A call is a function of its file's topic: it returns a value or -errno, and may wait (it runs on a fiber).
 * -ERESTARTSYS and friends: return -EINTR_RESTART to have the call restarted if the signal's action has SA_RESTART (or no handler
 * runs); plain -EINTR never restarts.
 */
#pragma once

#include <errno.h>
#include "process.h"

#define EINTR_RESTART 512

typedef long system_call(struct thread *thread, const uint64_t arguments[6]);

/* syscalls_process.def (linux-proc) and syscalls_fs.def (linux-fs): SYSCALL(number, name), implemented by sys_<name> */
#define SYSCALL(number, name) system_call sys_##name;
#include "syscalls_process.def"
#include "syscalls_fs.def"
#undef SYSCALL
