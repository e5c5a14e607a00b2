/* SPDX-License-Identifier: MIT */
/*
 * The contract between the portable kernel (core/) and an architecture (arch/ISA/). Nothing else crosses:
 * core/ includes this header and <arch/types.h>; arch/ calls back only the functions under "provided by
 * core".
 *
 * The kernel runs with interrupts off, on one stack a CPU, and never touches a user address: user data
 * reaches it in registers or through Memories that it reads in the direct map (phys_to_virt).
 */
#pragma once

#include <abi/types.h>
#include <abi/message.h>
#include <abi/boot.h>
#include <abi/error.h>
/* <arch/types.h> defines:
 * - struct arch_context: the user registers of a thread, saved on kernel entry; first in struct thread
 * - struct arch_vector: FPU and AVX state, in struct thread
 * - struct arch_cpu: the per-CPU part, first in struct cpu (reached by GS base on x86_64)
 * - struct arch_vspace: the root table's physical address (the VSpace object's first page)
 * - KERNEL_OFFSET: phys_to_virt(p) == (void *)(p + KERNEL_OFFSET) for all RAM
 */
#include <arch/types.h>

struct thread;
struct cpu;

/* ---- memory ---- */
static inline void *phys_to_virt(uint64_t physical)
{
	return (void *)(physical + KERNEL_OFFSET);
}

static inline uint64_t virt_to_phys(const void *address)
{
	return (uint64_t)address - KERNEL_OFFSET;
}

/* Zero memory in the direct map, aligned to 8 bytes. Cheap for pages that are zero already. */
void arch_memory_clear(void *memory, size_t size);
void arch_copy_words(uint64_t *to, const uint64_t *from, uint64_t count);

/* ---- this CPU ---- */
struct cpu *arch_this_cpu(void);
/* Nanoseconds since boot. Monotonic. */
uint64_t arch_time(void);
/* One-shot: interrupt at or soon after this time; DEADLINE_NEVER disarms. */
void arch_timer_set(deadline_t when);
/* True if an interrupt is waiting to be taken: long operations poll it at their preemption points. */
bool arch_interrupt_pending(void);

/* ---- other CPUs ---- */
/* Let the CPUs that boot_data counts enter kernel_main_other(). */
void arch_cpus_start(void);
/* In a loop that waits for another CPU. */
void arch_pause(void);
/* Raise the mail interrupt there: kernel_mail(). */
void arch_ipi(unsigned cpu);
/* This CPU panics: stop the others. Returns on one CPU only, even if several panic. */
void arch_panic_begin(void);

/* ---- leaving the kernel ---- */
/* Return to user mode in this thread (its context, vector state, TLS; its VSpace is already current). */
_Noreturn void arch_return_to_user(struct thread *thread);
/*
 * The same from a native thread, which has made a system call, to another thread, which waits in one. What a
 * native thread did to its TLS base itself may be lost.
 */
_Noreturn void arch_switch_native(struct thread *thread);
/*
 * The same from a foreign thread, whose call or fault it is, to the native one that waits for it. The caller's
 * vector registers may stay in the CPU until it goes on or somebody else runs: the handler cannot touch them
 * there, and has all power over the caller anyway.
 */
_Noreturn void arch_switch_to_handler(struct thread *thread);
/* Halt until an interrupt arrives and handle it; interrupts are off again on return. */
void arch_idle(void);
/* Make a VSpace current; NULL: the kernel's own. Writes CR3 only if it changes. */
void arch_vspace_switch(struct arch_vspace *vspace);
/* May that CPU still walk these page tables? (Also asked about other CPUs, without waiting for them.) */
bool arch_vspace_in_use(const struct cpu *cpu, const struct arch_vspace *vspace);

/* The same for one that is not the current one, nor NULL, where this CPU is at hand. */
void arch_vspace_load(struct arch_cpu *cpu, const struct arch_vspace *vspace);

