/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kernel/irq.h>

#include "compare.h"
#include "fake.h"

#define COMPARE_BYTES (4ul << 20)

unsigned compare_every;
unsigned long compare_count;
static unsigned calls;
static uint64_t began;
static char memory[COMPARE_BYTES] __attribute__((aligned(4096)));
static struct irq irqs_before[ARCH_IRQ_COUNT];
static struct cpu cpus_before[CPU_MAX];

/* If the caller waits, or its slice ends, they may have their turn: in the same entry into the kernel. */
static bool visitors_wait(const struct cpu *cpu)
{
	for (unsigned i = 0; i < PRIORITY_COUNT; i++)
		for (const struct thread *thread = cpu->ready[i].first; thread; thread = thread->ready_next)
			if (thread->away)
				return true;
	return false;
}

bool compare_begin(const struct thread *caller)
{
	/* What an interrupted call did before it was found to be impossible is no error of its own. */
	if (!compare_every || ++calls % compare_every || fake_interrupt_every || thread_is_foreign(caller))
		return false;
	if (world_bytes > COMPARE_BYTES || visitors_wait(caller->cpu))
		return false;
	began = fake_now;
	memcpy(memory, world_memory(), world_bytes);
	memcpy(irqs_before, irqs, sizeof(irqs_before));
	memcpy(cpus_before, cpu_at(0), sizeof(cpus_before));
	return true;
}

/* Documented to do a part before they fail, and to say how much. */
static bool fails_half_way(uint64_t number, const struct call *call, uint64_t status)
{
	if (number == SYS_INVOKE)
		return call->info == WINDOW_MAP_SCATTER ||
		       (call->info == WINDOW_MAP && status == ERR_NO_MEMORY);
	/* It waited: time passed. */
	if (status == ERR_TIMEOUT && call->deadline > began)
		return true;
	/* A receive parks the active Reply before it finds that nobody sends, and an answer comes before a
	 * receive. */
	return (number == SYS_RECV && status == ERR_TIMEOUT) ||
	       (number == SYS_REPLY_RECV && (status == ERR_TIMEOUT || status == ERR_NO_CAPABILITY));
}

static void differs(const char *what, uint64_t number, const struct call *call, uint64_t status,
                    size_t offset)
{
	fprintf(stderr,
	        "%s changed at %#lx: call %lu of %#lx, info %#lx (%#lx %#lx %#lx %#lx %#lx %#lx): status "
	        "%lu\n",
	        what, offset, number, call->cap, call->info, call->words[0], call->words[1], call->words[2],
	        call->words[3], call->words[4], call->words[5], status);
	abort();
}

/* What a refused call may change of its caller: what it returns in, and what nobody looks at while it runs.
 */
static void forget_caller(struct thread *before, const struct thread *caller)
{
	before->context = caller->context;
	before->progress = caller->progress;
	before->flags = (before->flags & ~(uint32_t)THREAD_RESTARTED) | (caller->flags & THREAD_RESTARTED);
	before->message = caller->message;
	before->badge = caller->badge;
}

void compare_end(struct thread *caller, uint64_t number, const struct call *call)
{
	uint64_t status = *context_status(&caller->context);
	const char *now = world_memory();
	const struct cpu *cpu = cpu_at(0);

	if (running() != caller || status == ERR_NONE || status >= RECV_NOTIFICATION ||
	    fails_half_way(number, call, status))
		return;
	compare_count++;
	forget_caller((struct thread *)(memory + ((char *)caller - now)), caller);
	if (memcmp(memory, now, world_bytes)) {
		size_t offset = 0;

		while (memory[offset] == now[offset])
			offset++;
		differs("memory", number, call, status, offset);
	}
	if (memcmp(irqs_before, irqs, sizeof(irqs_before)))
		differs("an interrupt", number, call, status, 0);
	for (unsigned i = 0; i < CPU_MAX; i++)
		if (memcmp(cpus_before[i].ready, cpu[i].ready, sizeof(cpu->ready)) ||
		    cpus_before[i].deadlines.root != cpu[i].deadlines.root ||
		    cpus_before[i].current != cpu[i].current)
			differs("a CPU's queues", number, call, status, i);
}
