/* SPDX-License-Identifier: MIT */
/* The shared object lib/vdso, as it is mapped into processes. */
	.section .rodata
	.balign	4096
	.globl	vdso_image, vdso_image_end
vdso_image:
	.incbin	VDSO_IMAGE
vdso_image_end:
	.section .note.GNU-stack, "", @progbits
