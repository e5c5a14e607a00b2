/* SPDX-License-Identifier: MIT */
/* Boot images that are not, and the list of physical memory. */
#include <string.h>

#include <kernel/boot.h>

#include "../check.h"
#include "units.h"

static struct boot_image good(void)
{
	return (struct boot_image){
	        .magic = BOOT_IMAGE_MAGIC,
	        .version = BOOT_IMAGE_VERSION,
	        .size = 4 * PAGE_SIZE,
	        .entry = 0x400010,
	        .segment_count = 2,
	        .segments = {{0x400000, PAGE_SIZE, 100, 100, RIGHT_READ | RIGHT_EXECUTE},
	                     {0x500000, 2 * PAGE_SIZE, PAGE_SIZE, 3 * PAGE_SIZE, RIGHT_READ | RIGHT_WRITE}},
	        .archive_offset = 3 * PAGE_SIZE,
	        .archive_size = PAGE_SIZE,
	};
}

#define SIZE (4 * PAGE_SIZE)
/* One field of a good image is changed: it must be refused. */
#define REFUSED(field, value)                                    \
	do {                                                     \
		struct boot_image changed = good();              \
		changed.field = (value);                         \
		CHECK(boot_image_check(&changed, SIZE) != NULL); \
	} while (0)

static void test_images(void)
{
	struct boot_image image = good();

	CHECK(boot_image_check(&image, SIZE) == NULL);
	CHECK(boot_image_check(&image, SIZE - 1) != NULL);
	CHECK(boot_image_check(&image, 10) != NULL);
	REFUSED(magic, 0);
	REFUSED(version, 2);
	REFUSED(size, 0);
	REFUSED(size, UINT64_MAX);
	REFUSED(segment_count, 0);
	REFUSED(segment_count, BOOT_SEGMENTS + 1);
	REFUSED(segment_count, UINT64_MAX);
	REFUSED(entry, 0x500000);
	REFUSED(entry, 0);
	REFUSED(archive_offset, 1);
	REFUSED(archive_offset, 5 * PAGE_SIZE);
	REFUSED(archive_size, UINT64_MAX);
	REFUSED(segments[0].address, 0x400001);
	REFUSED(segments[0].address, 0);
	REFUSED(segments[0].address, 0x502000); /* overlaps the other */
	REFUSED(segments[1].address, USER_END - PAGE_SIZE);
	REFUSED(segments[1].address, 0xffff800000000000ul);
	REFUSED(segments[1].address, BOOT_INFO_ADDRESS);
	REFUSED(segments[1].address, INIT_STACK_BOTTOM - PAGE_SIZE);
	REFUSED(segments[1].memory_size, UINT64_MAX);
	REFUSED(segments[1].memory_size, 0);
	REFUSED(segments[1].file_size, UINT64_MAX);
	REFUSED(segments[1].offset, 8 * PAGE_SIZE);
	REFUSED(segments[1].offset, 0ul - PAGE_SIZE);
	REFUSED(segments[1].rights, RIGHT_MANAGE);
}

static uint64_t listed_bytes(const struct boot_info *info, bool device)
{
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < info->untyped_count; i++)
		if (info->untypeds[i].device == device)
			bytes += 1ul << info->untypeds[i].size_bits;
	return bytes;
}

static void test_untypeds(void)
{
	static struct boot_info info;
	const struct memory_range all[] = {{0, 0x9f000}, {0x100000, 0x7fe0000}, {0x100000000, 0x1ff000000}};
	const struct memory_range free[] = {
	        {0x10000, 0x9f000}, {0x400000, 0x7000000}, {0x100000000, 0x1ff000000}};
	uint64_t expected = 0, covered = 0, last_end = 0;
	bool aligned = true, sorted = true;

	boot_untypeds_list(&info, free, 3, all, 3);
	for (unsigned i = 0; i < 3; i++) {
		expected += free[i].end - free[i].start;
		covered += all[i].end - all[i].start;
	}
	CHECK(listed_bytes(&info, false) == expected);
	CHECK(listed_bytes(&info, true) == (1ul << 46) - covered);
	for (uint64_t i = 0; i < info.untyped_count; i++) {
		const struct boot_untyped *untyped = &info.untypeds[i];

		aligned &= untyped->address % (1ul << untyped->size_bits) == 0;
		sorted &= untyped->address >= last_end;
		last_end = untyped->address + (1ul << untyped->size_bits);
	}
	CHECK(aligned && sorted && info.untyped_count < 150);
}

unsigned units_boot(unsigned *passed)
{
	test_images();
	test_untypeds();
	*passed += checks_passed;
	return checks_failed;
}
