/* SPDX-License-Identifier: MIT */
#include <kernel/cnode.h>
#include <kernel/delete.h>
#include <kernel/io_space.h>
#include <kernel/lock.h>
#include <kernel/syscall.h>

struct vspace *io_space_init(void *object)
{
	struct io_space *io = (struct io_space *)((char *)object + PAGE_SIZE);
	struct vspace *vspace = &io->vspace;

	vspace_init_feeds(vspace);
	vspace->io = true;
	vspace->end = arch_io.end;
	vspace->root_level = arch_io.root_level;
	vspace->map_flags = arch_io.large ? VSPACE_MAP_FLAGS : VSPACE_MAP_FLAGS & ~(unsigned)MAP_LARGE;
	io->control.place = PLACE_IO_SPACE;
	arch_io_space_init(&vspace->arch, object, &io->top);
	return vspace;
}

static void *io_space_root(struct io_space *io)
{
	return (char *)io - PAGE_SIZE;
}

static unsigned io_space_requester(const struct io_space *io)
{
	return (unsigned)io->control.object;
}

void io_space_detached(struct io_space *io)
{
	arch_io_detach(io_space_requester(io), io->domain);
	io->domain = 0;
}

/* From user mode or an idle CPU: this one does not hold the lock. */
void kernel_io_fault(void)
{
	debug_lock_take();
	lock_take(&tree_lock);
	arch_io_report();
	lock_release(&tree_lock);
}

static enum error io_space_attach(struct thread *caller, struct io_space *io)
{
	uint64_t requester = argument(caller, 1);
	struct slot *control;
	enum error error;

	if (!arguments_zero(caller, 2))
		return ERR_ARGUMENT;
	error = cspace_find(caller, argument(caller, 0), OBJECT_IO_SPACE_CONTROL, RIGHT_MANAGE, &control);
	if (error)
		return error;
	if (requester < control->object || requester - control->object >= control->ports)
		return ERR_RANGE;
	if (!slot_empty(&io->control))
		return ERR_OCCUPIED;
	error = arch_io_attach((unsigned)requester, io_space_root(io), &io->domain);
	if (error)
		return error;
	slot_derive(control, &io->control, RIGHT_MANAGE);
	io->control.object = requester;
	io->control.ports = 1;
	return ERR_NONE;
}

static enum error io_space_detach(struct io_space *io)
{
	if (slot_empty(&io->control))
		return ERR_STATE;
	slot_unbind(&io->control);
	return ERR_NONE;
}

static enum error io_space_info(struct thread *caller, const struct io_space *io)
{
	bool attached = !slot_empty(&io->control);

	arch_io_report();
	result(caller, 0, attached);
	result(caller, 1, io_space_requester(io));
	result(caller, 2, attached ? arch_io_faults(io_space_requester(io)) : 0);
	result(caller, 3, io->vspace.end);
	result(caller, 4, !!(io->vspace.map_flags & MAP_LARGE));
	return ERR_NONE;
}

unsigned io_space_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	struct io_space *io = io_space_of(slot_object(slot));

	if (operation <= VSPACE_INFO && operation != VSPACE_HARVEST)
		return vspace_invoke(caller, slot, operation);
	if (operation < IO_SPACE_ATTACH)
		return ERR_NO_OPERATION;
	if (operation == IO_SPACE_ATTACH)
		return io_space_attach(caller, io);
	if (!arguments_zero(caller, 0))
		return ERR_ARGUMENT;
	return operation == IO_SPACE_DETACH ? io_space_detach(io) : io_space_info(caller, io);
}
