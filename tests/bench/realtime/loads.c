/* SPDX-License-Identifier: MIT */
#include "loads.h"

#include "call.h"
#include "setup.h"

#define LOW          10
#define SLICE        500000u /* ns */
#define BEGIN_SLICES 10000u  /* until each thread has done something */
#define WORKERS      8       /* a CPU */

#define COPIES         3000u /* capabilities that one revocation takes back */
#define COPIES_BITS    (12 + SLOT_BITS)
#define POOL_BITS      18u /* of an Untyped that is cut into 64 parts and these into 32 objects each */
#define PART_BITS      12u
#define PARTS          64u
#define OBJECTS_A_PART 32u
#define VISITED        16u /* objects that a visitor makes */
#define VISITED_BITS   12u
#define MAP_PAGES      512u
#define MAP_AT(cpu)    (0x100000000ul + (cpu)*0x1000000ul)

const struct load loads[] = {
        {"none", 0},
        {"ipc", 1 << STORM_IPC},
        {"map", 1 << STORM_MAP},
        {"revoke", 1 << STORM_REVOKE},
        {"visit", 1 << STORM_VISIT},
        {"all", 1 << STORM_IPC | 1 << STORM_MAP | 1 << STORM_REVOKE | 1 << STORM_VISIT},
        {0},
};

static struct cpu {
	struct worker workers[WORKERS];
	cptr_t endpoint, reply, received;
	cptr_t window;
	cptr_t original, cnode, pool, parts;
	cptr_t visited[WORKERS]; /* Untypeds, and behind each slots for what is made of it */
} cpus[LOAD_CPUS];
static struct done {
	volatile uint64_t calls, failed; /* failed: the first status that should not be */
} done[LOAD_CPUS][WORKERS];
static unsigned cpu_count;
static struct space map_space;
static cptr_t never; /* signalled */

/* ---- what workers do; rdi: CPU and number ---- */

#define WORKER(cpu, number) ((uint64_t)(cpu) << 8 | (number))

static const struct cpu *cpu_of(uint64_t argument)
{
	return &cpus[argument >> 8];
}

static struct done *done_of(uint64_t argument)
{
	return &done[argument >> 8][argument & 0xff];
}

/*
 * With several CPUs the emulator lets each run until it pauses, halts, or waits for the lock, or a timer
 * expires; the clock counts the instructions of all. So they take turns after each system call.
 */
static void next_cpu(void)
{
	__asm__ volatile("pause");
}

/* When a load is stopped, waits are canceled and callers leave their servers. */
static void judge(struct done *self, uint64_t status)
{
	bool canceled = status == ERR_CANCELED || status == ERR_PEER_DIED || status == ERR_STATE;

	if (status == ERR_NONE)
		self->calls++;
	else if (!canceled && !self->failed)
		self->failed = status;
	next_cpu();
}

static void do_invoke(struct done *self, cptr_t cap, unsigned operation, uint64_t w0, uint64_t w1,
                      uint64_t w2, uint64_t w3)
{
	struct registers r = {.cap = cap, .info = operation, .words = {w0, w1, w2, w3}};

	judge(self, system_call(SYS_INVOKE, &r));
}

static void serve(uint64_t argument)
{
	struct done *self = done_of(argument);
	const struct cpu *cpu = cpu_of(argument);

	cpu->workers[argument & 0xff].buffer->receive_slots[0] = cpu->received;
	for (;;) {
		struct registers r = {.cap = cpu->endpoint, .reply = cpu->reply, .deadline = DEADLINE_NEVER};
		uint64_t status = system_call(SYS_RECV, &r);

		while (status == ERR_NONE) {
			if (message_caps(r.info))
				do_invoke(self, INIT_SLOT_CNODE, CNODE_DELETE, cpu->received, 0, 0, 0);
			r = (struct registers){.cap = cpu->endpoint,
			                       .info = MESSAGE_INFO(0, message_words(r.info)),
			                       .reply = REPLY_PAIR(cpu->reply, 0),
			                       .deadline = DEADLINE_NEVER};
			status = system_call(SYS_REPLY_RECV, &r);
		}
		judge(self, status);
	}
}

static void call_server(struct done *self, unsigned cpu, uint64_t info)
{
	struct registers r = {.cap = cpus[cpu].endpoint, .info = info, .deadline = DEADLINE_NEVER};

	judge(self, system_call(SYS_CALL, &r));
}

