/* SPDX-License-Identifier: MIT */
/* The CMOS clock's driver against a clock of bytes: every format, times that are none, and deaths while it is
 * set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <pith/log.h>
#include <pith/object.h>

#include "check.h"
#include "cmos.h"

#define BINARY   0x04
#define HOURS_24 0x02
#define STOPPED  0x80
#define UPDATING 0x80

static uint8_t cells[128];
static unsigned chosen, accesses, dies_after;
static unsigned ticks_at; /* at this access the clock counts one second on; 0: never */
static jmp_buf death;
static unsigned warnings;

static uint8_t digits(int value)
{
	return (uint8_t)(cells[0x0b] & BINARY ? value : value / 10 * 16 + value % 10);
}

/* What the firmware would have left. */
static void show(uint8_t format, int year, int month, int day, int hour, int minute, int second)
{
	cells[0x0a] = 0x26;
	cells[0x0b] = format;
	cells[0x00] = digits(second);
	cells[0x02] = digits(minute);
	cells[0x04] = format & HOURS_24 ? digits(hour)
	                                : (uint8_t)(digits((hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0));
	cells[0x07] = digits(day);
	cells[0x08] = digits(month);
	cells[0x09] = digits(year % 100);
	cells[0x32] = digits(year / 100);
}

static void access(void)
{
	if (++accesses == dies_after)
		longjmp(death, 1);
	if (accesses == ticks_at)
		cells[0]++;
}

enum error io_ports_out(cptr_t ports, unsigned port, unsigned width, uint32_t value)
{
	CHECK(ports == 7 && width == 1);
	access();
	if (port == 0x70) {
		CHECK(value < 128); /* bit 7 would mask NMIs */
		chosen = value & 127;
	} else {
		CHECK(port == 0x71);
		/* While it counts, what is written to the time is lost. */
		CHECK(chosen >= 0x0a && chosen != 0x32 ? true : cells[0x0b] & STOPPED);
		cells[chosen] = (uint8_t)value;
	}
	return ERR_NONE;
}

enum error io_ports_in(cptr_t ports, unsigned port, unsigned width, uint32_t *value)
{
	CHECK(ports == 7 && width == 1 && port == 0x71);
	access();
	*value = cells[chosen];
	return ERR_NONE;
}

const char *error_text(enum error error)
{
	(void)error;
	return "an error";
}

void log_write(enum log_level level, const char *format, ...)
{
	(void)level, (void)format;
	warnings++;
}

_Noreturn void fatal(const char *format, ...)
{
	printf("fatal: %s\n", format);
	abort();
}

static const uint8_t formats[] = {0, BINARY, HOURS_24, BINARY | HOURS_24};

static uint64_t seconds_of(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = {.tm_year = year - 1900,
	                .tm_mon = month - 1,
	                .tm_mday = day,
	                .tm_hour = hour,
	                .tm_min = minute,
	                .tm_sec = second};
	return (uint64_t)timegm(&tm);
}

static void test_read(void)
{
	static const int times[][6] = {
	        {1970, 1, 1, 0, 0, 0},   {1999, 12, 31, 23, 59, 59}, {2000, 2, 29, 12, 0, 0},
	        {2024, 2, 29, 0, 30, 1}, {2026, 11, 29, 11, 59, 59}, {2038, 1, 19, 3, 14, 8},
	        {2069, 7, 1, 13, 1, 2},  {2070, 7, 1, 13, 1, 2},     {2100, 3, 1, 1, 1, 1},
	        {2106, 2, 7, 6, 28, 16}, {2199, 12, 31, 23, 59, 59},
	};
	for (size_t f = 0; f < sizeof(formats); f++) {
		for (size_t t = 0; t < sizeof(times) / sizeof(times[0]); t++) {
			const int *at = times[t];
			uint64_t expected = seconds_of(at[0], at[1], at[2], at[3], at[4], at[5]), got = 0;
			show(formats[f], at[0], at[1], at[2], at[3], at[4], at[5]);
			CHECK(cmos_read(7, &got) == CLOCK_OK && got == expected);
			/* A machine without a century: 1970 to 2069. */
			cells[0x32] = 0xff;
			if (at[0] < 2070)
				CHECK(cmos_read(7, &got) == CLOCK_OK && got == expected);
		}
	}
}

static void test_nonsense(void)
{
	static const struct {
		unsigned place, value;
	} cases[] = {
	        {0x00, 0x60}, {0x00, 0x5a}, {0x00, 0xff}, {0x02, 0x60}, {0x02, 0xa0},
	        {0x04, 0x24}, {0x04, 0xff}, {0x07, 0x00}, {0x07, 0x31}, {0x07, 0x32},
	        {0x08, 0x00}, {0x08, 0x13}, {0x09, 0xa0}, {0x09, 0x9f},
	};
	uint64_t got;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		show(HOURS_24, 2026, 11, 29, 1, 2, 3);
		cells[cases[i].place] = (uint8_t)cases[i].value;
		warnings = 0;
		CHECK(cmos_read(7, &got) == CLOCK_NONSENSE && warnings == 1);
	}
	show(HOURS_24, 2025, 2, 28, 1, 2, 3);
	cells[0x07] = 0x29;
	CHECK(cmos_read(7, &got) == CLOCK_NONSENSE);
	for (unsigned hour = 0; hour < 256; hour++) { /* 12 hours: 1 to 12, twice */
		show(BINARY, 2026, 11, 29, 1, 2, 3);
		cells[0x04] = (uint8_t)hour;
		CHECK((cmos_read(7, &got) == CLOCK_OK) == ((hour & 127) >= 1 && (hour & 127) <= 12));
	}
	memset(cells, 0xff, sizeof(cells)); /* no clock at all */
	CHECK(cmos_read(7, &got) != CLOCK_OK);
	memset(cells, 0, sizeof(cells));
	CHECK(cmos_read(7, &got) == CLOCK_NONSENSE);
}

