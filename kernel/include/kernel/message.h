/* SPDX-License-Identifier: MIT */
/* Copying a message from the thread that sends it to the one that receives it. */
#pragma once

#include <kernel/thread.h>

#define INFO_RESERVED 0xffff0880ul /* bits 7, 11 and 16..31 */

/* As far as the info word itself says. */
__attribute__((always_inline)) static inline bool message_info_is_valid(uint64_t info)
{
	return !(info & INFO_RESERVED) && message_words(info) <= MESSAGE_WORDS &&
	       message_caps(info) <= MESSAGE_CAPS && !(message_moved(info) >> message_caps(info)) &&
	       message_label(info) < LABEL_KERNEL;
}

/* A CpuTime is derived where its depth is looked at, and nowhere else. */
static inline bool cap_can_be_copied(const struct slot *slot)
{
	return slot->type != OBJECT_UNTYPED && slot->type != OBJECT_REPLY && slot->type != OBJECT_CPU_TIME;
}

/* Can this native thread send what its info word says? */
enum error message_check(const struct thread *sender, uint64_t info, bool can_grant);
/* Words, info and capabilities of a native message. Neither thread's status or badge is touched. */
void message_transfer(struct thread *sender, struct thread *receiver);
/* The capabilities alone. Returns the info with how many arrived: the first that cannot be stored ends it. */
uint64_t message_transfer_caps(struct thread *sender, struct thread *receiver, uint64_t info);
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
