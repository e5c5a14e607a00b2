/* SPDX-License-Identifier: MIT */
/* Deleting and revoking: see delete.c. */
#pragma once

#include <kernel/slot.h>

/* The anchor of the circular list of what is being taken apart. */
extern struct slot slot_dying;

/* True: done. False: somebody waits, or it must go on on another CPU (go_to); call again
 * with the same argument. */
bool slot_delete(struct slot *slot);
bool slot_revoke(struct slot *slot);
/* Delete a kernel slot that holds a derived capability without children, at once; side effects included. */
void slot_unbind(struct slot *slot);
