/* SPDX-License-Identifier: MIT */
#include "claims.h"
#include "interrupts.h"
#include "regions.h"

#include <stdio.h>
#include <stdlib.h>
#include <pith/log.h>
#include <pith/slots.h>
#include <pith/startup.h>

#define CLAIM_IRQS 8

struct claim_irq {
	cptr_t slot; /* CPTR_NULL: unused */
	unsigned vector;
	bool message;
};

struct claim {
	bool configured; /* the manifest has the line */
	uint16_t vendor, device;
	unsigned ordinal;

	struct function *function; /* NULL: the machine has none */
	bool open;
	bool prepared;     /* interrupts is filled in: done once */
	cptr_t bars[BARS]; /* Memories, made when first asked for */
	struct interrupts interrupts;
	struct claim_irq irqs[CLAIM_IRQS];
};

static struct claim claims[CLAIMS_MAX];

/* "VENDOR:DEVICE" or "VENDOR:DEVICE,N" */
static bool line_parse(const char *text, struct claim *claim)
{
	char *end;
	unsigned long vendor = strtoul(text, &end, 16);
	if (end == text || *end != ':' || vendor > 0xffff)
		return false;
	text = end + 1;
	unsigned long device = strtoul(text, &end, 16), ordinal = 0;
	if (end == text || device > 0xffff)
		return false;
	if (*end == ',') {
		text = end + 1;
		ordinal = strtoul(text, &end, 10);
		if (end == text || ordinal > FUNCTIONS_MAX)
			return false;
	}
	if (*end)
		return false;
	*claim = (struct claim){.configured = true,
	                        .vendor = (uint16_t)vendor,
	                        .device = (uint16_t)device,
	                        .ordinal = (unsigned)ordinal};
	return true;
}

/* Two lines that name the same function would give it to two drivers. */
static bool function_claimed(const struct function *function)
{
	for (unsigned i = 0; i < CLAIMS_MAX; i++) {
		if (function && claims[i].function == function)
			return true;
	}
	return false;
}

void claims_configure(void)
{
	char key[32], text[64];
	for (unsigned badge = 0; badge < CLAIMS_MAX; badge++) {
		struct claim *claim = &claims[badge];
		*claim = (struct claim){0};
		snprintf(key, sizeof(key), "device.%u", badge);
		if (!startup_config(key, text, sizeof(text)))
			continue;
		if (!line_parse(text, claim)) {
			log_error("%s=%s: expected VENDOR:DEVICE,N", key, text);
			continue;
		}
		struct function *function = function_find(claim->vendor, claim->device, claim->ordinal);
		if (function_claimed(function))
			log_error("%s=%s: another line has this device", key, text);
		else
			claim->function = function;
		if (!function)
			log_warning("%s=%s: the machine has no such device", key, text);
	}
}

static struct claim *claim_of(uint64_t badge)
{
	return badge < CLAIMS_MAX && claims[badge].configured ? &claims[badge] : NULL;
}

static struct claim *claim_opened(uint64_t badge)
{
	struct claim *claim = claim_of(badge);
	return claim && claim->open ? claim : NULL;
}

/* The device is silent, and nobody but us has a capability to any part of it. */
static void claim_reset(struct claim *claim)
{
	function_command(claim->function, COMMAND_MEMORY, COMMAND_MASTER);
	if (!claim->prepared) {
		interrupts_prepare(&claim->interrupts, claim->function);
		claim->prepared = true;
	}
	interrupts_mask(&claim->interrupts, claim->function);
	for (unsigned i = 0; i < CLAIM_IRQS; i++) {
		struct claim_irq *irq = &claim->irqs[i];
		if (!irq->slot)
			continue;
		capability_revoke(irq->slot);
		capability_delete(irq->slot);
		slot_free(irq->slot);
		*irq = (struct claim_irq){0};
	}
	for (unsigned i = 0; i < BARS; i++) {
		if (claim->bars[i])
			capability_revoke(claim->bars[i]);
	}
}

static bool bar_offered(const struct claim *claim, unsigned index)
{
	const struct bar *bar = &claim->function->bars[index];
	return bar->size >= PAGE_SIZE && bar->base && !bar->io &&
	       index != interrupts_table_bar(claim->function) && region_covered(bar->base, bar->size);
}

enum pci_status claim_open(uint64_t badge, const struct function **function, uint32_t *bars)
{
	struct claim *claim = claim_of(badge);
	if (!claim)
		return PCI_BAD_REQUEST;
	if (!claim->function)
		return PCI_NO_DEVICE;
	function_bridges_enable(claim->function);
	claim_reset(claim);
	claim->open = true;
	*function = claim->function;
	*bars = 0;
	for (unsigned i = 0; i < BARS; i++) {
		if (bar_offered(claim, i))
			*bars |= 1u << i;
	}
	return PCI_OK;
}

enum pci_status claim_bar(uint64_t badge, uint64_t bar, uint64_t *size, cptr_t *slot)
{
	struct claim *claim = claim_opened(badge);
	if (!claim || bar >= BARS)
		return PCI_BAD_REQUEST;
	if (!bar_offered(claim, (unsigned)bar))
		return PCI_NO_BAR;
	const struct bar *range = &claim->function->bars[bar];
	if (!claim->bars[bar])
		claim->bars[bar] = region_memory(range->base, range->size);
	if (!claim->bars[bar])
		return PCI_NO_BAR;
	*size = range->size;
	*slot = claim->bars[bar];
	return PCI_OK;
}

/* The record of a vector: its own if it was asked for before, else a free one. */
static struct claim_irq *irq_record(struct claim *claim, unsigned vector)
{
	struct claim_irq *free_record = NULL;
	for (unsigned i = 0; i < CLAIM_IRQS; i++) {
		struct claim_irq *irq = &claim->irqs[i];
		if (irq->slot && irq->vector == vector)
			return irq;
		if (!irq->slot && !free_record)
			free_record = irq;
	}
	return free_record;
}

enum pci_status claim_irq(uint64_t badge, uint64_t vector, bool *message, cptr_t *slot)
{
	struct claim *claim = claim_opened(badge);
	if (!claim || vector > UINT16_MAX)
		return PCI_BAD_REQUEST;
	struct claim_irq *irq = irq_record(claim, (unsigned)vector);
	if (!irq)
		return PCI_NO_IRQ;
	if (!irq->slot) {
		cptr_t fresh = slot_allocate();
		if (!fresh)
			return PCI_NO_IRQ;
		if (!interrupts_open(&claim->interrupts, claim->function, (unsigned)vector, fresh, message)) {
			slot_free(fresh);
			return PCI_NO_IRQ;
		}
		*irq = (struct claim_irq){fresh, (unsigned)vector, *message};
	}
	*message = irq->message;
	*slot = irq->slot;
	return PCI_OK;
}

enum pci_status claim_config_read(uint64_t badge, uint64_t offset, uint64_t width, uint32_t *value)
{
	struct claim *claim = claim_opened(badge);
	if (!claim || (width != 1 && width != 2 && width != 4) || offset >= CONFIG_SIZE || offset % width)
		return PCI_BAD_REQUEST;
	*value = config_read(claim->function->address, (unsigned)offset, (unsigned)width);
	return PCI_OK;
}

enum pci_status claim_enable(uint64_t badge, bool on)
{
	struct claim *claim = claim_opened(badge);
	if (!claim)
		return PCI_BAD_REQUEST;
	function_command(claim->function, on ? COMMAND_MASTER : 0, on ? 0 : COMMAND_MASTER);
	return PCI_OK;
}
