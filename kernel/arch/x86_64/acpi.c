/* SPDX-License-Identifier: MIT */
/*
 * The little of ACPI that the kernel must read itself: CPUs, interrupt controllers, the HPET, IOMMUs. Runs once,
 * while the early map (the first 4 GiB) is there. Everything in the tables is checked; what is bad is ignored
 * and said.
 */
#include "local.h"

#define TABLES_MAX     256
#define TABLE_SIZE_MAX (1u << 20)

struct acpi_info acpi;

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t checksum2, reserved[3];
} __attribute__((packed));

struct acpi_madt {
	struct acpi_header header;
	uint32_t local_apic, flags;
	uint8_t entries[];
} __attribute__((packed));

struct acpi_hpet {
	struct acpi_header header;
	uint32_t id;
	uint8_t space, width, offset, access;
	uint64_t address;
} __attribute__((packed));

static bool sums_to_zero(const void *data, uint32_t size)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
	return sum == 0;
}

static bool is_text(const char *a, const char *text, unsigned length)
{
	for (unsigned i = 0; i < length; i++)
		if (a[i] != text[i])
			return false;
	return true;
}

/* BIOS: on 16-byte boundaries in the ROM area. */
uint64_t acpi_find_rsdp(void)
{
	for (uint64_t at = 0xe0000; at < 0x100000; at += 16) {
		const struct acpi_rsdp *rsdp = boot_bytes(at, sizeof(*rsdp));

		if (rsdp && is_text(rsdp->signature, "RSD PTR ", 8) && sums_to_zero(rsdp, 20))
			return at;
	}
	return 0;
}

static const struct acpi_header *table_at(uint64_t physical)
{
	const struct acpi_header *table = boot_bytes(physical, sizeof(*table));

	if (!table || table->length < sizeof(*table) || table->length > TABLE_SIZE_MAX ||
	    !boot_bytes(physical, table->length) || !sums_to_zero(table, table->length)) {
		kernel_log("acpi: bad table at %#lx is ignored\n", physical);
		return NULL;
	}
	return table;
}

static void cpu_add(uint32_t id)
{
	for (unsigned i = 0; i < acpi.cpu_count; i++)
		if (acpi.cpus[i] == id)
			return; /* firmware may list it as a local APIC and as an x2APIC */
	if (acpi.cpu_count < CPU_MAX)
		acpi.cpus[acpi.cpu_count++] = id;
	else
		acpi.cpus_ignored++;
}

static void madt_entry(const uint8_t *entry, uint8_t length)
{
	switch (entry[0]) {
	case 0: /* local APIC: processor, id, flags */
		if (length >= 8 && (entry[4] & 1))
			cpu_add(entry[3]);
		break;
	case 1: /* I/O APIC: id, reserved, address, base */
		if (length >= 12 && acpi.io_apic_count < sizeof(acpi.io_apics) / sizeof(acpi.io_apics[0]))
			acpi.io_apics[acpi.io_apic_count++] = (struct acpi_io_apic){
			        .address = (uint32_t)load(entry + 4, 4),
			        .gsi_base = (uint32_t)load(entry + 8, 4),
			};
		break;
	case 2: /* interrupt source override: bus, source, global interrupt, flags */
		if (length >= 10 && acpi.override_count < sizeof(acpi.overrides) / sizeof(acpi.overrides[0]))
			acpi.overrides[acpi.override_count++] = (struct acpi_override){
			        .isa = entry[3],
			        .gsi = (uint32_t)load(entry + 4, 4),
			        .flags = (uint16_t)load(entry + 8, 2),
			};
		break;
	case 5: /* local APIC address override */
		if (length >= 12)
			acpi.local_apic = load(entry + 4, 8);
		break;
	case 9: /* local x2APIC: reserved, id, flags, processor */
		if (length >= 16 && (entry[8] & 1))
			cpu_add((uint32_t)load(entry + 4, 4));
		break;
	default:
		break;
	}
}

static void madt_parse(const struct acpi_madt *madt)
{
	uint32_t size, offset = 0;

	if (madt->header.length < sizeof(*madt))
		return;
	size = madt->header.length - (uint32_t)sizeof(*madt);
	acpi.local_apic = madt->local_apic;
	while (size - offset >= 2) {
		uint8_t length = madt->entries[offset + 1];

		if (length < 2 || length > size - offset) {
			kernel_log("acpi: the MADT ends in a bad entry\n");
			return;
		}
		madt_entry(madt->entries + offset, length);
		offset += length;
	}
}

static void table_parse(const struct acpi_header *table)
{
	if (!table)
		return;
	if (is_text(table->signature, "APIC", 4)) {
		madt_parse((const struct acpi_madt *)table);
	} else if (is_text(table->signature, "DMAR", 4)) {
		dmar_parse(&acpi.dmar, table, table->length);
	} else if (is_text(table->signature, "HPET", 4)) {
		const struct acpi_hpet *hpet = (const struct acpi_hpet *)table;

		if (table->length >= sizeof(*hpet) && hpet->space == 0)
			acpi.hpet = hpet->address;
	}
}

/* The table of tables: entries are 4 bytes (RSDT) or 8 (XSDT). */
static void root_parse(uint64_t physical, unsigned entry_size)
{
	const struct acpi_header *root = table_at(physical);
	uint32_t count;

	if (!root)
		return;
	count = (root->length - (uint32_t)sizeof(*root)) / entry_size;
	for (uint32_t i = 0; i < count && i < TABLES_MAX; i++)
		table_parse(table_at(load((const uint8_t *)(root + 1) + i * entry_size, entry_size)));
}

void acpi_parse(const void *root, unsigned size)
{
	const struct acpi_rsdp *rsdp = root;

	if (!rsdp || size < 20 || !is_text(rsdp->signature, "RSD PTR ", 8) || !sums_to_zero(rsdp, 20))
		kernel_log("acpi: no root pointer\n");
	else if (rsdp->revision >= 2 && size >= sizeof(*rsdp) && rsdp->xsdt != 0)
		root_parse(rsdp->xsdt, 8);
	else
		root_parse(rsdp->rsdt, 4);

	/* The places that every PC had before ACPI told. */
	if (acpi.local_apic == 0)
		acpi.local_apic = 0xfee00000;
	if (acpi.io_apic_count == 0) {
		kernel_log("acpi: no I/O APIC listed, assuming one at fec00000\n");
		acpi.io_apics[acpi.io_apic_count++].address = 0xfec00000;
	}
}
