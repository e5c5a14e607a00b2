/* SPDX-License-Identifier: MIT */
/* Physical memory as naturally aligned powers of two, sorted by address: what the first component gets as
 * Untypeds. */
#include <kernel/boot.h>

#define PHYSICAL_END (1ul << 46)

static void add_piece(struct boot_info *info, uint64_t address, unsigned bits, bool device)
{
	struct boot_untyped *untyped = &info->untypeds[info->untyped_count];

	if (info->untyped_count == BOOT_INFO_UNTYPEDS) {
		kernel_log("boot: more pieces of memory than fit: %#lx (2^%u bytes) is lost\n", address,
		           bits);
		return;
	}
	*untyped = (struct boot_untyped){.address = address, .size_bits = (uint8_t)bits, .device = device};
	info->untyped_count++;
}

/* At most two pieces of each size. */
static void add_range(struct boot_info *info, uint64_t start, uint64_t end, bool device)
{
	start = (start + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	end &= ~(PAGE_SIZE - 1);
	while (start < end) {
		unsigned bits = start ? (unsigned)__builtin_ctzl(start) : 45;

		while (1ul << bits > end - start)
			bits--;
		add_piece(info, start, bits, device);
		start += 1ul << bits;
	}
}

void boot_untypeds_list(struct boot_info *info, const struct memory_range *free, unsigned free_count,
                        const struct memory_range *all, unsigned all_count)
{
	uint64_t device_from = 0;
	unsigned next = 0;

	info->untyped_count = 0;
	for (unsigned i = 0; i < all_count; i++) {
		add_range(info, device_from, all[i].start, true);
		for (; next < free_count && free[next].start < all[i].end; next++)
			add_range(info, free[next].start, free[next].end, false);
		device_from = all[i].end;
	}
	add_range(info, device_from, PHYSICAL_END, true);
}
