/* SPDX-License-Identifier: MIT */
/* Worlds of random operations: their beginning, their steps, and the end, when nothing may be left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kernel/irq.h>
#include <kernel/notification.h>

#include "compare.h"
#include "fake.h"
#include "fake_io.h"
#include "generate.h"

#define ROOT_BITS   20
#define CHUNK_BITS  14
#define DEVICE_BITS (LARGE_PAGE_BITS + 1)
#define PLAYERS     6

struct generate_statistics generate_statistics;
uint64_t (*generate_draw)(uint64_t below);

static cptr_t root, table, bell, players[PLAYERS], table_next;
static struct slot *table_slots;
static struct thread *init;

struct slot *table_slot(cptr_t cap)
{
	return table_slots + cap;
}

static void give_up(const char *what, uint64_t status)
{
	fprintf(stderr, "generate: %s: %lu\n%s", what, status, fake_log);
	abort();
}

static void must_(uint64_t status, const char *what)
{
	if (status != ERR_NONE)
		give_up(what, status);
}
#define must(cap, operation, ...) must_(INVOKE(cap, operation, ##__VA_ARGS__), #operation)

/* ---- the beginning ---- */

static cptr_t root_find(void)
{
	cptr_t slot = new_slot();

	for (cptr_t i = INIT_SLOT_UNTYPED; i < INIT_SLOT_UNTYPED + BOOT_INFO_UNTYPEDS; i++) {
		const struct slot *from = init_slot_at(i);

		if (from->type != OBJECT_UNTYPED || from->flags & SLOT_DEVICE || from->chunks.used)
			continue;
		if (from->untyped.size_bits == ROOT_BITS)
			must(INIT_SLOT_CNODE, CNODE_MOVE, slot, CPTR_NULL, i);
		else if (from->untyped.size_bits > ROOT_BITS && from->untyped.size_bits <= ROOT_BITS + 6)
			must(i, UNTYPED_RETYPE, OBJECT_UNTYPED | ROOT_BITS << 8, 1, CPTR_NULL, slot);
		else
			continue;
		return slot;
	}
	give_up("no Untyped for the root", 0);
	return CPTR_NULL;
}

static cptr_t take_at(cptr_t untyped, uint64_t type, uint64_t bits, uint64_t home)
{
	cptr_t slot = new_slot();

	must(untyped, UNTYPED_RETYPE, type | bits << 8 | home << 16, 1, CPTR_NULL, slot);
	return slot;
}

/* Device memory, for large pages: the root has no room for them. */
static cptr_t device_find(void)
{
	for (cptr_t i = INIT_SLOT_UNTYPED; i < INIT_SLOT_UNTYPED + BOOT_INFO_UNTYPEDS; i++) {
		const struct slot *slot = init_slot_at(i);

		if (slot->type == OBJECT_UNTYPED && slot->flags & SLOT_DEVICE &&
		    slot->untyped.size_bits >= DEVICE_BITS && slot->untyped.size_bits <= DEVICE_BITS + 6)
			return i;
	}
	give_up("no device memory", 0);
	return CPTR_NULL;
}

static cptr_t take(cptr_t untyped, uint64_t type, uint64_t bits)
{
	return take_at(untyped, type, bits, 0);
}

/* init's capability becomes the players'. */
static void hand_over(cptr_t cap)
{
	must(table, CNODE_MOVE, table_next++, CPTR_NULL, cap);
}

static void table_give(cptr_t slot, cptr_t from)
{
	must(table, CNODE_DERIVE, slot, CPTR_NULL, from, RIGHT_ALL);
}

static void table_make(void)
{
	table = make(OBJECT_CNODE, TABLE_BITS + SLOT_BITS);
	table_slots = slot_object(init_slot_at(table));
	table_next = TABLE_FREE;
	table_give(TABLE_CNODE, table);
	table_give(TABLE_VSPACE, INIT_SLOT_VSPACE);
	table_give(TABLE_IRQ_CONTROL, INIT_SLOT_IRQ_CONTROL);
	table_give(TABLE_IO_PORTS, INIT_SLOT_IO_PORTS);
	if (arch_io.end)
		table_give(TABLE_IO_SPACE_CONTROL, INIT_SLOT_IO_SPACE_CONTROL);
	for (cptr_t i = 0; i < world_cpus; i++)
		table_give(TABLE_CPU_TIME + i, INIT_SLOT_CPU_TIME + i);
}

