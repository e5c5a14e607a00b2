/* SPDX-License-Identifier: MIT */
/* The bus component against a made-up machine: what it finds, what it hands out, what it never hands out. */
#include "check.h"
#include "machine.h"

#include "claims.h"
#include "functions.h"
#include "interrupts.h"
#include "regions.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void bus_start(const char *config)
{
	snprintf(machine.config_text, sizeof(machine.config_text), "%s", config);
	config_attach();
	interrupts_attach();
	regions_attach();
	functions_scan();
	functions_assign();
	claims_configure();
}

/* One call by the driver with this badge, as it arrives and as it is answered. */
static struct message call(uint64_t badge, uint32_t operation, uint64_t a, uint64_t b)
{
	struct message message = {.info = MESSAGE_INFO(operation, 2), .words = {a, b, 7, 7, 7, 7}};
	service_call(NULL, badge, &message);
	for (unsigned i = 0; i < message_caps(message.info); i++)
		machine.slots[ipc_buffer()->caps[i]].derived++;
	return message;
}

/* The disk that QEMU has. */
static struct machine_function *disk_add(unsigned bus, unsigned device, uint64_t registers, uint64_t table)
{
	struct machine_function *f = machine_add(bus, device, 0, 0x1af4, 0x1042);
	machine_bar(f, 1, table, 4096, false);
	machine_bar(f, 4, registers, 16384, true);
	machine_msix(f, 1, 0, 2);
	f->config[4] = 7;
	return f;
}

