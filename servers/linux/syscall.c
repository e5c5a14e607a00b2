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

static bool logged[SYSCALL_COUNT + 1]; /* the last one: of all that are beyond */

long syscall_dispatch(struct thread *thread, uint64_t number, const uint64_t arguments[6])
{
	bool *told = &logged[number < SYSCALL_COUNT ? number : SYSCALL_COUNT];

	if (number < SYSCALL_COUNT && table[number])
		return table[number](thread, arguments);
	if (!*told) {
		log_warning("%s (%d): system call %lu (%s) is not implemented", thread->comm,
		            thread->process->pid, number,
		            number < SYSCALL_COUNT && names[number] ? names[number] : "unknown");
		*told = true;
	}
	return -ENOSYS;
}
