/* SPDX-License-Identifier: MIT */
/* The x86_64 types and short functions, but physical addresses are the prover's own. */
#pragma once

#include "kernel/arch/x86_64/include/arch/types.h"

#undef KERNEL_OFFSET
#define KERNEL_OFFSET 0ul
