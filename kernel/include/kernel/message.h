/* SPDX-License-Identifier: MIT */
/* Copying a message from the thread that sends it to the one that receives it. */
#pragma once

#include <kernel/thread.h>

/* Can this native thread send what its info word says? */
enum error message_check(const struct thread *sender, uint64_t info, bool can_grant);
/* Words, info and capabilities of a native message. Neither thread's status or badge is touched. */
void message_transfer(struct thread *sender, struct thread *receiver);
/* A foreign system call. */
static inline void message_transfer_foreign(struct thread *sender, struct thread *receiver)
{
	struct ipc_buffer *buffer = thread_buffer(receiver);
	unsigned words = MESSAGE_REGISTER_WORDS;

	*context_word(&receiver->context, 0) = foreign_number(&sender->context);
	for (unsigned i = 0; i < 5; i++)
		*context_word(&receiver->context, i + 1) = foreign_argument(&sender->context, i);
	if (buffer) {
		buffer->words[6] = foreign_argument(&sender->context, 5);
		buffer->words[7] = context_ip(&sender->context);
		buffer->words[8] = context_sp(&sender->context);
		words = 9;
	}
	*context_info(&receiver->context) = MESSAGE_INFO(LABEL_FOREIGN_SYSCALL, words);
}

/* The kernel's message about `sender`. */
void message_transfer_kernel(struct thread *sender, struct thread *receiver);
