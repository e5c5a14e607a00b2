/* SPDX-License-Identifier: MIT */
/*
 * Replies: the right to answer one call, as a stored object.
 *
 * IDLE -> EXPECTING (a thread waits in recv with it) -> ACTIVE (it holds a caller, and is the current job of
 * `holder`)
 * -> PARKED (holds a caller, nobody's current job) -> IDLE. In ACTIVE and PARKED caller->reply is this.
 */
#pragma once

#include <kernel/slot.h>
#include <kernel/thread.h>

enum reply_state {
	REPLY_IDLE,
	REPLY_EXPECTING,
	REPLY_ACTIVE,
	REPLY_PARKED,
};

struct reply {
	uint64_t state;        /* enum reply_state */
	struct thread *caller; /* ACTIVE, PARKED */
	struct thread *holder; /* EXPECTING, ACTIVE */
};
_Static_assert(sizeof(struct reply) <= 1 << 7, "Reply object");

/* The receiver has got the caller's message. */
void reply_take(struct reply *reply, struct thread *caller, struct thread *holder);
void reply_park(struct reply *reply);
/* Let go of the caller, whose wait ends some other way. */
void reply_release(struct reply *reply);
/* The Reply or its holder dies: whoever it holds learns of it. */
void reply_fail(struct reply *reply);

/*
 * Perform the mapping that an answer with REPLY_MAP asks for. False: its tour comes first, then the answer
 * has to be given again; or, and nothing has changed, it asks for too much.
 */
bool reply_map(struct thread *replier);

/* How many words an answer with REPLY_REGISTERS has. */
#define REPLY_REGISTERS_WORDS (MESSAGE_REGISTER_WORDS + THREAD_REGISTER_WORDS)
/* From the replier's IPC buffer, which it has. False, and nothing has changed: they are none. */
bool reply_registers(const struct thread *replier, struct thread *caller);

unsigned syscall_reply(struct thread *thread);
unsigned syscall_reply_recv(struct thread *thread);
