/* SPDX-License-Identifier: MIT */
/*
 * The supervisor of the players. It gives them a table full of objects, looks after them for some time, and
 * takes everything back, from under those that run: that is a round. It asserts that
 * - it always comes to run when it wants to, since it has the highest priority,
 * - no player does what it has no right to: the supervisor's own memory and capabilities stay as they are,
 * - everything comes back: the revoked pool has no memory in use.
 * The kernel's invariants are the debug kernel's to assert.
 *
 * Command line: fuzz=SEED,ROUNDS,TICKS.
 */
#include "fuzz.h"

#define TICK_CALLS  400 /* how many system calls a tick has room for: the debug kernel is slow */
#define SLICE       (3 * MILLISECOND)
#define LATE        (2000 * MILLISECOND)
#define STACK_PAGES 4
#define CHUNK_BITS  14
#define PLAYER_AREA 0x20000000ul
#define PLAYER_SPAN 0x100000ul

struct player players[PLAYERS_MAX];
struct table_part table_parts[OBJECT_TYPE_COUNT];
uint64_t clock_start, clock_scale;

static const struct boot_info *boot;
static unsigned player_count, cpu_count;
static uint64_t seed, rounds, ticks; /* ticks of each round */
static struct space space;           /* the players' */
static cptr_t table, table_next, faults, reply;
static uint64_t tick_time, latest, total_calls, total_refused, fault_count, revivals;

