/* SPDX-License-Identifier: MIT */
/* Processes and threads, as all parts of the server see them. Owned by process.c; signals by signal.c. */
#pragma once

#include <abi/types.h>
#include <abi/message.h>
#include "mm.h"
#include "wait.h"

struct tty;
struct dentry;
struct mount;
struct mm;

#define COMM_SIZE 16
#define SIGNAL_COUNT 64
typedef uint64_t sigset_bits; /* bit n-1: signal n */

/* Supplementary groups, in their order; never changed, for it is shared. */
struct group_list {
	uint32_t references, count;
	uint32_t groups[];
};

struct credentials {
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	unsigned secure_bits;
	uint64_t effective, permitted, inheritable, bounding,
	        ambient; /* sets of capabilities: capability.h */
	struct group_list *groups; /* NULL: none. A process holds a reference, a copy of this does not */
};

/* Shared between threads (CLONE_FS) by reference count. */
struct fs_context {
	uint32_t references;
	uint32_t umask;
	struct dentry *root, *cwd; /* each holds a reference */
	struct mount *tree;        /* the top of the mounts that are seen: the mount namespace */
};

/* Descriptor table, shared by reference count (CLONE_FILES). vfs: file_table.c */
struct file_table;

struct rlimit64_pair {
	uint64_t current, maximum;
};

/* A thread group. */
/* What was used. */
struct usage {
	uint64_t cpu_time; /* ns */
	uint64_t minor_faults, major_faults;
	uint64_t waits;    /* of calls, for whatever */
	size_t peak_pages; /* in memory at once, of the one who had most */
};

/* What execve left on the stack, as user addresses: for /proc/PID/cmdline, environ, auxv. */
struct program_start {
	uint64_t arg_start, arg_end, env_start, env_end, auxv_start, auxv_end;
};

struct process {
	struct process *next_all;   /* process_first(), process_next() */
	int pid, pgid, sid;
	struct process *parent;
	struct process *children, *sibling; /* oldest child; next child of the same parent */
	struct process **children_end, **sibling_link;
	struct thread *threads;     /* first of the group's list, by next_in_process; the leader is the one with tid == pid */
	unsigned thread_count;
	struct mm *mm;              /* NULL: exited */
	struct file_table *files;   /* NULL: exited */
	struct fs_context *fs;      /* NULL: exited */
	struct credentials credentials;
	struct tty *tty;            /* controlling terminal of its session, or NULL */
	bool session_leader;
	int lost_group;             /* a session's leader: the foreground's group of the terminal that was hung up; 0: none */
	bool zombie, stopped, continued; /* continued/stopped: not yet reported to wait */
	int exit_status;            /* as wait4 reports it */
	int stop_signal;
	char comm[COMM_SIZE];
	struct program_start start;
	uint64_t start_time;        /* ns since boot */
	struct usage used, children_used; /* of what has ended: its threads and programs; children that were waited for */
	struct rlimit64_pair limits[16];
	int nice;
	struct waitq child_wait;    /* wait4 sleeps here */
	struct waitq vfork_wait;    /* the parent of a vfork sleeps here until the child executes or ends */
	struct signal_state *signals;
	/* ---- process half only ---- */
	struct process *next_hash;
	struct process **all_link;
	unsigned live_threads;      /* that have not begun to exit */
	int exit_signal;            /* to the parent; 0: none */
	int group_exit_status;      /* valid while group_exit */
	bool group_exit;            /* all threads are to end */
	bool executed;              /* since fork: setpgid of the parent comes too late */
	bool subreaper;
	int io_priority;            /* as ioprio_set gave it: class << 13 | level; the disk makes no difference */
	bool no_new_privileges, not_dumpable;
	bool no_huge_pages;    /* told, but there are none */
	bool private_barriers; /* membarrier: registered */
	int death_signal;           /* PR_SET_PDEATHSIG */
	uint64_t oom_time;          /* when its end was first waited for, ns; 0: never */
	int oom_adjust, oom_adjust_least; /* oom_score_adj, and what it can be set to without a capability */
	uint32_t personality;
	uint32_t login_uid;         /* /proc/PID/loginuid */
	struct thread *exec_thread; /* ends all others */
	struct waitq threads_wait;  /* it sleeps here */
	struct process_timers *timers; /* created on demand */
	struct sem_undo *sem_undo;     /* ipc/sem.c */
	struct pidfd *pidfds;          /* that name it */
	void (*exited)(int wait_status); /* process_start's */
};

