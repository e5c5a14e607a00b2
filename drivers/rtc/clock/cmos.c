/* SPDX-License-Identifier: MIT */
#include "cmos.h"

#include <string.h>
#include <time.h>
#include <pith/log.h>
#include <pith/object.h>

#define PORT_INDEX 0x70 /* bit 7 masks NMIs: clear */
#define PORT_DATA  0x71

/* Registers. The century has no fixed place, but this one on every PC that has it. */
enum cmos_register {
	SECOND = 0x00,
	MINUTE = 0x02,
	HOUR = 0x04,
	DAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	STATUS_A = 0x0a,
	STATUS_B = 0x0b,
	CENTURY = 0x32,
};

#define A_UPDATING      0x80
#define A_DIVIDER       0x70
#define A_DIVIDER_RUN   0x20
#define A_DIVIDER_RESET 0x70
#define B_STOPPED       0x80
#define B_BINARY        0x04
#define B_24_HOURS      0x02
#define HOUR_AFTERNOON  0x80

#define PIVOT         70 /* without a century, years from here on are of the twentieth */
#define CENTURY_FIRST 19
#define CENTURY_LAST  21 /* signed nanoseconds end in 2262 */

enum field { F_SECOND, F_MINUTE, F_HOUR, F_DAY, F_MONTH, F_YEAR, F_CENTURY, FIELDS };

static const uint8_t places[FIELDS] = {SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, CENTURY};

static void check(enum error error)
{
	if (error)
		fatal("CMOS ports: %s", error_text(error));
}

static uint8_t in(cptr_t ports, unsigned place)
{
	uint32_t value = 0;
	check(io_ports_out(ports, PORT_INDEX, 1, place));
	check(io_ports_in(ports, PORT_DATA, 1, &value));
	return (uint8_t)value;
}

static void out(cptr_t ports, unsigned place, uint8_t value)
{
	check(io_ports_out(ports, PORT_INDEX, 1, place));
	check(io_ports_out(ports, PORT_DATA, 1, value));
}

/* A register's value by the clock's format; -1: no digits. */
static int decode(uint8_t status, uint8_t raw)
{
	if (status & B_BINARY)
		return raw;
	return (raw & 15) > 9 || raw >> 4 > 9 ? -1 : (raw >> 4) * 10 + (raw & 15);
}

static uint8_t encode(uint8_t status, int value)
{
	return (uint8_t)(status & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static int hour_decode(uint8_t status, uint8_t raw)
{
	if (status & B_24_HOURS)
		return decode(status, raw);
	int hour = decode(status, raw & (uint8_t)~HOUR_AFTERNOON);
	if (hour < 1 || hour > 12)
		return -1;
	return hour % 12 + (raw & HOUR_AFTERNOON ? 12 : 0);
}

static uint8_t hour_encode(uint8_t status, int hour)
{
	if (status & B_24_HOURS)
		return encode(status, hour);
	uint8_t raw = encode(status, hour % 12 ? hour % 12 : 12);
	return raw | (hour >= 12 ? HOUR_AFTERNOON : 0);
}

static bool is_century(int century)
{
	return century >= CENTURY_FIRST && century <= CENTURY_LAST;
}

static bool time_decode(uint8_t status, const uint8_t raw[FIELDS], uint64_t *seconds)
{
	int year = decode(status, raw[F_YEAR]), century = decode(status, raw[F_CENTURY]);
	if (!is_century(century))
		century = year >= PIVOT ? 19 : 20;
	struct tm asked = {.tm_sec = decode(status, raw[F_SECOND]),
	                   .tm_min = decode(status, raw[F_MINUTE]),
	                   .tm_hour = hour_decode(status, raw[F_HOUR]),
	                   .tm_mday = decode(status, raw[F_DAY]),
	                   .tm_mon = decode(status, raw[F_MONTH]) - 1,
	                   .tm_year = century * 100 + year - 1900};
	struct tm shown = asked;
	time_t time = year < 0 || year > 99 ? -1 : timegm(&shown);
	/* What is no date comes back as another one. */
	if (time < 0 || shown.tm_sec != asked.tm_sec || shown.tm_min != asked.tm_min ||
	    shown.tm_hour != asked.tm_hour || shown.tm_mday != asked.tm_mday || shown.tm_mon != asked.tm_mon)
		return false;
	*seconds = (uint64_t)time;
	return true;
}

static bool fields_read(cptr_t ports, uint8_t raw[FIELDS])
{
	for (unsigned i = 0; i < FIELDS; i++)
		raw[i] = in(ports, places[i]);
	return !(in(ports, STATUS_A) & A_UPDATING);
}

enum clock_status cmos_read(cptr_t ports, uint64_t *seconds)
{
	uint8_t raw[FIELDS], again[FIELDS];
	/* We may be interrupted for any time between two registers: twice the same is right. */
	if (!fields_read(ports, raw) || !fields_read(ports, again) || memcmp(raw, again, sizeof(raw)))
		return CLOCK_BUSY;
	if (time_decode(in(ports, STATUS_B), raw, seconds))
		return CLOCK_OK;
	log_warning("the CMOS clock shows no time: %02x%02x-%02x-%02x %02x:%02x:%02x, format %02x",
	            raw[F_CENTURY], raw[F_YEAR], raw[F_MONTH], raw[F_DAY], raw[F_HOUR], raw[F_MINUTE],
	            raw[F_SECOND], in(ports, STATUS_B));
	return CLOCK_NONSENSE;
}

enum clock_status cmos_write(cptr_t ports, uint64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm tm;
	if (seconds > INT64_MAX / 1000000000 || !gmtime_r(&time, &tm))
		return CLOCK_RANGE;
	int year = tm.tm_year + 1900;
	uint8_t a = in(ports, STATUS_A), b = in(ports, STATUS_B);
	bool has_century = is_century(decode(b, in(ports, CENTURY)));
	if (!(has_century ? is_century(year / 100) : year < 2000 + PIVOT))
		return CLOCK_RANGE;
	/* The divider starts anew when it is released: the next second is half a second away. */
	out(ports, STATUS_B, b | B_STOPPED);
	out(ports, STATUS_A, (a & (uint8_t) ~(A_DIVIDER | A_UPDATING)) | A_DIVIDER_RESET);
	out(ports, SECOND, encode(b, tm.tm_sec));
	out(ports, MINUTE, encode(b, tm.tm_min));
	out(ports, HOUR, hour_encode(b, tm.tm_hour));
	out(ports, DAY, encode(b, tm.tm_mday));
	out(ports, MONTH, encode(b, tm.tm_mon + 1));
	out(ports, YEAR, encode(b, year % 100));
	if (has_century)
		out(ports, CENTURY, encode(b, year / 100));
	cmos_resume(ports);
	return CLOCK_OK;
}

bool cmos_resume(cptr_t ports)
{
	uint8_t a = in(ports, STATUS_A), b = in(ports, STATUS_B);
	bool stopped = b & B_STOPPED || (a & A_DIVIDER) == A_DIVIDER_RESET;
	if (!stopped)
		return false;
	out(ports, STATUS_A, (a & (uint8_t) ~(A_DIVIDER | A_UPDATING)) | A_DIVIDER_RUN);
	out(ports, STATUS_B, b & (uint8_t)~B_STOPPED);
	return true;
}
