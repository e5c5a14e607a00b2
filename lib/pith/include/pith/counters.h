/* SPDX-License-Identifier: MIT */
/* The component's own counters (<proto/counters.h>): who writes a loop of his own counts what it receives. */
#pragma once

#include <proto/counters.h>

extern struct counters *counters; /* valid from before main() */
