/* SPDX-License-Identifier: MIT */
/*
 * What a thread's waiters lend it while it is on another CPU (docs/several-cpus.md, "Scheduling across CPUs").
 *
 * Home, CPU 0, writes it into the thread, and sends a node of the thread's to the CPU that owns it, which acts on it; the thread goes from CPU to CPU
 * meanwhile, waits on each, and may be deleted when it is at home. Claims: the node is in one mailbox at most, and in none when the thread is
 * destroyed; in the end the thread has the priority that it was lent, wherever it is: at home that of its waiters, elsewhere at least that.
 *
 * What home lends only rises while the thread is away. `cpu` is stored, then the thread pushed; so is what is lent, then the flag exchanged,
 * then `cpu` read, then the node pushed.
 */
#ifndef CPUS
#define CPUS 3
#endif
#ifndef MOVES
#define MOVES 4
#endif
#ifndef RAISES
#define RAISES 2
#endif
#ifndef FALLS
#define FALLS 1
#endif
#define HOME 0

mtype = { THREAD, NODE };

byte cpu = HOME;
bool waits = true; /* where it is; else it is in a mailbox */
bool alive = true;
byte wanted;       /* what the waiters have: home's */
byte lent;         /* written by home only */
byte prio;     /* the owner's */
bool in_mail;
bool stopped;
byte linked;       /* ghost: in how many mailboxes the node is */
byte moves, raises, falls;
chan box[CPUS] = [2] of { mtype };

inline push(to)
{
	d_step {
		linked++;
		assert(linked == 1 && alive);
		box[to] ! NODE
	}
}

/* The owner acts on what is lent. */
inline look()
{
	if
	:: me == HOME -> prio = wanted
	:: else -> prio = lent
	fi
}

inline travel(to)
{
	waits = false;
	if
	:: me == HOME -> lent = wanted
	:: else
	fi;
	cpu = to;
	d_step {
		moves++;
		box[to] ! THREAD
	}
}

proctype Cpu(byte me)
{
	byte to;
	bool was;

end:	do
	:: box[me] ? THREAD ->
		assert(alive && cpu == me && !waits);
		if
		:: me == HOME -> look()
		:: else
		fi;
		waits = true
	:: d_step { box[me] ? NODE -> linked-- } ->
		assert(alive);
		to = cpu;
		if
		:: to != me -> push(to)
		:: else ->
			in_mail = false;
			look()
		fi;
		to = 0
	:: waits && alive && cpu == me && moves < MOVES ->
		if
		:: moves = MOVES /* it stays */
		:: to = (me + 1) % CPUS
		:: to = (me + 2) % CPUS
		fi;
		if
		:: moves < MOVES && to != me -> travel(to)
		:: else
		fi;
		to = 0
	/* It is stopped: home's again without a journey, and looks when it is resumed. */
	:: waits && alive && cpu == me && me != HOME && moves < MOVES ->
		stopped = true;
		moves = MOVES;
		cpu = HOME
	/* A waiter goes. */
	:: me == HOME && alive && wanted && falls < FALLS ->
		falls++;
		wanted--;
		if
		:: cpu == HOME -> look()
		:: else
		fi
	/* Another waiter. */
	:: me == HOME && alive && raises < RAISES ->
		raises++;
		wanted++;
		if
		:: cpu == HOME -> look()
		:: cpu != HOME && wanted <= lent
		:: cpu != HOME && wanted > lent ->
			lent = wanted;
			d_step {
				was = in_mail;
				in_mail = true
			}
			if
			:: !was ->
				to = cpu;
				push(to);
				to = 0
			:: else
			fi;
			was = false
		fi
	/* Whoever deletes it looks again when its node has come. */
	:: d_step { me == HOME && alive && cpu == HOME && waits && !in_mail ->
			assert(linked == 0);
			alive = false }
	od
}

init {
	byte i;

	atomic {
		for (i : 0 .. CPUS - 1) {
			run Cpu(i);
		}
	}
	timeout -> assert(!linked && !in_mail);
	assert(!alive || stopped || prio == (cpu == HOME -> wanted : lent) && prio >= wanted)
}
