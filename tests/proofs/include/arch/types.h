/* SPDX-License-Identifier: MIT */
/*
 * The x86_64 types and short functions, but physical addresses are the prover's own, and a register by its
 * name and by its number are two: unions are what the prover is slow at, and no proof is about registers.
 */
#pragma once

#define union struct
#include "kernel/arch/x86_64/include/arch/types.h"
#undef union

#undef KERNEL_OFFSET
#define KERNEL_OFFSET 0ul
