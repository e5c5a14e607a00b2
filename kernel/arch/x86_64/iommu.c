/* SPDX-License-Identifier: MIT */
/*
 * Intel's IOMMU (VT-d). All units of the machine share one root table, so it does not matter which of them
 * translates for a device. From boot on translation is on, and passes everything through; a device that an
 * IoSpace was attached to reaches what is mapped there, and nothing after it is detached. Interrupts are not
 * remapped.
 *
 * Second-level tables are the CPU's: present and readable, writable, large, and the address have the same
 * bits in both, and those of the CPU that have another meaning here or none (user, accessed, no-execute,
 * memory type) are ignored.
 *
 * The root table, and the contexts (a page for each bus) of those buses that devices were attached on, come
 * out of memory that is set aside at boot; all other buses share one page of contexts.
 */
#include <abi/object.h>

#include "local.h"

enum {
	REG_CAPABILITY = 0x08,
	REG_EXTENDED = 0x10,
	REG_COMMAND = 0x18,
	REG_STATUS = 0x1c,
	REG_ROOT = 0x20,
	REG_CONTEXT_COMMAND = 0x28,
	REG_FAULT_STATUS = 0x34,
	REG_FAULT_CONTROL = 0x38,
	REG_FAULT_DATA = 0x3c,
	REG_FAULT_ADDRESS = 0x40,
	REG_FAULT_UPPER = 0x44,
	REG_PROTECTED = 0x64,
};

#define CAP_DOMAINS(cap)    (1ul << (4 + 2 * ((cap)&7)))
#define CAP_WRITE_BUFFER    (1ul << 4)
#define CAP_PROTECTED       (3ul << 5)
#define CAP_LEVELS_3        (1ul << 9)
#define CAP_LEVELS_4        (1ul << 10)
#define CAP_WIDTH(cap)      (((cap) >> 16 & 63) + 1)
#define CAP_FAULTS_AT(cap)  (((cap) >> 24 & 0x3ff) * 16)
#define CAP_LARGE           (1ul << 34)
#define CAP_FAULTS(cap)     (((cap) >> 40 & 0xff) + 1)
#define CAP_DRAIN(cap)      ((cap) >> 54 & 3)
#define EXT_COHERENT        (1ul << 0)
#define EXT_PASS_THROUGH    (1ul << 6)
#define EXT_TLB_AT(ext)     (((ext) >> 8 & 0x3ff) * 16)
#define STATE_TRANSLATION   (1u << 31) /* in the command and the status register */
#define STATE_ROOT          (1u << 30)
#define STATE_WRITE_BUFFER  (1u << 27)
#define STATE_QUEUE         (1u << 26)
#define STATE_KEPT          0x96ffffffu /* of the status, when a command is written */
#define CONTEXT_FLUSH       (1ul << 63)
#define CONTEXT_FLUSH_ALL   (CONTEXT_FLUSH | 1ul << 61)
#define TLB_FLUSH           (1ul << 63)
#define TLB_FLUSH_ALL       (TLB_FLUSH | 1ul << 60)
#define TLB_FLUSH_DOMAIN(d) (TLB_FLUSH | 2ul << 60 | (uint64_t)(d) << 32)
#define TLB_DRAIN           (3ul << 48)
#define FAULT_MASKED        (1u << 31)
#define FAULT_OVERFLOW      (1u << 0)
#define FAULT_PENDING       (1u << 1)
#define FAULT_RECORDED      (1ul << 63) /* second word of a record */
#define PROTECTED_ON        (1u << 31)

/* A context: of one device of one bus. */
struct context {
	uint64_t low, high;
};
#define CONTEXT_PRESENT      (1ul << 0)
#define CONTEXT_SILENT       (1ul << 1) /* its faults are not recorded */
#define CONTEXT_PASS_THROUGH (2ul << 2)
#define CONTEXT_KIND         (3ul << 2)
#define CONTEXT_DOMAIN(d)    ((uint64_t)(d) << 8)
/* Four bits that are ours: how many faults were seen. */
#define CONTEXT_FAULT        (1ul << 3)
#define CONTEXT_FAULTS(high) ((unsigned)((high) >> 3 & 15))

#define DEVICES      256 /* of a bus */
#define ROOT_PRESENT 1ul

/* Domain 0 is some units' own; what passes through needs one, too. */
enum { DOMAIN_NONE = 0, DOMAIN_PASS_THROUGH = 1, DOMAIN_FIRST = 2 };
#define DOMAINS 256

#define TIMEOUT 10000000ul /* ns. Units answer within microseconds. */

