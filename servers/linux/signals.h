/* SPDX-License-Identifier: MIT */
/* Signals inside the process half. Structures that processes see have Linux's layout. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "wait.h"

struct process;
struct thread;
typedef uint64_t sigset_bits;

#define SIGNAL_BIT(signal) (1ul << ((signal)-1))

/* struct kernel_sigaction */
struct signal_action {
	uint64_t handler; /* 0: default, 1: ignore */
	uint64_t flags;   /* SA_* */
	uint64_t restorer;
	sigset_bits mask;
};

/* Of its flags those that mean something: SA_NOCLDSTOP, NOCLDWAIT, SIGINFO, EXPOSE_TAGBITS, RESTORER, ONSTACK, RESTART, NODEFER, RESETHAND. */
#define ACTION_FLAGS    0xdc000807ul
#define HANDLER_DEFAULT 0
#define HANDLER_IGNORE  1

/* siginfo_t */
struct linux_siginfo {
	int32_t signal, error, code, padding;
	union {
		uint8_t bytes[112];
		struct {
			int32_t pid;
			uint32_t uid;
			union {
				uint64_t value; /* sigqueue */
				int32_t status; /* SIGCHLD */
			};
			int64_t user_time, system_time;
		};
		struct {
			int32_t timer, overrun;
			uint64_t timer_value;
		};
		uint64_t address;
		struct { /* of a file */
			int64_t band;
			int32_t fd;
		};
	};
};
_Static_assert(sizeof(struct linux_siginfo) == 128, "siginfo_t");

struct signal_item {
	struct signal_item *next;
	struct user *user; /* whom it counts for */
	struct linux_siginfo info;
};

/* Signals on their way. A pending bit without an item: there was no memory for more than the number, or the
 * user has too many. */
struct signal_queue {
	sigset_bits pending;
	struct signal_item *first, *last;
};

struct signal_state {
	struct signal_action actions[64];
	struct signal_queue pending; /* for any thread of the process */
	bool stopped;                /* by job control */
	struct waitq continue_wait;
	struct waitq arrived; /* signalfd: who waits for any signal */
};

struct signal_state *signal_state_create(const struct signal_state *copy_from);
void signal_state_free(struct signal_state *state);
void signal_queue_flush(struct signal_queue *queue, sigset_bits signals);
/* Handlers become defaults (exec). */
void signal_state_exec(struct signal_state *state);

/* thread NULL: any thread of the process. false: its user has too many on their way already. */
bool signal_post(struct process *process, struct thread *thread, const struct linux_siginfo *info);
/* thread NULL: in the queue of all threads. */
bool signal_is_queued(const struct process *process, const struct thread *thread, int signal);
bool signal_is_ignored(const struct process *process, int signal);
/* A timer's; if one of the same timer is still on its way, that one's overrun is counted up instead. */
void signal_post_timer(struct process *process, struct thread *thread, const struct linux_siginfo *info);
/* A fault of its own: cannot be blocked or ignored. */
void signal_force(struct thread *thread, const struct linux_siginfo *info);
/* Next deliverable signal in the set, taken out. false: none. */
bool signal_dequeue(struct thread *thread, sigset_bits set, struct linux_siginfo *info);
bool signal_stops(int signal);
sigset_bits signal_mask_allowed(sigset_bits mask); /* without SIGKILL, SIGSTOP */
void signal_set_mask(struct thread *thread, sigset_bits mask);
void signal_retarget(struct process *process);

/*
 * Everything that is due before the thread returns to user mode: stops are slept through, fatal signals make
 * it exit. true: *info and *action are a signal with a handler that must run now.
 */
bool signal_take(struct thread *thread, struct linux_siginfo *info, struct signal_action *action);
/* Parent's news of a child that stopped, continued or ended: SIGCHLD and a wake of wait4. */
void signal_notify_parent(struct process *process, int code, int status);

/* ---- sigframe.c ---- */
/* Push a frame for the handler; false: the stack cannot take it (the thread then dies of SIGSEGV). */
/* Why its floating point unit (or vector unit) stopped the thread: FPE_*; 0: it did not. */
int float_error_code(struct thread *thread, bool vector);
bool sigframe_push(struct thread *thread, const struct linux_siginfo *info,
                   const struct signal_action *action);
