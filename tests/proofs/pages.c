/* SPDX-License-Identifier: MIT */
/*
 * Page tables (kernel/core/{vspace,window}.c, kernel/arch/x86_64/paging.c): on any contents of a VSpace's
 * tables, the walk follows links only; an operation changes the entry that translates the address and no
 * other, and allows no more than was asked for.
 *
 * There are four tables, those that lie on the way to the address. LOWEST is the level of the last that is
 * linked; those below are free, and FREE of them can be taken. Operations see the walk by its contract,
 * arch_pte_find() here; OP 1 proves that the real one keeps it. Where the real walk asks for a table's
 * address it is proved that it asks for the one that the entry on the way names.
 */
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

#ifndef OP
#define OP 0
#endif
#ifndef LOWEST
#define LOWEST 0
#endif
#ifndef FREE
#define FREE LOWEST
#endif
/* What an operation is done at: what it does is the same for all indices. The walk is proved for all
 * addresses. */
#ifndef AT
#define AT 0x2a8c57ffd000ul
#endif
#define LEVELS 4
#define LINK   (PTE_PRESENT | PTE_WRITE | PTE_USER)

/* ---- the tables ---- */

static struct cpu cpu;
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

/* Which one it is the expression tells, so that the prover need not guess. */
#define phys_to_virt(expression) walk_to(#expression[0] == 'v', expression)

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

bool preempt_wanted(void)
{
	return nondet_bool();
}

static unsigned lowest = LOWEST;
static pte_t before; /* what the last table on the way says */

#define level_size      paging_level_size
#define arch_pte_find   real_pte_find
#define arch_table_link real_table_link
#include "kernel/arch/x86_64/paging.c"
#undef level_size
#undef arch_pte_find
#undef arch_table_link

/* The contract. */
pte_t *arch_pte_find(struct arch_vspace *space, uint64_t at_address, unsigned level, unsigned *missing)
{
	(void)space;
	prove(at_address >> (12 + 9 * level) == address >> (12 + 9 * level));
	if (level >= lowest)
		return &tables[level][index_of(at_address, level)];
	*missing = arch_pte_present(entry_at(lowest)) ? lowest : lowest - 1;
	return NULL;
}

pte_t *arch_leaf_find(struct arch_vspace *space, uint64_t at_address)
{
	unsigned missing;

	return arch_pte_find(space, at_address, 0, &missing);
}

void arch_table_link(struct arch_vspace *space, uint64_t at_address, unsigned level, void *table)
{
	real_table_link(space, at_address, level, table);
	prove(level + 1 == lowest && entry_at(lowest) == (places[level] | LINK));
	lowest = level;
}

static void page_clear(void *page)
{
	__CPROVER_array_set((pte_t *)page, (pte_t)0);
}
#define __builtin_memset(page, byte, size) page_clear(page)

#include "kernel/core/vspace.c"

#include "kernel/core/window.c"

/* ---- any space ---- */

static struct vspace vspace;
static struct window window;
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

