/* SPDX-License-Identifier: MIT */
/*
 * Threads that travel (docs/several-cpus.md): mailboxes, ownership, visitors among the ready, stopping and destroying what is in transit.
 *
 * Thread 0 makes remote calls for ever, with 3 CPUs also some that never end, and tours. Thread 1 destroys thread 0, from another CPU. Thread 2 (with THREADS 3)
 * destroys thread 1 in the middle of that. Claims: a CPU touches only what it owns; no thread is in two places; what
 * is destroyed lies in no mailbox and in no queue; nobody waits for ever for an interrupt; each destroyer comes to an end.
 *
 * All have the same priority: the ready take turns. Small letters of the protocol are separate steps: `cpu` is stored, then the node
 * pushed, then the interrupt raised; `canceled` is set, then `cpu` is looked at, then `canceled` again, which who leaves home has cleared. What a CPU does
 * only with what it owns is one step. Nobody is stopped because of what was said of him before he left home.
 */
#ifndef CPUS
#define CPUS 2
#endif
#ifndef THREADS
#define THREADS 2
#endif
#define NONE 255
#define QUIET    (len(mine[me]) == 0 && !irq[me])
#define HERE(t)  (alive[t] && cpu[t] == me)

mtype = { READY, BLOCKED, TRAVELLING, STOPPED };

mtype state[THREADS];
byte cpu[THREADS];
byte home[THREADS];
bool canceled[THREADS];
bool recent[THREADS];    /* said since it left home */
bool alive[THREADS];
bool finished[THREADS];  /* its system call is done */
bool tours;              /* thread 0: only passes by */
bool preempted[THREADS]; /* in the operation that it is at: a destroyer's are short */
byte boxes[THREADS];     /* in how many mailboxes: 0 or 1 */
bool irq[CPUS];
bool lock;
chan box[CPUS] = [THREADS + 1] of { byte };   /* the atomic stack, already in order of arrival */
chan mine[CPUS] = [THREADS + 1] of { byte };  /* taken, not yet handled */
chan ready[CPUS] = [THREADS + 1] of { byte }; /* who runs next: in user mode, or on a visit */

/* A thread is owned by `me` and goes to `to`. Not atomic. */
inline travel(t, to)
{
	d_step {
		assert(alive[t] && cpu[t] == me && state[t] != TRAVELLING);
		state[t] = TRAVELLING;
	}
	if
	:: me == home[t] ->
		d_step { canceled[t] = false; recent[t] = false }
	:: else
	fi;
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

/* It belongs to its home again. */
inline stop(t)
{
	d_step {
		state[t] = STOPPED;
		canceled[t] = false
	}
	cpu[t] = home[t]
}

/* One attempt of thread r to destroy v, executed at `me`, which owns r. */
inline destroy(r, v)
{
	go = NONE;
	atomic { !lock -> lock = true }
	assert(alive[r] && cpu[r] == me && boxes[r] == 0);
	if
	:: !alive[v] -> finished[r] = true
	:: else ->
		if
		:: cpu[v] == me && state[v] != TRAVELLING ->
			if
			:: state[v] == READY -> ready[me] ?? eval(v)
			:: else
			fi;
			stop(v);
			if
			:: home[v] != me -> go = home[v]
			:: else ->
				d_step {
					assert(boxes[v] == 0 && home[v] == me); /* its active Reply and context go with it */
					alive[v] = false;
					finished[r] = true
				}
			fi
		:: else ->
			do
			:: d_step { canceled[v] = true; recent[v] = true }
				go = cpu[v];
				if
				:: canceled[v] -> break
				:: else
				fi
			od
		fi
	fi;
	lock = false;
	if
	:: go == NONE -> go = home[r]
	:: else
	fi;
	if
	:: go != me || !finished[r] -> travel(r, go)
	:: else -> state[r] = BLOCKED /* for good */
	fi
}

/* The system call of the visitor or of the local thread t, which is in no queue. */
inline execute(t)
{
	if
	:: !preempted[t] || t == 0 && me != home[t] -> /* goes on later */
		preempted[t] = true;
		ready[me] ! t
	:: t == 0 && me == home[t] ->
		if
		:: tours = true
		:: tours = false
		fi;
		travel(t, (home[t] + 1) % CPUS)
	:: t == 0 && me != home[t] ->
		state[t] = BLOCKED /* waits in a queue or for a reply here */
	:: t == 0 && me != home[t] ->
		travel(t, home[t])
#if CPUS > 2
	:: t == 0 && me != home[t] ->
		travel(t, 3 - me) /* what it looks for has gone on, or come back */
#endif
	:: t > 0 && !finished[t] ->
		preempted[t] = false;
		destroy(t, t - 1)
	:: t > 0 && finished[t] -> state[t] = BLOCKED
	fi
}

/* It is its turn. What it came for it does if nobody wants it to stop. */
inline turn(t)
{
	assert(alive[t] && cpu[t] == me && state[t] == READY);
	if
	:: me != home[t] && canceled[t] ->
		assert(recent[t]);
		stop(t)
	:: else -> execute(t)
	fi
}

inline land(t)
{
	d_step {
		assert(alive[t] && cpu[t] == me && state[t] == TRAVELLING);
		boxes[t]--;
		if
		:: me == home[t] && canceled[t] ->
			assert(recent[t]);
			state[t] = STOPPED;
			canceled[t] = false
		:: else ->
			state[t] = READY;
			passes = (t == 0 && me != home[t] && tours);
			if
			:: !passes -> ready[me] ! t
			:: else
			fi
		fi
	}
	if
	:: passes ->
		passes = false;
		travel(t, home[t])
	:: else
	fi
}

proctype Cpu(byte me)
{
	byte t, go;
	bool raise, mailed, passes;

	/* Mail and the ready let each other in. */
end:	do
	:: atomic { nempty(mine[me]) -> mine[me] ? t }
		land(t)
	:: atomic { len(mine[me]) == 0 && irq[me] && (!mailed || len(ready[me]) == 0) ->
			irq[me] = false;
			mailed = true;
			do
			:: box[me] ? t -> mine[me] ! t
			:: empty(box[me]) -> break
			od;
			t = 0 }
	:: atomic { len(ready[me]) > 0 && (QUIET || mailed) ->
			mailed = false;
			ready[me] ? t }
		turn(t)
	:: atomic { QUIET && HERE(0) && state[0] == BLOCKED -> t = 0 } /* a wait ends */
		travel(t, home[0])
	od
}

init {
	byte i;

	atomic {
		for (i : 0 .. THREADS - 1) {
			state[i] = READY;
			home[i] = i % CPUS;
			cpu[i] = home[i];
			alive[i] = true;
			ready[home[i]] ! i
		}
		for (i : 0 .. CPUS - 1) {
			run Cpu(i);
		}
	}
}

/* The last destroyer always ends, and so does the first if nobody destroys it. */
ltl ends { <> finished[THREADS - 1] }
