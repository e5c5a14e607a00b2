/* SPDX-License-Identifier: MIT */
/*
 * Page tables (kernel/core/{vspace,window}.c, kernel/arch/x86_64/paging.c): on any contents of a VSpace's
 * tables, the walk follows links only; an operation changes the entry that translates the address and no
 * other, and allows no more than was asked for.
 */
#ifndef OP
#define OP 0
#endif
#include "space.h"

static inline void *page_of_feed(uint64_t physical)
{
	(void)physical;
	return NULL;
}

#include "kernel/core/window.c"

static struct window window;

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

	prove(!leaf == refused);
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
	prove(done == !refused);
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
	make_any_space(OP == 1 ? nondet_u64() : OP == 5 ? AT & ~(LARGE_PAGE_SIZE - 1) : AT);
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
