/* SPDX-License-Identifier: MIT */
/*
 * Messages from thread to thread: words 0..5 from registers to registers, the rest from IPC buffer to IPC
 * buffer in the direct map, then capabilities. What a message does not contain stays what it was at the
 * receiver, so nothing of the sender leaks.
 */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/lock.h>
#include <kernel/message.h>
#include <kernel/reply.h>

/* Without the lock: what is said here may not be so any more when they are transferred. */
static enum error message_check_caps(const struct thread *sender, const struct ipc_buffer *buffer,
                                     uint64_t info)
{
	for (unsigned i = 0; i < message_caps(info); i++) {
		const struct slot *slot = cspace_lookup(sender, buffer->caps[i]);

		if (!slot)
			return ERR_NO_CAPABILITY;
		if (!(message_moved(info) >> i & 1) && !cap_can_be_copied(slot))
			return ERR_WRONG_TYPE;
		/* It may have to be parked. */
		if (slot->type == OBJECT_REPLY && slot->home != this_cpu()->index)
			return ERR_REMOTE;
	}
	return ERR_NONE;
}

enum error message_check(const struct thread *sender, uint64_t info, bool can_grant)
{
	unsigned words = message_words(info), caps = message_caps(info);
	const struct ipc_buffer *buffer = thread_buffer(sender);

	if (!message_info_is_valid(info))
		return ERR_ARGUMENT;
	if (words <= MESSAGE_REGISTER_WORDS && !caps)
		return ERR_NONE;
	if (!buffer)
		return ERR_NO_BUFFER;
	if (caps && !can_grant)
		return ERR_RIGHTS;
	return message_check_caps(sender, buffer, info);
}

static void message_copy_registers(struct thread *from, struct thread *to, unsigned words)
{
	for (unsigned i = 0; i < words && i < MESSAGE_REGISTER_WORDS; i++)
		*context_word(&to->context, i) = *context_word(&from->context, i);
}

/* How many words arrived. */
static unsigned message_copy_buffer(struct thread *from, struct thread *to, unsigned words)
{
	const struct ipc_buffer *source = thread_buffer(from);
	struct ipc_buffer *target = thread_buffer(to);

	if (words <= MESSAGE_REGISTER_WORDS)
		return words;
	if (!source || !target)
		return MESSAGE_REGISTER_WORDS;
	arch_copy_words(target->words + MESSAGE_REGISTER_WORDS, source->words + MESSAGE_REGISTER_WORDS,
	                words - MESSAGE_REGISTER_WORDS);
	return words;
}

static bool message_transfer_cap(struct thread *from, struct thread *to, uint64_t source, uint64_t target,
                                 bool move)
{
	struct slot *slot = cspace_lookup(from, source);
	struct slot *free = cnode_slot(&to->bindings[BIND_CSPACE], target);

	if (!slot || !free || !slot_empty(free))
		return false;
	if (!move) {
		if (!cap_can_be_copied(slot) || slot->flags & SLOT_DOOMED)
			return false;
		slot_derive(slot, free, slot->rights);
		return true;
	}
	/*
	 * A job that is handed over is not its holder's current one any more, who then runs at another
	 * priority or not at all. So the fast path, where the sender waits already and who comes next is
	 * decided, leaves such messages to the general code; one that becomes such meanwhile is cut off.
	 */
	if (slot->type == OBJECT_REPLY) {
		if (from->reply || slot->home != this_cpu()->index)
			return false;
		reply_park(slot_object(slot));
	}
	slot_move(slot, free);
	return true;
}

uint64_t message_transfer_caps(struct thread *from, struct thread *to, uint64_t info)
{
	const struct ipc_buffer *source = thread_buffer(from);
	const struct ipc_buffer *target = thread_buffer(to);
	unsigned i = 0;

	if (!source || !target)
		return MESSAGE_INFO(message_label(info), message_words(info));
	lock_take(&tree_lock);
	while (i < message_caps(info) &&
	       message_transfer_cap(from, to, source->caps[i], target->receive_slots[i],
	                            message_moved(info) >> i & 1))
		i++;
	lock_release(&tree_lock);
	return MESSAGE_INFO_CAPS(message_label(info), message_words(info), i, 0);
}

void message_transfer(struct thread *sender, struct thread *receiver)
{
	uint64_t info = *context_info(&sender->context);
	unsigned words = message_words(info);

	message_copy_registers(sender, receiver, words);
	words = message_copy_buffer(sender, receiver, words);
	if (message_caps(info))
		info = message_transfer_caps(sender, receiver, info);
	*context_info(&receiver->context) =
	        MESSAGE_INFO_CAPS(message_label(info), words, message_caps(info), 0);
}

static void message_transfer_fault(struct thread *sender, struct thread *receiver)
{
	const struct thread_fault *fault = &sender->fault;

	for (unsigned i = 0; i < fault->words; i++)
		*context_word(&receiver->context, i) = fault->word[i];
	*context_info(&receiver->context) = MESSAGE_INFO(fault->label, fault->words);
}

void message_transfer_kernel(struct thread *sender, struct thread *receiver)
{
	if (sender->message == MESSAGE_FOREIGN)
		message_transfer_foreign(sender, receiver);
	else
		message_transfer_fault(sender, receiver);
}
