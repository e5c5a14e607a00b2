/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <kernel/delete.h>
#include <kernel/irq.h>
#include <kernel/lock.h>

#include "compare.h"
#include "fake.h"
#include "fake_io.h"
#include "world.h"

#define ARENA_PHYSICAL 0x100000ul
#define ARENA_BYTES    (64ul << 20)
#define ARENA_SMALL    (4ul << 20)
#define MODULE_BYTES   (3 * PAGE_SIZE)
#define PATIENCE       10000 /* how often each CPU takes its mail until there must be none left */

static char *arena;
static cptr_t next_slot;
static cptr_t pool;        /* the Untyped that make() cuts */
static cptr_t cutters[64]; /* by chunk size: the Untyped that is cut into such chunks */
struct call last;
unsigned world_statistics[256][2];
unsigned world_cpus = 1;
uint64_t world_bytes;
unsigned world_io_level;

static struct slot *init_cnode; /* where init's CNode was made, whatever became of it */

struct slot *init_slot_at(cptr_t cap)
{
	return init_cnode + cap;
}

static void give_up(const char *what, uint64_t status)
{
	fprintf(stderr, "%s: status %lu\n", what, status);
	abort();
}

static void make_image(char *module)
{
	struct boot_image *image = (struct boot_image *)module;

	*image = (struct boot_image){
	        .magic = BOOT_IMAGE_MAGIC,
	        .version = BOOT_IMAGE_VERSION,
	        .size = MODULE_BYTES,
	        .entry = 0x400000,
	        .segment_count = 1,
	        .segments = {{0x400000, PAGE_SIZE, PAGE_SIZE, 2 * PAGE_SIZE, RIGHT_READ | RIGHT_EXECUTE}},
	        .archive_offset = 2 * PAGE_SIZE,
	        .archive_size = 100,
	};
}

/* Everything that the kernel keeps outside objects. */
static void kernel_forget(void)
{
	memset(cpu_at(0), 0, CPU_MAX * sizeof(struct cpu));
	memset(&tree_lock, 0, sizeof(tree_lock));
	memset(&debug_lock, 0, sizeof(debug_lock));
	tree_begun = tree_done = tlb_generation = 0;
	fake_reset();
	memset(irqs, 0, ARCH_IRQ_COUNT * sizeof(struct irq));
	slot_forest.child = NULL;
	slot_dying.dying.next = slot_dying.dying.prev = &slot_dying;
	fake_io_reset(world_io_level);
	fake_interrupt_every = fake_interrupt_looks = 0;
	fake_now = 1;
	fake_log[0] = 0;
}

static void world_boot_with(uint64_t bytes)
{
	static struct boot_data boot;
	uint64_t end = ARENA_PHYSICAL + bytes;

	if (!arena)
		arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	world_bytes = bytes;
	/* Old memory is full of what must not be trusted. */
	memset(arena, 0xd5, bytes);
	fake_offset = (uint64_t)arena - ARENA_PHYSICAL;
	kernel_forget();
	memset(&boot, 0, sizeof(boot));
	boot.not_device[0] = (struct memory_range){ARENA_PHYSICAL, end};
	boot.not_device_count = 1;
	boot.ram[0] = (struct memory_range){ARENA_PHYSICAL, end - MODULE_BYTES};
	boot.ram_count = 1;
	boot.module = (struct memory_range){end - MODULE_BYTES, end};
	boot.cpu_count = world_cpus;
	boot.tsc_hz = 1000000000;
	make_image(arena + bytes - MODULE_BYTES);
	if (setjmp(fake_user) == 0)
		kernel_main(&boot);
	init_cnode = slot_object(&running()->bindings[BIND_CSPACE]);
	next_slot = INIT_SLOT_UNTYPED + BOOT_INFO_UNTYPEDS;
	pool = INIT_SLOT_UNTYPED;
	memset(cutters, 0, sizeof(cutters));
	/* The largest piece of RAM. */
	for (cptr_t i = INIT_SLOT_UNTYPED; !slot_empty(init_slot_at(i)); i++) {
		const struct slot *slot = init_slot_at(i);

		if (!(slot->flags & SLOT_DEVICE) &&
		    (init_slot_at(pool)->flags & SLOT_DEVICE ||
		     slot->untyped.size_bits > init_slot_at(pool)->untyped.size_bits))
			pool = i;
	}
	invariants_check();
}

void world_boot(void)
{
	world_boot_with(ARENA_BYTES);
}

void world_boot_small(void)
{
	world_boot_with(ARENA_SMALL);
}

void *world_memory(void)
{
	return arena;
}

bool world_panics(void (*function)(void))
{
	bool panicked = true;

	fake_expect_panic = true;
	if (setjmp(fake_user) != 3) {
		function();
		panicked = false;
	}
	fake_expect_panic = false;
	return panicked;
}

