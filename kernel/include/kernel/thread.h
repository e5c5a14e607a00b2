/* SPDX-License-Identifier: MIT */
/*
 * Threads: registers, bindings, what they wait for.
 *
 * Invariants: a thread is in a ready queue iff its state is READY and it runs on a scheduling context with
 * budget; it is in the wait queue of `waits_on` iff it is BLOCKED_SEND, BLOCKED_RECV or BLOCKED_WAIT; `reply`
 * is set iff it is BLOCKED_REPLY (the Reply that holds it) or BLOCKED_RECV (the Reply that will hold its
 * caller; may be NULL); `active` is the Reply of its current job.
 *
 * A thread that waits has its deadline armed for no later than it asked for. Who is found waiting by the fast
 * path keeps it armed, so that a server which always waits for the same time, or a later one, arms it once:
 * an earlier expiry finds a thread that does not wait, or arms what it waits for now. Stopped threads and
 * those that travel have none.
 */
#pragma once

#include <kernel/arch.h>
#include <kernel/deadline.h>
#include <kernel/mail.h>
#include <kernel/queue.h>
#include <kernel/slot.h>

struct cpu;
struct endpoint;
struct reply;
struct sched_context;

enum message_kind {
	MESSAGE_CALL,    /* native: words in registers and IPC buffer, wants a reply */
	MESSAGE_SEND,    /* native: the same without a reply */
	MESSAGE_FAULT,   /* by the kernel: label and words in `fault`; the reply resumes it */
	MESSAGE_FOREIGN, /* by the kernel: the registers of a foreign system call */
};

enum thread_flags {
	THREAD_FOREIGN = 1 << 0,
	THREAD_RESTARTED = 1 << 1, /* is repeating an interrupted operation: `progress` counts on */
};

/* Internal states beside enum thread_state: destroyed during the current operation; */
#define THREAD_STATE_DEAD 0xff
/* in a mailbox. Nobody is told of it. */
#define THREAD_STATE_TRAVELLING 0xfe

struct thread_fault {
	uint32_t label;
	uint32_t words;
	uint64_t word[4];
};

struct thread {
	struct arch_context context; /* first */
	struct arch_vector vector;   /* second: where the architecture expects it */
	uint32_t flags;              /* enum thread_flags; third: entry code looks at them */
	uint8_t message;             /* enum message_kind, while BLOCKED_SEND or BLOCKED_REPLY */
	uint8_t state;               /* enum thread_state */
	uint8_t depth;               /* the longest chain of threads that wait for it, CHAIN_MAX at most */
	uint8_t priority;            /* effective: base, or that of one who waits for it */
	uint8_t base_priority;
	uint8_t queued; /* is in a ready queue */
	union {
		struct {
			uint8_t poked; /* the syscall endpoint is to be told of it; set by any CPU */
			uint8_t away;  /* `cpu` is not `home` */
			uint8_t late;  /* its slice ended while others worked on it: behind its equals, once */
			uint8_t unsaid; /* nobody answered what was said about it: it is said again first */
		};
		uint32_t detained; /* any of them: to run it takes more than returning to user mode */
	};
	uint8_t canceled; /* it is to stop, at home or before its next turn elsewhere; set with the lock */
	uint8_t lent;     /* by its waiters, since it left home; written there, and only raised */
	uint8_t boosted;  /* `boost` is in a mailbox */
	uint8_t trip;     /* enum trip, while TRAVELLING, or READY or RUNNING on a visit */
	uint32_t tour;    /* CPUs that it has to visit, for their TLBs' sake, before it goes on */
	struct mail mail;
	struct mail boost;           /* `lent` was raised */
	struct sched_context *sched; /* that it runs on: lent by its caller, or its own; inherit.h */
	struct sched_context *own;   /* == object of bindings[BIND_SCHED_CONTEXT] */
	uint64_t visited;            /* ns: used on visits, and not yet charged to a context */
	struct thread *ready_next, *ready_prev;
	struct cpu *home; /* never changes */
	struct cpu *cpu;  /* owns this thread now: only it touches what belongs to the thread */

	struct heap_node wait; /* in a wait_queue */
	struct wait_queue *waits_on;
	struct reply *reply;
	struct reply *active;
	struct endpoint *owns; /* that it last asked to receive from, unless another thread did since */
	badge_t badge;         /* of the message that it sends */
	struct deadline deadline;