/* A thread that can do something, of which init keeps a capability. */
static cptr_t player_make(unsigned number)
{
	cptr_t chunk = take(root, OBJECT_UNTYPED, CHUNK_BITS), page = take(chunk, OBJECT_UNTYPED, 12);
	cptr_t small = take(chunk, OBJECT_UNTYPED, 12), buffer = take(chunk, OBJECT_MEMORY, 12);
	cptr_t home = number % world_cpus, thread = take_at(page, OBJECT_THREAD, 0, home);
	cptr_t context = take_at(small, OBJECT_SCHED_CONTEXT, 0, home);
	cptr_t mine = new_slot();

	must(INIT_SLOT_CNODE, CNODE_DERIVE, mine, CPTR_NULL, thread, RIGHT_ALL);
	must(thread, THREAD_BIND, BIND_CSPACE, table);
	must(thread, THREAD_BIND, BIND_VSPACE, INIT_SLOT_VSPACE);
	must(thread, THREAD_BIND, BIND_IPC_BUFFER, buffer);
	must(INIT_SLOT_CPU_TIME + home, CPU_TIME_CONFIGURE, context, 20000, 20000);
	must(thread, THREAD_BIND, BIND_SCHED_CONTEXT, context);
	must(thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME + home, 100 + number % 2);
	must(thread, THREAD_RESUME);
	hand_over(thread);
	hand_over(context);
	hand_over(buffer);
	hand_over(page);
	hand_over(small);
	hand_over(chunk);
	return mine;
}

/* Untypeds of several sizes, and some of what players ask each other with. */
static void objects_make(void)
{
	static const uint8_t small[] = {OBJECT_ENDPOINT, OBJECT_ENDPOINT,    OBJECT_REPLY,
	                                OBJECT_REPLY,    OBJECT_REPLY,       OBJECT_NOTIFICATION,
	                                OBJECT_REPLY,    OBJECT_NOTIFICATION};
	cptr_t chunk = take(root, OBJECT_UNTYPED, CHUNK_BITS), part = take(chunk, OBJECT_UNTYPED, 12);

	for (unsigned i = 0; i < sizeof(small); i++)
		hand_over(take_at(part, small[i], 0, draw(world_cpus)));
	hand_over(part);
	part = take(chunk, OBJECT_UNTYPED, 12);
	hand_over(take(part, OBJECT_WINDOW, 0));
	hand_over(take(part, OBJECT_SCHED_CONTEXT, 0));
	hand_over(part);
	hand_over(take(chunk, OBJECT_UNTYPED, 12));
	hand_over(chunk);
	for (unsigned i = 0; i < 20; i++)
		hand_over(take(root, OBJECT_UNTYPED, CHUNK_BITS));
	hand_over(take(root, OBJECT_MEMORY, CHUNK_BITS));
	hand_over(take(device_find(), OBJECT_MEMORY, DEVICE_BITS));
	chunk = take(root, OBJECT_UNTYPED, CHUNK_BITS);
	hand_over(take(chunk, OBJECT_VSPACE, 0));
	if (arch_io.end)
		hand_over(take(chunk, OBJECT_IO_SPACE, 0));
	hand_over(chunk);
}

/* Only end and revival of the world wake init. */
static void init_waits(void)
{
	act(0);
	fake_interrupt_every = 0;
	enter(SYS_WAIT, &(struct call){.cap = bell, .deadline = DEADLINE_NEVER});
}

static void init_wakes(void)
{
	act(0);
	world_waits = true;
	fake_interrupt_every = 0;
	notification_signal(slot_object(init_slot_at(bell)), 1);
	interrupt();
	settle();
	if (running() != init)
		give_up("init does not run", init->state);
}

void generate_begin(void)
{
	unsigned check_every = fake_check_every;

	/* What every world begins with needs no check after each step. */
	fake_check_every = UINT32_MAX;
	world_cpus = 1 + (unsigned)draw(GENERATE_CPUS);
	world_io_level = draw(4) ? 2 + (unsigned)draw(2) : 0;
	world_tags = draw(2);
	act(0);
	world_waits = true;
	world_boot_small();
	generate_statistics.worlds++;
	init = running();
	bell = make(OBJECT_NOTIFICATION, 0);
	root = root_find();
	table_make();
	for (unsigned i = 0; i < PLAYERS; i++)
		players[i] = player_make(i);
	objects_make();
	fake_check_every = check_every;
	init_waits();
}

