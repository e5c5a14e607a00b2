/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "fake_io.h"

#define ENTRY_PRESENT 1ul
#define ENTRY_WRITE   2ul
#define ENTRY_LARGE   128ul
#define ENTRY_ADDRESS 0x000ffffffffff000ul
#define TLB_ENTRIES   256

struct arch_io arch_io;

static struct {
	const uint64_t *root;
	unsigned domain;
	unsigned faults;
} devices[FAKE_REQUESTERS];

static struct {
	unsigned requester, domain;
	uint64_t address, physical;
	bool write;
} tlb[TLB_ENTRIES];
static unsigned tlb_next;

void fake_io_reset(unsigned root_level)
{
	memset(devices, 0, sizeof(devices));
	memset(tlb, 0, sizeof(tlb));
	arch_io = (struct arch_io){
	        .end = root_level == 0   ? 0
	               : root_level == 2 ? 1ul << 39
	                                 : USER_END,
	        .root_level = root_level,
	        .large = root_level == 3,
	};
}

unsigned fake_io_attached(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FAKE_REQUESTERS; i++)
		count += devices[i].root != NULL;
	return count;
}

/* What the tables say, as hardware reads them: from the page that it was given. */
static uint64_t walk(const uint64_t *table, uint64_t address, bool write)
{
	for (unsigned level = arch_io.root_level;; level--) {
		unsigned shift = PAGE_BITS + 9 * level;
		uint64_t entry = table[address >> shift & 511];

		if (!(entry & ENTRY_PRESENT) || (write && !(entry & ENTRY_WRITE)))
			return 0;
		if (level == 0 || entry & ENTRY_LARGE)
			return (entry & ENTRY_ADDRESS) + (address & ((1ul << shift) - 1));
		table = phys_to_virt(entry & ENTRY_ADDRESS);
	}
}

uint64_t fake_io_dma(unsigned requester, uint64_t address, bool write)
{
	uint64_t physical;

	if (!devices[requester].root || address >= arch_io.end)
		return 0;
	physical = walk(devices[requester].root, address, write);
	if (!physical) {
		devices[requester].faults++;
		return 0;
	}
	tlb[tlb_next].requester = requester;
	tlb[tlb_next].domain = devices[requester].domain;
	tlb[tlb_next].address = address;
	tlb[tlb_next].physical = physical;
	tlb[tlb_next].write = write;
	tlb_next = (tlb_next + 1) % TLB_ENTRIES;
	return physical;
}

bool fake_io_sound(void)
{
	for (unsigned i = 0; i < TLB_ENTRIES; i++) {
		unsigned requester = tlb[i].requester;

		if (!tlb[i].domain)
			continue;
		if (!devices[requester].root || devices[requester].domain != tlb[i].domain ||
		    walk(devices[requester].root, tlb[i].address, tlb[i].write) != tlb[i].physical)
			return false;
	}
	return true;
}

/* ---- what core calls ---- */
void arch_io_space_init(struct arch_vspace *space, void *root, pte_t *top)
{
	for (unsigned i = 0; i < 512; i++)
		kernel_assert(((uint64_t *)root)[i] == 0);
	space->root = virt_to_phys(root);
	if (arch_io.root_level < ARCH_ROOT_LEVEL) {
		*top = virt_to_phys(root) | ENTRY_PRESENT | ENTRY_WRITE;
		space->root = virt_to_phys(top);
	}
}

void arch_io_page(void *page)
{
	for (unsigned i = 0; i < 512; i++)
		kernel_assert(((uint64_t *)page)[i] == 0);
}

enum error arch_io_attach(unsigned requester, void *root, unsigned *domain)
{
	bool used[FAKE_DOMAINS + 1] = {true};
	unsigned free = 1;

	if (requester == FAKE_RESERVED || requester >= FAKE_REQUESTERS)
		return ERR_STATE;
	if (devices[requester].root)
		return ERR_OCCUPIED;
	for (unsigned i = 0; i < FAKE_REQUESTERS; i++)
		used[devices[i].domain] = true;
	while (free <= FAKE_DOMAINS && used[free])
		free++;
	if (free > FAKE_DOMAINS)
		return ERR_LIMIT;
	devices[requester].root = root;
	devices[requester].domain = *domain = free;
	devices[requester].faults = 0;
	return ERR_NONE;
}

void arch_io_flush(unsigned domain)
{
	for (unsigned i = 0; domain && i < TLB_ENTRIES; i++)
		if (tlb[i].domain == domain)
			tlb[i].domain = 0;
}

void arch_io_detach(unsigned requester, unsigned domain)
{
	kernel_assert(devices[requester].domain == domain && domain);
	arch_io_flush(domain);
	devices[requester].root = NULL;
	devices[requester].domain = 0;
}

void arch_io_report(void)
{
}

unsigned arch_io_faults(unsigned requester)
{
	return devices[requester].faults;
}
