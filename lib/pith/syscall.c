/* SPDX-License-Identifier: MIT */
/* The system calls that are not hot (those are in x86_64/stubs.S), the IPC buffer and the texts of errors. */
#include <string.h>

#include <pith/syscall.h>
#include <pith/syscall_inline.h>

/* The numbers that stubs.S uses. */
_Static_assert(SYS_CALL == 1 && SYS_SEND == 2 && SYS_RECV == 3 && SYS_REPLY_RECV == 4 && SYS_REPLY == 5 &&
                       SYS_SIGNAL == 6 && SYS_WAIT == 7 && SYS_INVOKE == 9,
               "system call numbers");
_Static_assert(offsetof(struct message, words) == 8, "message layout");

static struct ipc_buffer *own_buffer;

struct ipc_buffer *ipc_buffer(void)
{
	return own_buffer;
}

void ipc_buffer_set(struct ipc_buffer *buffer)
{
	own_buffer = buffer;
}

/* Not inlined: system calls are made in these functions alone (tests/system/native.py). */
__attribute__((noinline)) void thread_yield(void)
{
	struct syscall_frame frame = {.status = SYS_YIELD};
	syscall_raw(&frame);
}

__attribute__((noinline)) void debug_write(const char *text, size_t length)
{
	while (length) {
		size_t part = length < 48 ? length : 48;
		struct syscall_frame frame = {.status = SYS_DEBUG_WRITE, .capability = part};
		memcpy(frame.words, text, part);
		syscall_raw(&frame);
		text += part;
		length -= part;
	}
}

const char *error_text(enum error error)
{
	switch (error) {
#define ERROR(name, value, text) \
	case name:               \
		return text;
#include <abi/error.def>
#undef ERROR
	}
	return "unknown error";
}
