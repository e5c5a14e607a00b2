/* SPDX-License-Identifier: MIT */
/* IoPorts: the right to a range of I/O ports. Its capability is all there is of it. */
#pragma once

#include <kernel/slot.h>
#include <kernel/thread.h>

unsigned io_ports_invoke(struct thread *caller, struct slot *slot, unsigned operation);