struct thread *running(void)
{
	struct thread *current = this_cpu()->current;

	return current && !current->away ? current : NULL;
}

void act(unsigned cpu)
{
	fake_cpu = cpu;
}

/* A visit was interrupted, or others that are ready wait for the end of an interrupt. */
static bool visit_waits(const struct cpu *cpu)
{
	return cpu->current ? cpu->current->away : ready_highest(cpu) >= 0;
}

void deliver(void)
{
	if (!fake_ipi[fake_cpu] && !visit_waits(this_cpu()))
		return;
	if (setjmp(fake_user) == 0) {
		if (fake_ipi[fake_cpu]) {
			fake_ipi[fake_cpu] = false;
			kernel_mail();
		}
		kernel_interrupt_done(running());
	}
}

bool mail_waits(void)
{
	for (unsigned i = 0; i < world_cpus; i++)
		if (fake_ipi[i] || visit_waits(cpu_at(i)))
			return true;
	return false;
}

void settle(void)
{
	unsigned was = fake_cpu;

	for (unsigned round = 0; mail_waits(); round++) {
		if (round == PATIENCE)
			give_up("mail for ever", 0);
		for (unsigned i = 0; i < world_cpus; i++) {
			act(i);
			deliver();
		}
	}
	act(was);
}

/* It may have travelled, several times. */
bool world_waits = true;
static void wait_for(struct thread *thread)
{
	for (unsigned i = 0; i < 10000 && (mail_waits() || (running() == thread && restarts(thread))); i++) {
		settle();
		if (running() == thread && restarts(thread))
			call_again();
	}
}

static void load(struct thread *thread, uint64_t number, const struct call *call)
{
	struct arch_context *c = &thread->context;

	c->rip = CALL_IP;
	*context_status(c) = number;
	*context_cap(c) = call->cap;
	*context_info(c) = call->info;
	*context_reply(c) = call->reply;
	*context_deadline(c) = call->deadline;
	for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
		*context_word(c, i) = call->words[i];
}

bool restarts(const struct thread *thread)
{
	uint64_t ip = thread->context.rip;
	struct arch_context moved = {.rip = CALL_IP};

	context_restart(&moved);
	return ip == moved.rip;
}

/* Again for as long as the same thread comes back to make the call that it was interrupted in. */
void call_again(void)
{
	struct thread *thread = running();

	do {
		thread->context.rip = CALL_IP;
		if (setjmp(fake_user) == 0)
			thread_is_foreign(thread) ? kernel_foreign_syscall(thread) : kernel_syscall(thread);
		/* Also between the parts of an operation: no device may reach what it should not. */
		kernel_assert(fake_io_sound());
	} while (running() == thread && restarts(thread));
}

void enter(uint64_t number, const struct call *call)
{
	struct thread *thread = running();
	bool comparing;

	if (!thread)
		return; /* all wait: nobody makes this call */
	if (restarts(thread)) {
		call_again(); /* it has another to finish */
		return;
	}
	load(thread, number, call);
	comparing = compare_begin(thread);
	call_again();
	if (running() == thread && !restarts(thread) && !thread_is_foreign(thread))
		documented_check(number, call, *context_status(&thread->context));
	if (comparing)
		compare_end(thread, number, call);
}

static void unload(const struct thread *thread, struct call *call)
{
	struct arch_context *c = (struct arch_context *)&thread->context;

	call->cap = *context_cap(c);
	call->info = *context_info(c);
	for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
		call->words[i] = *context_word(c, i);
}

uint64_t syscall(uint64_t number, struct call *call)
{
	struct thread *thread = running();

	if (!thread)
		return UINT64_MAX;
	enter(number, call);
	if (world_cpus > 1 && world_waits)
		wait_for(thread);
	unload(thread, call);
	return *context_status(&thread->context);
}

uint64_t invoke6(uint64_t cap, unsigned operation, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                 uint64_t w4, uint64_t w5)
{
	uint64_t status;

	last = (struct call){.cap = cap, .info = operation, .words = {w0, w1, w2, w3, w4, w5}};
	status = syscall(SYS_INVOKE, &last);
	world_statistics[operation & 0xff][status != ERR_NONE]++;
	return status;
}

uint64_t status_of(struct thread *thread)
{
	return *context_status(&thread->context);
}

uint64_t badge_of(struct thread *thread)
{
	return *context_cap(&thread->context);
}

uint64_t word_of(struct thread *thread, unsigned i)
{
	return *context_word(&thread->context, i);
}

uint64_t info_of(struct thread *thread)
{
	return *context_info(&thread->context);
}

void fault(uint64_t address, unsigned access)
{
	if (setjmp(fake_user) == 0)
		kernel_page_fault(running(), address, access);
}

void exception(unsigned vector)
{
	if (setjmp(fake_user) == 0)
		kernel_exception(running(), vector, 0);
}

