/* SPDX-License-Identifier: MIT */
/*
 * The system calls of native threads (instruction: syscall on x86_64).
 *
 * Registers, the same for every call:
 *   rax  in: call number                        out: enum error (recv/wait: or RECV_NOTIFICATION)
 *   rdi  in: capability                         out: badge, or signal bits for RECV_NOTIFICATION and wait
 *   rsi  in: message info, or operation         out: message info (recv and call)
 *   rdx r10 r8 r9 r12 r13                       message words 0..5, both ways
 *   r14  in: Reply capabilities (REPLY_PAIR)    out: undefined
 *   r15  in: deadline, absolute                 out: undefined
 * rsp is preserved; every other register may be clobbered (none leaks kernel or foreign state). Not so ds, es, fs and gs:
 * they are nobody's, neither saved nor cleared, and who loads a selector leaves it to all others of its CPU.
 * The kernel never dereferences a user address: what does not fit in registers is in the IPC buffer,
 * which is a Memory that the thread was bound to.
 */
#pragma once

#include <abi/types.h>

/* SYSCALL(name, number) */
#define SYSCALLS                                                                                             \
	/* rdi = Endpoint (WRITE): send and wait for the reply. Deadline covers the time in the queue only. */ \
	/* The server runs on the caller's scheduling context and at no lower priority. LIMIT: the chain of threads   */ \
	/* that wait for each other would be longer than 16 hops. REMOTE: a server of another CPU without a context. */ \
	SYSCALL(SYS_CALL, 1)                                                                                 \
	/* rdi = Endpoint (WRITE): send, wait until it is received (deadline), expect no reply. */           \
	/* REMOTE, in every message: a Reply that goes along is another CPU's than the Endpoint (or the caller). */ \
	SYSCALL(SYS_SEND, 2)                                                                                 \
	/* rdi = Endpoint (READ), r14 low half = Reply that will hold the caller (CPTR_NULL: sends only; */   \
	/* a call that arrives then is answered ERR_STATE). Parks the active Reply of this thread. */        \
	/* REMOTE: the Endpoint or the Reply is another CPU's than the thread. */                             \
	/* Makes it the endpoint's owner, which inherits the priority of the senders that are queued.            */ \
	SYSCALL(SYS_RECV, 3)                                                                                 \
	/* r14 = REPLY_PAIR(answer, receive): answer, then receive as SYS_RECV. */                            \
	SYSCALL(SYS_REPLY_RECV, 4)                                                                           \
	/* r14 low half = Reply: answer and go on. RANGE: registers for a foreign or faulting thread that it must */ \
	/* not have, or more pages for it than REPLY_MAP_PAGES. */                                            \
	SYSCALL(SYS_REPLY, 5)                                                                                \
	/* rdi = Notification (WRITE): OR the capability's badge into its word. Never waits. */               \
	SYSCALL(SYS_SIGNAL, 6)                                                                               \
	/* rdi = Notification (READ): wait for any bit, take and clear all. REMOTE as SYS_RECV. */                                \
	SYSCALL(SYS_WAIT, 7)                                                                                 \
	/* Give the CPU to the next thread of the same priority. */                                          \
	SYSCALL(SYS_YIELD, 8)                                                                                \
	/* rdi = capability, rsi = enum operation, words = arguments; results come back in the words. */      \
	SYSCALL(SYS_INVOKE, 9)                                                                               \
	/* rdi = count, bytes packed little-endian in words 0..5: write up to 48 bytes to the debug UART. */   \
	/* Only in kernels with the debug UART, otherwise ERR_NO_SYSCALL. */                                  \
	SYSCALL(SYS_DEBUG_WRITE, 10)

enum syscall_number {
#define SYSCALL(name, number) name = number,
	SYSCALLS
#undef SYSCALL
};

/* rax of SYS_RECV, SYS_REPLY_RECV when the thread's bound Notification had bits; they are in rdi. */
#define RECV_NOTIFICATION 0x100

/* r14 of SYS_REPLY_RECV. receive 0 means: the same as answer. */
#define REPLY_PAIR(answer, receive) ((uint64_t)(answer) | (uint64_t)(receive) << 32)
