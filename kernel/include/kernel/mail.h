/* SPDX-License-Identifier: MIT */
/*
 * What CPUs send each other: threads that travel, news for threads that are away, and notifications that were
 * signalled. Nodes are part of the objects, so nothing is allocated.
 */
#pragma once

#include <kernel/cpu.h>

struct thread;
struct notification;
struct slot;

enum mail_kind {
	MAIL_SIGNAL, /* a Notification: zero, like the rest of a new one */
	MAIL_THREAD,
	MAIL_BOOST,
};

struct mail {
	struct mail *next;
	uint64_t kind; /* enum mail_kind */
};

/* Why a thread travels. */
enum trip {
	TRIP_HOME,    /* by way of the CPUs of its tour; there it goes on */
	TRIP_CALL,    /* to do its system call there */
	TRIP_MESSAGE, /* to send there what the kernel has to say about it (fault.c) */
};

/*
 * Give the thread, which is in no queue, to another CPU (or put it behind what lies in this one's mailbox).
 * It must not be touched any more. Its state says so until it has landed.
 */
void thread_travel(struct thread *thread, struct cpu *to, enum trip trip);
/* A visitor's turn: do what it came for, or go on with it. It may still be the current thread afterwards. */
void thread_visit(struct thread *thread);
/* The next CPU of its tour, or home. */
struct cpu *thread_next_stop(const struct thread *thread);
/*
 * To the CPU that owns the thread: STATUS_RESTART. 0: it is here. One that is to stop does so at home, or
 * before its next turn, else it might always be one step ahead; behind it if it lies in this CPU's mailbox.
 * Who does not stop it finds it there: two that look for each other would queue behind each other for ever.
 */
unsigned thread_go_after(struct thread *thread, bool stop);
/* By the home of a thread that is away: its waiters lend it this. If that is more than before its owner
 * learns of it. */
void thread_boost(struct thread *thread, unsigned priority);
/* Bits from another CPU. The notification's home has it in its mailbox once at most. */
void notification_signal_remote(struct notification *notification, struct cpu *home, uint64_t bits);

/* The operation that this CPU is at has to be done, or gone on with, there. Returns STATUS_RESTART. */
unsigned go_to(struct cpu *cpu);
/* Someone has said so. */
bool must_go(void);
/* 0 if the object lives here. */
unsigned go_home(const struct slot *slot);
