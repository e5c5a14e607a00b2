/* SPDX-License-Identifier: MIT */
#include <kernel/cpu.h>
#include <kernel/slot.h>

static struct cpu cpus[CPU_MAX];
unsigned cpu_count;

/* Inlined by nobody: the boot code calls it before there is a stack canary. */
struct cpu *cpu_at(unsigned index)
{
	return &cpus[index];
}

void cpu_init(struct cpu *cpu)
{
	cpu->index = (unsigned)(cpu - cpus);
	cpu->home_key = (uint64_t)cpu->index << SLOT_HOME_SHIFT;
	cpu->timer = DEADLINE_NEVER;
	cpu->since = arch_time();
}
