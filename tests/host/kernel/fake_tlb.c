/* SPDX-License-Identifier: MIT */
/*
 * TLBs of the fake CPUs: a few translations each, kept as long as a real one might keep them. After every
 * operation each of them must still be one that a Window stands for: that is what protects memory that is
 * used again.
 */
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "world.h"

#define ENTRIES 64

struct translation {
	uint64_t address, physical, size; /* size 0: none */
};

static struct tlb {
	struct arch_vspace *vspace; /* loaded */
	struct translation entries[ENTRIES];
	unsigned next;
} tlbs[CPU_MAX];

void tlb_switch(struct arch_vspace *vspace)
{
	tlbs[fake_cpu] = (struct tlb){.vspace = vspace};
}

bool arch_vspace_in_use(const struct cpu *cpu, const struct arch_vspace *vspace)
{
	return tlbs[cpu->index].vspace == vspace;
}

void arch_tlb_flush(struct arch_vspace *vspace, uint64_t address, uint64_t size)
{
	struct tlb *tlb = &tlbs[fake_cpu];

	if (tlb->vspace != vspace)
		return;
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct translation *entry = &tlb->entries[i];

		if (entry->address < address + size && address < entry->address + entry->size)
			entry->size = 0;
	}
}

void tlb_touch(uint64_t address)
{
	struct tlb *tlb = &tlbs[fake_cpu];
	unsigned missing;

	for (unsigned level = 0; tlb->vspace && level < 2; level++) {
		uint64_t size = PAGE_SIZE << 9 * level;
		pte_t *pte = arch_pte_find(tlb->vspace, address, level, &missing);

		if (!pte || !arch_pte_is_leaf(*pte, level))
			continue;
		tlb->entries[tlb->next++ % ENTRIES] =
		        (struct translation){address & ~(size - 1), arch_pte_physical(*pte), size};
	}
}

static bool window_covers(const struct slot *slot, const struct arch_vspace *vspace,
                          const struct translation *entry)
{
	const struct window *window =
	        (const struct window *)((const char *)slot - offsetof(struct window, vspace));

	return slot->place == PLACE_WINDOW_VSPACE && (const void *)slot->object == (const void *)vspace &&
	       entry->physical >= window->memory.object &&
	       entry->physical + entry->size <= window->memory.object + (window->memory.pages << PAGE_BITS);
}

static void check_entry(const struct arch_vspace *vspace, const struct translation *entry)
{
	for (const struct slot *slot = slot_forest.child; slot; slot = slot_next_below(slot, &slot_forest))
		if (window_covers(slot, vspace, entry))
			return;
	panic("the translation of %#lx to %#lx has outlived its Window", entry->address, entry->physical);
}

void tlb_check(void)
{
	for (unsigned cpu = 0; cpu < CPU_MAX; cpu++)
		for (unsigned i = 0; i < ENTRIES; i++)
			if (tlbs[cpu].vspace && tlbs[cpu].entries[i].size)
				check_entry(tlbs[cpu].vspace, &tlbs[cpu].entries[i]);
}
