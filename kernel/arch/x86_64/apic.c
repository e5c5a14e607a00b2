/* SPDX-License-Identifier: MIT */
/* The local APIC: interrupts to and from other CPUs, and the one-shot timer. x2APIC where there is one. */
#include "local.h"

#include <kernel/trace.h>

enum {
	APIC_ID = 0x20,
	APIC_TASK_PRIORITY = 0x80,
	APIC_EOI = 0xb0,
	APIC_SPURIOUS = 0xf0,
	APIC_IRR = 0x200,
	APIC_ERROR_STATUS = 0x280,
	APIC_COMMAND = 0x300,
	APIC_COMMAND_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
	X2APIC_SELF = 0x3f0,
};

#define LVT_MASKED       (1u << 16)
#define LVT_TSC_DEADLINE (2u << 17)
#define COMMAND_PENDING  (1u << 12)
#define COMMAND_ASSERT   (1u << 14)
#define COMMAND_SELF     (1u << 18)
#define APIC_ENABLE      (1u << 8)
#define DIVIDE_BY_1      0xb
#define BASE_ENABLE      (1ul << 11)
#define BASE_X2APIC      (1ul << 10)

static volatile uint32_t *registers; /* NULL: x2APIC */
static uint64_t timer_scale;         /* timer ticks in a nanosecond, 32.32 fixed point */

static uint32_t apic_read(unsigned reg)
{
	return registers ? registers[reg / 4] : (uint32_t)msr_read(MSR_X2APIC + reg / 16);
}

static void apic_write(unsigned reg, uint32_t value)
{
	if (registers)
		registers[reg / 4] = value;
	else
		msr_write(MSR_X2APIC + reg / 16, value);
}

/* The 8259s: out of the way of exceptions, and silent. */
static void pic_disable(void)
{
	static const uint8_t sequence[][2] = {
	        {0x20, 0x11}, {0xa0, 0x11}, {0x21, VECTOR_PIC}, {0xa1, VECTOR_PIC + 8}, {0x21, 4},
	        {0xa1, 2},    {0x21, 1},    {0xa1, 1},          {0x21, 0xff},           {0xa1, 0xff},
	};

	for (unsigned i = 0; i < sizeof(sequence) / sizeof(sequence[0]); i++)
		port_out8(sequence[i][0], sequence[i][1]);
}

void apic_init(void)
{
	pic_disable();
	if (!cpu_features.x2apic)
		registers = paging_map_device(acpi.local_apic);
	apic_cpu_init();
}

