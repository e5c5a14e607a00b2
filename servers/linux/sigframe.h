/* SPDX-License-Identifier: MIT */
/* What a signal handler finds on its stack on x86_64: exactly Linux's layout, so that unwinders and handlers
 * can read and change it. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <abi/message.h>
#include "signals.h"

struct linux_stack {
	uint64_t address;
	int32_t flags, padding;
	uint64_t size;
};

struct linux_sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, old_mask, cr2;
	uint64_t vector; /* address of the XSAVE area, 64-byte aligned, or 0 */
	uint64_t reserved[8];
};

struct linux_ucontext {
	uint64_t flags, link;
	struct linux_stack stack;
	struct linux_sigcontext context;
	sigset_bits mask;
};

struct sigframe {
	uint64_t return_address;
	struct linux_ucontext ucontext;
	struct linux_siginfo info;
};
_Static_assert(sizeof(struct linux_sigcontext) == 256, "sigcontext");
_Static_assert(offsetof(struct sigframe, info) == 312, "rt_sigframe");
_Static_assert(sizeof(struct sigframe) == 440, "rt_sigframe");

/* In bytes 464.. of the legacy part of the XSAVE area in a frame. */
struct vector_software_bytes {
	uint32_t magic1, extended_size;
	uint64_t features;
	uint32_t size, padding[7];
};
_Static_assert(sizeof(struct vector_software_bytes) == 48, "fpx_sw_bytes");
#define VECTOR_SOFTWARE_OFFSET 464
#define VECTOR_HEADER_OFFSET   512 /* XSTATE_BV is its first word */
#define VECTOR_LEGACY_SIZE     512
#define VECTOR_MAGIC1          0x46505853u
#define VECTOR_MAGIC2          0x46505845u
#define VECTOR_MAGIC2_SIZE     4

#define UC_FP_XSTATE         1
#define UC_SIGCONTEXT_SS     2
#define UC_STRICT_RESTORE_SS 4

#define RED_ZONE 128

/* Where vector state and frame lie below `stack`. vector_size 0: none. *vector 0 then. Returns the frame's
 * address. */
uint64_t sigframe_place(uint64_t stack, size_t vector_size, uint64_t *vector);
void sigframe_from_registers(struct linux_sigcontext *out, const struct thread_registers *in);
void sigframe_to_registers(struct thread_registers *out, const struct linux_sigcontext *in);
