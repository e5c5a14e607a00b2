/* SPDX-License-Identifier: MIT */
/* Copying a message from the thread that sends it to the one that receives it. */
#pragma once

#include <kernel/thread.h>

/* Can this native thread send what its info word says? */
enum error message_check(const struct thread *sender, uint64_t info, bool can_grant);
/* Words, info and capabilities of a native message. Neither thread's status or badge is touched. */
void message_transfer(struct thread *sender, struct thread *receiver);
/* The kernel's message about `sender`. */
void message_transfer_kernel(struct thread *sender, struct thread *receiver);
