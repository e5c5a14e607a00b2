/* SPDX-License-Identifier: MIT */
/*
 * x86_64: the types that core/ embeds in its objects, and the names it has for a thread's registers.
 *
 * Plain C without assembly outside the kernel build, so that core's host tests can use the same structures.
 * The layouts are known to entry.S through <arch/offsets.h>; context.c asserts that the two agree.
 */
#pragma once

#include <abi/types.h>

/* All RAM is mapped here: one root entry is 512 GiB, 64 of them reach 2^45. */
#define KERNEL_OFFSET 0xffff800000000000ul
/* The kernel's image and nothing else lies in the last 2 GiB: its stacks too (see entry.S). */
#define KERNEL_IMAGE 0xffffffff80000000ul

#define ARCH_ROOT_LEVEL 3

struct thread;
struct cpu;

/*
 * The user registers of a thread. The CPU itself pushes rip..ss here on an interrupt or exception (the task
 * state segment's rsp0 is the end of this structure), entry.S stores the rest. The order of the general
 * registers makes the message words, and the arguments of a Linux system call, arrays.
 *
 * Invariants, whenever the thread is not running: rip < USER_END; cs, ss are the user selectors; rflags has
 * only the bits that user mode may change, and IF. So no return to user mode can fault.
 */
struct arch_context {
	uint64_t fs_base, gs_base; /* stale while the thread is arch_cpu.current */
	union {
		struct {
			uint64_t rbx, rbp;
			uint64_t rcx,
			        r11; /* not stored by the syscall instruction's entry: there rip, rflags */
			uint64_t rax;
			uint64_t rdi, rsi, rdx, r10, r8, r9, r12, r13, r14, r15;
		};
		uint64_t general[15];
	};
	uint64_t vector; /* what brought the thread into the kernel: an exception, an interrupt or
	                    CONTEXT_SYSCALL */
	uint64_t error;
	uint64_t rip, cs, rflags, rsp, ss;
} __attribute__((aligned(16)));

/*
 * context.vector after the syscall instruction: the way back is sysret, which replaces rcx and r11. Not
 * stored by that entry: it is there whenever user mode runs, and only the entry of an interrupt or exception
 * changes it.
 */
#define CONTEXT_SYSCALL 0x100
/* context.vector when registers were written by another thread: the way back is iret, which restores all. */
#define CONTEXT_WRITTEN 0x101

enum {
	CONTEXT_GENERAL_RAX = 4,
	CONTEXT_GENERAL_RDI = 5,
	CONTEXT_GENERAL_RDX = 7,
};

/* x87, SSE and AVX, as XSAVE lays them out in standard form. */
#define ARCH_VECTOR_BYTES 832

enum { ARCH_USES_VECTOR = 1 << 0, ARCH_USES_DEBUG = 1 << 1 };

/* DR0 to DR3 and DR7, as THREAD_WRITE_DEBUG has them. */
#define ARCH_DEBUG_WORDS 5

/* The registers that only some threads have, and only these pay for. */
struct arch_vector {
	/* ARCH_USES_VECTOR: it has vector registers, in `area`, or in the CPU while it is
	 * arch_cpu.vector_owner. ARCH_USES_DEBUG, never alone: some of its breakpoints are enabled. */
	uint64_t used;
	uint64_t debug[ARCH_DEBUG_WORDS];
	uint64_t reserved[2];
	uint8_t area[ARCH_VECTOR_BYTES] __attribute__((aligned(64)));
};

struct arch_vspace {
	uint64_t root; /* physical address of the root table; also the value of CR3 */
};

/* The hardware's task state segment: the stacks that it switches to. rsp[] is misaligned by 4 in it. */
struct arch_tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map;
} __attribute__((packed));

#define ARCH_GDT_ENTRIES 10

/*
 * What the CPU itself and the first and last instructions of the kernel need. Under KPTI (entry.S) the tables
 * of user mode map this page, and nothing else of the CPU's data but the stacks of fatal exceptions.
 */
struct arch_entry {
	uint64_t scratch;                /* user rsp, for a few instructions */
	uint64_t kernel_root, user_root; /* CR3 in the two modes; user_root is 0 without KPTI */
	uint64_t frame;                  /* rip..ss at the end of `stack` */
	uint64_t gdt[ARCH_GDT_ENTRIES];
	struct arch_tss tss; /* under KPTI */
	uint64_t stack[16] __attribute__((aligned(16)));
} __attribute__((aligned(4096)));

/* The per-CPU part. GS base holds its address in kernel mode. */
struct arch_cpu {
	struct cpu *self;
	/* The thread that user mode runs, or ran last: entry saves its registers here. Changed only on return
	 * to user mode, a dummy when that thread is gone. FS and GS base of user mode are this thread's. */
	struct arch_context *current;
	uint64_t stack_top;
	uint64_t pcid; /* of the loaded VSpace, where there are PCIDs */
	/* The thread whose vector registers and breakpoints the CPU holds, or NULL: vector.c. */
	struct arch_vector *vector_owner;
	uint64_t stack_canary;   /* at gs:40, where gcc's -mcmodel=kernel looks for it */
	uint64_t cr3;            /* root of the loaded VSpace; under KPTI that is CR3 in user mode only */
	uint64_t timer_deadline; /* what the timer is set to, ns; DEADLINE_NEVER: disarmed */
	uint64_t vector_lent;    /* 1: its owner's handler runs meanwhile: vector.c */
	uint32_t index;
	uint32_t apic_id;
	uint32_t stage;      /* of starting: cpus.c; makes tss.rsp[] aligned too */
	struct arch_tss tss; /* without KPTI: the CPU pushes to the thread's context */
	struct arch_entry entry;
} __attribute__((aligned(64)));

/* ---- system call registers (see <kernel/arch.h>) ---- */
static inline uint64_t *context_status(struct arch_context *c)
{
	return &c->rax;
}

static inline uint64_t *context_cap(struct arch_context *c)
{
	return &c->rdi;
}

static inline uint64_t *context_info(struct arch_context *c)
{
	return &c->rsi;
}

static inline uint64_t *context_word(struct arch_context *c, unsigned i)
{
	return &c->general[CONTEXT_GENERAL_RDX + i];
}

static inline uint64_t *context_reply(struct arch_context *c)
{
	return &c->r14;
}

static inline uint64_t *context_deadline(struct arch_context *c)
{
	return &c->r15;
}

static inline uint64_t foreign_number(const struct arch_context *c)
{
	return c->rax;
}

static inline uint64_t foreign_argument(const struct arch_context *c, unsigned i)
{
	return c->general[CONTEXT_GENERAL_RDI + i];
}

static inline void foreign_set_result(struct arch_context *c, uint64_t value)
{
	c->rax = value;
}

static inline uint64_t context_ip(const struct arch_context *c)
{
	return c->rip;
}

static inline uint64_t context_sp(const struct arch_context *c)
{
	return c->rsp;
}

/* The thread is in a system call: let it make the same call again when it returns to user mode. */
static inline void context_restart(struct arch_context *c)
{
	c->rip -= 2; /* the length of syscall */
}

/* Kernel builds (gcc -mcmodel=kernel) inline what is short and often called; host tests bring their own. */
#ifdef __code_model_kernel__
#include <arch/inline.h>
#endif
