/* SPDX-License-Identifier: MIT */
/* Signal frames: arithmetic and conversions, without access to anybody's memory. */
#include "sigframe.h"

uint64_t sigframe_place(uint64_t stack, size_t vector_size, uint64_t *vector)
{
	*vector = 0;
	if (vector_size) {
		stack = (stack - vector_size - VECTOR_MAGIC2_SIZE) & ~63ul;
		*vector = stack;
	}
	/* As after a call instruction: 8 below a multiple of 16. */
	return ((stack - sizeof(struct sigframe)) & ~15ul) - 8;
}

void sigframe_from_registers(struct linux_sigcontext *out, const struct thread_registers *in)
{
	*out = (struct linux_sigcontext){.r8 = in->r8,
	                                 .r9 = in->r9,
	                                 .r10 = in->r10,
	                                 .r11 = in->r11,
	                                 .r12 = in->r12,
	                                 .r13 = in->r13,
	                                 .r14 = in->r14,
	                                 .r15 = in->r15,
	                                 .rdi = in->rdi,
	                                 .rsi = in->rsi,
	                                 .rbp = in->rbp,
	                                 .rbx = in->rbx,
	                                 .rdx = in->rdx,
	                                 .rax = in->rax,
	                                 .rcx = in->rcx,
	                                 .rsp = in->rsp,
	                                 .rip = in->rip,
	                                 .eflags = in->rflags,
	                                 .cs = 0x33,
	                                 .ss = 0x2b};
}

void sigframe_to_registers(struct thread_registers *out, const struct linux_sigcontext *in)
{
	uint64_t fs_base = out->fs_base, gs_base = out->gs_base;

	*out = (struct thread_registers){.rip = in->rip,
	                                 .rsp = in->rsp,
	                                 .rflags = in->eflags,
	                                 .fs_base = fs_base,
	                                 .gs_base = gs_base,
	                                 .rax = in->rax,
	                                 .rbx = in->rbx,
	                                 .rcx = in->rcx,
	                                 .rdx = in->rdx,
	                                 .rsi = in->rsi,
	                                 .rdi = in->rdi,
	                                 .rbp = in->rbp,
	                                 .r8 = in->r8,
	                                 .r9 = in->r9,
	                                 .r10 = in->r10,
	                                 .r11 = in->r11,
	                                 .r12 = in->r12,
	                                 .r13 = in->r13,
	                                 .r14 = in->r14,
	                                 .r15 = in->r15};
}