static void call_near(uint64_t argument)
{
	struct done *self = done_of(argument);

	for (;;) {
		for (unsigned words = 0; words <= MESSAGE_WORDS; words += 16)
			call_server(self, argument >> 8, MESSAGE_INFO(0, words));
	}
}

/* With a copy of a capability. */
static void call_far(uint64_t argument)
{
	struct done *self = done_of(argument);
	unsigned next = (unsigned)((argument >> 8) + 1) % cpu_count;

	cpu_of(argument)->workers[argument & 0xff].buffer->caps[0] = cpu_of(argument)->original;
	for (;;) {
		call_server(self, (unsigned)(argument >> 8), MESSAGE_INFO_CAPS(0, 3, 1, 0));
		call_server(self, next, MESSAGE_INFO(0, 6));
	}
}

static void map(uint64_t argument)
{
	struct done *self = done_of(argument);
	const struct cpu *cpu = cpu_of(argument);
	uint64_t at = MAP_AT(argument >> 8), rights = RIGHT_READ | RIGHT_WRITE;

	for (uint64_t i = 0; i < MAP_PAGES; i++)
		cpu->workers[argument & 0xff].buffer->scatter[i] = (struct scatter_entry){
		        .memory_page = i * 37 % MAP_PAGES,
		        .virtual_page_rights = i << 4 | rights,
		};
	for (;;) {
		do_invoke(self, cpu->window, WINDOW_MAP, at, self->calls % MAP_PAGES, 1, rights);
		*(volatile uint64_t *)at = 1;
		do_invoke(self, map_space.vspace, VSPACE_UNMAP, at, 1, 0, 0);
		do_invoke(self, cpu->window, WINDOW_MAP, at, 0, MAP_PAGES, rights);
		*(volatile uint64_t *)(at + PAGE_SIZE) = 1;
		do_invoke(self, cpu->window, WINDOW_PROTECT, at, MAP_PAGES, RIGHT_READ, 0);
		do_invoke(self, map_space.vspace, VSPACE_UNMAP, at, MAP_PAGES, 0, 0);
		do_invoke(self, cpu->window, WINDOW_MAP_SCATTER, at, MAP_PAGES, 0, 0);
		do_invoke(self, map_space.vspace, VSPACE_UNMAP, at, MAP_PAGES, 0, 0);
	}
}

/* Copies of the original, or each of the one before. */
static void copy_and_revoke(struct done *self, const struct cpu *cpu, bool chained)
{
	for (unsigned i = 1; i <= COPIES; i++)
		do_invoke(self, cpu->cnode, CNODE_DERIVE, i, chained && i > 1 ? cpu->cnode : CPTR_NULL,
		          chained && i > 1 ? i - 1 : cpu->original, RIGHT_ALL);
	do_invoke(self, INIT_SLOT_CNODE, CNODE_REVOKE, cpu->original, 0, 0, 0);
}

/* Objects at home on all CPUs. */
static void make_and_revoke(struct done *self, const struct cpu *cpu)
{
	static const uint8_t types[] = {OBJECT_ENDPOINT, OBJECT_NOTIFICATION, OBJECT_REPLY};

	do_invoke(self, cpu->pool, UNTYPED_RETYPE, OBJECT_UNTYPED | PART_BITS << 8, PARTS, CPTR_NULL,
	          cpu->parts);
	for (unsigned i = 0; i < PARTS; i++)
		do_invoke(self, cpu->parts + i, UNTYPED_RETYPE,
		          types[i % 3] | (uint64_t)(i % cpu_count) << 16, OBJECTS_A_PART, cpu->cnode,
		          1 + i * OBJECTS_A_PART);
	do_invoke(self, INIT_SLOT_CNODE, CNODE_REVOKE, cpu->pool, 0, 0, 0);
}

static void make_memory(struct done *self, const struct cpu *cpu)
{
	do_invoke(self, cpu->pool, UNTYPED_RETYPE, OBJECT_MEMORY | POOL_BITS << 8, 1, CPTR_NULL, cpu->parts);
	do_invoke(self, INIT_SLOT_CNODE, CNODE_REVOKE, cpu->pool, 0, 0, 0);
}

static void revoke(uint64_t argument)
{
	struct done *self = done_of(argument);
	const struct cpu *cpu = cpu_of(argument);

	for (;;) {
		make_memory(self, cpu);
		make_and_revoke(self, cpu);
		copy_and_revoke(self, cpu, false);
		copy_and_revoke(self, cpu, true);
	}
}

