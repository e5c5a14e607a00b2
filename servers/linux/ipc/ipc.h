/* SPDX-License-Identifier: MIT */
/*
 * System V IPC: shared memory, semaphores, message queues. Objects are found by a key or by an id, which is a
 * place in the kind's table and how often places were used again; they outlive the processes that made them.
 */
#pragma once

#include "process.h"

struct shm_segment;
struct text;

enum ipc_commands {
	IPC_RMID_ = 0,
	IPC_SET_ = 1,
	IPC_STAT_ = 2,
	IPC_INFO_ = 3,
};
#define IPC_CREAT_   01000
#define IPC_EXCL_    02000
#define IPC_NOWAIT_  04000
#define IPC_PRIVATE_ 0

struct ipc_object {
	int key, id;
	uint32_t uid, gid, creator_uid, creator_gid;
	uint32_t mode; /* permissions, and what a kind adds (SHM_DEST) */
	bool removed;  /* not in the table any more: who waits for it is told */
};

struct ipc_table {
	struct ipc_object **objects;
	unsigned limit; /* objects at most */
	unsigned size;  /* of `objects` */
	unsigned used, last;
	uint16_t sequence;
};

/* struct ipc64_perm */
struct linux_ipc_perm {
	int32_t key;
	uint32_t uid, gid, creator_uid, creator_gid, mode;
	uint16_t sequence, padding[3];
	uint64_t unused[2];
};
_Static_assert(sizeof(struct linux_ipc_perm) == 48, "struct ipc64_perm");

/*
 * The object of the key, if it exists and the flags of a *get call agree with that: 0 and *out NULL when a
 * new one is to be made, else -errno or its id, with *out to be looked at.
 */
long ipc_get(struct ipc_table *table, struct thread *thread, int key, unsigned flags,
             struct ipc_object **out);
/* A new object enters the table; its id, -ENOSPC or -ENOMEM. */
long ipc_add(struct ipc_table *table, struct thread *thread, struct ipc_object *object, int key,
             unsigned flags);
void ipc_remove(struct ipc_table *table, struct ipc_object *object);
struct ipc_object *ipc_find(const struct ipc_table *table, int id);       /* NULL: EINVAL */
struct ipc_object *ipc_at(const struct ipc_table *table, unsigned index); /* of *_STAT; NULL: EINVAL */
/* The highest place in use; -1: none. */
int ipc_highest(const struct ipc_table *table);
/* mode: 4 read, 2 write. 0 or -EACCES. */
int ipc_allowed(struct thread *thread, const struct ipc_object *object, unsigned mode);
/* Its owner, its creator or root: 0 or -EPERM. */
int ipc_may_control(struct thread *thread, const struct ipc_object *object);
struct linux_ipc_perm ipc_perm(const struct ipc_object *object);
void ipc_set(struct ipc_object *object, const struct linux_ipc_perm *perm);
int64_t ipc_now(void); /* seconds */

/* shm.c: the last reference of a process's region is gone. */
void shm_detached(struct shm_segment *segment);
int shm_key(const struct shm_segment *segment);
/* sem.c: the process has ended, what it has to undo is undone. */
void sem_exit(struct process *process);

/* /proc/sysvipc and /proc/sys/kernel */
void shm_text(struct text *text);
void sem_text(struct text *text);
void msg_text(struct text *text);
extern const uint64_t shm_limits[3]; /* bytes of a segment, pages of all, segments */
extern const int sem_limits[4];      /* of a set, of all, operations of a call, sets */
extern const int msg_limits[3];      /* bytes of a message, of a queue, queues */
