/* SPDX-License-Identifier: MIT */
/* The table of IOMMUs, good and bad: what is read from it, and that nothing is read beyond its end. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "local.h"

static unsigned complaints;

void kernel_log(const char *format, ...)
{
	(void)format;
	complaints++;
}

/* A table under construction. */
static uint8_t table[4096];
static uint32_t size;

static void begin(void)
{
	memset(table, 0, sizeof(table));
	size = 48;
}

static uint8_t *add(const void *bytes, uint32_t count)
{
	uint8_t *at = table + size;

	memcpy(at, bytes, count);
	size += count;
	return at;
}

static uint8_t *add_unit(uint16_t segment, uint64_t address)
{
	uint8_t entry[16] = {0, 0, 16, 0, 1, 0, (uint8_t)segment, (uint8_t)(segment >> 8)};

	memcpy(entry + 8, &address, 8);
	return add(entry, 16);
}

static uint8_t *add_reserved(uint16_t segment, const uint8_t *scopes, uint8_t count)
{
	uint8_t entry[24] = {1, 0, (uint8_t)(24 + count), 0, 0, 0, (uint8_t)segment, (uint8_t)(segment >> 8)};
	uint8_t *at = add(entry, 24);

	add(scopes, count);
	return at;
}

/* In memory of exactly its size, so that the sanitizer sees the first byte behind it. */
static struct dmar_info parse(void)
{
	struct dmar_info dmar = {0};
	uint8_t *copy = malloc(size);

	memcpy(copy, table, size);
	complaints = 0;
	dmar_parse(&dmar, copy, size);
	free(copy);
	return dmar;
}

static bool refused(void)
{
	struct dmar_info dmar = parse();

	return dmar.unit_count == 0 && complaints == 1;
}

static void test_good(void)
{
	static const uint8_t other[] = {2, 0, 8, 0, 0, 0, 0, 0};
	struct dmar_info dmar;

	begin();
	add_unit(0, 0xfed90000);
	add(other, sizeof(other)); /* an entry of a kind that says nothing to us */
	add_unit(1, 0xfed91000);   /* of another segment */
	add_unit(0, 0xfed92000);
	dmar = parse();
	CHECK(dmar.unit_count == 2 && dmar.units[0] == 0xfed90000 && dmar.units[1] == 0xfed92000);
	CHECK(complaints == 0 && !dmar_reserves(&dmar, 0));
	begin();
	dmar = parse();
	CHECK(dmar.unit_count == 0 && complaints == 0);
}

/* 00:1d.0 itself; 3.1 behind a bridge at 00:1c; all behind the bridge 00:02.0 of bus 5. */
static void test_reserved(void)
{
	static const uint8_t direct[] = {1, 8, 0, 0, 0, 0, 0x1d, 0};
	static const uint8_t behind[] = {1, 10, 0, 0, 0, 0, 0x1c, 0, 3, 1};
	static const uint8_t bridge[] = {2, 8, 0, 0, 0, 5, 2, 0};
	struct dmar_info dmar;

	begin();
	add_unit(0, 0xfed90000);
	add_reserved(0, direct, sizeof(direct));
	add_reserved(0, behind, sizeof(behind));
	add_reserved(1, bridge, sizeof(bridge)); /* of another segment */
	dmar = parse();
	CHECK(dmar.unit_count == 1 && complaints == 0);
	CHECK(dmar_reserves(&dmar, 0x1d << 3) && !dmar_reserves(&dmar, 0x1d << 3 | 1));
	CHECK(!dmar_reserves(&dmar, 0x100 | 0x1d << 3));
	CHECK(dmar_reserves(&dmar, 0x100 | 3 << 3 | 1) && dmar_reserves(&dmar, 0xff00 | 3 << 3 | 1));
	CHECK(!dmar_reserves(&dmar, 3 << 3 | 1) && !dmar_reserves(&dmar, 0x100 | 3 << 3));

	begin();
	add_unit(0, 0xfed90000);
	add_reserved(0, bridge, sizeof(bridge));
	dmar = parse();
	CHECK(dmar_reserves(&dmar, 0x500 | 2 << 3));
	CHECK(dmar_reserves(&dmar, 0x600) && !dmar_reserves(&dmar, 0x500));
}

