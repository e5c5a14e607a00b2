/* SPDX-License-Identifier: MIT */
/* TLBs with tags (PCIDs, which no emulator has): the table of them, and spaces that are left, changed and
 * loaded again. */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "fake.h"
#include "units.h"
#include "world.h"

#define RW (RIGHT_READ | RIGHT_WRITE)
#define AT 0x40000000ul

/* ---- the table alone, with random spaces ---- */

#define SPACES 9 /* more than tags */
#define CPUS   3
#define STEPS  200000

/* What a space's only page means now, and since which generation at the latest. */
static struct {
	uint64_t meaning, edited;
} spaces[SPACES];
static struct {
	struct tags tags;
	uint64_t flushed;
	unsigned tag, space;    /* loaded; tag 0: none */
	uint64_t tlb[TAGS + 1]; /* what it knows of the page by each tag; 0: nothing */
} cpus[CPUS];
static uint64_t generation, meanings, kept;

static uint64_t root_of(unsigned space)
{
	return (space + 1) * PAGE_SIZE;
}

static void step_load(unsigned cpu, unsigned space)
{
	uint64_t before = generation;
	bool stale;

	tags_leave(&cpus[cpu].tags, cpus[cpu].flushed);
	cpus[cpu].tag = tags_load(&cpus[cpu].tags, root_of(space), spaces[space].edited, &stale);
	CHECK(cpus[cpu].tag >= 1 && cpus[cpu].tag <= TAGS);
	if (stale)
		cpus[cpu].tlb[cpus[cpu].tag] = 0;
	kept += cpus[cpu].tlb[cpus[cpu].tag] != 0;
	cpus[cpu].space = space;
	cpus[cpu].flushed = before;
}

static void step_leave(unsigned cpu)
{
	tags_leave(&cpus[cpu].tags, cpus[cpu].flushed);
	cpus[cpu].tag = 0;
}

/* The page means something else; CPUs that have the space loaded are visited. */
static void step_edit(unsigned space)
{
	spaces[space].meaning = ++meanings;
	spaces[space].edited = ++generation;
	for (unsigned i = 0; i < CPUS; i++) {
		if (!cpus[i].tag || cpus[i].space != space)
			continue;
		cpus[i].tlb[cpus[i].tag] = 0;
		cpus[i].flushed = generation;
	}
}

/* Deleted, where nobody has it loaded, and its root is another space's. */
static void step_replace(unsigned space)
{
	for (unsigned i = 0; i < CPUS; i++)
		if (cpus[i].tag && cpus[i].space == space)
			return;
	spaces[space].meaning = ++meanings;
	spaces[space].edited = ++generation;
}

/* User mode: what the TLB knows it uses, what it does not know it walks for. */
static void step_use(unsigned cpu)
{
	uint64_t *known = &cpus[cpu].tlb[cpus[cpu].tag];

	if (!cpus[cpu].tag)
		return;
	CHECK(!*known || *known == spaces[cpus[cpu].space].meaning);
	*known = spaces[cpus[cpu].space].meaning;
}

static void test_random(void)
{
	srandom(1);
	for (unsigned i = 0; i < SPACES; i++)
		step_replace(i);
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned cpu = (unsigned)random() % CPUS, space = (unsigned)random() % SPACES;

		switch (random() % 8) {
		case 0:
			step_edit(space);
			break;
		case 1:
			step_replace(space);
			break;
		case 2:
			step_leave(cpu);
			break;
		default:
			step_load(cpu, space);
			step_use(cpu);
		}
	}
	CHECK(kept > STEPS / 10);
}

/* ---- in the kernel ---- */

static struct thread *init, *other;
static cptr_t window, memory, other_thread, other_space;
static uint64_t physical;

static void map_page(cptr_t space)
{
	memory = make(OBJECT_MEMORY, PAGE_BITS);
	physical = init_slot_at(memory)->object;
	window = make(OBJECT_WINDOW, 0);
	CHECK(INVOKE(space, VSPACE_FEED, make(OBJECT_UNTYPED, 18), 18) == ERR_NONE);
	CHECK(INVOKE(window, WINDOW_BIND, memory, space, RW) == ERR_NONE);
	CHECK(INVOKE(window, WINDOW_MAP, AT, 0, 1, RW) == ERR_NONE);
}

static void other_space_make(void)
{
	other_space = make(OBJECT_VSPACE, 0);
	CHECK(INVOKE(other_thread, THREAD_BIND, BIND_VSPACE, other_space) == ERR_NONE);
}

/* `other` has a space of its own, init's has a page. */
static void begin(void)
{
	world_tags = true;
	world_boot();
	init = running();
	map_page(INIT_SLOT_VSPACE);
	tlb_touch(fake_cpu, AT, false);
	other_thread = make_thread(PRIORITY_MAX);
	other = thread_at(other_thread);
	other_space_make();
}

static void end(void)
{
	world_tags = false;
}

static void test_kept(void)
{
	begin();
	CHECK(tlb_find(AT) == physical);
	run(other);
	CHECK(tlb_find(AT) == 0);
	run(init);
	CHECK(tlb_find(AT) == physical);
	end();
}

static void test_changed_while_away(void)
{
	begin();
	run(other);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, window) == ERR_NONE);
	run(init);
	CHECK(tlb_find(AT) == 0);
	tlb_check();
	end();
}

/* A TLB that remembers the deleted space must not take the new one for it. */
static void test_root_used_again(void)
{
	uint64_t root;

	begin();
	root = init_slot_at(other_space)->object;
	map_page(other_space);
	run(other);
	tlb_touch(fake_cpu, AT, false);
	CHECK(tlb_find(AT) == physical);
	run(init);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, other_space) == ERR_NONE);
	other_space_make();
	CHECK(init_slot_at(other_space)->object == root);
	CHECK(INVOKE(other_thread, THREAD_RESUME) == ERR_NONE);
	run(other);
	CHECK(running() == other && tlb_find(AT) == 0);
	end();
}

unsigned units_tags(unsigned *passed)
{
	test_random();
	test_kept();
	test_changed_while_away();
	test_root_used_again();
	*passed += checks_passed;
	return checks_failed;
}
