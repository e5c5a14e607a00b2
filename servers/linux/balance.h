/* SPDX-License-Identifier: MIT */
/* Which CPU a thread runs on: see balance.c. */
#pragma once

#include "thread.h"

void balance_init(void);
/* A thread begins in user mode. */
void balance_note_user(void);
/* Its policy is SCHED_FIFO or SCHED_RR from now on, or from its beginning: it goes to a CPU of its own, if there is one. */
void balance_realtime(struct thread *thread);
/* Its answer is due: take it to the CPU that was chosen for it. True: it runs there, and the old kernel thread's call is answered. */
bool balance_return(struct thread *thread);
bool anybody_in_user_mode(void);
unsigned thread_cpu(const struct thread *thread);
uint64_t cpus_online(void); /* bit n: CPU n can run threads */
/* Bit n: it may run on CPU n; one of them is online. A thread on a forbidden one is moved when its call returns, or soon. */
void thread_set_affinity(struct thread *thread, uint64_t mask);
