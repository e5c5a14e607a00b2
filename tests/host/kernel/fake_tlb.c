/* SPDX-License-Identifier: MIT */
/*
 * TLBs of the fake CPUs: a few translations each, and a few tables that translations were found in, kept as
 * long as a real one might keep them: where it has tags, also while another space is loaded. What is known of
 * the loaded one is checked after every operation: that is what protects memory that is used again.
 */
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "world.h"

#define ENTRIES 32

struct translation {
	uint64_t address, size; /* size 0: none */
	uint64_t physical;      /* of the page, or of the table for this range */
	unsigned level;
	bool table;
	unsigned rights;
	bool dirty; /* writes are not noted in the tables any more */
};

static struct tlb {
	struct arch_vspace *vspace; /* loaded */
	unsigned tag;               /* 0 where there are none */
	struct known {
		struct translation entries[ENTRIES];
		unsigned next;
	} behind[TAGS + 1];
} tlbs[CPU_MAX];

bool world_tags;

static struct known *known(unsigned cpu)
{
	return &tlbs[cpu].behind[tlbs[cpu].tag];
}

void tlb_reset(void)
{
	memset(tlbs, 0, sizeof(tlbs));
}

void tlb_switch(struct arch_vspace *vspace)
{
	struct tlb *tlb = &tlbs[fake_cpu];
	bool stale = !world_tags;

	tlb->vspace = vspace;
	tlb->tag = world_tags ? tlb_tag(&stale) : 0;
	if (stale)
		memset(known(fake_cpu), 0, sizeof(struct known));
}

bool arch_vspace_in_use(const struct cpu *cpu, const struct arch_vspace *vspace)
{
	return tlbs[cpu->index].vspace == vspace;
}

void (*fake_flush_meanwhile)(void);

void arch_tlb_flush(struct arch_vspace *vspace, uint64_t address, uint64_t size)
{
	void (*meanwhile)(void) = fake_flush_meanwhile;

	fake_flush_meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	if (tlbs[fake_cpu].vspace != vspace)
		return;
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct translation *entry = &known(fake_cpu)->entries[i];

		if (entry->address < address + size && address < entry->address + entry->size)
			entry->size = 0;
	}
}

static void tlb_add(unsigned cpu, struct translation entry, unsigned level)
{
	struct known *at = known(cpu);

	entry.size = PAGE_SIZE << 9 * level;
	entry.address &= ~(entry.size - 1);
	entry.level = level;
	for (unsigned i = 0; i < ENTRIES; i++)
		if (!memcmp(&at->entries[i], &entry, sizeof(entry)))
			return;
	at->entries[at->next++ % ENTRIES] = entry;
}

/* The entry of this level in the table that is remembered for the address, else in the tables. */
static pte_t *entry_at(unsigned cpu, uint64_t address, unsigned level)
{
	unsigned missing;

	for (unsigned i = 0; i < ENTRIES; i++) {
		const struct translation *entry = &known(cpu)->entries[i];

		if (entry->table && entry->level == level + 1 && address - entry->address < entry->size)
			return (pte_t *)phys_to_virt(entry->physical) +
			       (address >> (PAGE_BITS + 9 * level) & 511);
	}
	return arch_pte_find(tlbs[cpu].vspace, address, level, &missing);
}

static void tlb_add_page(unsigned cpu, uint64_t address, unsigned level, pte_t *pte, bool write)
{
	unsigned rights = arch_pte_rights(*pte);

	if (write && !(rights & RIGHT_WRITE))
		return;
	*pte |= PTE_ACCESSED | (write ? PTE_DIRTY : 0);
	tlb_add(cpu,
	        (struct translation){.address = address,
	                             .physical = arch_pte_physical(*pte),
	                             .rights = rights,
	                             .dirty = *pte & PTE_DIRTY},
	        level);
}

void tlb_touch(unsigned cpu, uint64_t address, bool write)
{
	for (int level = ARCH_ROOT_LEVEL; tlbs[cpu].vspace && level >= 0; level--) {
		pte_t *pte = entry_at(cpu, address, (unsigned)level);

		if (!pte || !arch_pte_present(*pte))
			return;
		if (arch_pte_is_leaf(*pte, (unsigned)level)) {
			tlb_add_page(cpu, address, (unsigned)level, pte, write);
			return;
		}
		tlb_add(cpu,
		        (struct translation){
		                .address = address, .physical = arch_pte_physical(*pte), .table = true},
		        (unsigned)level);
	}
}

uint64_t tlb_find(uint64_t address)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		const struct translation *entry = &known(fake_cpu)->entries[i];

		if (!entry->table && address - entry->address < entry->size)
			return entry->physical + (address - entry->address);
	}
	return 0;
}

void tlb_table_linked(uint64_t physical)
{
	for (unsigned cpu = 0; cpu < CPU_MAX; cpu++) {
		for (unsigned i = 0; tlbs[cpu].vspace && i < ENTRIES; i++) {
			const struct translation *entry = &known(cpu)->entries[i];

			if (entry->size && entry->table && entry->physical == physical)
				panic("CPU %u still walks the table %#lx, which is used again", cpu,
				      physical);
		}
	}
}

/* ---- checks ---- */

static bool window_covers(const struct slot *slot, const struct arch_vspace *vspace,
                          const struct translation *entry)
{
	const struct window *window =
	        (const struct window *)((const char *)slot - offsetof(struct window, vspace));

	return slot->place == PLACE_WINDOW_VSPACE && (const void *)slot->object == (const void *)vspace &&
	       entry->physical >= window->memory.object &&
	       entry->physical + entry->size <= window->memory.object + (window->memory.pages << PAGE_BITS);
}

static bool has_window(const struct arch_vspace *vspace, const struct translation *entry)
{
	for (const struct slot *slot = slot_forest.child; slot; slot = slot_next_below(slot, &slot_forest))
		if (window_covers(slot, vspace, entry))
			return true;
	return false;
}

/* What it remembers is what the tables say. */
static bool agrees(struct arch_vspace *vspace, const struct translation *entry)
{
	unsigned missing;
	const pte_t *pte = arch_pte_find(vspace, entry->address, entry->level, &missing);

	if (!pte || !arch_pte_present(*pte) || arch_pte_is_leaf(*pte, entry->level) == entry->table ||
	    arch_pte_physical(*pte) != entry->physical)
		return false;
	return entry->table ||
	       (!(entry->rights & ~arch_pte_rights(*pte)) && (!entry->dirty || *pte & PTE_DIRTY));
}

/* A CPU that knows of all changes of the address space remembers nothing else. Any other no page that may be
 * used for something else. */
static void check_entry(const struct cpu *cpu, struct arch_vspace *loaded, const struct translation *entry)
{
	const struct vspace *vspace = (const struct vspace *)loaded;

	if (agrees(loaded, entry))
		return;
	if (cpu->flushed >= vspace->edited)
		panic("CPU %u still knows %#lx as %#lx", cpu->index, entry->address, entry->physical);
	if (!entry->table && !has_window(loaded, entry))
		panic("CPU %u knows %#lx as %#lx, which has no Window any more", cpu->index, entry->address,
		      entry->physical);
}

void tlb_check(void)
{
	for (unsigned cpu = 0; cpu < CPU_MAX; cpu++)
		for (unsigned i = 0; i < ENTRIES; i++)
			if (tlbs[cpu].vspace && known(cpu)->entries[i].size)
				check_entry(cpu_at(cpu), tlbs[cpu].vspace, &known(cpu)->entries[i]);
}
