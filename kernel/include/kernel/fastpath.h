/* SPDX-License-Identifier: MIT */
/* What the short ways through the kernel (fastpath.c) leave to the general code. */
#pragma once

#include <kernel/thread.h>

/* The same system call, fault or foreign system call, all of it. */
_Noreturn void syscall_slow(struct thread *thread);
/* What comes after a system call that ended with this status. */
_Noreturn void syscall_return(struct thread *thread, unsigned status);
_Noreturn void foreign_syscall_slow(struct thread *thread);
_Noreturn void page_fault_slow(struct thread *thread, uint64_t address, unsigned access);
