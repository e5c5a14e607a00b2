/* SPDX-License-Identifier: MIT */
/*
 * What boot loaders tell, good and bad: range lists against a bitmap, both loaders' formats, and thousands of
 * damaged ones, each of which must end in a panic or in lists that keep their invariant (address sanitizer
 * watching).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "local.h"

#define BLOB_AT 0x2000ul

static uint8_t *blob;
static size_t blob_size;
static jmp_buf on_panic;
static char last_panic[256];
static struct memory_range memory[BOOT_RANGES], reserved[BOOT_RANGES];
static char line[BOOT_COMMAND_LINE];

/* ---- what the parsers call ---- */
const void *boot_bytes(uint64_t physical, uint64_t size)
{
	if (physical < BLOB_AT || physical - BLOB_AT > blob_size || size > blob_size - (physical - BLOB_AT))
		return NULL;
	return blob + (physical - BLOB_AT);
}

void boot_command_line(struct loader_info *info, const char *text, uint64_t limit)
{
	uint64_t room = blob_size - (uint64_t)((const uint8_t *)text - blob);

	/* On the machine the whole early map is there; here no more than the blob. */
	limit = limit < room ? limit : room;
	limit = limit < BOOT_COMMAND_LINE - 1 ? limit : BOOT_COMMAND_LINE - 1;
	snprintf(info->command_line, BOOT_COMMAND_LINE, "%.*s", (int)limit, text);
}

void panic(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(last_panic, sizeof(last_panic), format, list);
	va_end(list);
	longjmp(on_panic, 1);
}

void kernel_log(const char *format, ...)
{
	(void)format;
}

/* ---- range lists ---- */
static bool list_is_sound(const struct range_list *list)
{
	for (unsigned i = 0; i < list->count; i++) {
		if (list->ranges[i].start >= list->ranges[i].end)
			return false;
		if (i > 0 && list->ranges[i - 1].end >= list->ranges[i].start)
			return false;
	}
	return list->count <= BOOT_RANGES;
}

static void test_ranges_random(void)
{
	struct memory_range storage[BOOT_RANGES];

	for (unsigned round = 0; round < 2000; round++) {
		struct range_list list = {.ranges = storage};
		bool model[100] = {false};

		for (unsigned step = 0; step < 40; step++) {
			unsigned a = (unsigned)rand() % 100, b = (unsigned)rand() % 101;
			bool add = rand() % 2;

			if (add)
				range_add(&list, a, b);
			else
				range_remove(&list, a, b);
			for (unsigned i = a; i < b; i++)
				model[i] = add;
		}
		bool same = list_is_sound(&list) && !list.overflow;

		for (unsigned i = 0; i < 100; i++)
			same = same && model[i] == range_contains(&list, i, i + 1);
		CHECK(same);
	}
}

static void test_ranges_overflow(void)
{
	struct memory_range storage[BOOT_RANGES];
	struct range_list list = {.ranges = storage};

	for (unsigned i = 0; i < BOOT_RANGES + 5; i++)
		range_add(&list, i * 10, i * 10 + 5);
	CHECK(list.count == BOOT_RANGES && list.overflow && list_is_sound(&list));
	list.overflow = false;
	range_remove(&list, 2, 3); /* would split one */
	CHECK(list.overflow && list_is_sound(&list) && !range_contains(&list, 2, 3));
}

static void test_ranges_take(void)
{
	struct memory_range storage[BOOT_RANGES];
	struct range_list list = {.ranges = storage};

	range_add(&list, 0x1000, 0x3000);
	range_add(&list, 0x10000, 0x20000);
	CHECK(range_take(&list, 0x4000, 0, UINT64_MAX) == 0x10000);
	CHECK(range_take(&list, 0x1000, 0x2000, UINT64_MAX) == 0x2000);
	CHECK(range_take(&list, 0x1000, 0x5000, 0x14800) == 0);
	CHECK(range_take(&list, 0x100000, 0, UINT64_MAX) == 0);
	CHECK(list.count == 2 && list.ranges[1].start == 0x14000 && list.ranges[0].end == 0x2000);
}

