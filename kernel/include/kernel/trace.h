/* SPDX-License-Identifier: MIT */
/*
 * The trace: what each CPU did and when, in a ring of memory that is set aside at boot. Only kernels built
 * with PITH_TRACE have it (build/kernel-trace); in all others not an instruction of it is left. Nobody reads
 * it inside the system: `./pith trace` finds `trace` by its symbol in the emulated machine's memory
 * (tools/pith/trace.py knows these layouts).
 *
 * The rings are written by their CPUs only, names with the tree's lock.
 */
#pragma once

#include <abi/types.h>

/* What `detail` and `words` hold stands behind each. */
enum trace_kind {
	/* From user mode, or (thread NULL) while idle. The vector, 0x100 for a system call; of calls and
	 * interrupts rax, rdi, rsi, of exceptions address, error code, 0; and rip. */
	TRACE_ENTER = 1,
	TRACE_EXIT, /* rax, rip */
	TRACE_IDLE,
	TRACE_POLL,    /* a preemption point; no interrupt waits */
	TRACE_VSPACE,  /* the page tables are changed: root */
	TRACE_MESSAGE, /* enum message_kind; receiver, badge, info. thread is the sender */
	TRACE_REPLY,   /* enum message_kind of what is answered; caller, info. thread is who answers */
	TRACE_SIGNAL, /* notification, bits, who waits or is bound. thread is the CPU's current one or NULL */
	TRACE_MARK,   /* some at boot: what lies between two is the cost of an event */
};

struct trace_event {
	uint64_t time; /* TSC */
	uint16_t kind, cpu;
	uint32_t detail;
	uint64_t thread;
	uint64_t words[5];
};

struct trace_name {
	uint64_t time, thread;
	char text[6 * 8]; /* what fits in a message's registers; zeros behind */
};

struct trace_ring {
	struct trace_event *events;
	uint64_t capacity; /* a power of two; 0: there is no such CPU */
	uint64_t written;  /* ever */
	/* Since when no interrupt could be served (entry or a preemption point), and the longest such time so
	 * far. */
	struct trace_event entered, longest_entered;
	uint64_t longest;
};

#ifdef PITH_TRACE
#define trace_is_built true
/* The memory that trace_init() is to be given on a machine with so much. */
uint64_t trace_bytes(uint64_t ram_bytes);
void trace_init(void *memory, uint64_t bytes, unsigned cpus);
void trace(enum trace_kind kind, uint64_t detail, const void *thread, uint64_t a, uint64_t b, uint64_t c,
           uint64_t d);
/* text: the six words of a name; NULL: the thread is new and has none. */
void trace_name(const void *thread, const uint64_t *text);
#else
#define trace_is_built false
static inline void trace(enum trace_kind kind, uint64_t detail, const void *thread, uint64_t a, uint64_t b,
                         uint64_t c, uint64_t d)
{
	(void)kind, (void)detail, (void)thread, (void)a, (void)b, (void)c, (void)d;
}

static inline void trace_name(const void *thread, const uint64_t *text)
{
	(void)thread, (void)text;
}
#endif
