/* SPDX-License-Identifier: MIT */
/*
 * Poking a thread that moves between two CPUs (docs/several-cpus.md, "Signals"): once poked, it does not go on in user mode
 * without having seen it. The poker's store goes through a store buffer, as x86 has one.
 */
#define NOWHERE 255
#define MOVES   3

byte cpu;
byte in_user; /* in which CPU it is in user mode */
bool poked;
bool arrives[2], irq[2];
byte moves;
bool buffered; /* the poker's store waits in its buffer */

inline return_to_user()
{
	if
	:: poked -> poked = false /* tells the syscall endpoint */
	:: else
	fi;
	in_user = me
}

proctype Cpu(byte me)
{
end:	do
	:: atomic { in_user == me && !irq[me] && moves < MOVES -> in_user = NOWHERE; moves++ }
		cpu = 1 - me;
		arrives[1 - me] = true
	:: atomic { arrives[me] -> arrives[me] = false }
		return_to_user()
	:: atomic { irq[me] -> irq[me] = false }
		if
		:: atomic { in_user == me -> in_user = NOWHERE }
			return_to_user()
		:: else
		fi
	od
}

proctype Poker()
{
	byte where;

	buffered = true;
	!buffered; /* the fence */
	where = cpu;
	irq[where] = true
}

proctype Buffer()
{
	buffered -> poked = true;
	buffered = false
}

init {
	atomic {
		run Cpu(0);
		run Cpu(1);
		run Poker();
		run Buffer();
	}
	timeout -> assert(!poked)
}
