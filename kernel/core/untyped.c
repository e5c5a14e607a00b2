/* SPDX-License-Identifier: MIT */
/*
 * Untyped memory. All its state is in its slot: the size of the chunks that it is cut into, which are used,
 * and which of the free ones are already zero. Clearing can be interrupted after any part of a chunk; what
 * was cleared is remembered in `progress`, for the lowest chunk that is neither used nor clean.
 */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/endpoint.h>
#include <kernel/io_space.h>
#include <kernel/lock.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>
#include <kernel/untyped.h>
#include <kernel/vspace.h>
#include <kernel/window.h>

#define UNTYPED_DEPTH   64 /* Untypeds cut from each other */
#define CNODE_BITS_MAX  37 /* 2^31 slots */
#define CHUNK_SPAN_BITS 6  /* log2(UNTYPED_CHUNKS) */
#define PROGRESS_BITS   20
#define UNIT_BITS       15 /* cleared between looks at pending interrupts */

/* ---- chunks ---- */

static uint64_t chunks_all(const struct slot *untyped, unsigned chunk_bits)
{
	unsigned count = 1u << (untyped->untyped.size_bits - chunk_bits);

	return count == UNTYPED_CHUNKS ? UINT64_MAX : (1ul << count) - 1;
}

enum error untyped_chunk_check(const struct slot *untyped, unsigned chunk_bits, uint64_t count)
{
	unsigned size_bits = untyped->untyped.size_bits;
	uint64_t free;

	if (untyped->flags & SLOT_DOOMED)
		return ERR_STATE;
	if (chunk_bits > size_bits || chunk_bits + CHUNK_SPAN_BITS < size_bits)
		return ERR_RANGE;
	if (untyped->chunks.used && chunk_bits != untyped->untyped.chunk_bits)
		return ERR_RANGE;
	free = chunks_all(untyped, chunk_bits) & ~untyped->chunks.used;
	return (uint64_t)__builtin_popcountl(free) < count ? ERR_NO_MEMORY : ERR_NONE;
}

static void untyped_cut(struct slot *untyped, unsigned chunk_bits)
{
	if (untyped->untyped.chunk_bits == chunk_bits)
		return;
	kernel_assert(!untyped->chunks.used);
	untyped->untyped.chunk_bits = (uint8_t)chunk_bits;
	untyped->untyped.progress = 0;
	untyped->chunks.clean = 0;
}

static unsigned chunk_lowest_free(const struct slot *untyped)
{
	return (unsigned)__builtin_ctzl(~untyped->chunks.used);
}

uint64_t untyped_take(struct slot *untyped, unsigned chunk_bits)
{
	unsigned index;

	untyped_cut(untyped, chunk_bits);
	index = chunk_lowest_free(untyped);
	if (!(untyped->chunks.clean >> index & 1))
		untyped->untyped.progress = 0;
	untyped->chunks.used |= 1ul << index;
	untyped->chunks.clean &= ~(1ul << index);
	return untyped->object + ((uint64_t)index << chunk_bits);
}

void untyped_give_back(struct slot *untyped, uint64_t physical)
{
	uint64_t bit = 1ul << ((physical - untyped->object) >> untyped->untyped.chunk_bits);

	if (untyped->flags & (SLOT_DOOMED | SLOT_DYING))
		return; /* it is going to be free as a whole */
	kernel_assert(untyped->chunks.used & bit);
	untyped->chunks.used &= ~bit;
	untyped->untyped.progress = 0; /* the lowest unclean chunk may be another one now */
}

