/* SPDX-License-Identifier: MIT */
/* A CPU's own tables and settings: stacks, segments, task state, the IDT, control registers, system call
 * MSRs. */
#include "local.h"

#include <kernel/cpu.h>

#define KERNEL_STACK_SIZE (16 * 1024)

/* Stacks that the CPU switches to whatever it interrupts. */
enum { IST_DOUBLE_FAULT = 1, IST_NMI, IST_MACHINE_CHECK, IST_DEBUG, IST_END };

/* Each stack lies above a guard page that paging_init() leaves unmapped. */
struct cpu_stacks {
	uint8_t guard[PAGE_SIZE];
	uint8_t kernel[KERNEL_STACK_SIZE];
	struct {
		uint8_t guard[PAGE_SIZE];
		uint8_t stack[PAGE_SIZE];
	} ist[IST_END - 1];
};
/* boot.S starts on the first kernel stack. */
extern struct cpu_stacks cpu_stacks[CPU_MAX];
struct cpu_stacks cpu_stacks[CPU_MAX] __attribute__((aligned(PAGE_SIZE), section(".bss.stacks")));
_Static_assert(offsetof(struct cpu_stacks, ist) == STACK_BOOT_TOP, "boot.S");
_Static_assert(sizeof(struct cpu_stacks) == STACKS_SIZE, "boot.S");

#define VENDOR_INTEL 0x6c65746e /* the last four letters of GenuineIntel */
#define VENDOR_AMD   0x444d4163 /* of AuthenticAMD */
#define VENDOR_HYGON 0x656e6975 /* of HygonGenuine */
#define VENDOR_TCG   0x47435447 /* of TCGTCGTCGTCG */

struct cpu_features cpu_features;

struct idt_gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};
static struct idt_gate idt[256] __attribute__((aligned(PAGE_SIZE)));

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

void cpu_detect(void)
{
	struct cpuid vendor = cpuid(0, 0);
	uint32_t top = vendor.a;
	struct cpuid basic = cpuid(1, 0);
	struct cpuid extended = cpuid(0x80000001, 0);
	struct cpuid structured = top >= 7 ? cpuid(7, 0) : (struct cpuid){0};
	struct cpu_features *f = &cpu_features;

	f->xsave = basic.c >> 26 & 1;
	f->avx = f->xsave && (basic.c >> 28 & 1);
	f->xsaveopt = f->xsave && top >= 13 && (cpuid(13, 1).a & 1);
	f->x2apic = basic.c >> 21 & 1;
	f->tsc_deadline = basic.c >> 24 & 1;
	f->rdrand = basic.c >> 30 & 1;
	f->fsgsbase = structured.b & 1;
	f->smep = structured.b >> 7 & 1;
	f->smap = structured.b >> 20 & 1;
	f->umip = structured.c >> 2 & 1;
	f->tsc_adjust = structured.b >> 1 & 1;
	f->large_1g = extended.d >> 26 & 1;
	f->rdtscp = extended.d >> 27 & 1;
	f->tcg = (basic.c >> 31 & 1) && cpuid(0x40000000, 0).d == VENDOR_TCG;
	f->pcid = (basic.c >> 17 & 1) && (structured.b >> 10 & 1);
	/* Others load them always, and so do newer ones of these. The emulator, which calls itself AMD's, has
	 * none. */
	f->x87_pointers_stay = !f->tcg && (vendor.c == VENDOR_AMD || vendor.c == VENDOR_HYGON) &&
	                       !(cpuid(0x80000000, 0).a >= 0x80000008 && (cpuid(0x80000008, 0).b >> 2 & 1));
	/* Intel's do, unless they say that they do not. */
	f->meltdown =
	        vendor.c == VENDOR_INTEL && !((structured.d >> 29 & 1) && (msr_read(MSR_CAPABILITIES) & 1));
}

/* All descriptors are marked as accessed: the CPU never writes here. */
static void cpu_init_segments(struct arch_cpu *cpu, const struct arch_tss *state)
{
	uint64_t *gdt = cpu->entry.gdt, tss = (uint64_t)state;
	struct table_pointer gdtr = {sizeof(cpu->entry.gdt) - 1, (uint64_t)gdt};

	gdt[SELECTOR_KERNEL_CODE / 8] = 0x00209b0000000000;
	gdt[SELECTOR_KERNEL_DATA / 8] = 0x0000930000000000;
	/* 4: a 32-bit user code segment would stand here; there is none, so user mode stays in 64-bit mode */
	gdt[SELECTOR_USER_DATA / 8] = 0x0000f30000000000;
	gdt[SELECTOR_USER_CODE / 8] = 0x0020fb0000000000;
	gdt[SELECTOR_TSS / 8] =
	        (sizeof(*state) - 1) | (tss & 0xffffff) << 16 | 0x89ul << 40 | (tss >> 24 & 0xff) << 56;
	gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	/* A reset leaves a local table of 64 KiB at address 0: in user memory, where a gate into ring 0 could
	 * stand. */
	__asm__ volatile("lldt %w0" : : "r"(0));
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
}

/* entry_fatal finds its CPU in the word above the stack. */
static uint64_t ist_stack(uint8_t *stack, struct arch_cpu *cpu)
{
	uint64_t *top = (uint64_t *)(stack + PAGE_SIZE - 16);

	*top = (uint64_t)cpu;
	return (uint64_t)top;
}

