/* SPDX-License-Identifier: MIT */
/* What the short ways through the kernel (fastpath.c) leave to the general code. */
#pragma once

#include <kernel/thread.h>

/* The same system call, fault or foreign system call, all of it. */
_Noreturn void syscall_slow(struct thread *thread);
_Noreturn void foreign_syscall_slow(struct thread *thread);
_Noreturn void page_fault_slow(struct thread *thread, uint64_t address, unsigned access);
