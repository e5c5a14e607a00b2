/* SPDX-License-Identifier: MIT */
/* Where unpredictable bits come from. Each is mixed into the generator; true: enough of them for a seed. */
#pragma once

#include <stdbool.h>
#include <pith/random.h>

/* The processor's random numbers (RDRAND). */
bool processor_mix(struct random_generator *generator);
/* How long the processor takes for the same thing again and again, for want of anything better. */
bool jitter_mix(struct random_generator *generator);
/* The time stamp counter: no seed, but no two starts have the same. */
void time_mix(struct random_generator *generator);
