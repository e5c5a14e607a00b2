/* SPDX-License-Identifier: MIT */
/* Threads inside the process half: kernel objects, the call being served, life cycle. */
#pragma once

#include <pith/syscall.h>
#include "deadline.h"
#include "process.h"
#include "signals.h"

struct space;
struct pi_waiter;

/*
 * The kernel's objects for one thread. They outlive it: a thread that ends leaves them stopped on a free
 * list, with their badge, for the next one.
 */
struct kernel_thread {
	struct kernel_thread *next_free;
	struct thread *thread; /* NULL: free */
	cptr_t object, sched_context;
	cptr_t vspace;      /* bound now, or CPTR_NULL */
	uint64_t time_base; /* CPU time of its former users */
	uint32_t number;    /* the badge of its messages */
	unsigned priority; /* as the kernel has it */
	uint64_t slice;    /* ns */
	unsigned cpu;      /* its home */
};

#define BALANCE_CPUS 8

/* balance.c */
struct thread_balance {
	uint32_t calls;  /* since the last tick */
	uint16_t quiet;  /* ticks in user mode without a call */
	uint8_t settled; /* ticks that it stays where it is */
	uint8_t target;  /* the CPU where it should be */
};

/* What a message brought, and then its answer: on the stack of the fiber that serves it. */
union delivery {
	struct message message;
	struct {
		uint64_t info;
		uint64_t words[MESSAGE_REGISTER_WORDS + 1]; /* a system call: number and arguments */
	};
};

struct thread_private {
	struct thread *next_hash;
	struct kernel_thread *kernel;
	cptr_t reply;             /* holds its call; CPTR_NULL: it is in user mode */
	uint32_t label;           /* of the call: enum kernel_label */
	union delivery *delivery; /* of the call, while it is served */
	union {
		struct {
			bool attention; /* look at signals, stops and exits before it returns to user mode */
			bool exiting;   /* ends before it returns to user mode */
			bool poked;
			bool yields;            /* once it is answered, its equals run first */
			bool registers_changed; /* the answer carries them */
			bool mask_saved;
		};
		uint64_t unusual; /* any of these */
	};
	sigset_bits wait_set;   /* blocked, but waited for by rt_sigtimedwait */
	sigset_bits saved_mask; /* signal_mask_until_return: the mask to go back to */
	struct signal_queue pending;
	uint64_t alternate_stack, alternate_size;
	uint32_t alternate_flags;
	uint64_t clear_child_tid, robust_list, robust_length;
	deadline_t restart_deadline; /* of a call that is made again; 0: none */
	uint64_t fault_address;      /* of a signal frame's cr2, trap number and error code */
	uint32_t fault_trap, fault_code;
	uint64_t affinity; /* bit n: it may run on CPU n */
	uint8_t policy, priority; /* SCHED_*; 1 to 99 of SCHED_FIFO and SCHED_RR, else 0 */
	uint64_t realtime_mark, realtime_period; /* realtime.c: its time at the beginning of that period */
	bool reset_on_fork;       /* its children begin with SCHED_OTHER */
	uint16_t memory_policy;   /* mempolicy.c */
	uint64_t timer_slack;     /* PR_SET_TIMERSLACK, ns; 0: the default */
	bool left_futexes;        /* futex_exit has been here */
	unsigned lent;            /* priority of who waits for futexes that it holds (futex_pi.c); 0: nobody */
	struct pi_waiter *pi_wait; /* it waits for one */
	struct thread_balance balance;
};

/* ---- kernel_thread.c ---- */
struct kernel_thread *kernel_thread_take(struct thread *thread,
                                         unsigned cpu);   /* NULL: out of kernel memory */
