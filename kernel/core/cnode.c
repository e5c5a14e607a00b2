/* SPDX-License-Identifier: MIT */
/* CNodes: finding capabilities, and deriving, moving and deleting them. */
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/cpu_time.h>
#include <kernel/delete.h>
#include <kernel/lock.h>
#include <kernel/syscall.h>

enum error cspace_find(const struct thread *thread, uint64_t index, unsigned type, unsigned rights,
                       struct slot **out)
{
	struct slot *slot = cspace_lookup(thread, index);

	if (!slot)
		return ERR_NO_CAPABILITY;
	if (slot->type != type)
		return ERR_WRONG_TYPE;
	if ((slot->rights & rights) != rights)
		return ERR_RIGHTS;
	*out = slot;
	return ERR_NONE;
}

enum error cspace_find_source(const struct thread *thread, uint64_t index, unsigned type, unsigned rights,
                              struct slot **out)
{
	enum error error = cspace_find(thread, index, type, rights, out);

	return !error && (*out)->flags & SLOT_DOOMED ? ERR_NO_CAPABILITY : error;
}

static void slot_copy(const struct slot *slot, struct capability *out)
{
	out->header = __atomic_load_n((const uint64_t *)slot, __ATOMIC_RELAXED);
	out->object = (void *)__atomic_load_n(&slot->object, __ATOMIC_RELAXED);
	out->badge = __atomic_load_n(&slot->badge, __ATOMIC_RELAXED);
}

/* Who meets a writer waits for its turn, like one: others might come between for ever. */
static void slot_read(const struct slot *slot, struct capability *out)
{
	uint64_t sequence = tree_read_begin();

	slot_copy(slot, out);
	if (!tree_read_torn(sequence))
		return;
	lock_take(&tree_lock);
	slot_copy(slot, out);
	lock_release(&tree_lock);
}

enum error cspace_read(const struct thread *thread, uint64_t index, unsigned type, unsigned rights,
                       struct capability *out)
{
	const struct slot *slot = cnode_slot(&thread->bindings[BIND_CSPACE], index);

	if (!slot)
		return ERR_NO_CAPABILITY;
	slot_read(slot, out);
	if ((out->header & SLOT_TYPE_MASK) != type)
		return out->header & SLOT_TYPE_MASK ? ERR_WRONG_TYPE : ERR_NO_CAPABILITY;
	return (capability_rights(out) & rights) != rights ? ERR_RIGHTS : ERR_NONE;
}

enum error cspace_read_local(const struct thread *thread, uint64_t index, unsigned type, unsigned rights,
                             struct capability *out)
{
	enum error error = cspace_read(thread, index, type, rights, out);

	return !error && capability_home(out) != this_cpu() ? ERR_REMOTE : error;
}

enum error cspace_find_cnode(const struct thread *thread, uint64_t index, struct slot **out)
{
	if (index != CPTR_NULL)
		return cspace_find(thread, index, OBJECT_CNODE, RIGHT_MANAGE, out);
	*out = (struct slot *)&thread->bindings[BIND_CSPACE];
	return slot_empty(*out) ? ERR_NO_CAPABILITY : ERR_NONE;
}

/* Where from and where to, of a derive or a move. */
struct transfer {
	struct slot *from, *to;
};

static enum error transfer_decode(struct thread *caller, const struct slot *cnode, struct transfer *transfer)
{
	struct slot *source;
	enum error error = cspace_find_cnode(caller, argument(caller, 1), &source);

	if (error)
		return error;
	transfer->to = cnode_slot(cnode, argument(caller, 0));
	transfer->from = cnode_slot(source, argument(caller, 2));
	if (!transfer->to || !transfer->from)
		return ERR_RANGE;
	if (slot_empty(transfer->from))
		return ERR_NO_CAPABILITY;
	return slot_empty(transfer->to) ? ERR_NONE : ERR_OCCUPIED;
}

/* ---- derive ---- */

static enum error derive_badge(const struct slot *from, struct slot *to, uint64_t badge, uint64_t zero)
{
	if (zero || (badge && from->badge))
		return ERR_ARGUMENT;
	to->badge = badge ? badge : from->badge;
	return ERR_NONE;
}

/* [first, first + count) of what `from` has, which begins at 0 and has `all`. */
static enum error derive_check_range(uint64_t first, uint64_t count, uint64_t all)
{
	if (!count)
		return ERR_ARGUMENT;
	return first >= all || count > all - first ? ERR_RANGE : ERR_NONE;
}

static enum error derive_memory(const struct slot *from, struct slot *to, uint64_t first, uint64_t pages)
{
	enum error error;