/* ---- loaders ---- */
static struct loader_info parsed;

/* true: no panic */
static bool parse(void (*parser)(uint64_t, struct loader_info *))
{
	memset(&parsed, 0, sizeof(parsed));
	parsed.memory.ranges = memory;
	parsed.reserved.ranges = reserved;
	parsed.command_line = line;
	line[0] = '\0';
	if (setjmp(on_panic))
		return false;
	parser(BLOB_AT, &parsed);
	return true;
}

static void put(size_t at, uint64_t value, unsigned size)
{
	memcpy(blob + at, &value, size);
}

static void blob_new(size_t size)
{
	free(blob);
	blob = calloc(1, size);
	blob_size = size;
}

/* start information at 0, one module at 64, three memory ranges at 128, the command line at 256 */
static void pvh_make(void)
{
	static const uint64_t map[3][3] = {{0, 0x9f000, 1}, {0xf0000, 0x10000, 2}, {0x100000, 0x7f00000, 1}};

	blob_new(320);
	put(0, 0x336ec578, 4);
	put(4, 1, 4);
	put(12, 1, 4);
	put(16, BLOB_AT + 64, 8);
	put(24, BLOB_AT + 256, 8);
	put(32, 0xf5000, 8);
	put(40, BLOB_AT + 128, 8);
	put(48, 3, 4);
	put(64, 0x400000, 8);
	put(72, 0x12345, 8);
	for (unsigned i = 0; i < 3; i++) {
		put(128 + i * 24, map[i][0], 8);
		put(136 + i * 24, map[i][1], 8);
		put(144 + i * 24, map[i][2], 4);
	}
	memcpy(blob + 256, "mode=run", 9);
}

static void test_pvh(void)
{
	pvh_make();
	CHECK(parse(boot_pvh_parse));
	CHECK(parsed.memory.count == 2 && parsed.reserved.count == 1);
	CHECK(memory[1].start == 0x100000 && memory[1].end == 0x8000000);
	CHECK(parsed.module_start == 0x400000 && parsed.module_end == 0x412345 && parsed.rsdp == 0xf5000);
	CHECK(strcmp(line, "mode=run") == 0);
	put(12, 0, 4);
	CHECK(parse(boot_pvh_parse) && parsed.module_start == parsed.module_end);
	put(12, 2, 4);
	CHECK(!parse(boot_pvh_parse) && strstr(last_panic, "2 modules"));
	pvh_make();
	put(72, UINT64_MAX - 5, 8);
	CHECK(!parse(boot_pvh_parse) && strstr(last_panic, "bad module"));
	pvh_make();
	put(136, UINT64_MAX, 8);
	put(128, 1, 8);
	CHECK(!parse(boot_pvh_parse) && strstr(last_panic, "memory map entry 0"));
	pvh_make();
	put(48, 100, 4);
	CHECK(!parse(boot_pvh_parse) && strstr(last_panic, "bad memory map"));
	put(48, 0, 4);
	CHECK(!parse(boot_pvh_parse) && strstr(last_panic, "no memory map"));
	put(0, 0, 4);
	CHECK(!parse(boot_pvh_parse) && strstr(last_panic, "no PVH"));
}

static size_t mb2_tag(size_t at, unsigned type, size_t size)
{
	put(at, type, 4);
	put(at + 4, size, 4);
	return (at + size + 7) & ~7ul;
}

