/* SPDX-License-Identifier: MIT */
/* From the kernel's boot information to the start-up information that the runtime wants; init's heap; its log
 * goes to the debug line. */
#pragma GCC optimize("no-stack-protector")

#include <string.h>

#include "init.h"
#include "../../lib/pith/runtime.h"

#define HEAP_SIZE (512 * 1024)

const struct boot_info *boot_information;
static struct startup own_startup;
static uint8_t heap[HEAP_SIZE] __attribute__((aligned(PAGE_SIZE)));

const struct startup *runtime_boot(const void *information, cptr_t *cspace, cptr_t *thread)
{
	const struct boot_info *boot = information;
	boot_information = boot;
	own_startup = (struct startup){
	        .magic = STARTUP_MAGIC,
	        .name = "init",
	        .ipc_buffer = boot->ipc_buffer,
	        .heap = (uint64_t)heap,
	        .heap_size = HEAP_SIZE,
	        .tsc_hz = boot->tsc_hz,
	        .tsc_at_boot = boot->tsc_at_boot,
	        .first_free_slot = (cptr_t)boot->first_free_slot,
	        .slot_count = 1 << INIT_CNODE_BITS,
	        .ram_bytes = boot->ram_bytes,
	        .xsave_bytes = boot->xsave_bytes,
	        .cpu_count = (unsigned)boot->cpu_count,
	};
	*cspace = INIT_SLOT_CNODE;
	*thread = INIT_SLOT_THREAD;
	return &own_startup;
}

void log_output(const char *text, size_t length)
{
	/* One system call for most lines: prefix and text together. */
	char line[600] = "init: ";
	size_t prefix = 6;
	if (length > sizeof(line) - prefix)
		length = sizeof(line) - prefix;
	memcpy(line + prefix, text, length);
	debug_write(line, prefix + length);
}

bool boot_option(const char *key, char *out, size_t size)
{
	const char *at = boot_information->command_line;
	size_t key_length = strlen(key);
	while (*at) {
		at += strspn(at, " ");
		size_t length = strcspn(at, " ");
		if (length > key_length && at[key_length] == '=' && strncmp(at, key, key_length) == 0) {
			size_t value = length - key_length - 1;
			if (value >= size)
				return false;
			memcpy(out, at + key_length + 1, value);
			out[value] = 0;
			return true;
		}
		at += length;
	}
	return false;
}
