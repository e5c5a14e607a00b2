/* SPDX-License-Identifier: MIT */
/*
 * Vector registers (x87, SSE, AVX) and breakpoints: switched eagerly, but only for threads that have any.
 *
 * Invariant, whenever user mode runs in thread T: arch_cpu.vector_owner is &T.vector if T.vector.used, else
 * NULL. Either CR0.TS is clear and the CPU holds T's vector registers; or CR0.TS is set and the CPU holds
 * initial values: none of another thread are ever in the CPU, not even behind CR0.TS. DR7 enables T's
 * breakpoints and no others. Who has breakpoints has vector registers, too: the switch asks one question
 * less.
 *
 * One exception: T, without vector registers, handles the call or fault of the foreign thread F, which has
 * some and no breakpoints. Then F may stay the owner, with arch_cpu.vector_lent and CR0.TS set, until T
 * answers, another thread runs, or T wants vector registers itself. T decides what F runs and sees, so even a
 * CPU that reads ahead through CR0.TS gives it nothing that it cannot have.
 */
#include "local.h"

#include <kernel/thread.h>

_Static_assert(offsetof(struct thread, vector) == offsetof(struct arch_thread, vector),
               "every thread begins like struct arch_thread");

#define LEGACY_BYTES   512
#define HEADER_BYTES   64
#define OFFSET_MXCSR   24
#define OFFSET_X87     32
#define OFFSET_SSE     160
#define OFFSET_SSE_END 416
#define OFFSET_HEADER  512
#define OFFSET_AVX     576

#define STATE_X87 (1ul << 0)
#define STATE_SSE (1ul << 1)
#define STATE_AVX (1ul << 2)

#define FCW_INITIAL   0x37f
#define MXCSR_INITIAL 0x1f80

uint32_t vector_bytes;
static uint64_t vector_states; /* XCR0 */
static uint32_t mxcsr_mask;
static struct arch_vector vector_initial;

static void registers_save(struct arch_vector *vector)
{
	if (cpu_features.xsaveopt)
		__asm__ volatile("xsaveopt64 %0" : "+m"(vector->area) : "a"(-1), "d"(-1));
	else if (cpu_features.xsave)
		__asm__ volatile("xsave64 %0" : "+m"(vector->area) : "a"(-1), "d"(-1));
	else
		__asm__ volatile("fxsave64 %0" : "=m"(vector->area));
}

/*
 * Where the last x87 instruction and its operand were: such CPUs keep the last thread's unless an exception
 * is pending in what is loaded. So they become those of an instruction here, on an empty stack and with
 * nothing pending. Tests run it, but no emulator has what it is for: that it helps is unseen.
 */
static void x87_pointers_clear(void)
{
	static const uint32_t zero;

	__asm__ volatile("fnclex\n\temms\n\tfildl %0" : : "m"(zero));
}

static void registers_load(const struct arch_vector *vector)
{
	if (cpu_features.x87_pointers_stay)
		x87_pointers_clear();
	if (cpu_features.xsave)
		__asm__ volatile("xrstor64 %0" : : "m"(vector->area), "a"(-1), "d"(-1));
	else
		__asm__ volatile("fxrstor64 %0" : : "m"(vector->area));
}

static void access_allow(void)
{
	__asm__ volatile("clts" : : : "memory");
}

static void access_forbid(void)
{
	cr0_write(cr0_read() | CR0_TS);
}

static uint16_t *area_fcw(struct arch_vector *vector)
{
	return (uint16_t *)vector->area;
}

static uint32_t *area_mxcsr(struct arch_vector *vector)
{
	return (uint32_t *)(vector->area + OFFSET_MXCSR);
}

static void area_clear(struct arch_vector *vector)
{
	__builtin_memset(vector->area, 0, ARCH_VECTOR_BYTES);
	*area_fcw(vector) = FCW_INITIAL;
	*area_mxcsr(vector) = MXCSR_INITIAL;
}

/* What no thread could have known before the CPU did: features, sizes, and which MXCSR bits it accepts. */
void vector_init(void)
{
	static struct arch_vector probe;

	vector_states = STATE_X87 | STATE_SSE | (cpu_features.avx ? STATE_AVX : 0);
	vector_bytes = LEGACY_BYTES;
	access_allow();
	__asm__ volatile("fxsave64 %0" : "=m"(probe.area));
	mxcsr_mask = *(uint32_t *)(probe.area + 28);
	if (mxcsr_mask == 0)
		mxcsr_mask = 0xffbf; /* what a CPU that does not say supports */
	area_clear(&vector_initial);
	vector_cpu_init();
	if (cpu_features.xsave)
		vector_bytes = cpuid(13, 0).b; /* for the states that are enabled now */
	kernel_assert(vector_bytes <= ARCH_VECTOR_BYTES);
}

void vector_cpu_init(void)
{
	access_allow();
	if (cpu_features.xsave)
		__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)vector_states), "d"(0));
	registers_load(&vector_initial);
	access_forbid();
	breakpoints_load(NULL);
}