/* ---- steps ---- */

/* Players that wait for ever, or were stopped, get another chance. */
static void players_revive(void)
{
	init_wakes();
	for (unsigned i = 0; i < PLAYERS; i++) {
		if (slot_empty(init_slot_at(players[i])))
			continue;
		INVOKE(players[i], THREAD_SUSPEND);
		INVOKE(players[i], THREAD_SET_FOREIGN, 0);
		INVOKE(players[i], THREAD_BIND, BIND_CSPACE, table);
		INVOKE(players[i], THREAD_BIND, BIND_VSPACE, INIT_SLOT_VSPACE);
		INVOKE(players[i], THREAD_RESUME);
	}
	init_waits();
	for (unsigned i = 0; i < 5 && !running(); i++)
		pass(30000);
}

/* Devices do as they like, mostly at addresses where something is mapped. */
static void devices_run(uint64_t accesses)
{
	uint64_t from = playground();

	for (uint64_t i = 0; fake_io_attached() && i < accesses; i++)
		generate_statistics.accesses +=
		        !!fake_io_dma((unsigned)draw(FAKE_REQUESTERS), from + i * PAGE_SIZE, i % 2);
}

/* So do programs on all CPUs. */
static void programs_run(void)
{
	uint64_t address = playground();

	for (unsigned cpu = 0; cpu < world_cpus; cpu++)
		tlb_touch(cpu, address, draw(2));
}

static void meanwhile(void)
{
	devices_run(1);
	programs_run();
}

/* A CPU with something to do: its mail, or a thread. */
static bool somebody_acts(void)
{
	for (unsigned i = 0, first = (unsigned)draw(world_cpus); i < world_cpus; i++) {
		act((first + i) % world_cpus);
		if (running())
			return true;
		deliver();
		if (!running())
			pass(30000);
		if (running())
			return true;
	}
	act(0);
	return false;
}

/* Mail may wait a little. */
static void somebody_delivers(void)
{
	unsigned acts = fake_cpu;

	act((unsigned)draw(world_cpus));
	deliver();
	act(acts);
}

bool generate_step(void)
{
	generate_statistics.operations++;
	generate_statistics.with_cpus[world_cpus]++;
	world_waits = false;
	fake_meanwhile = meanwhile;
	if (world_cpus > 1)
		somebody_delivers();
	if (!somebody_acts())
		players_revive();
	world_waits = false;
	if (!running()) {
		generate_statistics.stuck++;
		return false;
	}
	devices_run(16);
	fake_interrupt_every = draw(3) ? 0 : 1 + (unsigned)draw(4);
	/* Its code may have been changed while it was interrupted: then it makes another call. */
	if (restarts(running()) && draw_one_in(10))
		running()->context.rip = CALL_IP;
	if (restarts(running()))
		call_again();
	else if (draw_one_in(40))
		fault(draw(2) ? 0 : playground(), FAULT_WRITE);
	else if (draw_one_in(10))
		pass(draw(20000));
	else
		generate_call();
	programs_run();
	tlb_check();
	return true;
}

/* ---- the end ---- */

static void require_(bool condition, const char *what)
{
	if (!condition)
		give_up(what, 0);
}
#define require(condition) require_(condition, #condition)

static bool in_root(const struct slot *slot)
{
	bool by_physical = slot->type == OBJECT_MEMORY || slot->type == OBJECT_UNTYPED;
	uint64_t address = by_physical ? slot->object : virt_to_phys((void *)slot->object);

	return address - init_slot_at(root)->object < 1ul << ROOT_BITS;
}

void generate_end(void)
{
	const struct slot *slot;

	fake_meanwhile = NULL;
	init_wakes();
	must(INIT_SLOT_CNODE, CNODE_REVOKE, root);
	require(init_slot_at(root)->chunks.used == 0);
	must(INIT_SLOT_CNODE, CNODE_REVOKE, INIT_SLOT_IRQ_CONTROL);
	must(INIT_SLOT_CNODE, CNODE_DELETE, table);
	for (slot = slot_forest.child; slot; slot = slot_next_below(slot, &slot_forest))
		require(slot == init_slot_at(root) || !in_root(slot));
	for (unsigned i = 0; i < ARCH_IRQ_COUNT; i++)
		require(!irqs[i].used);
	require(!fake_io_attached() && fake_io_sound());
	invariants_check_all();
	generate_statistics.compared = compare_count;
}
