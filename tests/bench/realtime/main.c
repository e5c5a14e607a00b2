/* SPDX-License-Identifier: MIT */
/*
 * `./pith bench realtime`: how late a thread of the highest priority runs when its deadline has passed or its
 * device has interrupted, while threads of low priority on all CPUs keep the kernel busy. The first component
 * of a boot image of its own, under `-icount shift=0`: a nanosecond is an instruction, of
 * whichever CPU.
 *
 * The intervals between samples are random, so they fall into all phases of the load.
 */
#include "call.h"
#include "loads.h"
#include "setup.h"

#define INTERVAL_MIN    20000u /* ns between samples; the rest is random */
#define INTERVAL_RANDOM 65536u
#define SAMPLES_MAX     10000

void bench_main(const struct boot_info *info);

static cptr_t never, irq, irq_wait;
static const char *command_line;
static uint64_t samples = 1000;

/* ---- random numbers ---- */

static uint64_t random_state = 88172645463325252;

/* xorshift64 */
static uint64_t random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t interval(void)
{
	return INTERVAL_MIN + (random() >> 20) % INTERVAL_RANDOM;
}

/* ---- the HPET: a device whose interrupts come when they are asked for ---- */

#define HPET          0xfed00000ul
#define HPET_AT       0x18000000ul
#define HPET_COUNTER  0xf0
#define HPET_TIMER(n) (0x100u + 0x20u * (n))
#define HPET_COMPARE  8u
#define HPET_TICK     10 /* ns, in QEMU */
#define HPET_ENABLE   (1u << 2)
#define HPET_32BIT    (1u << 8)
#define HPET_ROUTE(n) ((n) << 9)
#define IRQ_LINE      20u

static volatile uint32_t *hpet(unsigned offset)
{
	return (volatile uint32_t *)(HPET_AT + offset);
}

static cptr_t device_page(const struct boot_info *info, uint64_t address)
{
	for (uint64_t i = 0; i < info->untyped_count; i++) {
		const struct boot_untyped *u = &info->untypeds[i];
		cptr_t cap = (cptr_t)(INIT_SLOT_UNTYPED + i);
		unsigned bits = u->size_bits;

		if (!u->device || address < u->address || (address - u->address) >> bits)
			continue;
		while (bits > PAGE_BITS) {
			unsigned part = bits > PAGE_BITS + 6 ? bits - 6 : PAGE_BITS;
			uint64_t index = (address & ((1ul << bits) - 1)) >> part;
			cptr_t first = slot_new();

			for (uint64_t j = 0; j < index; j++)
				slot_new();
			MUST(cap, UNTYPED_RETYPE,
			     (part == PAGE_BITS ? OBJECT_MEMORY : OBJECT_UNTYPED) | part << 8, index + 1,
			     CPTR_NULL, first);
			cap = first + (cptr_t)index;
			bits = part;
		}
		return cap;
	}
	fail("no HPET", 0);
}

/* ---- what is measured ---- */

static uint64_t wait_for(cptr_t notification, deadline_t deadline)
{
	struct registers r = {.cap = notification, .deadline = deadline};

	return system_call(SYS_WAIT, &r);
}

/* Each of them returns how late it is after one event, ns. */
static uint64_t late_after_deadline(void)
{
	deadline_t deadline = now() + interval();
	uint64_t status = wait_for(never, deadline), late = now() - deadline;

	if (status != ERR_TIMEOUT)
		fail("wait", status);
	return late;
}

static uint64_t late_after_interrupt(void)
{
	uint32_t due = *hpet(HPET_COUNTER) + (uint32_t)interval() / HPET_TICK;
	uint64_t status, late;

	*hpet(HPET_TIMER(0) + HPET_COMPARE) = due;
	status = wait_for(irq_wait, DEADLINE_NEVER);
	late = (uint64_t)(*hpet(HPET_COUNTER) - due) * HPET_TICK;
	if (status != ERR_NONE)
		fail("wait", status);
	MUST(irq, IRQ_ACKNOWLEDGE, 0);
	return late;
}

static void hpet_begin(const struct boot_info *info)
{
	cptr_t signal = slot_new();

	space_map(own_space, device_page(info, HPET), HPET_AT, 1, RIGHT_READ | RIGHT_WRITE);
	irq = slot_new();
	irq_wait = object_new(OBJECT_NOTIFICATION, 0);
	MUST(INIT_SLOT_CNODE, CNODE_DERIVE, signal, CPTR_NULL, irq_wait, RIGHT_ALL, 1);
	MUST(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_LINE, IRQ_LINE, 0, CPTR_NULL, irq);
	MUST(irq, IRQ_BIND, signal);
	*hpet(HPET_TIMER(0)) = HPET_ENABLE | HPET_32BIT | HPET_ROUTE(IRQ_LINE);
	late_after_interrupt();
	late_after_interrupt(); /* the first may be one that the line had before */
}

/* The clock has just been read: what happened before is told from here by tools/trace/turns.c. */
__attribute__((noinline)) static void mark(void)
{
	__asm__ volatile(".globl realtime_mark\nrealtime_mark: nop");
}

/* A line `KIND LOAD NS` for each sample. */
static void measure(const char *kind, const char *load, uint64_t (*sample)(void))
{
	static uint64_t late[SAMPLES_MAX];

	for (uint64_t i = 0; i < samples; i++) {
		late[i] = sample();
		mark();
	}
	for (uint64_t i = 0; i < samples; i++) {
		print(kind);
		print(load);
		print(" ");
		print_number(late[i]);
		print("\n");
	}
}

static void read_command_line(void)
{
	const char *at = command_line, *key = "samples=";

	while (*key && *key == *at)
		key++, at++;
	if (*key)
		return;
	for (samples = 0; *at >= '0' && *at <= '9'; at++)
		samples = samples * 10 + (uint64_t)(*at - '0');
	if (samples > SAMPLES_MAX)
		fail("too many samples", samples);
}

void bench_main(const struct boot_info *info)
{
	setup("realtime", info);
	command_line = info->command_line;
	read_command_line();
	never = object_new(OBJECT_NOTIFICATION, 0);
	hpet_begin(info);
	loads_make((unsigned)info->cpu_count);
	for (const struct load *load = loads; load->name; load++) {
		load_start(load);
		measure("deadline ", load->name, late_after_deadline);
		measure("interrupt ", load->name, late_after_interrupt);
		load_stop(load);
	}
	print("realtime done\n");
	finish(0);
}
