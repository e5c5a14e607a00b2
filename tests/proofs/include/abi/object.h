/* SPDX-License-Identifier: MIT */
/* The ABI's, but in a proof a VSpace may have fewer feeds. */
#pragma once

#include "abi/include/abi/object.h"

#ifdef FEEDS
#undef VSPACE_FEEDS
#define VSPACE_FEEDS FEEDS
#endif