static void test_disk(void)
{
	machine_reset();
	machine_untypeds();
	machine_add(0, 0, 0, 0x8086, 0x29c0);
	struct machine_function *f = disk_add(0, 1, 0xfebf8000, 0xfebfe000);
	bus_start("device.1=1af4:1042,0\ndevice.2=1af4:1042,1\n");
	CHECK(function_count() == 2);
	CHECK(!(f->config[4] & COMMAND_MASTER));
	CHECK(machine_config(f, 0x10 + 16, 4) == (0xfebf8000 | 4)); /* sizing puts back what was there */
	CHECK(machine_config(f, 0x14, 4) == 0xfebfe000);

	struct message m = call(2, PCI_OPEN, 0, 0);
	CHECK(m.words[0] == PCI_NO_DEVICE);
	CHECK(call(3, PCI_OPEN, 0, 0).words[0] == PCI_BAD_REQUEST);
	CHECK(call(1, PCI_BAR, 4, 0).words[0] == PCI_BAD_REQUEST); /* not open */

	m = call(1, PCI_OPEN, 0, 0);
	CHECK(m.words[0] == PCI_OK && m.words[1] == 0x10421af4 && m.words[3] == 8);
	CHECK(m.words[4] == 1 << 4); /* not the BAR with the MSI-X table */
	CHECK(f->config[4] & COMMAND_MEMORY && !(f->config[4] & COMMAND_MASTER));
	CHECK(machine.mapped == 1 && machine.mapped_base == 0xfebfe000);

	m = call(1, PCI_BAR, 4, 0);
	cptr_t memory = ipc_buffer()->caps[0];
	CHECK(m.words[0] == PCI_OK && m.words[1] == 16384 && message_caps(m.info) == 1 &&
	      !message_moved(m.info));
	CHECK(machine.slots[memory].type == OBJECT_MEMORY && machine.slots[memory].base == 0xfebf8000 &&
	      machine.slots[memory].size_bits == 14);
	CHECK(call(1, PCI_BAR, 1, 0).words[0] == PCI_NO_BAR);
	CHECK(call(1, PCI_BAR, 0, 0).words[0] == PCI_NO_BAR);
	CHECK(call(1, PCI_BAR, 5, 0).words[0] == PCI_NO_BAR);
	CHECK(call(1, PCI_BAR, 6, 0).words[0] == PCI_BAD_REQUEST);
	CHECK(call(1, PCI_BAR, UINT64_MAX, 0).words[0] == PCI_BAD_REQUEST);

	m = call(1, PCI_IRQ, 0, 0);
	cptr_t irq = ipc_buffer()->caps[0];
	CHECK(m.words[0] == PCI_OK && m.words[1] == 1 && machine.slots[irq].type == OBJECT_IRQ);
	uint32_t *table = (uint32_t *)machine.table;
	CHECK(table[0] == 0xfee00000 && table[1] == 0 && table[2] == 0x40 && table[3] == 0);
	CHECK((machine_config(f, 0x42, 2) & 0xc000) == 0x8000);
	CHECK(call(1, PCI_IRQ, 2, 0).words[0] == PCI_NO_IRQ); /* the table has two entries */
	CHECK(call(1, PCI_IRQ, UINT64_MAX, 0).words[0] == PCI_BAD_REQUEST);
	call(1, PCI_IRQ, 0, 0);
	CHECK(ipc_buffer()->caps[0] == irq && machine_count(OBJECT_IRQ) == 1);

	CHECK(call(1, PCI_ENABLE, 1, 0).words[0] == PCI_OK && (f->config[4] & COMMAND_MASTER));
	CHECK(call(1, PCI_CONFIG_READ, 0, 4).words[1] == 0x10421af4);
	CHECK(call(1, PCI_CONFIG_READ, 1, 4).words[0] == PCI_BAD_REQUEST);
	CHECK(call(1, PCI_CONFIG_READ, 256, 1).words[0] == PCI_BAD_REQUEST);
	CHECK(call(1, PCI_CONFIG_READ, 0, 8).words[0] == PCI_BAD_REQUEST);
	CHECK(call(1, PCI_CONFIG_READ, 0, 0).words[0] == PCI_BAD_REQUEST);
	CHECK(call(1, 99, 0, 0).words[0] == PCI_BAD_REQUEST);

	/* The driver died and its successor opens: nothing of the old one is left, over and over, without
	 * leaking slots. */
	for (unsigned i = 0; i < 1000; i++) {
		CHECK(call(1, PCI_OPEN, 0, 0).words[0] == PCI_OK);
		CHECK(!machine.slots[memory].derived && machine_count(OBJECT_IRQ) == 0);
		CHECK(!(f->config[4] & COMMAND_MASTER) && table[3] == 1 && table[7] == 1);
		CHECK(!(machine_config(f, 0x42, 2) & 0x8000));
		call(1, PCI_BAR, 4, 0);
		CHECK(ipc_buffer()->caps[0] == memory && machine.slots[memory].derived == 1);
		CHECK(call(1, PCI_IRQ, 0, 0).words[0] == PCI_OK);
		call(1, PCI_ENABLE, 1, 0);
	}
	CHECK(machine.mapped == 1);
}

static void test_many_functions(void)
{
	machine_reset();
	machine_untypeds();
	machine_bridge(0, 1, 1, 2);
	machine_bridge(1, 0, 2, 2);
	machine_bridge(0, 2, 0, 5); /* leads back to bus 0 */
	machine_bridge(2, 9, 1, 1); /* a circle */
	machine_bridge(0, 3, 2, 2); /* bus 2 twice */
	struct machine_function *disks[10];
	for (unsigned i = 0; i < 10; i++)
		disks[i] =
		        disk_add(i < 5 ? 0 : 2, 10 + i, 0xfe000000 + 0x10000 * i, 0xfe008000 + 0x10000 * i);
	bus_start("device.1=1af4:1042,0\ndevice.2=1AF4:1042,9\ndevice.3=1af4:1042,9\ndevice.4=nonsense\n"
	          "device.5=1af4:1042,\ndevice.6=1af4:1042\ndevice.7=1af4:1042,x\ndevice.8=1af4:1042,4\n");
	CHECK(function_count() == 15);
	CHECK(call(1, PCI_OPEN, 0, 0).words[3] == 10 << 3);
	struct message m = call(2, PCI_OPEN, 0, 0);
	CHECK(m.words[0] == PCI_OK && m.words[3] == (2 << 8 | 19 << 3));
	CHECK(call(3, PCI_OPEN, 0, 0).words[0] == PCI_NO_DEVICE); /* claimed by line 2 */
	CHECK(call(4, PCI_OPEN, 0, 0).words[0] == PCI_BAD_REQUEST);
	CHECK(call(5, PCI_OPEN, 0, 0).words[0] == PCI_BAD_REQUEST);
	CHECK(call(6, PCI_OPEN, 0, 0).words[0] == PCI_NO_DEVICE); /* the first is line 1's */
	CHECK(call(7, PCI_OPEN, 0, 0).words[0] == PCI_BAD_REQUEST);
	CHECK(call(8, PCI_OPEN, 0, 0).words[0] == PCI_OK);
	CHECK(machine.functions[0].config[4] & COMMAND_MASTER); /* the bridges on the way */
	CHECK(machine.functions[1].config[4] & COMMAND_MASTER);
	CHECK(call(2, PCI_BAR, 4, 0).words[0] == PCI_OK);
	CHECK(machine.slots[ipc_buffer()->caps[0]].base == 0xfe090000);
	(void)disks;
}

