/* SPDX-License-Identifier: MIT */
#pragma once

struct process;

enum { OOM_ADJUST_NEVER = -1000, OOM_ADJUST_MAX = 1000 };

/* Memory is exhausted and nothing can be reclaimed: ends the process that has most, and waits until something
 * was freed. */
void oom_kill(void);
/* How much would be gained by ending it, in pages, with what oom_score_adj adds: thousandths of all memory.
 */
long oom_badness(struct process *process);
