/* SPDX-License-Identifier: MIT */
/*
 * IPC of one CPU: calls, Replies, what waiting threads lend (priority, depth, context), and the death of either side.
 * After kernel/core/{endpoint,reply,inherit,thread,fastpath}.c, function by function; each operation is one step, as in the kernel.
 *
 * Any thread that may run does any operation; timeouts, suspending, destroying and making anew, deleting Replies, closing endpoints,
 * changed priorities and budgets come at any moment. What the kernel keeps up step by step is compared after each one with what the
 * definitions say of the state as it is. Of threads of one priority any may be the first: arrivals are not modelled.
 *
 * Claims: priority, depth and context of each thread are those of all that wait for it, however far behind, and of nobody
 * else; so a parked Reply lends nothing. Nobody waits for the dead, nor with a Reply that does not know of him. A Reply is answered
 * once. A sender and a receiver never wait at one endpoint. Who waits and who may run is exactly who should. No chain is too long, none a circle.
 */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef ENDPOINTS
#define ENDPOINTS 2
#endif
#ifndef REPLIES
#define REPLIES 2
#endif
#ifndef CHAIN_MAX
#define CHAIN_MAX THREADS
#endif
#define MOST   4 /* threads: for choices that the language cannot loop over */
#define NONE   255
#define DEPTHS (CHAIN_MAX + 1)

/* states of a thread */
#define DEAD    0
#define STOPPED 1
#define READY   2
#define SEND    3 /* in the queue of senders */
#define RECV    4
#define REPLY   5

/* states of a Reply */
#define IDLE      0
#define EXPECTING 1
#define ACTIVE    2
#define PARKED    3

byte state[MOST];
byte at[MOST] = NONE;     /* the endpoint that it waits at: waits_on */
bool calls[MOST];         /* it sends what wants a reply */
byte reply[MOST] = NONE;  /* that holds it; or that will hold its caller */
byte job[MOST] = NONE; /* its current job */
byte owns[MOST] = NONE;
byte base[MOST];
byte prio[MOST];
byte key[MOST]; /* its place in the queue */
byte depth[MOST];
byte context[MOST]; /* whose it runs on */
bool budget[MOST];  /* its own context has some left */
bool may_run[MOST]; /* it is in a ready queue, or runs */

byte reply_state[REPLIES];
byte caller[REPLIES] = NONE;
byte holder[REPLIES] = NONE;

byte owner[ENDPOINTS] = NONE;
bool closed[ENDPOINTS];
byte depths[ENDPOINTS * DEPTHS]; /* how many senders have that depth */

byte top; /* while a step chooses */
/* Nothing survives a deterministic step here. */
hidden byte v, w, p, d, c, i, f, g, hops, q, before, got, to, steps;
hidden byte should[MOST], deep[MOST];
hidden byte fits, pays[MOST];

/* ---- inherit.c ---- */

/* w: the thread that u waits for */
inline thread_waits_for(u)
{
	w = NONE;
	if
	:: state[u] == SEND && at[u] != NONE -> w = owner[at[u]]
	:: state[u] == REPLY && reply[u] != NONE -> w = holder[reply[u]]
	:: else
	fi
}

/* p, d, c: what v inherits */
inline inherited()
{
	p = base[v];
	d = 0;
	c = v;
	q = NONE;
	if
	:: job[v] != NONE -> q = caller[job[v]]
	:: else
	fi;
	if
	:: q != NONE ->
		if
		:: prio[q] > p -> p = prio[q]
		:: else
		fi;
		d = depth[q] + 1;
		c = context[q]
	:: else
	fi;
	f = NONE; /* the queued sender that comes first, and g the first of those that can pay */
	g = NONE;
	if
	:: owns[v] != NONE ->
		for (i : 0 .. THREADS - 1) {
			if
			:: state[i] == SEND && at[i] == owns[v] ->
				if
				:: f == NONE || key[i] > key[f] -> f = i
				:: else
				fi;
				if
				:: budget[context[i]] && (g == NONE || key[i] > key[g]) -> g = i
				:: else
				fi
			:: else
			fi
		}
		i = CHAIN_MAX;
		do
		:: i > d && depths[owns[v] * DEPTHS + i - 1] == 0 -> i--
		:: else -> break
		od;
		if
		:: f != NONE && i > d -> d = i
		:: else
		fi
	:: else
	fi;
	if
	:: f != NONE && prio[f] > p -> p = prio[f]
	:: else
	fi;
	if
	:: budget[c]
	:: !budget[c] && g != NONE -> c = context[g]
	:: !budget[c] && g == NONE && budget[v] -> c = v
	:: else
	fi
}