/* ---- a thread's registers ---- */
void arch_context_init(struct arch_context *context);
void arch_context_read(const struct arch_context *context, struct thread_registers *out);
/* false: an address is not canonical or not a user address; nothing changed. Flags are sanitised. */
bool arch_context_write(struct arch_context *context, const struct thread_registers *in);
/* Of the exceptions that a thread can cause: it does not come again when the thread goes on as it is. */
bool arch_exception_is_trap(uint64_t vector);
void arch_context_set_tls(struct arch_context *context, uint64_t base);
/* Its registers, vector registers apart, are no longer live in this CPU, and complete in the thread. */
void arch_context_detach(struct thread *thread);
/*
 * System call registers of the ABI (<abi/syscall.h>), as names on every architecture. Inline in
 * <arch/types.h>: uint64_t *context_status(c)   rax: number in, status out      uint64_t *context_cap(c) rdi
 *   uint64_t *context_info(c)     rsi                             uint64_t *context_word(c, i)   i in 0..5
 *   uint64_t *context_reply(c)    r14                             uint64_t *context_deadline(c)  r15
 * and for foreign system calls (Linux's convention on this ISA):
 *   uint64_t foreign_number(c), uint64_t foreign_argument(c, i) (i in 0..5), void foreign_set_result(c,
 * value), uint64_t context_ip(c), uint64_t context_sp(c) A thread that is interrupted in an operation that
 * will be restarted has its ip moved back: context_restart(c); its argument registers, the call number
 * included, must still be (or be again) what the restarted call needs.
 */

/* Vector state: saved and restored eagerly, but only for threads that have any (vector.used); a new one has
 * none. */
size_t arch_vector_read(struct thread *thread, void *out, size_t size); /* bytes written, 0: none */
/* size 0: it has none any more. False: malformed. */
bool arch_vector_write(struct thread *thread, const void *in, size_t size);
/* The thread is being destroyed: the CPU must not keep its vector state and breakpoints live. */
void arch_vector_drop(struct thread *thread);
/* Breakpoints: ARCH_DEBUG_WORDS words, THREAD_READ_DEBUG and THREAD_WRITE_DEBUG. */
void arch_breakpoints_read(const struct thread *thread, uint64_t *out);
/* ERR_ARGUMENT, ERR_RANGE, ERR_ALIGNMENT: nothing changed. */
enum error arch_breakpoints_write(struct thread *thread, const uint64_t *in);

/* ---- page tables ---- */
/* A page table page is one PAGE_SIZE page. Levels: 0 holds 4 KiB leaves, 1 holds 2 MiB leaves, up to
 * ARCH_ROOT_LEVEL. */
/* root: the VSpace's root page, cleared; fills in the kernel's half. */
void arch_vspace_init(struct arch_vspace *vspace, void *root);
typedef uint64_t pte_t;
/* The entry for address in the table of `level` (the entries behind it in the same table page translate the
 * addresses behind it), or NULL if a table is missing: then *missing is the level of the table to be supplied
 * next. A large leaf in the way counts as missing at its own level - use arch_pte_is_leaf on the entry at
 * that level. */
pte_t *arch_pte_find(struct arch_vspace *vspace, uint64_t address, unsigned level, unsigned *missing);
/* The same for level 0, without asking what is missing. */
pte_t *arch_leaf_find(struct arch_vspace *vspace, uint64_t address);
/* Link a cleared table page at `level` for address; the levels above must be there. */
void arch_table_link(struct arch_vspace *vspace, uint64_t address, unsigned level, void *table);
/* type: 0, MAP_UNCACHED or MAP_WRITE_COMBINING */
pte_t arch_pte_make(uint64_t physical, unsigned rights, unsigned level, unsigned type);
bool arch_pte_present(pte_t pte);
bool arch_pte_is_leaf(pte_t pte, unsigned level);
uint64_t arch_pte_physical(pte_t pte);
unsigned arch_pte_rights(pte_t pte);
/* arch_pte_rights() of a leaf that was made with these rights: never less. */
unsigned arch_pte_effective(unsigned rights);
/* Returns 1 accessed | 2 dirty and clears them in *pte. */
unsigned arch_pte_harvest(pte_t *pte);
/* Forget translations of [address, address + size) in the current VSpace; a large size may flush all. */
void arch_tlb_flush(struct arch_vspace *vspace, uint64_t address, uint64_t size);

/* ---- the IOMMU ---- */
/* Its tables have the CPU's entries and levels: arch_pte_*() serve them too. */
struct arch_io {
	uint64_t end;        /* of the addresses that it translates; 0: there is none that can be used */
	unsigned root_level; /* of the table that it begins with */
	bool large;          /* it knows 2 MiB pages */
};
extern struct arch_io arch_io;
/* root: a cleared page, the table of arch_io.root_level; top: the first word of another page. */
void arch_io_space_init(struct arch_vspace *space, void *root, pte_t *top);
/* A page that was cleared is going to be a table: let the IOMMU see it. */
void arch_io_page(void *page);
/* This requester (0 .. IO_REQUESTERS - 1) is translated by these tables from now on. *domain: how to call
 * them. ERR_OCCUPIED, ERR_STATE, ERR_LIMIT: see IO_SPACE_ATTACH. */
