/* SPDX-License-Identifier: MIT */
#pragma once

/* Memory is exhausted and nothing can be reclaimed: ends the process that has most, and waits until something
 * was freed. */
void oom_kill(void);
