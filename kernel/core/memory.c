/* SPDX-License-Identifier: MIT */
#include <kernel/memory.h>
#include <kernel/syscall.h>

unsigned memory_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	(void)operation;
	if (!arguments_zero(caller, 0))
		return ERR_ARGUMENT;
	result(caller, 0, slot->pages);
	result(caller, 1, !!(slot->flags & SLOT_DEVICE));
	result(caller, 2, slot->rights & RIGHT_DMA ? slot->object : 0);
	return ERR_NONE;
}
