/* SPDX-License-Identifier: MIT */
/*
 * What proofs of page tables share: any VSpace, seen from one address, and kernel/core/vspace.c.
 *
 * There are four tables, those that lie on the way to the address. LOWEST is the level of the last that is
 * linked; those below are free. LARGE: the page there, on level 1, is a large one. Operations see two
 * functions by their contracts: the walk, arch_pte_find(), which pages.c proves that the real one keeps, and
 * table_take(), which tables.c does. Where the real walk asks for a table's address it is proved that it asks
 * for the one that the entry on the way names.
 */
#pragma once

#include <abi/types.h>

#include <arch/types.h>

struct cpu *arch_this_cpu(void);

/* Of the short functions all but those that ask the CPU or make pointers of numbers. */
#define arch_this_cpu  unknown_cpu
#define arch_leaf_find walk_by_numbers
#define phys_to_virt   number_to_pointer
#define virt_to_phys   pointer_to_number
#include "kernel/arch/x86_64/include/arch/inline.h"
#include "proof.h"
#undef arch_this_cpu
#undef arch_leaf_find
#undef phys_to_virt
#undef virt_to_phys

#include <kernel/cpu.h>

#ifndef LOWEST
#define LOWEST 0
#endif
#ifndef LARGE
#define LARGE 0
#endif
/* What an operation is done at: what it does is the same for all indices. The walk is proved for all
 * addresses. */
#ifndef AT
#define AT 0x2a8c57ffd000ul
#endif
#define LEVELS 4
#define LINK   (PTE_PRESENT | PTE_WRITE | PTE_USER)

/* ---- the tables ---- */

static struct cpu cpu, other_cpu;
unsigned cpu_count = 1;
struct arch_io arch_io;

static pte_t table_0[512], table_1[512], table_2[512], table_3[512];
extern pte_t any_0[512], any_1[512], any_2[512], any_3[512]; /* no definition: any contents */
static pte_t *const tables[LEVELS] = {table_0, table_1, table_2, table_3};
static uint64_t places[LEVELS]; /* their physical addresses */
static uint64_t address;
static unsigned walked = LEVELS; /* the level that the walk is at */

static unsigned index_of(uint64_t at_address, unsigned level)
{
	return at_address >> (12 + 9 * level) & 511;
}

static pte_t entry_at(unsigned level)
{
	return tables[level][index_of(address, level)];
}

/* The table that a walk comes to: the root, or the one below the last. */
static inline void *walk_to(bool root, uint64_t physical)
{
	if (root) {
		prove(physical == places[LEVELS - 1]);
		walked = LEVELS - 1;
		return tables[walked];
	}
	prove(walked > 0 && (entry_at(walked) & LINK) == LINK && !(entry_at(walked) & PTE_LARGE));
	prove(physical == (entry_at(walked) & PTE_ADDRESS));
	walked--;
	return tables[walked];
}

static inline void *page_of_feed(uint64_t physical);