/* Is there a place for it among those that are ready? */
inline thread_place(u)
{
	if
	:: state[u] == READY -> may_run[u] = budget[context[u]]
	:: else
	fi
}

inline thread_inherit(start)
{
	v = start;
	steps = 0;
	do
	:: v == NONE -> break
	:: else ->
		assert(steps <= CHAIN_MAX);
		steps++;
		inherited();
		prio[v] = p;
		if
		:: at[v] != NONE -> key[v] = p
		:: else
		fi;
		if
		:: state[v] == SEND && at[v] != NONE ->
			depths[at[v] * DEPTHS + depth[v]]--;
			depths[at[v] * DEPTHS + d]++
		:: else
		fi;
		depth[v] = d;
		context[v] = c;
		thread_place(v);
		thread_waits_for(v);
		v = w
	od;
	i = 0
}

inline endpoint_set_owner(e, whom)
{
	to = e;
	before = owner[to];
	if
	:: before == whom
	:: else ->
		if
		:: before != NONE -> owns[before] = NONE
		:: else
		fi;
		if
		:: whom != NONE && owns[whom] != NONE -> owner[owns[whom]] = NONE
		:: else
		fi;
		owner[to] = whom;
		thread_inherit(before);
		if
		:: whom != NONE ->
			owns[whom] = to;
			thread_inherit(whom)
		:: else
		fi
	fi
}

/* fits: the chain would not be too long */
inline chain_extend(e, sender)
{
	v = owner[e];
	hops = depth[sender] + 1;
	do
	:: v != NONE && v != sender && hops <= CHAIN_MAX ->
		thread_waits_for(v);
		if
		:: state[v] == SEND || w != NONE -> hops++
		:: else
		fi;
		v = w
	:: else -> break
	od;
	fits = (hops <= CHAIN_MAX);
	if
	:: v == sender && depth[sender] < CHAIN_MAX ->
		fits = true;
		endpoint_set_owner(e, NONE)
	:: else
	fi
}

/* ---- thread.c ---- */

inline thread_unqueue(u)
{
	if
	:: at[u] != NONE ->
		q = at[u];
		at[u] = NONE;
		key[u] = 0;
		if
		:: state[u] == SEND ->
			depths[q * DEPTHS + depth[u]]--;
			thread_inherit(owner[q])
		:: else
		fi
	:: else
	fi
}

inline thread_wake(u)
{
	state[u] = READY;
	calls[u] = false;
	thread_place(u)
}

inline thread_end_wait(u)
{
	thread_unqueue(u);
	if
	:: reply[u] != NONE -> reply_release(reply[u])
	:: else
	fi
}

inline thread_cancel(u)
{
	thread_end_wait(u);
	thread_wake(u)
}

inline thread_suspend(u)
{
	if
	:: state[u] >= SEND -> thread_end_wait(u)
	:: else
	fi;
	state[u] = STOPPED;
	calls[u] = false;
	may_run[u] = false
}

inline thread_destroy(u)
{
	thread_suspend(u);
	if
	:: job[u] != NONE -> reply_fail(job[u])
	:: else
	fi;
	if
	:: owns[u] != NONE -> endpoint_set_owner(owns[u], NONE)
	:: else
	fi;
	state[u] = DEAD
}

/* ---- reply.c ---- */

inline reply_take(r, whom, server)
{
	assert(reply_state[r] == IDLE && job[server] == NONE);
	reply_state[r] = ACTIVE;
	caller[r] = whom;
	holder[r] = server;
	reply[whom] = r;
	job[server] = r;
	thread_inherit(server)
}

inline reply_park(r)
{
	before = r;
	got = holder[before];
	job[got] = NONE;
	holder[before] = NONE;
	reply_state[before] = PARKED;
	thread_inherit(got)
}

inline reply_release(r)
{
	got = NONE;
	before = r;
	if
	:: reply_state[before] == EXPECTING -> reply[holder[before]] = NONE
	:: reply_state[before] == ACTIVE ->
		got = holder[before];
		job[got] = NONE;
		reply[caller[before]] = NONE
	:: reply_state[before] == PARKED -> reply[caller[before]] = NONE
	:: else
	fi;
	reply_state[before] = IDLE;
	caller[before] = NONE;
	holder[before] = NONE;
	thread_inherit(got)
}

