/* SPDX-License-Identifier: MIT */
/* Where they are counted before, or without, start-up information: in a program that nobody supervises. */
#include <pith/counters.h>

static struct counters unseen;
struct counters *counters = &unseen;