struct unit {
	volatile char *registers;
	uint64_t capability, extended;
};

static struct unit units[DMAR_UNITS];
static bool coherent;
static uint64_t width_code; /* in contexts */
static unsigned domains;    /* that all units know */
static uint64_t domains_used[DOMAINS / 64];
static struct context *root, *shared; /* shared: contexts of the buses that no device was attached on */
static char *pool, *pool_end;

struct arch_io arch_io;

/* ---- registers ---- */
static uint32_t read32(const struct unit *unit, unsigned reg)
{
	return *(volatile uint32_t *)(unit->registers + reg);
}

static uint64_t read64(const struct unit *unit, unsigned reg)
{
	return *(volatile uint64_t *)(unit->registers + reg);
}

static void write32(const struct unit *unit, unsigned reg, uint32_t value)
{
	*(volatile uint32_t *)(unit->registers + reg) = value;
}

static void write64(const struct unit *unit, unsigned reg, uint64_t value)
{
	*(volatile uint64_t *)(unit->registers + reg) = value;
}

/* Until the bits of the mask are as wanted. */
static bool wait32(const struct unit *unit, unsigned reg, uint32_t mask, uint32_t wanted)
{
	uint64_t end = arch_time() + TIMEOUT;

	while ((read32(unit, reg) & mask) != wanted)
		if (arch_time() > end)
			return false;
	return true;
}

static bool command(const struct unit *unit, uint32_t bit, bool on, uint32_t wanted)
{
	uint32_t state = read32(unit, REG_STATUS) & STATE_KEPT;

	write32(unit, REG_COMMAND, on ? state | bit : state & ~bit);
	return wait32(unit, REG_STATUS, bit, wanted);
}

/* ---- making units see and forget ---- */

/* Lines of memory that the units would not look for in the CPUs' caches. */
static void write_back(const void *memory, size_t size)
{
	if (!coherent)
		for (size_t i = 0; i < size; i += 64)
			__asm__ volatile("clflush (%0)" : : "r"((const char *)memory + i) : "memory");
	__asm__ volatile("mfence" : : : "memory");
}

static bool unit_write_buffer(const struct unit *unit)
{
	return !(unit->capability & CAP_WRITE_BUFFER) || command(unit, STATE_WRITE_BUFFER, true, 0);
}

static bool unit_flush_contexts(const struct unit *unit)
{
	write64(unit, REG_CONTEXT_COMMAND, CONTEXT_FLUSH_ALL);
	return wait32(unit, REG_CONTEXT_COMMAND + 4, CONTEXT_FLUSH >> 32, 0);
}

/* And drain accesses that are under way. */
static bool unit_flush_tlb(const struct unit *unit, uint64_t what)
{
	unsigned reg = (unsigned)EXT_TLB_AT(unit->extended) + 8;

	write64(unit, reg, what | (TLB_DRAIN & CAP_DRAIN(unit->capability) << 48));
	return wait32(unit, reg + 4, TLB_FLUSH >> 32, 0);
}

/* Memory must not be used for anything else before all units have answered, so there is nothing else to do.
 */
static void must(bool answered)
{
	if (!answered)
		panic("iommu: no answer");
}

static void contexts_flush(void)
{
	for (unsigned i = 0; i < acpi.dmar.unit_count; i++) {
		must(unit_write_buffer(&units[i]));
		must(unit_flush_contexts(&units[i]));
		must(unit_flush_tlb(&units[i], TLB_FLUSH_ALL));
	}
}

/*
 * Entries may be anywhere in the tables. Units that do not look into caches are found in old chipsets; there
 * this takes as long as writing all of this CPU's cache back.
 */
void arch_io_flush(unsigned domain)
{
	if (!coherent)
		__asm__ volatile("wbinvd" : : : "memory");
	__asm__ volatile("mfence" : : : "memory");
	for (unsigned i = 0; domain != DOMAIN_NONE && i < acpi.dmar.unit_count; i++) {
		must(unit_write_buffer(&units[i]));
		must(unit_flush_tlb(&units[i], TLB_FLUSH_DOMAIN(domain)));
	}
}

void arch_io_page(void *page)
{
	write_back(page, PAGE_SIZE);
}

/* ---- contexts ---- */
static struct context *bus_contexts(unsigned bus)
{
	return phys_to_virt(root[bus].low & PTE_ADDRESS);
}

static void root_set(unsigned bus, const struct context *contexts)
{
	root[bus].low = virt_to_phys(contexts) | ROOT_PRESENT;
	write_back(&root[bus], sizeof(root[bus]));
}

