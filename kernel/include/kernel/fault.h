/* SPDX-License-Identifier: MIT */
/* Messages that a thread sends without knowing: faults, exceptions, foreign system calls, pokes. */
#pragma once

#include <kernel/thread.h>

void foreign_syscall(struct thread *thread);
/* It has arrived where its message (message, fault) is to be sent. */
void thread_send_again(struct thread *thread);
void thread_send_interrupted(struct thread *thread);
void thread_say_again(struct thread *thread); /* what was unsaid */
