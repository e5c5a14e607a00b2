/* SPDX-License-Identifier: MIT */
/*
 * What each CPU has of its own. Only one runs for now; nothing outside this structure says so.
 */
#pragma once

#include <kernel/arch.h>
#include <kernel/heap.h>
#include <kernel/tags.h>

#define CPU_MAX 8

struct sched_context;
struct thread;
struct vspace;
struct mail;

struct ready_queue {
	struct thread *first, *last;
};

struct cpu {
	struct arch_cpu arch; /* first */
	/* The thread that was in user mode, or that user mode is returned to, or the visitor whose operation
	 * is executed; NULL: idle. Not in a ready queue. */
	struct thread *current;
	struct vspace *vspace; /* whose page tables are in use; NULL: the kernel's own */
	/* Whose time it is: charged up to `since`. Where the CPU goes on with the same context no clock is
	 * read. NULL: nobody's. */
	struct sched_context *context;
	uint64_t since;
	deadline_t timer; /* what the one-shot timer was set to */
	struct heap deadlines;
	deadline_t expire_from; /* the timer is not set to earlier ones: deadline_expire() */
	struct ready_queue ready[PRIORITY_COUNT];
	uint64_t ready_bits[PRIORITY_COUNT / 64]; /* bit set: that queue is not empty */
	uint64_t ready_words;                     /* bit set: that word of ready_bits is not zero */
	unsigned index;

	/* ---- several CPUs: mail.c, lock.c, vspace.c ---- */
	uint64_t home_key;    /* index, as the header of a slot has it */
	uint64_t flushed;     /* what was changed up to this tlb_generation, this CPU's TLB has not */
	struct mail *mailbox; /* an atomic stack: written by all CPUs */
	struct mail *inbox;   /* taken and not yet acted on, in order */
	struct mail *inbox_last;
	struct cpu *go_to; /* where the operation that it is at has to go on */
	bool in_kernel;    /* debug kernels: holds the debug lock */
	struct tags tags;  /* where the TLB has them */
};

/* Of this machine; boot_data's. */
extern unsigned cpu_count;

static inline struct cpu *this_cpu(void)
{
	return arch_this_cpu();
}

/* Core's part; the arch code has set its own. */
void cpu_init(struct cpu *cpu);