void kernel_thread_release(struct kernel_thread *kernel); /* stopped, not in a call */
struct kernel_thread *kernel_thread_of(badge_t badge);
bool kernel_thread_bind(struct kernel_thread *kernel, struct space *space);
/* What it has or what it was lent, whichever is higher. */
unsigned thread_priority(const struct thread *thread);
/* That, or its policy, has changed. */
void kernel_thread_schedule(struct thread *thread);
/* Ready, it goes behind the others of its priority. */
void kernel_thread_yield(struct kernel_thread *kernel);
uint64_t kernel_thread_time(const struct kernel_thread *kernel);
void kernel_threads_init(cptr_t service);

/* ---- thread.c ---- */
/* A thread of the process, not running yet. tid 0: a new one. NULL: no memory. */
struct thread *thread_create(struct process *process, int tid);
/* Its name, for traces. */
void thread_tell_name(struct thread *thread);
void thread_set_name(struct thread *thread, const char name[COMM_SIZE]);
void thread_end(struct thread *thread); /* all but its record, which free() takes */
/* First run: from these registers. */
void thread_begin(struct thread *thread, const struct thread_registers *registers);
/* Registers of a thread that is being served, read once a call. */
struct thread_registers *thread_registers(struct thread *thread);
/* The same, to be changed: they go back with the answer. */
struct thread_registers *thread_registers_change(struct thread *thread);
/* Have it look at its signals soon, wherever it is. */
void thread_alert(struct thread *thread);
/* Have it come in if it is in user mode. */
void thread_poke_in(struct thread *thread);
void thread_set_tid(struct thread *thread, int tid);

/* ---- process.c ---- */
struct process *
process_create(struct process *parent); /* NULL: no memory; not visible until process_publish */
void process_publish(struct process *process);
void process_free(struct process *process); /* never published, or reaped */
int pid_allocate(void);                     /* 0: none left */
bool pid_used(int pid);
void process_set_parent(struct process *process, struct process *parent);
int process_parent_pid(const struct process *process);
struct process *process_init(void); /* pid 1, or NULL */

/* ---- exit.c ---- */
/* The whole process is to end with this wait status; the caller's thread ends when its call does. */
void process_exit_group(struct process *process, int wait_status);
/* On the thread's own fiber, as the last thing: ends it. */
void thread_exit(struct thread *thread);
/* If a call of its kernel thread is being served, that is answered: stop. */
void thread_stop_call(struct thread *thread);
void process_reap(struct process *process);
/* exec: waits until this thread is the only one. false: the process is ending. */
bool thread_become_only(struct thread *thread);
/* clear_child_tid and robust futexes: the thread leaves its address space. */
void thread_release_memory(struct thread *thread);

/* ---- exec.c ---- */
struct exec_strings;
int exec_load(struct thread *thread, const char *path, char *const argv[], char *const envp[]);

/* ---- serve.c ---- */
/* A message of the thread arrived, held by `reply`. true: the delivery is its answer, to be sent at once.
 * false: it was answered already, or the thread is gone; `reply` is used up. May wait. */
bool thread_serve(struct thread *thread, cptr_t reply, union delivery *delivery);
/* Into the IPC buffer, if its answer carries them. */
void thread_load_registers(const struct thread *thread);
cptr_t reply_take(void);
void reply_give(cptr_t reply);

/* ---- main.c ---- */
/* On the fiber that receives: what is due, and all other fibers that are runnable. On others nothing. */
void run_others(void);
bool others_wait(void); /* it would do something */

/* ---- futex.c ---- */
void futex_wake_address(struct thread *thread, uint64_t address, unsigned count);
/* The thread leaves its address space: its locks are not kept. */
void futex_exit(struct thread *thread);

/* ---- timer.c ---- */
void process_timers_exit(struct process *process);
void process_timers_exec(struct process *process);
/* RLIMIT_CPU has changed. */
void process_timers_limit(struct process *process);
/* The wall clock was set. */
void process_timers_wall_set(struct process *process);
/* A timer's signal has arrived. */
void timer_signal_taken(struct process *process, const struct linux_siginfo *info);

/* ---- cred.c ---- */
bool may_signal(struct thread *thread, struct process *target, int signal);
