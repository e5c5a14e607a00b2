/* SPDX-License-Identifier: MIT */
/* What keeps the kernel busy while latencies are measured: threads of low priority on every CPU. */
#pragma once

/* What they do, as bits of load.storms. */
enum storm {
	STORM_IPC, /* two clients a CPU, one of which also calls the next CPU's server; up to 64 words, a
	            * capability */
	STORM_MAP, /* one page, 512 pages, 512 scattered pages, mapped, touched, protected and unmapped in one
	            * address space */
	STORM_VISIT,  /* threads of all CPUs that make, call and revoke objects of CPU 0 */
	STORM_REVOKE, /* thousands of copies, side by side and derived from each other; thousands of objects;
	               * memory */
};

struct load {
	const char *name;
	unsigned storms;
};
/* Ended by one without name. */
extern const struct load loads[];

#define LOAD_CPUS 4
void loads_make(unsigned cpus);
/* Until each of its threads has done something. */
void load_start(const struct load *load);
/* None of its system calls may have failed. */
void load_stop(const struct load *load);
