/* SPDX-License-Identifier: MIT */
/*
 * Into the kernel and out of it. User registers are stored straight into the struct arch_context of the thread that
 * runs (arch_cpu.current); the kernel stack is empty at each entry from user mode, and nothing on it survives the
 * way out.
 *
 * Who was interrupted is told by the stack and not by the privilege level: the CPU pushed to the thread's context
 * (the task state segment's rsp0; it lies in the direct map) or stayed on the kernel's stack (at the image's end).
 * Interrupts are off in the kernel; it is interrupted only in arch_idle(), and by #DB (entry_debug).
 *
 * KPTI is decided at boot. Without it nothing is paid for it: patch.c puts jumps into the ways in and out to what
 * is named _kpti here, and system calls get an entry of their own. Section .entry is what user mode's tables map.
 */
#include <arch/offsets.h>

/* General registers from a struct arch_context at CTX_RBX, in its order. */
	.macro pop_general
	pop	%rbx
	pop	%rbp
	pop	%rcx
	pop	%r11
	pop	%rax
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%r10
	pop	%r8
	pop	%r9
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	.endm

/*
 * Kernels with a trace tell it here of every way in and out. rdi stays; rsp is 8 off a multiple of 16, as where C functions begin.
 */
	.macro trace_call function
#ifdef PITH_TRACE
	push	%rdi
	call	\function
	pop	%rdi
#endif
	.endm

/* All but rsp and rdi of the thread rdi, as sysret wants them. */
	.macro load_for_sysret
	mov	CTX_RIP(%rdi), %rcx
	mov	CTX_RFLAGS(%rdi), %r11
	mov	CTX_RBX(%rdi), %rbx
	mov	CTX_RBP(%rdi), %rbp
	mov	CTX_RAX(%rdi), %rax
	mov	CTX_RSI(%rdi), %rsi
	mov	CTX_RDX(%rdi), %rdx
	mov	CTX_R10(%rdi), %r10
	mov	CTX_R8(%rdi), %r8
	mov	CTX_R9(%rdi), %r9
	mov	CTX_R12(%rdi), %r12
	mov	CTX_R13(%rdi), %r13
	mov	CTX_R14(%rdi), %r14
	mov	CTX_R15(%rdi), %r15
	.endm

/* Of the thread rdi, whose bases are in place. */
	.macro load_by_sysret
	load_for_sysret
	mov	CTX_RSP(%rdi), %rsp
	mov	CTX_RDI(%rdi), %rdi
	sysretq
	.endm

	.section .text.hot, "ax"

	.globl entry_syscall
	.type entry_syscall, @function
	.balign 64
entry_syscall:
	swapgs
	mov	%rsp, %gs:CPU_SCRATCH
entry_syscall_mapped:
	mov	%gs:CPU_CURRENT, %rsp
	mov	%rcx, CTX_RIP(%rsp)
	mov	%gs:CPU_SCRATCH, %rcx
	mov	%r11, CTX_RFLAGS(%rsp)
	mov	%rcx, CTX_RSP(%rsp)
	testb	$1, THREAD_FLAGS(%rsp)	/* THREAD_FOREIGN */
	mov	%rax, CTX_RAX(%rsp)
	mov	%rdi, CTX_RDI(%rsp)
	mov	%rsi, CTX_RSI(%rsp)
	mov	%rdx, CTX_RDX(%rsp)
	mov	%r10, CTX_R10(%rsp)
	mov	%r8, CTX_R8(%rsp)
	mov	%r9, CTX_R9(%rsp)
	mov	%r12, CTX_R12(%rsp)
	mov	%r13, CTX_R13(%rsp)
	mov	%r14, CTX_R14(%rsp)
	mov	%r15, CTX_R15(%rsp)
	jnz	1f
	mov	%rsp, %rdi
	mov	%gs:CPU_STACK_TOP, %rsp
	trace_call trace_enter
	jmp	kernel_syscall
/* Foreign threads keep all registers. What native ones find in rbx and rbp is old, but their own. */
1:	mov	%rbx, CTX_RBX(%rsp)
	mov	%rbp, CTX_RBP(%rsp)
	mov	%rsp, %rdi
	mov	%gs:CPU_STACK_TOP, %rsp
	trace_call trace_enter
	jmp	kernel_foreign_syscall
	.size entry_syscall, . - entry_syscall

/*
 * void arch_return_to_user(struct thread *). A context that came by the syscall instruction leaves by sysret, which
 * cannot fault: rip < USER_END.
 */
	.globl arch_return_to_user
	.type arch_return_to_user, @function
	.balign 64
