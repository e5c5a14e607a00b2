/* SPDX-License-Identifier: MIT */
/*
 * Capability slots that are read without the lock (docs/several-cpus.md, "One lock"), and deletion without grace periods.
 *
 * A thread of CPU 0 signals, again and again, through a slot in its CSpace. Another thread empties the slot, destroys what it named, puts
 * the capability of another object there, and in the end deletes the CNode with the slot in it; where an object or a binding belongs to CPU 0, it
 * does so there, as a visitor. The slot's two words are read and written one at a time. Claims: no mixture of two capabilities
 * is ever used; no destroyed object and no freed CNode is touched. (Loads and stores are seen in program order.)
 */
#define EMPTY 255

bool lock;
byte sequence;
byte object, home; /* the slot's words: object 0 has home 0, object 1 has home 1 */
bool alive[2] = true;
bool cnode_alive = true, bound = true;
byte visit; /* what the visitor of CPU 0 is to do; 0: nobody is there */

#define DESTROY 1
#define UNBIND  2

#define take_lock    atomic { !lock -> lock = true }
#define release_lock lock = false

inline write(o, h)
{
	sequence++;
	object = o;
	home = h;
	sequence++
}

/* CPU 0: interrupts are taken, and visitors served, between system calls. */
proctype Cpu0()
{
	byte before, o, h;

end:	do
	:: visit == DESTROY ->
		take_lock;
		alive[0] = false; /* and its memory is used again */
		release_lock;
		visit = 0
	:: visit == UNBIND ->
		take_lock;
		bound = false;
		release_lock;
		visit = 0
	:: bound ->
		do
		:: before = sequence;
			assert(cnode_alive);
			o = object;
			assert(cnode_alive);
			h = home;
			if
			:: before % 2 == 0 && sequence == before -> break
			:: else
			fi
		od;
		if
		:: o == EMPTY /* an error */
		:: o != EMPTY && h == 0 -> assert(o == 0 && alive[0])
		:: o != EMPTY && h != 0 -> /* to be signalled from afar: the slot is read again */
			take_lock;
			if
			:: object != EMPTY && home != 0 -> assert(alive[object] && home == object)
			:: else
			fi;
			release_lock
		fi
	od
}

/* A thread of CPU 1. It lets go of the lock when it travels. */
proctype Deleter()
{
	take_lock;
	write(EMPTY, 0);
	release_lock;
	visit = DESTROY;
	visit == 0;
	take_lock;
	write(1, 1);
	release_lock;
	take_lock;
	write(EMPTY, 1);
	alive[1] = false; /* is at its home */
	release_lock;
	visit = UNBIND;
	visit == 0;
	take_lock;
	cnode_alive = false;
	release_lock
}

init {
	home = 0;
	atomic {
		run Cpu0();
		run Deleter();
	}
}
