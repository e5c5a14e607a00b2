/* SPDX-License-Identifier: MIT */
/* A thread's general registers, read and written from outside. */
#include "local.h"

#include <kernel/thread.h>

#define ASSERT_OFFSET(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #field)
ASSERT_OFFSET(struct arch_context, fs_base, CTX_FS_BASE);
ASSERT_OFFSET(struct arch_context, gs_base, CTX_GS_BASE);
ASSERT_OFFSET(struct arch_context, rbx, CTX_RBX);
ASSERT_OFFSET(struct arch_context, rbp, CTX_RBP);
ASSERT_OFFSET(struct arch_context, rcx, CTX_RCX);
ASSERT_OFFSET(struct arch_context, r11, CTX_R11);
ASSERT_OFFSET(struct arch_context, rax, CTX_RAX);
ASSERT_OFFSET(struct arch_context, rdi, CTX_RDI);
ASSERT_OFFSET(struct arch_context, rsi, CTX_RSI);
ASSERT_OFFSET(struct arch_context, rdx, CTX_RDX);
ASSERT_OFFSET(struct arch_context, r10, CTX_R10);
ASSERT_OFFSET(struct arch_context, r8, CTX_R8);
ASSERT_OFFSET(struct arch_context, r9, CTX_R9);
ASSERT_OFFSET(struct arch_context, r12, CTX_R12);
ASSERT_OFFSET(struct arch_context, r13, CTX_R13);
ASSERT_OFFSET(struct arch_context, r14, CTX_R14);
ASSERT_OFFSET(struct arch_context, r15, CTX_R15);
ASSERT_OFFSET(struct arch_context, vector, CTX_VECTOR);
ASSERT_OFFSET(struct arch_context, error, CTX_ERROR);
ASSERT_OFFSET(struct arch_context, rip, CTX_RIP);
ASSERT_OFFSET(struct arch_context, cs, CTX_CS);
ASSERT_OFFSET(struct arch_context, rflags, CTX_RFLAGS);
ASSERT_OFFSET(struct arch_context, rsp, CTX_RSP);
ASSERT_OFFSET(struct arch_context, ss, CTX_SS);
ASSERT_OFFSET(struct arch_context, general[CONTEXT_GENERAL_RAX], CTX_RAX);
ASSERT_OFFSET(struct arch_context, general[CONTEXT_GENERAL_RDI], CTX_RDI);
ASSERT_OFFSET(struct arch_context, general[CONTEXT_GENERAL_RDX], CTX_RDX);
ASSERT_OFFSET(struct arch_thread, vector.used, VEC_USED);
ASSERT_OFFSET(struct thread, flags, THREAD_FLAGS);
_Static_assert(THREAD_FOREIGN == 1 && ARCH_USES_VECTOR == 1, "entry.S");
ASSERT_OFFSET(struct arch_cpu, self, CPU_SELF);
ASSERT_OFFSET(struct arch_cpu, current, CPU_CURRENT);
ASSERT_OFFSET(struct arch_cpu, stack_top, CPU_STACK_TOP);
ASSERT_OFFSET(struct arch_cpu, entry.scratch, CPU_SCRATCH);
ASSERT_OFFSET(struct arch_cpu, entry.kernel_root, CPU_KERNEL_ROOT);
ASSERT_OFFSET(struct arch_cpu, entry.user_root, CPU_USER_ROOT);
ASSERT_OFFSET(struct arch_cpu, entry.frame, CPU_ENTRY_FRAME);
ASSERT_OFFSET(struct arch_cpu, vector_owner, CPU_VECTOR_OWNER);
ASSERT_OFFSET(struct arch_cpu, vector_lent, CPU_VECTOR_LENT);
ASSERT_OFFSET(struct arch_cpu, stack_canary, CPU_CANARY);
ASSERT_OFFSET(struct arch_cpu, cr3, CPU_CR3);
ASSERT_OFFSET(struct arch_cpu, tss.rsp[0], CPU_TSS_RSP0);
_Static_assert(CPU_TSS_RSP0 % 8 == 0, "rsp0 is written by one aligned store");
_Static_assert(sizeof(struct arch_context) == CTX_SIZE && CTX_SIZE % 64 == 0,
               "the vector area stays aligned");
