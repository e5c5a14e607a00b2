/* SPDX-License-Identifier: MIT */
/* Time from the TSC, whose rate is measured once against the HPET or, without one, the PIT. */
#include "local.h"

uint64_t time_tsc_hz, time_tsc_at_boot;
uint64_t time_scale;

/* ---- reference clocks: count up, 32 bits ---- */
struct clock {
	uint32_t (*read)(void);
	uint64_t hz;
	uint32_t duration; /* ticks to measure for */
};

#define HPET_PERIOD        1 /* in words of 32 bits: femtoseconds */
#define HPET_CONFIGURATION 4
#define HPET_COUNTER       60
#define FEMTO_PER_SECOND   1000000000000000ul

static volatile uint32_t *hpet;

static uint32_t hpet_read(void)
{
	return hpet[HPET_COUNTER];
}

static bool hpet_start(struct clock *clock)
{
	uint32_t period;

	if (acpi.hpet == 0 || acpi.hpet % PAGE_SIZE > PAGE_SIZE - 1024)
		return false;
	hpet = paging_map_device(acpi.hpet);
	period = hpet[HPET_PERIOD];
	if (period == 0 || period > 100000000) /* by the standard at most 100 ns */
		return false;
	hpet[HPET_CONFIGURATION] |= 1;
	clock->read = hpet_read;
	clock->hz = FEMTO_PER_SECOND / period;
	clock->duration = (uint32_t)(clock->hz / 100);
	return true;
}

#define PIT_HZ      1193182
#define PIT_CONTROL 0x43
#define PIT_COUNTER 0x42
#define PIT_GATE    0x61
#define PIT_EXPIRED 0x20

static uint32_t pit_read(void)
{
	uint32_t low;

	port_out8(PIT_CONTROL, 0x80); /* latch counter 2 */
	low = port_in8(PIT_COUNTER);
	return 0xffff - (low | (uint32_t)port_in8(PIT_COUNTER) << 8);
}

/* Counter 2 counts down from 65535, for 55 ms, and then says so. */
static void pit_start(struct clock *clock)
{
	port_out8(PIT_GATE, (port_in8(PIT_GATE) & 0xfc) | 1);
	port_out8(PIT_CONTROL, 0xb0);
	port_out8(PIT_COUNTER, 0xff);
	port_out8(PIT_COUNTER, 0xff);
	clock->read = pit_read;
	clock->hz = PIT_HZ;
	clock->duration = PIT_HZ / 50;
}

struct clock_sample clock_sample(uint32_t (*read)(void))
{
	struct clock_sample best = {0};
	uint64_t best_width = UINT64_MAX;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t before = tsc_read();
		uint32_t count = read();
		uint64_t width = tsc_read() - before;

		if (width < best_width) {
			best_width = width;
			best = (struct clock_sample){before + width / 2, count};
		}
	}
	return best;
}

/* In cycles, some ten times what a measurement takes of a fast CPU: the clock stands still. */
#define PATIENCE (1ul << 30)

static bool clock_measure(const struct clock *clock, uint64_t *hz)
{
	struct clock_sample from = clock_sample(clock->read), to;

	do {
		to = clock_sample(clock->read);
		if (to.count - from.count >= clock->duration) {
			*hz = multiply_divide(to.tsc - from.tsc, clock->hz, to.count - from.count);
			return true;
		}
	} while (to.tsc - from.tsc < PATIENCE);
	return false;
}

static uint64_t tsc_measure(void)
{
	struct clock clock;
	uint64_t hz;

	if (hpet_start(&clock) && clock_measure(&clock, &hz))
		return hz;
	for (unsigned i = 0; i < 8; i++) {
		pit_start(&clock);
		/* Unless the emulator slept through the counter's end. */
		if (clock_measure(&clock, &hz) && !(port_in8(PIT_GATE) & PIT_EXPIRED))
			return hz;
	}
	panic("time: neither HPET nor PIT measures the TSC");
}

void time_init(void)
{
	uint64_t hz;

	time_tsc_at_boot = tsc_read();
	hz = tsc_measure();
	/* The measurement is not better than this, and makers choose round numbers. */
	time_tsc_hz = (hz + 5000) / 10000 * 10000;
	if (time_tsc_hz == 0)
		panic("time: the TSC does not count");
	time_scale = (NS_PER_SECOND << 32) / time_tsc_hz;
}
