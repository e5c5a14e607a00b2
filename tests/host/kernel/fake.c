/* SPDX-License-Identifier: MIT */
/* The fake architecture: page tables of the usual shape, a clock that the test moves, a timer that it fires.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kernel/deadline.h>
#include <kernel/invariants.h>
#include <kernel/syscall.h>

#include "fake.h"
#include "world.h"

uint64_t fake_offset, fake_now;
unsigned fake_interrupt_every;
unsigned fake_interrupt_looks;
unsigned fake_cpu;
deadline_t fake_timers[CPU_MAX];
bool fake_ipi[CPU_MAX];
/* Whose registers are live in each CPU, as on a real one until somebody else's are. */
static struct thread *live[CPU_MAX];
char fake_log[4096];
jmp_buf fake_user;
bool fake_idle_forever;

/* The leak checker walks stacks that longjmp left; and nothing here is allocated. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* ---- the invariants: of every n-th operation (docs/invariants.md, kernel/core/invariants.c under another
 * name) ---- */
unsigned fake_check_every = 1;

void invariants_check(void)
{
	static unsigned operations;

	if (++operations >= fake_check_every) {
		operations = 0;
		invariants_check_all();
	}
}

/* ---- other CPUs, when the lock is released ---- */
void (*fake_after_invoke)(struct thread *thread);

unsigned fake_invoke(struct thread *thread); /* invoke(), for syscall.c */
unsigned fake_invoke(struct thread *thread)
{
	unsigned status = invoke(thread);

	if (fake_after_invoke)
		fake_after_invoke(thread);
	return status;
}

/* ---- CPU ---- */
struct cpu *arch_this_cpu(void)
{
	return cpu_at(fake_cpu);
}

uint64_t arch_time(void)
{
	return ++fake_now;
}

void (*fake_while_copying)(void);

void arch_copy_words(uint64_t *to, const uint64_t *from, uint64_t count)
{
	memcpy(to, from, count * sizeof(*to));
	if (fake_while_copying)
		fake_while_copying();
}

void arch_timer_set(deadline_t when)
{
	fake_timer = when;
}

void (*fake_meanwhile)(void);
bool arch_interrupt_pending(void)
{
	if (!fake_interrupt_every)
		return false;
	if (fake_meanwhile)
		fake_meanwhile();
	return ++fake_interrupt_looks % fake_interrupt_every == 0;
}

/* On the way to user mode the timer is set for the next thing that has to happen. */
static void timer_check(const struct cpu *cpu)
{
	const struct heap_node *first = cpu->deadlines.root;

	kernel_assert(!first ||
	              fake_timer <= (first->key > cpu->since ? first->key : cpu->since + EXPIRE_PAUSE));
	kernel_assert(!cpu->context || fake_timer <= cpu->since + cpu->context->left);
}

void arch_return_to_user(struct thread *thread)
{
	kernel_assert(thread->home == this_cpu() && thread->cpu == this_cpu());
	for (unsigned i = 0; i < CPU_MAX; i++)
		kernel_assert(i == fake_cpu || live[i] != thread);
	live[fake_cpu] = thread;
	timer_check(this_cpu());
	longjmp(fake_user, 1);
}

void arch_switch_native(struct thread *thread)
{
	/* Whose registers are live is left as it is: it must not have bases of its own. */
	kernel_assert(live[fake_cpu] && live[fake_cpu] != thread && !thread_is_foreign(live[fake_cpu]));
	arch_return_to_user(thread);
}

void arch_switch_to_handler(struct thread *thread)
{
	kernel_assert(live[fake_cpu] && thread_is_foreign(live[fake_cpu]) && !thread_is_foreign(thread));
	arch_return_to_user(thread);
}

void arch_idle(void)
{
	if (fake_timer == DEADLINE_NEVER || world_cpus > 1)
		longjmp(fake_user, 2);
	if (fake_timer > fake_now)
		fake_now = fake_timer;
	fake_timer = DEADLINE_NEVER;
	kernel_timer();
}

void arch_vspace_switch(struct arch_vspace *vspace)
{
	tlb_switch(vspace);
}

void arch_vspace_load(struct arch_cpu *cpu, const struct arch_vspace *vspace)
{
	(void)cpu;
	arch_vspace_switch((struct arch_vspace *)vspace);
}

/* ---- registers ---- */
void arch_context_init(struct arch_context *context)
{
	memset(context, 0, sizeof(*context));
}

