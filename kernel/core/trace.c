/* SPDX-License-Identifier: MIT */
#include <kernel/trace.h>

#ifdef PITH_TRACE
#include <kernel/cpu.h>

#define TRACE_MAGIC 0x3145434152544950ul /* "PITRACE1" */
#define TRACE_NAMES 8192                 /* a power of two */

#define TRACE_MARKS 32 /* the first are slow, and an emulator may pause in any */

/* What the host looks for. */
struct trace_state {
	uint64_t magic, cpus;
	uint64_t kernel_offset; /* to make physical addresses of pointers */
	struct trace_name *names;
	uint64_t names_capacity, names_written;
	uint64_t cost; /* of an event, in ticks */
	struct trace_ring rings[CPU_MAX];
};
extern struct trace_state trace_state;
struct trace_state trace_state;

static uint64_t power_of_two_below(uint64_t value)
{
	return 1ul << (63 - __builtin_clzl(value));
}

uint64_t trace_bytes(uint64_t ram_bytes)
{
	uint64_t events = power_of_two_below(ram_bytes / 8);

	return TRACE_NAMES * sizeof(struct trace_name) + events;
}

void trace_init(void *memory, uint64_t bytes, unsigned cpus)
{
	uint64_t events =
	        (bytes - TRACE_NAMES * sizeof(struct trace_name)) / sizeof(struct trace_event) / cpus;

	trace_state.kernel_offset = KERNEL_OFFSET;
	trace_state.cpus = cpus;
	trace_state.names = memory;
	trace_state.names_capacity = TRACE_NAMES;
	for (unsigned i = 0; i < cpus; i++) {
		struct trace_ring *ring = &trace_state.rings[i];

		ring->capacity = power_of_two_below(events);
		ring->events = (struct trace_event *)(trace_state.names + TRACE_NAMES) + i * ring->capacity;
	}
	trace_state.magic = TRACE_MAGIC;
	trace_state.cost = UINT64_MAX;
	for (unsigned i = 0; i < TRACE_MARKS; i++) {
		const struct trace_event *event = &trace_state.rings[0].events[i];

		trace(TRACE_MARK, 0, NULL, 0, 0, 0, 0);
		if (i && event->time - event[-1].time < trace_state.cost)
			trace_state.cost = event->time - event[-1].time;
	}
}

/*
 * Interrupts are off between entry and exit, and between the end of idling and its next beginning. One that
 * comes is served at the end of it, or behind the next preemption point. What runs before the first entry is
 * booting.
 */
static void trace_stretch(struct trace_ring *ring, const struct trace_event *event)
{
	if (event->kind == TRACE_ENTER) {
		ring->entered = *event;
		return;
	}
	if (!ring->entered.time)
		return;
	if (event->time - ring->entered.time > ring->longest) {
		ring->longest = event->time - ring->entered.time;
		ring->longest_entered = ring->entered;
	}
	ring->entered.time = event->kind == TRACE_POLL ? event->time : 0;
}

void trace(enum trace_kind kind, uint64_t detail, const void *thread, uint64_t a, uint64_t b, uint64_t c,
           uint64_t d)
{
	uint64_t time = arch_cycles();
	/* Another CPU's `index` is not set yet when it first idles. */
	unsigned cpu = (unsigned)(this_cpu() - cpu_at(0));
	struct trace_ring *ring = &trace_state.rings[cpu];
	struct trace_event *event;

	if (!ring->capacity)
		return;
	event = &ring->events[ring->written & (ring->capacity - 1)];
	*event = (struct trace_event){
	        .time = time,
	        .kind = (uint16_t)kind,
	        .cpu = (uint16_t)cpu,
	        .detail = (uint32_t)detail,
	        .thread = (uint64_t)thread,
	        .words = {a, b, c, d},
	};
	ring->written++;
	if (kind <= TRACE_POLL)
		trace_stretch(ring, event);
}

void trace_name(const void *thread, const uint64_t *text)
{
	struct trace_name *name = &trace_state.names[trace_state.names_written & (TRACE_NAMES - 1)];

	name->time = arch_cycles();
	name->thread = (uint64_t)thread;
	for (unsigned i = 0; i < sizeof(name->text); i++)
		name->text[i] = text ? ((const char *)text)[i] : '\0';
	trace_state.names_written++;
}
#endif
