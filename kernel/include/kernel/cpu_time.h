/* SPDX-License-Identifier: MIT */
/* CpuTime: the right to configure scheduling contexts on a CPU, up to a share and a maximum priority. */
#pragma once

#include <kernel/slot.h>
#include <kernel/thread.h>

unsigned cpu_time_invoke(struct thread *caller, struct slot *slot, unsigned operation);
