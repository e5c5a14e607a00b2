/* SPDX-License-Identifier: MIT */
/* Notifications: a word of signal bits, threads that wait for it, and at most one thread bound to it. */
#pragma once

#include <kernel/mail.h>
#include <kernel/queue.h>
#include <kernel/slot.h>
#include <kernel/thread.h>

struct notification {
	uint64_t bits;
	struct wait_queue waiters;
	struct thread *bound; /* its recv takes the bits too */
	uint64_t remote;      /* bits that other CPUs signalled */
	struct mail mail;
	uint8_t in_mail; /* its node is in home's mailbox */
};
_Static_assert(sizeof(struct notification) <= 1 << 7, "Notification object");

static inline struct notification *notification_of_mail(struct mail *mail)
{
	return (struct notification *)((char *)mail - offsetof(struct notification, mail));
}

void notification_signal(struct notification *notification, uint64_t bits);
/* recv looks here first: take the bits of the thread's bound notification into its registers, if there are
 * any. */
bool notification_take_bound(struct thread *thread);
/* Wake one waiter with ERR_CLOSED. False: there was none. */
bool notification_fail_one(struct notification *notification);

unsigned syscall_signal(struct thread *thread);
unsigned syscall_wait(struct thread *thread);
