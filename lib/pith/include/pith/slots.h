/* SPDX-License-Identifier: MIT */
/*
 * Free capability slots of the own CSpace, and kernel objects out of the component's Untypeds (STARTUP_UNTYPED).
 * Not for use from several threads at once.
 */
#pragma once

#include <pith/object.h>

cptr_t slot_allocate(void); /* CPTR_NULL: none free */
void slot_free(cptr_t slot); /* must be empty */

/* A new object in a fresh slot; CPTR_NULL: no memory or slots. Objects of one size share a chunked Untyped. */
cptr_t object_create(enum object_type type, unsigned size_bits);
/* The same for a Thread, SchedContext, Endpoint, Reply or Notification with its home on this CPU (object_create: our own). */
cptr_t object_create_on(unsigned cpu, enum object_type type, unsigned size_bits);
/* Deletes the capability (and, being the original, the object) and frees the slot; the Untyped's chunk is reusable. */
void object_destroy(cptr_t slot);
/* More Untyped for object_create (the startup entries are taken by themselves). */
void object_feed(cptr_t untyped, unsigned size_bits);
/* An uncut Untyped of exactly that size (for VSPACE_FEED) */
cptr_t object_untyped(unsigned size_bits);
uint64_t object_bytes_free(void);
