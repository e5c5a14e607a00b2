/* SPDX-License-Identifier: MIT */
#pragma once

#include "kernel/arch/x86_64/include/arch/offsets.h"