arch_return_to_user:
	trace_call trace_exit
	cmp	%gs:CPU_CURRENT, %rdi
	.byte	0x0f, 0x85		/* jne with a 32-bit displacement, changed by arch_cpu_init() */
	.globl switch_jump_target, switch_jump_end
switch_jump_target:
	.long	switch_bases_msr - switch_jump_end
switch_jump_end:
return_to_current:
	swapgs
/* The user's GS base is in place: nothing of the CPU's own can be reached any more, and nothing below can fault. */
	.globl leave
leave:					/* KPTI: a jump to leave_kpti */
	cmpl	$0x100, CTX_VECTOR(%rdi)	/* CONTEXT_SYSCALL */
	jne	leave_by_iret
	load_by_sysret

leave_by_iret:
	movq	$0x100, CTX_VECTOR(%rdi)	/* until it is interrupted again it can only come by a system call */
	lea	CTX_RBX(%rdi), %rsp
	pop_general
	add	$16, %rsp
	iretq
	.size arch_return_to_user, . - arch_return_to_user

/*
 * Another thread than last time (rdi): its TLS bases, its place to be saved, its vector registers. User mode can
 * change its bases itself, so the last thread's (rax) are read back.
 */
	.macro set_current
	mov	%rdi, %gs:CPU_CURRENT
	lea	CTX_SIZE(%rdi), %rdx
	mov	%rdx, %gs:CPU_TSS_RSP0
	mov	%gs:CPU_VECTOR_OWNER, %rdx
	or	VEC_USED(%rdi), %rdx
	.endm

	/* What the CPU kept for the thread while its handler ran (arch_switch_to_handler) it has again at once. The stack is aligned for C
	 * whatever ours was; rax, rcx and rdi survive. */
	.macro switch_vector
	lea	VEC_USED(%rdi), %rdx
	cmp	%gs:CPU_VECTOR_OWNER, %rdx
	jne	3f
	clts
	movq	$0, %gs:CPU_VECTOR_LENT
	jmp	1b
3:	mov	%rsp, %rbx
	and	$-16, %rsp
	push	%rax
	push	%rcx
	push	%rdi
	push	%rdi
	call	vector_switch
	pop	%rdi
	pop	%rdi
	pop	%rcx
	pop	%rax
	mov	%rbx, %rsp
	jmp	1b
	.endm

	.macro switch_fs_base
	mov	%gs:CPU_CURRENT, %rax
	rdfsbase %rcx
	mov	%rcx, CTX_FS_BASE(%rax)
	mov	CTX_FS_BASE(%rdi), %rcx
	wrfsbase %rcx
	.endm

	.macro switch_gs_base
	swapgs
	rdgsbase %rcx
	mov	%rcx, CTX_GS_BASE(%rax)
	mov	CTX_GS_BASE(%rdi), %rcx
	wrgsbase %rcx
	.endm

	.globl switch_bases_instructions
	.balign 32
switch_bases_instructions:
	switch_fs_base
	set_current
	jnz	2f
1:	switch_gs_base
	jmp	leave
2:	switch_vector

/* A CPU without these instructions: user mode cannot change its bases, the contexts have them. */
	.globl switch_bases_msr
	.balign 32
switch_bases_msr:
	mov	CTX_FS_BASE(%rdi), %rax
	mov	CTX_FS_BASE + 4(%rdi), %edx
	mov	$0xc0000100, %ecx
	wrmsr
	mov	CTX_GS_BASE(%rdi), %rax
	mov	CTX_GS_BASE + 4(%rdi), %edx
	mov	$0xc0000102, %ecx	/* swapgs is still to come */
	wrmsr
	set_current
	jnz	2f
1:	jmp	return_to_current
2:	switch_vector

/*
 * void arch_switch_native(struct thread *): see <kernel/arch.h>. What arch_return_to_user() would ask is known: another thread than last
 * time, and both are native, so the last one's bases need not be read back, and this one came by the syscall instruction. Without the
 * instructions for bases, arch_cpu_init() makes the first one a jump to switch_bases_msr.
 */
	.section .text.hot, "ax"
	.globl arch_switch_native
	.type arch_switch_native, @function
	.balign 64
arch_switch_native:
	trace_call trace_exit
switch_native_begin:
	.globl switch_native_begin
	mov	CTX_FS_BASE(%rdi), %rcx
	wrfsbase %rcx
	mov	CTX_GS_BASE(%rdi), %rcx
	set_current
	jnz	2f
1:	swapgs
	wrgsbase %rcx
	.globl switch_leave
switch_leave:				/* KPTI: a jump to switch_leave_kpti */
	load_by_sysret
2:	switch_vector
	.size arch_switch_native, . - arch_switch_native

