/* SPDX-License-Identifier: MIT */
/* Entry of the first component of a kernel test image: rdi holds the address of struct boot_info. */
	.globl	_start
	.type	_start, @function
_start:
	xorl	%ebp, %ebp
	call	test_main
	ud2
	.size	_start, . - _start

	.section .note.GNU-stack, "", @progbits