inline reply_fail(r)
{
	if
	:: caller[r] != NONE -> hops = caller[r]; thread_cancel(hops)
	:: else -> reply_release(r)
	fi
}

inline reply_answer(r)
{
	hops = caller[r];
	assert(state[hops] == REPLY && reply[hops] == r);
	reply_release(r);
	thread_wake(hops)
}

/* ---- endpoint.c ---- */

/* Of those that wait at e in this state, one that comes first; NONE. */
#define FIRST(u, e, waits) :: u < THREADS && state[u] == waits && at[u] == e && key[u] == top -> first = u
inline queue_first(e, waits)
{
	d_step {
		top = 0;
		for (i : 0 .. THREADS - 1) {
			if
			:: state[i] == waits && at[i] == e && key[i] > top -> top = key[i]
			:: else
			fi
		}
	}
	if
	FIRST(0, e, waits)
	FIRST(1, e, waits)
	FIRST(2, e, waits)
	FIRST(3, e, waits)
	:: top == 0 -> first = NONE
	fi
}

/* The receiver `first` leaves the queue and gets the message. */
inline deliver_to_receiver(receiver, r)
{
	thread_unqueue(receiver);
	r = reply[receiver];
	reply[receiver] = NONE;
	if
	:: r != NONE ->
		reply_state[r] = IDLE;
		holder[r] = NONE
	:: else
	fi;
	if
	:: calls[me] ->
		state[me] = REPLY;
		may_run[me] = false;
		reply_take(r, me, receiver)
	:: else
	fi;
	thread_wake(receiver)
}

inline thread_block(waits, e)
{
	state[me] = waits;
	may_run[me] = false;
	at[me] = e;
	key[me] = prio[me];
	if
	:: waits == SEND ->
		depths[e * DEPTHS + depth[me]]++;
		thread_inherit(owner[e])
	:: else
	fi
}

inline endpoint_send(e)
{
	queue_first(e, RECV);
	d_step {
		if
		:: closed[e] -> calls[me] = false
		:: !closed[e] && first == NONE ->
			chain_extend(e, me);
			if
			:: fits -> thread_block(SEND, e)
			:: else -> calls[me] = false
			fi
		:: !closed[e] && first != NONE && calls[me] && (reply[first] == NONE || depth[me] >= CHAIN_MAX) ->
			calls[me] = false /* an error */
		:: else -> deliver_to_receiver(first, r)
		fi;
		first = 0;
		r = 0;
		check()
	}
}

/* The sender that comes first is received, with Reply r, or refused. taken: there is nothing more to do. */
inline endpoint_accept(r)
{
	if
	:: first == NONE
	:: first != NONE && calls[first] && (r == NONE || depth[first] >= CHAIN_MAX) -> thread_cancel(first)
	:: else ->
		thread_unqueue(first);
		if
		:: calls[first] ->
			state[first] = REPLY;
			reply_take(r, first, me)
		:: else -> thread_wake(first)
		fi;
		taken = true
	fi
}

inline endpoint_recv(e, r)
{
	d_step {
		if
		:: job[me] != NONE -> reply_park(job[me])
		:: else
		fi;
		endpoint_set_owner(e, me);
		taken = false
	}
	do
	:: queue_first(e, SEND);
		d_step {
			endpoint_accept(r);
			if
			:: first == NONE -> taken = true
			:: else
			fi
		};
		if
		:: taken -> break
		:: else
		fi
	od;
	if
	:: first == NONE -> /* it waits; or has a signal, or no time */
		d_step {
			if
			:: r != NONE ->
				reply_state[r] = EXPECTING;
				holder[r] = me;
				reply[me] = r
			:: else
			fi;
			thread_block(RECV, e)
		}
	:: first == NONE -> skip
	:: else
	fi;
	first = 0
}

/* ---- fastpath.c ---- */

/* c: how many wait at e in this state; f: one of them */
inline count_at(e, waits)
{
	c = 0;
	f = NONE;
	for (i : 0 .. THREADS - 1) {
		if
		:: state[i] == waits && at[i] == e -> c++; f = i
		:: else
		fi
	}
}

