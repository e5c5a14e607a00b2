/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader's 32-bit protected mode to boot_main() in the upper half. Two entries: PVH (QEMU -kernel)
 * and multiboot2 (GRUB). The early page tables map the first 4 GiB at 0 and at KERNEL_OFFSET, and the first 1 GiB
 * at KERNEL_IMAGE; paging.c replaces them. The other CPUs start in real mode, and go the same way to boot_other().
 */
#include <arch/offsets.h>

#define PHYSICAL(symbol) ((symbol) - KERNEL_IMAGE_BASE)

/* Bits of CPUID.1:EDX, as message_features names them: what the kernel uses, and what any 64-bit code may use unasked. */
#define FEATURES (1 << 0 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 16 | \
		  1 << 23 | 1 << 24 | 1 << 25 | 1 << 26)

#define MB2_HEADER_MAGIC 0xe85250d6
#define MB2_LOADER_MAGIC 0x36d76289

	.section .boot.header, "a"
	.balign 8
mb2_header:
	.long MB2_HEADER_MAGIC, 0, mb2_header_end - mb2_header
	.long -(MB2_HEADER_MAGIC + (mb2_header_end - mb2_header))
	/* entry address */
	.short 3, 0
	.long 12, boot_multiboot
	.balign 8
	/* modules on page boundaries */
	.short 6, 0
	.long 8
	/* end */
	.short 0, 0
	.long 8
mb2_header_end:

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad boot_pvh

	.section .boot.text, "ax"
	.code32
	.globl boot_pvh
boot_pvh:
	mov	$BOOT_PVH, %esi
	jmp	boot_32

	.globl boot_multiboot
boot_multiboot:
	xor	%esi, %esi
	cmp	$MB2_LOADER_MAGIC, %eax
	jne	boot_32
	mov	$BOOT_MULTIBOOT2, %esi

/* esi: BOOT_..., 0 for an unknown loader; ebx: the physical address of its information. */
boot_32:
	cli
	cld
	mov	%ebx, %edi

	test	%esi, %esi
	mov	$message_loader, %ebp
	jz	boot_fail
	mov	$0x80000000, %eax
	cpuid
	mov	$message_cpu, %ebp
	cmp	$0x80000001, %eax
	jb	boot_fail
	mov	$0x80000001, %eax
	cpuid
	test	$(1 << 29), %edx	/* long mode */
	jz	boot_fail
	test	$(1 << 20), %edx	/* no-execute */
	jz	boot_fail
	test	$(1 << 11), %edx	/* SYSCALL */
	jz	boot_fail
	mov	$1, %eax
	cpuid
	not	%edx
	mov	$message_features, %ebp
	test	$(FEATURES), %edx
	jnz	boot_fail

	/* 4 directories of 2 MiB pages, present and writable */
	mov	$PHYSICAL(early_directories), %ecx
	mov	$0x83, %eax
1:	mov	%eax, (%ecx)
	movl	$0, 4(%ecx)
	add	$8, %ecx
	add	$0x200000, %eax
	jnc	1b
	mov	$PHYSICAL(early_directories) + 3, %eax
	mov	%eax, PHYSICAL(early_low)
	mov	%eax, PHYSICAL(early_high) + 510 * 8
	add	$0x1000, %eax
	mov	%eax, PHYSICAL(early_low) + 8
	add	$0x1000, %eax
	mov	%eax, PHYSICAL(early_low) + 16
	add	$0x1000, %eax
	mov	%eax, PHYSICAL(early_low) + 24
	mov	$PHYSICAL(early_low) + 3, %eax
	mov	%eax, PHYSICAL(early_root)
	mov	%eax, PHYSICAL(early_root) + 256 * 8
	mov	$PHYSICAL(early_high) + 3, %eax
	mov	%eax, PHYSICAL(early_root) + 511 * 8
	xor	%ebp, %ebp

/* ebp: the CPU's index. */
boot_paging:
	mov	%cr4, %eax
	or	$(1 << 5), %eax		/* PAE */
	mov	%eax, %cr4
	mov	$PHYSICAL(early_root), %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER: LME, NXE */
	rdmsr
	or	$0x900, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000001, %eax
	mov	%eax, %cr0
	lgdt	boot_gdt_pointer
	ljmp	$SELECTOR_KERNEL_CODE, $boot_64