/* `to` or, if that is NULL, nobody. */
static void owner_set(struct arch_vector *to)
{
	struct arch_cpu *cpu = cpu_local();
	struct arch_vector *from = cpu->vector_owner;

	cpu->vector_owner = to;
	cpu->vector_lent = 0;
	access_allow();
	if (from)
		registers_save(from);
	registers_load(to ? to : &vector_initial);
	if (!to)
		access_forbid();
	if (to && to->used & ARCH_USES_DEBUG)
		breakpoints_load(to->debug);
	else if (from && from->used & ARCH_USES_DEBUG)
		breakpoints_load(NULL);
}

/* The thread that runs touched a vector register and has none yet: it gets initial ones. */
void vector_first_use(struct arch_thread *thread)
{
	area_clear(&thread->vector);
	thread->vector.used = ARCH_USES_VECTOR;
	owner_set(&thread->vector);
}

/*
 * On the way to user mode in `next`, when it or the last owner uses any of these registers, and it is not the
 * owner itself (entry.S).
 */
void vector_switch(struct arch_thread *next)
{
	owner_set(next->vector.used ? &next->vector : NULL);
}

/* None of the thread's registers are in the CPU; its next return to user mode loads them anew. */
static struct arch_vector *vector_detach(struct thread *thread)
{
	struct arch_thread *t = (struct arch_thread *)thread;

	context_detach(&t->context);
	if (cpu_local()->vector_owner == &t->vector)
		owner_set(NULL);
	return &t->vector;
}

void arch_vector_drop(struct thread *thread)
{
	vector_detach(thread)->used = 0;
}

void arch_breakpoints_read(const struct thread *thread, uint64_t *out)
{
	__builtin_memcpy(out, thread->vector.debug, sizeof(thread->vector.debug));
}

enum error arch_breakpoints_write(struct thread *thread, const uint64_t *in)
{
	enum error error = breakpoints_check(in);
	struct arch_vector *vector;

	if (error)
		return error;
	vector = vector_detach(thread);
	__builtin_memcpy(vector->debug, in, sizeof(vector->debug));
	vector->used &= ~(uint64_t)ARCH_USES_DEBUG;
	if (breakpoints_enabled(in)) {
		if (!vector->used)
			area_clear(vector);
		vector->used |= ARCH_USES_VECTOR | ARCH_USES_DEBUG;
	}
	return ERR_NONE;
}

/* XSAVE leaves what is in its initial state unwritten: write it, so that the copy is complete and leaks
 * nothing. */
static void area_complete(struct arch_vector *vector)
{
	uint64_t *header = (uint64_t *)(vector->area + OFFSET_HEADER);
	uint64_t missing = vector_states & ~header[0];

	if (missing & STATE_X87) {
		__builtin_memset(vector->area, 0, OFFSET_MXCSR);
		__builtin_memset(vector->area + OFFSET_X87, 0, OFFSET_SSE - OFFSET_X87);
		*area_fcw(vector) = FCW_INITIAL;
	}
	if (missing & STATE_SSE)
		__builtin_memset(vector->area + OFFSET_SSE, 0, OFFSET_SSE_END - OFFSET_SSE);
	if (missing & STATE_AVX)
		__builtin_memset(vector->area + OFFSET_AVX, 0, vector_bytes - OFFSET_AVX);
	header[0] |= vector_states;
}

size_t arch_vector_read(struct thread *thread, void *out, size_t size)
{
	struct arch_vector *vector;

	if (!thread->vector.used || size < vector_bytes)
		return 0;
	vector = vector_detach(thread);
	if (cpu_features.xsave)
		area_complete(vector);
	__builtin_memcpy(out, vector->area, vector_bytes);
	return vector_bytes;
}

/* What could make xrstor or fxrstor fault. */
struct area_head {
	uint64_t mxcsr; /* and its mask, which is not looked at */
	uint64_t header[HEADER_BYTES / 8];
};

static bool head_is_valid(const struct area_head *head)
{
	if ((uint32_t)head->mxcsr & ~mxcsr_mask)
		return false;
	if (!cpu_features.xsave)
		return true;
	if (head->header[0] & ~vector_states)
		return false;
	for (unsigned i = 1; i < HEADER_BYTES / 8; i++)
		if (head->header[i] != 0)
			return false;
	return true;
}

/*
 * `in` is in a Memory that user space shares and may change under our hands: what is judged is read once, and
 * the judged values are the ones that are used.
 */
bool arch_vector_write(struct thread *thread, const void *in, size_t size)
{
	struct arch_vector *vector;
	const volatile uint64_t *words = in;
	struct area_head head = {0};

	if (size == 0) {
		vector = vector_detach(thread);
		if (vector->used & ARCH_USES_DEBUG)
			area_clear(vector);
		else
			vector->used = 0;
		return true;
	}
	if (size != vector_bytes)
		return false;
	head.mxcsr = words[OFFSET_MXCSR / 8];
	for (unsigned i = 0; cpu_features.xsave && i < HEADER_BYTES / 8; i++)
		head.header[i] = words[OFFSET_HEADER / 8 + i];
	if (!head_is_valid(&head))
		return false;
	vector = vector_detach(thread);
	__builtin_memcpy(vector->area, in, size);
	*area_mxcsr(vector) = (uint32_t)head.mxcsr;
	if (cpu_features.xsave)
		__builtin_memcpy(vector->area + OFFSET_HEADER, head.header, HEADER_BYTES);
	vector->used |= ARCH_USES_VECTOR;
	return true;
}