static void test_wide_and_unassigned(void)
{
	machine_reset();
	machine_untypeds();
	struct machine_function *high = machine_add(0, 1, 0, 1, 1);
	machine_bar(high, 0, 0x8040000000, 1 << 30, true);
	struct machine_function *none = machine_add(0, 2, 0, 1, 2);
	machine_bar(none, 0, 0, 1 << 20, false);
	machine_bar(none, 2, 0, 16384, true);
	machine_bar(none, 4, 0, 256, false);
	struct machine_function *first = machine_add(0, 3, 0, 1, 3);
	machine_bar(first, 0, 0xc0000000, 1 << 20, false);
	bus_start("device.1=1:1\ndevice.2=1:2\n");
	CHECK(call(1, PCI_OPEN, 0, 0).words[4] == 1);
	struct message m = call(1, PCI_BAR, 0, 0);
	CHECK(m.words[0] == PCI_OK && m.words[1] == 1 << 30);
	CHECK(machine.slots[ipc_buffer()->caps[0]].base == 0x8040000000);
	CHECK(machine_config(none, 0x10, 4) == 0xc0100000);
	CHECK((machine_config(none, 0x18, 4) & ~0xfu) == 0xc0200000);
	CHECK(machine_config(none, 0x20, 4) == 0xc0204000);
	CHECK(call(2, PCI_OPEN, 0, 0).words[4] == 5); /* the small one is not handed over */
	CHECK(call(2, PCI_BAR, 0, 0).words[0] == PCI_OK);
	CHECK(call(2, PCI_BAR, 2, 0).words[0] == PCI_OK);
}

/* BARs that claim what is not theirs. */
static void test_bad_bars(void)
{
	machine_reset();
	machine_untypeds();
	static const uint64_t bases[] = {
	        0xfee00000, /* the local APIC */
	        0xfec00000, /* the I/O APIC */
	        0x00100000, /* RAM: not among the Untypeds */
	        0xfebf0000, /* the victim's registers */
	};
	disk_add(0, 1, 0xfebf0000, 0xfebfe000);
	for (unsigned i = 0; i < 4; i++)
		machine_bar(machine_add(0, 2 + i, 0, 1, (uint16_t)i), 0, bases[i], i == 3 ? 65536 : 4096,
		            false);
	bus_start("device.1=1af4:1042\ndevice.2=1:0\ndevice.3=1:1\ndevice.4=1:2\ndevice.5=1:3\n");
	CHECK(call(1, PCI_OPEN, 0, 0).words[0] == PCI_OK);
	CHECK(call(1, PCI_BAR, 4, 0).words[0] == PCI_OK);
	for (unsigned badge = 2; badge < 6; badge++) {
		CHECK(call(badge, PCI_OPEN, 0, 0).words[0] == PCI_OK);
		CHECK(call(badge, PCI_BAR, 0, 0).words[0] == PCI_NO_BAR);
	}
}