static void cpu_init_stacks(struct arch_cpu *cpu)
{
	struct cpu_stacks *stacks = &cpu_stacks[cpu->index];

	/* Functions are entered by jmp with this as rsp: as if a call had pushed its return address. */
	cpu->stack_top = (uint64_t)stacks->kernel + KERNEL_STACK_SIZE - 8;
	cpu->tss.rsp[0] = cpu->stack_top - 8;
	for (unsigned i = 0; i < IST_END - 1; i++)
		cpu->tss.ist[i] = ist_stack(stacks->ist[i].stack, cpu);
	cpu->tss.io_map = sizeof(cpu->tss);
	cpu->entry.tss = cpu->tss;
	cpu->entry.tss.rsp[0] = (uint64_t)(cpu->entry.stack + sizeof(cpu->entry.stack) / 8);
	cpu->entry.frame = cpu->entry.tss.rsp[0] - 40;
}

static void idt_init(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t stub = (uint64_t)entry_vectors + i * 16;
		/* User mode may only raise int3 itself: any other int, 0x80 too, is a general protection
		 * fault. */
		uint8_t user = i == 3 ? 0x60 : 0;

		idt[i] = (struct idt_gate){
		        .offset_low = (uint16_t)stub,
		        .offset_middle = (uint16_t)(stub >> 16),
		        .offset_high = (uint32_t)(stub >> 32),
		        .selector = SELECTOR_KERNEL_CODE,
		        .type = 0x8e | user, /* interrupt gate: interrupts off */
		};
	}
	idt[8].ist = IST_DOUBLE_FAULT;
	idt[2].ist = IST_NMI;
	idt[18].ist = IST_MACHINE_CHECK;
	idt[1].ist = cpu_features.tcg ? 0 : IST_DEBUG; /* entry_debug */
}

static void cpu_init_idt(void)
{
	struct table_pointer idtr = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(idtr));
}

static void cpu_init_control(void)
{
	const struct cpu_features *f = &cpu_features;
	uint64_t cr0 = cr0_read(), cr4 = cr4_read();

	cr0 &= ~(CR0_EM | CR0_NW | CR0_CD);
	cr0_write(cr0 | CR0_MP | CR0_NE | CR0_WP | CR0_TS);
	cr4 |= CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	cr4 |= (f->fsgsbase ? CR4_FSGSBASE : 0) | (f->smep ? CR4_SMEP : 0) | (f->smap ? CR4_SMAP : 0) |
	       (f->umip ? CR4_UMIP : 0) | (f->xsave ? CR4_OSXSAVE : 0);
	cr4_write(cr4);
	msr_write(MSR_PAT, PAT_TYPES);
}

static void cpu_init_system_call(const char *entry)
{
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SCE | EFER_NXE);
	msr_write(MSR_STAR, (uint64_t)SELECTOR_USER_BASE << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
	msr_write(MSR_LSTAR, (uint64_t)entry);
	msr_write(MSR_CSTAR, (uint64_t)entry); /* unreachable: there is no 32-bit code segment */
	msr_write(MSR_FMASK, 0x47700);         /* AC, NT, IOPL, DF, IF, TF */
	msr_write(MSR_SYSENTER_CS, 0);         /* sysenter faults */
	msr_write(MSR_FS_BASE, 0);
	msr_write(MSR_KERNEL_GS_BASE, 0);
}

static uint64_t random_canary(void)
{
	uint64_t value = tsc_read() * 0x9e3779b97f4a7c15ul;

	if (cpu_features.rdrand) {
		uint64_t random = 0;

		__asm__ volatile("rdrand %0" : "+r"(random) : : "cc");
		value ^= random;
	}
	/* A zero byte in it stops string overruns. */
	return value & ~0xfful;
}

/* GS base is set, the early map is in use. The canary changes: neither this nor its callers may check one. */
__attribute__((no_stack_protector)) void arch_cpu_init(unsigned index)
{
	struct arch_cpu *cpu = cpu_local();

	cpu->index = index;
	cpu->stack_canary = random_canary();
	cpu->current = &context_nobody;
	cpu->timer_deadline = DEADLINE_NEVER;
	cpu->cr3 = cpu->entry.kernel_root = cr3_read();
	if (index == 0)
		idt_init();
	cpu_init_stacks(cpu);
	cpu_init_entry();
	cpu_init_idt();
	cpu_init_control();
	if (cpu_features.rdtscp)
		msr_write(MSR_TSC_AUX, index);
}

void cpu_init_entry(void)
{
	struct arch_cpu *cpu = cpu_local();

	cpu_init_segments(cpu, kpti ? &cpu->entry.tss : &cpu->tss);
	cpu_init_system_call(kpti ? entry_syscall_kpti : entry_syscall);
}

uint64_t entry_page(unsigned i)
{
	unsigned cpu = i / IST_END, ist = i % IST_END;

	if (cpu >= CPU_MAX)
		return i == CPU_MAX * IST_END ? (uint64_t)idt : 0;
	return ist ? (uint64_t)cpu_stacks[cpu].ist[ist - 1].stack : (uint64_t)&cpu_at(cpu)->arch.entry;
}

uint64_t stack_guard(unsigned i)
{
	unsigned cpu = i / IST_END, ist = i % IST_END;

	if (cpu >= CPU_MAX)
		return 0;
	return (uint64_t)(ist ? cpu_stacks[cpu].ist[ist - 1].guard : cpu_stacks[cpu].guard);
}

/* The stack that an address lies on: [*low, *high). */
bool stack_contains(uint64_t address, uint64_t *low, uint64_t *high)
{
	for (unsigned i = 0; (*low = stack_guard(i)) != 0; i++) {
		*low += PAGE_SIZE;
		*high = *low + (i % IST_END ? PAGE_SIZE : KERNEL_STACK_SIZE);
		if (address >= *low && address < *high)
			return true;
	}
	return false;
}
