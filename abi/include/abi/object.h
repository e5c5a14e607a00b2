/* SPDX-License-Identifier: MIT */
/*
 * Kernel objects, their sizes, and the operations of SYS_INVOKE on them.
 *
 * Ownership. Retyping makes an object and its *original* capability, a child of the Untyped in the derivation
 * tree. Every other capability to the object is derived from the original, directly or not. Deleting or revoking
 * the original's ancestors, or deleting the original, deletes all derived capabilities first, then destroys the
 * object and returns its memory to the Untyped. Deleting a derived capability hands its own children to its parent.
 * Moving a capability keeps its place in the tree. Every pointer that the kernel keeps from one object to another is
 * a capability slot inside the object, itself in the tree: revoking clears it, nothing dangles.
 */
#pragma once

#include <abi/types.h>

/* OBJECT(name, size in bits; 0: see behind) */
#define OBJECTS                                                                                              \
	OBJECT(OBJECT_NULL, 0)                                                                               \
	OBJECT(OBJECT_UNTYPED, 0)        /* chosen: a naturally aligned power of two; at least 2^UNTYPED_MIN_BITS */  \
	OBJECT(OBJECT_CNODE, 0)          /* chosen: size_bits = slot count bits + SLOT_BITS */                        \
	OBJECT(OBJECT_THREAD, 11)                                                                            \
	OBJECT(OBJECT_SCHED_CONTEXT, 8)                                                                      \
	OBJECT(OBJECT_ENDPOINT, 7)                                                                           \
	OBJECT(OBJECT_REPLY, 7)                                                                              \
	OBJECT(OBJECT_NOTIFICATION, 7)                                                                       \
	OBJECT(OBJECT_VSPACE, 13)                                                                            \
	OBJECT(OBJECT_MEMORY, 0)         /* chosen: at least one page; cleared, unless device memory */              \
	OBJECT(OBJECT_WINDOW, 8)                                                                             \
	OBJECT(OBJECT_IRQ_CONTROL, 0) /* not retyped: the right to make Irqs */                             \
	OBJECT(OBJECT_IRQ, 0) /* not retyped: made by IRQ_CONTROL_LINE, IRQ_CONTROL_MESSAGE */                   \
	OBJECT(OBJECT_IO_PORTS, 0) /* not retyped: a range of ports, by CNODE_DERIVE */                     \
	OBJECT(OBJECT_IO_SPACE, 13)      /* a device's address space; only where there is an IOMMU */        \
	OBJECT(OBJECT_CPU_TIME, 0) /* not retyped: one for each CPU, others by CNODE_DERIVE */              \
	OBJECT(OBJECT_IO_SPACE_CONTROL, 0) /* not retyped: the right to attach IoSpaces to a range of requesters */

enum object_type {
#define OBJECT(name, bits) name,
	OBJECTS
#undef OBJECT
	OBJECT_TYPE_COUNT,
};

#define SLOT_BITS        6 /* a capability slot is 64 bytes */
#define UNTYPED_MIN_BITS 7
#define UNTYPED_CHUNKS   64 /* an Untyped is cut into at most this many objects of one size */

/*
 * OPERATION(name, number): arguments are message words 0..5 (w0..w5), results come back in the same registers.
 * Unused arguments must be zero. Needed rights are MANAGE on the invoked capability unless stated.
 */
