/* SPDX-License-Identifier: MIT */
/* Private to arch/x86_64: the instructions that C has no words for, and what its files offer each other. */
#pragma once

#include <kernel/arch.h>
#include <kernel/cpu.h>
#include <arch/offsets.h>

/* Every thread begins like this. */
struct arch_thread {
	struct arch_context context;
	struct arch_vector vector;
};

static inline struct arch_cpu *cpu_local(void)
{
	return (struct arch_cpu *)arch_this_cpu();
}

/* ---- instructions ---- */
static inline void port_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t port_in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint64_t msr_read(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* In every loop that waits for another CPU: the emulator then lets that one run. */
static inline void cpu_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* For a few instructions' work on a device that all CPUs share. Interrupts are off. */
static inline void spin_lock(uint32_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		cpu_pause();
}

static inline void spin_unlock(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

static inline uint64_t tsc_read(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* a * b / c, of which the caller knows that it fits (the division would fault). */
static inline uint64_t multiply_divide(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t quotient, high;

	__asm__("mulq %3\n\tdivq %4" : "=&a"(quotient), "=&d"(high) : "0"(a), "rm"(b), "rm"(c) : "cc");
	return quotient;
}

struct cpuid {
	uint32_t a, b, c, d;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
	return r;
}

#define CONTROL_REGISTER(name)                                                      \
	static inline uint64_t name##_read(void)                                    \
	{                                                                           \
		uint64_t value;                                                     \
                                                                                    \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(value) : : "memory"); \
		return value;                                                       \
	}                                                                           \
	static inline void name##_write(uint64_t value)                             \
	{                                                                           \
		__asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");     \
	}
CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
CONTROL_REGISTER(dr6)
#undef CONTROL_REGISTER

/* Written to CR3: keep what the TLB has of this PCID. */
#define CR3_KEEP (1ul << 63)

enum invpcid { INVPCID_ADDRESS, INVPCID_ALL_OF_ONE };

static inline void invpcid(enum invpcid what, uint64_t pcid, uint64_t address)
{
	const uint64_t descriptor[2] = {pcid, address};

	__asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"((uint64_t)what) : "memory");
}

#define CR0_MP (1ul << 1)
#define CR0_EM (1ul << 2)
#define CR0_TS (1ul << 3)
#define CR0_NE (1ul << 5)
#define CR0_WP (1ul << 16)
#define CR0_NW (1ul << 29)
#define CR0_CD (1ul << 30)

#define CR4_MCE        (1ul << 6)
#define CR4_PGE        (1ul << 7)
#define CR4_OSFXSR     (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_UMIP       (1ul << 11)
#define CR4_FSGSBASE   (1ul << 16)
#define CR4_PCIDE      (1ul << 17)
#define CR4_OSXSAVE    (1ul << 18)
#define CR4_SMEP       (1ul << 20)
#define CR4_SMAP       (1ul << 21)

#define MSR_APIC_BASE      0x1b
#define MSR_TSC_ADJUST     0x3b
#define MSR_CAPABILITIES   0x10a
#define MSR_SYSENTER_CS    0x174
#define MSR_PAT            0x277
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_X2APIC         0x800
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_FMASK          0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX        0xc0000103

/* Memory types by the bits PCD, PWT of an entry: write-back, write-combining (the reset value has
 * write-through here), uncached unless MTRRs say write-combining, uncached. */
#define PAT_TYPES 0x0007010600070106ul

#define EFER_SCE (1ul << 0)
#define EFER_NXE (1ul << 11)

/* ---- linker script ---- */
extern char image_start[], text_start[], text_end[], rodata_start[], rodata_end[], data_start[], image_end[];
extern char entry_start[], entry_end[];

/* ---- cpu.c: what this CPU can do, and its tables ---- */
struct cpu_features {
	bool fsgsbase, smep, smap, umip, xsave, xsaveopt, avx, x2apic, tsc_deadline, tsc_adjust, large_1g,
	        rdtscp, rdrand;
	bool pcid;              /* and INVPCID */
	bool x87_pointers_stay; /* vector.c */
	bool tcg;               /* no CPU but QEMU's emulator */
	bool meltdown;          /* user mode can find out what kernel pages hold: wants KPTI */
};
extern struct cpu_features cpu_features;
void cpu_detect(void);
void arch_cpu_init(unsigned index);
/* The way in: again when KPTI was chosen. */
void cpu_init_entry(void);
/* The pages of data that user mode's tables map under KPTI; 0 after the last. */
uint64_t entry_page(unsigned i);
/* The guard pages of all stacks, to be left unmapped; 0 after the last. */
uint64_t stack_guard(unsigned i);
bool stack_contains(uint64_t address, uint64_t *low, uint64_t *high);

/* ---- boot memory (boot_memory.c): lists of ranges ---- */
struct range_list {
	struct memory_range *ranges;
	unsigned count;
	bool overflow; /* something did not fit and was left out */
};
void range_add(struct range_list *list, uint64_t start, uint64_t end);
void range_remove(struct range_list *list, uint64_t start, uint64_t end);
bool range_contains(const struct range_list *list, uint64_t start, uint64_t end);
/* Take pages off a range below `limit`; 0 if there are none. */
uint64_t range_take(struct range_list *list, uint64_t size, uint64_t above, uint64_t limit);

/* ---- boot loaders (boot_pvh.c, boot_multiboot.c) ---- */
/* What a loader told, before it was judged. `memory` holds usable ranges, `reserved` all others. */
struct loader_info {
	struct range_list memory, reserved;
	uint64_t module_start, module_end; /* equal: none */
	uint64_t rsdp;                     /* physical address, or 0 */
	uint8_t rsdp_copy[36];             /* the loader's copy of it, when rsdp_copy_size is not 0 */
	unsigned rsdp_copy_size;
	char *command_line; /* BOOT_COMMAND_LINE bytes, terminated */
};
/* The early map covers physical addresses below this. */
#define BOOT_MAP_END (4ul << 30)
/* The bytes at a physical address in the early map, or NULL if they are not all there. */
const void *boot_bytes(uint64_t physical, uint64_t size);
void boot_command_line(struct loader_info *info, const char *text, uint64_t limit);
void boot_pvh_parse(uint64_t physical, struct loader_info *info);
void boot_multiboot_parse(uint64_t physical, struct loader_info *info);

/* ---- patch.c ---- */
/* Kernel page table isolation: user mode's tables map of the kernel only its ways in and out. */
extern bool kpti;
/* The command line can say kpti=on or off (else what the CPU needs), pcid=off; the log tells of other values.
 * Before paging_init(). */
void patch_text(const char *command_line);

/* ---- paging.c ---- */
/* How much memory paging_init() takes for these ranges. */
uint64_t paging_bytes(const struct range_list *ranges);
void paging_init(const struct range_list *ranges, uint64_t pool, uint64_t pool_size);
/* Map one page of device registers, for good. After paging_init(). */
void *paging_map_device(uint64_t physical);
/* Another CPU than the first: from the early map to the kernel's. */
void paging_cpu_init(void);
/* Where there are PCIDs, cpu_load_root() and arch_tlb_flush() are these. */
void pcid_load(uint64_t root);
void pcid_tlb_flush(struct arch_vspace *vspace, uint64_t address, uint64_t size);

/* ---- ACPI tables (acpi.c, dmar.c) ---- */
/* A number of `size` bytes, at any address. */
static inline uint64_t load(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

/* ---- dmar.c ---- */
#define DMAR_UNITS    16
#define DMAR_RESERVED 64
struct dmar_info {
	unsigned unit_count;
	uint64_t units[DMAR_UNITS]; /* physical addresses of their registers */
	unsigned reserved_count;
	struct dmar_reserved {
		uint8_t bus;    /* of the device, or of the first bridge on the way to it */
		uint8_t device; /* and function */
		bool direct;    /* no bridge on the way */
		bool bridge;    /* all devices behind it are meant */
	} reserved[DMAR_RESERVED];
};
void dmar_parse(struct dmar_info *dmar, const void *table, uint32_t size);
/* Firmware uses memory together with this device: it must go on reaching it. */
bool dmar_reserves(const struct dmar_info *dmar, unsigned requester);

/* ---- iommu.c ---- */
#define IOMMU_BUSES 32 /* on which devices can be attached to IoSpaces */
/* How much memory iommu_init() takes; 0: there is no IOMMU. After acpi_parse(). */
uint64_t iommu_bytes(void);
/* memory: page-aligned, or 0 if there was none. After apic_init() and time_init(). */
void iommu_init(uint64_t memory);
void iommu_interrupt(void);

/* ---- acpi.c ---- */
struct acpi_info {
	uint64_t local_apic;
	uint64_t hpet; /* physical address, or 0 */
	struct dmar_info dmar;
	/* Local APICs of the CPUs that may be started, the first that is running included. */
	unsigned cpu_count, cpus_ignored;
	uint32_t cpus[CPU_MAX];
	unsigned io_apic_count;
	struct acpi_io_apic {
		uint32_t address, gsi_base;
	} io_apics[8];
	/* Interrupt source overrides: an ISA interrupt arrives as this GSI, with these flags. */
	unsigned override_count;
	struct acpi_override {
		uint32_t gsi;
		uint16_t flags;
		uint8_t isa;
	} overrides[16];
};
extern struct acpi_info acpi;
/* While the early map is there. root: the root pointer (RSDP) or NULL. */
void acpi_parse(const void *root, unsigned size);
uint64_t acpi_find_rsdp(void);

/* ---- cpus.c ---- */
/* Copy the start-up code to a page below 1 MiB. While the early map is there. */
void cpus_prepare(uint64_t page);
/* Start all that there are, one by one; each is held until arch_cpus_start(). Returns how many run now. */
unsigned cpus_start(void);
/* This CPU got an NMI: true if that is because another one panics. */
bool cpus_stopping(void);

/* ---- apic.c, irq.c, time.c ---- */
#define NS_PER_SECOND 1000000000ul
/* Once, then on each CPU. */
void apic_init(void);
void apic_cpu_init(void);
void apic_eoi(void);
void apic_raise(unsigned vector);
enum apic_command { APIC_FIXED = 0, APIC_NMI = 4 << 8, APIC_INIT = 5 << 8, APIC_START = 6 << 8 };
/* The highest local APIC that can be sent to. */
uint32_t apic_id_max(void);
/* Interrupt another CPU. */
void apic_send(uint32_t id, unsigned command_and_vector);
/* Before and after time_init(), which takes long enough to measure the timer against the TSC. */
void apic_timer_start(void);
void apic_timer_init(void);
void apic_timer_cpu_init(void);
void apic_timer_interrupt(void);
void apic_error_interrupt(void);
void irq_init(void);
void irq_interrupt(unsigned irq);
extern uint32_t irq_words_used; /* bit n: some of the vectors 32 n .. 32 n + 31 are in use */
extern uint64_t time_tsc_hz, time_tsc_at_boot;
void time_init(void);
/* Of several readings the one that took least: the CPU or the emulator may pause in any of them. */
struct clock_sample {
	uint64_t tsc;
	uint32_t count;
} clock_sample(uint32_t (*read)(void));

/* ---- vector.c ---- */
extern uint32_t vector_bytes;
/* Once, then on each CPU. */
void vector_init(void);
void vector_cpu_init(void);
void vector_first_use(struct arch_thread *thread);
void vector_switch(struct arch_thread *next);

/* ---- breakpoints.c: of ARCH_DEBUG_WORDS words ---- */
enum error breakpoints_check(const uint64_t *words);
bool breakpoints_enabled(const uint64_t *words);
/* Into the CPU; NULL: none. */
void breakpoints_load(const uint64_t *words);
/* What DR6 says of the thread's own breakpoints and of single steps; before: an instruction is still to be
 * executed. */
uint64_t breakpoints_status(const uint64_t *words, uint64_t status, bool *before);

/* ---- context.c ---- */
/* arch_cpu.current when the last thread is gone or its registers are not in the CPU. */
extern struct arch_context context_nobody;
/* Make the context of the thread whose registers are live in the CPU complete, and forget that they are. */
void context_detach(struct arch_context *context);

/* ---- debug.c ---- */
void debug_init(void);
/* Let the others end their lines before they are stopped; for a while. */
void debug_claim(void);
/* Whoever held the debug UART is stopped. */
void debug_break(void);
/* What arch_backtrace() tells of is not its caller but what was interrupted by an exception. */
void backtrace_begin_at(const struct arch_context *frame);

/* ---- entry.S ---- */
/* boot.S: the start-up code of other CPUs. */
extern char boot_start[], boot_start_end[];
extern char entry_syscall[], entry_syscall_kpti[];
extern char entry_trap[], entry_trap_kpti[], leave[], leave_kpti[], switch_leave[], switch_leave_kpti[];
extern char load_root_pcid[], load_root_kpti[];
extern char entry_vectors[]; /* 256 stubs of 16 bytes */
extern int32_t switch_jump_target;
extern char switch_jump_end[], switch_bases_instructions[], switch_bases_msr[], switch_native_begin[],
        switch_to_handler_begin[];
