/* SPDX-License-Identifier: MIT */
/*
 * The boot image (what the loader hands to the kernel as a module) and the boot information (what the kernel hands
 * to the first component).
 */
#pragma once

#include <abi/types.h>

/* The boot image: this header, page-aligned segments of the first component, then a cpio archive (newc). */
#define BOOT_IMAGE_MAGIC   0x31544f4f42485450ul /* "PTHBOOT1" */
#define BOOT_IMAGE_VERSION 1
#define BOOT_SEGMENTS      8

struct boot_segment {
	uint64_t address;     /* virtual, page-aligned */
	uint64_t offset;      /* in the image, page-aligned */
	uint64_t file_size;
	uint64_t memory_size; /* the rest is zero */
	uint64_t rights;      /* RIGHT_READ | ... */
};

struct boot_image {
	uint64_t magic;
	uint64_t version;
	uint64_t size; /* of the whole image */
	uint64_t entry;
	uint64_t segment_count;
	struct boot_segment segments[BOOT_SEGMENTS];
	uint64_t archive_offset; /* page-aligned */
	uint64_t archive_size;
};

/*
 * The first component's CSpace (a CNode of 2^INIT_CNODE_BITS slots) at entry; rdi holds the address of struct
 * boot_info. Its thread runs at PRIORITY_MAX with a round-robin SchedContext.
 */
#define INIT_CNODE_BITS 14
enum init_slot {
	INIT_SLOT_NULL,
	INIT_SLOT_CNODE,
	INIT_SLOT_VSPACE,
	INIT_SLOT_THREAD,
	INIT_SLOT_SCHED_CONTEXT,
	INIT_SLOT_IRQ_CONTROL,
	INIT_SLOT_IO_PORTS,    /* all 65536 */
	INIT_SLOT_IPC_BUFFER,  /* Memory of INIT_IPC_BUFFER_PAGES */
	INIT_SLOT_BOOT_INFO,   /* Memory */
	INIT_SLOT_BOOT_IMAGE,  /* Memory: the module, as it was loaded; mapped at boot_info.image_address */
	INIT_SLOT_CPU_TIME,    /* CpuTime of CPU 0; CPU n at + n */
	INIT_SLOT_PRIVATE = 18, /* Memory of its segments, in order, and then its stack */
	INIT_SLOT_WINDOWS = 19, /* INIT_WINDOWS Windows, through which all of this is mapped */
	INIT_SLOT_IO_SPACE_CONTROL = 23, /* all requesters; empty without an IOMMU */
	INIT_SLOT_UNTYPED = 32 /* the first of boot_info.untyped_count */
};
#define INIT_WINDOWS          4
#define INIT_IPC_BUFFER_PAGES 2
#define INIT_STACK_SIZE       (64 * 1024)

#define BOOT_INFO_ADDRESS  0x10000000ul
#define BOOT_INFO_UNTYPEDS 400
#define BOOT_COMMAND_LINE  512

struct boot_untyped {
	uint64_t address;
	uint8_t size_bits;
	uint8_t device; /* 1: not RAM; becomes device Memory only */
	uint8_t reserved[6];
};

/* Untypeds cover all RAM that the kernel does not use and all other physical addresses below 2^46 that are not RAM
 * (ACPI tables, firmware and device ranges count as device), but for the registers of interrupt controllers and
 * IOMMUs. Sorted by address. */
struct boot_info {
	uint64_t size;           /* of this structure */
	uint64_t ipc_buffer;     /* address where the IPC buffer is mapped */
	uint64_t image_address;  /* where the boot image is mapped, read-only */
	uint64_t image_size;
	uint64_t first_free_slot;
	uint64_t tsc_hz;         /* time is (rdtsc - tsc_at_boot) scaled by it */
	uint64_t tsc_at_boot;
	uint64_t acpi_rsdp;      /* physical address, or 0 */
	uint64_t cpu_count;
	uint64_t xsave_bytes;    /* size of a thread's vector state */
	uint64_t ram_bytes;
	char command_line[BOOT_COMMAND_LINE];
	uint64_t untyped_count;
	struct boot_untyped untypeds[BOOT_INFO_UNTYPEDS];
};
_Static_assert(sizeof(struct boot_info) <= 2 * PAGE_SIZE, "boot information fits its two pages");