enum error arch_io_attach(unsigned requester, void *root, unsigned *domain);
/* It reaches nothing any more. The domain is gone. */
void arch_io_detach(unsigned requester, unsigned domain);
/* Tables were changed by this CPU: let the IOMMU see it and forget what it knew. Domain 0: attached to
 * nothing. */
void arch_io_flush(unsigned domain);
/* Log what the IOMMU recorded. */
void arch_io_report(void);
/* Since it was attached; at most IO_SPACE_FAULTS. */
unsigned arch_io_faults(unsigned requester);

/* ---- interrupts and ports ---- */
#define ARCH_IRQ_COUNT 192 /* Irq objects are a static table, one a vector */
/* Route a GSI to vector slot irq (masked). false: no such line. */
bool arch_irq_route_line(unsigned irq, unsigned gsi, unsigned flags);
void arch_irq_message(unsigned irq, uint64_t *address, uint64_t *data);
void arch_irq_mask(unsigned irq);
void arch_irq_unmask(unsigned irq);
uint32_t arch_port_in(uint16_t port, unsigned width);
void arch_port_out(uint16_t port, unsigned width, uint32_t value);
void arch_port_in_string(uint16_t port, uint8_t *out, size_t count);
void arch_port_out_string(uint16_t port, const uint8_t *in, size_t count);

/* ---- debug ---- */
void arch_debug_write(const char *text, size_t length);
/* A byte can be written without waiting. */
bool arch_debug_ready(void);
_Noreturn void arch_halt(void);
/* Print registers and a backtrace from the caller on the debug UART. */
void arch_backtrace(void);

/* ---- what the boot code found, handed to core's kernel_main ---- */
struct memory_range {
	uint64_t start, end; /* bytes; end exclusive */
};
#define BOOT_RANGES 64
struct boot_data {
	struct memory_range ram[BOOT_RANGES]; /* sorted, disjoint, page-aligned; without kernel and module */
	unsigned ram_count;
	struct memory_range not_device[BOOT_RANGES]; /* all RAM, and registers of the kernel's own devices */
	unsigned not_device_count;
	uint64_t ram_bytes;
	struct memory_range module; /* the boot image, page-aligned; start == end: none was given */
	uint64_t acpi_rsdp;
	uint64_t tsc_hz, tsc_at_boot;
	uint64_t xsave_bytes;
	unsigned cpu_count; /* that came up: indices 0 to cpu_count - 1 */
	char command_line[BOOT_COMMAND_LINE];
};

/* ---- provided by core, called by arch with interrupts off on the CPU's stack ---- */
/* The static storage of this CPU's structure (address arithmetic only: called before anything is
 * initialised). */
struct cpu *cpu_at(unsigned index);
/* After arch initialisation; the direct map covers all RAM. */
_Noreturn void kernel_main(const struct boot_data *boot);
/* Another CPU, let go by arch_cpus_start(). */
_Noreturn void kernel_main_other(void);
/* A VSpace is loaded, or none, and the TLB has tags: its tag, or 0. *stale: see <kernel/tags.h>. */
unsigned tlb_tag(bool *stale);
/* The mail interrupt: something was left for this CPU. */
void kernel_mail(void);
/* The thread's context is saved in it. Each ends by leaving the kernel through schedule_and_return(). */
_Noreturn void kernel_syscall(struct thread *thread);         /* of a native thread */
_Noreturn void kernel_foreign_syscall(struct thread *thread); /* of a foreign one */
_Noreturn void kernel_page_fault(struct thread *thread, uint64_t address,
                                 unsigned access /* enum fault_access */);
_Noreturn void kernel_exception(struct thread *thread, unsigned vector, uint64_t code);
/* An Irq's interrupt (already acknowledged at the controller and masked if level-triggered). */
void kernel_irq(unsigned irq);
/* The one-shot timer fired. */
void kernel_timer(void);
/* The IOMMU recorded a fault. */
void kernel_io_fault(void);
/* After kernel_irq, kernel_timer or kernel_mail when user mode (thread) was interrupted. */
_Noreturn void kernel_interrupt_done(struct thread *thread);
_Noreturn void schedule_and_return(void);

/* kernel/core/log.c */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kernel_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Without waiting for the line. */
void kernel_log_later(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Sends a byte of what is kept if the line takes it. True: something is left. */
bool kernel_log_send(void);
#define kernel_assert(condition) ((condition) ? (void)0 : panic("%s:%d: %s", __FILE__, __LINE__, #condition))