static void make_any_space(void)
{
	__CPROVER_array_copy(table_0, any_0);
	__CPROVER_array_copy(table_1, any_1);
	__CPROVER_array_copy(table_2, any_2);
	__CPROVER_array_copy(table_3, any_3);
	places[3] = 0x1000;
	places[2] = 0x2000;
	places[1] = 0x3000;
	places[0] = 0x4000;
	address = OP == 1 ? nondet_u64() : OP == 5 ? AT & ~(LARGE_PAGE_SIZE - 1) : AT;
	assume(!(address % PAGE_SIZE) && address >= USER_BASE && address < USER_END);
	vspace.arch.root = places[3];
	vspace.end = USER_END;
	vspace.root_level = ARCH_ROOT_LEVEL;
	vspace.map_flags = VSPACE_MAP_FLAGS;
	cpu.arch.cr3 = 1; /* TLBs are no matter here */
	for (unsigned level = ARCH_ROOT_LEVEL; level > LOWEST; level--)
		assume(entry_at(level) == (places[level - 1] | LINK | (entry_at(level) & PTE_ACCESSED)));
	before = entry_at(LOWEST);
	/* Nothing is there, or a leaf, which is large on level 1. */
	assume(!before || (is_leaf(before, LOWEST) && before & PTE_USER && LOWEST < 2));
	assume(LOWEST != 1 || !before || !((before & PTE_ADDRESS) % LARGE_PAGE_SIZE));
	/* Those that are free are zero but for their links, in the order in which they will be missed. */
	for (unsigned level = LOWEST; level > 0; level--) {
		page_clear(tables[level - 1]);
		if (LOWEST - level + 1 < FREE)
			((struct table_page *)tables[level - 1])->next =
			        (struct table_page *)tables[level - 2];
	}
	vspace.free = FREE ? (struct table_page *)tables[LOWEST - 1] : NULL;
	vspace.free_pages = FREE;
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

/* ---- the operations ---- */

static void prove_encoding(void)
{
	unsigned rights = any_below(8), level = any_below(2), other = any_below(8);
	unsigned type = nondet_unsigned() & (MAP_UNCACHED | MAP_WRITE_COMBINING);
	uint64_t physical = nondet_u64();
	pte_t pte, changed;

	assume(!(physical % (level ? LARGE_PAGE_SIZE : PAGE_SIZE)) && physical < 1ul << 52);
	pte = arch_pte_make(physical, rights, level, type);
	if (!rights) {
		prove(!pte);
		return;
	}
	prove(arch_pte_present(pte) && arch_pte_is_leaf(pte, level) && arch_pte_physical(pte) == physical);
	prove(arch_pte_rights(pte) == arch_pte_effective(rights));
	prove(!(rights & ~arch_pte_rights(pte)) && !(arch_pte_rights(pte) & ~(rights | RIGHT_READ)));
	prove(pte & PTE_USER && !(pte & PTE_GLOBAL));
	/* Bits that the hardware sets change nothing of that, nor do other rights of the rest. */
	pte |= nondet_u64() & (PTE_ACCESSED | PTE_DIRTY);
	changed = pte_change_rights(pte, other, level);
	prove(other ? arch_pte_rights(changed) == arch_pte_effective(other) : !changed);
	prove(!other || !((changed ^ pte) & ~(PTE_WRITE | PTE_NX)));
}

/* A step of the fast walk is one of arch_pte_find(). */
static void prove_step(void)
{
	uint64_t at_address = nondet_u64();
	unsigned level = any_below(LEVELS);
	pte_t pte = nondet_u64();

	prove((uint64_t)pte_below(pte, at_address >> (PAGE_BITS + 9 * level - 3)) - KERNEL_OFFSET ==
	      (pte & PTE_ADDRESS) + entry_index(at_address, level) * sizeof(pte_t));
}

static void prove_find(void)
{
	for (unsigned level = 0; level < LEVELS; level++) {
		unsigned missing = LEVELS;
		pte_t *found = real_pte_find(&vspace.arch, address, level, &missing);

		if (level >= LOWEST)
			prove(found == &tables[level][index_of(address, level)]);
		else
			prove(!found && missing == (before ? LOWEST : LOWEST - 1));
	}
	prove_unchanged(LEVELS, 0);
}

/* One page is mapped, whatever was there: a large page in the way is gone, and what is beside it not there.
 */
static void prove_map(void)
{
	unsigned rights = any_below(8);
	uint64_t physical = nondet_u64() & PTE_ADDRESS;
	pte_t *leaf = vspace_leaf(&vspace, address, 0);

	prove(!leaf == (FREE < LOWEST));
	if (leaf) {
		prove(leaf == &table_0[index_of(address, 0)]);
		*leaf = arch_pte_make(physical, rights, 0, 0);
		prove(vspace_find_small(&vspace, address) == leaf);
		prove(rights ? arch_pte_physical(*leaf) == physical && is_leaf(*leaf, 0) : !*leaf);
		prove(!(arch_pte_rights(*leaf) & ~arch_pte_effective(rights)));
	}
	/* A table that was made says nothing else. */
	if (leaf && any_level < LOWEST && !on_way(any_level, LOWEST))
		prove(!any_now());
	prove_unchanged(LOWEST, index_of(address, LOWEST));
	prove(LOWEST == 0 || leaf || FREE || !arch_pte_present(entry_at(LOWEST)));
}

/* Two pages of one table, or a large page that they lie in; all, or what shows some memory. */
static void prove_remove(void)
{
	uint64_t start = address, end = address + PAGE_SIZE * (1 + any_below(2)), next;
	uint64_t physical = nondet_u64() & PTE_ADDRESS, size = nondet_u64() & PTE_ADDRESS, removed = 0;
	pte_t second = table_0[(index_of(address, 0) + 1) % 512];
	uint64_t page = LOWEST ? LARGE_PAGE_SIZE : PAGE_SIZE, shown = before & PTE_ADDRESS;
	bool hit = is_leaf(before, LOWEST) && (!size || (shown < physical + size && physical < shown + page));

	assume(physical + size < 1ul << 53 && (index_of(address, 0) < 511 || end == address + PAGE_SIZE));
	next = vspace_remove_some(&vspace, start, end, physical, size, &removed);
	prove(next > start && (LOWEST || next == end));
	prove(entry_at(LOWEST) == (hit ? 0 : before));
	if (LOWEST == 0 && end > address + PAGE_SIZE)
		prove(!table_0[index_of(address, 0) + 1] ||
		      (size && table_0[index_of(address, 0) + 1] == second) || !(second & PTE_PRESENT));
	if (LOWEST == 0 && end > address + PAGE_SIZE && any_level == 0 &&
	    any_index == index_of(address, 0) + 1)
		return;
	prove_unchanged(LOWEST, index_of(address, LOWEST));
}

/* Rights are changed of what the Window's Memory covers as a whole. */
static void prove_protect(void)
{
	unsigned rights = any_below(8);
	uint64_t size = LOWEST ? LARGE_PAGE_SIZE : PAGE_SIZE, next, end;
	bool owned;
	pte_t now;

	window.vspace.object = (uint64_t)&vspace;
	window.hull_start = USER_END;
	window.memory.object = nondet_u64() & PTE_ADDRESS;
	window.memory.pages = nondet_u64();
	assume(window.memory.pages <= 1ul << 40);
	end = window.memory.object + (window.memory.pages << PAGE_BITS);
	owned = before && (before & PTE_ADDRESS) >= window.memory.object &&
	        (before & PTE_ADDRESS) + size <= end;
	next = window_protect_one(&window, address, rights);
	now = entry_at(LOWEST);
	prove(next > address);
	if (owned) {
		prove(!rights == !now);
		prove(!now || !((now ^ before) & ~(PTE_WRITE | PTE_NX)));
		prove(arch_pte_rights(now) == arch_pte_effective(rights));
		prove(!LOWEST || (window.hull_start <= address && window.hull_end > address));
	} else {
		prove(now == before);
	}
	prove_unchanged(LOWEST, index_of(address, LOWEST));
}

/* A large page is mapped, whatever was there: a table of small ones is taken back, and empty. */
static void prove_map_large(void)
{
	unsigned rights = any_below(8);
	uint64_t physical = nondet_u64() & PTE_ADDRESS;
	pte_t replaced = 0, now;
	bool done;

	assume(!(physical % LARGE_PAGE_SIZE));
	walked = 1; /* the table that is dropped is below */
	done = map_large(&vspace, address, arch_pte_make(physical, rights, 1, 0), &replaced);
	prove(done == (LOWEST < 2 || FREE >= LOWEST - 1));
	now = entry_at(1);
	if (done) {
		prove(rights ? is_leaf(now, 1) && arch_pte_physical(now) == physical : !now);
		prove(!(arch_pte_rights(now) & ~arch_pte_effective(rights)));
		prove(LOWEST > 1 || arch_pte_present(replaced) == (LOWEST == 0 || before)); /* for the TLB */
	}
	if (LOWEST == 0) {
		prove(vspace.free == (struct table_page *)table_0);
		prove(any_level || !any_index || !table_0[any_index]);
		prove(any_level == 0 || any_now() == any_before || on_way(any_level, 1));
		return;
	}
	prove_unchanged(LOWEST, index_of(address, LOWEST));
}

int main(void)
{
	if (OP == 0) {
		prove_encoding();
		prove_step();
		return 0;
	}
	make_any_space();
	switch (OP) {
	case 1:
		prove_find();
		break;
	case 2:
		prove_map();
		break;
	case 3:
		prove_remove();
		break;
	case 4:
		prove_protect();
		break;
	default:
		prove_map_large();
		break;
	}
	return 0;
}