static void test_bad_units(void)
{
	begin();
	add_unit(0, 0);
	CHECK(refused());
	begin();
	add_unit(0, 0xfed90008);
	CHECK(refused());
	begin();
	add_unit(0, 1ul << 46);
	CHECK(refused());
	begin();
	for (unsigned i = 0; i < DMAR_UNITS; i++)
		add_unit(0, 0xfed90000 + i * 0x1000);
	CHECK(parse().unit_count == DMAR_UNITS);
	add_unit(0, 0xfeda0000);
	CHECK(refused());
}

static void test_bad_lengths(void)
{
	static const uint8_t scope[] = {1, 8, 0, 0, 0, 0, 0x1d, 0};

	for (unsigned length = 0; length < 20; length++) {
		begin();
		add_unit(0, 0xfed90000);
		add_unit(0, 0xfed91000)[2] = (uint8_t)length;
		if (length != 16)
			CHECK(refused());
	}
	for (unsigned length = 0; length < 12; length++) {
		begin();
		add_unit(0, 0xfed90000);
		add_reserved(0, scope, sizeof(scope))[25] = (uint8_t)length;
		if (length != 8)
			CHECK(refused());
	}
	/* Cut off anywhere. */
	begin();
	add_unit(0, 0xfed90000);
	add_reserved(0, scope, sizeof(scope));
	for (uint32_t full = size--; size < full; size--) {
		if (size == 48 || size == 64)
			CHECK(parse().unit_count == (size == 64));
		else
			CHECK(refused());
		if (size == 0)
			break;
	}
}

static void test_bad_scopes(void)
{
	static const uint8_t device[] = {1, 8, 0, 0, 0, 0, 32, 0}, function[] = {1, 8, 0, 0, 0, 0, 0, 8};
	static const uint8_t good[] = {1, 8, 0, 0, 0, 0, 31, 7};

	begin();
	add_unit(0, 0xfed90000);
	add_reserved(0, device, sizeof(device));
	CHECK(refused());
	begin();
	add_unit(0, 0xfed90000);
	add_reserved(0, function, sizeof(function));
	CHECK(refused());
	begin();
	add_unit(0, 0xfed90000);
	for (unsigned i = 0; i < DMAR_RESERVED; i++)
		add_reserved(0, good, sizeof(good));
	CHECK(parse().reserved_count == DMAR_RESERVED);
	add_reserved(0, good, sizeof(good));
	CHECK(refused());
}

/* Whatever is in it: it is refused, or what was understood is within limits. */
static void test_random(void)
{
	for (unsigned round = 0; round < 100000; round++) {
		struct dmar_info dmar;
		bool sound = true;

		begin();
		for (unsigned i = 0; i < 4; i++) {
			uint8_t scope[] = {1, 8, 0, 0, 0, (uint8_t)rand(), (uint8_t)(rand() % 32), 0};

			if (rand() % 2)
				add_unit((uint16_t)(rand() % 2), (uint64_t)(rand() % 3) << 12);
			else
				add_reserved(0, scope, sizeof(scope));
		}
		for (unsigned i = 0; i < 3; i++)
			table[48 + (unsigned)rand() % (size - 48)] =
			        (uint8_t)(rand() % 3 ? rand() % 40 : rand());
		size -= (unsigned)rand() % 4;
		dmar = parse();
		for (unsigned i = 0; i < dmar.unit_count; i++)
			sound = sound && dmar.units[i] && dmar.units[i] % PAGE_SIZE == 0;
		sound = sound && dmar.unit_count <= DMAR_UNITS && dmar.reserved_count <= DMAR_RESERVED;
		dmar_reserves(&dmar, (unsigned)rand() & 0xffff);
		CHECK(sound);
	}
}

int main(void)
{
	test_good();
	test_reserved();
	test_bad_units();
	test_bad_lengths();
	test_bad_scopes();
	test_random();
	return checks_report();
}