/* call: the only receiver goes on with what the caller has. */
inline lend(e)
{
	count_at(e, RECV);
	if
	:: c == 1 && !closed[e] && reply[f] != NONE && depth[me] < CHAIN_MAX ->
		g = reply[f];
		at[f] = NONE;
		key[f] = 0;
		reply[f] = NONE;
		job[f] = g;
		state[f] = READY;
		may_run[f] = true;
		depth[f] = depth[me] + 1;
		context[f] = context[me];
		if
		:: prio[me] > prio[f] -> prio[f] = prio[me]
		:: else
		fi;
		reply_state[g] = ACTIVE;
		caller[g] = me;
		calls[me] = true;
		state[me] = REPLY;
		may_run[me] = false;
		reply[me] = g
	:: else
	fi
}

/* reply_recv: the caller has it back, and nobody else lends anything. */
inline give_back(e)
{
	count_at(e, SEND);
	if
	:: job[me] != NONE && owner[e] == me && c == 0 && context[me] == context[caller[job[me]]] ->
		g = job[me];
		f = caller[g];
		state[f] = READY;
		may_run[f] = true;
		calls[f] = false;
		reply[f] = NONE;
		context[me] = me;
		prio[me] = base[me];
		depth[me] = 0;
		job[me] = NONE;
		reply[me] = g;
		state[me] = RECV;
		may_run[me] = false;
		at[me] = e;
		key[me] = prio[me];
		reply_state[g] = EXPECTING;
		caller[g] = NONE
	:: else
	fi
}

/* ---- what must hold after each operation ---- */

/* The thread that is waited for, by the definitions. */
#define WAITS_FOR(u) \
	(state[u] == SEND -> owner[at[u]] : (state[u] == REPLY && reply_state[reply[u]] == ACTIVE -> holder[reply[u]] : NONE))

inline check()
{
	for (i : 0 .. THREADS - 1) {
		assert((state[i] == SEND || state[i] == RECV) == (at[i] != NONE));
		assert(state[i] != REPLY || reply[i] != NONE && caller[reply[i]] == i && reply_state[reply[i]] >= ACTIVE);
		assert(state[i] == REPLY || state[i] == RECV || reply[i] == NONE);
		assert(state[i] != SEND || depth[i] < CHAIN_MAX);
		assert(state[i] != RECV || reply[i] == NONE || reply_state[reply[i]] == EXPECTING && holder[reply[i]] == i);
		assert(job[i] == NONE || reply_state[job[i]] == ACTIVE && holder[job[i]] == i);
		assert(owns[i] == NONE || owner[owns[i]] == i);
		assert(at[i] == NONE || key[i] == prio[i]);
		should[i] = base[i];
		deep[i] = 0;
		pays[i] = budget[i]
	}
	for (i : 0 .. REPLIES - 1) {
		assert((caller[i] != NONE) == (reply_state[i] >= ACTIVE));
		assert((holder[i] != NONE) == (reply_state[i] == EXPECTING || reply_state[i] == ACTIVE));
		assert(caller[i] == NONE || state[caller[i]] == REPLY && reply[caller[i]] == i);
		/* nobody waits for the dead */
		assert(holder[i] == NONE || state[holder[i]] != DEAD);
		assert(reply_state[i] != ACTIVE || job[holder[i]] == i);
		assert(reply_state[i] != EXPECTING || state[holder[i]] == RECV)
	}
	for (i : 0 .. ENDPOINTS - 1) {
		assert(owner[i] == NONE || owns[owner[i]] == i && state[owner[i]] != DEAD)
	}
	/* Everybody lends what is his to all that he waits for. */
	for (i : 0 .. THREADS - 1) {
		v = i;
		hops = 0;
		do
		:: v == NONE -> break
		:: else ->
			assert(hops <= CHAIN_MAX); /* nor is it a circle */
			if
			:: base[i] > should[v] -> should[v] = base[i]
			:: else
			fi;
			if
			:: hops > deep[v] -> deep[v] = hops
			:: else
			fi;
			pays[v] = pays[v] || budget[i];
			v = WAITS_FOR(v);
			hops++
		od
	}
	for (i : 0 .. THREADS - 1) {
		assert(prio[i] == should[i]);
		assert(depth[i] == deep[i]);
		assert(budget[context[i]] == pays[i]);
		assert(may_run[i] == (state[i] == READY && pays[i]));
		/* no lost wake-up */
		for (q : 0 .. THREADS - 1) {
			assert(!(state[i] == SEND && state[q] == RECV && at[i] == at[q]))
		}
	}
	v = 0; w = 0; p = 0; d = 0; c = 0; i = 0; f = 0; g = 0; top = 0; hops = 0; q = 0; before = 0; got = 0; to = 0; steps = 0
}

