/* SPDX-License-Identifier: MIT */
/*
 * Power off and reboot by ACPI: the FADT names the registers, the sleep type comes out of the DSDT by pattern
 * (the \_S5_ package), which spares an AML interpreter. Where there is no ACPI, the ports of QEMU and of the
 * keyboard controller.
 */
#include <stdlib.h>
#include <string.h>

#include "init.h"

#define TABLE_MAX (1ul << 20)

#define FADT_DSDT        40
#define FADT_PM1A        64
#define FADT_PM1B        68
#define FADT_FLAGS       112
#define FADT_RESET       116 /* generic address: space, width, offset, access, address */
#define FADT_RESET_VALUE 128
#define FADT_RESET_END   129
#define RESET_SUPPORTED  (1u << 10)
#define SPACE_IO         1
#define SLEEP_ENABLE     (1u << 13)

static struct {
	bool acpi;
	unsigned pm1a, pm1b, type_a, type_b;
	unsigned reset_port, reset_value;
} power;

static uint32_t read32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, 4);
	return value;
}

/* A table with its checksum right, in memory of its own; NULL: none. */
static uint8_t *table_read(uint64_t physical, size_t *length)
{
	uint8_t header[36], sum = 0;
	if (!devices_read(physical, header, sizeof(header)))
		return NULL;
	*length = read32(header + 4);
	if (*length < sizeof(header) || *length > TABLE_MAX)
		return NULL;
	uint8_t *table = malloc(*length);
	if (!table || !devices_read(physical, table, *length)) {
		free(table);
		return NULL;
	}
	for (size_t i = 0; i < *length; i++)
		sum = (uint8_t)(sum + table[i]);
	if (sum != 0) {
		free(table);
		return NULL;
	}
	return table;
}

static uint8_t *fadt_find(size_t *length)
{
	uint8_t rsdp[36];
	if (!boot_information->acpi_rsdp || !devices_read(boot_information->acpi_rsdp, rsdp, sizeof(rsdp)) ||
	    memcmp(rsdp, "RSD PTR ", 8) != 0)
		return NULL;
	bool wide = rsdp[15] >= 2;
	uint64_t root;
	memcpy(&root, rsdp + 24, 8);
	if (!wide || root == 0) {
		wide = false;
		root = read32(rsdp + 16);
	}
	size_t root_length, entry_size = wide ? 8 : 4;
	uint8_t *table = table_read(root, &root_length), *found = NULL;
	for (size_t at = 36; table && !found && at + entry_size <= root_length; at += entry_size) {
		uint64_t address = 0;
		memcpy(&address, table + at, entry_size);
		found = table_read(address, length);
		if (found && memcmp(found, "FACP", 4) != 0) {
			free(found);
			found = NULL;
		}
	}
	free(table);
	return found;
}

/* A small integer of AML: ZeroOp, OneOp, or BytePrefix and a byte. */
static bool aml_byte(const uint8_t **at, const uint8_t *end, unsigned *value)
{
	if (*at == end)
		return false;
	if (**at == 0x0a) {
		if (end - *at < 2)
			return false;
		*value = (*at)[1];
		*at += 2;
		return true;
	}
	*value = **at;
	(*at)++;
	return *value <= 1;
}

/* Name (_S5, Package {type a, type b, ...}) */
static bool sleep_types(const uint8_t *dsdt, size_t length)
{
	const uint8_t *end = dsdt + length;
	for (const uint8_t *at = dsdt + 36; end - at >= 8; at++) {
		if (memcmp(at, "_S5_", 4) != 0 || at[4] != 0x12)
			continue;
		const uint8_t *content = at + 5;
		content += 1 + (*content >> 6); /* package length: one to four bytes */
		if (end - content < 2)
			return false;
		content++; /* number of elements */
		return aml_byte(&content, end, &power.type_a) && aml_byte(&content, end, &power.type_b) &&
		       power.type_a < 8 && power.type_b < 8;
	}
	return false;
}

void power_init(void)
{
	size_t length, dsdt_length;
	uint8_t *fadt = fadt_find(&length);
	if (!fadt || length < FADT_FLAGS + 4) {
		log_warning("no usable ACPI tables: power off by the emulator's port only");
		free(fadt);
		return;
	}
	power.pm1a = read32(fadt + FADT_PM1A);
	power.pm1b = read32(fadt + FADT_PM1B);
	if (length >= FADT_RESET_END && (read32(fadt + FADT_FLAGS) & RESET_SUPPORTED) &&
	    fadt[FADT_RESET] == SPACE_IO) {
		power.reset_port = read32(fadt + FADT_RESET + 4);
		power.reset_value = fadt[FADT_RESET_VALUE];
	}
	uint8_t *dsdt = table_read(read32(fadt + FADT_DSDT), &dsdt_length);
	power.acpi = dsdt && power.pm1a && power.pm1a < 0x10000 && sleep_types(dsdt, dsdt_length);
	if (!power.acpi)
		log_warning("ACPI does not tell how to power off");
	free(dsdt);
	free(fadt);
}

static void out(unsigned port, unsigned width, uint32_t value)
{
	enum error error = io_ports_out(INIT_SLOT_IO_PORTS, port, width, value);
	if (error != ERR_NONE)
		log_error("port %#x: %s", port, error_text(error));
}

static _Noreturn void stop(const char *what)
{
	uint64_t bits;
	deadline_t second = time_now() + 1000000000;
	while (time_now() < second)
		notification_wait(init.events, &bits, second);
	log_error("%s does not work on this machine; it is safe to switch it off", what);
	for (;;)
		notification_wait(init.events, &bits, DEADLINE_NEVER);
}

_Noreturn void power_off(void)
{
	journal_drain();
	if (power.acpi) {
		out(power.pm1a, 2, power.type_a << 10 | SLEEP_ENABLE);
		if (power.pm1b)
			out(power.pm1b, 2, power.type_b << 10 | SLEEP_ENABLE);
	}
	out(0x604, 2, 0x2000);
	stop("power off");
}

_Noreturn void power_reboot(void)
{
	journal_drain();
	if (power.reset_port)
		out(power.reset_port, 1, power.reset_value);
	out(0xcf9, 1, 2);
	out(0xcf9, 1, 6);
	out(0x64, 1, 0xfe);
	stop("reboot");
}
