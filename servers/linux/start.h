/* SPDX-License-Identifier: MIT */
#pragma once

/* Brings the system up: file systems, then the first process or the exec channel. */
void start_fiber(void *unused);