void arch_context_read(const struct arch_context *c, struct thread_registers *out)
{
	*out = (struct thread_registers){.rip = c->rip,
	                                 .rsp = c->rsp,
	                                 .rflags = c->rflags,
	                                 .fs_base = c->fs_base,
	                                 .gs_base = c->gs_base,
	                                 .rax = c->rax,
	                                 .rbx = c->rbx,
	                                 .rcx = c->rcx,
	                                 .rdx = c->rdx,
	                                 .rsi = c->rsi,
	                                 .rdi = c->rdi,
	                                 .rbp = c->rbp,
	                                 .r8 = c->r8,
	                                 .r9 = c->r9,
	                                 .r10 = c->r10,
	                                 .r11 = c->r11,
	                                 .r12 = c->r12,
	                                 .r13 = c->r13,
	                                 .r14 = c->r14,
	                                 .r15 = c->r15};
}

bool arch_context_write(struct arch_context *c, const struct thread_registers *in)
{
	if (in->rip >= USER_END)
		return false;
	*c = (struct arch_context){.rip = in->rip,
	                           .rsp = in->rsp,
	                           .rflags = in->rflags,
	                           .fs_base = in->fs_base,
	                           .gs_base = in->gs_base,
	                           .rax = in->rax,
	                           .rbx = in->rbx,
	                           .rcx = in->rcx,
	                           .rdx = in->rdx,
	                           .rsi = in->rsi,
	                           .rdi = in->rdi,
	                           .rbp = in->rbp,
	                           .r8 = in->r8,
	                           .r9 = in->r9,
	                           .r10 = in->r10,
	                           .r11 = in->r11,
	                           .r12 = in->r12,
	                           .r13 = in->r13,
	                           .r14 = in->r14,
	                           .r15 = in->r15};
	return true;
}

bool arch_exception_is_trap(uint64_t vector)
{
	return vector == 3;
}

void arch_context_set_tls(struct arch_context *context, uint64_t base)
{
	context->fs_base = base;
}

size_t arch_vector_read(struct thread *thread, void *out, size_t size)
{
	if (!thread->vector.used || size < ARCH_VECTOR_BYTES)
		return 0;
	memcpy(out, thread->vector.area, ARCH_VECTOR_BYTES);
	return ARCH_VECTOR_BYTES;
}

bool arch_vector_write(struct thread *thread, const void *in, size_t size)
{
	if (size && size != ARCH_VECTOR_BYTES)
		return false;
	memcpy(thread->vector.area, in, size);
	thread->vector.used = size != 0;
	return true;
}

void arch_breakpoints_read(const struct thread *thread, uint64_t *out)
{
	memcpy(out, thread->vector.debug, sizeof(thread->vector.debug));
}

enum error arch_breakpoints_write(struct thread *thread, const uint64_t *in)
{
	if (in[ARCH_DEBUG_WORDS - 1] > UINT32_MAX)
		return ERR_ARGUMENT;
	for (unsigned i = 0; i < ARCH_DEBUG_WORDS - 1; i++)
		if (in[i] >= USER_END)
			return ERR_RANGE;
	arch_context_detach(thread);
	memcpy(thread->vector.debug, in, sizeof(thread->vector.debug));
	return ERR_NONE;
}

void arch_vector_drop(struct thread *thread)
{
	arch_context_detach(thread);
}

/* ---- page tables ---- */
#define P_PRESENT 1ul
#define P_WRITE   2ul
#define P_LARGE   128ul
#define P_NX      (1ul << 63)
#define P_ADDRESS 0x000ffffffffff000ul

static unsigned index_of(uint64_t address, unsigned level)
{
	return address >> (PAGE_BITS + 9 * level) & 511;
}

void arch_vspace_init(struct arch_vspace *vspace, void *root)
{
	vspace->root = virt_to_phys(root);
}

pte_t *arch_pte_find(struct arch_vspace *vspace, uint64_t address, unsigned level, unsigned *missing)
{
	pte_t *table = phys_to_virt(vspace->root);

	for (unsigned l = ARCH_ROOT_LEVEL; l > level; l--) {
		pte_t entry = table[index_of(address, l)];

		if (!(entry & P_PRESENT) || entry & P_LARGE) {
			*missing = entry & P_PRESENT ? l : l - 1;
			return NULL;
		}
		table = phys_to_virt(entry & P_ADDRESS);
	}
	return &table[index_of(address, level)];
}

void arch_table_link(struct arch_vspace *vspace, uint64_t address, unsigned level, void *table)
{
	unsigned missing;
	pte_t *entry = arch_pte_find(vspace, address, level + 1, &missing);

	for (unsigned i = 0; i < 512; i++)
		kernel_assert(((uint64_t *)table)[i] == 0);
	kernel_assert(entry && !(*entry & P_PRESENT));
	tlb_table_linked(virt_to_phys(table));
	*entry = virt_to_phys(table) | P_PRESENT | P_WRITE;
}

