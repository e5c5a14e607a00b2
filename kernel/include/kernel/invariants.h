/* SPDX-License-Identifier: MIT */
/* Walks all objects and asserts what docs/invariants.md states; only in debug kernels and host tests. */
#pragma once

#ifdef PITH_DEBUG
void invariants_check(void);
#else
static inline void invariants_check(void)
{
}
#endif
