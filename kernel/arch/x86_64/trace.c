/* SPDX-License-Identifier: MIT */
/* What entry.S tells the trace, with all registers of the thread saved. */
#include "local.h"

#include <kernel/trace.h>

#ifdef PITH_TRACE
void trace_enter(const struct arch_context *context);
void trace_exit(const struct arch_context *context);
void trace_idle(void);

void trace_enter(const struct arch_context *context)
{
	if (context->vector < 32)
		trace(TRACE_ENTER, context->vector, context, cr2_read(), context->error, 0, context->rip);
	else
		trace(TRACE_ENTER, context->vector, context, context->rax, context->rdi, context->rsi,
		      context->rip);
}

void trace_exit(const struct arch_context *context)
{
	trace(TRACE_EXIT, 0, context, context->rax, context->rip, 0, 0);
}

void trace_idle(void)
{
	trace(TRACE_IDLE, 0, NULL, 0, 0, 0, 0);
}
#endif
