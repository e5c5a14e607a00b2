/* SPDX-License-Identifier: MIT */
	.globl	_start
	.type	_start, @function
_start:
	xorl	%ebp, %ebp
	call	bench_main
	ud2
	.size	_start, . - _start

	.section .note.GNU-stack, "", @progbits
