/* SPDX-License-Identifier: MIT */
/*
 * Part of a kernel that only tests build (kernel-probe): at the end of its boot it does what `probe=NAME` on
 * its command line says, something that the machine must not let it do. It says so if it could nevertheless.
 * `breakpoint` boots on, and meets one wherever user mode makes a system call.
 */
#include "local.h"
#include "probe.h"

#define USER_PAGE 0x400000ul

static uint8_t instructions[16] __attribute__((aligned(16))) = {0xc3}; /* ret */
static pte_t tables[3][512] __attribute__((aligned(PAGE_SIZE)));
static uint8_t user_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE))) = {0xc3};
static void (*other_probe)(void);
static unsigned together;

static uint64_t image_physical(const volatile void *address)
{
	return (uint64_t)address - KERNEL_IMAGE;
}

static void read_at(uint64_t address)
{
	(void)*(volatile uint8_t *)address;
}

static void write_at(uint64_t address)
{
	*(volatile uint8_t *)address = 0xc3;
}

static void execute_at(uint64_t address)
{
	((void (*)(void))address)();
}

/* ---- the kernel's own memory ---- */
static void text_write(void)
{
	write_at((uint64_t)text_start);
}

static void constant_write(void)
{
	write_at((uint64_t)rodata_start);
}

static void data_execute(void)
{
	execute_at((uint64_t)instructions);
}

static void stack_execute(void)
{
	volatile uint8_t code[16] = {0xc3};

	execute_at((uint64_t)code);
}

/* The direct map has no second, writable view of the kernel's image. */
static void alias_read(void)
{
	read_at(image_physical(text_start) + KERNEL_OFFSET);
}

static void direct_map_execute(void)
{
	execute_at((kernel_root & PTE_ADDRESS) + KERNEL_OFFSET);
}

static void null_read(void)
{
	read_at(0);
}

static void low_memory_read(void)
{
	read_at(0x100000); /* where the early map had the kernel */
}

/* ---- user memory ---- */
static void user_map(void)
{
	pte_t *root = phys_to_virt(kernel_root);
	const uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_USER;

	root[0] = image_physical(tables[0]) | flags;
	tables[0][0] = image_physical(tables[1]) | flags;
	tables[1][USER_PAGE >> LARGE_PAGE_BITS] = image_physical(tables[2]) | flags;
	tables[2][0] = image_physical(user_page) | flags;
	cr3_write(kernel_root); /* and the compiler writes the tables before what follows */
}

static void user_read(void)
{
	user_map();
	read_at(USER_PAGE);
}

static void user_write(void)
{
	user_map();
	write_at(USER_PAGE);
}

static void user_execute(void)
{
	user_map();
	execute_at(USER_PAGE);
}

/* ---- stacks ---- */
static __attribute__((noinline)) void stack_smash(void)
{
	volatile char buffer[16];
	volatile unsigned beyond = 64;

	for (unsigned i = 0; i < beyond; i++)
		((volatile char *)buffer)[i] = 'x';
}

static __attribute__((noinline)) unsigned deeper(unsigned depth)
{
	volatile unsigned here[64] = {depth};

	return depth ? deeper(depth - 1) + here[depth % 64] : 0;
}

static void stack_overflow(void)
{
	deeper(1000000);
}

/* ---- user mode's stack ---- */
/* As if user mode could delay a breakpoint of its own until here. */
static void breakpoint(void)
{
	__asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr7"
	                 :
	                 : "r"(kpti ? entry_syscall_kpti : entry_syscall), "r"(0x402ul));
}

/* ---- several CPUs ---- */
static void on_the_other(void (*run)(void))
{
	__atomic_store_n(&other_probe, run, __ATOMIC_RELEASE);
	arch_cpus_start();
	for (;;)
		cpu_pause();
}

static void other_stack_overflow(void)
{
	on_the_other(stack_overflow);
}

static void other_user_read(void)
{
	user_map();
	on_the_other(user_read);
}

/* All panic at the same time, and talk before. */
static void panic_together(void)
{
	__atomic_fetch_add(&together, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&together, __ATOMIC_ACQUIRE) < 4)
		cpu_pause();
	for (unsigned i = 0; i < 20; i++)
		kernel_log("probe: a line of some length that one of the CPUs writes, number %u\n", i);
	panic("all at once");
}

static void all_panic(void)
{
	__atomic_store_n(&other_probe, panic_together, __ATOMIC_RELEASE);
	arch_cpus_start();
	panic_together();
}

static const struct {
	const char *name;
	void (*run)(void);
} probes[] = {
        {"text-write", text_write},
        {"constant-write", constant_write},
        {"data-execute", data_execute},
        {"stack-execute", stack_execute},
        {"alias-read", alias_read},
        {"direct-map-execute", direct_map_execute},
        {"null-read", null_read},
        {"low-memory-read", low_memory_read},
        {"user-read", user_read},
        {"user-write", user_write},
        {"user-execute", user_execute},
        {"stack-smash", stack_smash},
        {"stack-overflow", stack_overflow},
        {"other-stack-overflow", other_stack_overflow},
        {"other-user-read", other_user_read},
        {"all-panic", all_panic},
        {"breakpoint", breakpoint},
};

static bool names(const char *command_line, const char *name)
{
	const char *key = "probe=";

	for (; *key; key++)
		if (*command_line++ != *key)
			return false;
	for (; *name; name++)
		if (*command_line++ != *name)
			return false;
	return *command_line == '\0' || *command_line == ' ';
}

void probe(const char *command_line)
{
	for (unsigned i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		if (names(command_line, probes[i].name)) {
			probes[i].run();
			if (probes[i].run == breakpoint)
				return;
			panic("probe: nothing stopped it");
		}
	panic("probe: there is none of this name");
}

void probe_other(void)
{
	void (*run)(void) = __atomic_load_n(&other_probe, __ATOMIC_ACQUIRE);

	/* All of them, or the second. */
	if (run && (run == panic_together || cpu_local()->index == 1)) {
		run();
		panic("probe: nothing stopped it");
	}
}