static uint64_t draw(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

/* ---- the table ---- */

static bool has_home(unsigned type)
{
	return type == OBJECT_THREAD || type == OBJECT_SCHED_CONTEXT || type == OBJECT_ENDPOINT ||
	       type == OBJECT_REPLY || type == OBJECT_NOTIFICATION;
}

/* An object in a slot of ours. */
static cptr_t object_at(unsigned type, unsigned bits, unsigned cpu)
{
#define OBJECT(name, size) [name] = size,
	static const uint8_t sizes[OBJECT_TYPE_COUNT] = {OBJECTS};
#undef OBJECT
	uint64_t word =
	        type | (uint64_t)(sizes[type] ? 0 : bits) << 8 | (uint64_t)(has_home(type) ? cpu : 0) << 16;
	cptr_t untyped = untyped_new(sizes[type] ? sizes[type] : bits), slot = slot_new();

	MUST(untyped, UNTYPED_RETYPE, word, 1, CPTR_NULL, slot);
	return slot;
}

/* The players get the original; returns its slot in the table. */
static cptr_t table_move(cptr_t cap)
{
	MUST(table, CNODE_MOVE, table_next, CPTR_NULL, cap);
	return table_next++;
}

static void table_give(cptr_t from, unsigned rights, uint64_t w4, uint64_t w5)
{
	MUST(table, CNODE_DERIVE, table_next++, CPTR_NULL, from, rights, w4, w5);
}

static void table_fill(unsigned type, unsigned bits, unsigned count_each, bool on_each_cpu)
{
	unsigned count = count_each * (on_each_cpu ? cpu_count : 1);

	table_parts[type] = (struct table_part){table_next, count};
	for (unsigned i = 0; i < count; i++)
		table_move(object_at(type, bits, i % cpu_count));
}

static void table_make(void)
{
	table = object_new(OBJECT_CNODE, TABLE_BITS + SLOT_BITS);
	table_next = 1;
	table_parts[OBJECT_CNODE] = (struct table_part){table_next, 2};
	table_give(table, RIGHT_ALL, 0, 0);
	table_move(object_at(OBJECT_CNODE, 9, 0));
	table_parts[OBJECT_VSPACE] = (struct table_part){table_next, 3};
	table_give(space.vspace, RIGHT_ALL, 0, 0);
	table_move(object_at(OBJECT_VSPACE, 0, 0));
	table_move(object_at(OBJECT_VSPACE, 0, 0));
	table_parts[OBJECT_IRQ_CONTROL] = (struct table_part){table_next, 1};
	table_give(INIT_SLOT_IRQ_CONTROL, RIGHT_ALL, 0, 0);
	table_parts[OBJECT_IO_PORTS] = (struct table_part){table_next, 1};
	table_give(INIT_SLOT_IO_PORTS, RIGHT_ALL, 0x80, 4);
	table_parts[OBJECT_CPU_TIME] = (struct table_part){table_next, cpu_count};
	for (unsigned i = 0; i < cpu_count; i++)
		table_give(INIT_SLOT_CPU_TIME + i, RIGHT_ALL, 500, PRIORITY_PLAY);
	table_fill(OBJECT_UNTYPED, CHUNK_BITS, 24, false);
	table_fill(OBJECT_ENDPOINT, 0, 3, true);
	table_fill(OBJECT_REPLY, 0, 4, true);
	table_fill(OBJECT_NOTIFICATION, 0, 3, true);
	table_fill(OBJECT_SCHED_CONTEXT, 0, 2, true);
	table_fill(OBJECT_MEMORY, 14, 4, false);
	table_fill(OBJECT_WINDOW, 0, 6, false);
}

/* ---- players ---- */

/* As it was meant to be; what players took away from each other comes back. False: it is no more. */
static bool player_restore(struct player *player)
{
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;
	cptr_t thread = player->thread;

	if (INVOKE(thread, THREAD_SUSPEND, 0).status != ERR_NONE)
		return false;
	INVOKE(thread, THREAD_SET_FOREIGN, 0);
	INVOKE(thread, THREAD_BIND, BIND_CSPACE, table);
	INVOKE(thread, THREAD_BIND, BIND_VSPACE, space.vspace);
	INVOKE(thread, THREAD_BIND, BIND_IPC_BUFFER, player->buffer);
	INVOKE(thread, THREAD_BIND, BIND_SCHED_CONTEXT, player->context);
	INVOKE(thread, THREAD_BIND, BIND_FAULT, faults);
	INVOKE(thread, THREAD_BIND, BIND_SYSCALL, faults);
	*registers = (struct thread_registers){.rip = (uint64_t)player_main,
	                                       .rsp = player->stack_top - 8,
	                                       .rflags = 0x202,
	                                       .rdi = (uint64_t)player};
	INVOKE(thread, THREAD_WRITE_REGISTERS, 0);
	return INVOKE(thread, THREAD_RESUME, 0).status == ERR_NONE;
}

/* Its thread and context are in the table, too; the supervisor has derived capabilities of them. */
static void player_make(unsigned number)
{
	struct player *player = &players[number];
	unsigned cpu = number % cpu_count;
	uint64_t at = PLAYER_AREA + number * PLAYER_SPAN;
	cptr_t thread = object_at(OBJECT_THREAD, 0, cpu), context = object_at(OBJECT_SCHED_CONTEXT, 0, cpu),
	       stack;

	player->thread = slot_new();
	player->context = slot_new();
	MUST(INIT_SLOT_CNODE, CNODE_DERIVE, player->thread, CPTR_NULL, thread, RIGHT_ALL);
	MUST(INIT_SLOT_CNODE, CNODE_DERIVE, player->context, CPTR_NULL, context, RIGHT_ALL);
	player->buffer = object_at(OBJECT_MEMORY, 14, 0);
	player->stack_top = at + 0x10000;
	stack = object_at(OBJECT_MEMORY, 14, 0);
	space_map(space, player->buffer, player->stack_top, 4, RIGHT_READ | RIGHT_WRITE);
	space_map(space, stack, player->stack_top - STACK_PAGES * PAGE_SIZE, STACK_PAGES,
	          RIGHT_READ | RIGHT_WRITE);
	MUST(INIT_SLOT_CPU_TIME + cpu, CPU_TIME_CONFIGURE, context, SLICE, SLICE);
	MUST(thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME + cpu, PRIORITY_PLAY - number % 2);
	player->state = draw(UINT64_MAX) | 1;
	player->calls = player->refused = 0;
	table_move(thread);
	table_move(context);
}

static void players_make(void)
{
	table_parts[OBJECT_THREAD] = (struct table_part){table_next, 2 * player_count};
	for (unsigned i = 0; i < player_count; i++)
		player_make(i);
	/* Those that run already may have deleted the next one's thread. */
	for (unsigned i = 0; i < player_count; i++)
		if (!player_restore(&players[i]) && i == 0)
			fail("the first player does not start", 0);
}

/* ---- a round ---- */

/* What a player did that was not allowed, or a foreign call of it: it begins anew. */
static void fault_answer(void)
{
	struct registers r = {.info = MESSAGE_INFO(REPLY_STOP, 0), .reply = reply};

	fault_count++;
	system_call(SYS_REPLY, &r);
}

/* Until then, or until somebody faults. */
static void look_after(uint64_t until)
{
	for (;;) {
		struct registers r = {.cap = faults, .reply = reply, .deadline = until};
		uint64_t status = system_call(SYS_RECV, &r), late = now();

		if (status == ERR_TIMEOUT) {
			late = late > until ? late - until : 0;
			if (late > latest)
				latest = late;
			if (late > LATE)
				fail("the supervisor came too late (ns)", late);
			return;
		}
		if (status != ERR_NONE)
			fail("receiving faults", status);
		fault_answer();
		if (now() >= until)
			return;
	}
}

/* Those that did nothing since the last time are brought back. How many are left? */
static unsigned players_revive(uint64_t *before)
{
	unsigned left = 0;

	for (unsigned i = 0; i < player_count; i++) {
		bool moved = players[i].calls != before[i];

		before[i] = players[i].calls;
		if (!moved)
			revivals++;
		if (moved || player_restore(&players[i]))
			left++;
	}
	return left;
}

static uint64_t tick_measure(void)
{
	uint64_t from = now();

	for (unsigned i = 0; i < TICK_CALLS; i++) {
		struct registers r = {0};

		system_call(SYS_YIELD, &r);
	}
	return now() - from + MILLISECOND / 2;
}

static void round_play(void)
{
	uint64_t before[PLAYERS_MAX] = {0};

	for (uint64_t tick = 0; tick < ticks; tick++) {
		look_after(now() + tick_time);
		if (players_revive(before) <= player_count / 4)
			return;
	}
}

static void round_run(void)
{
	pool_begin();
	tick_time = tick_measure();
	space = space_new();
	faults = object_new(OBJECT_ENDPOINT, 0);
	reply = object_new(OBJECT_REPLY, 0);
	table_make();
	players_make();
	round_play();
	if (!pool_end())
		fail("memory is left behind", 0);
	for (unsigned i = 0; i < player_count; i++) {
		total_calls += players[i].calls;
		total_refused += players[i].refused;
	}
}

/* ---- beginning and end ---- */

static uint64_t number_at(const char **text)
{
	uint64_t value = 0;

	while (**text >= '0' && **text <= '9')
		value = value * 10 + (uint64_t)(*(*text)++ - '0');
	return value;
}

static void parse(const char *line)
{
	static const char word[] = "fuzz=";
	unsigned matched = 0;

	seed = 1;
	rounds = 4;
	ticks = 40;
	for (; *line; line++) {
		matched = *line == word[matched] ? matched + 1 : *line == word[0];
		if (matched < sizeof(word) - 1)
			continue;
		line++;
		seed = number_at(&line);
		line += *line == ',';
		rounds = number_at(&line);
		line += *line == ',';
		ticks = number_at(&line);
		return;
	}
}

static void print_count(const char *before, uint64_t number, const char *after)
{
	print(before);
	print_number(number);
	print(after);
}

void test_main(const struct boot_info *info);
void test_main(const struct boot_info *info)
{
	uint64_t played = 0;

	boot = info;
	parse(info->command_line);
	print_count("fuzz=", seed, ",");
	print_count("", rounds, "\n");
	seed = seed * 0x9e3779b97f4a7c15ul | 1;
	setup("kernel tests", info);
	clock_start = boot->tsc_at_boot;
	clock_scale = (1000000000ul << 32) / boot->tsc_hz;
	cpu_count = (unsigned)boot->cpu_count;
	player_count = cpu_count * 4 < PLAYERS_MAX ? cpu_count * 4 : PLAYERS_MAX;
	while (played < rounds) {
		round_run();
		played++;
	}
	print_count("fuzz: ", total_calls, " system calls");
	print_count(" (", total_refused, " refused)");
	print_count(" in ", played, " rounds");
	print_count(" on ", cpu_count, " CPUs");
	print_count(", ", fault_count, " faults");
	print_count(", ", revivals, " revivals");
	print_count(", supervisor late by at most ", latest / 1000, " us\n");
	print("kernel tests: 1 passed, 0 failed\n");
	finish(0);
}
