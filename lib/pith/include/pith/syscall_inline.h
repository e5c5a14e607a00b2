/* SPDX-License-Identifier: MIT */
/*
 * The system call instruction itself, inlined: for stubs and for code that counts instructions. The kernel
 * may clobber every register but rsp. rbp cannot be named as clobbered where it is the frame pointer, so it
 * is kept below the red zone, which nobody else writes: native threads have no signal handlers.
 */
#pragma once

#include <abi/syscall.h>
#include <abi/message.h>

struct syscall_frame {
	uint64_t status;     /* in: enum syscall_number; out: enum error or RECV_NOTIFICATION */
	uint64_t capability; /* out: badge or bits */
	uint64_t info;
	uint64_t words[MESSAGE_REGISTER_WORDS];
	uint64_t reply;
	uint64_t deadline;
};

__attribute__((always_inline)) static inline void syscall_raw(struct syscall_frame *frame)
{
	register uint64_t w1 __asm__("r10") = frame->words[1];
	register uint64_t w2 __asm__("r8") = frame->words[2];
	register uint64_t w3 __asm__("r9") = frame->words[3];
	register uint64_t w4 __asm__("r12") = frame->words[4];
	register uint64_t w5 __asm__("r13") = frame->words[5];
	register uint64_t reply __asm__("r14") = frame->reply;
	register uint64_t deadline __asm__("r15") = frame->deadline;
	__asm__ volatile("movq %%rbp, -136(%%rsp)\n\tsyscall\n\tmovq -136(%%rsp), %%rbp"
	                 : "+a"(frame->status), "+D"(frame->capability), "+S"(frame->info),
	                   "+d"(frame->words[0]), "+r"(w1), "+r"(w2), "+r"(w3), "+r"(w4), "+r"(w5),
	                   "+r"(reply), "+r"(deadline)
	                 :
	                 : "rbx", "rcx", "r11", "cc", "memory");
	frame->words[1] = w1;
	frame->words[2] = w2;
	frame->words[3] = w3;
	frame->words[4] = w4;
	frame->words[5] = w5;
}