pte_t arch_pte_make(uint64_t physical, unsigned rights, unsigned level, unsigned type)
{
	if (!(rights & 7))
		return 0;
	return physical | P_PRESENT | (rights & RIGHT_WRITE ? P_WRITE : 0) |
	       (rights & RIGHT_EXECUTE ? 0 : P_NX) | (level ? P_LARGE : 0) |
	       (type & MAP_UNCACHED          ? 24
	        : type & MAP_WRITE_COMBINING ? 8
	                                     : 0);
}

bool arch_pte_present(pte_t pte)
{
	return pte & P_PRESENT;
}

bool arch_pte_is_leaf(pte_t pte, unsigned level)
{
	return pte & P_PRESENT && (!level || pte & P_LARGE);
}

uint64_t arch_pte_physical(pte_t pte)
{
	return pte & P_ADDRESS;
}

unsigned arch_pte_rights(pte_t pte)
{
	if (!(pte & P_PRESENT))
		return 0;
	return RIGHT_READ | (pte & P_WRITE ? RIGHT_WRITE : 0) | (pte & P_NX ? 0 : RIGHT_EXECUTE);
}

unsigned arch_pte_effective(unsigned rights)
{
	return arch_pte_rights(arch_pte_make(0, rights, 0, 0));
}

pte_t *arch_leaf_find(struct arch_vspace *vspace, uint64_t address)
{
	unsigned missing;

	return arch_pte_find(vspace, address, 0, &missing);
}

unsigned arch_pte_harvest(pte_t *pte)
{
	unsigned bits = (*pte & PTE_ACCESSED ? 1 : 0) | (*pte & PTE_DIRTY ? 2 : 0);

	*pte &= ~(PTE_ACCESSED | PTE_DIRTY);
	return bits;
}

/* ---- interrupts, ports ---- */
bool fake_irq_masked[ARCH_IRQ_COUNT];

bool arch_irq_route_line(unsigned irq, unsigned gsi, unsigned flags)
{
	(void)irq;
	(void)flags;
	return gsi < 24;
}

void arch_irq_message(unsigned irq, uint64_t *address, uint64_t *data)
{
	*address = 0xfee00000;
	*data = 32 + irq;
}

void arch_irq_mask(unsigned irq)
{
	fake_irq_masked[irq] = true;
}

void arch_irq_unmask(unsigned irq)
{
	fake_irq_masked[irq] = false;
}

uint32_t arch_port_in(uint16_t port, unsigned width)
{
	return port << 8 | width;
}

void arch_port_out(uint16_t port, unsigned width, uint32_t value)
{
	(void)port;
	(void)width;
	(void)value;
}

void arch_port_in_string(uint16_t port, uint8_t *out, size_t count)
{
	memset(out, port & 0xff, count);
}

void arch_port_out_string(uint16_t port, const uint8_t *in, size_t count)
{
	(void)port;
	(void)in;
	(void)count;
}

void arch_memory_clear(void *memory, size_t size)
{
	memset(memory, 0, size);
}

/* ---- debug ---- */
void arch_debug_write(const char *text, size_t length)
{
	size_t have = strlen(fake_log);

	if (have + length + 1 > sizeof(fake_log))
		have = 0;
	memcpy(fake_log + have, text, length);
	fake_log[have + length] = 0;
}

unsigned fake_debug_slow;
bool arch_debug_ready(void)
{
	static unsigned looks;

	return !fake_debug_slow || ++looks % fake_debug_slow == 0;
}

void arch_backtrace(void)
{
}

void arch_cpus_start(void)
{
}

void arch_ipi(unsigned cpu)
{
	fake_ipi[cpu] = true;
}

/* Nobody else acts while one CPU does. */
void arch_pause(void)
{
	panic("a CPU waits for another one");
}

void arch_context_detach(struct thread *thread)
{
	if (live[fake_cpu] == thread)
		live[fake_cpu] = NULL;
}

void fake_reset(void)
{
	fake_cpu = 0;
	memset(live, 0, sizeof(live));
	memset(fake_ipi, 0, sizeof(fake_ipi));
	for (unsigned i = 0; i < CPU_MAX; i++)
		fake_timers[i] = DEADLINE_NEVER;
	tlb_reset();
}

void arch_panic_begin(void)
{
}

void arch_halt(void)
{
	if (fake_expect_panic)
		longjmp(fake_user, 3);
	fprintf(stderr, "%s", fake_log);
	abort();
}
bool fake_expect_panic;
