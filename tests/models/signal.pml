/* SPDX-License-Identifier: MIT */
/*
 * Signals from other CPUs, and a notification that is deleted meanwhile (docs/several-cpus.md, "Signals").
 *
 * CPU 0 is the home of two notifications. SENDERS other CPUs signal them, each signal with a bit of its own. A thread
 * that visits home deletes notification 0. The mailbox is a list through the nodes' `next`, as in the kernel: nodes 0 and 1 are
 * the notifications', node 2 the deleting thread's. Claims: a node is never linked twice and never freed while it
 * is linked; nobody touches a destroyed notification; every accepted signal arrives.
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef SIGNALS
#define SIGNALS 1 /* of each sender, to each notification */
#endif
#define NIL     255
#define DELETER 2

bool lock;
bool valid[2] = true; /* a slot names it: changed with the lock, read without */
bool alive[2] = true;
byte remote[2];
bool in_mail[2];
byte bits[2], accepted[2];
byte linked[3]; /* ghost */
byte head = NIL, next[3];
bool irq;
bool deleted;

#define take_lock    atomic { !lock -> lock = true }
#define release_lock lock = false

/* Push by compare and swap: the successful one is one step. */
inline push(n)
{
	d_step {
		linked[n]++;
		assert(linked[n] == 1);
		was_empty = (head == NIL);
		next[n] = head;
		head = n;
	}
	if
	:: was_empty -> irq = true
	:: else
	fi
}

proctype Sender(byte who)
{
	byte n, i, sent;
	bool was_empty, was_in_mail, seen;

	for (i : 0 .. 2 * SIGNALS - 1) {
		n = i % 2;
		sent = 1 << (who * SIGNALS + i / 2);
		if
		:: sent = 0 /* an original has no badge */
		:: skip
		fi;
		seen = valid[n];
		if
		:: !seen || !sent -> skip /* an error; or nothing to signal */
		:: else ->
			take_lock;
			if
			:: !valid[n] -> skip
			:: else ->
				assert(alive[n]);
				d_step {
					remote[n] = remote[n] | sent;
					accepted[n] = accepted[n] | sent;
				}
				d_step {
					was_in_mail = in_mail[n];
					in_mail[n] = true;
				}
				if
				:: !was_in_mail -> push(n)
				:: else
				fi
			fi;
			release_lock
		fi
	}
}

/* Home. */
proctype Home()
{
	byte list, node, rest, word;
	bool was_empty, again;

end:	do
	:: irq ->
		irq = false;
		d_step { /* take all, then turn round */
			node = head;
			head = NIL;
			list = NIL;
			do
			:: node != NIL ->
				rest = next[node];
				next[node] = list;
				list = node;
				node = rest
			:: else -> break
			od
		}
		do
		:: list == NIL -> break
		:: else ->
			node = list;
			list = next[node];
			if
			:: node == DELETER ->
				linked[node]--;
				again = false;
				take_lock;
				valid[0] = false;
				if
				:: in_mail[0] -> again = true /* behind it */
				:: else ->
					d_step {
						assert(linked[0] == 0);
						alive[0] = false;
						deleted = true;
						bits[0] = accepted[0];
					}
				fi;
				release_lock;
				if
				:: again -> push(DELETER)
				:: else
				fi
			:: else ->
				assert(alive[node]);
				d_step {
					linked[node]--;
					in_mail[node] = false;
				}
				d_step {
					word = remote[node];
					remote[node] = 0;
				}
				bits[node] = bits[node] | word
			fi
		od
	:: !irq && valid[0] -> /* a local signal: the slot is read, then used */
		assert(alive[0])
	od
}

/* A thread of another CPU comes to delete notification 0. */
proctype Deleter()
{
	bool was_empty;

	push(DELETER)
}

init {
	byte i;

	atomic {
		run Home();
		run Deleter();
		for (i : 0 .. SENDERS - 1) {
			run Sender(i);
		}
	}
	timeout -> assert(deleted && bits[0] == accepted[0] && bits[1] == accepted[1] && !remote[1])
}
