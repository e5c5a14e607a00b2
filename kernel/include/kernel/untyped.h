/* SPDX-License-Identifier: MIT */
/* Untyped memory: how objects come to be. */
#pragma once

#include <kernel/slot.h>
#include <kernel/thread.h>

unsigned untyped_invoke(struct thread *caller, struct slot *slot, unsigned operation);
/* Can a chunk of this size be cut now? */
enum error untyped_chunk_check(const struct slot *untyped, unsigned chunk_bits, uint64_t count);
/* Mark the lowest free chunk used; returns its physical address. Checked. */
uint64_t untyped_take(struct slot *untyped, unsigned chunk_bits);
/* The chunk that holds this address is free again. */
void untyped_give_back(struct slot *untyped, uint64_t physical);
