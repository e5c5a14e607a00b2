/* SPDX-License-Identifier: MIT */
/* What uname and /proc/version say. Programs decide by the release what to expect of Linux. */
#pragma once

#define SYSTEM_NAME    "Linux"
#define SYSTEM_RELEASE "6.1.0-pith"
#define SYSTEM_VERSION "#1 Pith"

const char *system_host_name(void);
