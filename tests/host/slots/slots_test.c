/* SPDX-License-Identifier: MIT */
/*
 * The object allocator against a model of the kernel's Untypeds that checks every rule: one chunk size until
 * all are free, at most 64 chunks, empty destination slots, and that nothing is deleted while something was
 * made of it.
 */
#include <stdlib.h>
#include <string.h>

#include <pith/slots.h>
#include <pith/startup.h>

#include "check.h"
#include "runtime.h"

#define CAPS 4096

static struct cap {
	int type; /* 0: empty */
	unsigned size_bits, chunk_bits, used;
	cptr_t parent;
} caps[CAPS];
static unsigned bytes_given, violations;
static struct startup info;

const struct startup *startup(void)
{
	return &info;
}

static void violation(const char *what)
{
	if (violations++ < 10)
		printf("rule broken: %s\n", what);
}

static unsigned bits_of(enum object_type type, unsigned size_bits)
{
	static const uint8_t fixed[OBJECT_TYPE_COUNT] = {
#define OBJECT(name, bits) [name] = bits,
	        OBJECTS
#undef OBJECT
	};
	return fixed[type] ? fixed[type] : size_bits;
}

enum error untyped_retype(cptr_t untyped, enum object_type type, unsigned size_bits, unsigned cpu,
                          unsigned count, cptr_t cnode, cptr_t slot)
{
	struct cap *parent = &caps[untyped];
	unsigned bits = bits_of(type, size_bits);
	if (parent->type != OBJECT_UNTYPED || count != 1 || cnode != CPTR_NULL || cpu)
		violation("not an Untyped");
	if (slot >= info.slot_count || caps[slot].type)
		violation("the destination is in use");
	if (bits > parent->size_bits || parent->size_bits - bits > 6)
		violation("sizes differ too much");
	if (parent->used && parent->chunk_bits != bits)
		violation("another chunk size");
	if (parent->used == 1u << (parent->size_bits - bits))
		return ERR_NO_MEMORY;
	parent->chunk_bits = bits;
	parent->used++;
	caps[slot] = (struct cap){.type = (int)type, .size_bits = bits, .parent = untyped};
	return ERR_NONE;
}

enum error capability_delete(cptr_t slot)
{
	if (!caps[slot].type)
		violation("deleting an empty slot");
	if (caps[slot].used)
		violation("deleting an Untyped that is in use");
	caps[caps[slot].parent].used--;
	caps[slot].type = 0;
	return ERR_NONE;
}

static void give(cptr_t slot, unsigned bits)
{
	caps[slot] = (struct cap){.type = OBJECT_UNTYPED, .size_bits = bits};
	info.entries[info.entry_count++] = (struct startup_entry){
	        .name = "memory", .kind = STARTUP_UNTYPED, .slot = slot, .size = 1ul << bits};
	bytes_given += 1u << bits;
}

static void test_random(void)
{
	static const struct {
		enum object_type type;
		unsigned bits;
	} kinds[] = {{OBJECT_REPLY, 0},         {OBJECT_NOTIFICATION, 0}, {OBJECT_WINDOW, 0},
	             {OBJECT_SCHED_CONTEXT, 0}, {OBJECT_THREAD, 0},       {OBJECT_VSPACE, 0},
	             {OBJECT_UNTYPED, 14},      {OBJECT_MEMORY, 12},      {OBJECT_MEMORY, 16},
	             {OBJECT_CNODE, 12}};
	cptr_t live[600];
	unsigned count = 0, failures = 0;
	uint64_t start = object_bytes_free();
	CHECK(start == bytes_given);
	for (int step = 0; step < 60000; step++) {
		bool grow = step % 20000 < 12000;
		if (count < 600 && rand() % 10 < (grow ? 7 : 3)) {
			unsigned k = (unsigned)rand() % 10;
			cptr_t slot = kinds[k].type == OBJECT_UNTYPED
			                      ? object_untyped(kinds[k].bits)
			                      : object_create(kinds[k].type, kinds[k].bits);
			failures += slot == CPTR_NULL;
			if (slot != CPTR_NULL) {
				CHECK(caps[slot].type == (int)kinds[k].type);
				live[count++] = slot;
			}
		} else if (count) {
			unsigned i = (unsigned)rand() % count;
			object_destroy(live[i]);
			live[i] = live[--count];
		}
	}
	while (count)
		object_destroy(live[--count]);
	CHECK(object_bytes_free() == start);
	CHECK(violations == 0);
	/* Everything can be had again in one piece after whatever happened. */
	cptr_t large = object_create(OBJECT_MEMORY, 20);
	CHECK(large != CPTR_NULL);
	object_destroy(large);
	printf("%u allocations were refused for lack of memory\n", failures);
}

/* All of a small Untyped can be used, whatever the mix allows. */
static void test_exhaust(void)
{
	cptr_t live[CAPS];
	unsigned count = 0;
	while (count < CAPS && (live[count] = object_create(OBJECT_THREAD, 0)) != CPTR_NULL)
		count++;
	/* 1 MiB + 64 KiB + 16 KiB in threads of 2 KiB */
	CHECK(count == bytes_given / 2048);
	CHECK(object_create(OBJECT_REPLY, 0) == CPTR_NULL);
	object_destroy(live[--count]);
	CHECK(object_create(OBJECT_THREAD, 0) != CPTR_NULL);
	CHECK(violations == 0);
}

static uint8_t memory[64 * PAGE_SIZE] __attribute__((aligned(4096)));

int main(void)
{
	srand(5);
	info.first_free_slot = 10;
	info.slot_count = 1500;
	give(2, 20);
	give(3, 16);
	give(4, 14);
	heap_init((uint64_t)memory, sizeof(memory));
	test_random();
	test_exhaust();
	return checks_report();
}
