/* SPDX-License-Identifier: MIT */
/* The serial line in exec mode: one program, its standard streams and its status, in frames (proto/exec.h).
 */
#pragma once

#include <stdbool.h>

void exec_channel_events(void);
bool exec_channel_prepare_sleep(void);
/* Everything is unmounted: tell the host how the program ended. */
void exec_channel_finish(void);
/* Pith itself failed: tells the host why and ends this component. */
_Noreturn void exec_channel_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
