/* SPDX-License-Identifier: MIT */
#pragma once

/* The first CPU, at the end of its boot. */
void probe(const char *command_line);
/* Another CPU, let go by arch_cpus_start(). */
void probe_other(void);
