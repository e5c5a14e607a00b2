/* SPDX-License-Identifier: MIT */
/* The x86_64 types, but with the "direct map" of the test's arena. */
#pragma once

#include "kernel/arch/x86_64/include/arch/types.h"

#undef KERNEL_OFFSET
extern uint64_t fake_offset;
#define KERNEL_OFFSET fake_offset
