/* SPDX-License-Identifier: MIT */
/* The wall clock at boot: `epoch=SECONDS` of the kernel's command line, or else the CMOS clock, read once. */
#include <stdlib.h>

#include "init.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

static unsigned cmos(unsigned number)
{
	uint32_t value = 0;
	io_ports_out(INIT_SLOT_IO_PORTS, CMOS_INDEX, 1, number);
	io_ports_in(INIT_SLOT_IO_PORTS, CMOS_DATA, 1, &value);
	return value;
}

struct cmos_time {
	unsigned second, minute, hour, day, month, year;
};

/* The clock counts on while it is read: twice the same is right. */
static bool cmos_read(struct cmos_time *time)
{
	struct cmos_time last = {.year = 1000};
	for (int attempt = 0; attempt < 1000; attempt++) {
		if (cmos(10) & 0x80)
			continue; /* it is being updated */
		*time = (struct cmos_time){cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9)};
		if (time->second == last.second && time->minute == last.minute && time->hour == last.hour &&
		    time->day == last.day && time->month == last.month && time->year == last.year)
			return true;
		last = *time;
	}
	return false;
}

static unsigned from_bcd(unsigned value)
{
	return (value >> 4) * 10 + (value & 15);
}

/* Days from 1970-01-01, by counting years from March so that the leap day is last. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
	if (month <= 2) {
		year--;
		month += 12;
	}
	uint64_t leap = year / 4 - year / 100 + year / 400;
	return 365ul * year + leap + (153 * (month - 3) + 2) / 5 + day - 1 - 719468;
}

static uint64_t cmos_epoch(void)
{
	struct cmos_time time;
	if (!cmos_read(&time))
		return 0;
	unsigned format = cmos(11), afternoon = time.hour & 0x80;
	time.hour &= 0x7f;
	if (!(format & 4))
		time = (struct cmos_time){from_bcd(time.second), from_bcd(time.minute), from_bcd(time.hour),
		                          from_bcd(time.day),    from_bcd(time.month),  from_bcd(time.year)};
	if (!(format & 2))
		time.hour = time.hour % 12 + (afternoon ? 12 : 0);
	if (time.month < 1 || time.month > 12 || time.day < 1 || time.day > 31)
		return 0;
	return days_since_1970(2000 + time.year, time.month, time.day) * 86400 + time.hour * 3600 +
	       time.minute * 60 + time.second;
}

uint64_t clock_epoch(void)
{
	char text[24], *end;
	uint64_t now = time_now(), seconds = 0;
	if (boot_option("epoch", text, sizeof(text))) {
		seconds = strtoul(text, &end, 10);
		if (*end || end == text) {
			log_warning("epoch=%s is no number of seconds", text);
			seconds = 0;
		} else {
			now = 0; /* the time of boot itself */
		}
	}
	if (seconds == 0)
		seconds = cmos_epoch();
	return seconds * 1000000000 > now ? seconds * 1000000000 - now : 0;
}
