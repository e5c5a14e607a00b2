/* SPDX-License-Identifier: MIT */
#pragma once

#include "disk.h"

/* Everything that can be done now. false: wait for events, they will come; true: there is more work already.
 */
bool disk_work(struct disk *disk);
/* Requests are at the device. */
bool disk_busy(const struct disk *disk);
/* Ends the driver if the device has failed. */
void disk_check(struct disk *disk);
/* The bits of "events" that came. */
void disk_events(struct disk *disk, uint64_t bits);