/* A page of contexts for this bus alone. False: none is left. The caller flushes. */
static bool bus_take_page(unsigned bus)
{
	struct context *contexts = (struct context *)pool;

	if (bus_contexts(bus) != shared)
		return true;
	if (pool == pool_end)
		return false;
	pool += PAGE_SIZE;
	for (unsigned i = 0; i < DEVICES; i++)
		contexts[i] = shared[i];
	write_back(contexts, PAGE_SIZE);
	root_set(bus, contexts);
	return true;
}

static struct context *context_of(unsigned requester)
{
	return &bus_contexts(requester >> 8)[requester & 0xff];
}

/* Not present in between: a unit reads the two words one after the other. */
static void context_set(struct context *context, uint64_t low, uint64_t high)
{
	context->low = 0;
	write_back(context, sizeof(*context));
	context->high = high;
	write_back(context, sizeof(*context));
	context->low = low;
	write_back(context, sizeof(*context));
	contexts_flush();
}

static unsigned domain_take(void)
{
	for (unsigned i = DOMAIN_FIRST; i < domains; i++) {
		if (domains_used[i / 64] & 1ul << i % 64)
			continue;
		domains_used[i / 64] |= 1ul << i % 64;
		return i;
	}
	return DOMAIN_NONE;
}

enum error arch_io_attach(unsigned requester, void *table, unsigned *domain)
{
	const struct context *context = context_of(requester);
	unsigned taken;

	if (dmar_reserves(&acpi.dmar, requester))
		return ERR_STATE;
	if (context->low & CONTEXT_PRESENT && (context->low & CONTEXT_KIND) != CONTEXT_PASS_THROUGH)
		return ERR_OCCUPIED;
	if (!bus_take_page(requester >> 8))
		return ERR_LIMIT;
	taken = domain_take();
	if (taken == DOMAIN_NONE)
		return ERR_LIMIT;
	write_back(table, PAGE_SIZE);
	/* The rest of the tables was written when nobody flushed. */
	arch_io_flush(DOMAIN_NONE);
	context_set(context_of(requester), virt_to_phys(table) | CONTEXT_PRESENT,
	            CONTEXT_DOMAIN(taken) | width_code);
	*domain = taken;
	return ERR_NONE;
}

void arch_io_detach(unsigned requester, unsigned domain)
{
	context_set(context_of(requester), 0, 0);
	domains_used[domain / 64] &= ~(1ul << domain % 64);
}

/* ---- faults ---- */

/* A device that goes wild must not keep the CPU busy with its faults. */
static void fault_count(unsigned requester)
{
	struct context *context = context_of(requester);

	if (context->low & CONTEXT_SILENT)
		return; /* recorded before it was silenced */
	context->high += CONTEXT_FAULT;
	if (CONTEXT_FAULTS(context->high) == IO_SPACE_FAULTS) {
		context->low |= CONTEXT_SILENT;
		write_back(context, sizeof(*context));
		contexts_flush();
	}
}

static void unit_report(const struct unit *unit)
{
	unsigned at = (unsigned)CAP_FAULTS_AT(unit->capability);

	for (unsigned i = 0; i < CAP_FAULTS(unit->capability); i++, at += 16) {
		uint64_t record = read64(unit, at + 8);
		unsigned requester = record & 0xffff;

		if (!(record & FAULT_RECORDED))
			continue;
		write32(unit, at + 12, FAULT_RECORDED >> 32);
		fault_count(requester);
	}
	write32(unit, REG_FAULT_STATUS, FAULT_OVERFLOW);
}

void arch_io_report(void)
{
	for (unsigned i = 0; i < acpi.dmar.unit_count; i++)
		if (read32(&units[i], REG_FAULT_STATUS) & (FAULT_PENDING | FAULT_OVERFLOW))
			unit_report(&units[i]);
}

unsigned arch_io_faults(unsigned requester)
{
	return CONTEXT_FAULTS(context_of(requester)->high);
}

void iommu_interrupt(void)
{
	apic_eoi();
	kernel_io_fault();
}

/* ---- spaces ---- */
void arch_io_space_init(struct arch_vspace *space, void *table, pte_t *top)
{
	space->root = virt_to_phys(table);
	if (arch_io.root_level == ARCH_ROOT_LEVEL)
		return;
	/* The walk of arch_pte_find() has one level more than the unit's. */
	*top = virt_to_phys(table) | PTE_PRESENT | PTE_WRITE;
	space->root = virt_to_phys(top);
}

/* ---- boot ---- */
uint64_t iommu_bytes(void)
{
	return acpi.dmar.unit_count ? (2 + IOMMU_BUSES) * PAGE_SIZE : 0;
}

