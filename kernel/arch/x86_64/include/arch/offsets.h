/* SPDX-License-Identifier: MIT */
/* What assembly knows of the layouts in <arch/types.h>; context.c asserts each. Only preprocessor lines. */
#pragma once

/* struct arch_context */
#define CTX_FS_BASE 0
#define CTX_GS_BASE 8
#define CTX_RBX     16
#define CTX_RBP     24
#define CTX_RCX     32
#define CTX_R11     40
#define CTX_RAX     48
#define CTX_RDI     56
#define CTX_RSI     64
#define CTX_RDX     72
#define CTX_R10     80
#define CTX_R8      88
#define CTX_R9      96
#define CTX_R12     104
#define CTX_R13     112
#define CTX_R14     120
#define CTX_R15     128
#define CTX_VECTOR  136
#define CTX_ERROR   144
#define CTX_RIP     152
#define CTX_CS      160
#define CTX_RFLAGS  168
#define CTX_RSP     176
#define CTX_SS      184
#define CTX_SIZE    192

/* struct arch_vector, behind the context in every thread */
#define VEC_USED CTX_SIZE
/* struct thread's flags, behind both */
#define THREAD_FLAGS (CTX_SIZE + 896)

/* struct arch_cpu */
#define CPU_SELF         0
#define CPU_CURRENT      8
#define CPU_STACK_TOP    16
#define CPU_VECTOR_OWNER 32
#define CPU_CANARY       40
#define CPU_CR3          48
#define CPU_VECTOR_LENT  64
#define CPU_TSS_RSP0     88
/* struct arch_entry in it */
#define CPU_SCRATCH     4096
#define CPU_KERNEL_ROOT 4104
#define CPU_USER_ROOT   4112
#define CPU_ENTRY_FRAME 4120

/* Selectors, the same numbers as Linux's, which programs can see in cs and ss. */
#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_BASE   0x23 /* sysret: ss = base + 8, cs = base + 16 */
#define SELECTOR_USER_DATA   0x2b
#define SELECTOR_USER_CODE   0x33
#define SELECTOR_TSS         0x40

#define KERNEL_IMAGE_BASE 0xffffffff80000000

/* DR6 with nothing to tell. */
#define DR6_CLEAR 0xffff0ff0

/*
 * Interrupt vectors: exceptions, mail, one a struct Irq of core, then the kernel's own. Of those that wait the
 * highest comes first: mail, of which other CPUs can send ever more, holds up no device and no deadline.
 */
#define VECTOR_MAIL     32 /* from another CPU */
#define VECTOR_IRQ      33
#define VECTOR_TIMER    0xe1
#define VECTOR_ERROR    0xe2 /* the local APIC's error interrupt */
#define VECTOR_WAKE     0xe3 /* at boot: end arch_idle() */
#define VECTOR_IOMMU    0xef /* the IOMMU recorded a fault */
#define VECTOR_PIC      0xf0 /* the masked 8259s can still raise spurious ones: f7, ff */
#define VECTOR_SPURIOUS 0xff

/* How the kernel was entered (boot.S to boot.c). */
#define BOOT_PVH        1
#define BOOT_MULTIBOOT2 2
/* The first kernel stack's end in cpu_stacks[], and the size of each element. */
#define STACK_BOOT_TOP (5 * 4096)
#define STACKS_SIZE    (13 * 4096)