void irq_fires(unsigned irq)
{
	if (setjmp(fake_user) == 0) {
		kernel_irq(irq);
		kernel_interrupt_done(running());
	}
}

void pass(uint64_t nanoseconds)
{
	fake_now += nanoseconds;
	if (fake_now < fake_timer)
		return;
	if (setjmp(fake_user) == 0) {
		kernel_timer();
		kernel_interrupt_done(running());
	}
}

void budget_set(struct sched_context *context, uint64_t budget, uint64_t period)
{
	sched_context_setup(context, budget, period);
	sched_context_collect(context, DEADLINE_NEVER, 0);
	context->refills[context->last].time = 0;
	deadline_disarm(&context->refill);
	sched_context_refill(context);
}

void interrupt(void)
{
	if (setjmp(fake_user) == 0)
		kernel_interrupt_done(running());
}

cptr_t new_slot(void)
{
	return next_slot++;
}

/* One object; Untypeds of 64 chunks are made for each size as needed, down from the pool. */
static cptr_t cut(unsigned type, unsigned bits, uint64_t word)
{
	unsigned pool_bits = init_slot_at(pool)->untyped.size_bits;
	cptr_t slot = new_slot();
	uint64_t status = ERR_NO_MEMORY;

	if (bits + 6 >= pool_bits) {
		status = INVOKE(pool, UNTYPED_RETYPE, OBJECT_UNTYPED | (uint64_t)(pool_bits - 6) << 8, 1,
		                CPTR_NULL, slot);
		if (status)
			give_up("make: the pool", status);
		if (type == OBJECT_UNTYPED && bits == pool_bits - 6)
			return slot;
		cutters[bits] = slot;
		slot = new_slot();
		status = INVOKE(cutters[bits], UNTYPED_RETYPE, word, 1, CPTR_NULL, slot);
	} else if (cutters[bits]) {
		status = INVOKE(cutters[bits], UNTYPED_RETYPE, word, 1, CPTR_NULL, slot);
	}
	if (status == ERR_NO_MEMORY) {
		unsigned up = bits + 6 > pool_bits - 6 ? pool_bits - 6 : bits + 6;

		cutters[bits] = cut(OBJECT_UNTYPED, up, OBJECT_UNTYPED | (uint64_t)up << 8);
		status = INVOKE(cutters[bits], UNTYPED_RETYPE, word, 1, CPTR_NULL, slot);
	}
	if (status)
		give_up("make", status);
	return slot;
}

static cptr_t make_with(unsigned type, unsigned size_bits, unsigned home)
{
#define OBJECT(name, bits) [name] = bits,
	static const uint8_t fixed[OBJECT_TYPE_COUNT] = {OBJECTS};
#undef OBJECT
	unsigned bits = size_bits ? size_bits : fixed[type];

	return cut(type, bits, type | (uint64_t)(fixed[type] ? 0 : bits) << 8 | (uint64_t)home << 16);
}

cptr_t make(unsigned type, unsigned size_bits)
{
	return make_with(type, size_bits, 0);
}

cptr_t make_at(unsigned type, unsigned home)
{
	return make_with(type, 0, home);
}

struct thread *thread_at(cptr_t cap)
{
	return slot_object(init_slot_at(cap));
}

cptr_t make_thread_at(unsigned priority, unsigned home)
{
	cptr_t thread = make_at(OBJECT_THREAD, home), context = make_at(OBJECT_SCHED_CONTEXT, home);
	cptr_t buffer = make(OBJECT_MEMORY, PAGE_BITS);
	uint64_t status = 0;

	status |= INVOKE(thread, THREAD_BIND, BIND_CSPACE, INIT_SLOT_CNODE);
	status |= INVOKE(thread, THREAD_BIND, BIND_VSPACE, INIT_SLOT_VSPACE);
	status |= INVOKE(thread, THREAD_BIND, BIND_IPC_BUFFER, buffer);
	status |= INVOKE(INIT_SLOT_CPU_TIME + home, CPU_TIME_CONFIGURE, context, 1000000000, 1000000000);
	status |= INVOKE(thread, THREAD_BIND, BIND_SCHED_CONTEXT, context);
	status |= INVOKE(thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME + home, priority);
	status |= INVOKE(thread, THREAD_RESUME);
	if (status) {
		fprintf(stderr, "make_thread: %lu\n", status);
		abort();
	}
	return thread;
}

cptr_t make_thread(unsigned priority)
{
	return make_thread_at(priority, 0);
}

void run(struct thread *thread)
{
	const struct call none = {0};

	for (unsigned i = 0; i < 1000 && running() != thread; i++)
		enter(SYS_YIELD, &none);
	if (running() != thread) {
		fprintf(stderr, "run: the thread is not ready (state %u)\n", thread->state);
		abort();
	}
}
