/* SPDX-License-Identifier: MIT */
/* The system call table, made of the two lists of what is implemented. */
#include "syscall_table.h"
#include <pith/log.h>

#define SYSCALL_COUNT 512

static system_call *const table[SYSCALL_COUNT] = {
#define SYSCALL(number, name) [number] = sys_##name,
#include "syscalls_process.def"
#include "syscalls_fs.def"
#undef SYSCALL
};

static const char *const names[SYSCALL_COUNT] = {
#define SYSCALL(number, name) [number] = #name,
#include "syscall_names.def"
#undef SYSCALL
};

static system_call *const quick[SYSCALL_COUNT] = {
        [39] = sys_getpid,   [102] = sys_getuid,  [104] = sys_getgid,
        [107] = sys_geteuid, [108] = sys_getegid, [110] = sys_getppid,
        [111] = sys_getpgrp, [186] = sys_gettid,  [24] = sys_sched_yield,
};

static bool logged[SYSCALL_COUNT];

system_call *syscall_quick(uint64_t number)
{
	return number < SYSCALL_COUNT ? quick[number] : NULL;
}

long syscall_dispatch(struct thread *thread, uint64_t number, const uint64_t arguments[6])
{
	if (number < SYSCALL_COUNT && table[number])
		return table[number](thread, arguments);
	if (number >= SYSCALL_COUNT || !logged[number]) {
		log_warning("%s (%d): system call %lu (%s) is not implemented", thread->comm,
		            thread->process->pid, number,
		            number < SYSCALL_COUNT && names[number] ? names[number] : "unknown");
		if (number < SYSCALL_COUNT)
			logged[number] = true;
	}
	return -ENOSYS;
}
