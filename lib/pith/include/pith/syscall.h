/* SPDX-License-Identifier: MIT */
/*
 * System call stubs: thin, one for each system call of <abi/syscall.h>. Messages of up to 6 words stay in registers (struct
 * message); longer ones go through the calling thread's IPC buffer (ipc_buffer()).
 */
#pragma once

#include <abi/error.h>
#include <abi/message.h>
#include <abi/object.h>
#include <abi/syscall.h>
#include <abi/types.h>

struct message {
	uint64_t info; /* MESSAGE_INFO(label, words) */
	uint64_t words[MESSAGE_REGISTER_WORDS];
};

/* The calling thread's IPC buffer; set by the runtime for the first thread. */
struct ipc_buffer *ipc_buffer(void);
void ipc_buffer_set(struct ipc_buffer *buffer);

/* In: *message is sent. Out: the reply. Returns enum error. */
enum error ipc_call(cptr_t endpoint, struct message *message, deadline_t deadline);
enum error ipc_send(cptr_t endpoint, const struct message *message, deadline_t deadline);
/* Returns ERR_NONE (a message; *badge is the sender's), RECV_NOTIFICATION (*badge holds the bits) or an error. */
int ipc_recv(cptr_t endpoint, cptr_t reply, struct message *message, badge_t *badge, deadline_t deadline);
/* Answers `answer` with *message, then receives into *message, keeping the caller in `receive` (0: the same Reply). */
int ipc_reply_recv(cptr_t endpoint, cptr_t answer, cptr_t receive, struct message *message, badge_t *badge,
		   deadline_t deadline);
enum error ipc_reply(cptr_t reply, const struct message *message);
enum error notification_signal(cptr_t notification);
enum error notification_wait(cptr_t notification, uint64_t *bits, deadline_t deadline);
void thread_yield(void);
/* words: arguments in, results out (all six). */
enum error invoke(cptr_t capability, enum operation operation, uint64_t words[MESSAGE_REGISTER_WORDS]);
void debug_write(const char *text, size_t length);

const char *error_text(enum error error);