struct thread {
	struct thread *next_in_process;
	int tid;
	struct process *process;
	struct fiber *fiber;        /* serving its current system call or fault, or NULL */
	sigset_bits blocked;
	struct thread_registers registers; /* valid while registers_valid: read from or to be written to the kernel thread */
	bool registers_valid;
	char comm[COMM_SIZE];
	struct thread_private *private; /* thread.c, signal.c */
};

struct process *process_first(void);
struct process *process_next(struct process *process);
struct process *process_find(int pid);
struct thread *thread_find(int tid);
extern uint64_t threads_made; /* ever */
int pid_last(void);           /* the number that was given last */
/* Sum over live and exited threads, ns. */
uint64_t process_cpu_time(const struct process *process); /* ns */
struct usage process_usage(const struct process *process);
void usage_add(struct usage *sum, const struct usage *more);
struct mm *process_change_mm(struct process *process, struct mm *mm); /* the old one, which is the caller's */
size_t process_resident_pages(const struct process *process);
size_t process_peak_pages(const struct process *process); /* of its present program */
size_t process_virtual_peak(const struct process *process); /* pages */
size_t process_virtual_size(struct process *process);
/* Text of /proc/PID/maps appended by emit. */
void process_maps(struct process *process, void (*emit)(void *context, const char *text, size_t length), void *context);
/* One character of /proc/PID/stat: R S D T Z */
char process_state(const struct process *process);
char thread_state(const struct thread *thread);
unsigned process_running_threads(const struct process *process);
bool process_may_inspect(const struct thread *thread, const struct process *target);
/* Others may look into a process, and its parent's death may signal it, only if it has not become somebody else. */
void credentials_changed(struct process *process, const struct credentials *old);
bool credentials_in_group(const struct credentials *credentials, uint32_t gid);
#define GROUPS_MAX 65536
struct group_list *group_list_get(struct group_list *list); /* this and the next one take NULL, too */
void group_list_put(struct group_list *list);
/* What /proc/PID/status tells besides; thread may be NULL. Sets of signals. */
struct process_facts {
	uint64_t thread_pending, pending, blocked, ignored, caught;
	bool no_new_privileges;
};
void process_facts(const struct process *process, const struct thread *thread, struct process_facts *out);

/* ---- signals ---- */
bool signal_pending(struct thread *thread); /* one that is not blocked or ignored */
bool signal_fatal(const struct thread *thread); /* one that it ends by, or it is to end */
void signal_send(struct process *process, int signal, int code, int sender_pid);
void signal_send_thread(struct thread *thread, int signal, int code, int sender_pid);
/* Every process of the group; false: there is none. */
bool signal_send_group(int pgid, int signal, int code, int sender_pid);
/* ppoll, pselect6, epoll_pwait: this mask until the call ends; a handler that runs because of it returns to the old one. */
void signal_mask_until_return(struct thread *thread, sigset_bits mask);
/* Ignored, or blocked by this thread: what a tty asks before stopping a background reader. */
bool signal_ignored_or_blocked(struct thread *thread, int signal);
/* No live process of the group has a parent outside it in the same session. */
bool process_group_orphaned(int pgid);
bool process_group_exists(int pgid, int sid);

/* What uname says; sethostname, setdomainname and /proc/sys/kernel change it. */
struct utsname;
extern struct utsname linux_identity;
long identity_set(struct thread *thread, char *name, const char *new, size_t length); /* 0, -EPERM, -EINVAL */

/* ---- starting and ending the system (start.c, linux-proc; exec_channel.c, linux-fs) ---- */
/* First process in run mode (pid 1) or the program of `exec` (parent: the server itself). files already hold 0, 1, 2. -errno. */
int process_start(const char *path, char *const argv[], char *const envp[], struct file_table *files, const char *cwd,
		  void (*exited)(int wait_status), struct process **out);
/* SIGTERM, SIGKILL to all, unmount everything (vfs_shutdown), then proto/system.h SYSTEM_POWER. */
void system_shutdown(bool reboot);
