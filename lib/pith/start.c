/* SPDX-License-Identifier: MIT */
/*
 * From the entry point to main(): reads the start-up information and builds the argument block that the C
 * library expects to find on a stack (argc, argv, environment, auxiliary vector). Runs before thread-local
 * storage exists.
 */
#pragma GCC optimize("no-stack-protector")

#include <elf.h>

#include <pith/counters.h>
#include <pith/slots.h>

#include "runtime.h"

struct runtime runtime;

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));
int main(int argc, char **argv, char **envp);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void));
_Noreturn void runtime_start(const void *information);
void _init(void);
void _fini(void);

/* crti.o and crtn.o, which usually define them, are not linked: constructors run from .init_array. */
void _init(void)
{
}

void _fini(void)
{
}

__attribute__((weak)) const struct startup *runtime_boot(const void *boot_info, cptr_t *cspace,
                                                         cptr_t *thread)
{
	(void)boot_info, (void)cspace, (void)thread;
	component_exit(125); /* not started by init */
}

static uint64_t random_word(uint64_t seed)
{
	uint64_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	seed ^= (high << 32 | low) * 0x9e3779b97f4a7c15ul;
	seed ^= seed >> 29;
	return seed * 0xbf58476d1ce4e5b9ul;
}

static void runtime_find_capabilities(void)
{
	const struct startup_entry *entry = startup_find("cspace", STARTUP_CAPABILITY, 0);
	runtime.cspace = entry ? entry->slot : CPTR_NULL;
	entry = startup_find("thread", STARTUP_CAPABILITY, 0);
	runtime.thread = entry ? entry->slot : CPTR_NULL;
	entry = startup_find("log", STARTUP_NOTIFICATION, 0);
	runtime.log_signal = entry ? entry->slot : CPTR_NULL;
}

_Noreturn void runtime_start(const void *information)
{
	/* Kept for the program's whole life: the C library holds pointers into both. */
	static uint64_t random[2];
	static struct {
		char *argv[2];
		char *environment[1];
		Elf64_auxv_t auxv[6];
	} block;

	if (*(const uint64_t *)information == STARTUP_MAGIC) {
		runtime.startup = information;
		runtime_find_capabilities();
	} else {
		runtime.startup = runtime_boot(information, &runtime.cspace, &runtime.thread);
	}
	const struct startup *start = runtime.startup;
	ipc_buffer_set((struct ipc_buffer *)start->ipc_buffer);
	if (start->counters)
		counters = (struct counters *)start->counters;
	if (start->tsc_hz)
		runtime.tsc_multiplier = (uint64_t)(((unsigned __int128)1000000000 << 32) / start->tsc_hz);
	heap_init(start->heap, start->heap_size);
	random[0] = random_word((uint64_t)&block);
	random[1] = random_word(random[0]);
	block.argv[0] = (char *)start->name;
	block.auxv[0] = (Elf64_auxv_t){AT_PAGESZ, {PAGE_SIZE}};
	block.auxv[1] = (Elf64_auxv_t){AT_PHDR, {(uint64_t)&__ehdr_start + __ehdr_start.e_phoff}};
	block.auxv[2] = (Elf64_auxv_t){AT_PHENT, {__ehdr_start.e_phentsize}};
	block.auxv[3] = (Elf64_auxv_t){AT_PHNUM, {__ehdr_start.e_phnum}};
	block.auxv[4] = (Elf64_auxv_t){AT_RANDOM, {(uint64_t)random}};
	__libc_start_main(main, 1, block.argv, _init, _fini, 0);
	component_exit(125);
}
