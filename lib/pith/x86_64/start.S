/* SPDX-License-Identifier: MIT */
/* Entry point of a component: rdi holds the address of its start-up information. */
	.globl	_start
	.type	_start, @function
_start:
	xorl	%ebp, %ebp
	andq	$-16, %rsp
	call	runtime_start
	ud2
	.size	_start, . - _start

/* component_exit(status): see STARTUP_EXIT in <abi/startup.h>. */
	.globl	component_exit
	.type	component_exit, @function
component_exit:
	movabsq	$0x5449584548544950, %rax
	movslq	%edi, %rdi
1:	ud2
	jmp	1b
	.size	component_exit, . - component_exit
	.section .note.GNU-stack, "", @progbits
