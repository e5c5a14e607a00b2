/* SPDX-License-Identifier: MIT */
/* Deadlines of this CPU. */
#include <kernel/cpu.h>
#include <kernel/deadline.h>
#include <kernel/sched.h>
#include <kernel/thread.h>

void deadline_arm(struct deadline *deadline, deadline_t when)
{
	heap_insert(&this_cpu()->deadlines, &deadline->node, when);
}

void deadline_disarm(struct deadline *deadline)
{
	if (deadline_armed(deadline))
		heap_remove(&this_cpu()->deadlines, &deadline->node);
}

deadline_t deadline_earliest(void)
{
	const struct heap_node *root = this_cpu()->deadlines.root;

	return root ? root->key : DEADLINE_NEVER;
}

static void deadline_act(struct deadline *deadline, uint64_t now)
{
	if (deadline->kind == DEADLINE_THREAD)
		thread_expire(thread_of_deadline(deadline), now);
	else
		sched_context_refill(sched_context_of_deadline(deadline));
}

void deadline_expire(uint64_t now)
{
	struct cpu *cpu = this_cpu();
	struct heap *heap = &cpu->deadlines;

	for (unsigned i = 0; heap->root && heap->root->key <= now; i++) {
		struct heap_node *node = heap->root;

		if (i == EXPIRE_MAX) {
			cpu->expire_from = now + EXPIRE_PAUSE;
			break;
		}
		heap_remove(heap, node);
		deadline_act((struct deadline *)node, now);
	}
}