static void multiboot_make(void)
{
	size_t at = 8;

	blob_new(256);
	memcpy(blob + at + 8, "console=x", 10);
	at = mb2_tag(at, 1, 18);
	put(at + 8, 0x400000, 4);
	put(at + 12, 0x412345, 4);
	memcpy(blob + at + 16, "boot.img", 9);
	at = mb2_tag(at, 3, 25);
	put(at + 8, 24, 4);
	put(at + 16, 0x100000, 8);
	put(at + 24, 0x7f00000, 8);
	put(at + 32, 1, 4);
	put(at + 40, 0xf0000, 8);
	put(at + 48, 0x10000, 8);
	put(at + 56, 2, 4);
	at = mb2_tag(at, 6, 64);
	memcpy(blob + at + 8, "RSD PTR old", 12);
	at = mb2_tag(at, 14, 28);
	memcpy(blob + at + 8, "RSD PTR new", 12);
	at = mb2_tag(at, 15, 44);
	at = mb2_tag(at, 0, 8);
	put(0, at, 4);
}

static void test_multiboot(void)
{
	multiboot_make();
	CHECK(parse(boot_multiboot_parse));
	CHECK(parsed.memory.count == 1 && parsed.reserved.count == 1 && memory[0].end == 0x8000000);
	CHECK(parsed.module_start == 0x400000 && parsed.module_end == 0x412345);
	CHECK(strcmp(line, "console=x") == 0);
	CHECK(parsed.rsdp_copy_size == 36 && memcmp(parsed.rsdp_copy, "RSD PTR new", 11) == 0);
	put(0, 4096, 4);
	CHECK(!parse(boot_multiboot_parse));
	multiboot_make();
	put(12, 4, 4); /* a tag smaller than its head */
	CHECK(!parse(boot_multiboot_parse) && strstr(last_panic, "offset 8"));
	put(12, 0x10000, 4);
	CHECK(!parse(boot_multiboot_parse));
	put(0, 8, 4); /* no end tag */
	CHECK(!parse(boot_multiboot_parse));
}

/* ---- ACPI: which CPUs there are ---- */
#define MADT_HEAD 44

static size_t madt_end;

static void madt_begin(void)
{
	blob_size = 4096;
	blob = realloc(blob, blob_size);
	memset(blob, 0, blob_size);
	acpi = (struct acpi_info){0};
	madt_end = 0x200 + MADT_HEAD;
}

static void madt_local_apic(uint8_t id, bool enabled)
{
	const uint8_t entry[8] = {0, 8, id, id, enabled};

	memcpy(blob + madt_end, entry, 8);
	madt_end += 8;
}

static void madt_x2apic(uint32_t id, bool enabled)
{
	const uint8_t entry[16] = {
	        9,      16, 0, 0, (uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16), (uint8_t)(id >> 24),
	        enabled};

	memcpy(blob + madt_end, entry, 16);
	madt_end += 16;
}

/* The byte at `at` makes these sum to zero. */
static void sum(size_t from, size_t size, size_t at)
{
	uint8_t total = 0;

	for (size_t i = 0; i < size; i++)
		total = (uint8_t)(total + blob[from + i]);
	blob[at] = (uint8_t)(blob[at] - total);
}

static void madt_parse_all(void)
{
	memcpy(blob + 0x200, "APIC", 4);
	put(0x204, (uint32_t)(madt_end - 0x200), 4);
	sum(0x200, madt_end - 0x200, 0x209);
	memcpy(blob + 0x100, "RSDT", 4);
	put(0x104, 40, 4);
	put(0x124, BLOB_AT + 0x200, 4);
	sum(0x100, 40, 0x109);
	memcpy(blob, "RSD PTR ", 8);
	put(16, BLOB_AT + 0x100, 4);
	sum(0, 20, 8);
	acpi_parse(blob, 36);
}

