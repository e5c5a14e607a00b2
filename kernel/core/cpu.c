/* SPDX-License-Identifier: MIT */
#include <kernel/cpu.h>

struct cpu cpus[CPU_MAX];

void cpu_init(struct cpu *cpu, unsigned index)
{
	cpu->index = index;
	cpu->timer = DEADLINE_NEVER;
}
