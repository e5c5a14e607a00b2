/* SPDX-License-Identifier: MIT */
/*
 * Threads that travel (docs/several-cpus.md): mailboxes, ownership, cancelling and destroying what is in transit.
 *
 * Thread 0 makes remote calls for ever. Thread 1 destroys thread 0, from another CPU. Thread 2 (with THREADS 3)
 * destroys thread 1 in the middle of that. Claims: a CPU touches only what it owns; no thread is in two places; what
 * is destroyed lies in no mailbox; nobody waits for ever for an interrupt; each destroyer comes to an end.
 *
 * Small letters of the protocol are separate steps: `cpu` is stored, then the node pushed, then the interrupt raised;
 * everything between taking and releasing the lock is one step, since nothing there is visible without the lock but
 * `cpu`, which is written last.
 */
#ifndef CPUS
#define CPUS 2
#endif
#ifndef THREADS
#define THREADS 2
#endif
#define NONE 255
#define QUIET    (empty(mine[me]) && !irq[me])
#define HERE(t)  (alive[t] && cpu[t] == me)

mtype = { RUNNABLE, BLOCKED, TRAVELLING, STOPPED };

mtype state[THREADS];
byte cpu[THREADS];
byte home[THREADS];
bool canceled[THREADS]; /* home's */
bool alive[THREADS];
bool finished[THREADS]; /* its system call is done: runs at home again */
byte boxes[THREADS];    /* in how many mailboxes: 0 or 1 */
bool irq[CPUS];
chan box[CPUS] = [THREADS + 1] of { byte };  /* the atomic stack, already in order of arrival */
chan mine[CPUS] = [THREADS + 1] of { byte }; /* taken, not yet handled */

/* A thread is owned by `me` and goes to `to`. Not atomic. */
inline travel(t, to)
{
	d_step {
		assert(alive[t] && cpu[t] == me && state[t] != TRAVELLING);
		state[t] = TRAVELLING;
	}
	cpu[t] = to;
	push(t, to);
}

inline push(t, to)
{
	d_step {
		boxes[t]++;
		assert(boxes[t] == 1);
		raise = empty(box[to]);
		box[to] ! t;
	}
	if
	:: raise -> irq[to] = true
	:: else
	fi
}

/* One attempt of thread r to destroy v, executed at `me`, which owns r. */
inline destroy(r, v)
{
	go = NONE;
	move = NONE;
	d_step {
		assert(alive[r] && cpu[r] == me && boxes[r] == 0);
		if
		:: !alive[v] -> finished[r] = true
		:: alive[v] && !canceled[v] && home[v] != me -> go = home[v]
		:: else ->
			if
			:: home[v] == me -> canceled[v] = true
			:: else
			fi;
			if
			:: cpu[v] != me -> go = cpu[v]
			:: cpu[v] == me && state[v] == TRAVELLING -> go = me
			:: cpu[v] == me && state[v] != TRAVELLING && home[v] != me ->
				move = v; /* its wait ends: it goes home, and r behind it */
				go = home[v];
			:: else ->
				assert(boxes[v] == 0 && home[v] == me); /* its active Reply and context go with it */
				alive[v] = false;
				finished[r] = true
			fi
		fi
	}
	if
	:: move != NONE -> travel(move, home[move])
	:: else
	fi;
	if
	:: go != NONE -> travel(r, go)
	:: else
	fi
}

/* The system call of the visitor or of the local thread t. */
inline execute(t)
{
	if
	:: t == 0 ->
		if
		:: me == home[t] ->
			travel(t, (home[t] + 1) % CPUS)
		:: me != home[t] ->
			if
			:: state[t] = BLOCKED /* waits in a queue or for a reply here */
			:: finished[t] = true
#if CPUS > 2
			:: me != 2 -> travel(t, 2) /* what it looks for has gone on */
#endif
			fi
		fi
	:: t > 0 && !finished[t] -> destroy(t, t - 1)
	:: else
	fi;
	if
	:: alive[t] && cpu[t] == me && state[t] != TRAVELLING && me != home[t] && finished[t] ->
		travel(t, home[t])
	:: else
	fi
}

inline land(t)
{
	d_step {
		assert(alive[t] && cpu[t] == me && state[t] == TRAVELLING);
		boxes[t]--;
		state[t] = RUNNABLE;
		if
		:: me == home[t] && canceled[t] -> state[t] = STOPPED
		:: else
		fi
	}
	if
	:: state[t] == STOPPED
	:: state[t] != STOPPED && me == home[t] && t == 0 -> finished[t] = false
	:: else -> execute(t)
	fi
}

proctype Cpu(byte me)
{
	byte t, go, move;
	bool raise;

end:	do
	:: atomic { nempty(mine[me]) -> mine[me] ? t }
		land(t)
	:: atomic { empty(mine[me]) && irq[me] ->
			irq[me] = false;
			do
			:: box[me] ? t -> mine[me] ! t
			:: empty(box[me]) -> break
			od;
			t = 0 }
	/* User mode, or a wait that ends here: only when all mail is handled. */
	:: atomic { QUIET && HERE(0) && state[0] == RUNNABLE -> t = 0 }
		execute(t)
	:: atomic { QUIET && HERE(0) && state[0] == BLOCKED -> t = 0 }
		finished[0] = true;
		travel(t, home[0])
	od
}

init {
	byte i;

	atomic {
		for (i : 0 .. THREADS - 1) {
			state[i] = RUNNABLE;
			home[i] = i % CPUS;
			cpu[i] = home[i];
			alive[i] = true;
		}
		/* The destroyers' system calls begin: as mail, so that the model needs no fair scheduler. */
		for (i : 1 .. THREADS - 1) {
			state[i] = TRAVELLING;
			boxes[i] = 1;
			box[home[i]] ! i;
			irq[home[i]] = true;
		}
		for (i : 0 .. CPUS - 1) {
			run Cpu(i);
		}
	}
}

/* The last destroyer always ends, and so does the first if nobody destroys it. */
ltl ends { <> finished[THREADS - 1] }