static void visit(uint64_t argument)
{
	struct done *self = done_of(argument);
	cptr_t pool = cpu_of(argument)->visited[argument & 0xff], first = pool + 1;

	for (;;) {
		do_invoke(self, pool, UNTYPED_RETYPE, OBJECT_ENDPOINT, VISITED, CPTR_NULL, first);
		for (unsigned i = 0; i < VISITED; i++) {
			struct registers r = {.cap = first + i, .deadline = DEADLINE_POLL};
			uint64_t status = system_call(SYS_CALL, &r);

			judge(self, status == ERR_TIMEOUT ? ERR_NONE : status);
		}
		do_invoke(self, INIT_SLOT_CNODE, CNODE_REVOKE, pool, 0, 0, 0);
	}
}

/* ---- making and stopping ---- */

static const struct {
	void (*entry)(uint64_t argument);
	enum storm storm;
} jobs[WORKERS] = {
        {serve, STORM_IPC},     {call_near, STORM_IPC}, {call_far, STORM_IPC}, {map, STORM_MAP},
        {revoke, STORM_REVOKE}, {visit, STORM_VISIT},   {visit, STORM_VISIT},  {visit, STORM_VISIT},
};

static void cpu_make(unsigned index)
{
	struct cpu *cpu = &cpus[index];

	cpu->endpoint = object_new_on(index, OBJECT_ENDPOINT);
	cpu->reply = object_new_on(index, OBJECT_REPLY);
	cpu->received = slot_new();
	cpu->original = object_new_on(index, OBJECT_ENDPOINT);
	cpu->cnode = object_new(OBJECT_CNODE, COPIES_BITS);
	cpu->pool = untyped_new(POOL_BITS);
	cpu->parts = slot_new();
	for (unsigned i = 1; i < PARTS; i++)
		slot_new();
	cpu->window = object_new(OBJECT_WINDOW, 0);
	MUST(cpu->window, WINDOW_BIND, object_new(OBJECT_MEMORY, LARGE_PAGE_BITS), map_space.vspace,
	     RIGHT_READ | RIGHT_WRITE);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct space space = jobs[i].storm == STORM_MAP ? map_space : space_new();

		cpu->workers[i] = worker_new_on(index, space, (void (*)(void))jobs[i].entry, LOW);
		worker_argument(&cpu->workers[i], WORKER(index, i));
		cpu->visited[i] = untyped_new(VISITED_BITS);
		for (unsigned j = 0; j < VISITED; j++)
			slot_new();
		MUST(INIT_SLOT_CPU_TIME + index, CPU_TIME_CONFIGURE, cpu->workers[i].context, SLICE, SLICE);
	}
}

void loads_make(unsigned count)
{
	if (count > LOAD_CPUS)
		fail("too many CPUs", count);
	cpu_count = count;
	map_space = space_new();
	never = object_new(OBJECT_NOTIFICATION, 0);
	for (unsigned i = 0; i < cpu_count; i++)
		cpu_make(i);
}

static bool takes_part(const struct load *load, unsigned worker)
{
	return load->storms >> jobs[worker % WORKERS].storm & 1;
}

static void load_each(const struct load *load, enum operation operation)
{
	for (unsigned i = 0; i < cpu_count * WORKERS; i++) {
		if (takes_part(load, i))
			MUST(cpus[i / WORKERS].workers[i % WORKERS].thread, operation, 0);
	}
}

/* The number of a thread that has done nothing yet; or that of all. */
static unsigned first_idle(const struct load *load)
{
	for (unsigned i = 0; i < cpu_count * WORKERS; i++) {
		if (takes_part(load, i) && !done[i / WORKERS][i % WORKERS].calls)
			return i;
	}
	return cpu_count * WORKERS;
}

void load_start(const struct load *load)
{
	struct registers r;

	for (unsigned i = 0; i < cpu_count * WORKERS; i++)
		done[i / WORKERS][i % WORKERS] = (struct done){0};
	load_each(load, THREAD_RESUME);
	for (unsigned i = 0; first_idle(load) < cpu_count * WORKERS; i++) {
		if (i == BEGIN_SLICES)
			fail("a load does nothing: thread", first_idle(load));
		r = (struct registers){.cap = never, .deadline = now() + SLICE};
		system_call(SYS_WAIT, &r);
	}
}

void load_stop(const struct load *load)
{
	load_each(load, THREAD_SUSPEND);
	for (unsigned i = 0; i < cpu_count * WORKERS; i++) {
		if (done[i / WORKERS][i % WORKERS].failed)
			fail("a load's system call", done[i / WORKERS][i % WORKERS].failed);
	}
}
