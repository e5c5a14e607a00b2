/* SPDX-License-Identifier: MIT */
/* The ABI's, but a proof may have fewer priorities. */
#pragma once

#include "abi/include/abi/types.h"

#ifdef PRIORITIES
#undef PRIORITY_COUNT
#define PRIORITY_COUNT PRIORITIES
#endif