/* Clear the next part of a chunk. True: the chunk is done. */
static bool untyped_clear_part(struct slot *untyped, unsigned index)
{
	unsigned chunk_bits = untyped->untyped.chunk_bits;
	unsigned unit_bits = chunk_bits > UNIT_BITS + PROGRESS_BITS ? chunk_bits - PROGRESS_BITS : UNIT_BITS;
	uint64_t offset = (uint64_t)untyped->untyped.progress << unit_bits;
	uint64_t chunk = untyped->object + ((uint64_t)index << chunk_bits);
	uint64_t size = chunk_bits < unit_bits ? 1ul << chunk_bits : 1ul << unit_bits;

	arch_memory_clear(phys_to_virt(chunk + offset), size);
	if (offset + size < 1ul << chunk_bits) {
		untyped->untyped.progress++;
		return false;
	}
	untyped->untyped.progress = 0;
	untyped->chunks.clean |= 1ul << index;
	return true;
}

/* Make the lowest free chunk zero. False: preempted. */
static bool untyped_clear(struct slot *untyped, unsigned chunk_bits)
{
	unsigned index;

	untyped_cut(untyped, chunk_bits);
	index = chunk_lowest_free(untyped);
	if (untyped->chunks.clean >> index & 1)
		return true;
	while (!untyped_clear_part(untyped, index)) {
		if (preempt_wanted())
			return false;
	}
	return true;
}

/* ---- retype ---- */

struct retype {
	unsigned type, size_bits, home; /* of each object */
	uint64_t count;
	struct slot *cnode;
	uint64_t first;
};

static enum error retype_decode_size(struct retype *retype, uint64_t word)
{
#define OBJECT(name, bits) [name] = bits,
	static const uint8_t fixed_bits[OBJECT_TYPE_COUNT] = {OBJECTS};
#undef OBJECT
	uint64_t type = word & 0xff, size_bits = word >> 8 & 0xff, home = word >> 16;

	if (type == OBJECT_NULL || (type > OBJECT_WINDOW && type != OBJECT_IO_SPACE))
		return ERR_ARGUMENT;
	if (home >= cpu_count)
		return ERR_RANGE;
	if (home && !type_has_home((unsigned)type))
		return ERR_ARGUMENT;
	if (type == OBJECT_IO_SPACE && !arch_io.end)
		return ERR_STATE;
	if (fixed_bits[type]) {
		if (size_bits)
			return ERR_ARGUMENT;
		size_bits = fixed_bits[type];
	}
	if (size_bits < UNTYPED_MIN_BITS || size_bits > 63)
		return ERR_RANGE;
	if (type == OBJECT_CNODE && size_bits > CNODE_BITS_MAX)
		return ERR_RANGE;
	if (type == OBJECT_MEMORY && size_bits < PAGE_BITS)
		return ERR_RANGE;
	retype->type = (unsigned)type;
	retype->size_bits = (unsigned)size_bits;
	retype->home = (unsigned)home;
	return ERR_NONE;
}

static enum error retype_check_slots(const struct retype *retype)
{
	for (uint64_t i = 0; i < retype->count; i++) {
		const struct slot *slot = cnode_slot(retype->cnode, retype->first + i);

		if (!slot)
			return ERR_RANGE;
		if (!slot_empty(slot))
			return ERR_OCCUPIED;
	}
	return ERR_NONE;
}

static unsigned untyped_depth(const struct slot *untyped)
{
	unsigned depth = 0;

	while (untyped && depth < UNTYPED_DEPTH) {
		untyped = slot_parent(untyped);
		depth++;
	}
	return depth;
}

static enum error retype_decode(struct thread *caller, struct slot *untyped, struct retype *retype)
{
	enum error error;

