/* SPDX-License-Identifier: MIT */
#pragma once

#include "process.h"

void limits_init(struct rlimit64_pair limits[16]);
