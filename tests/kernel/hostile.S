/* SPDX-License-Identifier: MIT */
/* Instructions that user mode must not get away with, and loops that check that their registers stay theirs. */
	.macro hostile name
	.globl	\name
	.type	\name, @function
\name:
	.endm

	hostile	hostile_hlt
	hlt
	hostile	hostile_cli
	cli
	hostile	hostile_in
	in	$0x60, %al
	hostile	hostile_rdmsr
	mov	$0xc0000080, %ecx
	rdmsr
	hostile	hostile_cr3
	mov	%cr3, %rax
	hostile	hostile_dr7
	mov	%rax, %dr7
	hostile	hostile_lgdt
	lgdt	(%rsp)
	hostile	hostile_sgdt
	sgdt	-16(%rsp)
	hostile	hostile_local_table	/* a descriptor that would stand at 0x1000, in user memory */
	mov	$0x1007, %eax
	mov	%eax, %ds
	hostile	hostile_swapgs
	swapgs
	hostile	hostile_xsetbv
	xor	%ecx, %ecx
	xsetbv
	hostile	hostile_int80
	int	$0x80
	hostile	hostile_int14
	int	$14
	hostile	hostile_int32
	int	$0x20
	hostile	hostile_int3
	int3
	hostile	hostile_sysenter
	sysenter
	hostile	hostile_sysret
	sysretq
	hostile	hostile_ud2
	ud2
	hostile	hostile_divide
	xor	%ecx, %ecx
	div	%ecx
	hostile	hostile_trap_flag
	pushfq
	orl	$0x100, (%rsp)
	popfq
	nop
	nop
	hostile	hostile_noncanonical_load
	mov	$0x8000000000000000, %rax
	mov	(%rax), %rax
	hostile	hostile_noncanonical_push
	mov	$0x8000000000000000, %rsp
	push	%rax
	hostile	hostile_noncanonical_jump
	mov	$0x0000800000000000, %rax
	jmp	*%rax
	hostile	hostile_kernel_cs
	push	$0
	push	%rsp
	pushfq
	push	$8
	push	$0
	iretq
	hostile	hostile_kernel_ss
	mov	$0x10, %eax
	mov	%eax, %ss
	hostile	hostile_compatibility
	push	$0x23
	push	$0
	lretq
	hostile	hostile_simd
	movl	$0x1f00, -8(%rsp)	/* unmask invalid operation */
	movl	$0, -4(%rsp)
	ldmxcsr	-8(%rsp)
	xorps	%xmm0, %xmm0
	divss	%xmm0, %xmm0
	hostile	hostile_x87
	fninit
	movw	$0x37e, -8(%rsp)	/* unmask invalid operation */
	fldcw	-8(%rsp)
	fldz
	fldz
	fdivrp
	fwait
	hostile	hostile_kernel_read
	mov	$0xffff800000200000, %rax
	mov	(%rax), %rax
	hostile	hostile_kernel_write
	mov	$0xffffffff80102000, %rax
	mov	%rax, (%rax)
	hostile	hostile_kernel_jump
	mov	$0xffffffff80101000, %rax
	jmp	*%rax
	hostile	hostile_null
	xor	%eax, %eax
	mov	(%rax), %rax
	hostile	hostile_execute_stack
	mov	%rsp, %rax
	sub	$64, %rax
	jmp	*%rax

/*
 * A foreign thread: sets every register to what only it knows, makes a system call that changes rax, and dies by ud2 if anything else
 * changed but rcx and r11, which are the way back and the flags. rdi holds its secret.
 */
	.globl	foreign_checker
	.type	foreign_checker, @function
foreign_checker:
	mov	%rdi, %r15
	mov	%rsp, %rbp
1:	lea	1(%r15), %rdi
	lea	2(%r15), %rsi
	lea	3(%r15), %rdx
	lea	4(%r15), %r10
	lea	5(%r15), %r8
	lea	6(%r15), %r9
	lea	7(%r15), %rbx
	lea	12(%r15), %r12
	lea	13(%r15), %r13
	lea	14(%r15), %r14
	mov	$0x77, %eax
	stc
	syscall