static void test_cpus(void)
{
	madt_begin();
	for (uint8_t i = 0; i < 4; i++)
		madt_local_apic((uint8_t)(2 * i), i != 2);
	madt_parse_all();
	CHECK(acpi.cpu_count == 3 && acpi.cpus[0] == 0 && acpi.cpus[1] == 2 && acpi.cpus[2] == 6);
	CHECK(acpi.cpus_ignored == 0);

	/* Both kinds, one CPU in both, one that only x2APIC reaches. */
	madt_begin();
	madt_local_apic(1, true);
	madt_x2apic(1, true);
	madt_x2apic(0x12345, true);
	madt_x2apic(7, false);
	madt_parse_all();
	CHECK(acpi.cpu_count == 2 && acpi.cpus[0] == 1 && acpi.cpus[1] == 0x12345);

	madt_begin();
	for (uint8_t i = 0; i < CPU_MAX + 3; i++)
		madt_local_apic(i, true);
	madt_parse_all();
	CHECK(acpi.cpu_count == CPU_MAX && acpi.cpus_ignored == 3);

	/* An entry that is too short for its kind, and one that goes beyond the table. */
	madt_begin();
	madt_local_apic(0, true);
	memcpy(blob + madt_end, (uint8_t[]){9, 4, 0, 0}, 4);
	madt_end += 4;
	memcpy(blob + madt_end, (uint8_t[]){0, 8, 1, 1}, 4);
	madt_end += 4;
	madt_parse_all();
	CHECK(acpi.cpu_count == 1);

	/* Tables whose sum is wrong are as good as none. */
	madt_begin();
	madt_local_apic(5, true);
	blob[0x209] = 1;
	madt_parse_all();
	CHECK(acpi.cpu_count == 1);
	madt_begin();
	madt_local_apic(5, true);
	madt_parse_all();
	acpi = (struct acpi_info){0};
	blob[0x200 + MADT_HEAD + 3]++;
	acpi_parse(blob, 36);
	CHECK(acpi.cpu_count == 0 && acpi.local_apic == 0xfee00000 && acpi.io_apic_count == 1);
}

/* Whatever the tables say, it ends, and reads nothing beyond them. */
static void test_damaged_tables(void)
{
	for (unsigned round = 0; round < 5000; round++) {
		madt_begin();
		for (uint8_t i = 0; i < 6; i++)
			madt_local_apic(i, true);
		madt_x2apic(9, true);
		madt_parse_all();
		acpi = (struct acpi_info){0};
		for (int n = rand() % 6 + 1; n > 0; n--) {
			static const size_t areas[][2] = {{0, 36}, {0x100, 40}, {0x200, 120}};
			const size_t *area = areas[rand() % 3];

			blob[area[0] + (size_t)rand() % area[1]] = (uint8_t)rand();
		}
		/* Mostly believable ones. */
		blob[8] = blob[0x109] = blob[0x209] = 0;
		sum(0, 20, 8);
		sum(0x100, 40, 0x109);
		sum(0x200, madt_end - 0x200, 0x209);
		acpi_parse(blob, 36);
		CHECK(acpi.cpu_count <= CPU_MAX && acpi.io_apic_count >= 1 && acpi.io_apic_count <= 8);
	}
}

static void test_damaged(void (*make)(void), void (*parser)(uint64_t, struct loader_info *))
{
	unsigned refused = 0;

	for (unsigned round = 0; round < 20000; round++) {
		make();
		for (int n = rand() % 4 + 1; n > 0; n--)
			blob[(size_t)rand() % blob_size] = (uint8_t)(rand() % 4 ? rand() : 0xff);
		if (!parse(parser))
			refused++;
		else if (!list_is_sound(&parsed.memory) || !list_is_sound(&parsed.reserved))
			CHECK(!"a list is not sound");
	}
	CHECK(refused > 100 && refused < 20000);
}

int main(void)
{
	srand(1);
	test_ranges_random();
	test_ranges_overflow();
	test_ranges_take();
	test_pvh();
	test_multiboot();
	test_damaged(pvh_make, boot_pvh_parse);
	test_damaged(multiboot_make, boot_multiboot_parse);
	test_cpus();
	test_damaged_tables();
	free(blob);
	return checks_report();
}
