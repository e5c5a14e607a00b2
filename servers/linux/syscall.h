/* SPDX-License-Identifier: MIT */
/*
 * The system call table. A call is a function of its file's topic: it returns a value or -errno, and may wait (it runs on a fiber).
 * A call that a signal interrupted returns
 *   -EINTR_RESTART  to be made again if no handler runs (stop and continue, a signal that is ignored) or the handler's action has SA_RESTART,
 *   -EINTR_NOHAND   to be made again if no handler runs, else EINTR (poll, select, epoll_wait, nanosleep, pause, futex …),
 *   -EINTR_ALWAYS   to be made again in any case (locks that lend priority),
 *   -EINTR          to be never made again.
 * A call is made again with its own arguments; relative timeouts go through syscall_deadline(), so that time already waited counts.
 */
#pragma once

#include <errno.h>
#include "process.h"

#define EINTR_RESTART 512
#define EINTR_ALWAYS  513
#define EINTR_NOHAND  514

typedef long system_call(struct thread *thread, const uint64_t arguments[6]);

/* syscalls_process.def (linux-proc) and syscalls_fs.def (linux-fs): SYSCALL(number, name), implemented by sys_<name> */
#define SYSCALL(number, name) system_call sys_##name;
#include "syscalls_process.def"
#include "syscalls_fs.def"
#undef SYSCALL

/* now + timeout (ns, saturating) the first time, and the same instant again when the call is made again after an interruption. */
deadline_t syscall_deadline(struct thread *thread, uint64_t timeout);
void syscall_deadline_done(struct thread *thread); /* one part of the call; the next one has a time of its own */
