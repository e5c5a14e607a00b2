/* SPDX-License-Identifier: MIT */
/*
 * Translations (docs/several-cpus.md): generations, tours, tags, and deleting an address space.
 *
 * Address space 1 (V) maps PAGES pages; address space 0 is another, or the kernel's own. CPUs switch between them as they
 * like and cache translations at any moment while CR3 says V. Two threads unmap the same page and then reuse its memory;
 * with PAGES 2 a third unmaps the other page. (A table page that is used again elsewhere is such memory, too.) With DELETE
 * one more deletes V, reuses its root and memory, and then makes another space whose root is there. With TAGS a CPU keeps
 * what it knows of V while it has loaded another space (with none it would need no more room than this: that another space
 * takes the tag away is a flush when V is loaded, which may also happen for no reason).
 *
 * Claims: no CPU in user mode uses a translation to memory that was reused; none has CR3 in a root that was. CR3 writes are
 * serialising; the unmappers' fence is between edit and look, a CPU's with tags between announcement and look.
 */
#ifndef CPUS
#define CPUS 2
#endif
#ifndef PAGES
#define PAGES 1
#endif
#define FLUSH  1
#define UNBIND 2

bool lock;
bool leaf[PAGES] = true;
bool reused[PAGES];
bool root_reused;
byte generation; /* of all spaces; the others are not changed */
byte edited;     /* V's */
/* software's words */
byte vspace[CPUS], cr3_word[CPUS], flushed[CPUS];
byte tag_flushed[CPUS]; /* with TAGS: `flushed` when V was left */
bool bound[CPUS] = true; /* a thread of that CPU has V */
byte visitors[CPUS];     /* bits: what visitors are on their way for */
/* hardware */
byte cr3[CPUS];
byte tlb[CPUS]; /* a bit for each page, of V */

#define take_lock    atomic { !lock -> lock = true }
#define release_lock lock = false

inline load(v)
{
	seen = generation;
	vspace[me] = v;
#ifdef TAGS
	if
	:: v == 1 -> stale = tag_flushed[me] < edited
	:: else -> tag_flushed[me] = flushed[me]; stale = false
	fi;
#endif
	d_step {
		cr3[me] = v;
		if
		:: stale -> tlb[me] = 0
		:: else
		fi
	}
	cr3_word[me] = v;
	d_step {
		flushed[me] = seen;
		seen = 0;
		stale = true
	}
}

inline edit()
{
	edited = generation + 1;
	generation = edited
}

proctype Cpu(byte me)
{
	byte seen, p, what;
	bool stale = true;

end:	do
	/* user mode: interrupts are on */
	:: vspace[me] == 1 && visitors[me] == 0 -> load(0)
	:: vspace[me] == 0 && visitors[me] == 0 && bound[me] -> load(1)
	:: true -> /* mail, of our visitors or of others */
		/* a CPU that takes mail flushes first what it has loaded, if that was changed */
		seen = generation;
		if
		:: vspace[me] == 1 && flushed[me] < edited ->
			tlb[me] = 0;
			flushed[me] = seen
		:: vspace[me] == 1 && flushed[me] >= edited
		:: vspace[me] == 0
		:: vspace[me] == 0 -> flushed[me] = seen
		fi;
		d_step {
			seen = 0;
			what = visitors[me];
			visitors[me] = 0;
			if
			:: what & UNBIND -> bound[me] = false
			:: else -> what = 0
			fi
		}
		if
		:: what && vspace[me] == 1 -> load(0)
		:: else
		fi;
		what = 0
	:: d_step { vspace[me] == 1 ->
			for (p : 0 .. PAGES - 1) {
				assert(!(tlb[me] & (1 << p)) || !reused[p]);
			}
			p = 0 }
	od
}

/* The hardware of that CPU walks the tables whenever it likes, for what runs or by speculation. */
proctype Walker(byte me)
{
	byte p;

end:	do
	:: d_step { cr3[me] == 1 ->
			assert(!root_reused);
			p = 0;
			do
			:: p < PAGES ->
				if
				:: leaf[p] -> tlb[me] = tlb[me] | (1 << p)
				:: else
				fi;
				p++
			:: else -> break
			od;
			p = 0 }
	od
}

inline find_cpu_behind()
{
	c = 0;
	do
	:: c == CPUS -> break
	:: else ->
		if
		:: (vspace[c] == 1 || cr3_word[c] == 1) && flushed[c] < edited -> break
		:: else -> c++
		fi
	od
}

inline visit(cpu, what)
{
	release_lock;
	visitors[cpu] = visitors[cpu] | what;
	!(visitors[cpu] & what);
	take_lock
}

proctype Unmapper(byte p)
{
	byte c;

	take_lock;
	if
	:: leaf[p] ->
		leaf[p] = false;
		edit()
	:: else
	fi;
	do
	:: find_cpu_behind();
		if
		:: c == CPUS -> break
		:: else -> visit(c, FLUSH)
		fi
	od;
	reused[p] = true;
	release_lock
}

proctype Deleter()
{
	byte c, p;

	take_lock;
	for (p : 0 .. PAGES - 1) {
		leaf[p] = false
	}
	edit();
	/* Clearing the bindings: each at its thread's CPU. */
	for (c : 0 .. CPUS - 1) {
		visit(c, UNBIND)
	}
	do
	:: c = 0;
		do
		:: c == CPUS -> break
		:: else ->
			if
			:: vspace[c] == 1 || cr3_word[c] == 1 -> break
			:: else -> c++
			fi
		od;
		if
		:: c == CPUS -> break
		:: else -> visit(c, UNBIND)
		fi
	od;
	root_reused = true;
	for (p : 0 .. PAGES - 1) {
		reused[p] = true
	}
	root_reused = false;
	edited = 0; /* a new object is zero */
	edit();
	for (c : 0 .. CPUS - 1) {
		bound[c] = true
	}
	release_lock
}

init {
	byte i;

	atomic {
		for (i : 0 .. CPUS - 1) {
			run Cpu(i);
			run Walker(i);
		}
#ifdef DELETE
		run Deleter();
#else
		run Unmapper(0);
#endif
		run Unmapper(0);
#if PAGES > 1
		run Unmapper(1);
#endif
	}
}
