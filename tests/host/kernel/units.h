/* SPDX-License-Identifier: MIT */
#pragma once

/* Each returns how many of its checks failed, and adds those that passed. */
unsigned units_heap(unsigned *passed);
unsigned units_boot(unsigned *passed);
unsigned units_time(unsigned *passed);
unsigned units_spaces(unsigned *passed);
unsigned units_inherit(unsigned *passed);
unsigned units_invariants(unsigned *passed);
unsigned units_cpus(unsigned *passed);
unsigned units_hostile(unsigned *passed);
unsigned units_tags(unsigned *passed);
unsigned units_stress(unsigned *passed, unsigned long operations, unsigned seed);
