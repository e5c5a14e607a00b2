/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of retyping (kernel/core/untyped.c), for every Untyped and all arguments: chunks that are
 * cut never overlap and lie in it, and what counts as clean stays zero (docs/invariants.md 6 and 7).
 * Of clearing, arch_memory_clear() is seen by its contract, and each part of a chunk is one step.
 *
 * One byte of the Untyped's memory, any one, is watched: `zero` is what is known of it.
 */
#include "proof.h"

/* The contract: this memory is zero afterwards, and nothing else has changed. */
static void clear_by_contract(uint64_t physical, uint64_t size);
#define arch_memory_clear(memory, size) clear_by_contract(chunk + offset, size)
#include "kernel/core/untyped.c"
#undef arch_memory_clear

#ifndef OP
#define OP any_below(6)
#endif
#define SLOTS 4

struct slot nondet_slot(void);

unsigned cpu_count;
struct arch_io arch_io;

static uint64_t watched;
static bool zero;
static struct slot untyped;

/* ---- what must be so of an Untyped ---- */

static uint64_t size_of(unsigned bits)
{
	return 1ul << bits;
}

static unsigned chunk_of(uint64_t physical, unsigned chunk_bits)
{
	return (unsigned)((physical - untyped.object) >> chunk_bits);
}

static bool is_in(uint64_t physical, uint64_t start, uint64_t size)
{
	return physical >= start && physical - start < size;
}

/* Clearing has come so far in the chunk that it is at; by the definition of slot.h. */
static uint64_t cleared_bytes(void)
{
	unsigned bits = untyped.untyped.chunk_bits;

	return (uint64_t)untyped.untyped.progress << (bits > 35 ? bits - 20 : 15);
}

static void check_untyped(void)
{
	unsigned size_bits = untyped.untyped.size_bits, chunk_bits = untyped.untyped.chunk_bits, index;
	uint64_t used = untyped.chunks.used, clean = untyped.chunks.clean, count;

	require(size_bits >= UNTYPED_MIN_BITS && size_bits < 52);
	require(!(untyped.object & (size_of(size_bits) - 1)) &&
	        untyped.object < size_of(52) - size_of(size_bits));
	if (!chunk_bits) {
		require(!used && !clean && !untyped.untyped.progress);
		return;
	}
	require(chunk_bits <= size_bits && chunk_bits + 6 >= size_bits);
	count = size_of(size_bits - chunk_bits);
	require(count == 64 || (!(used >> count) && !(clean >> count)));
	require(!(used & clean));
	require(cleared_bytes() < size_of(chunk_bits));
	index = chunk_of(watched, chunk_bits);
	require(!(clean >> index & 1) || zero);
	/* The first that is neither used nor clean is cleared up to here. */
	if (!((used | clean) >> index & 1) && !(~(used | clean) & (size_of(index) - 1)))
		require((watched & (size_of(chunk_bits) - 1)) >= cleared_bytes() || zero);
}

static void make_any_untyped(void)
{
	untyped = nondet_slot();
	watched = nondet_u64();
	zero = nondet_bool();
	untyped.flags &= SLOT_DEVICE | SLOT_DOOMED | SLOT_ORIGINAL;
	assume(untyped.untyped.size_bits < 52);
	assume(is_in(watched, untyped.object, size_of(untyped.untyped.size_bits)));
	proof_assuming = true;
	check_untyped();
	proof_assuming = false;
}

static unsigned count_ones(uint64_t bits, unsigned end)
{
	unsigned ones = 0;

	for (unsigned i = 0; i < 64; i++)
		ones += i < end && (bits >> i & 1);
	return ones;
}

/* ---- the operations ---- */

static void prove_chunk_check(void)
{
	unsigned bits = any_below(64), size_bits = untyped.untyped.size_bits;
	uint64_t count = nondet_u64();
	enum error error = untyped_chunk_check(&untyped, bits, count);
	unsigned all = bits <= size_bits && bits + 6 >= size_bits ? 1u << (size_bits - bits) : 0;

	if (untyped.flags & SLOT_DOOMED)
		prove(error == ERR_STATE);
	else if (!all || (untyped.chunks.used && bits != untyped.untyped.chunk_bits))
		prove(error == ERR_RANGE);
	else
		prove(error == (count <= count_ones(~untyped.chunks.used, all) ? ERR_NONE : ERR_NO_MEMORY));
}

/* Cut one chunk after a check. */
static void prove_take(void)
{
	unsigned bits = any_below(64), other = any_below(64), index;
	uint64_t used = untyped.chunks.used, physical;

	assume(untyped_chunk_check(&untyped, bits, 1) == ERR_NONE);
	assume(bits >= UNTYPED_MIN_BITS);
	physical = untyped_take(&untyped, bits);
	prove(is_in(physical, untyped.object, size_of(untyped.untyped.size_bits)));
	prove(!(physical & (size_of(bits) - 1)) && untyped.untyped.chunk_bits == bits);
	index = chunk_of(physical, bits);
	prove(index < 64 && !(used >> index & 1));
	prove(untyped.chunks.used == (used | size_of(index)));
	/* The lowest, which is what was cleared. */
	prove(other >= index || used >> other & 1);
}