#define OPERATIONS                                                                                            \
	/* Untyped. An Untyped is cut into chunks of one size, fixed by its first retype until all are free again; */ \
	/* sizes differ by at most 2^6. w0 = enum object_type | size_bits << 8 (0 for fixed sizes) | home CPU << 16 (of */ \
	/* Threads, SchedContexts, Endpoints, Replies, Notifications; else 0; it never changes), w1 = count (1..64), */ \
	/* w2 = destination CNode (CPTR_NULL: the caller's CSpace), w3 = first destination slot. Clears memory. Preemptible and */ \
	/* restarted by itself: an error that others cause meanwhile comes when some objects are made. */           \
	/* RANGE (also: it is cut into chunks of another size; there is no such CPU), ARGUMENT, NO_MEMORY, OCCUPIED, LIMIT (Untypeds nested */   \
	/* too deep), STATE (it is being deleted; an IoSpace without an IOMMU) */                                  \
	OPERATION(UNTYPED_RETYPE, 0x10)                                                                       \
	/* -> w0 = size_bits, w1 = chunk bits (0: uncut), w2 = bitmap of chunks in use, w3 = 1 if device,  */     \
	/* w4 = physical address (needs DMA) */                                                                     \
	OPERATION(UNTYPED_INFO, 0x11)                                                                         \
                                                                                                              \
	/* CNode: the invoked CNode holds the destination. w0 = destination slot, w1 = source CNode (CPTR_NULL: the */ \
	/* caller's CSpace), w2 = source slot, w3 = rights mask. By type of the source: w4 = badge (Endpoint, */      \
	/* Notification; only of an unbadged one, 0 keeps), w4 = first page and w5 = pages (Memory; 0,0 keeps), w4 = first */ \
	/* port, w5 = count (IoPorts; 0,0 keeps), w4 = share in 1/1000 and w5 = maximum priority (CpuTime; 0,0 keeps), */ \
	/* w4 = first requester, w5 = count (IoSpaceControl; 0,0 keeps). */                                         \
	/* Untyped, Reply: ERR_WRONG_TYPE (move them). LIMIT: more than the CpuTime has, or more than 16 derived from */ \
	/* each other. NO_CAPABILITY, OCCUPIED, RANGE, ARGUMENT */                                                  \
	OPERATION(CNODE_DERIVE, 0x20)                                                                         \
	/* w0 = destination slot, w1 = source CNode, w2 = source slot */                                             \
	OPERATION(CNODE_MOVE, 0x21)                                                                           \
	/* w0 = slot. An empty slot is not an error. Preemptible and restarted by itself. */                          \
	OPERATION(CNODE_DELETE, 0x22)                                                                         \
	/* w0 = slot: delete everything derived from it, keep it. Preemptible and restarted by itself. Below an Untyped or */ \
	/* IrqControl, nothing is derived or cut any more from what the revocation has reached, also if it is broken off: as a source */ \
	/* that is NO_CAPABILITY; a message's transfer of copies ends there. */                                      \
	OPERATION(CNODE_REVOKE, 0x23)                                                                         \
                                                                                                              \
	/* Thread. w0 = enum thread_binding, w1 = capability (CPTR_NULL: unbind). The kernel keeps a derived one. */   \
	/* REMOTE: a Notification or SchedContext of another CPU than the thread's */                                 \
	OPERATION(THREAD_BIND, 0x30)                                                                          \
	/* w0 = CpuTime, w1 = priority (at most the CpuTime's maximum). REMOTE: the CpuTime is another CPU's */       \
	OPERATION(THREAD_SET_PRIORITY, 0x31)                                                                  \
	/* A stopped one goes on; no change for others. STATE: it has no VSpace */                                    \
	OPERATION(THREAD_RESUME, 0x32)                                                                        \
	/* Stop it; a wait that it was in is canceled (ERR_CANCELED when it is resumed). A call that is on its way to */ \
	/* another CPU, and what the kernel says of it, is made again then */                                         \
	OPERATION(THREAD_SUSPEND, 0x33)                                                                       \
	/* -> IPC buffer words 0.. = struct thread_registers. STATE while it runs, is ready or travels */                     \
	OPERATION(THREAD_READ_REGISTERS, 0x34)                                                                \
	/* IPC buffer words 0.. = struct thread_registers; reserved flags are masked; RANGE: non-canonical address. */ \
	/* STATE if it is not stopped. It begins anew: the caller that it worked for hears PEER_DIED */               \
	OPERATION(THREAD_WRITE_REGISTERS, 0x35)                                                               \
	/* -> IPC buffer data = XSAVE area; w0 = bytes (0: the thread has none). STATE while it runs */               \
	OPERATION(THREAD_READ_VECTOR, 0x36)                                                                   \
	/* w0 = bytes in IPC buffer data (0: reset to the initial state); ARGUMENT: malformed */                     \
	OPERATION(THREAD_WRITE_VECTOR, 0x37)                                                                  \
	/* A foreign one (STATE: it is native) sends LABEL_INTERRUPTED before it goes on in user mode */              \
	OPERATION(THREAD_POKE, 0x38)                                                                          \
	/* w0 = 1: foreign, 0: native */                                                                             \
	OPERATION(THREAD_SET_FOREIGN, 0x39)                                                                   \
	/* w0 = FS base (any thread; also the caller's own) */                                                       \
	OPERATION(THREAD_SET_TLS, 0x3a)                                                                       \
	/* -> w0 = CPU time used by its own scheduling context (ns), w1 = enum thread_state, w2 = priority, w3 = CPU, */ \
	/* w4 = effective priority: its own, or inherited from those that wait for it */                             \
	OPERATION(THREAD_INFO, 0x3b)                                                                          \
	/* -> w0 to w4 = what THREAD_WRITE_DEBUG wrote; zeros in a new thread */                                     \
	OPERATION(THREAD_READ_DEBUG, 0x3c)                                                                    \
	/* Breakpoints: w0 to w3 = DR0 to DR3, w4 = DR7. Before an instruction, or after a write or an access, in user mode the */ \
	/* thread sends LABEL_EXCEPTION with vector 1; resumed, it executes the instruction. STATE while it runs. RANGE: not a */ \
	/* user address. ALIGNMENT: not a multiple of its length. ARGUMENT: more in w4 than enables (bits 0 to 9), kinds and */ \
	/* lengths (16 to 31); kind 2 (ports); kind 0 (instructions) of a length but 0 */                             \
	OPERATION(THREAD_WRITE_DEBUG, 0x3d)                                                                   \
	/* w0 to w5 = a name in its bytes, zeros behind: for the trace; a kernel without one: NO_OPERATION */         \
	OPERATION(THREAD_NAME, 0x3e)                                                                          \
                                                                                                              \
	/* CpuTime: w0 = SchedContext, w1 = budget, w2 = period (ns; budget == period: plain round robin with that slice). */ \
	/* ARGUMENT (also: a budget below 10,000 ns or above the period, a period of more than an hour). */              \
	/* A budget begins as if it had just been used up, or with what is left of the one before. LIMIT: the share is */ \
	/* promised already. A plain slice needs no share: the CpuTime's priority alone bounds what it takes from others. */ \
	/* REMOTE: the SchedContext is another CPU's */                                                              \
	OPERATION(CPU_TIME_CONFIGURE, 0x40)                                                                   \
	/* SchedContext -> w0 = consumed (ns), w1 = budget, w2 = period */                                           \
	OPERATION(SCHED_CONTEXT_INFO, 0x41)                                                                   \
                                                                                                              \
	/* Endpoint: fail queued and later calls with ERR_CLOSED */                                      \
	OPERATION(ENDPOINT_CLOSE, 0x50)                                                                       \
	/* It takes calls again */                                                                                    \
	OPERATION(ENDPOINT_OPEN, 0x51)                                                                        \
                                                                                                              \
	/* VSpace, IoSpace: w0 = Untyped, w1 = size_bits: cut one chunk of that size out of it for page-table pages. */           \
	/* At most VSPACE_FEEDS times. RANGE, LIMIT, NO_MEMORY, STATE (it is being deleted) */                        \
	OPERATION(VSPACE_FEED, 0x60)                                                                          \
	/* w0 = address, w1 = pages -> w0 = pages that were present */                                              \
	OPERATION(VSPACE_UNMAP, 0x61)                                                                         \
	/* w0 = address, w1 = pages (at most 12288): IPC buffer data = two bits a page: accessed, dirty; clears them. */ \
	/* Not of an IoSpace (NO_OPERATION). */                                                                     \
	OPERATION(VSPACE_HARVEST, 0x62)                                                                       \
	/* Take back page-table pages that map nothing -> w0 = free page-table pages now */                           \
	OPERATION(VSPACE_RECLAIM, 0x63)                                                                       \
	/* -> w0 = free page-table pages, w1 = used */                                                              \
	OPERATION(VSPACE_INFO, 0x64)                                                                          \
                                                                                                              \
	/* Memory -> w0 = pages, w1 = 1 if device, w2 = physical address (needs DMA; else 0). Any right. */            \
	OPERATION(MEMORY_INFO, 0x70)                                                                          \
                                                                                                              \
	/* Window: w0 = Memory (MANAGE), w1 = VSpace or IoSpace (MANAGE), w2 = rights (of the Memory's). Once. OCCUPIED */          \
	OPERATION(WINDOW_BIND, 0x80)                                                                          \
	/* w0 = address, w1 = first page of the Memory, w2 = pages, w3 = rights | enum map_flags. Replaces what is there: */ \
	/* a small page takes the place of a large one as a whole. */                                            \
	/* NO_MEMORY: w0 = pages done; feed the VSpace and go on. RIGHTS, RANGE, ALIGNMENT, STATE (not bound), ARGUMENT */ \
	/* (also: MAP_LARGE where the IOMMU knows no large pages) */                                                \
	OPERATION(WINDOW_MAP, 0x81)                                                                           \
	/* w0 = base address, w1 = entries of the IPC buffer's scatter list; errors as WINDOW_MAP, w0 = entries done */    \
	OPERATION(WINDOW_MAP_SCATTER, 0x82)                                                                   \
	/* w0 = address, w1 = pages, w2 = rights: change pages of this Window's Memory that are present; others are left */ \
	/* alone. A large page changes as a whole, if it lies in the Memory as a whole. */                            \
	OPERATION(WINDOW_PROTECT, 0x83)                                                                       \
                                                                                                              \
	/* IrqControl: w0 = global interrupt number (ACPI GSI), w1 = enum irq_flags, w2 = destination CNode (null: the */ \
	/* caller's), w3 = slot. OCCUPIED (also: the line has an Irq already) */                                      \
	OPERATION(IRQ_CONTROL_LINE, 0x90)                                                                     \
	/* w2, w3 as above -> w0 = message address, w1 = message data for the device. LIMIT: no vector left */            \
	OPERATION(IRQ_CONTROL_MESSAGE, 0x91)                                                                  \
	/* Irq: w0 = Notification (WRITE; its badge is signalled; CPTR_NULL: unbind). Unmasks: a message that came while it was */ \
	/* not bound is signalled now. */                       \
	OPERATION(IRQ_BIND, 0x92)                                                                             \
	/* Irq: handled; it may fire again */                                                                         \
	OPERATION(IRQ_ACKNOWLEDGE, 0x93)                                                                      \
                                                                                                              \
	/* IoPorts: w0 = port, w1 = width in bytes (1, 2, 4) -> w0 = value. Needs READ */                                \
	OPERATION(IO_PORTS_IN, 0xa0)                                                                          \
	/* w0 = port, w1 = width, w2 = value. Needs WRITE */                                                          \
	OPERATION(IO_PORTS_OUT, 0xa1)                                                                         \
	/* w0 = port, w1 = count (at most 3072): bytes from one port into IPC buffer data */                          \
	OPERATION(IO_PORTS_IN_STRING, 0xa2)                                                                   \
	/* w0 = port, w1 = count (at most 3072): bytes from IPC buffer data to one port. Needs WRITE */                \
	OPERATION(IO_PORTS_OUT_STRING, 0xa3)                                                                  \
                                                                                                              \
	/* IoSpace (also the operations of a VSpace): w0 = IoSpaceControl (MANAGE), w1 = requester (bus << 8 | device << 3 | */ \
	/* function): from now on this device reaches what is mapped here and nothing else. OCCUPIED (either is attached), */ \
	/* RANGE (not the IoSpaceControl's), STATE (firmware reserves memory for the device), LIMIT (too many devices or */ \
	/* buses). Revoking the IoSpaceControl detaches.             */                                             \
	OPERATION(IO_SPACE_ATTACH, 0xb0)                                                                      \
	/* The device reaches nothing until an IoSpace is attached to it again. STATE: it is not attached */        \
	OPERATION(IO_SPACE_DETACH, 0xb1)                                                                      \
	/* -> w0 = 1 if attached, w1 = requester, w2 = its faults since then (at most IO_SPACE_FAULTS: later ones are not */ \
	/* recorded), w3 = the space's end, w4 = 1 if MAP_LARGE is possible */                                      \
	OPERATION(IO_SPACE_INFO, 0xb2)

