/* SPDX-License-Identifier: MIT */
/* What a multiboot2 loader (GRUB) tells: a list of tags. */
#include "local.h"

#define INFORMATION_MAX (1ul << 20)

enum {
	TAG_END = 0,
	TAG_COMMAND_LINE = 1,
	TAG_MODULE = 3,
	TAG_MEMORY_MAP = 6,
	TAG_RSDP_1 = 14,
	TAG_RSDP_2 = 15
};

#define MEMORY_AVAILABLE 1

struct mb2_information {
	uint32_t size, reserved;
};

struct mb2_tag {
	uint32_t type, size; /* size without padding to 8 bytes */
	uint8_t data[];
};

struct mb2_module {
	struct mb2_tag tag;
	uint32_t start, end;
};

struct mb2_memory_map {
	struct mb2_tag tag;
	uint32_t entry_size, entry_version;
};

struct mb2_memory {
	uint64_t address, size;
	uint32_t type, reserved;
} __attribute__((packed)); /* at multiples of entry_size, whatever that is */

static void parse_memory_map(const struct mb2_memory_map *map, struct loader_info *info)
{
	uint32_t offset = sizeof(*map);

	if (map->tag.size < sizeof(*map) || map->entry_size < sizeof(struct mb2_memory))
		panic("boot: bad multiboot2 memory map");
	for (; offset <= map->tag.size && map->tag.size - offset >= map->entry_size;
	     offset += map->entry_size) {
		const struct mb2_memory *m = (const void *)((const uint8_t *)map + offset);

		if (m->size > UINT64_MAX - m->address)
			panic("boot: bad memory map entry: %#lx, %#lx bytes", m->address, m->size);
		range_add(m->type == MEMORY_AVAILABLE ? &info->memory : &info->reserved, m->address,
		          m->address + m->size);
	}
}

static void parse_module(const struct mb2_module *module, struct loader_info *info)
{
	if (module->tag.size < sizeof(*module) || module->start > module->end)
		panic("boot: bad multiboot2 module");
	if (info->module_end != info->module_start)
		panic("boot: more than one module given, Pith takes one boot image");
	info->module_start = module->start;
	info->module_end = module->end;
}

static void parse_tag(const struct mb2_tag *tag, struct loader_info *info)
{
	unsigned size = tag->size - sizeof(*tag);

	switch (tag->type) {
	case TAG_COMMAND_LINE:
		boot_command_line(info, (const char *)tag->data, size);
		break;
	case TAG_MODULE:
		parse_module((const void *)tag, info);
		break;
	case TAG_MEMORY_MAP:
		parse_memory_map((const void *)tag, info);
		break;
	case TAG_RSDP_1:
	case TAG_RSDP_2:
		/* The second, of ACPI 2 and later, wins. */
		if (tag->type == TAG_RSDP_1 && info->rsdp_copy_size != 0)
			break;
		info->rsdp_copy_size = size < sizeof(info->rsdp_copy) ? size : sizeof(info->rsdp_copy);
		for (unsigned i = 0; i < info->rsdp_copy_size; i++)
			info->rsdp_copy[i] = tag->data[i];
		break;
	default:
		break;
	}
}

void boot_multiboot_parse(uint64_t physical, struct loader_info *info)
{
	const struct mb2_information *head = boot_bytes(physical, sizeof(*head));
	const uint8_t *bytes;
	uint32_t offset = sizeof(*head);

	if (!head || physical % 8 != 0 || head->size > INFORMATION_MAX || !boot_bytes(physical, head->size))
		panic("boot: bad multiboot2 information at %#lx", physical);
	bytes = (const uint8_t *)head;
	for (;;) {
		const struct mb2_tag *tag = (const void *)(bytes + offset);

		if (offset > head->size || head->size - offset < sizeof(*tag) || tag->size < sizeof(*tag) ||
		    tag->size > head->size - offset)
			panic("boot: bad multiboot2 tag at offset %u", offset);
		if (tag->type == TAG_END)
			break;
		parse_tag(tag, info);
		offset += (tag->size + 7) & ~7u;
	}
}