/* Registers that are not all in the first page belong to units that do more than is known here. */
static bool unit_usable(const struct unit *unit)
{
	uint64_t cap = unit->capability, faults_end = CAP_FAULTS_AT(cap) + 16 * CAP_FAULTS(cap);

	return cap != UINT64_MAX && unit->extended & EXT_PASS_THROUGH &&
	       cap & (CAP_LEVELS_3 | CAP_LEVELS_4) && faults_end <= PAGE_SIZE &&
	       EXT_TLB_AT(unit->extended) + 16 <= PAGE_SIZE;
}

/* What all units can do. */
static bool units_find(void)
{
	uint64_t all = UINT64_MAX, width = 48;

	coherent = true;
	domains = DOMAINS;
	for (unsigned i = 0; i < acpi.dmar.unit_count; i++) {
		struct unit *unit = &units[i];

		unit->registers = paging_map_device(acpi.dmar.units[i]);
		unit->capability = read64(unit, REG_CAPABILITY);
		unit->extended = read64(unit, REG_EXTENDED);
		if (!unit_usable(unit))
			return false;
		all &= unit->capability;
		coherent &= unit->extended & EXT_COHERENT;
		if (CAP_WIDTH(unit->capability) < width)
			width = CAP_WIDTH(unit->capability);
		if (CAP_DOMAINS(unit->capability) < domains)
			domains = (unsigned)CAP_DOMAINS(unit->capability);
	}
	if (!(all & (CAP_LEVELS_3 | CAP_LEVELS_4)) || width < 32)
		return false;
	arch_io.root_level = all & CAP_LEVELS_4 ? 3 : 2;
	width_code = arch_io.root_level - 1;
	if (arch_io.root_level == 2 && width > 39)
		width = 39;
	arch_io.large = all & CAP_LARGE;
	arch_io.end = 1ul << width < USER_END ? 1ul << width : USER_END;
	return true;
}

static void contexts_make(uint64_t memory)
{
	pool = phys_to_virt(memory);
	pool_end = pool + iommu_bytes();
	root = (struct context *)pool;
	shared = root + DEVICES;
	pool += 2 * PAGE_SIZE;
	for (unsigned i = 0; i < DEVICES; i++) {
		root[i] = (struct context){virt_to_phys(shared) | ROOT_PRESENT, 0};
		shared[i] = (struct context){CONTEXT_PRESENT | CONTEXT_SILENT | CONTEXT_PASS_THROUGH,
		                             CONTEXT_DOMAIN(DOMAIN_PASS_THROUGH) | width_code};
	}
	write_back(root, 2 * PAGE_SIZE);
}

/* Whatever firmware left on: our root table first, so that there is no moment in which a device reaches
 * nothing. */
static bool unit_start(const struct unit *unit)
{
	write32(unit, REG_FAULT_CONTROL, FAULT_MASKED);
	if (read32(unit, REG_STATUS) & STATE_QUEUE && !command(unit, STATE_QUEUE, false, 0))
		return false;
	write64(unit, REG_ROOT, virt_to_phys(root));
	if (!unit_write_buffer(unit) || !command(unit, STATE_ROOT, true, STATE_ROOT) ||
	    !unit_flush_contexts(unit) || !unit_flush_tlb(unit, TLB_FLUSH_ALL) ||
	    !command(unit, STATE_TRANSLATION, true, STATE_TRANSLATION))
		return false;
	if (unit->capability & CAP_PROTECTED) {
		write32(unit, REG_PROTECTED, 0);
		if (!wait32(unit, REG_PROTECTED, 1, 0))
			return false;
	}
	write32(unit, REG_FAULT_DATA, VECTOR_IOMMU);
	write32(unit, REG_FAULT_ADDRESS, 0xfee00000u | (cpu_local()->apic_id & 0xff) << 12);
	write32(unit, REG_FAULT_UPPER, cpu_local()->apic_id & ~0xffu);
	write32(unit, REG_FAULT_CONTROL, 0);
	return true;
}

void iommu_init(uint64_t memory)
{
	bool good = memory != 0 && units_find();

	if (good)
		contexts_make(memory);
	for (unsigned i = 0; good && i < acpi.dmar.unit_count; i++)
		good = unit_start(&units[i]);
	if (good) {
		arch_io_report(); /* of firmware's time: silent contexts record nothing */
		kernel_log("iommu: %u unit(s), addresses below %#lx\n", acpi.dmar.unit_count, arch_io.end);
	} else {
		kernel_log("iommu: it cannot be used\n");
		arch_io.end = 0;
	}
}