/* ---- threads, and everything that comes from elsewhere ---- */

inline any_endpoint(e)
{
	if
	:: e = 0
#if ENDPOINTS > 1
	:: e = 1
#endif
#if ENDPOINTS > 2
	:: e = 2
#endif
	fi
}

inline any_reply(r)
{
	if
	:: r = 0
#if REPLIES > 1
	:: r = 1
#endif
#if REPLIES > 2
	:: r = 2
#endif
	fi
}

proctype Thread(byte me)
{
	byte e, r, first;
	bool taken;

end:	do
	:: atomic { may_run[me] ->
			any_endpoint(e);
			if
			:: calls[me] = true
			:: calls[me] = false
			fi;
			endpoint_send(e);
			e = 0 }
	:: atomic { may_run[me] ->
			any_endpoint(e);
			if
			:: r = NONE
			:: any_reply(r)
			fi;
			/* `recv`, or `reply_recv`: with the Reply that is answered, or with none to answer */
			if
			:: r != NONE && caller[r] != NONE -> d_step { reply_answer(r) }
			:: else
			fi;
			if
			:: r == NONE || reply_state[r] == IDLE -> endpoint_recv(e, r)
			:: else
			fi;
			r = 0;
			e = 0;
			taken = false;
			d_step { check() } }
	:: atomic { may_run[me] ->
			any_endpoint(e);
			if
			:: d_step { lend(e); e = 0; check() }
			:: d_step { give_back(e); e = 0; check() }
			fi }
	:: atomic { may_run[me] ->
			any_reply(r);
			d_step {
				if
				:: caller[r] != NONE -> reply_answer(r)
				:: else
				fi;
				r = 0;
				check()
			} }
	od
}

proctype World(byte t)
{
	byte e;

end:	do
	/* a deadline; a signal to a bound notification */
	:: d_step { state[t] == SEND || state[t] == RECV -> thread_cancel(t); check() }
	:: d_step { state[t] >= READY -> thread_suspend(t); check() }
	:: d_step { state[t] == STOPPED -> thread_inherit(t); thread_wake(t); check() }
#ifdef RESET
	/* registers are written: what it was at is given up */
	:: d_step { state[t] == STOPPED && job[t] != NONE -> reply_fail(job[t]); check() }
#endif
	:: d_step { state[t] != DEAD -> thread_destroy(t); check() }
	:: d_step { state[t] == DEAD -> state[t] = STOPPED; check() }
#ifdef BASES
	:: d_step { state[t] != DEAD && base[t] < BASES -> base[t]++; thread_inherit(t); check() }
	:: d_step { state[t] != DEAD && base[t] > 1 -> base[t]--; thread_inherit(t); check() }
#endif
#ifdef BUDGETS
	:: d_step { state[t] != DEAD -> budget[t] = !budget[t]; thread_inherit(t); check() }
#endif
	od
}

proctype Objects()
{
	byte r, e, first;

end:	do
	:: atomic { any_reply(r);
			d_step {
				if
				:: reply_state[r] != IDLE -> reply_fail(r)
				:: else
				fi;
				r = 0;
				check()
			} }
#ifdef CLOSING
	:: atomic { any_endpoint(e);
			if
			:: closed[e] = true
			:: closed[e] -> closed[e] = false
			:: closed[e] -> /* one of the queue after the other */
				queue_first(e, SEND);
				d_step {
					if
					:: first != NONE -> thread_cancel(first)
					:: else
					fi
				}
			:: closed[e] -> /* its end */
				queue_first(e, SEND);
				if
				:: first == NONE -> queue_first(e, RECV)
				:: else
				fi;
				d_step {
					if
					:: first != NONE -> thread_cancel(first)
					:: else -> endpoint_set_owner(e, NONE)
					fi
				}
			fi;
			e = 0;
			first = 0;
			d_step { check() } }
#endif
	od
}

init {
	byte n;

	atomic {
		for (n : 0 .. THREADS - 1) {
			state[n] = READY;
			base[n] = n % 3 + 1;
			prio[n] = base[n];
			context[n] = n;
			budget[n] = true;
			may_run[n] = true
		}
		n = 0;
		for (n : 0 .. THREADS - 1) {
			run Thread(n);
			run World(n)
		}
		run Objects()
	}
}