static void prove_give_back(void)
{
	uint64_t used = untyped.chunks.used, clean = untyped.chunks.clean, physical = nondet_u64();
	unsigned index;

	assume(untyped.untyped.chunk_bits &&
	       is_in(physical, untyped.object, size_of(untyped.untyped.size_bits)));
	index = chunk_of(physical, untyped.untyped.chunk_bits);
	assume(used >> index & 1);
	/* Whatever was there may be anything now. */
	if (chunk_of(watched, untyped.untyped.chunk_bits) == index)
		zero = false;
	untyped_give_back(&untyped, physical);
	prove(untyped.chunks.used == (untyped.flags & SLOT_DOOMED ? used : used & ~size_of(index)));
	prove(untyped.chunks.clean == clean);
}

static uint64_t cleared_from, cleared_to;

static void clear_by_contract(uint64_t physical, uint64_t size)
{
	cleared_from = physical;
	cleared_to = physical + size;
	if (is_in(watched, physical, size))
		zero = true;
}

/* The next part of the lowest chunk that is free: it comes nearer to the end, and calls clean what is zero.
 */
static void prove_clear(void)
{
	unsigned bits = untyped.untyped.chunk_bits, index, progress = untyped.untyped.progress;
	uint64_t used = untyped.chunks.used, clean = untyped.chunks.clean, start;
	bool done;

	assume(untyped_chunk_check(&untyped, bits, 1) == ERR_NONE && bits >= UNTYPED_MIN_BITS);
	index = chunk_lowest_free(&untyped);
	assume(!(clean >> index & 1));
	start = untyped.object + ((uint64_t)index << bits);
	done = untyped_clear_part(&untyped, index);
	prove(cleared_from >= start && cleared_from < cleared_to && cleared_to <= start + size_of(bits));
	prove(untyped.chunks.used == used && untyped.chunks.clean == (clean | (done ? size_of(index) : 0)));
	prove(done == (cleared_to == start + size_of(bits)));
	prove(untyped.untyped.progress == (done ? 0 : progress + 1));
	prove(done || cleared_bytes() == cleared_to - start);
}

/* What was asked for: any word at all. */
static void prove_sizes(void)
{
	uint64_t word = nondet_u64();
	struct retype retype;

	cpu_count = any_below(CPU_MAX) + 1;
	arch_io.end = nondet_u64();
	if (retype_decode_size(&retype, word))
		return;
	prove(retype.type == (word & 0xff) && retype.type < OBJECT_TYPE_COUNT && retype.type != OBJECT_NULL);
	prove(retype.size_bits >= UNTYPED_MIN_BITS && retype.size_bits < 64);
	prove(retype.home < cpu_count && (!retype.home || type_has_home(retype.type)));
	switch (retype.type) {
	case OBJECT_UNTYPED:
		break;
	case OBJECT_CNODE:
		prove(size_of(retype.size_bits) / sizeof(struct slot) <= UINT32_MAX);
		prove(retype.size_bits >= SLOT_BITS + 1);
		break;
	case OBJECT_MEMORY:
		prove(retype.size_bits >= PAGE_BITS);
		break;
	case OBJECT_THREAD:
		prove(size_of(retype.size_bits) >= sizeof(struct thread));
		break;
	case OBJECT_SCHED_CONTEXT:
		prove(size_of(retype.size_bits) >= sizeof(struct sched_context));
		break;
	case OBJECT_ENDPOINT:
		prove(size_of(retype.size_bits) >= sizeof(struct endpoint));
		break;
	case OBJECT_REPLY:
		prove(size_of(retype.size_bits) >= sizeof(struct reply));
		break;
	case OBJECT_NOTIFICATION:
		prove(size_of(retype.size_bits) >= sizeof(struct notification));
		break;
	case OBJECT_VSPACE:
		prove(size_of(retype.size_bits) >= PAGE_SIZE + sizeof(struct vspace));
		break;
	case OBJECT_WINDOW:
		prove(size_of(retype.size_bits) >= sizeof(struct window));
		break;
	case OBJECT_IO_SPACE:
		prove(size_of(retype.size_bits) >= PAGE_SIZE + sizeof(struct io_space));
		break;
	default:
		prove(!"no other type is made");
	}
}

/* The slots that objects are put into: all of them exist and are empty, or nothing is done. */
static void prove_slots(void)
{
	struct slot cnode = nondet_slot(), *slots = malloc(SLOTS * sizeof(struct slot));
	struct retype retype = {.cnode = &cnode, .first = nondet_u64(), .count = nondet_u64()};
	uint64_t any = nondet_u64();

	cnode.object = (uint64_t)slots;
	assume(cnode.slots <= SLOTS);
	assume(retype.first <= UINT32_MAX && retype.count <= UNTYPED_CHUNKS);
	if (retype_check_slots(&retype))
		return;
	assume(any < retype.count);
	prove(retype.first + any < cnode.slots && retype.first + any > 0);
	prove(slot_empty(&slots[retype.first + any]));
}

int main(void)
{
	if (OP < 3 || OP == 5)
		make_any_untyped();
	switch (OP) {
	case 0:
		prove_chunk_check();
		break;
	case 1:
		prove_take();
		break;
	case 2:
		prove_give_back();
		break;
	case 3:
		prove_sizes();
		break;
	case 4:
		prove_slots();
		break;
	default:
		prove_clear();
		break;
	}
	if (OP < 3 || OP == 5)
		check_untyped();
	return 0;
}
