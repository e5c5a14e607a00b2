/* SPDX-License-Identifier: MIT */
/* What /proc/sys/fs/mqueue tells of POSIX message queues. */
#pragma once

#include "fs/internal.h"

struct mqueue_limits {
	/* For whom has not CAP_SYS_RESOURCE. */
	int64_t messages_default, messages_max, size_default, size_max;
	unsigned queues_max;
};
extern const struct mqueue_limits mqueue_limits;