/* It counts at any moment of a look: what comes out is the time before or after, or "again". */
static void test_counting(void)
{
	uint64_t start = seconds_of(2026, 11, 29, 1, 2, 3), got;
	show(HOURS_24, 2026, 11, 29, 1, 2, 3);
	cells[0x0a] |= UPDATING;
	CHECK(cmos_read(7, &got) == CLOCK_BUSY);
	for (ticks_at = 1; ticks_at < 60; ticks_at++) {
		show(HOURS_24, 2026, 11, 29, 1, 2, 3);
		accesses = 0;
		enum clock_status status = cmos_read(7, &got);
		CHECK(status == CLOCK_BUSY || (status == CLOCK_OK && (got == start || got == start + 1)));
	}
	ticks_at = 0;
}

static void test_write(void)
{
	uint64_t got;
	srand(1);
	for (unsigned round = 0; round < 4000; round++) {
		uint64_t time = ((uint64_t)rand() << 20 ^ (uint64_t)rand()) % 14000000000ul;
		uint8_t format = formats[round % 4];
		bool century = round & 4;
		show(format, 2026, 11, 29, 1, 2, 3);
		if (!century)
			cells[0x32] = 0xff;
		uint8_t before[sizeof(cells)];
		memcpy(before, cells, sizeof(cells));
		bool fits = time < seconds_of(century ? 2200 : 2070, 1, 1, 0, 0, 0);
		enum clock_status status = cmos_write(7, time);
		CHECK(status == (fits ? CLOCK_OK : CLOCK_RANGE));
		if (!fits)
			CHECK(!memcmp(before, cells, sizeof(cells)));
		else
			CHECK(cmos_read(7, &got) == CLOCK_OK && got == time);
		/* The format stays, and the clock runs. */
		CHECK(cells[0x0b] == format && cells[0x0a] == 0x26);
		CHECK(century || cells[0x32] == 0xff);
	}
	CHECK(cmos_write(7, UINT64_MAX) == CLOCK_RANGE);
}

/* The driver dies at any access while it sets the clock: its successor has it run again. */
static void test_death(void)
{
	show(HOURS_24, 2026, 11, 29, 1, 2, 3);
	accesses = 0;
	cmos_write(7, 1000000000);
	unsigned all = accesses;
	for (unsigned at = 1; at <= all; at++) {
		show(HOURS_24, 2026, 11, 29, 1, 2, 3);
		accesses = 0;
		dies_after = at;
		if (!setjmp(death))
			cmos_write(7, 1000000000);
		dies_after = 0;
		bool stood = cells[0x0b] & STOPPED || (cells[0x0a] & 0x70) == 0x70;
		CHECK(cmos_resume(7) == stood);
		CHECK(cells[0x0a] == 0x26 && cells[0x0b] == HOURS_24);
		CHECK(!cmos_resume(7));
	}
	CHECK(all > 30);
}

int main(void)
{
	test_read();
	test_nonsense();
	test_counting();
	test_write();
	test_death();
	return checks_report();
}
