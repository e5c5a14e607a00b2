/* SPDX-License-Identifier: MIT */
/*
 * Messages: the info word, the IPC buffer, and the messages that the kernel itself sends and understands
 * (faults, exceptions, foreign system calls, and the replies to them).
 */
#pragma once

#include <abi/types.h>

#define MESSAGE_WORDS          64 /* words 0..5 in registers, 6..63 in the IPC buffer */
#define MESSAGE_REGISTER_WORDS 6
#define MESSAGE_CAPS           4

/*
 * Message info: bits 0..6 words, 8..10 capabilities, 12..15 which of them are moved (the others are copied:
 * the receiver gets a capability derived from the sender's; Untyped, Reply, CpuTime cannot be), 32..63 label. Other bits are zero.
 * Sending capabilities needs GRANT on the Endpoint capability.
 */
#define MESSAGE_INFO(label, words) ((uint64_t)(label) << 32 | (uint64_t)(words))
#define MESSAGE_INFO_CAPS(label, words, caps, moved)                                                          \
	(MESSAGE_INFO(label, words) | (uint64_t)(caps) << 8 | (uint64_t)(moved) << 12)

static inline uint32_t message_label(uint64_t info)
{
	return (uint32_t)(info >> 32);
}

static inline unsigned message_words(uint64_t info)
{
	return (unsigned)(info & 0x7f);
}

static inline unsigned message_caps(uint64_t info)
{
	return (unsigned)(info >> 8 & 7);
}

static inline unsigned message_moved(uint64_t info)
{
	return (unsigned)(info >> 12 & 15);
}

/* General registers of a thread, in the order of THREAD_READ_REGISTERS and of REPLY_REGISTERS. */
struct thread_registers {
	uint64_t rip, rsp, rflags, fs_base, gs_base;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
};
#define THREAD_REGISTER_WORDS 20
_Static_assert(sizeof(struct thread_registers) == THREAD_REGISTER_WORDS * 8, "register frame");

/* One page of a WINDOW_MAP_SCATTER list. */
struct scatter_entry {
	uint32_t memory_page;          /* page number in the Memory */
	uint32_t virtual_page_rights;  /* bits 4..31: page number from the call's base address; 0..2: rights */
};

/*
 * The IPC buffer: a Memory of 1 to 16 contiguous pages bound to the thread (THREAD_BIND), which user space maps
 * where it likes. The scatter list fills what lies after the first page.
 */
struct ipc_buffer {
	uint64_t words[MESSAGE_WORDS];        /* 0..5 unused by IPC (registers); invocations use them for results */
	cptr_t caps[MESSAGE_CAPS];            /* sender: capabilities to pass on */
	cptr_t receive_slots[MESSAGE_CAPS];   /* receiver: empty slots; the first that is not ends the transfer */
	uint64_t reserved[60];
	uint8_t data[3072];                   /* bulk of single invocations: vector state, port strings, harvests */
	struct scatter_entry scatter[];
};
_Static_assert(offsetof(struct ipc_buffer, data) == 1024, "IPC buffer layout");
_Static_assert(offsetof(struct ipc_buffer, scatter) == 4096, "IPC buffer layout");
#define IPC_BUFFER_PAGES_MAX 16

/* Labels of messages from the kernel. Labels of user protocols stay below LABEL_KERNEL. */
enum kernel_label {
	/* the first. What nobody answers, as the thread is suspended or its handler ends, comes again when the thread is resumed */
	LABEL_KERNEL = 0xffff0000,
	/* words: address, enum fault_access bits, rip, rsp */
	LABEL_PAGE_FAULT = 0xffff0001,
	/* words: vector, error code (vector 1: DR6, of this thread's breakpoints and single steps), rip, rsp */
	LABEL_EXCEPTION = 0xffff0002,
	/* words 0..5: number, arguments 1..5; word 6: argument 6; 7: rip (after the instruction); 8: rsp */
	LABEL_FOREIGN_SYSCALL = 0xffff0003,
	/* a poked foreign thread is about to return to user mode; words: rip, rsp */
	LABEL_INTERRUPTED = 0xffff0004,
};

enum fault_access {
	FAULT_READ = 1 << 0,
	FAULT_WRITE = 1 << 1,
	FAULT_EXECUTE = 1 << 2,
	FAULT_PRESENT = 1 << 3, /* the page was there, the right was missing */
};

/* The most that a reply may map: pages of 4 KiB or, with MAP_LARGE, of 2 MiB. */
#define REPLY_MAP_PAGES 64

/*
 * Labels of replies to the messages above: flags. Without any, a faulting thread tries again, and a foreign
 * system call returns word 0 in rax.
 */
enum reply_flags {
	/* The thread stays stopped (as if suspended) instead of resuming. */
	REPLY_STOP = 1 << 0,
	/* words 6..25 are a struct thread_registers that replaces all general registers; rax too. */
	REPLY_REGISTERS = 1 << 1,
	/* Perform WINDOW_MAP first: word 1 = Window, 2 = address, 3 = first page of the Memory, 4 = pages,
	 * 5 = rights | map flags. At most 64 pages (REPLY_MAP_PAGES), with MAP_LARGE 64 large ones; of more
	 * the answer is RANGE, and nothing has happened. If the mapping fails, the thread faults again. */
	REPLY_MAP = 1 << 2,
	/* A poke that is pending is taken back: this reply has dealt with it. */
	REPLY_CONSUME_POKE = 1 << 3,
	/* The first capability of the message is a VSpace that replaces the thread's. */
	REPLY_VSPACE = 1 << 4,
};
