/* SPDX-License-Identifier: MIT */
#include <kernel/cpu.h>

static struct cpu cpus[CPU_MAX];
unsigned cpu_count;

/* Inlined by nobody: the boot code calls it before there is a stack canary. */
struct cpu *cpu_at(unsigned index)
{
	return &cpus[index];
}

/* Nothing runs on the other CPUs yet. */
void kernel_main_other(void)
{
	for (;;)
		arch_idle();
}

void kernel_mail(void)
{
}

void cpu_init(struct cpu *cpu)
{
	cpu->index = (unsigned)(cpu - cpus);
	cpu->timer = DEADLINE_NEVER;
	cpu->since = arch_time();
}