2:	jnc	9f
	lea	2b(%rip), %rax
	cmp	%rax, %rcx
	jne	9f
	sub	%r15, %rdi
	cmp	$1, %rdi
	jne	9f
	sub	%r15, %rsi
	cmp	$2, %rsi
	jne	9f
	sub	%r15, %rdx
	cmp	$3, %rdx
	jne	9f
	sub	%r15, %r10
	cmp	$4, %r10
	jne	9f
	sub	%r15, %r8
	cmp	$5, %r8
	jne	9f
	sub	%r15, %r9
	cmp	$6, %r9
	jne	9f
	sub	%r15, %rbx
	cmp	$7, %rbx
	jne	9f
	sub	%r15, %r12
	cmp	$12, %r12
	jne	9f
	sub	%r15, %r13
	cmp	$13, %r13
	jne	9f
	sub	%r15, %r14
	cmp	$14, %r14
	jne	9f
	cmp	%rsp, %rbp
	jne	9f
	jmp	1b
9:	ud2

/*
 * Counts up the word at rdi, puts it into vector registers, makes the system call eax (of a foreign thread or a native one), and dies by ud2 if they
 * are not what is at rdi then; counts at 8(rdi).
 */
	.macro	vector_keeper name, number
	.globl	\name
	.type	\name, @function
\name:
	mov	%rdi, -8(%rsp)
1:	incq	(%rdi)
	movq	(%rdi), %xmm0
	movq	(%rdi), %xmm15
	mov	$\number, %eax
	syscall
	mov	-8(%rsp), %rdi
	movq	%xmm0, %rcx
	cmp	(%rdi), %rcx
	jne	9f
	movq	%xmm15, %rcx
	cmp	(%rdi), %rcx
	jne	9f
	incq	8(%rdi)
	jmp	1b
9:	ud2
	.endm
	vector_keeper foreign_vector_keeper, 0x77
	vector_keeper yielding_vector_keeper, 8	/* SYS_YIELD */

/*
 * A thread that is interrupted anywhere: rdi is its secret, rsi where it counts rounds; its TLS word holds the secret too. Dies by ud2 if
 * a register, a vector register or the TLS base is not its own.
 */
	.globl	interrupted_checker
	.type	interrupted_checker, @function
interrupted_checker:
	mov	%rdi, %r15
	mov	%rdi, %rax
	mov	%rsi, %r14
	movq	%rdi, %xmm0
	movq	%rdi, %xmm7
	movq	%rdi, %xmm15
	pushq	%rdi
	fildq	(%rsp)
	mov	%rdi, %rbx
	mov	%rdi, %rcx
	mov	%rdi, %rdx
	mov	%rdi, %r8
	mov	%rdi, %r11
	mov	%rdi, %rbp
1:	mov	$200, %r12d
2:	cmp	%r15, %rax
	jne	9f
	cmp	%r15, %rbx
	jne	9f
	cmp	%r15, %rcx
	jne	9f
	cmp	%r15, %rdx
	jne	9f
	cmp	%r15, %rdi
	jne	9f
	cmp	%r15, %rbp
	jne	9f
	cmp	%r15, %r8
	jne	9f
	cmp	%r15, %r11
	jne	9f
	cmp	%fs:0, %r15
	jne	9f
	dec	%r12d
	jnz	2b
	movq	%xmm0, %r9
	cmp	%r15, %r9
	jne	9f
	movq	%xmm7, %r9
	cmp	%r15, %r9
	jne	9f
	movq	%xmm15, %r9
	cmp	%r15, %r9
	jne	9f
	fld	%st(0)
	fistpq	-16(%rsp)
	cmp	-16(%rsp), %r15
	jne	9f
	incq	(%r14)
	jmp	1b
9:	ud2

/* Never touches a vector register; dies if it ever has one: reading %xmm0 gives zero in a thread's first use. */
	.globl	vector_reader
	.type	vector_reader, @function
vector_reader:
	movq	%xmm0, %rax
	movq	%xmm15, %rbx
	or	%rbx, %rax
	mov	%rax, (%rsi)
	movq	$1, 8(%rsi)
1:	mov	$8, %eax			/* SYS_YIELD */
	push	%rsi
	syscall
	pop	%rsi
	jmp	1b

	.section .note.GNU-stack, "", @progbits