	to->pages = from->pages;
	to->object = from->object;
	if (!first && !pages)
		return ERR_NONE;
	error = derive_check_range(first, pages, from->pages);
	if (error)
		return error;
	to->object = from->object + (first << PAGE_BITS);
	to->pages = pages;
	return ERR_NONE;
}

static enum error derive_ports(const struct slot *from, struct slot *to, uint64_t first, uint64_t count)
{
	enum error error;

	to->object = from->object;
	to->ports = from->ports;
	if (!first && !count)
		return ERR_NONE;
	if (first < from->object)
		return ERR_RANGE;
	error = derive_check_range(first - from->object, count, from->ports);
	if (error)
		return error;
	to->object = first;
	to->ports = count;
	return ERR_NONE;
}

static enum error derive_time(const struct slot *from, struct slot *to, uint64_t share, uint64_t priority)
{
	to->time = from->time;
	to->time.promised = 0;
	if (time_depth(from) >= TIME_DEPTH)
		return ERR_LIMIT;
	if (!share && !priority)
		return ERR_NONE;
	if (share > from->time.share || priority > from->time.priority)
		return ERR_LIMIT;
	to->time.share = share;
	to->time.priority = (uint32_t)priority;
	return ERR_NONE;
}

/* What the new capability has of its own, by type; in a scratch slot, so that errors change nothing. */
static enum error derive_data(struct thread *caller, const struct slot *from, struct slot *scratch)
{
	uint64_t w4 = argument(caller, 4), w5 = argument(caller, 5);

	scratch->object = from->object;
	scratch->data[0] = from->data[0];
	scratch->data[1] = from->data[1];
	switch (from->type) {
	case OBJECT_ENDPOINT:
	case OBJECT_NOTIFICATION:
		return derive_badge(from, scratch, w4, w5);
	case OBJECT_MEMORY:
		return derive_memory(from, scratch, w4, w5);
	case OBJECT_IO_PORTS:
	case OBJECT_IO_SPACE_CONTROL:
		return derive_ports(from, scratch, w4, w5);
	case OBJECT_CPU_TIME:
		return derive_time(from, scratch, w4, w5);
	case OBJECT_UNTYPED:
	case OBJECT_REPLY:
		return ERR_WRONG_TYPE;
	default:
		return w4 || w5 ? ERR_ARGUMENT : ERR_NONE;
	}
}

/* A status of syscall.h. */
static unsigned cnode_derive(struct thread *caller, const struct slot *cnode)
{
	struct transfer transfer;
	struct slot scratch;
	enum error error = transfer_decode(caller, cnode, &transfer);

	if (!error && transfer.from->flags & SLOT_DOOMED)
		error = ERR_NO_CAPABILITY;
	while (!error && transfer.from->type == OBJECT_CPU_TIME && !time_approach_above(transfer.from))
		if (preempt_wanted())
			return STATUS_RESTART;
	if (!error)
		error = derive_data(caller, transfer.from, &scratch);
	if (!error && argument(caller, 3) > RIGHT_ALL)
		error = ERR_ARGUMENT;
	if (error)
		return error;
	tree_write_begin();
	slot_derive(transfer.from, transfer.to, (unsigned)argument(caller, 3));
	transfer.to->object = scratch.object;
	transfer.to->data[0] = scratch.data[0];
	transfer.to->data[1] = scratch.data[1];
	tree_write_end();
	return ERR_NONE;
}

/* ---- move, delete, revoke ---- */

static enum error cnode_move(struct thread *caller, const struct slot *cnode)
{
	struct transfer transfer;
	enum error error;

	if (!arguments_zero(caller, 3))
		return ERR_ARGUMENT;
	error = transfer_decode(caller, cnode, &transfer);
	if (!error)
		slot_move(transfer.from, transfer.to);
	return error;
}

static unsigned cnode_delete_or_revoke(struct thread *caller, const struct slot *cnode, unsigned operation)
{
	struct slot *slot = cnode_slot(cnode, argument(caller, 0));
	bool done;

	if (!arguments_zero(caller, 1))
		return ERR_ARGUMENT;
	if (!slot)
		return ERR_RANGE;
	done = operation == CNODE_DELETE ? slot_delete(slot) : slot_revoke(slot);
	return done ? ERR_NONE : STATUS_RESTART;
}

unsigned cnode_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	if (operation == CNODE_DERIVE)
		return cnode_derive(caller, slot);
	if (operation == CNODE_MOVE)
		return cnode_move(caller, slot);
	return cnode_delete_or_revoke(caller, slot, operation);
}