/*
 * void arch_switch_to_handler(struct thread *): see <kernel/arch.h>. The thread that made the call (rax) is the owner of what vector
 * registers the CPU has, if it has any; breakpoints of its own would be met by the handler.
 */
	.globl arch_switch_to_handler
	.type arch_switch_to_handler, @function
	.balign 64
arch_switch_to_handler:
	trace_call trace_exit
	.globl switch_to_handler_begin
switch_to_handler_begin:
	switch_fs_base
	set_current
	jnz	2f
1:	switch_gs_base
	jmp	switch_leave
2:	cmpq	$1, VEC_USED(%rax)	/* ARCH_USES_VECTOR alone */
	jne	4f
	cmpq	$0, VEC_USED(%rdi)
	jne	4f
	movq	$1, %gs:CPU_VECTOR_LENT
	mov	%cr0, %rdx
	or	$8, %rdx		/* TS */
	mov	%rdx, %cr0
	jmp	1b
4:	switch_vector
	.size arch_switch_to_handler, . - arch_switch_to_handler

/*
 * Called in the place of an instruction, so it keeps all registers (cpu_load_root()). rax: the root.
 */
	.text
	.globl load_root_pcid
	.type load_root_pcid, @function
load_root_pcid:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbx
	mov	%rax, %rdi
	mov	%rsp, %rbx
	and	$-16, %rsp
	call	pcid_load
	mov	%rbx, %rsp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rax
	ret
	.size load_root_pcid, . - load_root_pcid

/* The same without PCIDs, under KPTI: CR3 is written on the way out. */
	.globl load_root_kpti
	.type load_root_kpti, @function
load_root_kpti:
	mov	%rax, %gs:CPU_USER_ROOT
	mov	%rax, %gs:CPU_CR3
	ret
	.size load_root_kpti, . - load_root_kpti

/* ---- interrupts and exceptions ---- */
	.section .entry, "ax"

	.macro push_general
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%r9
	push	%r8
	push	%r10
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rax
	push	%r11
	push	%rcx
	push	%rbp
	push	%rbx
	sub	$16, %rsp		/* fs_base, gs_base */
	.endm

	.globl entry_vectors
	.balign 16
entry_vectors:
	.set vector, 0
	.rept 256
	.balign 16
	.if vector == 1
entry_debug_stub:
	.endif
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
	/* the CPU pushed an error code */
	.else
	push	$0
	.endif
	pushq	$vector
	.if vector == 1
	jmp	entry_debug
	.elseif vector == 2 || vector == 8 || vector == 18
	jmp	entry_fatal
	.else
	jmp	entry_common
	.endif
	.set vector, vector + 1
	.endr

	.balign 16
entry_common:
	cmp	$cpu_stacks, %rsp	/* the kernel's own stacks, and nothing behind them */
	jae	entry_from_kernel
	.globl entry_trap
entry_trap:				/* KPTI: a jump to entry_trap_kpti */
	push_general
	swapgs
entry_trap_saved:
	mov	%rsp, %rdi
	mov	%gs:CPU_STACK_TOP, %rsp
	push	$2			/* the direction and alignment-check flags may be the user's */
	popfq
	trace_call trace_enter
	jmp	trap_from_user

entry_from_kernel:
	push_general
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbx
	and	$-16, %rsp
	call	trap_from_kernel
	mov	%rbx, %rsp
	add	$16, %rsp
	pop_general
	add	$16, %rsp
	iretq

/*
 * #DB can come at the kernel's first instruction, where rsp and GS base may be user mode's: after a load of ss from what a breakpoint
 * watches, CPUs delay it past the next instruction, which may be the one that enters the kernel (CVE-2018-8897). So it has a stack of
 * its own, and rip tells who was interrupted (cs alone would not, once components run beside the kernel). Such a breakpoint is passed over; no other is met in the kernel.
 * QEMU's TCG delays nothing, but tells of a step and a breakpoint at the same instruction by one #DB in the entry of the other, which
 * would overwrite its frame: there it has the stack of other exceptions, and DR6 is left to the first.
 */
entry_debug:
	testb	$3, 24(%rsp)		/* user mode may have jumped to where rip is, by a single step */
	jnz	1f
	cmpq	$KERNEL_IMAGE_BASE, 16(%rsp)
	jae	2f
1:	cmp	$cpu_stacks, %rsp
	jb	entry_trap
	swapgs
	mov	%rdi, %gs:CPU_SCRATCH
	cmpq	$0, %gs:CPU_USER_ROOT
	je	entry_trap_copy		/* no KPTI */
	jmp	entry_trap_root
2:	cmpq	$entry_syscall, 16(%rsp)
	je	3f
	cmpq	$entry_debug_stub, 16(%rsp)
	je	5f
	cmpq	$entry_start, 16(%rsp)
	jb	entry_common
	cmpq	$entry_end, 16(%rsp)
	jae	entry_common