/* Which one it is the expression tells, so that the prover need not guess. */
#define phys_to_virt(expression) \
	(#expression[0] == 'f' ? page_of_feed(expression) : walk_to(#expression[0] == 'v', expression))

static inline uint64_t virt_to_phys(const void *table)
{
	for (unsigned i = 0; i < LEVELS; i++) {
		if (table == tables[i])
			return places[i];
	}
	prove(!"a table");
	return 0;
}

struct cpu *arch_this_cpu(void)
{
	return &cpu;
}

struct cpu *cpu_at(unsigned index)
{
	prove(index < cpu_count);
	return index ? &other_cpu : &cpu;
}

/* After a few turns, so that loops end. */
static unsigned turns;
bool preempt_wanted(void)
{
	return !turns-- || nondet_bool();
}

/* The TLB: what was to be forgotten last, and what the entry of level 1 said then. */
static uint64_t flushed_from, flushed_to;
static pte_t flushed_entry;
static unsigned flushes;

void arch_tlb_flush(struct arch_vspace *space, uint64_t at_address, uint64_t size)
{
	(void)space;
	flushed_from = at_address;
	flushed_to = at_address + size;
	flushed_entry = entry_at(1);
	flushes++;
}

static unsigned lowest = LOWEST;
static pte_t before; /* what the last table on the way says */

#define level_size      paging_level_size
#define arch_pte_find   real_pte_find
#define arch_table_link real_table_link
#define arch_tlb_flush  real_tlb_flush
#include "kernel/arch/x86_64/paging.c"
#undef level_size
#undef arch_pte_find
#undef arch_table_link
#undef arch_tlb_flush

/* The contract. */
pte_t *arch_pte_find(struct arch_vspace *space, uint64_t at_address, unsigned level, unsigned *missing)
{
	(void)space;
	prove(level == ARCH_ROOT_LEVEL || !((at_address ^ address) >> (12 + 9 * level)));
	if (level >= lowest)
		return &tables[level][index_of(at_address, level)];
	*missing = LARGE && lowest == LOWEST ? lowest : lowest - 1;
	return NULL;
}

pte_t *arch_leaf_find(struct arch_vspace *space, uint64_t at_address)
{
	unsigned missing;

	return arch_pte_find(space, at_address, 0, &missing);
}

void arch_table_link(struct arch_vspace *space, uint64_t at_address, unsigned level, void *table)
{
	prove(level + 1 == lowest); /* so it is a number that the prover knows */
	lowest--;
	real_table_link(space, at_address, lowest, table);
	prove(entry_at(lowest + 1) == (places[lowest] | LINK));
}

static void page_clear(void *page, unsigned byte, uint64_t size)
{
	prove(!byte && size == PAGE_SIZE);
	__CPROVER_array_set((pte_t *)page, (pte_t)0);
}
#define __builtin_memset page_clear

#include <kernel/vspace.h>

/* The contract. */
static bool refused;
static void *table_by_contract(struct vspace *space)
{
	refused = nondet_bool();
	if (refused)
		return NULL;
	space->free_pages--;
	space->used_pages++;
	return tables[lowest - 1];
}

/* The definition and the calls of a static function are told apart by the first word in their parentheses. */
#define table_take(word) take_##word)
#define take_struct real_table_take(struct
#define take_vspace table_by_contract(vspace
#include "kernel/core/vspace.c"
#undef table_take

/* ---- any space ---- */

static struct vspace vspace;
static unsigned any_level, any_index;
static pte_t any_before;

/* The entry that may be any; each table by its name, so that pointers are one of a kind. */
static pte_t any_now(void)
{
	switch (any_level) {
	case 0:
		return table_0[any_index];
	case 1:
		return table_1[any_index];
	case 2:
		return table_2[any_index];
	default:
		return table_3[any_index];
	}
}

static bool is_leaf(pte_t pte, unsigned level)
{
	return pte & PTE_PRESENT && (!level || pte & PTE_LARGE);
}

static void make_any_space(uint64_t at_address)
{
	__CPROVER_array_copy(table_0, any_0);
	__CPROVER_array_copy(table_1, any_1);
	__CPROVER_array_copy(table_2, any_2);
	__CPROVER_array_copy(table_3, any_3);
	places[3] = 0x1000;
	places[2] = 0x2000;
	places[1] = 0x3000;
	places[0] = 0x4000;
	address = at_address;
	assume(!(address % PAGE_SIZE) && address >= USER_BASE && address < USER_END);
	vspace.arch.root = places[3];
	vspace.end = USER_END;
	vspace.root_level = ARCH_ROOT_LEVEL;
	vspace.map_flags = VSPACE_MAP_FLAGS;
	for (unsigned level = ARCH_ROOT_LEVEL; level > LOWEST; level--)
		assume(entry_at(level) == (places[level - 1] | LINK | (entry_at(level) & PTE_ACCESSED)));
	before = entry_at(LOWEST);
	/* Nothing is there, or a leaf, which is large on level 1. */
	assume(!before || (is_leaf(before, LOWEST) && before & PTE_USER && LOWEST < 2));
	assume(!LOWEST || !before == !LARGE);
	assume(LOWEST != 1 || !before || !((before & PTE_ADDRESS) % LARGE_PAGE_SIZE));
	for (unsigned level = LOWEST; level > 0; level--)
		page_clear(tables[level - 1], 0, PAGE_SIZE); /* it is free */
	turns = 2;
	any_level = any_below(LEVELS);
	any_index = any_below(512);
	any_before = any_now();
}

/* On the way to the address, from this level down. */
static bool on_way(unsigned level, unsigned top)
{
	return level <= top && any_index == index_of(address, level);
}

static void prove_unchanged(unsigned level, unsigned index)
{
	if (any_level == level && any_index == index)
		return;
	prove(any_now() == any_before || any_level < LOWEST);
}
