/* SPDX-License-Identifier: MIT */
/* What a PVH loader (QEMU -kernel) tells: Xen's struct hvm_start_info, version 1. */
#include "local.h"

#define PVH_MAGIC    0x336ec578
#define PVH_RAM      1
#define ENTRIES_MAX  1024
#define COMMAND_LINE 4096 /* longer ones are cut anyway */

struct pvh_start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line, rsdp;
	uint64_t memory_map;
	uint32_t memory_map_entries, reserved;
} __attribute__((packed));

struct pvh_module {
	uint64_t address, size, command_line, reserved;
} __attribute__((packed));

struct pvh_memory {
	uint64_t address, size;
	uint32_t type, reserved;
} __attribute__((packed));

static void parse_module(const struct pvh_start_info *start, struct loader_info *info)
{
	const struct pvh_module *module;

	if (start->module_count == 0)
		return;
	if (start->module_count > 1)
		panic("boot: %u modules given, Pith takes one boot image", start->module_count);
	module = boot_bytes(start->modules, sizeof(*module));
	if (!module)
		panic("boot: bad module list at %#lx", start->modules);
	if (module->size > UINT64_MAX - module->address)
		panic("boot: bad module at %#lx, %#lx bytes", module->address, module->size);
	info->module_start = module->address;
	info->module_end = module->address + module->size;
}

void boot_pvh_parse(uint64_t physical, struct loader_info *info)
{
	const struct pvh_start_info *start = boot_bytes(physical, sizeof(*start));
	const struct pvh_memory *map;

	if (!start || start->magic != PVH_MAGIC)
		panic("boot: no PVH start information at %#lx", physical);
	if (start->version < 1 || start->memory_map_entries == 0 || start->memory_map_entries > ENTRIES_MAX)
		panic("boot: the PVH loader gave no memory map (version %u, %u entries)", start->version,
		      start->memory_map_entries);
	map = boot_bytes(start->memory_map, start->memory_map_entries * sizeof(*map));
	if (!map)
		panic("boot: bad memory map at %#lx", start->memory_map);
	for (unsigned i = 0; i < start->memory_map_entries; i++) {
		if (map[i].size > UINT64_MAX - map[i].address)
			panic("boot: bad memory map entry %u: %#lx, %#lx bytes", i, map[i].address,
			      map[i].size);
		range_add(map[i].type == PVH_RAM ? &info->memory : &info->reserved, map[i].address,
		          map[i].address + map[i].size);
	}
	parse_module(start, info);
	info->rsdp = start->rsdp;
	if (start->command_line) {
		uint64_t limit = start->command_line < BOOT_MAP_END ? BOOT_MAP_END - start->command_line : 0;
		const char *text = boot_bytes(start->command_line, 1);

		if (text)
			boot_command_line(info, text, limit < COMMAND_LINE ? limit : COMMAND_LINE);
	}
}