static void test_interrupt_kinds(void)
{
	machine_reset();
	machine_untypeds();
	struct machine_function *msi = machine_add(0, 1, 0, 1, 1);
	machine_msi(msi);
	struct machine_function *line = machine_add(0, 2, 0, 1, 2);
	line->config[0x3c] = 11;
	line->config[0x3d] = 1;
	struct machine_function *none = machine_add(0, 3, 0, 1, 3);
	none->config[0x3c] = 255;
	none->config[0x3d] = 1;
	/* MSI-X tables that do not lie where they say: INTx or nothing */
	struct machine_function *beyond = machine_add(0, 4, 0, 1, 4);
	machine_bar(beyond, 0, 0xfe000000, 4096, false);
	machine_msix(beyond, 0, 0, 512);
	struct machine_function *no_bar = machine_add(0, 5, 0, 1, 5);
	machine_msix(no_bar, 7, 0xfffffff8, 2048);
	/* a table in the middle of a larger BAR, over a page's end */
	struct machine_function *middle = machine_add(0, 6, 0, 1, 6);
	machine_bar(middle, 0, 0xfe010000, 65536, false);
	machine_msix(middle, 0, 0x1ff0, 300);
	struct machine_function *shared = machine_add(0, 7, 0, 1, 7); /* the line of number 2 */
	shared->config[0x3c] = 11;
	shared->config[0x3d] = 1;
	bus_start("device.1=1:1\ndevice.2=1:2\ndevice.3=1:3\ndevice.4=1:4\ndevice.5=1:5\ndevice.6=1:"
	          "6\ndevice.7=1:7\n");
	for (unsigned badge = 1; badge <= 7; badge++)
		CHECK(call(badge, PCI_OPEN, 0, 0).words[0] == PCI_OK);
	struct message m = call(1, PCI_IRQ, 0, 0);
	CHECK(m.words[0] == PCI_OK && m.words[1] == 1);
	CHECK(machine_config(msi, 0x44, 4) == 0xfee00000 && (machine_config(msi, 0x42, 2) & 1));
	CHECK(machine_config(msi, 0x4c, 2) == 0x40);
	CHECK(call(1, PCI_IRQ, 1, 0).words[0] == PCI_NO_IRQ);
	m = call(2, PCI_IRQ, 0, 0);
	CHECK(m.words[0] == PCI_OK && m.words[1] == 0);
	CHECK(!(machine_config(line, 4, 2) & COMMAND_INTX_DISABLE));
	CHECK(call(7, PCI_IRQ, 0, 0).words[0] == PCI_NO_IRQ);
	CHECK(call(3, PCI_IRQ, 0, 0).words[0] == PCI_NO_IRQ);
	CHECK(machine_config(none, 4, 2) & COMMAND_INTX_DISABLE);
	CHECK(call(4, PCI_IRQ, 0, 0).words[0] == PCI_NO_IRQ);
	CHECK(call(4, PCI_BAR, 0, 0).words[0] == PCI_OK);
	CHECK(call(5, PCI_IRQ, 0, 0).words[0] == PCI_NO_IRQ);
	m = call(6, PCI_IRQ, 299, 0);
	CHECK(m.words[0] == PCI_OK && machine.mapped_base == 0xfe011000);
	CHECK(*(uint32_t *)(machine.table + 0xff0 + 299 * 16) == 0xfee00000);
	CHECK(call(6, PCI_BAR, 0, 0).words[0] == PCI_NO_BAR);
	/* at most so many vectors a driver */
	unsigned got = 0;
	for (unsigned i = 0; i < 100; i++)
		got += call(6, PCI_IRQ, i, 0).words[0] == PCI_OK;
	CHECK(got == 7);
}

/* Lists of capabilities that never end, or lead out of the list's place: what is found before counts, and the
 * scan goes on. */