/* Copied to a page below 1 MiB, where a CPU starts in real mode at the interrupt that names it. */
	.code16
	.globl boot_start, boot_start_end
boot_start:
	cli
	lgdtl	%cs:boot_start_gdt - boot_start
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$(boot_gdt_code_32 - boot_gdt), $boot_other_32
boot_start_gdt:
	.short	boot_gdt_pointer - boot_gdt - 1
	.long	boot_gdt
boot_start_end:

	.code32
boot_other_32:
	mov	$(boot_gdt_data_32 - boot_gdt), %eax
	mov	%eax, %ds
	mov	%eax, %ss
	cld
	/* The index is taken only once: who comes too late finds none. */
	xor	%ebp, %ebp
	xchg	%ebp, PHYSICAL(cpus_start_index)
	test	%ebp, %ebp
	jnz	boot_paging
1:	hlt
	jmp	1b

/* ebp: message. Prints it on COM1 and stops. */
boot_fail:
	mov	$boot_uart_setup, %ebx
1:	movzwl	(%ebx), %edx
	test	%edx, %edx
	jz	2f
	mov	2(%ebx), %al
	out	%al, (%dx)
	add	$3, %ebx
	jmp	1b
2:	mov	(%ebp), %bl
	test	%bl, %bl
	jz	4f
	mov	$10000, %ecx
	mov	$0x3fd, %edx
3:	in	(%dx), %al
	test	$0x20, %al
	loopz	3b
	mov	$0x3f8, %edx
	mov	%bl, %al
	out	%al, (%dx)
	inc	%ebp
	jmp	2b
4:	hlt
	jmp	4b

	.code64
boot_64:
	movabs	$boot_high, %rax
	jmp	*%rax

	.section .boot.rodata, "a"
boot_uart_setup:
	.macro uart port, value
	.short \port
	.byte \value
	.endm
	uart	0x3f9, 0
	uart	0x3fb, 0x80
	uart	0x3f8, 1
	uart	0x3f9, 0
	uart	0x3fb, 3
	uart	0x3fa, 7
	.short	0
message_loader:
	.asciz	"\nPith: the boot loader speaks neither PVH nor multiboot2\n"
message_cpu:
	.asciz	"\nPith: this CPU has no 64-bit mode, no SYSCALL or no no-execute pages\n"
message_features:
	.asciz	"\nPith: this CPU lacks FPU, TSC, MSR, PAE, MCE, CX8, APIC, PGE, CMOV, PAT, MMX, FXSR, SSE or SSE2\n"
	.balign 8
boot_gdt:
	.quad	0
	.quad	0x00209b0000000000	/* kernel code */
	.quad	0x0000930000000000	/* kernel data */
boot_gdt_code_32:
	.quad	0x00cf9b000000ffff
boot_gdt_data_32:
	.quad	0x00cf93000000ffff
boot_gdt_pointer:
	.short	boot_gdt_pointer - boot_gdt - 1
	.long	boot_gdt

	.text
boot_high:
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%ebp, %r13d		/* index */
	imul	$STACKS_SIZE, %r13, %rax
	lea	cpu_stacks + STACK_BOOT_TOP - 16(%rax), %rsp	/* the last word stays 0: what enters the kernel later returns nowhere */
	mov	%edi, %ebx		/* information */
	mov	%esi, %r12d		/* loader */
	xor	%ebp, %ebp
	/* GS base before any C: the stack protector's canary is at gs:40. cpu_at() has no canary itself. */
	mov	%r13d, %edi
	call	cpu_at
	mov	%rax, (%rax)
	mov	%rax, %rdx
	shr	$32, %rdx
	mov	$0xc0000101, %ecx
	wrmsr
	mov	%r13d, %edi
	test	%edi, %edi
	jnz	1f
	mov	%r12d, %edi
	mov	%ebx, %esi
	call	boot_main
	ud2
1:	call	boot_other
	ud2

	.bss
	.balign 4096
early_root:
	.skip 4096
early_low:
	.skip 4096
early_high:
	.skip 4096
early_directories:
	.skip 4 * 4096

	.section .note.GNU-stack, "", @progbits
