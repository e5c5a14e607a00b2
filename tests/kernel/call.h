/* SPDX-License-Identifier: MIT */
/* System calls for the kernel's tests: every register is in the test's hand. */
#pragma once

#include <abi/boot.h>
#include <abi/error.h>
#include <abi/message.h>
#include <abi/object.h>
#include <abi/syscall.h>
#include <abi/types.h>

struct registers {
	uint64_t cap, info; /* both ways */
	uint64_t words[MESSAGE_REGISTER_WORDS];
	uint64_t reply, deadline;
};

/* Returns rax. */
static inline uint64_t system_call(uint64_t number, struct registers *r)
{
	register uint64_t w1 __asm__("r10") = r->words[1];
	register uint64_t w2 __asm__("r8") = r->words[2];
	register uint64_t w3 __asm__("r9") = r->words[3];
	register uint64_t w4 __asm__("r12") = r->words[4];
	register uint64_t w5 __asm__("r13") = r->words[5];
	register uint64_t reply __asm__("r14") = r->reply;
	register uint64_t deadline __asm__("r15") = r->deadline;

	__asm__ volatile("push %%rbx; push %%rbp; syscall; pop %%rbp; pop %%rbx"
	                 : "+a"(number), "+D"(r->cap), "+S"(r->info), "+d"(r->words[0]), "+r"(w1), "+r"(w2),
	                   "+r"(w3), "+r"(w4), "+r"(w5), "+r"(reply), "+r"(deadline)
	                 :
	                 : "rcx", "r11", "memory");
	r->words[1] = w1;
	r->words[2] = w2;
	r->words[3] = w3;
	r->words[4] = w4;
	r->words[5] = w5;
	return number;
}