void apic_cpu_init(void)
{
	uint64_t base = msr_read(MSR_APIC_BASE);

	msr_write(MSR_APIC_BASE, base | BASE_ENABLE);
	if (!registers)
		msr_write(MSR_APIC_BASE, base | BASE_ENABLE | BASE_X2APIC);
	cpu_local()->apic_id = registers ? apic_read(APIC_ID) >> 24 : apic_read(APIC_ID);
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, APIC_NMI); /* as wired in every PC: a button that tells where the kernel hangs */
	apic_write(APIC_LVT_ERROR, VECTOR_ERROR);
	apic_write(APIC_TASK_PRIORITY, 0);
	apic_write(APIC_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/* Let this CPU take the interrupt, as soon as it takes any. */
void apic_raise(unsigned vector)
{
	if (registers)
		apic_write(APIC_COMMAND, COMMAND_SELF | vector);
	else
		apic_write(X2APIC_SELF, vector);
}

uint32_t apic_id_max(void)
{
	return registers ? 0xfe : UINT32_MAX - 1;
}

/* Bounded: a command that is never accepted must not hang a panic. */
#define COMMAND_PATIENCE 100000

void apic_send(uint32_t id, unsigned command_and_vector)
{
	if (!registers) {
		/* Unlike a device register's, an MSR's write does not wait for what was stored before. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		msr_write(MSR_X2APIC + APIC_COMMAND / 16,
		          (uint64_t)id << 32 | COMMAND_ASSERT | command_and_vector);
		return;
	}
	for (unsigned i = 0; i < COMMAND_PATIENCE && apic_read(APIC_COMMAND) & COMMAND_PENDING; i++)
		cpu_pause();
	apic_write(APIC_COMMAND_HIGH, id << 24);
	apic_write(APIC_COMMAND, COMMAND_ASSERT | command_and_vector);
}

void arch_ipi(unsigned cpu)
{
	apic_send(cpu_at(cpu)->arch.apic_id, APIC_FIXED | VECTOR_MAIL);
}

void apic_error_interrupt(void)
{
	apic_write(APIC_ERROR_STATUS, 0);
	kernel_log_later("apic: error %#x\n", apic_read(APIC_ERROR_STATUS));
	apic_eoi();
}

/* The request bits of the vectors that are in use: the timer's, mail's and those of routed interrupts. */
bool arch_interrupt_pending(void)
{
	for (unsigned words = irq_words_used | 1u << VECTOR_TIMER / 32 | 1u << VECTOR_MAIL / 32; words;
	     words &= words - 1)
		if (apic_read(APIC_IRR + (unsigned)__builtin_ctz(words) * 16) != 0)
			return true;
	trace(TRACE_POLL, 0, NULL, 0, 0, 0, 0);
	return false;
}

/* ---- timer ---- */
static uint32_t timer_read(void)
{
	return apic_read(APIC_TIMER_CURRENT);
}

static struct clock_sample timer_from;

void apic_timer_start(void)
{
	if (cpu_features.tsc_deadline)
		return;
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
	timer_from = clock_sample(timer_read);
}

void apic_timer_init(void)
{
	struct clock_sample from = timer_from, to;
	uint64_t ticks, time;

	if (cpu_features.tsc_deadline) {
		timer_scale = multiply_divide(time_tsc_hz, 1ul << 32, NS_PER_SECOND);
		apic_timer_cpu_init();
		return;
	}
	to = clock_sample(timer_read);
	apic_write(APIC_TIMER_INITIAL, 0);
	ticks = from.count - to.count;
	time = multiply_divide(to.tsc - from.tsc, NS_PER_SECOND, time_tsc_hz);
	timer_scale = (ticks << 32) / time;
	if (ticks == 0 || to.count == 0)
		panic("apic: the timer does not count");
	apic_timer_cpu_init();
}

void apic_timer_cpu_init(void)
{
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (cpu_features.tsc_deadline ? LVT_TSC_DEADLINE : 0));
}

/* The counter has 32 bits: longer times are reached in several steps. */
#define TIMER_STEP_MAX 1000000000ul

static void timer_program(uint64_t nanoseconds)
{
	uint64_t ticks;

	if (nanoseconds > TIMER_STEP_MAX)
		nanoseconds = TIMER_STEP_MAX;
	ticks = (uint64_t)((__uint128_t)nanoseconds * timer_scale >> 32) + 1;
	if (cpu_features.tsc_deadline)
		msr_write(MSR_TSC_DEADLINE, tsc_read() + ticks);
	else
		apic_write(APIC_TIMER_INITIAL, ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX);
}

void arch_timer_set(deadline_t when)
{
	uint64_t now;

	cpu_local()->timer_deadline = when;
	if (when == DEADLINE_NEVER) {
		if (cpu_features.tsc_deadline)
			msr_write(MSR_TSC_DEADLINE, 0);
		else
			apic_write(APIC_TIMER_INITIAL, 0);
		return;
	}
	now = arch_time();
	timer_program(when > now ? when - now : 0);
}

/* Early by a step or by rounding: core is only called when its time has come. */
void apic_timer_interrupt(void)
{
	struct arch_cpu *cpu = cpu_local();
	uint64_t now = arch_time();

	apic_eoi();
	if (cpu->timer_deadline == DEADLINE_NEVER)
		return;
	if (now < cpu->timer_deadline) {
		timer_program(cpu->timer_deadline - now);
		return;
	}
	cpu->timer_deadline = DEADLINE_NEVER;
	kernel_timer();
}
