/* SPDX-License-Identifier: MIT */
#pragma once

#include "disk.h"

/* Everything that can be done now. false: wait for events, they will come; true: there is more work already.
 */
bool disk_work(struct disk *disk);
/* The bits of "events" that came. */
void disk_events(struct disk *disk, uint64_t bits);
