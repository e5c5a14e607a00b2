/* SPDX-License-Identifier: MIT */
/*
 * A tour tells a CPU of a change (docs/several-cpus.md, "Translations"): who has been there need not look again.
 *
 * Threads unmap a page each, look once whether the CPU is behind, go there by mail if it is, and then use the memory again. The CPU
 * takes its mail and flushes; it may leave part of what it took for later (an interrupt). Claim: in user mode it uses no
 * translation to memory that was used again.
 */
#ifndef UNMAPPERS
#define UNMAPPERS 2
#endif

bool lock;
bool leaf[UNMAPPERS] = true;
bool reused[UNMAPPERS];
bool back[UNMAPPERS];
byte generation, flushed;
byte mailbox, inbox; /* a bit for each thread */
byte tlb;            /* a bit for each page */
bool irq;

#define take_lock    atomic { !lock -> lock = true }
#define release_lock lock = false

inline flush()
{
	seen = generation;
	tlb = 0;
	flushed = seen
}

inline take_mail()
{
	d_step {
		inbox = inbox | mailbox;
		mailbox = 0;
	}
}

proctype Cpu()
{
	byte p, seen;

end:	do
	:: irq ->
		irq = false;
		take_mail();
		flush();
		do
		:: inbox ->
			for (p : 0 .. UNMAPPERS - 1) {
				if
				:: inbox & (1 << p) ->
					inbox = inbox & ~(1 << p);
					back[p] = true;
					break
				:: else
				fi
			}
		:: inbox -> irq = true; break /* the rest later */
		:: !inbox -> break
		od;
		p = 0
	/* user mode */
	:: d_step { !irq ->
			for (p : 0 .. UNMAPPERS - 1) {
				assert(!(tlb & (1 << p)) || !reused[p])
			}
			p = 0 }
	od
}

/* The hardware remembers what the tables say whenever it likes. */
proctype Walker()
{
	byte p;

end:	do
	:: d_step { true ->
			for (p : 0 .. UNMAPPERS - 1) {
				if
				:: leaf[p] -> tlb = tlb | (1 << p)
				:: else
				fi
			}
			p = 0 }
	od
}

proctype Unmapper(byte p)
{
	bool behind;

	take_lock;
	leaf[p] = false;
	generation++;
	behind = (flushed < generation);
	release_lock;
	if
	:: behind ->
		d_step {
			irq = irq || !mailbox; /* only the first is announced */
			mailbox = mailbox | (1 << p);
		}
		back[p]
	:: else
	fi;
	reused[p] = true
}

init {
	byte i;

	atomic {
		run Cpu();
		run Walker();
		for (i : 0 .. UNMAPPERS - 1) {
			run Unmapper(i)
		}
	}
}