	if (!arguments_zero(caller, 4))
		return ERR_ARGUMENT;
	error = retype_decode_size(retype, argument(caller, 0));
	if (error)
		return error;
	retype->count = argument(caller, 1);
	retype->first = argument(caller, 3);
	if (retype->count <= caller->progress || retype->count > UNTYPED_CHUNKS)
		return ERR_ARGUMENT;
	if (retype->first > UINT32_MAX)
		return ERR_RANGE;
	retype->count -= caller->progress;
	retype->first += caller->progress;
	if (untyped->flags & SLOT_DEVICE && retype->type != OBJECT_MEMORY && retype->type != OBJECT_UNTYPED)
		return ERR_ARGUMENT;
	error = cspace_find_cnode(caller, argument(caller, 2), &retype->cnode);
	if (!error)
		error = retype_check_slots(retype);
	if (!error)
		error = untyped_chunk_check(untyped, retype->size_bits, retype->count);
	if (!error && retype->type == OBJECT_UNTYPED && untyped_depth(untyped) >= UNTYPED_DEPTH)
		error = ERR_LIMIT;
	return error;
}

/* Make the object in zeroed memory; fills in what the capability of this type has. */
static void object_make(struct slot *slot, const struct retype *retype, uint64_t physical)
{
	bool by_physical = retype->type == OBJECT_MEMORY || retype->type == OBJECT_UNTYPED;
	void *object = by_physical ? NULL : phys_to_virt(physical);

	slot->object = by_physical ? physical : (uint64_t)object;
	if (type_has_home(retype->type))
		slot->home = retype->home;
	switch (retype->type) {
	case OBJECT_UNTYPED:
		slot->untyped.size_bits = (uint8_t)retype->size_bits;
		break;
	case OBJECT_MEMORY:
		slot->pages = 1ul << (retype->size_bits - PAGE_BITS);
		break;
	case OBJECT_CNODE:
		slot->slots = 1u << (retype->size_bits - SLOT_BITS);
		break;
	case OBJECT_THREAD:
		thread_init(object, cpu_at(retype->home));
		break;
	case OBJECT_SCHED_CONTEXT:
		sched_context_init(object);
		break;
	case OBJECT_VSPACE:
		slot->object = (uint64_t)vspace_init(object);
		break;
	case OBJECT_IO_SPACE:
		slot->object = (uint64_t)io_space_init(object);
		break;
	case OBJECT_WINDOW:
		window_init(object);
		break;
	default:
		break; /* Endpoint, Reply, Notification: zero is their initial state */
	}
}

static void retype_one(struct slot *untyped, const struct retype *retype)
{
	struct slot *slot = cnode_slot(retype->cnode, retype->first);
	uint64_t physical = untyped_take(untyped, retype->size_bits);

	tree_write_begin();
	slot_set_child(slot, untyped, retype->type, RIGHT_ALL, 0);
	slot->flags = (uint8_t)(SLOT_ORIGINAL | (untyped->flags & SLOT_DEVICE));
	object_make(slot, retype, physical);
	tree_write_end();
}

/* progress: objects made. */
static unsigned untyped_retype(struct thread *caller, struct slot *untyped)
{
	uint64_t before = caller->progress;
	struct retype retype;
	enum error error = retype_decode(caller, untyped, &retype);

	for (; !error && retype.count; retype.count--, retype.first++, caller->progress++) {
		if (caller->progress > before && preempt_wanted())
			return STATUS_RESTART;
		if (!(untyped->flags & SLOT_DEVICE) && retype.type != OBJECT_UNTYPED &&
		    !untyped_clear(untyped, retype.size_bits))
			return STATUS_RESTART;
		retype_one(untyped, &retype);
	}
	return error;
}

static enum error untyped_info(struct thread *caller, const struct slot *untyped)
{
	if (!arguments_zero(caller, 0))
		return ERR_ARGUMENT;
	result(caller, 0, untyped->untyped.size_bits);
	result(caller, 1, untyped->chunks.used ? untyped->untyped.chunk_bits : 0);
	result(caller, 2, untyped->chunks.used);
	result(caller, 3, !!(untyped->flags & SLOT_DEVICE));
	result(caller, 4, untyped->rights & RIGHT_DMA ? untyped->object : 0);
	return ERR_NONE;
}

unsigned untyped_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	return operation == UNTYPED_RETYPE ? untyped_retype(caller, slot) : untyped_info(caller, slot);
}
