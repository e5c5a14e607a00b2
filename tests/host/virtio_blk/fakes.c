/* SPDX-License-Identifier: MIT */
/* What the driver sees of Pith: its startup information, the bus component, capabilities, time. */
#include "model.h"

#include <driver/map.h>
#include <driver/pci.h>
#include <pith/log.h>
#include <pith/object.h>
#include <pith/slots.h>
#include <pith/startup.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern uint8_t dma_memory[], bar_memory[];
_Alignas(4096) uint8_t channel_memory[256 * 1024];
char fatal_text[256];
jmp_buf fatal_jump;
bool fatal_expected;

#define SLOT_DMA  10
#define SLOT_POOL 20

static struct startup_entry entries[8];
static struct ipc_buffer buffer;

struct ipc_buffer *ipc_buffer(void)
{
	return &buffer;
}

const struct startup_entry *startup_find(const char *name, enum startup_kind kind, unsigned index)
{
	if (!strcmp(name, "pool") && index < MODEL_POOLS) {
		entries[index] = (struct startup_entry){.kind = kind, .slot = SLOT_POOL + index};
		return &entries[index];
	}
	if (!strcmp(name, "dma")) {
		entries[4] = (struct startup_entry){.kind = kind,
		                                    .slot = SLOT_DMA,
		                                    .address = (uint64_t)(uintptr_t)dma_memory,
		                                    .size = model.dma_size};
		return &entries[4];
	}
	if (!strcmp(name, "block")) {
		entries[5] = (struct startup_entry){.kind = kind,
		                                    .slot = 30,
		                                    .bit = 1,
		                                    .address = (uint64_t)(uintptr_t)channel_memory,
		                                    .size = sizeof(channel_memory)};
		return &entries[5];
	}
	if (!strcmp(name, "pci") || !strcmp(name, "events")) {
		entries[6] = (struct startup_entry){.kind = kind, .slot = 40};
		return &entries[6];
	}
	return NULL;
}

const struct startup_entry *startup_need(const char *name, enum startup_kind kind, unsigned index)
{
	const struct startup_entry *entry = startup_find(name, kind, index);
	if (!entry)
		fatal("startup entry %s is missing", name);
	return entry;
}

enum error memory_info(cptr_t memory, size_t *pages, bool *device, uint64_t *physical)
{
	*device = false;
	if (memory == SLOT_DMA) {
		*pages = model.dma_size / 4096;
		*physical = 0x100000;
	} else {
		*pages = MODEL_POOL_SIZE / 4096;
		*physical = 0x10000000 + 0x1000000ull * (memory - SLOT_POOL);
	}
	return ERR_NONE;
}

static void bus_answer(struct message *message, unsigned words, unsigned caps)
{
	message->words[0] = PCI_OK;
	message->info = MESSAGE_INFO_CAPS(0, words, caps, 0);
}

enum error ipc_call(cptr_t endpoint, struct message *message, deadline_t deadline)
{
	(void)endpoint, (void)deadline;
	uint64_t a = message->words[0], b = message->words[1];
	uint32_t value = 0;
	switch (message_label(message->info)) {
	case PCI_OPEN:
		model.mastering = false;
		bus_answer(message, 5, 0);
		message->words[0] = model.present ? PCI_OK : PCI_NO_DEVICE;
		message->words[4] = 1 << 4;
		break;
	case PCI_BAR:
		bus_answer(message, 2, 1);
		message->words[1] = 0x4000;
		if (a != 4)
			abort();
		break;
	case PCI_IRQ:
		bus_answer(message, 2, 1);
		message->words[1] = model.message_interrupts;
		break;
	case PCI_CONFIG_READ:
		if (a % b || a + b > 256) {
			message->words[0] = PCI_BAD_REQUEST;
			message->info = MESSAGE_INFO(0, 1);
			break;
		}
		memcpy(&value, model.config + a, b);
		bus_answer(message, 2, 0);
		message->words[1] = value;
		break;
	case PCI_ENABLE:
		model.mastering = a;
		bus_answer(message, 1, 0);
		break;
	default:
		abort();
	}
	return ERR_NONE;
}

volatile void *device_map(cptr_t memory, uint64_t first_page, size_t pages)
{
	(void)memory;
	return first_page == 0 && pages == 4 ? bar_memory : NULL;
}

unsigned event_bit_allocate(void)
{
	return 63;
}

bool irq_bind_event(cptr_t irq, unsigned bit)
{
	return irq && bit == 63;
}

enum error irq_acknowledge(cptr_t irq)
{
	(void)irq;
	/* A line that is still up would fire again at once. */
	return !model.message_interrupts && model.isr ? ERR_STATE : ERR_NONE;
}

cptr_t slot_allocate(void)
{
	static cptr_t next = 100;
	return next++;
}

void slot_free(cptr_t slot)
{
	(void)slot;
}

enum error capability_delete(cptr_t slot)
{
	(void)slot;
	return ERR_NONE;
}

enum error notification_signal(cptr_t notification)
{
	(void)notification;
	model.signals++;
	return ERR_NONE;
}

uint64_t time_now(void)
{
	static uint64_t now;
	return now += 1000000;
}

void thread_yield(void)
{
}

const char *error_text(enum error error)
{
	return error ? "an error" : "success";
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)level, (void)format;
}

void fatal(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fatal_text, sizeof(fatal_text), format, arguments);
	va_end(arguments);
	if (fatal_expected)
		longjmp(fatal_jump, 1);
	printf("fatal: %s\n", fatal_text);
	abort();
}