enum operation {
#define OPERATION(name, number) name = number,
	OPERATIONS
#undef OPERATION
};

/* What THREAD_BIND binds. */
enum thread_binding {
	BIND_CSPACE,       /* CNode */
	BIND_VSPACE,       /* VSpace */
	BIND_FAULT,        /* Endpoint (WRITE): faults and exceptions of a native thread */
	BIND_SYSCALL,      /* Endpoint (WRITE): system calls, faults and exceptions of a foreign thread */
	BIND_IPC_BUFFER,   /* Memory of 1 to IPC_BUFFER_PAGES_MAX pages (READ, WRITE) */
	BIND_NOTIFICATION, /* Notification (READ): recv delivers its bits too */
	BIND_SCHED_CONTEXT,
	THREAD_BINDING_COUNT,
};

enum thread_state {
	THREAD_STATE_STOPPED, /* new, suspended, or stopped by a fault whose handler died */
	THREAD_STATE_READY,
	THREAD_STATE_RUNNING,
	THREAD_STATE_BLOCKED_SEND,
	THREAD_STATE_BLOCKED_RECV,
	THREAD_STATE_BLOCKED_REPLY,
	THREAD_STATE_BLOCKED_WAIT,
};

enum map_flags {
	MAP_LARGE = 1 << 8,    /* 2 MiB pages: address, offset and count are multiples of 512 pages */
	MAP_UNCACHED = 1 << 9, /* implied for device memory */
	/* Instead of uncached: writes may be gathered and come late, for frame buffers. Not together with it: ARGUMENT */
	MAP_WRITE_COMBINING = 1 << 10,
};

enum irq_flags {
	IRQ_LEVEL = 1 << 0,      /* level-triggered; else edge */
	IRQ_ACTIVE_LOW = 1 << 1,
};

#define VSPACE_FEEDS    32
#define IO_REQUESTERS   65536
#define IO_SPACE_FAULTS 15