_Static_assert(CONTEXT_SYSCALL == 0x100 && CONTEXT_WRITTEN == 0x101, "entry.S");
_Static_assert(KERNEL_IMAGE == KERNEL_IMAGE_BASE, "one base");
_Static_assert(VECTOR_IRQ + ARCH_IRQ_COUNT <= VECTOR_TIMER, "vectors for every Irq");

/* Carry, parity, adjust, zero, sign, trap, direction, overflow, resume, alignment check, ID: user mode's own.
 */
#define FLAGS_USER   0x00250dd5ul
#define FLAGS_ALWAYS 0x00000202ul /* the reserved one, and interrupts enabled */

void arch_context_init(struct arch_context *context)
{
	*context = (struct arch_context){
	        .cs = SELECTOR_USER_CODE,
	        .ss = SELECTOR_USER_DATA,
	        .rflags = FLAGS_ALWAYS,
	        .vector = CONTEXT_WRITTEN,
	};
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/* The bases of the thread that ran last are in the CPU. */
static void bases_save(struct arch_context *context)
{
	if (cpu_features.fsgsbase)
		__asm__ volatile("rdfsbase %0" : "=r"(context->fs_base));
	else
		context->fs_base = msr_read(MSR_FS_BASE);
	context->gs_base = msr_read(MSR_KERNEL_GS_BASE);
}

/* Where registers of nobody are read back to. */
struct arch_context context_nobody;

void context_detach(struct arch_context *context)
{
	struct arch_cpu *cpu = cpu_local();

	if (cpu->current != context)
		return;
	bases_save(context);
	cpu->current = &context_nobody;
}

void arch_context_detach(struct thread *thread)
{
	context_detach((struct arch_context *)thread);
}

void arch_context_read(const struct arch_context *context, struct thread_registers *out)
{
	struct arch_context copy = *context;

	if (cpu_local()->current == context)
		bases_save(&copy);
	if (copy.vector == CONTEXT_SYSCALL) {
		copy.rcx = copy.rip;
		copy.r11 = copy.rflags;
	}
	*out = (struct thread_registers){
	        .rip = copy.rip,
	        .rsp = copy.rsp,
	        .rflags = copy.rflags,
	        .fs_base = copy.fs_base,
	        .gs_base = copy.gs_base,
	        .rax = copy.rax,
	        .rbx = copy.rbx,
	        .rcx = copy.rcx,
	        .rdx = copy.rdx,
	        .rsi = copy.rsi,
	        .rdi = copy.rdi,
	        .rbp = copy.rbp,
	        .r8 = copy.r8,
	        .r9 = copy.r9,
	        .r10 = copy.r10,
	        .r11 = copy.r11,
	        .r12 = copy.r12,
	        .r13 = copy.r13,
	        .r14 = copy.r14,
	        .r15 = copy.r15,
	};
}

/*
 * rsp may be anything: user mode can load it with anything, and returning with it cannot fault. The bases
 * have only to be canonical, for the same reason.
 */
bool arch_context_write(struct arch_context *context, const struct thread_registers *in)
{
	if (in->rip >= USER_END || !is_canonical(in->fs_base) || !is_canonical(in->gs_base))
		return false;
	context_detach(context);
	*context = (struct arch_context){
	        .fs_base = in->fs_base,
	        .gs_base = in->gs_base,
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
	        .r15 = in->r15,
	        .vector = CONTEXT_WRITTEN,
	        .rip = in->rip,
	        .cs = SELECTOR_USER_CODE,
	        .rflags = (in->rflags & FLAGS_USER) | FLAGS_ALWAYS,
	        .rsp = in->rsp,
	        .ss = SELECTOR_USER_DATA,
	};
	return true;
}

void arch_context_set_tls(struct arch_context *context, uint64_t base)
{
	if (!is_canonical(base))
		return;
	context_detach(context);
	context->fs_base = base;
}
