/* SPDX-License-Identifier: MIT */
/*
 * Device interrupts: Irq n of core is vector VECTOR_IRQ + n. A line is routed through an I/O APIC, a message
 * (MSI) is written by the device straight to the local APIC.
 *
 * When a level-triggered line's interrupt is taken, the line is masked before the end of interrupt is told,
 * so that it does not fire again until user space has served the device and core unmasks it. Edges and
 * messages are not masked: one that comes meanwhile must not be lost.
 */
#include "local.h"

#include <abi/object.h>

enum irq_kind { IRQ_UNUSED, IRQ_LINE, IRQ_MESSAGE };

static struct irq_route {
	uint8_t kind, io_apic, pin;
	bool level, active_low;
	bool masked;
	bool pending; /* a message came while it was masked */
} routes[ARCH_IRQ_COUNT];

/* Guards routes[] and the I/O APICs: a line's interrupt is taken on one CPU while another one unmasks it. */
static uint32_t irq_lock;

uint32_t irq_words_used;

#define IO_APIC_VERSION     1
#define IO_APIC_REDIRECTION 0x10

#define REDIRECTION_MASKED     (1u << 16)
#define REDIRECTION_LEVEL      (1u << 15)
#define REDIRECTION_ACTIVE_LOW (1u << 13)

static struct io_apic {
	volatile uint32_t *registers; /* select, at byte 0, and window, at byte 16 */
	unsigned gsi_base, pins;
} io_apics[8];
static unsigned io_apic_count;

static uint32_t io_apic_read(const struct io_apic *io, unsigned reg)
{
	io->registers[0] = reg;
	return io->registers[4];
}

static void io_apic_write(const struct io_apic *io, unsigned reg, uint32_t value)
{
	io->registers[0] = reg;
	io->registers[4] = value;
}

void irq_init(void)
{
	for (unsigned i = 0; i < acpi.io_apic_count; i++) {
		struct io_apic *io = &io_apics[io_apic_count++];

		io->registers = paging_map_device(acpi.io_apics[i].address);
		io->gsi_base = acpi.io_apics[i].gsi_base;
		io->pins = (io_apic_read(io, IO_APIC_VERSION) >> 16 & 0xff) + 1;
		for (unsigned pin = 0; pin < io->pins; pin++)
			io_apic_write(io, IO_APIC_REDIRECTION + 2 * pin, REDIRECTION_MASKED);
	}
}

static void line_write(unsigned irq)
{
	const struct irq_route *route = &routes[irq];
	const struct io_apic *io = &io_apics[route->io_apic];
	unsigned reg = IO_APIC_REDIRECTION + 2 * route->pin;

	io_apic_write(io, reg,
	              (VECTOR_IRQ + irq) | (route->level ? REDIRECTION_LEVEL : 0) |
	                      (route->active_low ? REDIRECTION_ACTIVE_LOW : 0) |
	                      (route->masked ? REDIRECTION_MASKED : 0));
}

/* What the firmware says of a line beats what the caller believes; its flags are 2 bits each, 0: as the bus
 * does. */
static void override_apply(struct irq_route *route, unsigned gsi)
{
	for (unsigned i = 0; i < acpi.override_count; i++) {
		unsigned polarity = acpi.overrides[i].flags & 3, trigger = acpi.overrides[i].flags >> 2 & 3;

		if (acpi.overrides[i].gsi != gsi)
			continue;
		if (polarity != 0)
			route->active_low = polarity == 3;
		if (trigger != 0)
			route->level = trigger == 3;
	}
}

static void irq_use(unsigned irq, struct irq_route route)
{
	routes[irq] = route;
	irq_words_used |= 1u << (VECTOR_IRQ + irq) / 32;
}

bool arch_irq_route_line(unsigned irq, unsigned gsi, unsigned flags)
{
	for (unsigned i = 0; i < io_apic_count; i++) {
		const struct io_apic *io = &io_apics[i];
		struct irq_route route = {
		        .kind = IRQ_LINE,
		        .io_apic = (uint8_t)i,
		        .level = flags & IRQ_LEVEL,
		        .active_low = flags & IRQ_ACTIVE_LOW,
		        .masked = true,
		};

		if (gsi < io->gsi_base || gsi - io->gsi_base >= io->pins)
			continue;
		route.pin = (uint8_t)(gsi - io->gsi_base);
		override_apply(&route, gsi);
		spin_lock(&irq_lock);
		irq_use(irq, route);
		/* The high half first: the target CPU, before the line can fire. */
		io_apic_write(io, IO_APIC_REDIRECTION + 2 * route.pin + 1, cpu_local()->apic_id << 24);
		line_write(irq);
		spin_unlock(&irq_lock);
		return true;
	}
	return false;
}

void arch_irq_message(unsigned irq, uint64_t *address, uint64_t *data)
{
	spin_lock(&irq_lock);
	irq_use(irq, (struct irq_route){.kind = IRQ_MESSAGE, .masked = true});
	spin_unlock(&irq_lock);
	*address = 0xfee00000ul | (uint64_t)cpu_local()->apic_id << 12;
	*data = VECTOR_IRQ + irq;
}

static void irq_set_masked(unsigned irq, bool masked)
{
	routes[irq].masked = masked;
	if (routes[irq].kind == IRQ_LINE)
		line_write(irq);
}

void arch_irq_mask(unsigned irq)
{
	spin_lock(&irq_lock);
	irq_set_masked(irq, true);
	spin_unlock(&irq_lock);
}

void arch_irq_unmask(unsigned irq)
{
	bool pending;

	spin_lock(&irq_lock);
	irq_set_masked(irq, false);
	pending = routes[irq].pending;
	routes[irq].pending = false;
	spin_unlock(&irq_lock);
	if (pending)
		apic_raise(VECTOR_IRQ + irq);
}

void irq_interrupt(unsigned irq)
{
	struct irq_route *route = &routes[irq];
	bool wanted;

	spin_lock(&irq_lock);
	wanted = route->kind != IRQ_UNUSED && !route->masked;
	if (route->kind != IRQ_UNUSED && route->masked)
		route->pending = !route->level; /* there is no other trace of a message or an edge */
	if (route->kind == IRQ_LINE && route->level)
		irq_set_masked(irq, true);
	spin_unlock(&irq_lock);
	apic_eoi();
	if (wanted)
		kernel_irq(irq);
}

/* ---- ports ---- */
uint32_t arch_port_in(uint16_t port, unsigned width)
{
	uint32_t value = 0;

	if (width == 1)
		return port_in8(port);
	if (width == 2)
		__asm__ volatile("inw %1, %w0" : "+a"(value) : "Nd"(port));
	else
		__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

void arch_port_out(uint16_t port, unsigned width, uint32_t value)
{
	if (width == 1)
		port_out8(port, (uint8_t)value);
	else if (width == 2)
		__asm__ volatile("outw %w0, %1" : : "a"(value), "Nd"(port));
	else
		__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

void arch_port_in_string(uint16_t port, uint8_t *out, size_t count)
{
	__asm__ volatile("rep insb" : "+D"(out), "+c"(count) : "d"(port) : "memory");
}

void arch_port_out_string(uint16_t port, const uint8_t *in, size_t count)
{
	__asm__ volatile("rep outsb" : "+S"(in), "+c"(count) : "d"(port) : "memory");
}