static void test_capability_lists(void)
{
	static const struct {
		uint8_t first;
		struct {
			uint8_t at, id, next;
		} links[3];
		bool found; /* the MSI capability */
	} lists[] = {
	        {0x40, {{0x40, 9, 0x40}}, false},                  /* to itself */
	        {0x40, {{0x40, 9, 0x60}, {0x60, 9, 0x40}}, false}, /* a circle */
	        {0x40, {{0x40, 9, 0x60}, {0x60, 5, 0x40}}, true},  /* a circle with it inside */
	        {0x40, {{0x40, 9, 0x10}, {0x10, 5, 0}}, false},    /* into the header */
	        {0x10, {{0x10, 5, 0}}, false},                     /* begins there */
	        {0x43, {{0x40, 9, 0x62}, {0x60, 5, 0}}, true},     /* the low bits mean nothing */
	        {0xff, {{0xfc, 9, 0xff}}, false},                  /* at the very end */
	        {0x40, {{0x40, 9, 0x44}, {0x44, 9, 0x48}, {0x48, 5, 0}}, true},
	};
	unsigned count = sizeof(lists) / sizeof(lists[0]);
	machine_reset();
	machine_untypeds();
	for (unsigned i = 0; i < count; i++) {
		struct machine_function *f = machine_add(0, i, 0, 1, (uint16_t)i);
		f->config[0x06] = 0x10;
		f->config[0x34] = lists[i].first;
		for (unsigned l = 0; l < 3 && lists[i].links[l].at; l++) {
			f->config[lists[i].links[l].at] = lists[i].links[l].id;
			f->config[lists[i].links[l].at + 1] = lists[i].links[l].next;
		}
	}
	bus_start("");
	CHECK(function_count() == count);
	for (unsigned i = 0; i < count; i++)
		CHECK((function_at(i)->msi != 0) == lists[i].found);
}

/* Functions beside number 0 count only if that says that there are more, and only if it is there. */
static void test_functions_of_a_device(void)
{
	machine_reset();
	machine_untypeds();
	machine_add(0, 1, 0, 1, 1);
	machine_add(0, 1, 3, 1, 2);
	machine_add(0, 2, 0, 1, 3)->config[0x0e] = 0x80;
	machine_add(0, 2, 3, 1, 4);
	machine_add(0, 2, 7, 1, 4);
	machine_add(0, 3, 1, 1, 5);
	bus_start("device.1=1:4,1\ndevice.2=1:2\ndevice.3=1:5\n");
	CHECK(function_count() == 4);
	CHECK(call(1, PCI_OPEN, 0, 0).words[3] == (2 << 3 | 7));
	CHECK(call(2, PCI_OPEN, 0, 0).words[0] == PCI_NO_DEVICE);
	CHECK(call(3, PCI_OPEN, 0, 0).words[0] == PCI_NO_DEVICE);
}

/* Devices that answer anything to every read, and too many of them: the bus comes to an end, and never hands
 * out the same memory twice. */
static void test_noise(void)
{
	for (unsigned round = 1; round <= 200; round++) {
		machine_reset();
		machine.seed = round;
		machine_untypeds();
		machine.slot_limit = 600;
		for (unsigned i = 0; i < 20; i++)
			machine_add(0, i, 0, 1, (uint16_t)i)->hostile = i % 2;
		disk_add(0, 31, 0xfebf8000, 0xfebfe000);
		char config[512] = "";
		for (unsigned i = 0; i < 20; i++)
			sprintf(config + strlen(config), "device.%u=1:%x\n", i, i);
		strcat(config, "device.20=1af4:1042");
		bus_start(config);
		for (unsigned i = 0; i < 400; i++)
			call(rand_r(&machine.seed) % 22, rand_r(&machine.seed) % 7, rand_r(&machine.seed) % 8,
			     rand_r(&machine.seed) % 5);
		for (unsigned a = 0; a < 600; a++) {
			for (unsigned b = a + 1; b < 600; b++) {
				struct machine_slot *x = &machine.slots[a], *y = &machine.slots[b];
				if (x->type != OBJECT_MEMORY || y->type != OBJECT_MEMORY)
					continue;
				CHECK(x->base + (1ull << x->size_bits) <= y->base ||
				      y->base + (1ull << y->size_bits) <= x->base);
			}
		}
	}
}

int main(void)
{
	test_disk();
	test_many_functions();
	test_wide_and_unassigned();
	test_bad_bars();
	test_interrupt_kinds();
	test_capability_lists();
	test_functions_of_a_device();
	test_noise();
	return checks_report();
}
