/* SPDX-License-Identifier: MIT */
/* Memory: a contiguous range of pages. Its capability is all there is of it in the kernel. */
#pragma once

#include <kernel/slot.h>
#include <kernel/thread.h>

unsigned memory_invoke(struct thread *caller, struct slot *slot, unsigned operation);
