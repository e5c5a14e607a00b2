/* SPDX-License-Identifier: MIT */
/*
 * System call stubs of the hot path, by hand: the compiler takes twice as many instructions. Registers as in <abi/syscall.h>: number
 * rax, capability rdi, info rsi, words rdx r10 r8 r9 r12 r13, Reply r14, deadline r15; everything but rsp is clobbered.
 */

	.macro	function name
	.section .text.\name, "ax", @progbits
	.globl	\name
	.type	\name, @function
	.balign	16
\name:
	.endm

	.macro	save
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	.endm

	.macro	restore_and_return
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.endm

	/* \message: struct message; its register is overwritten last if it is one of the words' */
	.macro	load_words message, offset=8
	movq	\offset+8(\message), %r10
	movq	\offset+16(\message), %r8
	movq	\offset+24(\message), %r9
	movq	\offset+32(\message), %r12
	movq	\offset+40(\message), %r13
	movq	\offset(\message), %rdx
	.endm

	.macro	store_words message, offset=8
	movq	%rdx, \offset(\message)
	movq	%r10, \offset+8(\message)
	movq	%r8, \offset+16(\message)
	movq	%r9, \offset+24(\message)
	movq	%r12, \offset+32(\message)
	movq	%r13, \offset+40(\message)
	.endm

/* enum error ipc_call(cptr_t endpoint edi, struct message *message rsi, deadline_t deadline rdx) */
function ipc_call
	save
	pushq	%rsi
	movl	%edi, %edi
	movq	%rdx, %r15
	movq	%rsi, %rbx
	movq	(%rbx), %rsi
	load_words %rbx
	movl	$1, %eax
	syscall
	popq	%rbx
	movq	%rsi, (%rbx)
	store_words %rbx
	restore_and_return

/* enum error ipc_send(cptr_t endpoint edi, const struct message *message rsi, deadline_t deadline rdx) */
function ipc_send
	save
	movl	%edi, %edi
	movq	%rdx, %r15
	movq	%rsi, %rbx
	movq	(%rbx), %rsi
	load_words %rbx
	movl	$2, %eax
	syscall
	restore_and_return

/* int ipc_recv(cptr_t endpoint edi, cptr_t reply esi, struct message *message rdx, badge_t *badge rcx, deadline_t deadline r8) */
function ipc_recv
	save
	pushq	%rdx
	pushq	%rcx
	movl	%edi, %edi
	movl	%esi, %r14d
	movq	%r8, %r15
	xorl	%esi, %esi
	movl	$3, %eax
	syscall
	popq	%rcx
	popq	%rbx
	movq	%rdi, (%rcx)
	movq	%rsi, (%rbx)
	store_words %rbx
	restore_and_return

/* int ipc_reply_recv(cptr_t endpoint edi, cptr_t answer esi, cptr_t receive edx, struct message *message rcx, badge_t *badge r8,
 *                    deadline_t deadline r9) */
function ipc_reply_recv
	save
	pushq	%rcx
	pushq	%r8
	movl	%edi, %edi
	movl	%edx, %r14d
	shlq	$32, %r14
	movl	%esi, %esi
	orq	%rsi, %r14
	movq	%r9, %r15
	movq	%rcx, %rbx
	movq	(%rbx), %rsi
	load_words %rbx
	movl	$4, %eax
	syscall
	popq	%rcx
	popq	%rbx
	movq	%rdi, (%rcx)
	movq	%rsi, (%rbx)
	store_words %rbx
	restore_and_return

/* enum error ipc_reply(cptr_t reply edi, const struct message *message rsi) */
function ipc_reply
	save
	movl	%edi, %r14d
	movq	%rsi, %rbx
	movq	(%rbx), %rsi
	load_words %rbx
	movl	$5, %eax
	syscall
	restore_and_return

/* enum error notification_signal(cptr_t notification edi) */
function notification_signal
	save
	movl	%edi, %edi
	movl	$6, %eax
	syscall
	restore_and_return

/* enum error notification_wait(cptr_t notification edi, uint64_t *bits rsi, deadline_t deadline rdx); *bits = 0 on error */
function notification_wait
	save
	pushq	%rsi
	movl	%edi, %edi
	movq	%rdx, %r15
	movl	$7, %eax
	syscall
	popq	%rbx
	xorl	%ecx, %ecx
	testl	%eax, %eax
	cmovnzq	%rcx, %rdi
	movq	%rdi, (%rbx)
	restore_and_return

/* enum error invoke(cptr_t capability edi, enum operation operation esi, uint64_t words[6] rdx) */
function invoke
	save
	pushq	%rdx
	movl	%edi, %edi
	movl	%esi, %esi
	movq	%rdx, %rbx
	load_words %rbx, 0
	movl	$9, %eax
	syscall
	popq	%rbx
	store_words %rbx, 0
	restore_and_return

	.section .note.GNU-stack, "", @progbits
