/* SPDX-License-Identifier: MIT */
/* The kernel's, but in a proof chains may end sooner: with so few threads as a proof has their limit would
 * not be met. */
#pragma once

#include "kernel/include/kernel/inherit.h"

#ifdef CHAIN
#undef CHAIN_MAX
#define CHAIN_MAX CHAIN
#endif
