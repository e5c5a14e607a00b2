/* SPDX-License-Identifier: MIT */
/* System call stubs. The frame lives in registers only: the compiler takes struct syscall_frame apart. */
#include <pith/syscall.h>
#include <pith/syscall_inline.h>

static struct ipc_buffer *own_buffer;

struct ipc_buffer *ipc_buffer(void)
{
	return own_buffer;
}

void ipc_buffer_set(struct ipc_buffer *buffer)
{
	own_buffer = buffer;
}

static inline void words_in(struct syscall_frame *frame, const uint64_t *words)
{
	for (int i = 0; i < MESSAGE_REGISTER_WORDS; i++)
		frame->words[i] = words[i];
}

static inline void words_out(const struct syscall_frame *frame, uint64_t *words)
{
	for (int i = 0; i < MESSAGE_REGISTER_WORDS; i++)
		words[i] = frame->words[i];
}

enum error ipc_call(cptr_t endpoint, struct message *message, deadline_t deadline)
{
	struct syscall_frame frame = {
	        .status = SYS_CALL, .capability = endpoint, .info = message->info, .deadline = deadline};
	words_in(&frame, message->words);
	syscall_raw(&frame);
	message->info = frame.info;
	words_out(&frame, message->words);
	return (enum error)frame.status;
}

enum error ipc_send(cptr_t endpoint, const struct message *message, deadline_t deadline)
{
	struct syscall_frame frame = {
	        .status = SYS_SEND, .capability = endpoint, .info = message->info, .deadline = deadline};
	words_in(&frame, message->words);
	syscall_raw(&frame);
	return (enum error)frame.status;
}

int ipc_recv(cptr_t endpoint, cptr_t reply, struct message *message, badge_t *badge, deadline_t deadline)
{
	struct syscall_frame frame = {
	        .status = SYS_RECV, .capability = endpoint, .reply = reply, .deadline = deadline};
	syscall_raw(&frame);
	message->info = frame.info;
	words_out(&frame, message->words);
	*badge = frame.capability;
	return (int)frame.status;
}

int ipc_reply_recv(cptr_t endpoint, cptr_t answer, cptr_t receive, struct message *message, badge_t *badge,
                   deadline_t deadline)
{
	struct syscall_frame frame = {.status = SYS_REPLY_RECV,
	                              .capability = endpoint,
	                              .info = message->info,
	                              .reply = REPLY_PAIR(answer, receive),
	                              .deadline = deadline};
	words_in(&frame, message->words);
	syscall_raw(&frame);
	message->info = frame.info;
	words_out(&frame, message->words);
	*badge = frame.capability;
	return (int)frame.status;
}

enum error ipc_reply(cptr_t reply, const struct message *message)
{
	struct syscall_frame frame = {.status = SYS_REPLY, .info = message->info, .reply = reply};
	words_in(&frame, message->words);
	syscall_raw(&frame);
	return (enum error)frame.status;
}

enum error notification_signal(cptr_t notification)
{
	struct syscall_frame frame = {.status = SYS_SIGNAL, .capability = notification};
	syscall_raw(&frame);
	return (enum error)frame.status;
}

enum error notification_wait(cptr_t notification, uint64_t *bits, deadline_t deadline)
{
	struct syscall_frame frame = {.status = SYS_WAIT, .capability = notification, .deadline = deadline};
	syscall_raw(&frame);
	*bits = frame.status == ERR_NONE ? frame.capability : 0;
	return (enum error)frame.status;
}

void thread_yield(void)
{
	struct syscall_frame frame = {.status = SYS_YIELD};
	syscall_raw(&frame);
}

enum error invoke(cptr_t capability, enum operation operation, uint64_t words[MESSAGE_REGISTER_WORDS])
{
	struct syscall_frame frame = {.status = SYS_INVOKE, .capability = capability, .info = operation};
	words_in(&frame, words);
	syscall_raw(&frame);
	words_out(&frame, words);
	return (enum error)frame.status;
}

void debug_write(const char *text, size_t length)
{
	while (length) {
		size_t part = length < 48 ? length : 48;
		struct syscall_frame frame = {.status = SYS_DEBUG_WRITE, .capability = part};
		__builtin_memcpy(frame.words, text, part);
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