	uint64_t progress;      /* of a restarted operation, */
	uint64_t progress_with; /* which is this one (type << 16 | operation) */
	uint64_t progress_of;   /* of this object: who calls another one next begins at 0 */
	struct thread_fault fault;
	struct slot bindings[THREAD_BINDING_COUNT];
};
_Static_assert(sizeof(struct thread) <= 1 << 11, "Thread object");

static inline struct thread *thread_of_wait(struct heap_node *node)
{
	return (struct thread *)((char *)node - offsetof(struct thread, wait));
}

static inline struct thread *thread_of_mail(struct mail *mail)
{
	return (struct thread *)((char *)mail - offsetof(struct thread, mail));
}

static inline struct thread *thread_of_boost(struct mail *mail)
{
	return (struct thread *)((char *)mail - offsetof(struct thread, boost));
}

static inline struct thread *thread_of_deadline(struct deadline *deadline)
{
	return (struct thread *)((char *)deadline - offsetof(struct thread, deadline));
}

/* It may change at any time, unless it is this CPU. */
static inline struct cpu *thread_owner(const struct thread *thread)
{
	return __atomic_load_n(&thread->cpu, __ATOMIC_ACQUIRE);
}

static inline bool thread_is_foreign(const struct thread *thread)
{
	return thread->flags & THREAD_FOREIGN;
}

static inline struct vspace *thread_vspace(const struct thread *thread)
{
	return slot_object(&thread->bindings[BIND_VSPACE]);
}

/* The IPC buffer in the direct map, or NULL. */
static inline struct ipc_buffer *thread_buffer(const struct thread *thread)
{
	const struct slot *slot = &thread->bindings[BIND_IPC_BUFFER];

	return slot_empty(slot) ? NULL : phys_to_virt(slot->object);
}

static inline uint64_t thread_buffer_bytes(const struct thread *thread)
{
	return thread->bindings[BIND_IPC_BUFFER].pages << PAGE_BITS; /* an empty slot has none */
}

/* From here on it does something else: nothing of an interrupted operation is left. False: not these
 * registers. */
static inline bool thread_redirect(struct thread *thread, const struct thread_registers *registers)
{
	if (!arch_context_write(&thread->context, registers))
		return false;
	thread->flags &= ~(uint32_t)THREAD_RESTARTED;
	thread->unsaid = false;
	return true;
}

void thread_init(struct thread *thread, struct cpu *home);
/* When the wait that it is in ends; DEADLINE_NEVER also if it is in none. */
deadline_t thread_deadline(const struct thread *thread);
/* An armed deadline has come. */
void thread_expire(struct thread *thread, uint64_t now);
void thread_arm(struct thread *thread, deadline_t deadline);
/* Nobody will answer the kernel's message that it waits with, or is under way with: resumed it makes its system
 * call again, or faults again; what would not happen again is said again (`poked`, `unsaid`). */
void thread_unanswered(struct thread *thread);

static inline bool thread_is_armed_for(const struct thread *thread, deadline_t deadline)
{
	return deadline == DEADLINE_NEVER ||
	       (deadline_armed(&thread->deadline) && thread->deadline.node.key <= deadline);
}

/* The original is being deleted: end every relation to others. */
void thread_destroy(struct thread *thread);
/* A binding is about to be cleared, whoever asked for it: undo what it meant. */
void thread_binding_cleared(struct thread *thread, unsigned binding);
/* The binding's slot was filled: make it mean something. */
void thread_binding_filled(struct thread *thread, unsigned binding);

/* The running thread begins to wait in a queue. */
void thread_block(struct thread *thread, unsigned state, struct wait_queue *queue, deadline_t deadline);
/* It leaves the queue and its deadline; the caller decides what becomes of it. */
void thread_unqueue(struct thread *thread);
/* Its wait, if any, ends with this status. One that did not wait for itself (a fault, a foreign call) is
 * stopped, except that a timeout is never its own. */
void thread_cancel(struct thread *thread, enum error status);
/* Its wait has ended and it is in no queue any more: it may run. */
void thread_wake(struct thread *thread);
/* The same for one that goes on with a context that had the CPU: before its equals. */
void thread_wake_first(struct thread *thread);
/* It waits for nothing: run no more until resumed. It belongs to its home again. */
void thread_stop(struct thread *thread);
/* Cancel and stop. */
void thread_suspend(struct thread *thread);

unsigned thread_invoke(struct thread *caller, struct slot *slot, unsigned operation);
