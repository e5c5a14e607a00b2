/* SPDX-License-Identifier: MIT */
/* Is this a boot image that can be started? */
#include <kernel/boot.h>

static bool inside(uint64_t offset, uint64_t size, uint64_t whole)
{
	return offset <= whole && size <= whole - offset;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static const char *segment_check(const struct boot_segment *segment, const struct boot_image *image)
{
	uint64_t reserved = INIT_STACK_BOTTOM - PAGE_SIZE;

	if (segment->address % PAGE_SIZE || segment->offset % PAGE_SIZE)
		return "a segment is not page-aligned";
	if (segment->file_size > segment->memory_size || !segment->memory_size)
		return "a segment's sizes contradict each other";
	if (!inside(segment->offset, segment->file_size, image->size))
		return "a segment lies outside the image";
	if (segment->address < USER_BASE || !inside(segment->address, segment->memory_size, USER_END))
		return "a segment's address is not a user address";
	if (overlap(segment->address, segment->memory_size, reserved, INIT_IMAGE + image->size - reserved))
		return "a segment lies where the kernel puts boot information";
	if (segment->rights & ~(uint64_t)(RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE))
		return "a segment has unknown rights";
	return NULL;
}

static bool segments_overlap(const struct boot_image *image)
{
	for (uint64_t i = 0; i < image->segment_count; i++) {
		const struct boot_segment *a = &image->segments[i];
		uint64_t a_size = (a->memory_size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);

		for (uint64_t j = 0; j < i; j++) {
			const struct boot_segment *b = &image->segments[j];

			if (overlap(a->address, a_size, b->address,
			            (b->memory_size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)))
				return true;
		}
	}
	return false;
}

static bool entry_is_code(const struct boot_image *image)
{
	for (uint64_t i = 0; i < image->segment_count; i++) {
		const struct boot_segment *segment = &image->segments[i];

		if (image->entry >= segment->address &&
		    image->entry - segment->address < segment->memory_size)
			return segment->rights & RIGHT_EXECUTE;
	}
	return false;
}

const char *boot_image_check(const struct boot_image *image, uint64_t module_size)
{
	if (module_size < sizeof(*image))
		return "it is too small";
	if (image->magic != BOOT_IMAGE_MAGIC)
		return "it does not begin with the boot image's magic number";
	if (image->version != BOOT_IMAGE_VERSION)
		return "it is of another version than this kernel";
	if (image->size > module_size || image->size < sizeof(*image))
		return "it is shorter than it says";
	if (!image->segment_count || image->segment_count > BOOT_SEGMENTS)
		return "it has an impossible number of segments";
	if (image->archive_offset % PAGE_SIZE ||
	    !inside(image->archive_offset, image->archive_size, image->size))
		return "its archive lies outside";
	for (uint64_t i = 0; i < image->segment_count; i++) {
		const char *wrong = segment_check(&image->segments[i], image);

		if (wrong)
			return wrong;
	}
	if (segments_overlap(image))
		return "its segments overlap";
	return entry_is_code(image) ? NULL : "its entry point is in no executable segment";
}