3:	push	%rax
	mov	$DR6_CLEAR, %eax
	mov	%rax, %dr6
	pop	%rax
4:	add	$16, %rsp
	orl	$0x10000, 16(%rsp)	/* RF: whatever it was, not again at the same place */
	iretq
5:	cmp	$cpu_stacks, %rsp
	jb	4b
	jmp	entry_fatal		/* the first frame is lost */

/*
 * Double fault, NMI, machine check: on stacks of their own, possibly between any two instructions of the above.
 * GS base and CR3 may be either's; above its stack's top, arch_cpu_init() put this CPU's GS base. They do not return.
 */
entry_fatal:
	push_general
	cld
	mov	%rsp, %rdi
	mov	CTX_SIZE(%rsp), %rax	/* struct cpu */
	cmpq	$0, CPU_USER_ROOT(%rax)
	je	1f			/* no KPTI */
	mov	CPU_KERNEL_ROOT(%rax), %rdx
	mov	%rdx, %cr3
1:	mov	%rax, %rdx
	shr	$32, %rdx
	mov	$0xc0000101, %ecx
	wrmsr
	and	$-16, %rsp
	call	trap_fatal
	ud2

/*
 * ---- KPTI: the ways in and out of the kernel's page tables ----
 *
 * In kernel mode CR3 is always the kernel's own root, in user mode the VSpace's. So there is one root a VSpace, and the
 * kernel could not follow a user address even if it wanted to.
 */
	.globl entry_syscall_kpti
	.type entry_syscall_kpti, @function
	.balign 64
entry_syscall_kpti:
	swapgs
	mov	%rsp, %gs:CPU_SCRATCH
	mov	%gs:CPU_KERNEL_ROOT, %rsp
	mov	%rsp, %cr3
	jmp	entry_syscall_mapped
	.size entry_syscall_kpti, . - entry_syscall_kpti

/* The CPU pushed to this CPU's entry page: seven words go from there to the thread's context. */
	.globl entry_trap_kpti
	.balign 16
entry_trap_kpti:
	swapgs
	mov	%rdi, %gs:CPU_SCRATCH
entry_trap_root:
	mov	%gs:CPU_KERNEL_ROOT, %rdi
	mov	%rdi, %cr3
entry_trap_copy:
	mov	%gs:CPU_CURRENT, %rdi
	pop	CTX_VECTOR(%rdi)
	pop	CTX_ERROR(%rdi)
	pop	CTX_RIP(%rdi)
	pop	CTX_CS(%rdi)
	pop	CTX_RFLAGS(%rdi)
	pop	CTX_RSP(%rdi)
	pop	CTX_SS(%rdi)
	lea	CTX_VECTOR(%rdi), %rsp
	mov	%gs:CPU_SCRATCH, %rdi
	movq	$0, %gs:CPU_SCRATCH	/* whoever leaves next may be another thread, and could read it */
	push_general
	jmp	entry_trap_saved

/* The user's GS base is in place: not for long. */
	.globl leave_kpti, switch_leave_kpti
	.balign 16
leave_kpti:
	cmpl	$0x100, CTX_VECTOR(%rdi)
	jne	leave_by_iret_kpti
switch_leave_kpti:
	swapgs
	load_for_sysret
	mov	CTX_RSP(%rdi), %rsp
	mov	%rsp, %gs:CPU_SCRATCH
	mov	CTX_RDI(%rdi), %rdi
	mov	%gs:CPU_USER_ROOT, %rsp
	mov	%rsp, %cr3
	mov	%gs:CPU_SCRATCH, %rsp
	swapgs
	sysretq

leave_by_iret_kpti:
	movq	$0x100, CTX_VECTOR(%rdi)
	swapgs
	mov	%gs:CPU_ENTRY_FRAME, %rsp
	add	$40, %rsp
	push	CTX_SS(%rdi)
	push	CTX_RSP(%rdi)
	push	CTX_RFLAGS(%rdi)
	push	CTX_CS(%rdi)
	push	CTX_RIP(%rdi)
	lea	CTX_RBX(%rdi), %rsp
	pop_general
	mov	%gs:CPU_USER_ROOT, %rsp
	mov	%rsp, %cr3
	mov	%gs:CPU_ENTRY_FRAME, %rsp
	swapgs
	iretq
	.text

/* void arch_idle(void): sti takes effect after the next instruction, so no interrupt slips in before hlt. */
	.globl arch_idle
	.type arch_idle, @function
arch_idle:
	trace_call trace_idle
	sti
	hlt
	cli
	ret
	.size arch_idle, . - arch_idle

	.section .note.GNU-stack, "", @progbits
