/* SPDX-License-Identifier: MIT */
/*
 * The measured loops, each with as few instructions of its own as the ABI allows. The kernel may clobber every register but rsp, so
 * counters live on the stack: two instructions a round, which main.c takes off again.
 */
#include "pair.h"

#define SYS_CALL       1
#define SYS_RECV       3
#define SYS_REPLY_RECV 4
#define SYS_REPLY      5
#define SYS_SIGNAL     6
#define SYS_WAIT       7
#define SYS_YIELD      8
#define SYS_INVOKE     9

	/* void NAME(uint64_t rounds): keeps what C expects to be kept */
	.macro loop name
	.globl	\name
	.type	\name, @function
\name:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
1:
	.endm

	.macro end_loop name
	decq	(%rsp)
	jnz	1b
	pop	%rdi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.size \name, . - \name
	.endm

	.macro entry name
	.globl	\name
	.type	\name, @function
\name:
	.endm

	loop	empty_loop
	end_loop empty_loop

	/* ---- calls ---- */
	loop	client_loop
	mov	$SYS_CALL, %eax
	mov	bench_endpoint, %edi
	mov	bench_client_info, %rsi
	mov	$-1, %r15
	syscall
	end_loop client_loop

	.macro receive_first
	mov	$SYS_RECV, %eax
	mov	bench_endpoint, %edi
	mov	bench_reply, %r14d
	mov	$-1, %r15
	syscall
	.endm

	entry	server_loop
	receive_first
1:	mov	$SYS_REPLY_RECV, %eax
	mov	bench_endpoint, %edi
	mov	bench_server_info, %rsi
	mov	bench_reply, %r14d
	mov	$-1, %r15
	syscall
	jmp	1b

	entry	server_vector_loop
	pxor	%xmm0, %xmm0
	jmp	server_loop

	/* Answers and receives apart, so that callers find it busy and queue. */
	entry	server_apart_loop
1:	receive_first
	mov	$SYS_REPLY, %eax
	mov	bench_server_info, %rsi
	mov	bench_reply, %r14d
	syscall
	jmp	1b

	/* Calls, and is never answered. */
	entry	waiter
	mov	$SYS_CALL, %eax
	mov	bench_endpoint, %edi
	xor	%esi, %esi
	mov	$-1, %r15
	syscall
	ud2

	/* ---- pairs: rdi = struct pair, kept on the stack ---- */
	.macro pair_syscall number
	mov	$\number, %eax
	xor	%esi, %esi
	mov	$-1, %r15
	syscall
	.endm

	/* At each signal, so many calls; then it says so. */
	entry	pair_client
	push	%rdi
1:	mov	(%rsp), %rdi
	mov	PAIR_GO(%rdi), %edi
	pair_syscall SYS_WAIT
	push	$PAIR_CALLS
2:	mov	8(%rsp), %rdi
	mov	PAIR_ENDPOINT(%rdi), %edi
	pair_syscall SYS_CALL
	decq	(%rsp)
	jnz	2b
	pop	%rdi
	mov	(%rsp), %rdi
	mov	PAIR_DONE(%rdi), %edi
	pair_syscall SYS_SIGNAL
	jmp	1b

	entry	pair_server
	push	%rdi
	mov	PAIR_REPLY(%rdi), %r14d
	mov	PAIR_ENDPOINT(%rdi), %edi
	pair_syscall SYS_RECV
1:	mov	(%rsp), %rdi
	mov	PAIR_REPLY(%rdi), %r14d
	mov	PAIR_ENDPOINT(%rdi), %edi
	pair_syscall SYS_REPLY_RECV
	jmp	1b

	/* ---- notifications ---- */
	loop	signal_loop
	mov	$SYS_SIGNAL, %eax
	mov	bench_ping, %edi
	syscall
	end_loop signal_loop

	loop	wait_loop
	mov	$SYS_WAIT, %eax
	mov	bench_ping_wait, %edi
	mov	$-1, %r15
	syscall
	end_loop wait_loop

	loop	poll_loop
	mov	$SYS_WAIT, %eax
	mov	bench_pong_wait, %edi
	xor	%r15d, %r15d
	syscall
	end_loop poll_loop

	loop	ping_loop
	mov	$SYS_SIGNAL, %eax
	mov	bench_ping, %edi
	syscall
	mov	$SYS_WAIT, %eax
	mov	bench_pong_wait, %edi
	mov	$-1, %r15
	syscall
	end_loop ping_loop

	entry	pong_loop
1:	mov	$SYS_WAIT, %eax
	mov	bench_ping_wait, %edi
	mov	$-1, %r15
	syscall
	mov	$SYS_SIGNAL, %eax
	mov	bench_pong, %edi
	syscall
	jmp	1b

	/* ---- yield ---- */
	loop	yield_loop
	mov	$SYS_YIELD, %eax
	syscall
	end_loop yield_loop

	entry	yielder_loop
1:	mov	$SYS_YIELD, %eax
	syscall
	jmp	1b

	/* ---- a server of kernel messages: each round answers one and takes the next ---- */
	loop	handler_loop
	mov	$SYS_REPLY_RECV, %eax
	mov	bench_endpoint, %edi
	mov	bench_server_info, %rsi
	mov	bench_reply, %r14d
	mov	$-1, %r15
	syscall
	end_loop handler_loop

	entry	handler_first
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	receive_first
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	entry	foreign_loop
1:	mov	$39, %eax
	syscall
	jmp	1b

	/* ---- faults: one page after another; bench_area is 2 MiB aligned ---- */
	entry	fault_loop
	mov	bench_area, %rbx
1:	movb	$1, (%rbx)
	add	$4096, %rbx
	jmp	1b

	loop	pager_loop
	mov	%rdx, %r8			/* the address that faulted */
	mov	%rdx, %r9
	and	$0x1fffff, %r9d
	shr	$12, %r9d			/* the page of the Memory */
	mov	$SYS_REPLY_RECV, %eax
	mov	bench_endpoint, %edi
	mov	bench_server_info, %rsi
	mov	bench_window, %r10d
	mov	$1, %r12d
	mov	$3, %r13d
	mov	bench_reply, %r14d
	mov	$-1, %r15
	syscall
	end_loop pager_loop

	/* ---- mapping ---- */
	loop	map_loop
	mov	$SYS_INVOKE, %eax
	mov	bench_window, %edi
	mov	$0x81, %esi			/* WINDOW_MAP */
	mov	bench_area, %rdx
	xor	%r10d, %r10d
	mov	$1, %r8d
	mov	$3, %r9d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	syscall
	mov	$SYS_INVOKE, %eax
	mov	bench_vspace, %edi
	mov	$0x61, %esi			/* VSPACE_UNMAP */
	mov	bench_area, %rdx
	mov	$1, %r10d
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	syscall
	end_loop map_loop

	loop	scatter_loop
	mov	$SYS_INVOKE, %eax
	mov	bench_window, %edi
	mov	$0x82, %esi			/* WINDOW_MAP_SCATTER */
	mov	bench_area, %rdx
	mov	$512, %r10d
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	syscall
	end_loop scatter_loop

	.section .note.GNU-stack, "", @progbits
