/* SPDX-License-Identifier: MIT */
#include "interrupts.h"
#include "regions.h"

#include <stddef.h>
#include <driver/map.h>
#include <driver/mmio.h>
#include <pith/log.h>
#include <pith/object.h>
#include <pith/startup.h>

/* MSI-X capability */
#define MSIX_CONTROL       2
#define MSIX_TABLE         4
#define MSIX_CONTROL_SIZE  0x07ff
#define MSIX_CONTROL_MASK  0x4000
#define MSIX_CONTROL_ON    0x8000
#define MSIX_ENTRY         16 /* bytes: address, upper address, data, vector control */
#define MSIX_ENTRY_DATA    8
#define MSIX_ENTRY_CONTROL 12
#define MSIX_ENTRY_MASKED  1

/* MSI capability */
#define MSI_CONTROL    2
#define MSI_ADDRESS    4
#define MSI_CONTROL_ON 0x0001
#define MSI_CONTROL_64 0x0080
#define MSI_MULTIPLE   0x0070 /* vectors enabled, as a power of two: we take one */

/* The PC's interrupt lines that firmware routes PCI interrupts to. */
#define LINE_MAX 23

static cptr_t control;
/* Who has a line: the kernel would let a second Irq take it over. */
static const struct function *line_owner[LINE_MAX + 1];

void interrupts_attach(void)
{
	for (unsigned i = 0; i <= LINE_MAX; i++)
		line_owner[i] = NULL;
	control = startup_need("irq-control", STARTUP_CAPABILITY, 0)->slot;
}

/* Where the table is; false: the function has none, or says impossible things about it. */
static bool table_locate(const struct function *function, unsigned *bar, uint64_t *offset, unsigned *entries)
{
	if (!function->msix)
		return false;
	uint32_t where = config_read(function->address, function->msix + MSIX_TABLE, 4);
	*bar = where & 7;
	*offset = where & ~7u;
	*entries = (config_read(function->address, function->msix + MSIX_CONTROL, 2) & MSIX_CONTROL_SIZE) + 1;
	if (*bar >= BARS)
		return false;
	const struct bar *holder = &function->bars[*bar];
	return !holder->io && holder->base && *offset <= holder->size &&
	       *entries * MSIX_ENTRY <= holder->size - *offset;
}

unsigned interrupts_table_bar(const struct function *function)
{
	unsigned bar, entries;
	uint64_t offset;
	return table_locate(function, &bar, &offset, &entries) ? bar : BARS;
}

void interrupts_prepare(struct interrupts *interrupts, const struct function *function)
{
	unsigned bar, entries;
	uint64_t offset;
	*interrupts = (struct interrupts){.table_bar = BARS};
	if (!table_locate(function, &bar, &offset, &entries))
		return;
	cptr_t memory = region_memory(function->bars[bar].base, function->bars[bar].size);
	if (!memory) {
		log_warning("%04x: no access to the MSI-X table", function->address);
		return;
	}
	uint64_t first = offset / PAGE_SIZE;
	uint64_t last = (offset + entries * MSIX_ENTRY - 1) / PAGE_SIZE;
	volatile uint8_t *pages = device_map(memory, first, last - first + 1);
	if (!pages)
		return;
	interrupts->table = pages + offset % PAGE_SIZE;
	interrupts->table_size = entries;
	interrupts->table_bar = bar;
}

void interrupts_mask(const struct interrupts *interrupts, const struct function *function)
{
	pci_address address = function->address;
	function_command(function, COMMAND_INTX_DISABLE, 0);
	for (unsigned i = 0; i < interrupts->table_size; i++)
		mmio_write32(interrupts->table + i * MSIX_ENTRY + MSIX_ENTRY_CONTROL, MSIX_ENTRY_MASKED);
	if (function->msix) {
		uint32_t value = config_read(address, function->msix + MSIX_CONTROL, 2);
		config_write(address, function->msix + MSIX_CONTROL, 2, value & ~(uint32_t)MSIX_CONTROL_ON);
	}
	if (function->msi) {
		uint32_t value = config_read(address, function->msi + MSI_CONTROL, 2);
		config_write(address, function->msi + MSI_CONTROL, 2, value & ~(uint32_t)MSI_CONTROL_ON);
	}
}

static bool msix_open(const struct interrupts *interrupts, const struct function *function, unsigned vector,
                      cptr_t slot)
{
	uint64_t address, data;
	enum error error = irq_control_message(control, slot, &address, &data);
	if (error) {
		log_error("no message interrupt: %s", error_text(error));
		return false;
	}
	volatile uint8_t *entry = interrupts->table + vector * MSIX_ENTRY;
	mmio_write32(entry + MSIX_ENTRY_CONTROL, MSIX_ENTRY_MASKED);
	mmio_write32(entry, (uint32_t)address);
	mmio_write32(entry + 4, (uint32_t)(address >> 32));
	mmio_write32(entry + MSIX_ENTRY_DATA, (uint32_t)data);
	mmio_write32(entry + MSIX_ENTRY_CONTROL, 0);
	uint32_t value = config_read(function->address, function->msix + MSIX_CONTROL, 2);
	value = (value | MSIX_CONTROL_ON) & ~(uint32_t)MSIX_CONTROL_MASK;
	config_write(function->address, function->msix + MSIX_CONTROL, 2, value);
	return true;
}

static bool msi_open(const struct function *function, cptr_t slot)
{
	uint64_t address, data;
	enum error error = irq_control_message(control, slot, &address, &data);
	if (error) {
		log_error("no message interrupt: %s", error_text(error));
		return false;
	}
	pci_address at = function->address;
	uint32_t value = config_read(at, function->msi + MSI_CONTROL, 2);
	bool wide = value & MSI_CONTROL_64;
	config_write(at, function->msi + MSI_ADDRESS, 4, (uint32_t)address);
	if (wide)
		config_write(at, function->msi + MSI_ADDRESS + 4, 4, (uint32_t)(address >> 32));
	config_write(at, function->msi + MSI_ADDRESS + (wide ? 8 : 4), 2, (uint32_t)data & 0xffff);
	config_write(at, function->msi + MSI_CONTROL, 2, (value & ~(uint32_t)MSI_MULTIPLE) | MSI_CONTROL_ON);
	return true;
}

/* The line that the firmware routed the function's pin to. Lines shared by two drivers are refused by the
 * kernel. */
static bool intx_open(const struct function *function, cptr_t slot)
{
	unsigned pin = config_read(function->address, CONFIG_INTERRUPT_PIN, 1);
	unsigned line = config_read(function->address, CONFIG_INTERRUPT_LINE, 1);
	if (!pin || !line || line > LINE_MAX)
		return false;
	if (line_owner[line] && line_owner[line] != function) {
		log_error("interrupt line %u of %04x is in use by %04x", line, function->address,
		          line_owner[line]->address);
		return false;
	}
	enum error error = irq_control_line(control, line, IRQ_LEVEL | IRQ_ACTIVE_LOW, slot);
	if (error) {
		log_error("interrupt line %u: %s", line, error_text(error));
		return false;
	}
	line_owner[line] = function;
	function_command(function, 0, COMMAND_INTX_DISABLE);
	return true;
}

bool interrupts_open(const struct interrupts *interrupts, const struct function *function, unsigned vector,
                     cptr_t slot, bool *message)
{
	*message = true;
	if (interrupts->table)
		return vector < interrupts->table_size && msix_open(interrupts, function, vector, slot);
	if (vector)
		return false;
	if (function->msi)
		return msi_open(function, slot);
	*message = false;
	return intx_open(function, slot);
}
