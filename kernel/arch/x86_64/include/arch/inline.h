/* SPDX-License-Identifier: MIT */
/* Functions of <kernel/arch.h> that are a few instructions long. Included before their declarations there. */
#pragma once

#include <abi/object.h>

#include <kernel/trace.h>

static inline struct cpu *arch_this_cpu(void)
{
	struct cpu *cpu;

	/* Not volatile: a kernel entry stays on its CPU. */
	__asm__("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

static inline void arch_copy_words(uint64_t *to, const uint64_t *from, uint64_t count)
{
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static inline void arch_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* ---- time ---- */
/* The TSC as it is: the cheapest clock, for what counts only differences. */
static inline uint64_t arch_cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

extern uint64_t time_tsc_at_boot;
extern uint64_t time_scale; /* nanoseconds in a TSC tick, 32.32 fixed point */

static inline uint64_t arch_time(void)
{
	/* 96 bits at most: no overflow ever. */
	return (uint64_t)((__uint128_t)(arch_cycles() - time_tsc_at_boot) * time_scale >> 32);
}

/* ---- page tables ---- */
typedef uint64_t pte_t;

#define PTE_PRESENT  (1ul << 0)
#define PTE_WRITE    (1ul << 1)
#define PTE_USER     (1ul << 2)
#define PTE_PWT      (1ul << 3)
#define PTE_PCD      (1ul << 4)
#define PTE_ACCESSED (1ul << 5)
#define PTE_DIRTY    (1ul << 6)
#define PTE_LARGE    (1ul << 7)
#define PTE_GLOBAL   (1ul << 8)
#define PTE_NX       (1ul << 63)
#define PTE_ADDRESS  0x000ffffffffff000ul

static inline pte_t arch_pte_make(uint64_t physical, unsigned rights, unsigned level, unsigned type)
{
	if ((rights & (RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE)) == 0)
		return 0;
	return physical | PTE_PRESENT | PTE_USER | (rights & RIGHT_WRITE ? PTE_WRITE : 0) |
	       (rights & RIGHT_EXECUTE ? 0 : PTE_NX) | (level > 0 ? PTE_LARGE : 0) |
	       (type & MAP_UNCACHED          ? PTE_PCD | PTE_PWT
	        : type & MAP_WRITE_COMBINING ? PTE_PWT
	                                     : 0);
}

static inline bool arch_pte_present(pte_t pte)
{
	return pte & PTE_PRESENT;
}

static inline bool arch_pte_is_leaf(pte_t pte, unsigned level)
{
	return (pte & PTE_PRESENT) && (level == 0 || (pte & PTE_LARGE));
}

static inline uint64_t arch_pte_physical(pte_t pte)
{
	return pte & PTE_ADDRESS;
}

static inline unsigned arch_pte_rights(pte_t pte)
{
	if (!(pte & PTE_PRESENT))
		return 0;
	return RIGHT_READ | (pte & PTE_WRITE ? RIGHT_WRITE : 0) | (pte & PTE_NX ? 0 : RIGHT_EXECUTE);
}

static inline unsigned arch_pte_effective(unsigned rights)
{
	return rights ? rights | RIGHT_READ : 0;
}

/* The entry at byte `offset` (after masking) of the table that this entry points to. */
static inline pte_t *pte_below(pte_t entry, uint64_t offset)
{
	return (pte_t *)((entry & PTE_ADDRESS) + (offset & 0xff8) + KERNEL_OFFSET);
}

/* Only a leaf of level 1 can be in the way. */
__attribute__((always_inline)) static inline pte_t *arch_leaf_find(struct arch_vspace *vspace,
                                                                   uint64_t address)
{
	pte_t entry = *pte_below(vspace->root, address >> 36);

	if (!arch_pte_present(entry))
		return NULL;
	entry = *pte_below(entry, address >> 27);
	if (!arch_pte_present(entry))
		return NULL;
	entry = *pte_below(entry, address >> 18);
	if (!arch_pte_present(entry) || entry & PTE_LARGE)
		return NULL;
	return pte_below(entry, address >> 9);
}

/* ---- address spaces ---- */
extern uint64_t kernel_root; /* physical */

__attribute__((always_inline)) static inline void cpu_load_root(struct arch_cpu *cpu, uint64_t root)
{
	trace(TRACE_VSPACE, 0, NULL, root, 0, 0, 0);
	/*
	 * Only after the first are the old tables out of use: until then other CPUs have to take them for
	 * used. Under KPTI, or with PCIDs, patch.c makes the two a call.
	 */
	__asm__ volatile("1:\tmov %1, %%cr3\n\t"
	                 "mov %1, %0\n"
	                 "2:\t.pushsection .root_loads, \"a\"\n\t"
	                 ".quad 1b, 2b\n\t"
	                 ".popsection"
	                 : "=m"(cpu->cr3)
	                 : "a"(root)
	                 : "memory", "cc");
}

static inline void arch_vspace_switch(struct arch_vspace *vspace)
{
	struct arch_cpu *cpu = (struct arch_cpu *)arch_this_cpu();
	uint64_t root = vspace ? vspace->root : kernel_root;

	if (cpu->cr3 != root)
		cpu_load_root(cpu, root);
}

/* To another than the current one, where the CPU is at hand. */
__attribute__((always_inline)) static inline void arch_vspace_load(struct arch_cpu *cpu,
                                                                   const struct arch_vspace *vspace)
{
	cpu_load_root(cpu, vspace->root);
}

static inline bool arch_vspace_in_use(const struct cpu *cpu, const struct arch_vspace *vspace)
{
	return __atomic_load_n(&((const struct arch_cpu *)cpu)->cr3, __ATOMIC_RELAXED) == vspace->root;
}
